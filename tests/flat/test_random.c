/* Searches over random sets of every kind, against the oracle. Run once per instruction set. The
 * seed of the first case comes from VINDEX_TEST_SEED; each message names the seed of its own. */
#include <stdlib.h>

#include "cases.h"

static const size_t dims[] = {1, 2, 3, 15, 16, 17, 31, 33, 64, 127, 128, 129, 257, 513};
static const size_t row_counts[] = {0, 1, 5, 63, 64, 65, 300, 2000};
static const size_t query_counts[] = {1, 3, 5, 13, 100};

static uint64_t first_seed(void) {
    const char *given = getenv("VINDEX_TEST_SEED");
    return given ? strtoull(given, NULL, 10) : 1;
}

/* Every batch size up to queries, every k, one thread or three. */
static void check_searches(const flat_case *c, size_t queries) {
    int64_t n = (int64_t)c->rows.count, ks[] = {1, 10, n - 1, n, n + 5, 1000};
    float *numbers = flat_case_queries(c, queries);
    oracle_ranking *rankings = flat_case_rank(c, numbers, queries, NULL, 0);
    for (size_t b = 0; b < sizeof query_counts / sizeof *query_counts; b++)
        for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
            if (query_counts[b] > queries || ks[i] < 1) continue;
            int32_t threads = (b + i + c->rows.seed) % 2 ? 1 : 3;
            vindex_search_params params = search_params(ks[i], threads);
            flat_case_search(c, numbers, query_counts[b], rankings, &params, "");
        }
    rankings_free(rankings, queries);
    free(numbers);
}

static void check_set(const vectors *rows, vindex_metric metric, size_t queries) {
    flat_case c = flat_case_make(rows, metric, NULL);
    check_searches(&c, queries);
    flat_case_free(&c);
}

/* Each kind of data under each metric and storage type, over the dimensions in turn. */
START_TEST(random_sets_are_searched_exactly) {
    uint64_t seed = first_seed();
    size_t turn = 0;
    printf("the first seed is %llu\n", (unsigned long long)seed);
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int dtype = VINDEX_F32; dtype <= VINDEX_BF16; dtype++)
            for (int kind = 0; kind < VECTORS_KINDS; kind++)
                for (int round = 0; round < 2; round++, turn++) {
                    vectors rows = {.kind = (vectors_kind)kind,
                                    .dtype = (vindex_dtype)dtype,
                                    .dim = dims[turn * 5 % 14],
                                    .count = row_counts[turn * 3 % 8],
                                    .seed = seed + turn};
                    size_t queries = rows.count * rows.dim <= 1 << 14 ? 100 : 13;
                    check_set(&rows, (vindex_metric)metric, queries);
                }
}
END_TEST

/* 16,384 dimensions make blocks of 128 rows (256 of half width): these sets lie in several. */
START_TEST(sets_of_several_blocks_are_searched_exactly) {
    static const vectors_kind kinds[] = {VECTORS_NORMAL, VECTORS_TIED, VECTORS_OFFSET,
                                         VECTORS_CANCEL};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = kinds[metric], .dim = 16384, .count = 140, .seed = first_seed()};
        check_set(&rows, (vindex_metric)metric, 5);
        if (metric % 2) continue;
        rows.dtype = metric ? VINDEX_BF16 : VINDEX_F16;
        rows.count = 280;
        check_set(&rows, (vindex_metric)metric, 5);
    }
}
END_TEST

/* Thousands of rows that tie at the k-th place, over several spans and blocks. */
START_TEST(ties_go_to_the_smaller_id) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = VECTORS_TIED, .dim = 300, .count = 4000, .seed = first_seed()};
        check_set(&rows, (vindex_metric)metric, 5);
        rows.kind = VECTORS_ONE_HOT;
        rows.dim = 3;
        rows.count = 9000;
        check_set(&rows, (vindex_metric)metric, 5);
    }
}
END_TEST

TEST_MAIN("flat/random", random_sets_are_searched_exactly,
          sets_of_several_blocks_are_searched_exactly, ties_go_to_the_smaller_id)
