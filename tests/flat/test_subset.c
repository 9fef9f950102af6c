/* Searches of a part: within a radius, among allowed ids, in some dimensions. */
#include <math.h>

#include "cases.h"
#include "core/rng.h"

enum { QUERIES = 13 };

/* Radii between the keys, at them, and beyond both ends. */
static void check_radii(const flat_case *c, const float *queries) {
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    const oracle_ranking *first = &rankings[0];
    for (int32_t threads = 1; threads <= 3; threads += 2) {
        vindex_search_params params = search_params(1, threads);
        for (size_t i = 0; i < first->count; i += 1 + first->count / 7) {
            double key = first->hits[i].key;
            float radius = (float)(c->metric == VINDEX_L2 ? key : -key);
            flat_case_range(c, queries, QUERIES, rankings, &params, radius);
        }
        flat_case_range(c, queries, QUERIES, rankings, &params, INFINITY);
        flat_case_range(c, queries, QUERIES, rankings, &params, -INFINITY);
        flat_case_range(c, queries, 1, rankings, &params, 0);
    }
    rankings_free(rankings, QUERIES);
}

START_TEST(a_range_search_finds_all_within) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int kind = 0; kind < VECTORS_KINDS; kind++) {
            vectors rows = {.kind = (vectors_kind)kind,
                            .dtype = (vindex_dtype)(kind % 3),
                            .dim = kind % 2 ? 33 : 6,
                            .count = kind % 4 ? 300 : 0,
                            .seed = (uint64_t)kind};
            flat_case c = flat_case_make(&rows, (vindex_metric)metric, NULL);
            float *queries = flat_case_queries(&c, QUERIES);
            check_radii(&c, queries);
            free(queries);
            flat_case_free(&c);
        }
}
END_TEST

/* A set of allowed ids, as bits and as a callback. */
typedef struct allowed {
    uint64_t bits[16];
    int64_t bit_count;
} allowed;

static bool allow(void *context, int64_t id) {
    const allowed *set = context;
    return id < set->bit_count && set->bits[id / 64] >> (id % 64) & 1;
}

static void check_filter(flat_case *c, const float *queries, allowed *set, const char *what) {
    bool *hidden = calloc(c->truth.count + 1, sizeof *hidden);
    for (size_t row = 0; row < c->truth.count; row++)
        hidden[row] = !allow(set, c->truth.ids ? c->truth.ids[row] : (int64_t)row);
    c->truth.hidden = hidden;
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    vindex_filter bits = {.bits = set->bits, .bit_count = set->bit_count};
    vindex_filter callback = {.allow = allow, .context = set};
    const vindex_filter *filters[] = {&bits, &callback};
    for (size_t f = 0; f < 2; f++)
        for (size_t count = 1; count <= QUERIES; count += QUERIES - 1)
            for (int64_t k = 1; k <= 1000; k *= 10) {
                vindex_search_params params = search_params(k, 1 + 2 * (int32_t)f);
                params.filter = filters[f];
                flat_case_search(c, queries, count, rankings, &params, what);
                flat_case_range(c, queries, count, rankings, &params, k == 1 ? 0 : 0.5f);
            }
    rankings_free(rankings, QUERIES);
    free(hidden);
    c->truth.hidden = NULL;
}

START_TEST(a_filter_lets_nothing_else_through) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = metric % 2 ? VECTORS_TIED : VECTORS_NORMAL,
                        .dim = 20,
                        .count = 1000,
                        .seed = (uint64_t)metric};
        flat_case c = flat_case_make(&rows, (vindex_metric)metric, NULL);
        float *queries = flat_case_queries(&c, QUERIES);
        vx_rng rng = vx_rng_seed(6, (uint64_t)metric);
        allowed none = {.bit_count = 1000}, no_bits = {.bit_count = 0}, all = {.bit_count = 1024};
        memset(all.bits, 0xff, sizeof all.bits);
        allowed few = {.bit_count = 1000}, half = {.bit_count = 500}, odd = all;
        for (size_t i = 0; i < 16; i++) half.bits[i] = vx_rng_next(&rng);
        for (size_t i = 0; i < 4; i++) few.bits[i * 3] = UINT64_C(1) << (i * 20);
        odd.bit_count = 77; /* the ids end in the middle of a word */
        check_filter(&c, queries, &none, "none allowed");
        check_filter(&c, queries, &no_bits, "no bits");
        check_filter(&c, queries, &all, "all allowed");
        check_filter(&c, queries, &few, "four allowed");
        check_filter(&c, queries, &half, "some of the first half allowed");
        check_filter(&c, queries, &odd, "the first 77 allowed");
        free(queries);
        flat_case_free(&c);
    }
}
END_TEST

START_TEST(a_filter_speaks_of_ids_not_rows) {
    enum { COUNT = 200 };
    int64_t ids[COUNT];
    for (int64_t i = 0; i < COUNT; i++) ids[i] = (i * 37 + 11) % COUNT * 5; /* 0 ... 995, mixed */
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 7, .count = COUNT, .seed = 8};
    flat_case c = flat_case_make(&rows, VINDEX_L2, ids);
    float *queries = flat_case_queries(&c, QUERIES);
    allowed set = {.bits = {0xf0f0f0f0f0f0f0f0u, 0x123456789abcdefu, ~UINT64_C(0)},
                   .bit_count = 700};
    check_filter(&c, queries, &set, "mixed ids");
    free(queries);
    flat_case_free(&c);
}
END_TEST

/* Weights of a sort: 0 all one; 1 mask; 2 random with zeros; 3 tiny to huge; 4 all zero; 5 one. */
static float weight(int sort, size_t j, vx_rng *rng) {
    double x = vx_rng_uniform(rng);
    switch (sort) {
    case 0:
        return 1;
    case 1:
        return x < 0.5;
    case 2:
        return x < 0.2 ? 0 : (float)x;
    case 3:
        return (float)pow(10, 20 * x - 10);
    case 4:
        return 0;
    default:
        return j == 3;
    }
}

static void check_weights(const flat_case *c, const float *queries, size_t weight_rows, int sort) {
    size_t dim = c->rows.dim;
    vx_rng rng = vx_rng_seed(7, (uint64_t)sort);
    float *weights = malloc(weight_rows * dim * sizeof *weights);
    for (size_t i = 0; i < weight_rows * dim; i++)
        weights[i] =
            weight(weight_rows > 1 ? (int)((size_t)sort + i / dim) % 6 : sort, i % dim, &rng);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, weights, weight_rows);
    for (int32_t threads = 1; threads <= 3; threads += 2) {
        char what[60];
        snprintf(what, sizeof what, "weights of sort %d, %zu rows", sort, weight_rows);
        vindex_search_params params = search_params(threads == 1 ? 10 : 1000, threads);
        params.weights = weights;
        params.weight_rows = (int64_t)weight_rows;
        flat_case_search(c, queries, QUERIES, rankings, &params, what);
        flat_case_range(c, queries, QUERIES, rankings, &params, 0.25f);
    }
    rankings_free(rankings, QUERIES);
    free(weights);
}

START_TEST(weights_count_dimensions_more_or_less) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int kind = 0; kind < VECTORS_KINDS; kind++) {
            vectors rows = {.kind = (vectors_kind)kind,
                            .dtype = (vindex_dtype)(kind % 3),
                            .dim = kind % 2 ? 100 : 9,
                            .count = 150,
                            .seed = (uint64_t)kind};
            flat_case c = flat_case_make(&rows, (vindex_metric)metric, NULL);
            c.truth.exact = false; /* weighted sums do round */
            float *queries = flat_case_queries(&c, QUERIES);
            for (int sort = 0; sort < 6; sort++) check_weights(&c, queries, 1, sort);
            check_weights(&c, queries, QUERIES, 0);
            free(queries);
            flat_case_free(&c);
        }
}
END_TEST

/* Constant where it counts: the correlation is 0, not the noise of a rounded mean. */
START_TEST(a_vector_constant_in_the_subspace_correlates_with_nothing) {
    enum { DIM = 24, COUNT = 50 };
    float rows[COUNT * DIM], weights[DIM], query[DIM], distances[COUNT];
    int64_t ids[COUNT];
    vx_rng rng = vx_rng_seed(9, 0);
    for (size_t j = 0; j < DIM; j++) {
        weights[j] = j % 4 ? (float)vx_rng_uniform(&rng) : 0;
        query[j] = (float)vx_rng_normal(&rng);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < DIM; j++)
            rows[i * DIM + j] = j % 4 ? 0.1f * (float)(i + 1) : (float)vx_rng_normal(&rng);
    vindex_index *index;
    ck_ok(vindex_create("Flat", DIM, VINDEX_PEARSON, &index));
    ck_ok(vindex_add(index, rows, COUNT, NULL));
    vindex_search_params params = search_params(COUNT, 1);
    params.weights = weights;
    params.weight_rows = 1;
    ck_ok(vindex_search(index, query, 1, &params, ids, distances));
    for (int64_t i = 0; i < COUNT; i++) {
        ck_assert_float_eq(distances[i], 0);
        ck_assert_int_eq(ids[i], i);
    }
    ck_ok(vindex_search(index, rows, 1, &params, ids, distances)); /* a constant query */
    for (int64_t i = 0; i < COUNT; i++) ck_assert_float_eq(distances[i], 0);
    vindex_free(index);
}
END_TEST

TEST_MAIN("flat/subset", a_range_search_finds_all_within, a_filter_lets_nothing_else_through,
          a_filter_speaks_of_ids_not_rows, weights_count_dimensions_more_or_less,
          a_vector_constant_in_the_subspace_correlates_with_nothing)
