/* The k best of few rows for many queries against a full sort, for all that the engine takes:
 * blocks, ids, removed rows, filters, and every kind of vector. Run once per instruction set. */
#include "exact/nearest.h"

#include "../harness.h"
#include "../oracle.h"
#include "../vectors.h"

enum { ROWS = 96, QUERIES = 29, BLOCK_ROWS = 40, K = 5 };

typedef struct answers {
    vindex_metric metric;
    int64_t ids[QUERIES * K];
    float distances[QUERIES * K];
} answers;

static void keep(void *context, size_t query, const vx_hit *hits, size_t count) {
    answers *to = context;
    bool distance = to->metric == VINDEX_L2;
    for (size_t i = 0; i < K; i++) {
        to->ids[query * K + i] = i < count ? hits[i].id : -1;
        double key = i < count ? hits[i].key : (double)INFINITY;
        to->distances[query * K + i] = (float)(distance ? key : 0 - key);
    }
}

static void compare(const oracle *truth, const float *queries, const answers *given,
                    const char *what) {
    for (size_t q = 0; q < QUERIES; q++) {
        oracle_ranking ranking = oracle_rank(truth, queries + q * truth->dim, NULL);
        oracle_answer answer = {given->ids + q * K, given->distances + q * K, K};
        oracle_check(truth, &ranking, &answer, what);
        oracle_ranking_free(&ranking);
    }
}

static bool even(void *context, int64_t id) {
    (void)context;
    return id % 2 == 0;
}

/* Rows in blocks, stored as the set says. */
typedef struct stored {
    char *data;
    float *aux;
    vx_block blocks[(ROWS + BLOCK_ROWS - 1) / BLOCK_ROWS];
    size_t count;
} stored;

static stored store(const vx_space *space, const float *numbers) {
    size_t stride = vx_space_stride(space);
    stored s = {.data = malloc(ROWS * stride), .aux = malloc(ROWS * sizeof(float))};
    vx_kernels_get()->narrow[space->dtype](numbers, ROWS * space->dim, s.data);
    vx_aux_fill(space, vx_kernels_get(), s.data, ROWS, s.aux);
    for (size_t first = 0; first < ROWS; first += BLOCK_ROWS)
        s.blocks[s.count++] = (vx_block){.data = s.data + first * stride,
                                         .aux = s.aux + first,
                                         .count = VX_MIN((size_t)BLOCK_ROWS, ROWS - first)};
    return s;
}

static void check_set(vectors *set, vindex_metric metric, int variant) {
    char what[200];
    vx_space space = {.metric = metric, .dtype = set->dtype, .dim = set->dim};
    float *numbers = vectors_make(set);
    stored rows = store(&space, numbers);
    set->queries = true;
    set->count = QUERIES;
    float *queries = vectors_make(set);
    vx_ids ids;
    int64_t given[ROWS], gone[] = {7, 1000, 21};
    bool hidden[ROWS] = {false};
    vx_ids_init(&ids);
    for (size_t i = 0; i < ROWS; i++) given[i] = (int64_t)(i * 37 % ROWS); /* a permutation */
    ck_ok(vx_ids_append(&ids, given, ROWS));
    size_t removed;
    ck_ok(vx_ids_remove(&ids, gone, 3, &removed));
    vindex_filter filter = {.allow = even};
    bool changed = variant % 2;
    for (size_t i = 0; i < ROWS && changed; i++)
        hidden[i] = given[i] % 2 || given[i] == 7 || given[i] == 21;
    vx_search_job job = {.space = space,
                         .blocks = rows.blocks,
                         .block_count = rows.count,
                         .block_rows = BLOCK_ROWS,
                         .ids = changed ? &ids : NULL,
                         .filter = changed ? &filter : NULL,
                         .queries = queries,
                         .query_count = QUERIES,
                         .threads = 1 + variant % 3};
    answers found = {.metric = metric};
    ck_ok(vx_nearest(&job, K, keep, &found));
    oracle truth = {.metric = metric,
                    .dim = set->dim,
                    .count = ROWS,
                    .rows = numbers,
                    .ids = changed ? given : NULL,
                    .hidden = hidden,
                    .exact = vectors_exact(set->kind) && metric <= VINDEX_INNER_PRODUCT};
    oracle_open(&truth);
    snprintf(what, sizeof what, "%s %s %s, dim %zu, variant %d", vindex_metric_name(metric),
             vindex_dtype_name(set->dtype), vectors_name(set->kind), set->dim, variant);
    compare(&truth, queries, &found, what);
    oracle_close(&truth);
    vx_ids_free(&ids);
    free(rows.data);
    free(rows.aux);
    free(numbers);
    free(queries);
}

START_TEST(the_best_are_found) {
    static const size_t dims[] = {1, 3, 17, 64, 129, 600};
    int variant = 0;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int dtype = VINDEX_F32; dtype <= VINDEX_BF16; dtype++)
            for (int kind = 0; kind < VECTORS_KINDS; kind += test_stride())
                for (size_t d = 0; d < VX_COUNT(dims); d++, variant++) {
                    if (dims[d] > 129 && dtype != VINDEX_F32) continue;
                    vectors set = {.kind = (vectors_kind)kind,
                                   .dtype = (vindex_dtype)dtype,
                                   .dim = dims[d],
                                   .count = ROWS,
                                   .seed = d};
                    check_set(&set, (vindex_metric)metric, variant);
                }
}
END_TEST

START_TEST(few_are_settled) {
    vectors set = {.kind = VECTORS_NORMAL, .dim = 32, .count = 4000, .seed = 1};
    float *numbers = vectors_make(&set), *aux = malloc(set.count * sizeof *aux);
    vx_space space = {.metric = VINDEX_L2, .dtype = VINDEX_F32, .dim = set.dim};
    vx_aux_fill(&space, vx_kernels_get(), numbers, set.count, aux);
    vx_block block = {.data = numbers, .aux = aux, .count = set.count};
    vindex_search_stats stats;
    answers found = {.metric = VINDEX_L2};
    vx_search_job job = {.space = space,
                         .blocks = &block,
                         .block_count = 1,
                         .block_rows = set.count,
                         .queries = numbers,
                         .query_count = QUERIES,
                         .threads = 1,
                         .stats = &stats};
    ck_ok(vx_nearest(&job, K, keep, &found));
    ck_assert_int_eq(stats.plain, (int64_t)(QUERIES * set.count));
    ck_assert_int_ge(stats.settled, QUERIES * K);
    ck_assert_int_le(stats.settled, QUERIES * (K + 1));
    for (size_t q = 0; q < QUERIES; q++) ck_assert_int_eq(found.ids[q * K], (int64_t)q);
    free(numbers);
    free(aux);
}
END_TEST

START_TEST(a_failed_allocation_is_reported) {
    float numbers[64] = {1}, aux[64] = {1};
    vx_block block = {.data = numbers, .aux = aux, .count = 64};
    answers found = {.metric = VINDEX_L2};
    vx_search_job job = {.space = {.metric = VINDEX_L2, .dtype = VINDEX_F32, .dim = 1},
                         .blocks = &block,
                         .block_count = 1,
                         .block_rows = 64,
                         .queries = numbers,
                         .query_count = QUERIES,
                         .threads = 2};
    long allowed = 0;
    for (vindex_status status = VINDEX_ERR_MEMORY; status != VINDEX_OK; allowed++) {
        vx_alloc_fail_after(allowed);
        status = vx_nearest(&job, K, keep, &found);
        vx_alloc_fail_after(-1);
        ck_assert(status == VINDEX_OK || status == VINDEX_ERR_MEMORY);
        if (status == VINDEX_ERR_MEMORY)
            ck_assert(strstr(vindex_last_error(), "give fewer per call") != NULL);
    }
    ck_assert_int_gt(allowed, 3);
}
END_TEST

TEST_MAIN_PER_LEVEL("exact/nearest", the_best_are_found, few_are_settled,
                    a_failed_allocation_is_reported)
