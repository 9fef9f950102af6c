/* The plainest methods: standardise (mean 0, variance 1 in each dimension), centre (mean 0),
 * normalise (length 1). */
#include <math.h>

#include "method.h"

/* Mean and summed squares about it per dimension, updated block by block (Chan, Golub and LeVeque,
 * "Updating formulae and a pairwise algorithm for computing sample variances", 1979). */
typedef struct moments {
    size_t dim, count;
    double *mean, *squares;         /* of all blocks so far */
    double *block_mean, *block_sum; /* of this block */
} moments;

static vindex_status add_block(void *context, size_t first, size_t count, const float *vectors) {
    moments *m = context;
    size_t dim = m->dim;
    (void)first;
    memset(m->block_mean, 0, dim * sizeof(double));
    memset(m->block_sum, 0, dim * sizeof(double));
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++) m->block_mean[j] += (double)vectors[i * dim + j];
    for (size_t j = 0; j < dim; j++) m->block_mean[j] /= (double)count;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++) {
            double away = (double)vectors[i * dim + j] - m->block_mean[j];
            m->block_sum[j] += away * away;
        }
    double before = (double)m->count, now = (double)count, all = before + now;
    for (size_t j = 0; j < dim; j++) {
        double gap = m->block_mean[j] - m->mean[j];
        m->mean[j] += gap * (now / all);
        m->squares[j] += m->block_sum[j] + gap * gap * (before * now / all);
    }
    m->count += count;
    return VINDEX_OK;
}

/* Turns moments into a shift and a scale. A dimension that never changes is only shifted: one that
 * differs from its mean by no more than rounding has no variance to speak of. */
static vindex_status write_step(const moments *m, bool scaled, vx_step *step) {
    VX_TRY(vx_step_scale(step, m->dim));
    double constant = 0;
    for (size_t j = 0; j < m->dim; j++) {
        step->shift[j] = (float)m->mean[j];
        double deviation = sqrt(m->squares[j] / (double)m->count);
        bool flat = !(deviation > fabs(m->mean[j]) * 0x1p-40);
        constant += flat;
        double scale = scaled && !flat ? 1 / deviation : 1;
        if (!isfinite((float)scale))
            return vx_fail(VINDEX_ERR_DATA,
                           "standardise: dimension %zu has deviation %g, beyond what float32 can "
                           "undo; scale the data first",
                           j, deviation);
        step->scale[j] = (float)scale;
    }
    return scaled ? vx_step_fact(step, "constant", &constant, 1) : VINDEX_OK;
}

static vindex_status fit_moments(const vx_fit *job, bool scaled, vx_step *step) {
    size_t dim = (size_t)job->rows.dim;
    double *room = vx_alloc_zero(4 * dim, sizeof *room);
    if (!room) return vx_fail_memory(4 * dim, sizeof *room, job->word);
    moments m = {dim, 0, room, room + dim, room + 2 * dim, room + 3 * dim};
    vx_pass pass = {"mean and variance", 0, 1, add_block, &m};
    vindex_status status = vx_rows_each(job, &job->rows, &pass);
    if (status == VINDEX_OK) status = write_step(&m, scaled, step);
    vx_free(room);
    return status;
}

static vindex_status fit_standardise(const vx_fit *job, vx_step *step) {
    return fit_moments(job, true, step);
}

static vindex_status fit_centre(const vx_fit *job, vx_step *step) {
    return fit_moments(job, false, step);
}

static vindex_status fit_normalise(const vx_fit *job, vx_step *step) {
    step->kind = VINDEX_STEP_NORMALISE;
    step->in = step->out = (size_t)job->rows.dim;
    return VINDEX_OK;
}

const vx_method vx_method_standardise = {
    .shown = {.word = "standardise", .help = "mean 0 and variance 1 in every dimension"},
    .fit = fit_standardise,
};

const vx_method vx_method_centre = {
    .shown = {.word = "centre", .help = "mean 0 in every dimension"},
    .fit = fit_centre,
};

const vx_method vx_method_normalise = {
    .shown = {.word = "normalise", .help = "length 1; nothing is learned"},
    .fit = fit_normalise,
};
