/* Many threads on one index at the same time. Under ThreadSanitizer this program shows races; the
 * library's own threads are off, for OpenMP's run time is not instrumented. */
#include <pthread.h>

#include "../hnsw/cases.h"
#include "../ivf/cases.h"

enum { THREADS = 6, ROUNDS = 8, QUERIES = 13, K = 10, DIM = 40, COUNT = 700 };

/* What every thread shares, and must find. */
typedef struct shared {
    vindex_index *index;
    const float *queries;
    int64_t ids[QUERIES * K];
    float distances[QUERIES * K];
    int64_t range_total;
    float radius;
} shared;

/* Checks nothing with Check itself, which knows one thread. */
typedef struct searcher {
    const shared *common;
    pthread_t thread;
    int first; /* query to begin with, so that threads do different things */
    const char *failure;
} searcher;

static bool even(void *context, int64_t id) {
    (void)context;
    return id % 2 == 0;
}

static const char *search_batch(const shared *common, size_t first, size_t count) {
    int64_t ids[QUERIES * K];
    float distances[QUERIES * K];
    vindex_search_params params = search_params(K, 1);
    if (vindex_search(common->index, common->queries + first * DIM, (int64_t)count, &params, ids,
                      distances))
        return vindex_last_error();
    if (memcmp(ids, common->ids + first * K, count * K * sizeof *ids)) return "other ids";
    if (memcmp(distances, common->distances + first * K, count * K * sizeof *distances))
        return "other distances";
    return NULL;
}

static const char *search_otherwise(const shared *common) {
    int64_t ids[K];
    float vector[DIM];
    vindex_filter filter = {.allow = even};
    vindex_search_params params = search_params(K, 1);
    params.filter = &filter;
    if (vindex_search(common->index, common->queries, 1, &params, ids, NULL))
        return vindex_last_error();
    for (size_t i = 0; i < K; i++)
        if (ids[i] % 2) return "a forbidden id";
    if (vindex_reconstruct(common->index, ids, 1, vector)) return vindex_last_error();
    vindex_range_result result;
    params.filter = NULL;
    if (vindex_range_search(common->index, common->queries, QUERIES, common->radius, &params,
                            &result))
        return vindex_last_error();
    int64_t total = result.offsets[QUERIES];
    vindex_range_result_free(&result);
    return total == common->range_total ? NULL : "another range";
}

static void *run(void *context) {
    searcher *own = context;
    for (int round = 0; round < ROUNDS && !own->failure; round++) {
        size_t first = (size_t)(own->first + round) % QUERIES;
        own->failure = search_batch(own->common, 0, QUERIES);
        if (!own->failure) own->failure = search_batch(own->common, first, 1);
        if (!own->failure) own->failure = search_otherwise(own->common);
        /* A failure of one thread is not seen by another. */
        if (vindex_search(own->common->index, NULL, 1, NULL, NULL, NULL) != VINDEX_ERR_ARGUMENT)
            own->failure = "no failure where one was due";
    }
    return NULL;
}

enum { ROWS, LISTS, CODES, COARSE_GRAPH, PRODUCTS, SECOND, GRAPH, KINDS };
static const char *const specs[KINDS] = {[CODES] = "IVF9,SQ8,Refine",
                                         [COARSE_GRAPH] = "IVF9_HNSW4,RaBitQ4",
                                         [PRODUCTS] = "IVF9,PQ2x4,Refine",
                                         [SECOND] = "IVF9,PQ2x4,Refine(SQ4)"};

/* Of all lists, where the index has some: the default is more than there are. */
static void check_metric(vindex_metric metric, vindex_dtype dtype, int kind) {
    vectors rows = {.kind = VECTORS_CLUSTERED, .dtype = dtype, .dim = DIM, .count = COUNT};
    flat_case c;
    if (kind == GRAPH) {
        c = (flat_case){.rows = rows, .metric = metric, .numbers = vectors_make(&rows)};
        vindex_call alone;
        vindex_call_init(&alone);
        alone.threads = 1;
        c.index = hnsw_make(8, 40, &rows, metric);
        ck_ok(vindex_add(c.index, c.numbers, COUNT, &alone));
    } else {
        c = kind == ROWS ? flat_case_make(&rows, metric, NULL)
                         : ivf_case_make(specs[kind], &rows, metric, NULL);
    }
    float *queries = flat_case_queries(&c, QUERIES);
    shared common = {.index = c.index, .queries = queries};
    vindex_search_params params = search_params(K, 1);
    ck_ok(vindex_search(c.index, queries, QUERIES, &params, common.ids, common.distances));
    common.radius = common.distances[K / 2];
    vindex_range_result result;
    ck_ok(vindex_range_search(c.index, queries, QUERIES, common.radius, &params, &result));
    common.range_total = result.offsets[QUERIES];
    vindex_range_result_free(&result);
    searcher searchers[THREADS];
    for (int t = 0; t < THREADS; t++) {
        searchers[t] = (searcher){.common = &common, .first = t};
        ck_assert_int_eq(pthread_create(&searchers[t].thread, NULL, run, &searchers[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) pthread_join(searchers[t].thread, NULL);
    for (int t = 0; t < THREADS; t++)
        ck_assert_msg(!searchers[t].failure, "thread %d: %s", t, searchers[t].failure);
    free(queries);
    flat_case_free(&c);
}

START_TEST(threads_that_search_one_index_get_the_same_answers) {
    for (int kind = 0; kind < KINDS; kind++) {
        check_metric(VINDEX_L2, VINDEX_F32, kind);
        check_metric(VINDEX_INNER_PRODUCT, VINDEX_F16, kind);
        check_metric(VINDEX_COSINE, VINDEX_BF16, kind);
        check_metric(VINDEX_PEARSON, VINDEX_F32, kind);
    }
}
END_TEST

static void *create_first(void *context) {
    vindex_index **index = context;
    if (vindex_create("Flat", 4, VINDEX_L2, index)) *index = NULL;
    return NULL;
}

/* The instruction set is chosen by whoever comes first, here by all at once. */
START_TEST(threads_may_be_the_first_callers) {
    pthread_t threads[THREADS];
    vindex_index *indexes[THREADS];
    for (int t = 0; t < THREADS; t++)
        ck_assert_int_eq(pthread_create(&threads[t], NULL, create_first, &indexes[t]), 0);
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    for (int t = 0; t < THREADS; t++) {
        ck_assert_ptr_nonnull(indexes[t]);
        vindex_free(indexes[t]);
    }
}
END_TEST

TEST_MAIN("flat/concurrent", threads_that_search_one_index_get_the_same_answers,
          threads_may_be_the_first_callers)
