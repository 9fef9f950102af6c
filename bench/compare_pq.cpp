// Product quantization side by side: vindex and Debian's Faiss with equal parameters, on the same
// vectors in the same process. Prints the seconds that training and adding take, milliseconds per
// query of a batch and one at a time, recall, and the mean squared error of the codes.
//
//     bench_compare_pq [--rows N] [--dim D] [--queries Q] [--k K] [--nprobe P] [--threads T]
//     [--only PAIR] [--csv] [--as-installed]
//
// All data is simulated: clusters of Gaussian vectors whose variance falls as dimension^-0.7,
// turned at random. Debian 12's OpenBLAS does not know newer Xeons and falls back to its slowest
// kernels, which would make Faiss look worse than it is; so the program restarts itself with a
// better OPENBLAS_CORETYPE unless told --as-installed.
#include <cblas.h>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <omp.h>

#include <faiss/IndexIVF.h>
#include <faiss/index_factory.h>

#include <vindex/vindex.h>

namespace {

struct Options {
    int64_t rows = 1000000, dim = 128, queries = 1000, k = 10, nprobe = 32, only = -1;
    int threads = 1;
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
    struct {
        const char *word;
        int64_t *value;
    } numbers[] = {{"--rows", &o.rows}, {"--dim", &o.dim},       {"--queries", &o.queries},
                   {"--k", &o.k},       {"--nprobe", &o.nprobe}, {"--only", &o.only}};
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        bool known = true;
        if (word == "--as-installed") {
            o.asInstalled = true;
        } else if (word == "--csv") {
            o.csv = true;
        } else if (word == "--threads" && i + 1 < argc) {
            o.threads = atoi(argv[++i]);
        } else {
            known = false;
            for (auto &number : numbers)
                if (word == number.word && i + 1 < argc) {
                    *number.value = atoll(argv[++i]);
                    known = true;
                    break;
                }
        }
        if (!known) {
            fprintf(stderr, "bench_compare_pq: unknown word '%s'; see the head of the source\n",
                    argv[i]);
            exit(2);
        }
    }
    return o;
}

double now() {
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "bench_compare_pq: %s\n", vindex_last_error());
    exit(1);
}

// Points of one set belong together whatever their number: the seed decides the clusters.
std::vector<float> simulate(int64_t n, int64_t dim, unsigned seed) {
    const int64_t clusters = 2000;
    std::mt19937 shape(7), random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> centres(clusters * dim), turn(dim * dim), flat(n * dim), turned(n * dim);
    for (auto &x : turn) x = normal(shape) / std::sqrt(float(dim));
    for (auto &x : centres) x = normal(shape);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = random() % clusters;
        for (int64_t j = 0; j < dim; j++)
            flat[i * dim + j] =
                (centres[c * dim + j] + 0.7f * normal(random)) * std::pow(float(j + 1), -0.35f);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(n), int(dim), int(dim), 1,
                flat.data(), int(dim), turn.data(), int(dim), 0, turned.data(), int(dim));
    return turned;
}

struct Result {
    double train, add, batch, single, recall, error;
};

struct Data {
    std::vector<float> rows, queries;
    std::vector<int64_t> truth;
};

double recallOf(const std::vector<int64_t> &found, const Data &data, int64_t k) {
    int64_t hits = 0, queries = int64_t(data.truth.size()) / k;
    for (int64_t q = 0; q < queries; q++)
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++) hits += found[q * k + i] == data.truth[q * k + j];
    return double(hits) / double(queries * k);
}

// Mean squared distance of the first rows to what comes back for them.
double errorOf(const std::vector<float> &back, const Data &data) {
    double sum = 0;
    for (size_t i = 0; i < back.size(); i++) sum += std::pow(double(back[i]) - data.rows[i], 2);
    return sum;
}

enum { Looked = 10000, Singles = 200 };

Result runVindex(const char *spec, const Options &o, const Data &data) {
    Result r;
    vindex_index *index;
    vindex_call call;
    vindex_search_params params;
    vindex_call_init(&call);
    vindex_search_params_init(&params);
    call.threads = params.threads = o.threads;
    params.k = o.k;
    params.nprobe = o.nprobe;
    check(vindex_create(spec, o.dim, VINDEX_L2, &index));
    double start = now();
    check(vindex_train(index, data.rows.data(), o.rows, &call));
    r.train = now() - start;
    start = now();
    check(vindex_add(index, data.rows.data(), o.rows, &call));
    r.add = now() - start;
    std::vector<int64_t> ids(o.queries * o.k), some(Looked);
    r.batch = r.single = 1e9;
    for (int repeat = 0; repeat < 3; repeat++) {
        start = now();
        check(vindex_search(index, data.queries.data(), o.queries, &params, ids.data(), nullptr));
        r.batch = std::min(r.batch, (now() - start) * 1e3 / double(o.queries));
    }
    r.recall = recallOf(ids, data, o.k);
    start = now();
    for (int64_t q = 0; q < Singles; q++)
        check(
            vindex_search(index, data.queries.data() + q * o.dim, 1, &params, ids.data(), nullptr));
    r.single = (now() - start) * 1e3 / Singles;
    std::vector<float> back(Looked * o.dim);
    for (int64_t i = 0; i < Looked; i++) some[i] = i;
    check(vindex_reconstruct(index, some.data(), Looked, back.data()));
    r.error = errorOf(back, data) / Looked;
    vindex_free(index);
    return r;
}

Result runFaiss(const char *spec, const Options &o, const Data &data) {
    Result r;
    omp_set_num_threads(o.threads);
    std::unique_ptr<faiss::Index> index(faiss::index_factory(int(o.dim), spec));
    double start = now();
    index->train(o.rows, data.rows.data());
    r.train = now() - start;
    start = now();
    index->add(o.rows, data.rows.data());
    r.add = now() - start;
    auto ivf = dynamic_cast<faiss::IndexIVF *>(index.get());
    if (ivf) ivf->nprobe = size_t(o.nprobe);
    std::vector<faiss::Index::idx_t> ids(o.queries * o.k);
    std::vector<float> distances(o.queries * o.k);
    r.batch = r.single = 1e9;
    for (int repeat = 0; repeat < 3; repeat++) {
        start = now();
        index->search(o.queries, data.queries.data(), o.k, distances.data(), ids.data());
        r.batch = std::min(r.batch, (now() - start) * 1e3 / double(o.queries));
    }
    r.recall = recallOf(std::vector<int64_t>(ids.begin(), ids.end()), data, o.k);
    start = now();
    for (int64_t q = 0; q < Singles; q++)
        index->search(1, data.queries.data() + q * o.dim, o.k, distances.data(), ids.data());
    r.single = (now() - start) * 1e3 / Singles;
    r.error = NAN;
    try {
        std::vector<float> back(Looked * o.dim);
        if (ivf) ivf->make_direct_map();
        index->reconstruct_n(0, Looked, back.data());
        r.error = errorOf(back, data) / Looked;
    } catch (const std::exception &) { // fast-scan cannot give vectors back
    }
    return r;
}

const char *const pairs[][2] = {
    {"PQ32x4", "PQ32x4fs"},
    {"PQ64x4", "PQ64x4fs"},
    {"PQ16x8", "PQ16"},
    {"PQ16x6", "PQ16x6"},
    {"IVF4096,PQ64x4", "IVF4096,PQ64x4fs"},
    {"IVF4096,PQ64x4", "IVF4096,PQ64x4fsr"},
    {"IVF4096,PQ16x8", "IVF4096,PQ16"},
};

void print(const char *name, const Options &o, const Result &r) {
    printf(o.csv ? "%s,%.2f,%.2f,%.4f,%.4f,%.4f,%.4f\n"
                 : "%-28s train %6.2f s  add %6.2f s  batch %8.4f ms  single %8.4f ms  recall "
                   "%.4f  error %.4f\n",
           name, r.train, r.add, r.batch, r.single, r.recall, r.error);
    fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
    Options o = parse(argc, argv);
    if (!o.asInstalled) restartWithBetterBlas(argv);
    printf("# simulated, %lld x %lld, %lld queries, k %lld, nprobe %lld, %d threads, SIMD %s, "
           "OpenBLAS %s\n",
           (long long)o.rows, (long long)o.dim, (long long)o.queries, (long long)o.k,
           (long long)o.nprobe, o.threads, vindex_simd_level(), blasCore());
    Data data;
    data.rows = simulate(o.rows, o.dim, 1);
    data.queries = simulate(o.queries, o.dim, 2);
    data.truth.resize(o.queries * o.k);
    {
        vindex_index *flat;
        vindex_search_params params;
        vindex_search_params_init(&params);
        params.k = o.k;
        check(vindex_create("Flat", o.dim, VINDEX_L2, &flat));
        check(vindex_add(flat, data.rows.data(), o.rows, nullptr));
        check(vindex_search(flat, data.queries.data(), o.queries, &params, data.truth.data(),
                            nullptr));
        vindex_free(flat);
    }
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (o.only >= 0 && size_t(o.only) != i) continue;
        print((std::string("vindex ") + pairs[i][0]).c_str(), o, runVindex(pairs[i][0], o, data));
        print((std::string("faiss ") + pairs[i][1]).c_str(), o, runFaiss(pairs[i][1], o, data));
    }
    return 0;
}
