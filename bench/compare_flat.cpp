// Exact search side by side: vindex, Debian's Faiss, hnswlib's brute force and a naive double loop,
// on the same vectors in the same process. Prints milliseconds per query, the share of the memory's
// read bandwidth, and how many ids agree with vindex's.
//
//     bench_compare_flat [--rows N] [--dim D] [--queries Q] [--k K] [--threads T] [--as-installed]
//
// Debian 12's OpenBLAS does not know newer Xeons and falls back to its slowest kernels, which would
// make Faiss look worse than it is; so the program restarts itself with a better OPENBLAS_CORETYPE
// unless told --as-installed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <omp.h>

#include <faiss/IndexFlat.h>
#include <hnswlib/hnswlib.h>

#include <vindex/vindex.h>

namespace {

struct Options {
    int64_t rows = 1000000, dim = 128, queries = 1000, k = 10;
    int threads = 1;
    bool asInstalled = false;
};

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

const char *blasCore() {
    auto name = reinterpret_cast<char *(*)()>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
    return name ? name() : "unknown";
}

void restartWithBetterBlas(char **argv) {
    if (getenv("OPENBLAS_CORETYPE") || std::string(blasCore()) != "Prescott") return;
    setenv("OPENBLAS_CORETYPE", __builtin_cpu_supports("avx512f") ? "SkylakeX" : "Haswell", 1);
    execv("/proc/self/exe", argv);
}

Options parse(int argc, char **argv) {
    Options o;
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        if (word == "--as-installed") {
            o.asInstalled = true;
            continue;
        }
        int64_t value = i + 1 < argc ? atoll(argv[++i]) : 0;
        if (value < 1) {
            fprintf(stderr, "bench_compare_flat: %s wants a number of 1 or more\n", word.c_str());
            exit(2);
        }
        if (word == "--rows")
            o.rows = value;
        else if (word == "--dim")
            o.dim = value;
        else if (word == "--queries")
            o.queries = value;
        else if (word == "--k")
            o.k = value;
        else if (word == "--threads")
            o.threads = static_cast<int>(value);
        else {
            fprintf(stderr, "bench_compare_flat: unknown word %s\n", word.c_str());
            exit(2);
        }
    }
    return o;
}

struct Answer {
    std::vector<int64_t> ids;
    double best = 1e30; // seconds for all queries
};

// The best of three runs, which is what the machine does when its neighbours are quiet.
Answer measure(const Options &o, int64_t queries, const std::function<void(int64_t *)> &run) {
    Answer answer;
    answer.ids.resize(static_cast<size_t>(queries * o.k));
    for (int i = 0; i < 3; i++) {
        double start = seconds();
        run(answer.ids.data());
        answer.best = std::min(answer.best, seconds() - start);
    }
    return answer;
}

void print(const Options &o, const char *name, int64_t queries, double bytes, double build,
           const Answer &answer, const Answer &reference) {
    size_t agree = 0;
    for (size_t i = 0; i < answer.ids.size(); i++) agree += answer.ids[i] == reference.ids[i];
    double perQuery = answer.best / static_cast<double>(queries);
    printf("%-22s %5lld %10.3f %9.1f %9.1f %8.2f %8.4f\n", name, static_cast<long long>(queries),
           perQuery * 1e3, queries == 1 ? bytes / answer.best / 1e9 : NAN,
           2e-9 * static_cast<double>(o.rows) * static_cast<double>(o.dim) / perQuery, build,
           static_cast<double>(agree) / static_cast<double>(answer.ids.size()));
    fflush(stdout);
}

std::vector<float> gaussian(int64_t count, unsigned seed) {
    std::vector<float> values(static_cast<size_t>(count));
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (float &value : values) value = normal(random);
    return values;
}

void naive(const Options &o, const float *rows, const float *query, int64_t *ids) {
    std::vector<std::pair<float, int64_t>> all(static_cast<size_t>(o.rows));
    for (int64_t i = 0; i < o.rows; i++) {
        float sum = 0;
        for (int64_t j = 0; j < o.dim; j++) {
            float d = query[j] - rows[i * o.dim + j];
            sum += d * d;
        }
        all[static_cast<size_t>(i)] = {sum, i};
    }
    std::partial_sort(all.begin(), all.begin() + o.k, all.end());
    for (int64_t i = 0; i < o.k; i++) ids[i] = all[static_cast<size_t>(i)].second;
}

[[noreturn]] void die() {
    fprintf(stderr, "bench_compare_flat: %s\n", vindex_last_error());
    exit(1);
}

Answer runVindex(const Options &o, const char *spec, const std::vector<float> &rows,
                 const float *queries, int64_t count, double *build) {
    vindex_index *index;
    if (vindex_create(spec, o.dim, VINDEX_L2, &index)) die();
    double start = seconds();
    vindex_call call;
    vindex_call_init(&call);
    call.threads = o.threads;
    if (vindex_add(index, rows.data(), o.rows, &call)) die();
    *build = seconds() - start;
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = o.k;
    params.threads = o.threads;
    Answer answer = measure(o, count, [&](int64_t *ids) {
        if (vindex_search(index, queries, count, &params, ids, nullptr)) die();
    });
    vindex_free(index);
    return answer;
}

} // namespace

int main(int argc, char **argv) {
    Options o = parse(argc, argv);
    if (!o.asInstalled) restartWithBetterBlas(argv);
    omp_set_num_threads(o.threads);
    printf("vindex %s (%s), Faiss %d.%d.%d, OpenBLAS core %s; %lld x %lld float32 (Gaussian, "
           "simulated), squared L2, k = %lld, %d thread(s), best of 3\n\n",
           vindex_version(), vindex_simd_level(), FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR,
           FAISS_VERSION_PATCH, blasCore(), static_cast<long long>(o.rows),
           static_cast<long long>(o.dim), static_cast<long long>(o.k), o.threads);
    printf("%-22s %5s %10s %9s %9s %8s %8s\n", "engine", "nq", "ms/query", "GB/s", "GFLOP/s",
           "build s", "agree");
    std::vector<float> rows = gaussian(o.rows * o.dim, 1), queries = gaussian(o.queries * o.dim, 2);
    double bytes = static_cast<double>(o.rows * o.dim) * 4, build = 0;

    faiss::IndexFlatL2 flat(o.dim);
    double start = seconds();
    flat.add(o.rows, rows.data());
    double faissBuild = seconds() - start;
    std::vector<float> distances(static_cast<size_t>(o.queries * o.k));

    for (int64_t count : {int64_t{1}, o.queries}) {
        Answer exact = runVindex(o, "Flat", rows, queries.data(), count, &build);
        print(o, "vindex Flat", count, bytes, build, exact, exact);
        for (const char *spec : {"Flat,f16", "Flat,bf16"}) {
            Answer half = runVindex(o, spec, rows, queries.data(), count, &build);
            print(o, (std::string("vindex ") + spec).c_str(), count, bytes / 2, build, half, exact);
        }
        Answer faissAnswer = measure(o, count, [&](int64_t *ids) {
            flat.search(count, queries.data(), o.k, distances.data(), ids);
        });
        print(o, "Faiss IndexFlatL2", count, bytes, faissBuild, faissAnswer, exact);
        if (count > 1) break;
        hnswlib::L2Space space(static_cast<size_t>(o.dim));
        hnswlib::BruteforceSearch<float> brute(&space, static_cast<size_t>(o.rows));
        start = seconds();
        for (int64_t i = 0; i < o.rows; i++)
            brute.addPoint(rows.data() + i * o.dim, static_cast<size_t>(i));
        double bruteBuild = seconds() - start;
        Answer bruteAnswer = measure(o, count, [&](int64_t *ids) {
            auto found = brute.searchKnn(queries.data(), static_cast<size_t>(o.k));
            for (size_t i = found.size(); i-- > 0; found.pop())
                ids[i] = static_cast<int64_t>(found.top().second);
        });
        print(o, "hnswlib brute force", count, bytes, bruteBuild, bruteAnswer, exact);
        Answer loop =
            measure(o, count, [&](int64_t *ids) { naive(o, rows.data(), queries.data(), ids); });
        print(o, "naive double loop", count, bytes, 0, loop, exact);
        if (o.queries == 1) break;
    }
    return 0;
}
