/* Rows kept back from learning, to measure on them what was learned. */
#include <math.h>

#include "chain.h"
#include "core/blas.h"
#include "pca.h"

enum { HELD = 256 };

/* The row that is number i among those not held back. */
static size_t actual(const vx_holdout *h, size_t i) {
    size_t before = i / (h->every - 1);
    return i + VX_MIN(before, h->held);
}

static vindex_status read_actual(const vx_holdout *h, size_t first, size_t count, float *vectors) {
    const vindex_rows *all = &h->all;
    if (!all->vectors) return all->read(all->context, (int64_t)first, (int64_t)count, vectors);
    memcpy(vectors, all->vectors + first * (size_t)all->dim,
           count * (size_t)all->dim * sizeof *vectors);
    return VINDEX_OK;
}

/* Reads run by run, each up to the next row held back. */
static vindex_status read_rest(void *context, int64_t first, int64_t count, float *vectors) {
    const vx_holdout *h = context;
    for (size_t done = 0; done < (size_t)count;) {
        size_t i = (size_t)first + done, left = (size_t)count - done;
        size_t run = h->every - 1 - i % (h->every - 1);
        size_t now = VX_MIN(i / (h->every - 1) < h->held ? run : left, left);
        VX_TRY(read_actual(h, actual(h, i), now, vectors + done * (size_t)h->all.dim));
        done += now;
    }
    return VINDEX_OK;
}

void vx_holdout_make(const vindex_rows *all, vx_holdout *holdout) {
    size_t n = (size_t)all->count;
    *holdout = (vx_holdout){.all = *all, .rest = *all};
    holdout->held = VX_MIN((size_t)HELD, n / 10);
    if (holdout->held < 2) {
        holdout->held = 0;
        return;
    }
    holdout->every = n / holdout->held;
    holdout->rest = (vindex_rows){.count = all->count - (int64_t)holdout->held,
                                  .dim = all->dim,
                                  .read = read_rest,
                                  .context = holdout};
}

/* Squared distances of all pairs from inner products, in place. */
static void distances(const double *rows, size_t n, size_t dim, double *matrix, int threads) {
    vx_dsyrk(&(vx_dproduct){.m = n, .k = dim, .alpha = 1, .a = rows, .c = matrix}, threads);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            matrix[i * n + j] = matrix[i * n + i] + matrix[j * n + j] - 2 * matrix[i * n + j];
}

static double largest_error(const double *before, const double *after, size_t n) {
    double most = 0, scale = 0;
    for (size_t i = 0; i < n; i++) scale = VX_MAX(scale, before[i * n + i]);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            double d = before[i * n + j];
            if (d <= scale * 0x1p-40) continue; /* the same row twice */
            most = VX_MAX(most, fabs(sqrt(VX_MAX(after[i * n + j], 0.0) / d) - 1));
        }
    return most;
}

/* Rows as doubles about their mean, so that inner products do not cancel. */
static void widen(const float *vectors, size_t n, size_t dim, double *rows) {
    for (size_t j = 0; j < dim; j++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) mean += (double)vectors[i * dim + j];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++) rows[i * dim + j] = (double)vectors[i * dim + j] - mean;
    }
}

/* The step as a chain of its own, so that what is measured is what will be applied. */
static vindex_status project(const vx_step *step, const float *rows, size_t n, float *result,
                             int threads) {
    vindex_transform *chain = NULL;
    vx_step copy;
    VX_TRY(vx_step_copy(step, &copy));
    vindex_status status = vx_chain_create(&chain);
    if (status == VINDEX_OK) status = vx_chain_take(chain, &copy, 1);
    if (status == VINDEX_OK) status = vx_chain_apply(chain, rows, n, result, threads);
    vx_step_free(&copy);
    vindex_transform_free(chain);
    return status;
}

vindex_status vx_holdout_distance_error(const vx_fit *job, const vx_holdout *holdout,
                                        const vx_step *step, double *error) {
    size_t n = holdout->held, in = step->in, out = step->out;
    float *rows = vx_alloc(n * in, sizeof *rows), *results = vx_alloc(n * out, sizeof *results);
    double *wide = vx_alloc(n * VX_MAX(in, out), sizeof *wide);
    double *before = vx_alloc(n * n, sizeof *before), *after = vx_alloc(n * n, sizeof *after);
    vindex_status status = VINDEX_OK;
    if (!rows || !results || !wide || !before || !after)
        status = vx_fail_memory(n, (in + out) * sizeof(double), job->word);
    for (size_t i = 0; status == VINDEX_OK && i < n; i++)
        status = vx_rows_read(job, &holdout->all, (i + 1) * holdout->every - 1, 1, rows + i * in);
    if (status == VINDEX_OK) status = project(step, rows, n, results, job->threads);
    if (status == VINDEX_OK) {
        widen(rows, n, in, wide);
        distances(wide, n, in, before, job->threads);
        widen(results, n, out, wide);
        distances(wide, n, out, after, job->threads);
        *error = largest_error(before, after, n);
    }
    vx_free(rows);
    vx_free(results);
    vx_free(wide);
    vx_free(before);
    vx_free(after);
    return status;
}
