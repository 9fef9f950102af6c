// Graphs side by side: vindex HNSW, Debian's hnswlib and Faiss HNSW, with the same M and
// efConstruction over the same vectors in the same process, one graph in memory at a time. For each
// engine: seconds to build, bytes per vector, then per ef the recall@k against exact search and the
// queries per second of one thread (best of three); last, queries per second at the recalls asked
// for, read off the curve.
//
//     bench_compare_hnsw [--rows N] [--dim D] [--queries Q] [--k K] [--m M] [--ef-construction E]
//     [--threads T] [--spec SPEC]... [--only-vindex] [--csv]
//
// The vectors are simulated: Gaussian clusters (a thousand points each on average) whose variance
// falls as dimension^-0.7, which is hard for graphs: the intrinsic dimension stays high. --threads
// is for building.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <malloc.h>
#include <memory>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <omp.h>

#include <faiss/IndexHNSW.h>
#include <hnswlib/hnswlib.h>

#include <vindex/vindex.h>

#include "memory.h"

namespace {

struct Options {
    int64_t rows = 200000, dim = 128, queries = 1000, k = 10, m = 16, efConstruction = 200;
    int threads = 2;
    bool onlyVindex = false, csv = false;
    std::vector<std::string> specs;
};

[[noreturn]] void die(const char *what) {
    fprintf(stderr, "bench_compare_hnsw: %s\n", what);
    exit(1);
}

Options parse(int argc, char **argv) {
    Options o;
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        if (word == "--csv") {
            o.csv = true;
            continue;
        }
        if (word == "--only-vindex") {
            o.onlyVindex = true;
            continue;
        }
        if (word == "--spec" && i + 1 < argc) {
            o.specs.push_back(argv[++i]);
            continue;
        }
        int64_t value = i + 1 < argc ? atoll(argv[++i]) : 0;
        if (value < 1) die((word + " wants a number of 1 or more").c_str());
        if (word == "--rows")
            o.rows = value;
        else if (word == "--dim")
            o.dim = value;
        else if (word == "--queries")
            o.queries = value;
        else if (word == "--k")
            o.k = value;
        else if (word == "--m")
            o.m = value;
        else if (word == "--ef-construction")
            o.efConstruction = value;
        else if (word == "--threads")
            o.threads = static_cast<int>(value);
        else
            die(("unknown word " + word).c_str());
    }
    if (o.specs.empty()) o.specs.push_back("HNSW" + std::to_string(o.m));
    return o;
}

// Simulated vectors; queries are drawn as the rows are.
std::vector<float> simulate(const Options &o, int64_t count, uint64_t seed) {
    const int64_t clusters = std::max<int64_t>(o.rows / 1000, 1);
    std::vector<float> centres(static_cast<size_t>(clusters * o.dim)),
        spread(static_cast<size_t>(o.dim)), rows(static_cast<size_t>(count * o.dim));
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    for (int64_t j = 0; j < o.dim; j++) spread[j] = std::pow(float(j + 1), -0.35f);
    for (int64_t i = 0; i < clusters * o.dim; i++) centres[i] = normal(random) * spread[i % o.dim];
    random.seed(seed);
    for (int64_t i = 0; i < count; i++) {
        const float *centre = &centres[(random() % clusters) * o.dim];
        for (int64_t j = 0; j < o.dim; j++)
            rows[i * o.dim + j] = centre[j] + 0.8f * normal(random) * spread[j];
    }
    return rows;
}

// Searches with that ef for all queries, one thread.
using Search = std::function<void(int64_t ef, int64_t *ids)>;

struct Engine {
    std::string name;
    std::function<Search()> build;
};

struct Point {
    double recall, rate;
};

// Queries per second at that recall, between two measured points; NaN outside of them.
double rateAt(const std::vector<Point> &curve, double recall) {
    for (size_t i = 1; i < curve.size(); i++) {
        const Point &a = curve[i - 1], &b = curve[i];
        if (a.recall > recall || b.recall < recall || a.recall == b.recall) continue;
        const double share = (recall - a.recall) / (b.recall - a.recall);
        return std::exp(std::log(a.rate) * (1 - share) + std::log(b.rate) * share);
    }
    return NAN;
}

double residentBytes() {
    long pages = 0, resident = 0;
    malloc_trim(0);
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    if (file) fclose(file);
    return double(resident) * double(sysconf(_SC_PAGESIZE));
}

void measure(const Options &o, const Engine &engine, const std::vector<int64_t> &truth) {
    const double before = residentBytes();
    const double start = bench_clock();
    const Search search = engine.build();
    const double seconds = bench_clock() - start;
    const double bytes = (residentBytes() - before) / double(o.rows);
    std::vector<int64_t> ids(truth.size());
    std::vector<Point> curve;
    if (!o.csv)
        printf("%s: built in %.1f s, %.0f bytes per vector\n", engine.name.c_str(), seconds, bytes);
    for (int64_t ef : {10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024}) {
        if (ef < o.k) continue;
        double best = 1e30;
        for (int i = 0; i < 3; i++) {
            const double began = bench_clock();
            search(ef, ids.data());
            best = std::min(best, bench_clock() - began);
        }
        size_t hits = 0;
        for (int64_t q = 0; q < o.queries; q++)
            for (int64_t i = 0; i < o.k; i++)
                hits += std::find(&truth[q * o.k], &truth[q * o.k] + o.k, ids[q * o.k + i]) !=
                        &truth[q * o.k] + o.k;
        curve.push_back({double(hits) / double(truth.size()), double(o.queries) / best});
        if (o.csv)
            printf("\"%s\",%lld,%lld,%lld,%lld,%lld,%d,%.2f,%.0f,%lld,%.4f,%.1f\n",
                   engine.name.c_str(), (long long)o.rows, (long long)o.dim, (long long)o.k,
                   (long long)o.m, (long long)o.efConstruction, o.threads, seconds, bytes,
                   (long long)ef, curve.back().recall, curve.back().rate);
        else
            printf("    ef %5lld  recall %.4f  %9.0f queries/s\n", (long long)ef,
                   curve.back().recall, curve.back().rate);
        fflush(stdout);
        if (curve.back().recall > 0.995) break;
    }
    if (!o.csv)
        printf("    at recall .95: %.0f queries/s, at .99: %.0f\n\n", rateAt(curve, 0.95),
               rateAt(curve, 0.99));
    fflush(stdout);
}

Search buildVindex(const Options &o, const std::string &spec, const float *rows,
                   const float *queries) {
    vindex_index *created;
    vindex_hnsw_params params;
    vindex_hnsw_params_init(&params);
    const char *codec = strchr(spec.c_str(), ',');
    params.dim = o.dim;
    params.m = o.m;
    params.ef_construction = o.efConstruction;
    params.codec = codec ? codec + 1 : nullptr;
    if (vindex_hnsw_create(&params, &created)) die(vindex_last_error());
    std::shared_ptr<vindex_index> index(created, vindex_free);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = o.threads;
    if (vindex_train(created, rows, std::min<int64_t>(o.rows, 65536), &call) ||
        vindex_add(created, rows, o.rows, &call))
        die(vindex_last_error());
    return [=](int64_t ef, int64_t *ids) {
        vindex_search_params search;
        vindex_search_params_init(&search);
        search.k = o.k;
        search.ef = ef;
        search.threads = 1;
        if (vindex_search(index.get(), queries, o.queries, &search, ids, nullptr))
            die(vindex_last_error());
    };
}

Search buildHnswlib(const Options &o, const float *rows, const float *queries) {
    auto space = std::make_shared<hnswlib::L2Space>(o.dim);
    auto index = std::make_shared<hnswlib::HierarchicalNSW<float>>(space.get(), o.rows, o.m,
                                                                   o.efConstruction);
#pragma omp parallel for schedule(dynamic, 64) num_threads(o.threads)
    for (int64_t i = 0; i < o.rows; i++) index->addPoint(rows + i * o.dim, i);
    return [=](int64_t ef, int64_t *ids) {
        (void)space;
        index->setEf(ef);
        for (int64_t q = 0; q < o.queries; q++) {
            auto found = index->searchKnn(queries + q * o.dim, o.k);
            for (size_t i = found.size(); i-- > 0; found.pop())
                ids[q * o.k + i] = int64_t(found.top().second);
        }
    };
}

Search buildFaiss(const Options &o, const float *rows, const float *queries) {
    auto index = std::make_shared<faiss::IndexHNSWFlat>(o.dim, o.m);
    omp_set_num_threads(o.threads);
    index->hnsw.efConstruction = o.efConstruction;
    index->add(o.rows, rows);
    return [=](int64_t ef, int64_t *ids) {
        std::vector<float> distances(o.queries * o.k);
        omp_set_num_threads(1);
        index->hnsw.efSearch = ef;
        index->search(o.queries, queries, o.k, distances.data(), ids);
    };
}

std::vector<int64_t> exact(const Options &o, const float *rows, const float *queries) {
    vindex_index *flat;
    vindex_search_params params;
    std::vector<int64_t> ids(o.queries * o.k);
    vindex_search_params_init(&params);
    params.k = o.k;
    if (vindex_create("Flat", o.dim, VINDEX_L2, &flat) || vindex_add(flat, rows, o.rows, nullptr) ||
        vindex_search(flat, queries, o.queries, &params, ids.data(), nullptr))
        die(vindex_last_error());
    vindex_free(flat);
    return ids;
}

} // namespace

int main(int argc, char **argv) {
    const Options o = parse(argc, argv);
    const std::vector<float> rows = simulate(o, o.rows, 2), queries = simulate(o, o.queries, 3);
    const std::vector<int64_t> truth = exact(o, rows.data(), queries.data());
    fprintf(o.csv ? stderr : stdout,
            "vindex %s (%s), Faiss %d.%d.%d; %lld x %lld float32 (simulated clusters), squared L2, "
            "k = %lld, M = %lld, efConstruction = %lld; built by %d thread(s), searched by one\n\n",
            vindex_version(), vindex_simd_level(), FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR,
            FAISS_VERSION_PATCH, (long long)o.rows, (long long)o.dim, (long long)o.k,
            (long long)o.m, (long long)o.efConstruction, o.threads);
    if (o.csv)
        printf("engine,rows,dim,k,m,ef_construction,threads,build_seconds,bytes,ef,recall,qps\n");
    std::vector<Engine> engines;
    for (const std::string &spec : o.specs)
        engines.push_back({"vindex " + spec, [&o, &rows, &queries, spec] {
                               return buildVindex(o, spec, rows.data(), queries.data());
                           }});
    if (!o.onlyVindex) {
        engines.push_back(
            {"hnswlib", [&] { return buildHnswlib(o, rows.data(), queries.data()); }});
        engines.push_back(
            {"Faiss HNSW", [&] { return buildFaiss(o, rows.data(), queries.data()); }});
    }
    for (const Engine &engine : engines) measure(o, engine, truth);
    return 0;
}
