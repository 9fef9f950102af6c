/* A flat index beside an oracle that knows what is in it. */
#ifndef TESTS_FLAT_CASES_H
#define TESTS_FLAT_CASES_H

#include <string.h>

#include <vindex/vindex.h>

#include "../harness.h"
#include "../oracle.h"
#include "../vectors.h"

typedef struct flat_case {
    vectors rows;
    vindex_metric metric;
    float *numbers; /* what was added, as stored */
    oracle truth;
    vindex_index *index;
    char name[160]; /* for messages: how to make this case again */
} flat_case;

/* Adds the rows to the index with those ids (NULL: 0, 1, ...) in two calls; threads by the seed,
 * one without. */
static inline flat_case flat_case_fill(vindex_index *index, const vectors *rows,
                                       vindex_metric metric, const int64_t *ids) {
    flat_case c = {.rows = *rows, .metric = metric, .numbers = vectors_make(rows), .index = index};
    size_t half = rows->count / 2;
    const int64_t *later = ids ? ids + half : NULL;
    vindex_call call;
    vindex_call_init(&call);
    call.threads = 1 + (int32_t)(rows->seed % 3);
    ck_ok(ids ? vindex_add_with_ids(c.index, c.numbers, (int64_t)half, ids, &call)
              : vindex_add(c.index, c.numbers, (int64_t)half, &call));
    const float *rest = c.numbers + half * rows->dim;
    ck_ok(ids ? vindex_add_with_ids(c.index, rest, (int64_t)(rows->count - half), later, &call)
              : vindex_add(c.index, rest, (int64_t)(rows->count - half), &call));
    c.truth = (oracle){.metric = metric,
                       .dim = rows->dim,
                       .count = rows->count,
                       .rows = c.numbers,
                       .ids = ids,
                       .exact = vectors_exact(rows->kind) && metric <= VINDEX_INNER_PRODUCT};
    oracle_open(&c.truth);
    snprintf(c.name, sizeof c.name, "%s %s %s, %zu x %zu, seed %llu", vindex_metric_name(metric),
             vindex_dtype_name(rows->dtype), vectors_name(rows->kind), rows->count, rows->dim,
             (unsigned long long)rows->seed);
    return c;
}

static inline flat_case flat_case_make(const vectors *rows, vindex_metric metric,
                                       const int64_t *ids) {
    vindex_flat_params params;
    vindex_index *index;
    vindex_flat_params_init(&params);
    params.dim = (int64_t)rows->dim;
    params.metric = metric;
    params.dtype = rows->dtype;
    ck_ok(vindex_flat_create(&params, &index));
    return flat_case_fill(index, rows, metric, ids);
}

/* The same with certified codes; the kind of codes follows from the seed. */
static inline flat_case certified_case_make(const vectors *rows, vindex_metric metric,
                                            const int64_t *ids) {
    char spec[60], kind[30];
    vindex_index *index;
    snprintf(kind, sizeof kind,
             rows->seed % 4 == 0                      ? "Certified"
             : rows->seed % 4 == 1                    ? "Certified4"
             : rows->seed % 4 == 2 || rows->dim > 300 ? "Certified8"
                                                      : "CertifiedPCA%zu",
             rows->dim / 3 + 1);
    snprintf(spec, sizeof spec, "Flat,%s,%s", vindex_dtype_name(rows->dtype), kind);
    ck_ok(vindex_create(spec, (int64_t)rows->dim, metric, &index));
    return flat_case_fill(index, rows, metric, ids);
}

/* From now on the truth is what the index holds. */
static inline void flat_case_decode(flat_case *c) {
    int64_t *ids = malloc(c->truth.count * sizeof *ids);
    for (size_t i = 0; i < c->truth.count; i++)
        ids[i] = c->truth.ids ? c->truth.ids[i] : (int64_t)i;
    ck_ok(vindex_reconstruct(c->index, ids, (int64_t)c->truth.count, c->numbers));
    oracle_close(&c->truth);
    c->truth.exact = false;
    oracle_open(&c->truth);
    free(ids);
}

static inline void flat_case_free(flat_case *c) {
    vindex_free(c->index);
    oracle_close(&c->truth);
    free(c->numbers);
}

/* Queries that belong to the rows of a case. */
static inline float *flat_case_queries(const flat_case *c, size_t count) {
    vectors set = c->rows;
    set.queries = true;
    set.count = count;
    return vectors_make(&set);
}

/* Rankings of count queries; weights: NULL, or `weight_rows` rows as in a search. */
static inline oracle_ranking *flat_case_rank(const flat_case *c, const float *queries, size_t count,
                                             const float *weights, size_t weight_rows) {
    oracle_ranking *rankings = calloc(count + 1, sizeof *rankings);
    for (size_t q = 0; q < count; q++)
        rankings[q] = oracle_rank(&c->truth, queries + q * c->rows.dim,
                                  weights && weight_rows > 1 ? weights + q * c->rows.dim : weights);
    return rankings;
}

static inline void rankings_free(oracle_ranking *rankings, size_t count) {
    for (size_t q = 0; q < count; q++) oracle_ranking_free(&rankings[q]);
    free(rankings);
}

/* Searches and compares; `what` is added to the name of the case. */
static inline void flat_case_search(const flat_case *c, const float *queries, size_t count,
                                    const oracle_ranking *rankings,
                                    const vindex_search_params *params, const char *what) {
    size_t k = (size_t)params->k;
    int64_t *ids = malloc((count * k + 1) * sizeof *ids);
    float *distances = malloc((count * k + 1) * sizeof *distances);
    ck_ok(vindex_search(c->index, queries, (int64_t)count, params, ids, distances));
    for (size_t q = 0; q < count; q++) {
        char name[300];
        snprintf(name, sizeof name, "%s: query %zu of %zu, k %zu, %d threads%s%s", c->name, q,
                 count, k, (int)params->threads, *what ? ", " : "", what);
        oracle_answer answer = {ids + q * k, distances + q * k, k};
        oracle_check(&c->truth, &rankings[q], &answer, name);
    }
    free(ids);
    free(distances);
}

/* The same for a range search. */
static inline void flat_case_range(const flat_case *c, const float *queries, size_t count,
                                   const oracle_ranking *rankings,
                                   const vindex_search_params *params, float radius) {
    vindex_range_result result;
    ck_ok(vindex_range_search(c->index, queries, (int64_t)count, radius, params, &result));
    ck_assert_int_eq(result.query_count, count);
    ck_assert_int_eq(result.offsets[0], 0);
    for (size_t q = 0; q < count; q++) {
        char name[300];
        snprintf(name, sizeof name, "%s: query %zu of %zu, radius %.9g", c->name, q, count,
                 (double)radius);
        ck_assert_int_le(result.offsets[q], result.offsets[q + 1]);
        oracle_answer answer = {result.ids + result.offsets[q],
                                result.distances + result.offsets[q],
                                (size_t)(result.offsets[q + 1] - result.offsets[q])};
        oracle_check_range(&c->truth, &rankings[q], &answer, radius, name);
    }
    vindex_range_result_free(&result);
}

static inline vindex_search_params search_params(int64_t k, int32_t threads) {
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = k;
    params.threads = threads;
    return params;
}

#endif
