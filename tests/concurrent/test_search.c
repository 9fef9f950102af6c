/* What the headers promise to several threads at once: searches on one index, and anything on
 * objects of one's own. Each thread asks for no helpers, so that a race detector that does not know
 * the OpenMP run time sees only threads it understands. */
#include "../harness.h"

#include <pthread.h>
#include <string.h>
#include <vindex/vindex.h>

enum { THREADS = 4, ROUNDS = 10, DIM = 24, ROWS = 3000, QUERIES = 8, K = 6 };

static float rows[ROWS * DIM], queries[QUERIES * DIM];

static void fill(float *values, size_t count, uint32_t state) {
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / (float)(1 << 24);
    }
}

static vindex_index *make_index(vindex_metric metric) {
    vindex_index *index;
    vindex_call call;
    vindex_call_init(&call);
    call.threads = 1;
    fill(rows, ROWS * DIM, 1);
    fill(queries, QUERIES * DIM, 2);
    ck_ok(vindex_create("Flat", DIM, metric, &index));
    ck_ok(vindex_add(index, rows, ROWS, &call));
    return index;
}

/* One thread's work; the asserts are left to the thread that started it. */
struct worker {
    const vindex_index *index;
    vindex_status status;
    int64_t ids[QUERIES * K];
    float distances[QUERIES * K];
    bool stable;
};

static bool is_even(void *context, int64_t id) {
    (void)context;
    return id % 2 == 0;
}

static vindex_status search_once(const struct worker *worker, const vindex_filter *filter,
                                 int64_t *ids, float *distances) {
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    params.threads = 1;
    params.filter = filter;
    return vindex_search(worker->index, queries, QUERIES, &params, ids, distances);
}

static void *search_many(void *context) {
    struct worker *worker = context;
    const vindex_filter even = {.allow = is_even};
    worker->stable = true;
    worker->status = search_once(worker, NULL, worker->ids, worker->distances);
    for (int i = 0; i < ROUNDS && worker->status == VINDEX_OK; i++) {
        int64_t ids[QUERIES * K];
        float distances[QUERIES * K];
        worker->status = search_once(worker, i % 2 ? &even : NULL, ids, distances);
        if (i % 2)
            worker->stable &= ids[0] % 2 == 0;
        else
            worker->stable &= memcmp(ids, worker->ids, sizeof ids) == 0;
    }
    return NULL;
}

START_TEST(searches_share_an_index) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vindex_index *index = make_index((vindex_metric)metric);
        static struct worker workers[THREADS];
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            workers[i] = (struct worker){.index = index};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, search_many, &workers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < THREADS; i++) {
            ck_assert_int_eq(workers[i].status, VINDEX_OK);
            ck_assert(workers[i].stable);
            ck_assert_mem_eq(workers[i].ids, workers[0].ids, sizeof workers[i].ids);
            ck_assert_mem_eq(workers[i].distances, workers[0].distances,
                             sizeof workers[i].distances);
        }
        vindex_free(index);
    }
}
END_TEST

/* A whole life of an index, and a failure whose sentence must be this thread's own. */
static void *live(void *context) {
    struct worker *worker = context;
    for (int i = 0; i < ROUNDS; i++) {
        vindex_index *index = NULL;
        vindex_call call;
        vindex_call_init(&call);
        call.threads = 1;
        char word[32];
        snprintf(word, sizeof word, "No%p", context);
        worker->stable = vindex_create(word, DIM, VINDEX_L2, &index) == VINDEX_ERR_ARGUMENT &&
                         strstr(vindex_last_error(), word) != NULL;
        if (!worker->stable) return NULL;
        worker->status = vindex_create("Flat", DIM, VINDEX_COSINE, &index);
        if (worker->status == VINDEX_OK) worker->status = vindex_add(index, rows, 200, &call);
        worker->index = index;
        if (worker->status == VINDEX_OK)
            worker->status = search_once(worker, NULL, worker->ids, worker->distances);
        vindex_free(index);
        if (worker->status != VINDEX_OK) return NULL;
    }
    return NULL;
}

START_TEST(threads_with_an_index_each_do_not_meet) {
    static struct worker workers[THREADS];
    pthread_t threads[THREADS];
    fill(rows, ROWS * DIM, 1);
    fill(queries, QUERIES * DIM, 2);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, live, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        ck_assert(workers[i].stable);
        ck_assert_int_eq(workers[i].status, VINDEX_OK);
        ck_assert_mem_eq(workers[i].ids, workers[0].ids, sizeof workers[i].ids);
    }
}
END_TEST

TEST_MAIN("concurrent/search", searches_share_an_index, threads_with_an_index_each_do_not_meet)
