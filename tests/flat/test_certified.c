/* An index with certified codes answers what a double loop does: not one id may differ. Run once
 * per instruction set. The seed of the first case comes from VINDEX_TEST_SEED; each message names
 * the seed of its own. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "cases.h"
#include "core/rng.h"

static const size_t dims[] = {1, 2, 3, 5, 8, 16, 33, 64, 100, 128, 129, 200, 256, 257};

static uint64_t first_seed(void) {
    const char *given = getenv("VINDEX_TEST_SEED");
    return given ? strtoull(given, NULL, 10) : 1;
}

/* Queries and what they should find. */
typedef struct asked {
    size_t count;
    float *numbers;
    oracle_ranking *rankings;
} asked;

static asked ask(const flat_case *c, size_t count) {
    float *numbers = flat_case_queries(c, count);
    return (asked){count, numbers, flat_case_rank(c, numbers, count, NULL, 0)};
}

static void asked_free(asked *a) {
    rankings_free(a->rankings, a->count);
    free(a->numbers);
}

/* One query, a few, a batch; every k; one thread or three. */
static void check_answers(const flat_case *c, const asked *a, const char *what) {
    int64_t n = (int64_t)c->truth.count, ks[] = {1, 10, 1000, n - 1, n + 5};
    size_t queries = a->count, batches[] = {1, 4, 5, queries};
    float *numbers = a->numbers;
    oracle_ranking *rankings = a->rankings;
    for (size_t b = 0; b < 4; b++)
        for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
            if (ks[i] < 1 || (b + i + c->rows.seed) % 2) continue; /* the next set has the others */
            vindex_search_params params = search_params(ks[i], (b + i) % 2 ? 1 : 3);
            flat_case_search(c, numbers, batches[b], rankings, &params, what);
        }
    for (size_t q = 0; q < queries && rankings[q].count; q += 7) {
        const oracle_hit *hit =
            &rankings[q].hits[rankings[q].count > 20 ? 20 : rankings[q].count - 1];
        float radius = (float)(c->metric == VINDEX_L2 ? hit->key : -hit->key);
        vindex_search_params params = search_params(1, q % 2 ? 1 : 3);
        flat_case_range(c, numbers, queries, rankings, &params, radius);
        flat_case_range(c, numbers, 1, rankings, &params, radius);
    }
}

static void check_set(const vectors *rows, vindex_metric metric, size_t queries) {
    flat_case c = certified_case_make(rows, metric, NULL);
    asked a = ask(&c, queries);
    check_answers(&c, &a, "");
    asked_free(&a);
    flat_case_free(&c);
}

/* Each kind of data under each metric and storage type, over the dimensions in turn. */
START_TEST(random_sets_are_searched_exactly) {
    uint64_t seed = first_seed();
    size_t turn = 0;
    printf("the first seed is %llu\n", (unsigned long long)seed);
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int dtype = VINDEX_F32; dtype <= VINDEX_BF16; dtype++)
            for (int kind = 0; kind < VECTORS_KINDS; kind++, turn++) {
                if (turn % (size_t)test_stride()) continue;
                vectors rows = {.kind = (vectors_kind)kind,
                                .dtype = (vindex_dtype)dtype,
                                .dim = dims[turn * 5 % 14],
                                .count = 1100 + turn % 37,
                                .seed = seed + turn};
                check_set(&rows, (vindex_metric)metric, 17);
            }
}
END_TEST

/* Few rows, so that the last group and the last tile are everything between empty and full. */
START_TEST(every_number_of_rows_is_searched_exactly) {
    uint64_t seed = first_seed();
    for (size_t count = 0; count <= 100; count += (size_t)test_stride()) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = 20, .count = count, .seed = seed + count};
        check_set(&rows, (vindex_metric)(count % 4), 9);
    }
    for (size_t count = 290; count <= 340; count += (size_t)test_stride()) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = 9, .count = count, .seed = seed + count};
        check_set(&rows, (vindex_metric)(count % 4), 9);
    }
}
END_TEST

/* Kinds of data, metrics and coders in turn. */
START_TEST(every_dimension_is_searched_exactly) {
    uint64_t seed = first_seed();
    for (size_t dim = 1; dim <= 257; dim += (size_t)test_stride()) {
        vectors rows = {.kind = (vectors_kind)(dim % VECTORS_KINDS),
                        .dim = dim,
                        .count = 250 + dim % 50,
                        .seed = seed + dim};
        check_set(&rows, (vindex_metric)(dim / 3 % 4), 7);
    }
}
END_TEST

START_TEST(sets_of_several_blocks_are_searched_exactly) {
    static const vectors_kind kinds[] = {VECTORS_NORMAL, VECTORS_TIED, VECTORS_CLUSTERED,
                                         VECTORS_NORMAL};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric += test_stride()) {
        vectors rows = {.kind = kinds[metric],
                        .dim = 16000,
                        .count = 300,
                        .seed = first_seed() + (uint64_t)metric};
        check_set(&rows, (vindex_metric)metric, 7);
    }
}
END_TEST

/* Thousands of rows that tie at the k-th place. */
START_TEST(ties_go_to_the_smaller_id) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric += test_stride()) {
        vectors rows = {.kind = VECTORS_TIED,
                        .dim = 40,
                        .count = 9000,
                        .seed = first_seed() + (uint64_t)metric};
        check_set(&rows, (vindex_metric)metric, 7);
        rows.kind = VECTORS_ONE_HOT;
        check_set(&rows, (vindex_metric)metric, 7);
    }
}
END_TEST

static bool allow_some(void *context, int64_t id) {
    return id % 7 == *(const int *)context;
}

START_TEST(filters_and_weights_are_answered_exactly) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        enum { QUERIES = 9 };
        vectors rows = {.kind = VECTORS_NORMAL,
                        .dim = 48,
                        .count = 2000,
                        .seed = first_seed() + (uint64_t)metric};
        flat_case c = certified_case_make(&rows, (vindex_metric)metric, NULL);
        float *queries = flat_case_queries(&c, QUERIES), weights[48];
        for (size_t j = 0; j < 48; j++) weights[j] = (float)(j % 5);
        oracle_ranking *weighed = flat_case_rank(&c, queries, QUERIES, weights, 1);
        vindex_search_params params = search_params(10, 1);
        params.weights = weights;
        params.weight_rows = 1;
        flat_case_search(&c, queries, QUERIES, weighed, &params, "weights");
        flat_case_search(&c, queries, 1, weighed, &params, "weights");
        rankings_free(weighed, QUERIES);
        int rest = 3;
        bool *hidden = calloc(rows.count, sizeof *hidden);
        for (size_t i = 0; i < rows.count; i++) hidden[i] = !allow_some(&rest, (int64_t)i);
        c.truth.hidden = hidden;
        vindex_filter filter = {.allow = allow_some, .context = &rest};
        oracle_ranking *rankings = flat_case_rank(&c, queries, QUERIES, NULL, 0);
        for (int64_t k = 1; k <= 1000; k *= 10) {
            params = search_params(k, 3);
            params.filter = &filter;
            flat_case_search(&c, queries, QUERIES, rankings, &params, "filter");
            flat_case_search(&c, queries, 1, rankings, &params, "filter");
        }
        rankings_free(rankings, QUERIES);
        flat_case_free(&c);
        free(hidden);
        free(queries);
    }
}
END_TEST

/* Saves the index, loads it in that way, and puts it in the place of the one before. */
static void reload(flat_case *c, const asked *a, uint32_t flags, const char *what) {
    char path[] = "/tmp/vindex-certified-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
    ck_ok(vindex_save(c->index, path, NULL));
    vindex_free(c->index);
    ck_ok(vindex_load(path, flags, &c->index));
    ck_ok(vindex_verify(c->index, NULL));
    unlink(path);
    check_answers(c, a, what);
}

/* Removes some rows, compacts, brings them back: in memory, loaded, mapped. */
static void check_life(const vectors *rows, vindex_metric metric) {
    flat_case c = certified_case_make(rows, metric, NULL);
    bool *hidden = calloc(rows->count, sizeof *hidden);
    vx_rng rng = vx_rng_seed(5, rows->seed);
    int64_t removed;
    asked all = ask(&c, 9);
    reload(&c, &all, 0, "loaded");
    reload(&c, &all, VINDEX_LOAD_MAP, "mapped");
    for (int64_t id = 0; id < (int64_t)rows->count; id++) {
        hidden[id] = vx_rng_below(&rng, 3) == 0;
        if (hidden[id]) ck_ok(vindex_remove(c.index, &id, 1, &removed));
    }
    c.truth.hidden = hidden;
    asked some = ask(&c, 9);
    check_answers(&c, &some, "after remove");
    ck_ok(vindex_compact(c.index, NULL));
    check_answers(&c, &some, "after compact");
    reload(&c, &some, VINDEX_LOAD_MAP, "compacted and mapped");
    for (int64_t id = 0; id < (int64_t)rows->count; id++) {
        if (!hidden[id]) continue;
        ck_ok(vindex_add_with_ids(c.index, c.numbers + (size_t)id * rows->dim, 1, &id, NULL));
        hidden[id] = false;
    }
    check_answers(&c, &all, "after adding again");
    reload(&c, &all, 0, "and loaded");
    asked_free(&all);
    asked_free(&some);
    flat_case_free(&c);
    free(hidden);
}

START_TEST(codes_follow_their_rows) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = VECTORS_NORMAL,
                        .dtype = (vindex_dtype)(metric % 3),
                        .dim = 24,
                        .count = 1201,
                        .seed = first_seed() + (uint64_t)metric};
        check_life(&rows, (vindex_metric)metric);
    }
    vectors blocks = {.kind = VECTORS_NORMAL, .dim = 16384, .count = 261, .seed = first_seed()};
    check_life(&blocks, VINDEX_COSINE);
}
END_TEST

/* The mean that codes are made of is that of the first rows; all others lie far away from them. */
START_TEST(rows_far_from_those_learnt_from_are_searched_exactly) {
    enum { DIM = 40, COUNT = 1500, LEARNT = 300, QUERIES = 7 };
    static const char *const kinds[] = {"Flat,Certified4", "Flat,Certified8", "Flat,CertifiedPCA9"};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (size_t kind = 0; kind < 3; kind++) {
            vectors rows = {.kind = VECTORS_OFFSET,
                            .dim = DIM,
                            .count = COUNT,
                            .seed = first_seed() + (uint64_t)metric};
            vectors first = {.kind = VECTORS_NORMAL, .dim = DIM, .count = LEARNT};
            float *learnt = vectors_make(&first);
            vindex_index *index;
            ck_ok(vindex_create(kinds[kind], DIM, (vindex_metric)metric, &index));
            ck_ok(vindex_train(index, learnt, LEARNT, NULL));
            flat_case c = flat_case_fill(index, &rows, (vindex_metric)metric, NULL);
            asked a = ask(&c, QUERIES);
            check_answers(&c, &a, kinds[kind]);
            asked_free(&a);
            flat_case_free(&c);
            free(learnt);
        }
}
END_TEST

START_TEST(memory_is_as_estimated) {
    static const char *const specs[] = {"Flat,Certified4", "Flat,Certified8",
                                        "Flat,CertifiedPCA16"};
    static const int64_t dim_list[] = {16, 128, 1024}, counts[] = {0, 64, 200, 5000};
    for (size_t turn = 0; turn < 36; turn++) {
        int64_t dim = dim_list[turn % 3], count = counts[turn / 3 % 4];
        const char *spec = specs[turn / 12];
        if (dim == 1024 && turn / 12 == 2) continue; /* too long to learn for a test */
        vindex_index *index;
        size_t estimate, plain;
        vectors rows = {.dim = (size_t)dim, .count = (size_t)count};
        float *numbers = vectors_make(&rows);
        ck_ok(vindex_create(spec, dim, VINDEX_L2, &index));
        ck_ok(vindex_add(index, numbers, count, NULL));
        ck_ok(vindex_memory_estimate(spec, dim, count, &estimate));
        ck_ok(vindex_memory_estimate("Flat", dim, count, &plain));
        double ratio = (double)estimate / ((double)vindex_memory(index) + 1);
        ck_assert_msg(ratio > 0.9 && ratio < 1.1, "%s, %lld x %lld: %zu bytes, not %zu", spec,
                      (long long)count, (long long)dim, vindex_memory(index), estimate);
        if (dim >= 128 && count == 5000) ck_assert_uint_le((estimate - plain) * 10, plain * 3);
        vindex_free(index);
        free(numbers);
    }
}
END_TEST

/* Three tenths of the vectors at most, whichever kind of codes is chosen, but for vectors so short
 * that the filter's numbers weigh more than codes. */
START_TEST(codes_take_little_memory) {
    static const int64_t dim_list[] = {24, 32, 64, 100, 128, 256, 512, 1000, 1536, 16000};
    for (size_t d = 0; d < sizeof dim_list / sizeof *dim_list; d++) {
        int64_t dim = dim_list[d], count = 1000000;
        size_t estimate;
        ck_ok(vindex_memory_estimate("Flat,Certified", dim, count, &estimate));
        double share = (double)estimate / ((double)count * (double)dim * sizeof(float)) - 1;
        ck_assert_msg(share <= 0.3, "%lld dimensions: %.3f", (long long)dim, share);
    }
}
END_TEST

static vindex_search_stats stats_of(const flat_case *c, size_t queries,
                                    vindex_search_params params) {
    vindex_search_stats stats;
    float *numbers = flat_case_queries(c, queries);
    params.stats = &stats;
    ck_ok(vindex_search(c->index, numbers, (int64_t)queries, &params, NULL, NULL));
    free(numbers);
    return stats;
}

/* Every pair is judged once, by codes or without; codes rule out most where the data is random, and
 * the guard goes without where they cannot. */
START_TEST(statistics_say_what_was_done) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric += test_stride())
        for (size_t queries = 1; queries <= 20; queries += 19) {
            vectors rows = {.kind = VECTORS_NORMAL, .dim = 64, .count = 20000, .seed = 1};
            flat_case c = certified_case_make(&rows, (vindex_metric)metric, NULL);
            vindex_search_params params = search_params(1, 1 + 2 * (metric % 2));
            int64_t pairs = (int64_t)(rows.count * queries), row_bytes = 64 * sizeof(float);
            vindex_search_stats stats = stats_of(&c, queries, params);
            ck_assert_int_eq(stats.coded + stats.plain, pairs);
            ck_assert_int_gt(stats.coded, 0);
            ck_assert_int_lt(stats.survivors, stats.coded / 5);
            if (queries == 1) ck_assert_int_gt(stats.coded, pairs / 2);
            ck_assert_int_lt(stats.settled, pairs / 10);
            ck_assert_int_ge(stats.settled, (int64_t)queries);
            if (queries == 1) ck_assert_int_lt(stats.bytes, pairs * row_bytes);
            float weights[64] = {1};
            params.weights = weights;
            params.weight_rows = 1;
            stats = stats_of(&c, queries, params);
            ck_assert_int_eq(stats.coded, 0);
            ck_assert_int_eq(stats.plain, pairs);
            ck_assert_int_eq(stats.settled, pairs);
            if (queries == 1) ck_assert_int_eq(stats.bytes, pairs * row_bytes);
            stats = stats_of(&c, 0, params);
            ck_assert_int_eq(stats.plain, 0);
            flat_case_free(&c);
        }
    /* Four bits leave more open than neighbours are apart, and everything passes: the guard must
     * notice. */
    for (size_t queries = 1; queries <= 20; queries += 19) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = 4096, .count = 3000, .seed = 1};
        flat_case c = certified_case_make(&rows, VINDEX_L2, NULL);
        vindex_search_stats stats = stats_of(&c, queries, search_params(1, 1));
        ck_assert_int_eq(stats.coded + stats.plain, (int64_t)(rows.count * queries));
        ck_assert_int_gt(stats.plain, (int64_t)(rows.count * queries / 3));
        flat_case_free(&c);
    }
}
END_TEST

/* Each further stage of the cascade sees less. */
START_TEST(stages_see_less_and_less) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        vectors rows = {.kind = VECTORS_CLUSTERED, .dim = 96, .count = 6000, .seed = seed};
        flat_case c = certified_case_make(&rows, VINDEX_COSINE, NULL);
        for (size_t queries = 1; queries <= 20; queries += 19) {
            vindex_search_stats stats = stats_of(&c, queries, search_params(10, 2));
            ck_assert_int_le(stats.survivors, stats.coded);
            ck_assert_int_le(stats.vectors, stats.survivors);
            if (seed % 4 != 2) ck_assert_int_eq(stats.vectors, stats.survivors);
        }
        flat_case_free(&c);
    }
}
END_TEST

/* Learnt once there is enough to learn from, by hand before the first add, and not later. */
START_TEST(codes_are_learnt_when_there_is_enough) {
    vectors set = {.kind = VECTORS_NORMAL, .dim = 24, .count = 3000, .seed = 4};
    float *numbers = vectors_make(&set);
    vindex_index *index;
    vindex_flat_coding coding;
    ck_ok(vindex_create("Flat,Certified", 24, VINDEX_L2, &index));
    ck_ok(vindex_flat_coding_of(index, &coding));
    ck_assert_int_eq(coding.dims, 0);
    ck_ok(vindex_add(index, numbers, 1000, NULL));
    ck_ok(vindex_flat_coding_of(index, &coding));
    ck_assert_int_eq(coding.dims, 0);
    ck_ok(vindex_add(index, numbers, 2000, NULL));
    ck_ok(vindex_flat_coding_of(index, &coding));
    ck_assert_int_gt(coding.dims, 0);
    ck_assert(coding.forecast > 0 && coding.forecast < 2 * coding.vector_bytes);
    ck_fails(VINDEX_ERR_STATE, "learnt already", vindex_train(index, numbers, 2000, NULL));
    vindex_free(index);
    ck_ok(vindex_create("Flat,CertifiedPCA8", 24, VINDEX_L2, &index));
    for (int again = 0; again < 2; again++) ck_ok(vindex_train(index, numbers, 2000, NULL));
    ck_ok(vindex_flat_coding_of(index, &coding));
    ck_assert_int_eq(coding.dims, 8);
    ck_assert_str_eq(coding.rotation, "pca");
    ck_assert_int_eq(coding.planes, 1);
    vindex_free(index);
    ck_fails(VINDEX_ERR_ARGUMENT, "at most",
             vindex_create("Flat,CertifiedPCA25", 24, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "Certified5",
             vindex_create("Flat,Certified5", 24, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "2048",
             vindex_create("Flat,CertifiedPCA8", 4096, VINDEX_L2, &index));
    free(numbers);
}
END_TEST

TEST_MAIN_PER_LEVEL("flat/certified", random_sets_are_searched_exactly,
                    every_number_of_rows_is_searched_exactly, every_dimension_is_searched_exactly,
                    codes_take_little_memory, sets_of_several_blocks_are_searched_exactly,
                    ties_go_to_the_smaller_id, filters_and_weights_are_answered_exactly,
                    codes_follow_their_rows, rows_far_from_those_learnt_from_are_searched_exactly,
                    memory_is_as_estimated, statistics_say_what_was_done, stages_see_less_and_less,
                    codes_are_learnt_when_there_is_enough)
