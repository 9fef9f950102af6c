/* Within-class whitening: the directions in which rows of one class differ count less (Hatch,
 * Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based speaker recognition",
 * 2006). Of the maps B with B^T B = W^-1, which differ by a rotation, the symmetric one is taken:
 * it changes the vectors least. */
#include <math.h>

#include "core/blas.h"
#include "within.h"

typedef struct settings {
    size_t struct_size;
    double shrinkage;
    bool ledoit_wolf;
} settings;

static const vindex_field fields[] = {
    {"shrinkage", VINDEX_FIELD_DOUBLE, offsetof(settings, shrinkage), 0, 1, 0,
     "draws the scatter within classes towards a multiple of the identity by this share", NULL},
    {"ledoit-wolf", VINDEX_FIELD_BOOL, offsetof(settings, ledoit_wolf), 0, 1, 0,
     "estimates that share from the data", NULL},
};
static const vindex_field_table table = {"wccn", sizeof(settings), fields, VX_COUNT(fields)};

/* Eigenvalues that rounding alone may leave of 0. */
static const double NOTHING = 1e-12;

/* W^-1/2 of the eigenvectors in the rows of `vectors`, which it overwrites. */
static vindex_status write_step(const vx_fit *job, double *vectors, const double *values,
                                vx_step *step) {
    size_t dim = step->in, rank = 0;
    while (rank < dim && values[rank] > values[0] * NOTHING && values[rank] > 0) rank++;
    if (rank < dim)
        return vx_fail(VINDEX_ERR_DATA,
                       "wccn: the scatter within classes has rank %zu of %zu; set shrinkage or "
                       "ledoit-wolf, or put pca:%zu before it",
                       rank, dim, VX_MAX(rank, (size_t)1));
    double *product = vx_alloc(dim * dim, sizeof *product);
    if (!product) return vx_fail_memory(dim * dim, sizeof *product, job->word);
    for (size_t i = 0; i < dim; i++) {
        double scale = pow(values[i], -0.25); /* twice, in the product */
        for (size_t j = 0; j < dim; j++) vectors[i * dim + j] *= scale;
    }
    vx_dsyrk(
        &(vx_dproduct){
            .m = dim, .k = dim, .alpha = 1, .a = vectors, .a_transposed = true, .c = product},
        job->threads);
    for (size_t i = 0; i < dim * dim; i++) step->weights[i] = (float)product[i];
    vx_free(product);
    return VINDEX_OK;
}

static vindex_status whiten(const vx_fit *job, const vx_classes *classes, double *covariance,
                            double *values, vx_step *step) {
    const settings *s = job->settings;
    double share, alone = (double)classes->singletons;
    VX_TRY(vx_within_covariance(job, classes, (vx_shrinkage){s->shrinkage, s->ledoit_wolf},
                                (vx_within_span){0.3, 0.7}, covariance, &share));
    VX_TRY(vx_fit_progress(job, 0.7, "eigenvectors"));
    VX_TRY(vx_eigen(covariance, classes->dim, values));
    VX_TRY(write_step(job, covariance, values, step));
    VX_TRY(vx_step_fact(step, "eigenvalues", values, classes->dim));
    VX_TRY(vx_step_fact(step, "singleton_classes", &alone, 1));
    return vx_step_fact(step, "shrinkage", &share, 1);
}

static vindex_status fit_wccn(const vx_fit *job, vx_step *step) {
    const settings *s = job->settings;
    size_t dim = (size_t)job->rows.dim, numbers;
    VX_TRY(vx_shrinkage_check(job, (vx_shrinkage){s->shrinkage, s->ledoit_wolf}));
    vx_classes classes;
    VX_TRY(vx_classes_compute(job, 0.3, &classes));
    double *covariance = vx_mul(dim, dim, &numbers) ? vx_alloc(numbers, sizeof(double)) : NULL;
    double *values = vx_alloc(dim, sizeof *values);
    vindex_status status = covariance && values
                               ? vx_step_affine(step, dim, dim, false)
                               : vx_fail_memory(dim, dim * sizeof(double), job->word);
    if (status == VINDEX_OK) status = whiten(job, &classes, covariance, values, step);
    vx_free(covariance);
    vx_free(values);
    vx_classes_free(&classes);
    return status;
}

const vx_method vx_method_wccn = {
    .shown = {.word = "wccn",
              .help = "within-class whitening: what differs within classes counts less",
              .needs_labels = true,
              .fields = &table},
    .fit = fit_wccn,
};
