/* The plainest methods: standardise (mean 0, variance 1 in each dimension), centre (mean 0),
 * normalise (length 1). */
#include <math.h>

#include "moments.h"

/* Turns moments into a shift and a scale. A dimension that never changes is only shifted: one that
 * differs from its mean by no more than rounding has no variance to speak of. */
static vindex_status write_step(const vx_moments *m, bool scaled, vx_step *step) {
    VX_TRY(vx_step_scale(step, m->dim));
    double constant = 0;
    for (size_t j = 0; j < m->dim; j++) {
        step->shift[j] = (float)m->mean[j];
        double deviation = sqrt(m->variance[j]);
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
    vx_moments m;
    VX_TRY(vx_moments_compute(job, &job->rows, 1, &m));
    vindex_status status = write_step(&m, scaled, step);
    vx_moments_free(&m);
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

/* Moments, of which little is kept. */
static double fit_bytes(const vx_fit *job) {
    return 4 * sizeof(double) * (double)job->rows.dim;
}

const vx_method vx_method_standardise = {
    .shown = {.word = "standardise", .help = "mean 0 and variance 1 in every dimension"},
    .fit = fit_standardise,
    .bytes = fit_bytes,
};

const vx_method vx_method_centre = {
    .shown = {.word = "centre", .help = "mean 0 in every dimension"},
    .fit = fit_centre,
    .bytes = fit_bytes,
};

const vx_method vx_method_normalise = {
    .shown = {.word = "normalise", .help = "length 1; nothing is learned"},
    .fit = fit_normalise,
    .bytes = fit_bytes,
};
