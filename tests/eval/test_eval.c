/* The four front doors against the naive evaluator and against each other. */
#include <math.h>
#include <string.h>

#include <vindex/index.h>

#include "../harness.h"
#include "core/base.h"
#include "core/rng.h"
#include "naive.h"

enum { MOST = 2250, WIDEST = 32 };
static float vectors[MOST * WIDEST], queries[MOST * WIDEST];
static int32_t cliques[MOST], query_cliques[MOST];

/* levels > 0: small integers, so that distances tie exactly; 0: any number. */
static void fill(uint64_t seed, size_t n, size_t dim, int levels) {
    vx_rng rng = vx_rng_seed(seed, dim);
    for (size_t i = 0; i < n * dim; i++) {
        vectors[i] =
            levels ? (float)vx_rng_below(&rng, (uint64_t)levels) - 1 : (float)vx_rng_normal(&rng);
        queries[i] =
            levels ? (float)vx_rng_below(&rng, (uint64_t)levels) - 1 : (float)vx_rng_normal(&rng);
    }
    for (size_t i = 0; i < n; i++) {
        /* ragged: numbers drawn by their square, so low ones are many and high ones alone */
        uint64_t c = vx_rng_below(&rng, n), d = vx_rng_below(&rng, n);
        cliques[i] = (int32_t)(c * c / n);
        query_cliques[i] = (int32_t)(d * d / n);
    }
}

static vindex_eval_params params_of(vindex_metric metric, int64_t knn) {
    vindex_eval_params params;
    vindex_eval_params_init(&params);
    params.metric = metric;
    params.knn = knn;
    params.precision_at = 3;
    return params;
}

static naive_set square_set(size_t n, size_t dim) {
    return (naive_set){vectors, vectors, cliques, cliques, n, n, dim, true};
}

static vindex_eval_sets split_sets(int64_t nq, int64_t n, int64_t dim) {
    return (vindex_eval_sets){queries, query_cliques, nq, vectors, cliques, n, dim};
}

START_TEST(square_is_naive) {
    const size_t sizes[] = {2, 3, 17, 150};
    const int64_t voters[] = {0, 1, 4, 500};
    for (size_t i = 0; i < VX_COUNT(sizes); i++)
        for (int metric = 0; metric < 4; metric++)
            for (int levels = 0; levels < 4; levels += 3) {
                /* integers make L2 and the dot product exact; the others divide */
                if (levels && metric >= VINDEX_COSINE) continue;
                size_t dim = metric == VINDEX_PEARSON ? 7 : i == 1 ? 1 : 5;
                fill(i, sizes[i], dim, levels);
                vindex_eval_params params = params_of((vindex_metric)metric, voters[i]);
                naive_set set = square_set(sizes[i], dim);
                vindex_eval_report found, expected;
                naive_eval(&set, &params, &expected);
                ck_ok(vindex_eval(vectors, cliques, (int64_t)sizes[i], (int64_t)dim, &params,
                                  &found, NULL));
                naive_compare(&found, &expected, 1e-11);
            }
}
END_TEST

START_TEST(split_is_naive) {
    const struct { size_t nq, n; } sizes[] = {{1, 1}, {1, 90}, {60, 1}, {40, 120}, {120, 40}};
    for (size_t i = 0; i < VX_COUNT(sizes); i++)
        for (int levels = 0; levels < 3; levels += 2) {
            fill(100 + i, VX_MAX(sizes[i].nq, sizes[i].n), 4, levels);
            vindex_eval_params params = params_of(VINDEX_L2, 3);
            naive_set set = {queries,    vectors, query_cliques, cliques, sizes[i].nq,
                             sizes[i].n, 4,       false};
            vindex_eval_sets sets = split_sets((int64_t)sizes[i].nq, (int64_t)sizes[i].n, 4);
            vindex_eval_report found, expected;
            naive_eval(&set, &params, &expected);
            ck_ok(vindex_eval_split(&sets, &params, &found, NULL));
            naive_compare(&found, &expected, 1e-11);
        }
}
END_TEST

/* Each query against all others as a split of its own is what the square set does with it. */
START_TEST(split_is_square) {
    enum { N = 50, DIM = 3 };
    fill(3, N, DIM, 3);
    vindex_eval_report report;
    vindex_eval_detail detail;
    ck_ok(vindex_eval(vectors, cliques, N, DIM, NULL, &report, &detail));
    for (size_t q = 0; q < N; q++) {
        float others[(N - 1) * DIM];
        int32_t of[N - 1];
        for (size_t c = 0, to = 0; c < N; c++) {
            if (c == q) continue;
            memcpy(others + to * DIM, vectors + c * DIM, DIM * sizeof(float));
            of[to++] = cliques[c];
        }
        vindex_eval_sets sets = {vectors + q * DIM, cliques + q, 1, others, of, N - 1, DIM};
        vindex_eval_report one;
        ck_ok(vindex_eval_split(&sets, NULL, &one, NULL));
        ck_assert_int_eq(one.relevant, detail.relevant[q]);
        if (!one.relevant) continue;
        ck_assert_double_eq(one.map, detail.average_precision[q]);
        ck_assert_double_eq(one.mr1, (double)detail.first_rank[q]);
    }
    vindex_eval_detail_free(&detail);
}
END_TEST

/* A matrix of the same distances, small integers and so exact in single precision. */
typedef struct distances {
    const float *from;
    size_t n, dim;
    const uint64_t *allowed; /* bits of candidates that are not infinitely far; NULL: all */
} distances;

static vindex_status distance_rows(void *context, int64_t first, int64_t count, float *values) {
    const distances *d = context;
    for (int64_t row = first; row < first + count; row++, values += d->n) {
        const float *from = d->from + (size_t)row * d->dim;
        for (size_t c = 0; c < d->n; c++) {
            bool far = d->allowed && !(d->allowed[c / 64] >> (c % 64) & 1);
            values[c] =
                far ? INFINITY : (float)naive_key(VINDEX_L2, from, vectors + c * d->dim, d->dim);
        }
    }
    return VINDEX_OK;
}

START_TEST(matrix_is_vectors) {
    enum { N = 160, DIM = 3 };
    fill(11, N, DIM, 4);
    vindex_eval_params params = params_of(VINDEX_L2, 5);
    vindex_eval_report found, expected;
    distances d = {vectors, N, DIM, NULL};
    vindex_eval_matrix square = {distance_rows, &d, false, cliques, N, cliques, N, true};
    ck_ok(vindex_eval(vectors, cliques, N, DIM, &params, &expected, NULL));
    ck_ok(vindex_eval_from_matrix(&square, &params, &found, NULL));
    naive_compare(&found, &expected, 0);
    d.from = queries;
    vindex_eval_matrix split = {distance_rows, &d, false, query_cliques, 90, cliques, N, false};
    vindex_eval_sets sets = split_sets(90, N, DIM);
    ck_ok(vindex_eval_split(&sets, &params, &expected, NULL));
    ck_ok(vindex_eval_from_matrix(&split, &params, &found, NULL));
    naive_compare(&found, &expected, 0);
}
END_TEST

/* Counts calls; fails at one of them. */
typedef struct counted {
    distances d;
    int calls, stop_at;
} counted;

static vindex_status counted_rows(void *context, int64_t first, int64_t count, float *values) {
    counted *c = context;
    if (++c->calls == c->stop_at) return VINDEX_ERR_IO;
    return distance_rows(&c->d, first, count, values);
}

/* More rows than are in memory at a time. */
START_TEST(matrix_in_blocks) {
    enum { DIM = 3 };
    fill(12, MOST, DIM, 4);
    for (int32_t threads = 1; threads <= 4; threads += 3) {
        vindex_eval_params params = params_of(VINDEX_L2, 5);
        params.threads = threads;
        counted c = {.d = {vectors, MOST, DIM, NULL}};
        vindex_eval_matrix matrix = {counted_rows, &c, false, cliques, MOST, cliques, MOST, true};
        vindex_eval_report found, expected;
        ck_ok(vindex_eval(vectors, cliques, MOST, DIM, &params, &expected, NULL));
        ck_ok(vindex_eval_from_matrix(&matrix, &params, &found, NULL));
        naive_compare(&found, &expected, 0);
        ck_assert_int_gt(c.calls, 1);
        c = (counted){.d = c.d, .stop_at = c.calls};
        ck_assert_int_eq(vindex_eval_from_matrix(&matrix, &params, &found, NULL), VINDEX_ERR_IO);
        ck_assert_int_eq(c.calls, c.stop_at);
    }
}
END_TEST

static vindex_index *flat(size_t n, size_t dim) {
    vindex_index *index;
    ck_ok(vindex_create("Flat", (int64_t)dim, VINDEX_L2, &index));
    ck_ok(vindex_add(index, vectors, (int64_t)n, NULL));
    return index;
}

/* More results than one batch holds, so that several are needed. */
START_TEST(exact_index_is_vectors) {
    enum { N = 600, DIM = 4 };
    fill(21, N, DIM, 5);
    vindex_index *index = flat(N, DIM);
    vindex_eval_params params = params_of(VINDEX_L2, 5);
    vindex_eval_report found, expected;
    vindex_eval_sets square = {vectors, cliques, N, NULL, cliques, N, DIM};
    ck_ok(vindex_eval(vectors, cliques, N, DIM, &params, &expected, NULL));
    ck_ok(vindex_eval_index(index, &square, true, 0, NULL, &params, &found, NULL));
    naive_compare(&found, &expected, 0);
    vindex_eval_sets split = split_sets(N, N, DIM);
    ck_ok(vindex_eval_split(&split, &params, &expected, NULL));
    ck_ok(vindex_eval_index(index, &split, false, 0, NULL, &params, &found, NULL));
    naive_compare(&found, &expected, 0);
    vindex_free(index);
}
END_TEST

/* What a search does not return ranks last in row order, as if it were infinitely far. */
START_TEST(missing_ranks_last) {
    enum { N = 200, DIM = 3 };
    fill(31, N, DIM, 6);
    vindex_index *index = flat(N, DIM);
    uint64_t bits[(N + 63) / 64];
    vx_rng rng = vx_rng_seed(9, 9);
    for (size_t i = 0; i < VX_COUNT(bits); i++) bits[i] = vx_rng_next(&rng);
    vindex_filter filter = {.bits = bits, .bit_count = N};
    vindex_search_params search;
    vindex_search_params_init(&search);
    search.filter = &filter;
    for (int square = 0; square < 2; square++) {
        distances d = {square ? vectors : queries, N, DIM, bits};
        const int32_t *of = square ? cliques : query_cliques;
        vindex_eval_matrix matrix = {distance_rows, &d, false, of, N, cliques, N, square};
        vindex_eval_sets sets = {d.from, of, N, NULL, cliques, N, DIM};
        vindex_eval_report found, expected;
        ck_ok(vindex_eval_from_matrix(&matrix, NULL, &expected, NULL));
        ck_ok(vindex_eval_index(index, &sets, square, 0, &search, NULL, &found, NULL));
        expected.tied = found.tied; /* infinities tie, what is missing does not */
        naive_compare(&found, &expected, 0);
    }
    vindex_free(index);
}
END_TEST

/* Ten of 200: first ranks within 10 are the same, and a first rank beyond is a missing item's. */
START_TEST(depth_cuts) {
    enum { N = 200, DIM = 3, DEPTH = 10 };
    fill(41, N, DIM, 0);
    vindex_index *index = flat(N, DIM);
    vindex_eval_sets sets = {vectors, cliques, N, NULL, cliques, N, DIM};
    vindex_eval_report all, cut;
    vindex_eval_detail all_detail, cut_detail;
    ck_ok(vindex_eval_index(index, &sets, true, 0, NULL, NULL, &all, &all_detail));
    ck_ok(vindex_eval_index(index, &sets, true, DEPTH, NULL, NULL, &cut, &cut_detail));
    ck_assert_int_eq(cut.top10, all.top10);
    ck_assert_double_eq(cut.precision_at, all.precision_at);
    for (size_t q = 0; q < N; q++)
        if (all_detail.first_rank[q] <= DEPTH)
            ck_assert_int_eq(cut_detail.first_rank[q], all_detail.first_rank[q]);
        else
            ck_assert(cut_detail.first_rank[q] > DEPTH);
    vindex_eval_detail_free(&all_detail);
    vindex_eval_detail_free(&cut_detail);
    vindex_free(index);
}
END_TEST

/* One row of weights per query goes along with its query through the batches. */
START_TEST(index_weights) {
    enum { N = 600, DIM = 4 };
    fill(51, N, DIM, 0);
    vindex_index *index = flat(N, DIM);
    static float weights[N * DIM];
    for (size_t i = 0; i < N * DIM; i++) weights[i] = i / DIM % 2 ? (float)(i % DIM == 0) : 1;
    vindex_search_params search;
    vindex_search_params_init(&search);
    search.weights = weights;
    search.weight_rows = N;
    vindex_eval_sets sets = {vectors, cliques, N, NULL, cliques, N, DIM};
    vindex_eval_report report;
    vindex_eval_detail found, plain, narrow;
    ck_ok(vindex_eval_index(index, &sets, true, 0, &search, NULL, &report, &found));
    ck_ok(vindex_eval(vectors, cliques, N, DIM, NULL, &report, &plain));
    for (size_t i = 0; i < N; i++) queries[i] = vectors[i * DIM];
    ck_ok(vindex_eval(queries, cliques, N, 1, NULL, &report, &narrow));
    for (size_t q = 0; q < N; q++)
        ck_assert_int_eq(found.first_rank[q], (q % 2 ? narrow : plain).first_rank[q]);
    search.weight_rows = 7;
    ck_fails(VINDEX_ERR_DIMENSION, "7 rows of weights",
             vindex_eval_index(index, &sets, true, 0, &search, NULL, &report, NULL));
    vindex_eval_detail_free(&found);
    vindex_eval_detail_free(&plain);
    vindex_eval_detail_free(&narrow);
    vindex_free(index);
}
END_TEST

START_TEST(index_errors) {
    enum { N = 20, DIM = 3 };
    fill(61, N, DIM, 0);
    vindex_index *index = flat(N, DIM);
    vindex_eval_report report;
    vindex_eval_sets sets = {vectors, cliques, N, NULL, cliques, N, DIM + 1};
    ck_fails(VINDEX_ERR_DIMENSION, "3 dimensions",
             vindex_eval_index(index, &sets, true, 0, NULL, NULL, &report, NULL));
    sets = (vindex_eval_sets){vectors, cliques, N - 1, NULL, cliques, N - 1, DIM};
    ck_fails(VINDEX_ERR_DIMENSION, "20 vectors",
             vindex_eval_index(index, &sets, true, 0, NULL, NULL, &report, NULL));
    sets.query_count = sets.candidate_count = N;
    vindex_eval_params params = params_of(VINDEX_L2, 5);
    ck_fails(VINDEX_ERR_ARGUMENT, "depth is 4",
             vindex_eval_index(index, &sets, true, 4, NULL, &params, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "depth is -1",
             vindex_eval_index(index, &sets, true, -1, NULL, &params, &report, NULL));
    sets.queries = NULL;
    ck_fails(VINDEX_ERR_ARGUMENT, "queries are NULL",
             vindex_eval_index(index, &sets, true, 0, NULL, NULL, &report, NULL));
    vindex_free(index);
    ck_ok(vindex_create("Flat", DIM, VINDEX_L2, &index));
    int64_t ids[N];
    for (int64_t i = 0; i < N; i++) ids[i] = i + 1;
    ck_ok(vindex_add_with_ids(index, vectors, N, ids, NULL));
    sets.queries = vectors;
    ck_fails(VINDEX_ERR_ARGUMENT, "id 20",
             vindex_eval_index(index, &sets, true, 0, NULL, NULL, &report, NULL));
    vindex_free(index);
}
END_TEST

/* More pairs than one batch holds; everything is relevant, so everything is perfect. */
START_TEST(one_clique) {
    enum { N = 600 };
    fill(71, N, 2, 0);
    memset(cliques, 0, sizeof cliques);
    vindex_eval_report r;
    ck_ok(vindex_eval(vectors, cliques, N, 2, NULL, &r, NULL));
    ck_assert_int_eq(r.relevant, (int64_t)N * (N - 1));
    ck_assert_double_eq(r.map, 1);
    ck_assert_double_eq(r.mr1, 1);
    ck_assert_double_eq(r.arp, 0);
    ck_assert_double_eq(r.precision_at, 1);
}
END_TEST

START_TEST(nobody_asks) {
    fill(81, 40, 2, 0);
    for (int i = 0; i < 40; i++) cliques[i] = 1000 - i;
    vindex_eval_params params = params_of(VINDEX_L2, 3);
    vindex_eval_report r;
    const int64_t counts[] = {1, 40};
    for (int i = 0; i < 2; i++) {
        vindex_eval_detail detail;
        ck_ok(vindex_eval(vectors, cliques, counts[i], 2, &params, &r, &detail));
        ck_assert_int_eq(r.queries, 0);
        ck_assert_int_eq(r.noise, counts[i]);
        ck_assert_int_eq(r.candidates, counts[i]);
        ck_assert_double_nan(r.map);
        ck_assert_double_nan(r.mdr);
        ck_assert_double_nan(r.arp_interval);
        ck_assert_double_nan(r.recall_at[3]);
        ck_assert_double_eq(r.knn_accuracy, 0);
        ck_assert_double_nan(detail.average_precision[counts[i] - 1]);
        vindex_eval_detail_free(&detail);
    }
    vindex_index *index = flat(1, 2);
    vindex_eval_sets one = {vectors, cliques, 1, NULL, cliques, 1, 2};
    ck_ok(vindex_eval_index(index, &one, true, 0, NULL, &params, &r, NULL));
    ck_assert_int_eq(r.noise, 1);
    vindex_free(index);
}
END_TEST

/* A few vectors far from all others loosen every bound that they have a part in. */
START_TEST(outliers) {
    enum { N = 650, DIM = 8 };
    for (int metric = 0; metric < 4; metric++) {
        fill(101, N, DIM, 0);
        for (size_t j = 0; j < DIM; j++) {
            vectors[3 * DIM + j] *= 1e4f;
            vectors[400 * DIM + j] *= 1e6f;
        }
        vindex_eval_params params = params_of((vindex_metric)metric, 2);
        naive_set set = square_set(N, DIM);
        vindex_eval_report found, expected;
        naive_eval(&set, &params, &expected);
        ck_ok(vindex_eval(vectors, cliques, N, DIM, &params, &found, NULL));
        naive_compare(&found, &expected, 1e-11);
    }
}
END_TEST

START_TEST(missing_arguments_are_named) {
    fill(111, 4, 2, 0);
    vindex_eval_report report;
    distances d = {vectors, 4, 2, NULL};
    vindex_eval_matrix matrix = {distance_rows, &d, false, cliques, 4, cliques, 4, true};
    vindex_eval_sets sets = split_sets(4, 4, 2);
    vindex_index *index = flat(4, 2);
    ck_fails(VINDEX_ERR_ARGUMENT, "report", vindex_eval(vectors, cliques, 4, 2, NULL, NULL, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "sets", vindex_eval_split(NULL, NULL, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "report", vindex_eval_split(&sets, NULL, NULL, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "matrix", vindex_eval_from_matrix(NULL, NULL, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "report", vindex_eval_from_matrix(&matrix, NULL, NULL, NULL));
    matrix.rows = NULL;
    ck_fails(VINDEX_ERR_ARGUMENT, "row", vindex_eval_from_matrix(&matrix, NULL, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "index",
             vindex_eval_index(NULL, &sets, false, 0, NULL, NULL, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "sets",
             vindex_eval_index(index, NULL, false, 0, NULL, NULL, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "report",
             vindex_eval_index(index, &sets, false, 0, NULL, NULL, NULL, NULL));
    vindex_free(index);
}
END_TEST

/* The error bounds of the ranking hold up to there. */
START_TEST(dimensions_have_a_limit) {
    fill(121, 4, 2, 0);
    vindex_eval_report report;
    ck_fails(VINDEX_ERR_ARGUMENT, "1 to 1048576",
             vindex_eval(vectors, cliques, 4, VX_DIM_MOST + 1, NULL, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "1 to 1048576",
             vindex_eval(vectors, cliques, 4, 0, NULL, &report, NULL));
}
END_TEST

/* All vectors the same: ties everywhere, so rows decide. */
START_TEST(duplicates) {
    enum { N = 30 };
    fill(91, N, 6, 0);
    for (size_t i = 0; i < N; i++) memcpy(vectors + i * 6, vectors, 6 * sizeof(float));
    for (int metric = 0; metric < 4; metric++) {
        vindex_eval_params params = params_of((vindex_metric)metric, 4);
        naive_set set = square_set(N, 6);
        vindex_eval_report found, expected;
        naive_eval(&set, &params, &expected);
        ck_ok(vindex_eval(vectors, cliques, N, 6, &params, &found, NULL));
        naive_compare(&found, &expected, 1e-12);
        ck_assert_int_eq(found.tied, found.relevant);
    }
}
END_TEST

START_TEST(threads_change_nothing) {
    enum { N = 600, DIM = 8 };
    fill(101, N, DIM, 0);
    vindex_eval_report one, three;
    vindex_eval_detail detail_one, detail_three;
    vindex_eval_params params = params_of(VINDEX_COSINE, 7);
    params.threads = 1;
    ck_ok(vindex_eval(vectors, cliques, N, DIM, &params, &one, &detail_one));
    params.threads = 3;
    ck_ok(vindex_eval(vectors, cliques, N, DIM, &params, &three, &detail_three));
    three.seconds = one.seconds;
    ck_assert_mem_eq(&one, &three, sizeof one);
    ck_assert_mem_eq(detail_one.first_rank, detail_three.first_rank, N * sizeof(int64_t));
    ck_assert_mem_eq(detail_one.average_precision, detail_three.average_precision,
                     N * sizeof(double));
    vindex_eval_detail_free(&detail_one);
    vindex_eval_detail_free(&detail_three);
}
END_TEST

static vindex_status evaluate(int64_t n, int64_t dim, const vindex_eval_params *params) {
    vindex_eval_report report;
    return vindex_eval(vectors, cliques, n, dim, params, &report, NULL);
}

START_TEST(arguments) {
    fill(111, 20, 5, 0);
    ck_fails(VINDEX_ERR_ARGUMENT, "queries is 0", evaluate(0, 5, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "queries is -3", evaluate(-3, 5, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "dim is 0", evaluate(20, 0, NULL));
    vindex_eval_params params = params_of(VINDEX_L2, 0);
    params.struct_size--;
    ck_fails(VINDEX_ERR_ARGUMENT, "struct_size", evaluate(20, 5, &params));
    params = params_of((vindex_metric)9, 0);
    ck_fails(VINDEX_ERR_ARGUMENT, "metric is 9", evaluate(20, 5, &params));
    params = params_of(VINDEX_L2, -1);
    ck_fails(VINDEX_ERR_ARGUMENT, "knn is -1", evaluate(20, 5, &params));
    params = params_of(VINDEX_L2, 0);
    params.precision_at = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "precision_at is 0", evaluate(20, 5, &params));
    params = params_of(VINDEX_L2, 0);
    params.threads = -1;
    ck_fails(VINDEX_ERR_ARGUMENT, "threads is -1", evaluate(20, 5, &params));
    cliques[7] = -2;
    ck_fails(VINDEX_ERR_ARGUMENT, "clique of row 7 of the queries is -2", evaluate(20, 5, NULL));
    cliques[7] = INT32_MAX; /* the largest number is a clique like any other */
    ck_ok(evaluate(20, 5, NULL));
    vindex_eval_report report;
    ck_fails(VINDEX_ERR_ARGUMENT, "no clique numbers",
             vindex_eval(vectors, NULL, 20, 5, NULL, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_eval(NULL, cliques, 20, 5, NULL, &report, NULL));
    vectors[3 * 5 + 2] = NAN;
    ck_fails(VINDEX_ERR_DATA, "row 3, column 2 of the candidates", evaluate(20, 5, NULL));
    vectors[3 * 5 + 2] = 0;
    queries[4] = -INFINITY;
    vindex_eval_sets sets = split_sets(20, 20, 5);
    ck_fails(VINDEX_ERR_DATA, "row 0, column 4 of the queries",
             vindex_eval_split(&sets, NULL, &report, NULL));
}
END_TEST

typedef struct calls {
    int count, stop_at;
    double last;
    char phase[16];
} calls;

static int note(void *context, const char *phase, double fraction) {
    calls *c = context;
    ck_assert(fraction >= 0 && fraction <= 1);
    if (!strcmp(phase, c->phase)) ck_assert(fraction >= c->last);
    snprintf(c->phase, sizeof c->phase, "%s", phase);
    c->last = fraction;
    return ++c->count == c->stop_at;
}

START_TEST(progress_and_cancel) {
    fill(121, 600, 3, 0);
    memset(cliques, 0, 550 * sizeof *cliques); /* two batches */
    calls c = {0};
    vindex_eval_params params = params_of(VINDEX_L2, 1);
    params.threads = 1; /* how often the callback is called may depend on threads */
    params.progress = note;
    params.progress_context = &c;
    ck_ok(evaluate(600, 3, &params));
    ck_assert_str_eq(c.phase, "vote");
    ck_assert_double_eq(c.last, 1);
    int all = c.count;
    for (int stop = 1; stop <= all; stop++) {
        c = (calls){.stop_at = stop};
        ck_fails(VINDEX_ERR_CANCELLED, "cancelled", evaluate(600, 3, &params));
        ck_assert_int_eq(c.count, stop);
    }
    distances d = {vectors, 600, 3, NULL};
    vindex_eval_matrix matrix = {distance_rows, &d, false, cliques, 600, cliques, 600, true};
    vindex_eval_report report;
    c = (calls){.stop_at = 2};
    ck_fails(VINDEX_ERR_CANCELLED, "rank",
             vindex_eval_from_matrix(&matrix, &params, &report, NULL));
    vindex_index *index = flat(600, 3);
    vindex_eval_sets sets = {vectors, cliques, 600, NULL, cliques, 600, 3};
    c = (calls){.stop_at = 2};
    ck_fails(VINDEX_ERR_CANCELLED, "rank",
             vindex_eval_index(index, &sets, true, 0, NULL, &params, &report, NULL));
    vindex_free(index);
}
END_TEST

/* Every allocation fails once: the call says so, leaves report and detail alone and frees the rest
 * (the sanitizer's leak check sees that). */
START_TEST(memory_runs_out) {
    enum { N = 40, DIM = 3 };
    fill(131, N, DIM, 4);
    vindex_eval_params params = params_of(VINDEX_L2, 3);
    params.threads = 1;
    vindex_index *index = flat(N, DIM);
    distances d = {vectors, N, DIM, NULL};
    vindex_eval_matrix matrix = {distance_rows, &d, false, cliques, N, cliques, N, true};
    vindex_eval_sets sets = {vectors, cliques, N, NULL, cliques, N, DIM};
    for (int door = 0; door < 3; door++) {
        vindex_status status = VINDEX_ERR_MEMORY;
        for (long after = 0; status; after++) {
            vindex_eval_report report = {.map = 7};
            vindex_eval_detail detail;
            vx_alloc_fail_after(after);
            if (door == 0)
                status = vindex_eval(vectors, cliques, N, DIM, &params, &report, &detail);
            else if (door == 1)
                status = vindex_eval_from_matrix(&matrix, &params, &report, &detail);
            else
                status = vindex_eval_index(index, &sets, true, 0, NULL, &params, &report, &detail);
            vx_alloc_fail_after(-1);
            if (status) {
                ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
                ck_assert_double_eq(report.map, 7);
                ck_assert_ptr_null(detail.relevant);
            }
            ck_assert(after < 1000);
            vindex_eval_detail_free(&detail);
        }
    }
    vindex_free(index);
}
END_TEST

TEST_MAIN("eval/eval", square_is_naive, split_is_naive, split_is_square, matrix_is_vectors,
          matrix_in_blocks, exact_index_is_vectors, missing_ranks_last, depth_cuts, index_weights,
          index_errors, one_clique, nobody_asks, outliers, missing_arguments_are_named,
          dimensions_have_a_limit, duplicates, threads_change_nothing, arguments,
          progress_and_cancel, memory_runs_out)
