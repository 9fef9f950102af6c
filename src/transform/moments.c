#include "moments.h"

/* Updated block by block (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
 * computing sample variances", 1979). */
typedef struct running {
    vx_moments *moments; /* variance holds summed squares about the mean meanwhile */
    size_t count;
    int threads;
} running;

enum { COLUMNS = 64 }; /* at a time, so that their sums stay in registers and the first cache */

/* Adds columns first ... first+width-1 of a block. */
static void add_columns(const running *r, const float *vectors, size_t count, size_t first,
                        size_t width) {
    size_t dim = r->moments->dim;
    double mean[COLUMNS] = {0}, squares[COLUMNS] = {0};
    double before = (double)r->count, now = (double)count, all = before + now;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < width; j++) mean[j] += (double)vectors[i * dim + first + j];
    for (size_t j = 0; j < width; j++) mean[j] /= now;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < width; j++) {
            double away = (double)vectors[i * dim + first + j] - mean[j];
            squares[j] += away * away;
        }
    for (size_t j = 0; j < width; j++) {
        double gap = mean[j] - r->moments->mean[first + j];
        r->moments->mean[first + j] += gap * (now / all);
        r->moments->variance[first + j] += squares[j] + gap * gap * (before * now / all);
    }
}

static vindex_status add_block(void *context, size_t first, size_t count, const float *vectors) {
    running *r = context;
    size_t dim = r->moments->dim;
    (void)first;
#pragma omp parallel for num_threads(r->threads) schedule(static) if (r->threads > 1)
    for (size_t j = 0; j < dim; j += COLUMNS)
        add_columns(r, vectors, count, j, VX_MIN((size_t)COLUMNS, dim - j));
    r->count += count;
    return VINDEX_OK;
}

vindex_status vx_moments_compute(const vx_fit *job, const vindex_rows *rows, double until,
                                 vx_moments *moments) {
    size_t dim = (size_t)rows->dim;
    double *room = vx_alloc_zero(2 * dim, sizeof *room);
    if (!room) return vx_fail_memory(2 * dim, sizeof *room, job->word);
    *moments = (vx_moments){dim, room, room + dim};
    running r = {moments, 0, job->threads};
    vx_pass pass = {"mean and variance", 0, until, add_block, &r};
    vindex_status status = vx_rows_each(job, rows, &pass);
    if (status != VINDEX_OK) {
        vx_moments_free(moments);
        return status;
    }
    for (size_t j = 0; j < dim; j++) moments->variance[j] /= (double)rows->count;
    return VINDEX_OK;
}

void vx_moments_free(vx_moments *moments) {
    vx_free(moments->mean);
    *moments = (vx_moments){0};
}
