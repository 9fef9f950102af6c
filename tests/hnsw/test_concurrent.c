/* Searches while another thread adds. Under ThreadSanitizer this program shows races; the library's
 * own threads are off, for OpenMP's run time is not instrumented. */
#include <pthread.h>
#include <stdatomic.h>

#include "cases.h"

enum { DIM = 12, FIRST = 300, ROUNDS = 12, EACH = 60, SEARCHERS = 3, K = 5, LAST = 2500 };

typedef struct growing {
    vindex_index *index;
    const float *numbers;
    atomic_int known; /* rows whose addition is over */
    atomic_bool done;
} growing;

/* Checks nothing with Check itself, which knows one thread. */
typedef struct visitor {
    growing *common;
    pthread_t thread;
    int searches;
    const char *failure;
} visitor;

static bool odd(void *context, int64_t id) {
    (void)context;
    return id % 2;
}

/* Whatever was there before the call is found by its own numbers, at distance 0; ids are those of
 * rows that exist, distances rise. */
static const char *visit(const growing *g, int turn) {
    int known = atomic_load(&g->known), own = turn * 7919 % known;
    int64_t ids[K];
    float distances[K];
    vindex_filter filter = {.allow = odd};
    vindex_search_params params = ef_params(K, 1, 40 + turn % 3 * 200);
    if (turn % 4 == 3) params.filter = &filter;
    if (vindex_search(g->index, g->numbers + own * DIM, 1, &params, ids, distances))
        return vindex_last_error();
    for (int i = 0; i < K; i++) {
        if (ids[i] < 0 || ids[i] >= LAST) return "an id that was never given";
        if (params.filter && ids[i] % 2 == 0) return "a forbidden id";
        if (i && distances[i] < distances[i - 1]) return "not in order";
    }
    if (!params.filter && (distances[0] != 0 || ids[0] != own)) return "a vector is not found";
    vindex_range_result result;
    if (vindex_range_search(g->index, g->numbers + own * DIM, 1, 0, &params, &result))
        return vindex_last_error();
    bool there = result.offsets[1] > 0 && result.ids[0] == own;
    vindex_range_result_free(&result);
    return params.filter || there ? NULL : "a vector is not in its own radius";
}

static void *run(void *context) {
    visitor *own = context;
    while (!own->failure && (!atomic_load(&own->common->done) || own->searches < 50))
        own->failure = visit(own->common, own->searches++);
    return NULL;
}

static void grow(growing *g, int first, int count) {
    vindex_call alone;
    vindex_call_init(&alone);
    alone.threads = 1;
    ck_ok(vindex_add(g->index, g->numbers + first * DIM, count, &alone));
    atomic_store(&g->known, first + count);
}

START_TEST(searches_see_what_was_there_while_more_is_added) {
    static const char *const codecs[] = {"f32", "SQ8,Refine"};
    int last = LAST / test_stride();
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = LAST, .seed = 3};
    float *numbers = vectors_make(&rows);
    for (size_t c = 0; c < VX_COUNT(codecs); c++) {
        growing g = {.numbers = numbers};
        vindex_hnsw_params params;
        visitor visitors[SEARCHERS];
        vindex_hnsw_params_init(&params);
        params.dim = DIM;
        params.m = 8;
        params.codec = codecs[c];
        ck_ok(vindex_hnsw_create(&params, &g.index));
        vindex_call alone;
        vindex_call_init(&alone);
        alone.threads = 1;
        ck_ok(vindex_train(g.index, numbers, FIRST, &alone));
        grow(&g, 0, FIRST);
        for (int t = 0; t < SEARCHERS; t++) {
            visitors[t] = (visitor){.common = &g, .searches = t};
            ck_assert_int_eq(pthread_create(&visitors[t].thread, NULL, run, &visitors[t]), 0);
        }
        int at = FIRST;
        for (int round = 0; round < ROUNDS && at + EACH < last; round++, at += EACH)
            grow(&g, at, EACH);
        grow(&g, at, last - at);
        atomic_store(&g.done, true);
        for (int t = 0; t < SEARCHERS; t++) pthread_join(visitors[t].thread, NULL);
        for (int t = 0; t < SEARCHERS; t++)
            ck_assert_msg(!visitors[t].failure, "%s, thread %d: %s", codecs[c], t,
                          visitors[t].failure);
        hnsw_check(g.index);
        vindex_free(g.index);
    }
    free(numbers);
}
END_TEST

TEST_MAIN("hnsw/concurrent", searches_see_what_was_there_while_more_is_added)
