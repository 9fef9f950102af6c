/* Rows to learn from, and what tests of transforms share. */
#ifndef TESTS_TRANSFORM_DATA_H
#define TESTS_TRANSFORM_DATA_H

#include <math.h>
#include <string.h>

#include <vindex/vindex.h>

#include "../harness.h"
#include "core/rng.h"

/* As ck_assert_double_eq_tol, but free while it holds. */
#define ck_near(a, b, tolerance)                                                           \
    ck_each(fabs((a) - (b)) <= (tolerance), "%s is %.9g, %s is %.9g", #a, (double)(a), #b, \
            (double)(b))

/* count x dim Gaussian numbers, to be freed. */
static inline float *data_normal(size_t count, size_t dim, uint64_t seed) {
    float *rows = malloc(count * dim * sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    vx_rng rng = vx_rng_seed(seed, 5);
    for (size_t i = 0; i < count * dim; i++) rows[i] = (float)vx_rng_normal(&rng);
    return rows;
}

/* Rows of that rank, with variances that fall by a half from one direction to the next after
 * every `slow` of them, about a point away from the origin; to be freed. */
static inline float *data_ranked(size_t count, size_t dim, size_t rank, size_t slow) {
    float *basis = data_normal(rank, dim, 1), *parts = data_normal(count, rank, 2);
    float *rows = malloc(count * dim * sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++) {
            double sum = 3;
            for (size_t r = 0; r < rank; r++)
                sum += (double)parts[i * rank + r] * (double)basis[r * dim + j] *
                       exp2(-0.5 * (double)(r / slow));
            rows[i * dim + j] = (float)sum;
        }
    free(basis);
    free(parts);
    return rows;
}

static inline vindex_fit_data data_of(const float *rows, size_t count, size_t dim) {
    vindex_fit_data data;
    vindex_fit_data_init(&data);
    data.rows = (vindex_rows){.count = (int64_t)count, .dim = (int64_t)dim, .vectors = rows};
    return data;
}

/* The same rows behind a callback. */
static inline vindex_status data_read(void *context, int64_t first, int64_t count, float *vectors) {
    const vindex_rows *rows = context;
    ck_assert(first >= 0 && count >= 0 && first + count <= rows->count);
    memcpy(vectors, rows->vectors + first * rows->dim,
           (size_t)(count * rows->dim) * sizeof *vectors);
    return VINDEX_OK;
}

static inline vindex_rows data_streamed(vindex_rows *rows) {
    return (vindex_rows){
        .count = rows->count, .dim = rows->dim, .read = data_read, .context = rows};
}

/* Fits with a dimension and one setting (or NULL). */
static inline vindex_status data_fit(const char *methods, const vindex_fit_data *data, int64_t dim,
                                     const vindex_setting *setting, vindex_transform **transform) {
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    params.dim = dim;
    params.settings = setting;
    params.setting_count = setting != NULL;
    return vindex_fit(methods, data, &params, transform);
}

/* What a transform makes of n rows, to be freed. */
static inline float *data_apply(const vindex_transform *transform, const float *rows, size_t n) {
    float *result = malloc(n * (size_t)vindex_transform_output_dim(transform) * sizeof *result);
    ck_assert_ptr_nonnull(result);
    ck_ok(vindex_transform_apply(transform, rows, (int64_t)n, result, NULL));
    return result;
}

/* The values of a step's fact, which must be there; *count may be NULL. */
static inline const double *data_fact(const vindex_transform *transform, int64_t step,
                                      const char *name, int64_t *count) {
    vindex_transform_fact fact;
    for (int64_t f = 0; vindex_transform_fact_at(transform, step, f, &fact) == VINDEX_OK; f++)
        if (!strcmp(fact.name, name)) {
            if (count) *count = fact.count;
            return fact.values;
        }
    ck_abort_msg("step %lld has no fact %s", (long long)step, name);
}

#endif
