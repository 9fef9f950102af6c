// Recall against speed side by side: indexes of vindex, of Debian's Faiss and of hnswlib, on the
// same simulated vectors in the same process, one index in memory at a time.
//
//     bench_compare_recall [--rows N] [--dim D] [--queries Q] [--k K] [--threads T]
//     [--build-threads T] [--data clustered|sift-like] [--one-by-one] [--as-installed]
//     ENGINE:SPEC...
//
// ENGINE:SPEC is vindex: or faiss: and a factory string, as in vindex:IVF4096,Flat or
// faiss:IVF4096,PQ64x4fs,RFlat; or hnswlib:M,efConstruction. The truth is vindex's exact search.
// Each index is measured over a ladder of what its search can be told (nprobe, ef, candidates to
// rerank), until nearly all neighbours are found. Prints CSV: a line per measurement, and lines
// whose settings are "at 0.90" for the speed at a recall, interpolated. Queries are asked all in
// one call (hnswlib: one by one), the best of three runs; with --one-by-one each index is measured
// again with a call per query, one after the other, which is what a service does that cannot wait
// for others to share a list with. The column `calls` says which it was.
//
// Faiss and the vindex that uses OpenBLAS to learn are given OpenBLAS's fast kernels: see
// compare_flat.cpp.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <omp.h>

#include <faiss/AutoTune.h>
#include <faiss/IndexFlat.h>
#include <faiss/impl/io.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <hnswlib/hnswlib.h>

#include <vindex/fields.h>
#include <vindex/vindex.h>

#include "curve.h"
#include "memory.h"
#include "simulated.h"

namespace {

struct Options {
    int64_t rows = 1000000, dim = 128, queries = 1000, k = 10;
    int threads = 1, buildThreads = 0;
    std::string data = "clustered";
    bool asInstalled = false, oneByOne = false;
    std::vector<std::string> specs;
};

[[noreturn]] void die(const std::string &sentence, int code = 1) {
    fprintf(stderr, "bench_compare_recall: %s\n", sentence.c_str());
    exit(code);
}

void check(vindex_status status) {
    if (status) die(vindex_last_error());
}

Options parse(int argc, char **argv) {
    Options o;
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        if (word.find(':') != std::string::npos) {
            o.specs.push_back(word);
        } else if (word == "--as-installed") {
            o.asInstalled = true;
        } else if (word == "--one-by-one") {
            o.oneByOne = true;
        } else if (word == "--data" && i + 1 < argc) {
            o.data = argv[++i];
        } else {
            int64_t value = i + 1 < argc ? atoll(argv[++i]) : 0;
            if (value < 1) die(word + " wants a number of 1 or more", 2);
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
            else if (word == "--build-threads")
                o.buildThreads = static_cast<int>(value);
            else
                die("unknown word " + word, 2);
        }
    }
    if (!o.buildThreads) o.buildThreads = o.threads;
    if (!bench_simulated_known(o.data.c_str()))
        die("--data " + o.data + ": known are " + bench_simulated_names, 2);
    if (o.specs.empty()) die("name what to compare, as in vindex:IVF1024,Flat", 2);
    return o;
}

void restartWithBetterBlas(char **argv) {
    auto name = reinterpret_cast<char *(*)()>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
    if (getenv("OPENBLAS_CORETYPE") || !name || std::string(name()) != "Prescott") return;
    setenv("OPENBLAS_CORETYPE", __builtin_cpu_supports("avx512f") ? "SkylakeX" : "Haswell", 1);
    execv("/proc/self/exe", argv);
}

struct Data {
    std::vector<float> rows, queries;
    std::vector<int64_t> truth;
};

// A parameter of a search and the values to try.
struct Knob {
    std::string name;
    std::vector<int64_t> values;
};

// An index that was built; owns it.
struct Built {
    double train = 0, add = 0, bytes = 0;
    std::vector<Knob>
        knobs; // every choice of all but the first is tried with rising values of that
    std::function<void(const std::string &name, int64_t value)> set;
    // Asks `count` queries from `first` on in one call; ids: those of that call.
    std::function<void(int64_t first, int64_t count, int64_t *ids)> search;
};

std::vector<int64_t> ladder(int64_t from, int64_t to) {
    std::vector<int64_t> values;
    for (int64_t value = from; value < to; value *= 2) {
        values.push_back(value);
        if (value > 1 && value * 3 / 2 < to) values.push_back(value * 3 / 2);
    }
    values.push_back(to);
    return values;
}

// The number behind a word of a factory string; 0 where it has no such word.
int64_t numberBehind(const std::string &spec, const std::string &word) {
    size_t at = spec.find(word);
    return at == std::string::npos ? 0 : atoll(spec.c_str() + at + word.size());
}

double since(double start) {
    return bench_clock() - start;
}

Built buildVindex(const Options &o, const Data &data, const std::string &spec) {
    vindex_index *created;
    check(vindex_create(spec.c_str(), o.dim, VINDEX_L2, &created));
    std::shared_ptr<vindex_index> index(created, vindex_free);
    Built built;
    vindex_call call;
    vindex_call_init(&call);
    call.threads = o.buildThreads;
    double start = bench_clock();
    if (!vindex_is_trained(index.get()))
        check(vindex_train(index.get(), data.rows.data(), o.rows, &call));
    built.train = since(start);
    start = bench_clock();
    check(vindex_add(index.get(), data.rows.data(), o.rows, &call));
    if (numberBehind(spec, "HNSW")) check(vindex_reorder(index.get(), &call));
    built.add = since(start);
    built.bytes = static_cast<double>(vindex_memory(index.get()));
    if (int64_t lists = numberBehind(spec, "IVF"))
        built.knobs.push_back({"nprobe", ladder(1, lists)});
    else if (numberBehind(spec, "HNSW"))
        built.knobs.push_back({"ef", ladder(o.k, 2048)});
    if (spec.find("Refine") != std::string::npos && spec.rfind("HNSW", 0) != 0)
        built.knobs.push_back({"rerank", {0, 1, 2, 4, 8, 16, 32}});
    auto params = std::make_shared<vindex_search_params>();
    vindex_search_params_init(params.get());
    params->k = o.k;
    params->threads = o.threads;
    built.set = [params](const std::string &name, int64_t value) {
        check(vindex_fields_set(vindex_search_fields(), params.get(), name.c_str(),
                                std::to_string(value).c_str()));
    };
    built.search = [&o, &data, index, params](int64_t first, int64_t count, int64_t *ids) {
        const float *queries = data.queries.data() + first * o.dim;
        check(vindex_search(index.get(), queries, count, params.get(), ids, nullptr));
    };
    return built;
}

// Takes what an index writes for its size.
struct Counter : faiss::IOWriter {
    double bytes = 0;
    size_t operator()(const void *, size_t size, size_t count) override {
        bytes += static_cast<double>(size * count);
        return count;
    }
};

Built buildFaiss(const Options &o, const Data &data, const std::string &spec) {
    std::shared_ptr<faiss::Index> index(
        faiss::index_factory(static_cast<int>(o.dim), spec.c_str(), faiss::METRIC_L2));
    Built built;
    omp_set_num_threads(o.buildThreads);
    double start = bench_clock();
    if (!index->is_trained) index->train(o.rows, data.rows.data());
    built.train = since(start);
    start = bench_clock();
    index->add(o.rows, data.rows.data());
    built.add = since(start);
    Counter counter;
    faiss::write_index(index.get(), &counter);
    built.bytes = counter.bytes;
    if (int64_t lists = numberBehind(spec, "IVF"))
        built.knobs.push_back({"nprobe", ladder(1, lists)});
    if (numberBehind(spec, "HNSW")) built.knobs.push_back({"efSearch", ladder(o.k, 2048)});
    if (spec.find("RFlat") != std::string::npos || spec.find("Refine") != std::string::npos)
        built.knobs.push_back({"k_factor_rf", {1, 2, 4, 8, 16, 32}});
    if (spec.find('+') != std::string::npos) // IVFPQR, as in "IVF1024,PQ16+16"
        built.knobs.push_back({"k_factor", {1, 2, 4, 8, 16, 32}});
    built.set = [index](const std::string &name, int64_t value) {
        faiss::ParameterSpace().set_index_parameter(index.get(), name, static_cast<double>(value));
    };
    auto distances = std::make_shared<std::vector<float>>(static_cast<size_t>(o.queries * o.k));
    built.search = [&o, &data, index, distances](int64_t first, int64_t count, int64_t *ids) {
        omp_set_num_threads(o.threads);
        index->search(count, data.queries.data() + first * o.dim, o.k, distances->data(), ids);
    };
    return built;
}

Built buildHnswlib(const Options &o, const Data &data, const std::string &spec) {
    size_t m = static_cast<size_t>(atoll(spec.c_str()));
    size_t comma = spec.find(',');
    size_t construction =
        comma == std::string::npos ? 200 : static_cast<size_t>(atoll(spec.c_str() + comma + 1));
    if (m < 2 || construction < 1) die("hnswlib:" + spec + ": give M,efConstruction", 2);
    auto space = std::make_shared<hnswlib::L2Space>(static_cast<size_t>(o.dim));
    auto index = std::make_shared<hnswlib::HierarchicalNSW<float>>(
        space.get(), static_cast<size_t>(o.rows), m, construction);
    Built built;
    double start = bench_clock();
    index->addPoint(data.rows.data(), 0);
#pragma omp parallel for num_threads(o.buildThreads) schedule(dynamic, 64)
    for (int64_t i = 1; i < o.rows; i++)
        index->addPoint(data.rows.data() + i * o.dim, static_cast<size_t>(i));
    built.add = since(start);
    built.bytes = static_cast<double>(o.rows) * static_cast<double>(index->size_data_per_element_);
    for (int level : index->element_levels_)
        built.bytes += level * static_cast<double>(index->size_links_per_element_);
    built.knobs.push_back({"ef", ladder(o.k, 2048)});
    built.set = [index](const std::string &, int64_t value) {
        index->setEf(static_cast<size_t>(value));
    };
    built.search = [&o, &data, space, index](int64_t first, int64_t count, int64_t *ids) {
        const float *queries = data.queries.data() + first * o.dim;
#pragma omp parallel for num_threads(o.threads) schedule(dynamic, 8)
        for (int64_t q = 0; q < count; q++) {
            auto found = index->searchKnn(queries + q * o.dim, static_cast<size_t>(o.k));
            for (size_t i = found.size(); i-- > 0; found.pop())
                ids[q * o.k + static_cast<int64_t>(i)] = static_cast<int64_t>(found.top().second);
        }
    };
    return built;
}

// One index and its lines.
class Curve {
  public:
    Curve(const Options &options, const Data &d, const std::string &word)
        : o(options), data(d), engine(word.substr(0, word.find(':'))),
          spec(word.substr(word.find(':') + 1)) {
        built = engine == "vindex"    ? buildVindex(o, data, spec)
                : engine == "faiss"   ? buildFaiss(o, data, spec)
                : engine == "hnswlib" ? buildHnswlib(o, data, spec)
                                      : (die("engine " + engine + " is not known", 2), Built());
    }

    void run() {
        measureCurve(o.queries);
        if (o.oneByOne) measureCurve(1);
    }

  private:
    // With calls of so many queries.
    void measureCurve(int64_t queries) {
        together = queries;
        points.clear();
        choose(built.knobs.size(), "");
        for (double level : bench_levels) {
            char name[16];
            snprintf(name, sizeof name, "at %.2f", level);
            print(name, {level, bench_qps_at(points.data(), points.size(), level)});
        }
    }

    // Every value of knob number `left` - 1 and those before it.
    void choose(size_t left, const std::string &settings) {
        if (left == 0) {
            measure(settings);
            return;
        }
        const Knob &knob = built.knobs[left - 1];
        for (int64_t value : knob.values) {
            built.set(knob.name, value);
            choose(left - 1, knob.name + "=" + std::to_string(value) +
                                 (settings.empty() ? "" : " ") + settings);
            if (left == 1 && saturated()) break;
        }
    }

    // Nearly all is found, or a doubled effort found no more.
    bool saturated() const {
        size_t n = points.size();
        return points.back().recall > 0.997 ||
               (n > 2 && points[n - 1].qps < points[n - 3].qps && points[n - 3].recall > 0.5 &&
                points[n - 1].recall < points[n - 3].recall + 0.0002);
    }

    void measure(const std::string &settings) {
        std::vector<int64_t> found(static_cast<size_t>(o.queries * o.k));
        double best = INFINITY, begun = bench_clock();
        for (int i = 0; i < 3 && since(begun) < 10; i++) { // what takes long is measured once
            double start = bench_clock();
            for (int64_t first = 0; first < o.queries; first += together)
                built.search(first, together, found.data() + first * o.k);
            best = std::min(best, since(start));
        }
        points.push_back({bench_recall(data.truth.data(), found.data(), o.queries, o.k),
                          static_cast<double>(o.queries) / best});
        print(settings, points.back());
    }

    void print(const std::string &settings, const bench_point &point) const {
        printf("%s,\"%s\",%s,%lld,%lld,%lld,%lld,%d,%d,\"%s\",%.5f,%.1f,%.2f,%.2f,%.0f,"
               "%s\n",
               engine.c_str(), spec.c_str(), o.data.c_str(), static_cast<long long>(o.rows),
               static_cast<long long>(o.dim), static_cast<long long>(o.queries),
               static_cast<long long>(o.k), o.threads, o.buildThreads, settings.c_str(),
               point.recall, std::isnan(point.qps) ? 0 : point.qps, built.train, built.add,
               built.bytes, together == 1 ? "one by one" : "together");
        fflush(stdout);
    }

    const Options &o;
    const Data &data;
    std::string engine, spec;
    Built built;
    int64_t together = 0;
    std::vector<bench_point> points;
};

Data makeData(const Options &o) {
    Data data;
    data.rows.resize(static_cast<size_t>(o.rows * o.dim));
    data.queries.resize(static_cast<size_t>(o.queries * o.dim));
    data.truth.resize(static_cast<size_t>(o.queries * o.k));
    if (!bench_simulate(o.data.c_str(), 0, o.rows, o.dim, 1, 0, data.rows.data()) ||
        !bench_simulate(o.data.c_str(), o.rows, o.queries, o.dim, 1, 0, data.queries.data()))
        die("no memory to simulate the vectors");
    vindex_index *flat;
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = o.k;
    check(vindex_create("Flat", o.dim, VINDEX_L2, &flat));
    check(vindex_add(flat, data.rows.data(), o.rows, nullptr));
    check(vindex_search(flat, data.queries.data(), o.queries, &params, data.truth.data(), nullptr));
    vindex_free(flat);
    return data;
}

} // namespace

int main(int argc, char **argv) {
    Options o = parse(argc, argv);
    if (!o.asInstalled) restartWithBetterBlas(argv);
    const Data data = makeData(o);
    fprintf(stderr, "vindex %s (%s), Faiss %d.%d.%d; %s vectors are simulated\n", vindex_version(),
            vindex_simd_level(), FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR, FAISS_VERSION_PATCH,
            o.data.c_str());
    printf("engine,spec,data,rows,dim,queries,k,threads,build_threads,settings,recall,qps,"
           "train_seconds,add_seconds,bytes,calls\n");
    for (const std::string &spec : o.specs) Curve(o, data, spec).run();
    return 0;
}
