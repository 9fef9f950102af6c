/* No search of any index answers what it may not: every kind of index, with every way to store
 * vectors, under every metric and every kind of filter, from one that lets nothing pass to one that
 * stops a single id; for one query and for many, for the k best and within a radius, before and
 * after rows were removed and the index was compacted. What an index calls exact, or one that was
 * told to look everywhere, finds all that may be answered, too. Public interface alone. */
#include <string.h>

#include <vindex/vindex.h>

#include "../harness.h"
#include "../vectors.h"

enum { COUNT = 270, DIM = 8, QUERIES = 11, STEP = 3, ALL = 1 << 20, SPEC = 64 };

/* Ids are STEP apart, so that those between are not there. */
enum { IDS = COUNT * STEP };

typedef struct filter_case {
    const char *spec;
    vindex_metric metric;
    vindex_index *index;
    float *queries;
    bool gone[IDS], allowed[IDS];
    uint64_t bits[IDS / 64 + 1];
    const char *stage, *filter;
} filter_case;

static bool allow(void *context, int64_t id) {
    return ((const filter_case *)context)->allowed[id];
}

static int64_t allowed_count(const filter_case *c) {
    int64_t count = 0;
    for (size_t id = 0; id < IDS; id += STEP) count += c->allowed[id] && !c->gone[id];
    return count;
}

/* That id may be answered, and is not answered twice. */
static void check_id(const filter_case *c, int64_t id, bool *seen) {
    ck_each(id >= 0 && id < IDS && id % STEP == 0, "%s, %s, %s, %s: id %lld is not there", c->spec,
            vindex_metric_name(c->metric), c->stage, c->filter, (long long)id);
    ck_each(!c->gone[id], "%s, %s, %s, %s: id %lld was removed", c->spec,
            vindex_metric_name(c->metric), c->stage, c->filter, (long long)id);
    ck_each(c->allowed[id], "%s, %s, %s, %s: id %lld is forbidden", c->spec,
            vindex_metric_name(c->metric), c->stage, c->filter, (long long)id);
    ck_each(!seen[id], "%s, %s, %s, %s: id %lld twice", c->spec, vindex_metric_name(c->metric),
            c->stage, c->filter, (long long)id);
    seen[id] = true;
}

static void search(const filter_case *c, int64_t queries, const vindex_search_params *params) {
    int64_t k = params->k, least = params->nprobe == ALL ? allowed_count(c) : 0;
    int64_t *ids = malloc((size_t)(queries * k) * sizeof *ids);
    ck_ok(vindex_search(c->index, c->queries, queries, params, ids, NULL));
    for (int64_t q = 0; q < queries; q++) {
        bool seen[IDS] = {false};
        int64_t found = 0;
        for (; found < k && ids[q * k + found] != -1; found++)
            check_id(c, ids[q * k + found], seen);
        for (int64_t i = found; i < k; i++) ck_assert_int_eq(ids[q * k + i], -1);
        if (least > k) least = k;
        ck_each(found >= least, "%s, %s, %s, %s: %d of %d found", c->spec,
                vindex_metric_name(c->metric), c->stage, c->filter, (int)found, (int)least);
    }
    free(ids);
}

static void search_range(const filter_case *c, const vindex_search_params *params) {
    vindex_range_result result;
    float radius = c->metric == VINDEX_L2 ? 8 : 0;
    if (!(vindex_capabilities(c->index) & VINDEX_CAN_RANGE)) return;
    ck_ok(vindex_range_search(c->index, c->queries, 3, radius, params, &result));
    for (int64_t q = 0; q < 3; q++) {
        bool seen[IDS] = {false};
        for (int64_t i = result.offsets[q]; i < result.offsets[q + 1]; i++)
            check_id(c, result.ids[i], seen);
    }
    vindex_range_result_free(&result);
}

/* As a set of bits, and as a call. */
static void search_filtered(filter_case *c) {
    static const int64_t ks[] = {1, 9, COUNT + 5};
    memset(c->bits, 0, sizeof c->bits);
    for (size_t id = 0; id < IDS; id++)
        if (c->allowed[id]) c->bits[id / 64] |= (uint64_t)1 << id % 64;
    const vindex_filter filters[] = {{.bits = c->bits, .bit_count = IDS},
                                     {.allow = allow, .context = c}};
    for (size_t f = 0; f < 2; f++)
        for (size_t i = 0; i < 3; i++) {
            vindex_search_params params;
            vindex_search_params_init(&params);
            params.k = ks[i];
            params.threads = i == 2 ? 2 : 1;
            params.filter = &filters[f];
            params.rerank = (int64_t)i;
            params.ef = i == 1 ? ALL : 0;
            params.nprobe = i == 1 ? ALL : 2;
            search(c, QUERIES, &params);
            search(c, 1, &params);
            search_range(c, &params);
        }
}

/* Every `step`-th share. */
static void search_all_ways(filter_case *c, size_t step) {
    static const struct {
        const char *name;
        size_t every, but; /* lets pass one id in so many, or all but one in so many */
    } shares[] = {{"one in 3", 3, 0}, {"none", 0, 0},           {"one alone", COUNT, 0},
                  {"few", 60, 0},     {"all but a few", 1, 40}, {"all but one", 1, COUNT},
                  {"all", 1, 0}};
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s += step) {
        c->filter = shares[s].name;
        for (size_t row = 0; row < COUNT; row++) {
            bool passes = shares[s].every && row % shares[s].every == 1 % shares[s].every;
            if (shares[s].but && row % shares[s].but == 2) passes = false;
            memset(c->allowed + row * STEP, passes, STEP);
        }
        search_filtered(c);
    }
}

static void check(const char *spec, vindex_metric metric) {
    static filter_case c;
    int64_t ids[COUNT], gone[COUNT], gone_count = 0;
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 9};
    vectors asked = {
        .kind = VECTORS_CLUSTERED, .dim = DIM, .count = QUERIES, .seed = 9, .queries = true};
    float *numbers = vectors_make(&rows);
    c = (filter_case){.spec = spec, .metric = metric, .queries = vectors_make(&asked)};
    for (int64_t i = 0; i < COUNT; i++) ids[i] = (i * 79 + 5) % COUNT * STEP;
    ck_ok(vindex_create(spec, DIM, metric, &c.index));
    ck_ok(vindex_train(c.index, numbers, COUNT, NULL));
    ck_ok(vindex_add_with_ids(c.index, numbers, COUNT, ids, NULL));
    c.stage = "filled";
    search_all_ways(&c, 1);
    for (int64_t i = 0; i < COUNT; i += 4) {
        gone[gone_count++] = ids[i];
        c.gone[ids[i]] = true;
    }
    ck_ok(vindex_remove(c.index, gone, gone_count, NULL));
    c.stage = "rows removed";
    search_all_ways(&c, 3);
    ck_ok(vindex_compact(c.index, NULL));
    c.stage = "compacted";
    search_all_ways(&c, 3);
    vindex_free(c.index);
    free(c.queries);
    free(numbers);
}

static const char *const codecs[] = {"Flat",    "Flat,f16", "Flat,bf16", "SQ8",     "SQ6",
                                     "SQ4",     "SQ8v",     "SQ6v",      "SQ4v",    "RaBitQ1",
                                     "RaBitQ2", "RaBitQ3",  "PQ4x4",     "RaBitQ4", "RaBitQ5",
                                     "RaBitQ6", "RaBitQ7",  "RaBitQ8",   "PQ2x6",   "PQ4x8"};
static const char *const finer[] = {"", ",Refine", ",Refine(f16)", NULL};
static const char *const seconds[] = {",Refine(SQ8)", ",Refine(RaBitQ4)", ",Refine(PQ4x4)",
                                      ",Refine(SQ4v)", ",Refine(PQ2x6)"};

/* Every codec behind that walker, as it is and before every finer form, of which codes take turns;
 * so do the metrics, two at a time. */
static void check_walker(const char *walker) {
    bool alone = !*walker, graph = !strncmp(walker, "HNSW", 4);
    int turn = 0;
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        for (size_t f = 0; f < sizeof finer / sizeof *finer; f++) {
            char spec[SPEC];
            bool stored = !strncmp(codecs[i], "Flat", 4);
            const char *codec = codecs[i], *form = finer[f];
            if (!form) form = seconds[i % (sizeof seconds / sizeof *seconds)];
            if (stored && (f || alone)) continue;
            if (stored && graph) codec += strlen("Flat"); /* "HNSW8" and "HNSW8,f16" */
            if (*codec == ',') codec++;
            snprintf(spec, sizeof spec, "%s%s%s%s", walker, alone || !*codec ? "" : ",", codec,
                     form);
            for (int metric = turn++ % 2; metric <= VINDEX_PEARSON; metric += 2 * test_stride())
                check(spec, (vindex_metric)metric);
        }
}

START_TEST(flat) {
    static const char *const specs[] = {"Flat",
                                        "Flat,f16",
                                        "Flat,bf16",
                                        "Flat,Certified",
                                        "Flat,Certified4",
                                        "Flat,Certified8",
                                        "Flat,CertifiedPCA4"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
            check(specs[i], (vindex_metric)metric);
}
END_TEST

START_TEST(codes_alone) {
    check_walker("");
}
END_TEST

START_TEST(lists) {
    check_walker("IVF7");
}
END_TEST

START_TEST(lists_that_a_graph_finds) {
    check_walker("IVF12_HNSW3");
}
END_TEST

START_TEST(graphs) {
    check_walker("HNSW6");
}
END_TEST

START_TEST(behind_projections) {
    static const char *const specs[] = {
        "PCA6,Flat",         "PCA6,IVF5,SQ8,Refine",  "OPQ4,IVF5,PQ4x4",
        "OPQ4,PQ4x4,Refine", "PCA8,HNSW6,SQ8,Refine", "OPQ4,IVF5,PQ4x4,Refine(PQ4x4)",
        "Rank,Flat"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (int metric = VINDEX_L2; metric <= VINDEX_COSINE; metric++)
            check(specs[i], (vindex_metric)metric);
}
END_TEST

TEST_MAIN("core/filters", flat, codes_alone, lists, lists_that_a_graph_finds, graphs,
          behind_projections)
