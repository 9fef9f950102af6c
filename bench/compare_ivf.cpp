// Lists side by side: vindex and Debian's Faiss, every codec, on the same vectors in one process.
// For each index and number of lists looked through it prints recall@k against an exact search, and
// queries per second; then the best queries per second at recalls of .80, .90, .95 and .99.
//
//     bench_compare_ivf [--rows N] [--dim D] [--queries Q] [--k K] [--lists L] [--threads T]
//     [--clusters C] [--only TEXT] [--as-installed] [--csv]
//
// The data is simulated: a mixture of Gaussians whose means and noise have variances that fall as
// dimension^-0.7. Training and adding are timed too. --only takes engines whose name holds TEXT.
//
// As for compare_flat, the program restarts itself with a better OPENBLAS_CORETYPE unless told
// --as-installed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <omp.h>

#include <faiss/IndexIVF.h>
#include <faiss/IndexRefine.h>
#include <faiss/index_factory.h>

#include <vindex/vindex.h>

#include "memory.h"

namespace {

struct Options {
    int64_t rows = 1000000, dim = 128, queries = 2000, k = 10, lists = 4096, clusters = 20000;
    int threads = 1;
    std::string only;
    bool asInstalled = false, csv = false;
};

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
        if (word == "--as-installed" || word == "--csv") {
            (word == "--csv" ? o.csv : o.asInstalled) = true;
            continue;
        }
        if (word == "--only" && i + 1 < argc) {
            o.only = argv[++i];
            continue;
        }
        int64_t value = i + 1 < argc ? atoll(argv[++i]) : 0;
        const std::pair<const char *, int64_t *> numbers[] = {
            {"--rows", &o.rows}, {"--dim", &o.dim},     {"--queries", &o.queries},
            {"--k", &o.k},       {"--lists", &o.lists}, {"--clusters", &o.clusters}};
        bool known = false;
        for (const auto &number : numbers)
            if (word == number.first) {
                *number.second = value;
                known = true;
            }
        if (word == "--threads") {
            o.threads = static_cast<int>(value);
            known = true;
        }
        if (!known || value < 1) {
            fprintf(stderr, "bench_compare_ivf: %s is not known, or wants a number of 1 or more\n",
                    word.c_str());
            exit(2);
        }
    }
    return o;
}

[[noreturn]] void die() {
    fprintf(stderr, "bench_compare_ivf: %s\n", vindex_last_error());
    exit(1);
}

// Rows, then queries, of one mixture.
std::vector<float> simulate(const Options &o) {
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> spread(size_t(o.dim)), means(size_t(o.clusters * o.dim));
    for (int64_t j = 0; j < o.dim; j++) spread[size_t(j)] = std::pow(float(j + 1), -0.35f);
    for (int64_t i = 0; i < o.clusters * o.dim; i++)
        means[size_t(i)] = normal(random) * spread[size_t(i % o.dim)];
    std::vector<float> all(size_t((o.rows + o.queries) * o.dim));
    std::uniform_int_distribution<int64_t> pick(0, o.clusters - 1);
    for (int64_t i = 0; i < o.rows + o.queries; i++) {
        const float *mean = means.data() + pick(random) * o.dim;
        for (int64_t j = 0; j < o.dim; j++)
            all[size_t(i * o.dim + j)] = mean[j] + 0.7f * normal(random) * spread[size_t(j)];
    }
    return all;
}

// Finds k ids per query with so many lists.
using Search = std::function<void(int64_t nprobe, int64_t *ids)>;

struct Engine {
    std::string name;
    std::function<Search(double &train, double &add, double &bytes)> build;
};

struct Point {
    double recall, rate;
};

Search buildVindex(const Options &o, const std::string &spec, const float *rows,
                   const float *queries, double *seconds, double &bytes) {
    vindex_index *made;
    vindex_call call;
    vindex_call_init(&call);
    call.threads = o.threads;
    if (vindex_create(spec.c_str(), o.dim, VINDEX_L2, &made)) die();
    std::shared_ptr<vindex_index> index(made, vindex_free);
    double start = bench_clock();
    if (vindex_train(made, rows, o.rows, &call)) die();
    seconds[0] = bench_clock() - start;
    start = bench_clock();
    if (vindex_add(made, rows, o.rows, &call)) die();
    seconds[1] = bench_clock() - start;
    bytes = double(vindex_memory(made)) / double(o.rows);
    return [o, index, queries](int64_t nprobe, int64_t *ids) {
        vindex_search_params params;
        vindex_search_params_init(&params);
        params.k = o.k;
        params.threads = o.threads;
        params.nprobe = nprobe;
        if (vindex_search(index.get(), queries, o.queries, &params, ids, nullptr)) die();
    };
}

Search buildFaiss(const Options &o, const std::string &spec, float factor, const float *rows,
                  const float *queries, double *seconds) {
    std::shared_ptr<faiss::Index> index(
        faiss::index_factory(static_cast<int>(o.dim), spec.c_str()));
    double start = bench_clock();
    index->train(o.rows, rows);
    seconds[0] = bench_clock() - start;
    start = bench_clock();
    index->add(o.rows, rows);
    seconds[1] = bench_clock() - start;
    auto refined = dynamic_cast<faiss::IndexRefine *>(index.get());
    if (refined) refined->k_factor = factor;
    auto lists = dynamic_cast<faiss::IndexIVF *>(refined ? refined->base_index : index.get());
    auto distances = std::make_shared<std::vector<float>>(size_t(o.queries * o.k));
    return [o, index, lists, distances, queries](int64_t nprobe, int64_t *ids) {
        lists->nprobe = size_t(nprobe);
        index->search(o.queries, queries, o.k, distances->data(), ids);
    };
}

double recallOf(const std::vector<int64_t> &found, const std::vector<int64_t> &truth, int64_t k) {
    size_t hits = 0;
    for (size_t i = 0; i < found.size(); i++) {
        auto begin = truth.begin() + static_cast<std::ptrdiff_t>(i / size_t(k) * size_t(k));
        hits += std::find(begin, begin + k, found[i]) != begin + k;
    }
    return double(hits) / double(found.size());
}

// Queries per second at a recall, between the two points around it, or of the fastest one above.
double rateAt(const std::vector<Point> &points, double recall) {
    double best = 0;
    for (size_t i = 0; i < points.size(); i++) {
        if (points[i].recall < recall) continue;
        double rate = points[i].rate;
        if (i && points[i - 1].recall < recall) {
            double share =
                (recall - points[i - 1].recall) / (points[i].recall - points[i - 1].recall);
            rate = std::exp((1 - share) * std::log(points[i - 1].rate) + share * std::log(rate));
        }
        best = std::max(best, rate);
    }
    return best;
}

void run(const Options &o, const Engine &engine, const std::vector<int64_t> &truth) {
    double train = 0, add = 0, bytes = 0;
    Search search = engine.build(train, add, bytes);
    std::vector<Point> points;
    std::vector<int64_t> ids(truth.size());
    for (int64_t nprobe = 4; nprobe <= o.lists; nprobe = nprobe * 3 / 2) {
        double best = 1e30;
        for (int i = 0; i < 2; i++) {
            double start = bench_clock();
            search(nprobe, ids.data());
            best = std::min(best, bench_clock() - start);
        }
        points.push_back({recallOf(ids, truth, o.k), double(o.queries) / best});
        if (o.csv)
            printf("\"%s\",%lld,%lld,%lld,%lld,%d,%lld,%.5f,%.1f,%.2f,%.2f,%.1f\n",
                   engine.name.c_str(), (long long)o.rows, (long long)o.dim, (long long)o.lists,
                   (long long)o.k, o.threads, (long long)nprobe, points.back().recall,
                   points.back().rate, train, add, bytes);
        size_t last = points.size() - 1;
        if (points[last].recall > 0.995 ||
            (last > 2 && points[last].recall < points[last - 2].recall + 0.002))
            break;
    }
    if (o.csv) return;
    printf("%-34s %8.1f %8.1f %8.1f", engine.name.c_str(), train, add, bytes);
    for (double recall : {.80, .90, .95, .99}) {
        double rate = rateAt(points, recall);
        if (rate > 0)
            printf(" %9.0f", rate);
        else
            printf(" %9s", "-");
    }
    printf("\n");
    fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
    Options o = parse(argc, argv);
    if (!o.asInstalled) restartWithBetterBlas(argv);
    omp_set_num_threads(o.threads);
    const std::vector<float> all = simulate(o);
    const float *rows = all.data(), *queries = rows + o.rows * o.dim;
    std::vector<int64_t> truth(size_t(o.queries * o.k));
    vindex_index *flat;
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = o.k;
    if (vindex_create("Flat", o.dim, VINDEX_L2, &flat) || vindex_add(flat, rows, o.rows, nullptr) ||
        vindex_search(flat, queries, o.queries, &params, truth.data(), nullptr))
        die();
    vindex_free(flat);
    fprintf(
        o.csv ? stderr : stdout,
        "vindex %s (%s), Faiss %d.%d.%d, OpenBLAS core %s; %lld x %lld float32, simulated "
        "mixture of %lld Gaussians, squared L2, %lld lists, k = %lld, %lld queries in one call, "
        "%d thread(s), best of 2\n\n",
        vindex_version(), vindex_simd_level(), FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR,
        FAISS_VERSION_PATCH, blasCore(), (long long)o.rows, (long long)o.dim, (long long)o.clusters,
        (long long)o.lists, (long long)o.k, (long long)o.queries, o.threads);
    if (o.csv)
        printf("engine,rows,dim,lists,k,threads,nprobe,recall,queries_per_second,train_seconds,"
               "add_seconds,bytes_each\n");
    else
        printf("%-34s %8s %8s %8s %9s %9s %9s %9s\n", "queries per second at recall", "train s",
               "add s", "bytes", ".80", ".90", ".95", ".99");
    const std::string lists = "IVF" + std::to_string(o.lists);
    std::vector<Engine> engines;
    for (const char *codec :
         {"Flat", "SQ8", "SQ4", "RaBitQ4", "SQ8,Refine", "SQ4,Refine", "RaBitQ4,Refine",
          "RaBitQ4,Refine(f16)", "RaBitQ8,Refine", "RaBitQ2,Refine"}) {
        std::string spec = lists + "," + codec;
        engines.push_back({"vindex " + spec, [&, spec](double &train, double &add, double &bytes) {
                               double seconds[2];
                               Search s = buildVindex(o, spec, rows, queries, seconds, bytes);
                               train = seconds[0], add = seconds[1];
                               return s;
                           }});
    }
    const std::string half = std::to_string(o.dim / 2);
    const std::pair<std::string, float> theirs[] = {{lists + ",Flat", 1},
                                                    {lists + ",SQ8", 1},
                                                    {lists + ",PQ" + half + "x4fs,RFlat", 4},
                                                    {lists + ",PQ" + half + "x4fs,RFlat", 16}};
    for (const auto &[spec, factor] : theirs) {
        std::string name = "Faiss " + spec;
        if (factor > 1) name += " factor " + std::to_string(static_cast<int>(factor));
        engines.push_back(
            {name, [&, spec = spec, factor = factor](double &train, double &add, double &) {
                 double seconds[2];
                 Search s = buildFaiss(o, spec, factor, rows, queries, seconds);
                 train = seconds[0], add = seconds[1];
                 return s;
             }});
    }
    for (const Engine &engine : engines)
        if (o.only.empty() || engine.name.find(o.only) != std::string::npos) run(o, engine, truth);
    return 0;
}
