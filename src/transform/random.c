/* Maps that look at no data: Gaussian random projection and the sign-flip Hadamard rotation. */
#include <math.h>

#include "core/rng.h"
#include "method.h"

enum { STREAM_WEIGHTS = 0x677270 };

typedef struct settings {
    size_t struct_size;
    double distortion;
} settings;

static const vindex_field fields[] = {
    {"distortion", VINDEX_FIELD_DOUBLE, offsetof(settings, distortion), 0.001, 0.999, 0.1,
     "without a dimension: how far a squared distance may be off, as a share"},
};
static const vindex_field_table table = {"grp", sizeof(settings), fields, VX_COUNT(fields)};

/* Dimensions that keep the squared distances of n rows to 1 +- e with high probability: the lemma
 * of Johnson and Lindenstrauss in the form of Dasgupta and Gupta, "An elementary proof of a theorem
 * of Johnson and Lindenstrauss", 2003. */
static double enough(double n, double e) {
    return floor(4 * log(n) / (e * e / 2 - e * e * e / 3));
}

static vindex_status fit_grp(const vx_fit *job, vx_step *step) {
    const settings *s = job->settings;
    size_t in = (size_t)job->rows.dim, out = job->dim;
    if (!out) {
        double wanted = enough((double)job->rows.count, s->distortion);
        if (wanted > (double)in || wanted < 1)
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "grp: to keep the distances of %lld rows to %g it takes %.0f "
                           "dimensions, of %zu; give a dimension or another distortion",
                           (long long)job->rows.count, s->distortion, wanted, in);
        out = (size_t)wanted;
    }
    VX_TRY(vx_step_affine(step, in, out, false));
    /* Variance 1/out, so that lengths are kept on average. */
    double scale = 1 / sqrt((double)out);
    for (size_t i = 0; i < out; i++) {
        vx_rng rng = vx_rng_seed(job->seed, (uint64_t)STREAM_WEIGHTS << 32 | i);
        for (size_t j = 0; j < in; j++)
            step->weights[i * in + j] = (float)(scale * vx_rng_normal(&rng));
    }
    return VINDEX_OK;
}

static vindex_status fit_hadamard(const vx_fit *job, vx_step *step) {
    step->kind = VINDEX_STEP_ROTATION;
    step->in = step->out = (size_t)job->rows.dim;
    step->seed = job->seed;
    return VINDEX_OK;
}

/* Nothing is kept of the rows. */
static double no_bytes(const vx_fit *job) {
    (void)job;
    return 0;
}

const vx_method vx_method_grp = {
    .shown = {.word = "grp",
              .help = "Gaussian random projection",
              .chooses_dim = true,
              .fields = &table},
    .fit = fit_grp,
    .bytes = no_bytes,
};

const vx_method vx_method_hadamard = {
    .shown = {.word = "hadamard",
              .help = "random rotation by signs and Hadamard transforms; keeps all distances"},
    .fit = fit_hadamard,
    .bytes = no_bytes,
};
