/* Searching product codes: the answer is the exact one over the vectors that they decode to. Run
 * once per instruction set. */
#include <math.h>

#include "cases.h"

enum { QUERIES = 14, COUNT = 300 };

static const char *const specs[] = {"PQ4x4",      "PQ8x6",       "PQ4x8", "PQ2",
                                    "PQ16x4",     "PQ1x6",       "PQ1x4", "IVF7,PQ8x4",
                                    "IVF7,PQ4x8", "IVF7,PQ16x6", "PQ16x8"};

/* One query, some, more than a tile; few and many neighbours; one thread and several; a radius. */
static void check(const flat_case *c) {
    static const size_t counts[] = {QUERIES, 3, 1};
    static const int64_t ks[] = {1, 10, 1000};
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    for (size_t i = 0; i < 9; i++) {
        vindex_search_params params = pq_params(ks[i / 3], 1 + (int32_t)i % 4);
        flat_case_search(c, queries, counts[i % 3], rankings, &params, "");
    }
    double key = rankings[0].hits[rankings[0].count / 3].key;
    vindex_search_params params = pq_params(1, 2);
    flat_case_range(c, queries, QUERIES, rankings, &params,
                    (float)(c->metric == VINDEX_L2 ? key : -key));
    rankings_free(rankings, QUERIES);
    free(queries);
}

START_TEST(answers_are_exact_over_what_codes_decode_to) {
    for (size_t i = 0; i < VX_COUNT(specs); i += (size_t)test_stride())
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
            for (int kind = (int)i % 3; kind < VECTORS_KINDS; kind += 3 * test_stride() + 2) {
                vectors rows = {.kind = (vectors_kind)kind,
                                .dim = kind % 2 ? 16 : 48,
                                .count = COUNT,
                                .seed = i + (size_t)kind};
                flat_case c = pq_case_make(specs[i], &rows, (vindex_metric)metric, NULL);
                check(&c);
                flat_case_free(&c);
            }
}
END_TEST

/* Tables without a range, and with one beyond what bytes or single precision can tell. */
START_TEST(extreme_numbers_are_answered) {
    static const vectors_kind kinds[] = {VECTORS_NORMS, VECTORS_CONSTANT, VECTORS_ONE_HOT,
                                         VECTORS_DRIFT};
    static const char *const extreme[] = {"PQ8x4", "PQ2x6", "PQ4x8", "IVF7,PQ8x6"};
    for (size_t i = 0; i < VX_COUNT(extreme); i += (size_t)test_stride())
        for (size_t kind = 0; kind < VX_COUNT(kinds); kind++) {
            vectors rows = {.kind = kinds[kind], .dim = 16, .count = COUNT, .seed = i};
            flat_case c = pq_case_make(extreme[i], &rows, (vindex_metric)(kind % 4), NULL);
            check(&c);
            flat_case_free(&c);
        }
}
END_TEST

/* More rows than a piece, so that threads share one list. */
START_TEST(a_long_list_is_shared) {
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = 16, .count = 36000, .seed = 4};
    rows.count /= (size_t)test_stride();
    for (int bits = 4; bits <= 8; bits += 2 * test_stride()) {
        char spec[16];
        snprintf(spec, sizeof spec, "PQ8x%d", bits);
        flat_case c = pq_case_make(spec, &rows, VINDEX_L2, NULL);
        float *queries = flat_case_queries(&c, 3);
        oracle_ranking *rankings = flat_case_rank(&c, queries, 3, NULL, 0);
        for (int32_t threads = 1; threads <= 4; threads += 3)
            for (size_t count = 1; count <= 3; count += 2) {
                vindex_search_params params = pq_params(50, threads);
                flat_case_search(&c, queries, count, rankings, &params, "");
            }
        rankings_free(rankings, 3);
        free(queries);
        flat_case_free(&c);
    }
}
END_TEST

static bool allowed(void *context, int64_t id) {
    return !((const bool *)context)[id];
}

START_TEST(removed_and_filtered_rows_are_not_answered) {
    for (size_t i = 0; i < VX_COUNT(specs); i += (size_t)test_stride()) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = 16, .count = COUNT, .seed = 7};
        flat_case c = pq_case_make(specs[i], &rows, VINDEX_COSINE, NULL);
        float *queries = flat_case_queries(&c, QUERIES);
        bool hidden[COUNT] = {false};
        int64_t gone[COUNT];
        size_t count = 0;
        for (size_t r = 0; r < COUNT; r += 1 + r % 3) hidden[r] = true, gone[count++] = (int64_t)r;
        c.truth.hidden = hidden;
        vindex_filter filter = {.allow = allowed, .context = hidden};
        vindex_search_params params = pq_params(20, 2);
        oracle_ranking *rankings = flat_case_rank(&c, queries, QUERIES, NULL, 0);
        params.filter = &filter;
        flat_case_search(&c, queries, QUERIES, rankings, &params, "filtered");
        flat_case_search(&c, queries, 1, rankings, &params, "filtered");
        params.filter = NULL;
        ck_ok(vindex_remove(c.index, gone, (int64_t)count, NULL));
        flat_case_search(&c, queries, QUERIES, rankings, &params, "removed");
        ck_ok(vindex_compact(c.index, NULL));
        flat_case_search(&c, queries, QUERIES, rankings, &params, "compacted");
        rankings_free(rankings, QUERIES);
        free(queries);
        flat_case_free(&c);
    }
}
END_TEST

TEST_MAIN_PER_LEVEL("pq/search", answers_are_exact_over_what_codes_decode_to,
                    extreme_numbers_are_answered, a_long_list_is_shared,
                    removed_and_filtered_rows_are_not_answered)
