// Exact search side by side: vindex, Debian's Faiss, hnswlib's brute force and a naive double loop,
// on the same vectors in the same process. Prints milliseconds per query, the share of the memory's
// read bandwidth, and how many ids agree with vindex's.
//
//     bench_compare_flat [--rows N] [--dim D] [--queries Q] [--singles S] [--k K] [--threads T]...
//     [--csv] [--data NAME] [--only ENGINE]... [--as-installed]
//
// An index is built once, by the last number of threads, and asked by each: S queries one after
// the other (nq 1), and Q in one call.
//
// All data is simulated: independent Gaussian numbers (gaussian) or uniform ones (uniform);
// embeddings with the clique structure of Da-TACOS, scaled to length 1 (re-move and bytecover2, as
// vindex simulate makes them); Gaussian numbers whose variance falls as 1/dimension^2 (falling);
// and two sets that codes tell nothing of: one vector with a little noise (near), a single number 1
// and zeros (one-hot). Rows are made block by block for each engine, so that one index is in memory
// at a time; an engine that memory is too short for is passed over with a sentence.
//
// Debian 12's OpenBLAS does not know newer Xeons and falls back to its slowest kernels, which would
// make Faiss look worse than it is; so the program restarts itself with a better OPENBLAS_CORETYPE
// unless told --as-installed.
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
#include <sys/sysinfo.h>
#include <unistd.h>
#include <vector>

#include <omp.h>

#include <faiss/IndexFlat.h>
#include <hnswlib/hnswlib.h>

#include <vindex/eval.h>
#include <vindex/vindex.h>

#include "memory.h"

namespace {

struct Options {
    int64_t rows = 1000000, dim = 128, queries = 1000, singles = 5, k = 10;
    std::vector<int> threads; // that search; the last number builds
    std::string data = "gaussian";
    std::vector<std::string> only; // engines; none: all
    bool asInstalled = false, csv = false;
    std::vector<double> readGbs; // by those threads

    int builders() const { return threads.back(); }
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
        if (word == "--as-installed") {
            o.asInstalled = true;
            continue;
        }
        if (word == "--csv") {
            o.csv = true;
            continue;
        }
        if (word == "--data" && i + 1 < argc) {
            o.data = argv[++i];
            continue;
        }
        if (word == "--only" && i + 1 < argc) {
            o.only.push_back(argv[++i]);
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
        else if (word == "--singles")
            o.singles = value;
        else if (word == "--threads")
            o.threads.push_back(static_cast<int>(value));
        else {
            fprintf(stderr, "bench_compare_flat: unknown word %s\n", word.c_str());
            exit(2);
        }
    }
    if (o.threads.empty()) o.threads.push_back(1);
    return o;
}

struct Answer {
    std::vector<int64_t> ids;
    double best = 1e30; // seconds for all queries
};

// What an engine does once it holds the rows; owns the engine.
using Search = std::function<void(const float *queries, int64_t count, int threads, int64_t *ids)>;

struct Engine {
    const char *name;
    double bytes; // of the stored vectors; GB/s counts them whether an engine reads them all or not
    bool batches; // worth asking many queries at once
    std::function<Search(double &seconds)> build; // adds the seconds that adding took
};

// The best of three runs, which is what the machine does when its neighbours are quiet; of fewer
// where that takes long.
Answer measure(const Options &o, int64_t queries, const std::function<void(int64_t *)> &run) {
    constexpr double Long = 10; // seconds
    Answer answer;
    answer.ids.resize(static_cast<size_t>(queries * o.k));
    double all = 0;
    for (int i = 0; i < 3 && all < Long; i++) {
        double start = bench_clock();
        run(answer.ids.data());
        double seconds = bench_clock() - start;
        answer.best = std::min(answer.best, seconds);
        all += seconds;
    }
    return answer;
}

// What was measured: `queries` in all, `together` in one call.
struct Case {
    const char *name;
    int64_t queries, together;
    size_t threads; // which of the numbers
    double bytes, build;
};

void print(const Options &o, const Case &c, const Answer &answer, const Answer &reference) {
    size_t agree = 0;
    for (size_t i = 0; i < answer.ids.size(); i++) agree += answer.ids[i] == reference.ids[i];
    double perQuery = answer.best / static_cast<double>(c.queries), read = o.readGbs[c.threads];
    double gbs = c.together == 1 ? c.bytes / perQuery / 1e9 : 0;
    double gflops = 2e-9 * static_cast<double>(o.rows) * static_cast<double>(o.dim) / perQuery;
    double agreement = static_cast<double>(agree) / static_cast<double>(answer.ids.size());
    int threads = o.threads[c.threads];
    if (o.csv)
        printf("\"%s\",%s,%lld,%lld,%lld,%lld,%d,%.4f,%.2f,%.2f,%.1f,%.3f,%d,%.0f,%.4f\n", c.name,
               o.data.c_str(), static_cast<long long>(o.rows), static_cast<long long>(o.dim),
               static_cast<long long>(c.together), static_cast<long long>(o.k), threads,
               perQuery * 1e3, gbs, read, gflops, c.build, o.builders(), c.bytes, agreement);
    else
        printf("%-22s %7d %5lld %10.3f %9.1f %7.0f%% %9.1f %8.2f %8.1f %8.4f\n", c.name, threads,
               static_cast<long long>(c.together), perQuery * 1e3, gbs, 100 * gbs / read, gflops,
               c.build, c.bytes / 1e6, agreement);
    fflush(stdout);
}

[[noreturn]] void die() {
    fprintf(stderr, "bench_compare_flat: %s\n", vindex_last_error());
    exit(1);
}

constexpr int64_t Block = 1 << 16; // rows that are made at a time

// Rows 0, 1, ... of the data asked for, the same whoever asks; queries are those behind the last.
class Data {
  public:
    explicit Data(const Options &options) : o(options) {
        bool reMove = o.data == "re-move";
        for (const char *name : {"gaussian", "uniform", "falling", "near", "one-hot"})
            if (o.data == name) return;
        if (!reMove && o.data != "bytecover2") {
            fprintf(stderr, "bench_compare_flat: --data %s is not known\n", o.data.c_str());
            exit(2);
        }
        vindex_simulate_params params;
        vindex_simulate_params_init(&params);
        params.model = reMove ? VINDEX_SIMULATED_RE_MOVE : VINDEX_SIMULATED_BYTECOVER2;
        params.dim = o.dim;
        params.scale =
            static_cast<double>(firstQuery() + std::max(o.queries, o.singles)) / 15000 + 0.01;
        vindex_simulator *made;
        if (vindex_simulator_create(&params, nullptr, 0, &made)) die();
        simulator = {made, vindex_simulator_free};
    }

    // Queries begin a block of their own.
    int64_t firstQuery() const { return (o.rows + Block - 1) / Block * Block; }

    // count rows, all of one block
    void make(int64_t first, int64_t count, float *rows) const {
        if (simulator) {
            if (vindex_simulator_read(simulator.get(), first, count, 0, rows)) die();
            for (int64_t i = 0; i < count; i++) scale(rows + i * o.dim);
            return;
        }
        constexpr int64_t Band = 1024; // rows that a thread makes at a time
        const int all = omp_get_num_procs();
#pragma omp parallel for num_threads(all)
        for (int64_t band = 0; band < (count + Band - 1) / Band; band++) {
            std::mt19937_64 random(static_cast<uint64_t>(first + band * Band));
            for (int64_t i = band * Band; i < std::min(count, (band + 1) * Band); i++)
                makeRow(random, rows + i * o.dim);
        }
    }

    // Hands the first `count` rows over, block by block.
    void each(int64_t first, int64_t count,
              const std::function<void(int64_t, int64_t, const float *)> &take) const {
        std::vector<float> rows(static_cast<size_t>(std::min(count, Block) * o.dim));
        for (int64_t at = 0; at < count; at += Block) {
            int64_t some = std::min(Block, count - at);
            make(first + at, some, rows.data());
            take(at, some, rows.data());
        }
    }

    std::vector<float> all(int64_t first, int64_t count) const {
        std::vector<float> rows(static_cast<size_t>(count * o.dim));
        each(first, count, [&](int64_t at, int64_t some, const float *made) {
            std::copy(made, made + some * o.dim, rows.begin() + at * o.dim);
        });
        return rows;
    }

  private:
    void makeRow(std::mt19937_64 &random, float *row) const {
        std::normal_distribution<float> normal;
        std::uniform_real_distribution<float> uniform;
        const bool falling = o.data == "falling", near = o.data == "near";
        const int64_t hot = static_cast<int64_t>(random() % static_cast<uint64_t>(o.dim));
        const float sign = random() % 2 ? 1.0f : -1.0f;
        for (int64_t j = 0; j < o.dim; j++)
            if (o.data == "uniform")
                row[j] = uniform(random);
            else if (o.data == "one-hot")
                row[j] = j == hot;
            else if (near)
                row[j] = sign * std::cos(float(j)) + 1e-6f * normal(random);
            else
                row[j] = normal(random) / (falling ? float(j + 1) : 1.0f);
    }

    void scale(float *row) const {
        double square = 0;
        for (int64_t j = 0; j < o.dim; j++) square += double(row[j]) * double(row[j]);
        for (int64_t j = 0; j < o.dim; j++) row[j] = float(double(row[j]) / std::sqrt(square));
    }

    Options o;
    std::shared_ptr<vindex_simulator> simulator;
};

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

Search buildVindex(const Options &o, const char *spec, const Data &data, double &seconds) {
    vindex_index *created;
    if (vindex_create(spec, o.dim, VINDEX_L2, &created)) die();
    std::shared_ptr<vindex_index> index(created, vindex_free);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = o.builders();
    data.each(0, o.rows, [&](int64_t, int64_t count, const float *rows) {
        double start = bench_clock();
        if (vindex_add(index.get(), rows, count, &call)) die();
        seconds += bench_clock() - start;
    });
    return [o, index](const float *queries, int64_t count, int threads, int64_t *ids) {
        vindex_search_params params;
        vindex_search_params_init(&params);
        params.k = o.k;
        params.threads = threads;
        if (vindex_search(index.get(), queries, count, &params, ids, nullptr)) die();
    };
}

Search buildFaiss(const Options &o, const Data &data, double &seconds) {
    auto index = std::make_shared<faiss::IndexFlatL2>(o.dim);
    index->codes.reserve(static_cast<size_t>(o.rows * o.dim) * sizeof(float));
    data.each(0, o.rows, [&](int64_t, int64_t count, const float *rows) {
        double start = bench_clock();
        index->add(count, rows);
        seconds += bench_clock() - start;
    });
    auto distances = std::make_shared<std::vector<float>>(static_cast<size_t>(o.queries * o.k));
    return [o, index, distances](const float *queries, int64_t count, int threads, int64_t *ids) {
        omp_set_num_threads(threads);
        index->search(count, queries, o.k, distances->data(), ids);
    };
}

Search buildHnswlib(const Options &o, const Data &data, double &seconds) {
    auto space = std::make_shared<hnswlib::L2Space>(static_cast<size_t>(o.dim));
    auto index = std::make_shared<hnswlib::BruteforceSearch<float>>(space.get(),
                                                                    static_cast<size_t>(o.rows));
    data.each(0, o.rows, [&](int64_t first, int64_t count, const float *rows) {
        double start = bench_clock();
        for (int64_t i = 0; i < count; i++)
            index->addPoint(rows + i * o.dim, static_cast<size_t>(first + i));
        seconds += bench_clock() - start;
    });
    return [o, space, index](const float *queries, int64_t count, int, int64_t *ids) {
        for (int64_t q = 0; q < count; q++) {
            auto found = index->searchKnn(queries + q * o.dim, static_cast<size_t>(o.k));
            for (size_t i = found.size(); i-- > 0; found.pop())
                ids[q * o.k + static_cast<int64_t>(i)] = static_cast<int64_t>(found.top().second);
        }
    };
}

void printHead(const Options &o) {
    FILE *out = o.csv ? stderr : stdout;
    fprintf(out,
            "vindex %s (%s), Faiss %d.%d.%d, OpenBLAS core %s; %lld x %lld float32 (%s, "
            "simulated), squared L2, k = %lld, built by %d thread(s), best of 3\n",
            vindex_version(), vindex_simd_level(), FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR,
            FAISS_VERSION_PATCH, blasCore(), static_cast<long long>(o.rows),
            static_cast<long long>(o.dim), o.data.c_str(), static_cast<long long>(o.k),
            o.builders());
    for (size_t t = 0; t < o.threads.size(); t++)
        fprintf(out, "%d thread(s) read %.1f GB/s of memory\n", o.threads[t], o.readGbs[t]);
    if (o.csv)
        printf("engine,data,rows,dim,queries,k,threads,ms_per_query,gb_per_second,read_gb_per_"
               "second,gflop_per_second,build_seconds,build_threads,bytes,agreement\n");
    else
        printf("\n%-22s %7s %5s %10s %9s %8s %9s %8s %8s %8s\n", "engine", "threads", "nq",
               "ms/query", "GB/s", "of read", "GFLOP/s", "build s", "MB", "agree");
}

// One query after the other, or all in one call, by each number of threads.
void measureEngine(const Options &o, const Engine &engine, const Search &search, double build,
                   const float *queries, Answer exact[2]) {
    for (size_t t = 0; t < o.threads.size(); t++)
        for (int many = 0; many < 1 + (engine.batches && o.queries > 1); many++) {
            if (t && !engine.batches) continue; // an engine without threads
            const int threads = o.threads[t];
            int64_t count = many ? o.queries : o.singles, together = many ? o.queries : 1;
            Answer answer = measure(o, count, [&](int64_t *ids) {
                for (int64_t q = 0; q < count; q += together)
                    search(queries + q * o.dim, together, threads, ids + q * o.k);
            });
            if (exact[many].ids.empty()) exact[many] = answer;
            print(o, {engine.name, count, together, t, engine.bytes, build}, answer, exact[many]);
        }
}

} // namespace

int main(int argc, char **argv) {
    Options o = parse(argc, argv);
    if (!o.asInstalled) restartWithBetterBlas(argv);
    for (int threads : o.threads) o.readGbs.push_back(bench_read_gbs(size_t{512} << 20, threads));
    omp_set_num_threads(o.builders());
    printHead(o);
    const Data data(o);
    const std::vector<float> queries = data.all(data.firstQuery(), std::max(o.queries, o.singles));
    const double bytes = static_cast<double>(o.rows * o.dim) * 4;
    const auto ours = [&](const char *spec) {
        return [&, spec](double &seconds) { return buildVindex(o, spec, data, seconds); };
    };
    const Engine engines[] = {
        {"vindex Flat", bytes, true, ours("Flat")},
        {"vindex Flat,Certified", bytes, true, ours("Flat,Certified")},
        {"vindex Flat,f16", bytes / 2, true, ours("Flat,f16")},
        {"vindex Flat,bf16", bytes / 2, true, ours("Flat,bf16")},
        {"Faiss IndexFlatL2", bytes, true,
         [&](double &seconds) { return buildFaiss(o, data, seconds); }},
        {"hnswlib brute force", bytes, false,
         [&](double &seconds) { return buildHnswlib(o, data, seconds); }},
        {"naive double loop", bytes, false,
         [&](double &) -> Search {
             auto rows = std::make_shared<std::vector<float>>(data.all(0, o.rows));
             return [&, rows](const float *query, int64_t, int, int64_t *ids) {
                 naive(o, rows->data(), query, ids);
             };
         }},
    };
    Answer exact[2]; // the first engine's, for one query and for all
    for (const Engine &engine : engines) {
        if (!o.only.empty() && std::count(o.only.begin(), o.only.end(), engine.name) == 0) continue;
        struct sysinfo system;
        double need = engine.bytes * 1.35 + 1e9;
        if (!sysinfo(&system) && need > double(system.totalram) * system.mem_unit * 0.95) {
            fprintf(stderr, "%s: passed over, it may need %.1f GB of memory\n", engine.name,
                    need / 1e9);
            continue;
        }
        double build = 0;
        Search search = engine.build(build); // one engine at a time: its memory goes with it
        measureEngine(o, engine, search, build, queries.data(), exact);
    }
    return 0;
}
