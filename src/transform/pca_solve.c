/* Principal components, exactly: by the covariance matrix, or where there are fewer rows than
 * dimensions by the inner products of the rows, which have the same eigenvalues. */
#include <math.h>

#include "core/blas.h"
#include "pca.h"

/* ---- by covariance ---- */

typedef struct covariance {
    const vx_pca *pca;
    double *rows;   /* a block, less the mean */
    double *matrix; /* dim x dim */
    size_t capacity;
    int threads;
} covariance;

static void widen(const float *vectors, size_t count, const vx_pca *pca, double *rows) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < pca->dim; j++)
            rows[i * pca->dim + j] = (double)vectors[i * pca->dim + j] - pca->mean[j];
}

static vindex_status add_block(void *context, size_t first, size_t count, const float *vectors) {
    covariance *c = context;
    size_t dim = c->pca->dim;
    for (size_t done = 0; done < count; done += c->capacity) {
        size_t now = VX_MIN(c->capacity, count - done);
        widen(vectors + done * dim, now, c->pca, c->rows);
        vx_dsyrk(&(vx_dproduct){.m = dim,
                                .k = now,
                                .alpha = 1,
                                .beta = first + done ? 1 : 0,
                                .a = c->rows,
                                .a_transposed = true,
                                .c = c->matrix},
                 c->threads);
    }
    return VINDEX_OK;
}

/* The first k of some vectors, or as many as the rank. */
static vindex_status keep(const vx_pca_options *options, const double *values,
                          const double *vectors, size_t count, vx_pca *pca) {
    pca->rank = vx_rank_of(values, count, options->rank_tolerance);
    size_t k = options->k ? options->k : pca->rank;
    VX_TRY(vx_pca_room(pca, k));
    memcpy(pca->values, values, k * sizeof *values);
    memcpy(pca->vectors, vectors, k * pca->dim * sizeof *vectors);
    return VINDEX_OK;
}

static vindex_status take_apart(const vx_fit *job, const vindex_rows *rows,
                                const vx_pca_options *options, covariance *c, vx_pca *pca) {
    size_t dim = pca->dim;
    double *values = vx_alloc(dim, sizeof *values);
    if (!values) return vx_fail_memory(dim, sizeof *values, job->word);
    vx_pass pass = {"covariance", 0.1, 0.8, add_block, c};
    vindex_status status = vx_rows_each(job, rows, &pass);
    for (size_t i = 0; status == VINDEX_OK && i < dim * dim; i++)
        c->matrix[i] /= (double)rows->count;
    if (status == VINDEX_OK) status = vx_fit_progress(job, 0.8, "eigenvectors");
    if (status == VINDEX_OK) status = vx_eigen(c->matrix, dim, values);
    if (status == VINDEX_OK) status = keep(options, values, c->matrix, dim, pca);
    vx_free(values);
    return status;
}

vindex_status vx_pca_by_covariance(const vx_fit *job, const vindex_rows *rows,
                                   const vx_pca_options *options, vx_pca *pca) {
    size_t numbers, capacity = VX_MIN(vx_rows_block(pca->dim), (size_t)rows->count);
    covariance c = {.pca = pca, .capacity = capacity, .threads = job->threads};
    c.rows = vx_alloc(capacity * pca->dim, sizeof *c.rows);
    if (vx_mul(pca->dim, pca->dim, &numbers)) c.matrix = vx_alloc(numbers, sizeof *c.matrix);
    vindex_status status =
        c.rows && c.matrix
            ? take_apart(job, rows, options, &c, pca)
            : vx_fail_memory(pca->dim, (pca->dim + capacity) * sizeof(double), job->word);
    vx_free(c.rows);
    vx_free(c.matrix);
    return status;
}

/* ---- by inner products ---- */

/* Eigenvectors of the covariance from those of the inner products: X^T u / sqrt(n lambda). */
static vindex_status from_gram(const vx_fit *job, const vx_pca_options *options, const double *rows,
                               size_t n, const double *u, const double *values, vx_pca *pca) {
    pca->rank = vx_rank_of(values, n, options->rank_tolerance);
    size_t k = options->k ? options->k : pca->rank;
    VX_TRY(vx_pca_room(pca, k));
    memcpy(pca->values, values, k * sizeof *values);
    vx_dgemm(
        &(vx_dproduct){
            .m = k, .n = pca->dim, .k = n, .alpha = 1, .a = u, .b = rows, .c = pca->vectors},
        job->threads);
    for (size_t i = 0; i < k; i++) {
        double length = sqrt(VX_MAX(values[i], 0.0) * (double)n);
        double scale = i < pca->rank ? 1 / length : 0; /* the rest is any orthonormal completion */
        for (size_t j = 0; j < pca->dim; j++) pca->vectors[i * pca->dim + j] *= scale;
    }
    return vx_orthonormalise(pca->vectors, k, pca->dim);
}

vindex_status vx_pca_by_gram(const vx_fit *job, const vindex_rows *rows,
                             const vx_pca_options *options, vx_pca *pca) {
    size_t n = (size_t)rows->count, dim = pca->dim, square, numbers;
    const float *vectors;
    float *owned;
    if (!vx_mul(n, n, &square) || !vx_mul(n, dim, &numbers))
        return vx_fail_memory(n, n * sizeof(double), job->word);
    VX_TRY(vx_rows_all(job, rows, &vectors, &owned));
    double *centred = vx_alloc(numbers, sizeof *centred);
    double *u = vx_alloc(square, sizeof *u), *values = vx_alloc(n, sizeof *values);
    vindex_status status = VINDEX_OK;
    if (!centred || !u || !values) {
        status = vx_fail_memory(n, (n + dim) * sizeof(double), job->word);
    } else {
        widen(vectors, n, pca, centred);
        status = vx_fit_progress(job, 0.2, "inner products and eigenvectors");
        vx_dsyrk(&(vx_dproduct){.m = n, .k = dim, .alpha = 1 / (double)n, .a = centred, .c = u},
                 job->threads);
        if (status == VINDEX_OK) status = vx_eigen(u, n, values);
        if (status == VINDEX_OK) status = from_gram(job, options, centred, n, u, values, pca);
    }
    vx_free(centred);
    vx_free(u);
    vx_free(values);
    vx_free(owned);
    return status;
}
