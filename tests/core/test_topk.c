/* The k best of a stream, against sorting everything. */
#include "core/topk.h"

#include "../harness.h"

#include <math.h>
#include <time.h>

#include "core/rng.h"

static vx_rng rng;

static int by_order(const void *a, const void *b) {
    const vx_hit *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Pushes all hits and compares the outcome with the head of the sorted list. */
static void check_stream(const vx_hit *hits, size_t n, size_t k) {
    vx_hit *memory = vx_alloc(vx_topk_capacity(k), sizeof *memory);
    vx_hit *sorted = vx_alloc(n, sizeof *sorted);
    ck_assert(memory && sorted);
    vx_topk top;
    vx_topk_init(&top, k, memory);
    for (size_t i = 0; i < n; i++) {
        vx_topk_push(&top, hits[i]);
        ck_assert_uint_lt(top.count, top.capacity);
    }
    size_t found = vx_topk_finish(&top);
    memcpy(sorted, hits, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_order);
    ck_assert_uint_eq(found, VX_MIN(n, k));
    for (size_t i = 0; i < found; i++)
        ck_assert_msg(sorted[i].key == memory[i].key && sorted[i].id == memory[i].id,
                      "n %zu, k %zu, place %zu: %g/%lld where %g/%lld is due", n, k, i,
                      memory[i].key, (long long)memory[i].id, sorted[i].key,
                      (long long)sorted[i].id);
    vx_free(memory);
    vx_free(sorted);
}

typedef double (*key_fn)(size_t i, size_t n);

static double rising(size_t i, size_t n) {
    (void)n;
    return (double)i;
}
static double falling(size_t i, size_t n) {
    return (double)(n - i);
}
static double equal(size_t i, size_t n) {
    (void)i, (void)n;
    return 1;
}
static double few(size_t i, size_t n) {
    (void)i, (void)n;
    return (double)vx_rng_below(&rng, 4);
}
static double any(size_t i, size_t n) {
    (void)i, (void)n;
    return vx_rng_normal(&rng);
}
static double organ_pipe(size_t i, size_t n) {
    return (double)VX_MIN(i, n - i);
}
static double sawtooth(size_t i, size_t n) {
    (void)n;
    return (double)(i % 37);
}
static double infinite(size_t i, size_t n) {
    (void)n;
    return i % 3 ? INFINITY : -INFINITY;
}

static const key_fn shapes[] = {rising, falling, equal, few, any, organ_pipe, sawtooth, infinite};

START_TEST(shapes_of_streams) {
    const size_t counts[] = {1, 2, 31, 32, 33, 100, 1000, 5000};
    rng = vx_rng_seed(1, 0);
    for (size_t s = 0; s < VX_COUNT(shapes); s++)
        for (size_t c = 0; c < VX_COUNT(counts); c++) {
            size_t n = counts[c];
            const size_t ks[] = {1, 2, 10, 31, 32, 33, n / 2 + 1, n, n + 1, 3 * n};
            vx_hit *hits = vx_alloc(n, sizeof *hits);
            for (int backwards = 0; backwards < 2; backwards++) {
                for (size_t i = 0; i < n; i++)
                    hits[i] = (vx_hit){shapes[s](i, n), (int64_t)(backwards ? n - i : i)};
                for (size_t j = 0; j < VX_COUNT(ks); j++) check_stream(hits, n, ks[j]);
            }
            vx_free(hits);
        }
}
END_TEST

START_TEST(random_streams) {
    uint64_t seed = (uint64_t)time(NULL);
    rng = vx_rng_seed(seed, 1);
    printf("core/topk: random_streams seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 300; round++) {
        size_t n = 1 + vx_rng_below(&rng, 3000), k = 1 + vx_rng_below(&rng, n + 5);
        key_fn shape = shapes[vx_rng_below(&rng, VX_COUNT(shapes))];
        vx_hit *hits = vx_alloc(n, sizeof *hits);
        for (size_t i = 0; i < n; i++) hits[i] = (vx_hit){shape(i, n), (int64_t)i};
        for (size_t i = n - 1; i > 0; i--) { /* the ids arrive in any order */
            size_t j = vx_rng_below(&rng, i + 1);
            vx_hit t = hits[i];
            hits[i] = hits[j];
            hits[j] = t;
        }
        check_stream(hits, n, k);
        vx_free(hits);
    }
}
END_TEST

START_TEST(nan_never_enters) {
    vx_hit memory[64];
    vx_topk top;
    vx_topk_init(&top, 4, memory);
    for (int64_t i = 0; i < 100; i++) vx_topk_push(&top, (vx_hit){i % 2 ? NAN : -NAN, i});
    vx_topk_push(&top, (vx_hit){INFINITY, 7});
    vx_topk_push(&top, (vx_hit){-1, 3});
    for (int64_t i = 0; i < 100; i++) vx_topk_push(&top, (vx_hit){NAN, i});
    ck_assert_uint_eq(vx_topk_finish(&top), 2);
    ck_assert_int_eq(memory[0].id, 3);
    ck_assert_int_eq(memory[1].id, 7);
}
END_TEST

START_TEST(ties_and_zeros) {
    ck_assert(vx_hit_before((vx_hit){1, 5}, (vx_hit){2, 1}));
    ck_assert(vx_hit_before((vx_hit){1, 1}, (vx_hit){1, 5}));
    ck_assert(!vx_hit_before((vx_hit){1, 5}, (vx_hit){1, 5}));
    ck_assert(vx_hit_before((vx_hit){0.0, 1}, (vx_hit){-0.0, 2})); /* zeros are one key */
    ck_assert(!vx_hit_before((vx_hit){-0.0, 2}, (vx_hit){0.0, 1}));
    ck_assert(!vx_hit_before((vx_hit){NAN, 1}, (vx_hit){0, 2}));
    ck_assert(!vx_hit_before((vx_hit){0, 2}, (vx_hit){NAN, 1}));
}
END_TEST

START_TEST(worst_bounds_what_can_enter) {
    vx_hit memory[64];
    vx_topk top;
    vx_topk_init(&top, 3, memory);
    ck_assert(isinf(top.worst.key));
    for (int64_t i = 0; i < 3; i++) vx_topk_push(&top, (vx_hit){(double)i, i});
    vx_topk_cut(&top);
    ck_assert_double_eq(top.worst.key, 2);
    vx_topk_push(&top, (vx_hit){2, 3}); /* a tie with a larger id */
    ck_assert_uint_eq(top.count, 3);
    vx_topk_push(&top, (vx_hit){2, 1});
    ck_assert_uint_eq(top.count, 4);
    vx_topk_init(&top, 3, memory);
    ck_assert_uint_eq(vx_topk_finish(&top), 0);
}
END_TEST

START_TEST(hits_are_sorted) {
    enum { N = 2000 };
    static vx_hit hits[N], expected[N];
    rng = vx_rng_seed(3, 0);
    for (int i = 0; i < N; i++) hits[i] = (vx_hit){few(0, 0), (int64_t)vx_rng_below(&rng, 1000)};
    memcpy(expected, hits, sizeof hits);
    qsort(expected, N, sizeof *expected, by_order);
    vx_hits_sort(hits, N);
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq(hits[i].key, expected[i].key);
        ck_assert_int_eq(hits[i].id, expected[i].id);
    }
    vx_hits_sort(hits, 0);
}
END_TEST

TEST_MAIN("core/topk", shapes_of_streams, random_streams, nan_never_enters, ties_and_zeros,
          worst_bounds_what_can_enter, hits_are_sorted)
