/* Lists that cannot hold an answer are left out: what is found is what a scan of every decoded row
 * finds, by fewer comparisons. */
#include "cases.h"

enum { COUNT = 600, QUERIES = 40, K = 7 };

/* A flat index of what the rows of another decode to. */
static vindex_index *decoded(const vindex_index *index, size_t dim) {
    float *rows = malloc(COUNT * dim * sizeof *rows);
    int64_t ids[COUNT];
    vindex_index *flat;
    for (int64_t i = 0; i < COUNT; i++) ids[i] = i;
    ck_ok(vindex_reconstruct(index, ids, COUNT, rows));
    ck_ok(vindex_create("Flat", (int64_t)dim, vindex_metric_of(index), &flat));
    ck_ok(vindex_add(flat, rows, COUNT, NULL));
    free(rows);
    return flat;
}

/* Whether both find the same, alone and together; answers the comparisons of the first for each of
 * the second. */
static double compare(const vindex_index *index, const vindex_index *flat, const float *queries,
                      size_t dim, const char *what) {
    int64_t ids[2][QUERIES * K];
    float distances[2][QUERIES * K];
    vindex_search_stats stats = {0};
    vindex_search_params params = probe_params(K, 1, IVF_ALL);
    ck_ok(vindex_search(flat, queries, QUERIES, &params, ids[0], distances[0]));
    params.stats = &stats;
    ck_ok(vindex_search(index, queries, QUERIES, &params, ids[1], distances[1]));
    ck_assert_msg(!memcmp(ids[0], ids[1], sizeof ids[0]), "%s", what);
    ck_assert_msg(!memcmp(distances[0], distances[1], sizeof distances[0]), "%s", what);
    double judged = (double)stats.plain;
    for (size_t q = 0; q < QUERIES; q++) {
        ck_ok(vindex_search(index, queries + q * dim, 1, &params, ids[1], distances[1]));
        ck_assert_msg(!memcmp(ids[0] + q * K, ids[1], K * sizeof *ids[1]), "%s, query %zu", what,
                      q);
    }
    return judged / QUERIES / COUNT;
}

static double check(const char *spec, vindex_metric metric, const vectors *rows, char what[160]) {
    vectors asked = *rows;
    vindex_index *index;
    asked.queries = true;
    asked.count = QUERIES;
    float *numbers = vectors_make(rows), *queries = vectors_make(&asked);
    snprintf(what, 160, "%s, %s, %s, %zu dimensions, seed %llu", spec, vindex_metric_name(metric),
             vectors_name(rows->kind), rows->dim, (unsigned long long)rows->seed);
    ck_ok(vindex_create(spec, (int64_t)rows->dim, metric, &index));
    ck_ok(vindex_train(index, numbers, COUNT, NULL));
    ck_ok(vindex_add(index, numbers, COUNT / 2, NULL));
    ck_ok(vindex_add(index, numbers + COUNT / 2 * rows->dim, COUNT - COUNT / 2, NULL));
    vindex_index *flat = decoded(index, rows->dim);
    double share = compare(index, flat, queries, rows->dim, what);
    vindex_free(flat);
    vindex_free(index);
    free(queries);
    free(numbers);
    return share;
}

START_TEST(answers_are_those_of_all_lists) {
    static const char *const specs[] = {"IVF30,Flat",    "IVF30,SQ8",
                                        "IVF12,RaBitQ2", "IVF12,SQ4,Refine",
                                        "IVF12,PQ2x4",   "IVF12,SQ4,Refine(SQ4v)"};
    static const size_t dims[] = {2, 4, 16};
    char what[160];
    for (size_t s = 0; s < VX_COUNT(specs); s++)
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
            for (int kind = 0; kind < VECTORS_KINDS; kind++)
                for (size_t d = 0; d < VX_COUNT(dims); d++) {
                    vectors rows = {.kind = (vectors_kind)kind,
                                    .dim = dims[d],
                                    .count = COUNT,
                                    .seed = 10 * s + d};
                    check(specs[s], (vindex_metric)metric, &rows, what);
                }
}
END_TEST

/* Tight clusters, whose lists are far from most queries. */
START_TEST(lists_are_left_out_under_every_metric) {
    char what[160];
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = VECTORS_CLUSTERED, .dim = 8, .count = COUNT, .seed = 3};
        double share = check("IVF30,Flat", (vindex_metric)metric, &rows, what);
        ck_assert_msg(share < 0.5, "%s: %.2f of the rows", what, share);
    }
}
END_TEST

TEST_MAIN("ivf/stop", answers_are_those_of_all_lists, lists_are_left_out_under_every_metric)
