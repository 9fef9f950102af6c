/* Linear discriminant analysis (Fisher 1936; Rao 1948): rows are whitened by the scatter within
 * classes, and turned so that the first numbers tell class means apart best. docs/projections.md
 * has the formulas. */
#include <math.h>

#include "core/blas.h"
#include "pca.h"
#include "within.h"

enum { SOLVER_AUTO, SOLVER_EIGEN, SOLVER_SVD };
enum { PRIORS_EMPIRICAL, PRIORS_UNIFORM };

typedef struct settings {
    size_t struct_size;
    int32_t solver, priors;
    double shrinkage, rank_tolerance;
    bool ledoit_wolf;
} settings;

static const char *const solvers[] = {"auto", "eigen", "svd"};
static const char *const priors[] = {"empirical", "uniform"};

static const vindex_field fields[] = {
    {"shrinkage", VINDEX_FIELD_DOUBLE, offsetof(settings, shrinkage), 0, 1, 0,
     "draws the scatter within classes towards a multiple of the identity by this share", NULL},
    {"ledoit-wolf", VINDEX_FIELD_BOOL, offsetof(settings, ledoit_wolf), 0, 1, 0,
     "estimates that share from the data", NULL},
    {"priors", VINDEX_FIELD_CHOICE, offsetof(settings, priors), 0, 1, 0,
     "weight of a class: its share of the rows, or the same for all", priors},
    {"solver", VINDEX_FIELD_CHOICE, offsetof(settings, solver), 0, 2, 0,
     "eigenvectors of the scatter within classes, streamed; or singular vectors of the rows, all "
     "in memory",
     solvers},
    {"rank-tolerance", VINDEX_FIELD_DOUBLE, offsetof(settings, rank_tolerance), 1e-15, 0.1, 1e-9,
     "share of the largest eigenvalue below which a direction is dropped", NULL},
};
static const vindex_field_table table = {"lda", sizeof(settings), fields, VX_COUNT(fields)};

/* A map under which the scatter within classes is the identity. */
typedef struct whitener {
    double *rows; /* rank x dim */
    size_t rank;
    double share; /* the shrinkage used */
} whitener;

/* ---- whitening ---- */

/* What each dimension is divided by before the rank is judged; 1 where it does not vary within
 * classes, beyond rounding. */
static void deviations(const vx_classes *classes, const double *variance, size_t stride,
                       double *deviation) {
    for (size_t j = 0; j < classes->dim; j++) {
        double root = sqrt(VX_MAX(variance[j * stride], 0.0));
        deviation[j] = root > fabs(classes->mean[j]) * 0x1p-40 ? root : 0;
    }
}

/* Rows i < rank become vectors[i] / (deviation * root of the eigenvalue). */
static void scale_rows(double *vectors, const double *values, const double *deviation, size_t rank,
                       size_t dim) {
    for (size_t i = 0; i < rank; i++)
        for (size_t j = 0; j < dim; j++)
            vectors[i * dim + j] *= deviation[j] > 0 ? 1 / (deviation[j] * sqrt(values[i])) : 0;
}

static vindex_status by_eigen(const vx_fit *job, const vx_classes *classes, const settings *s,
                              double *deviation, whitener *w) {
    size_t dim = classes->dim, numbers;
    vx_shrinkage shrinkage = {s->shrinkage, s->ledoit_wolf};
    w->rows = vx_mul(dim, dim, &numbers) ? vx_alloc(numbers, sizeof *w->rows) : NULL;
    double *values = vx_alloc(dim, sizeof *values);
    vindex_status status = VINDEX_OK;
    if (!w->rows || !values) status = vx_fail_memory(dim, dim * sizeof(double), job->word);
    if (status == VINDEX_OK)
        status = vx_within_covariance(job, classes, shrinkage, (vx_within_span){0.3, 0.7}, w->rows,
                                      &w->share);
    if (status == VINDEX_OK) {
        deviations(classes, w->rows, dim + 1, deviation);
        for (size_t i = 0; i < dim; i++)
            for (size_t j = 0; j < dim; j++) {
                double both = deviation[i] * deviation[j];
                w->rows[i * dim + j] = both > 0 ? w->rows[i * dim + j] / both : 0;
            }
        status = vx_fit_progress(job, 0.7, "eigenvectors");
    }
    if (status == VINDEX_OK) status = vx_eigen(w->rows, dim, values);
    if (status == VINDEX_OK) {
        w->rank = vx_rank_of(values, dim, s->rank_tolerance);
        scale_rows(w->rows, values, deviation, w->rank, dim);
    }
    vx_free(values);
    return status;
}

/* Residuals over their deviation, and the root of their degrees of freedom. */
static void scale_residuals(const vx_classes *classes, double *residuals, double *deviation) {
    size_t n = classes->rows, dim = classes->dim;
    double *variance = deviation; /* in place */
    for (size_t j = 0; j < dim; j++) variance[j] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++)
            variance[j] += residuals[i * dim + j] * residuals[i * dim + j];
    double freedom = (double)(n - classes->count);
    for (size_t j = 0; j < dim; j++) variance[j] /= freedom;
    deviations(classes, variance, 1, deviation);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++)
            residuals[i * dim + j] *= deviation[j] > 0 ? 1 / (deviation[j] * sqrt(freedom)) : 0;
}

static vindex_status by_svd(const vx_fit *job, const vx_classes *classes, const settings *s,
                            double *deviation, whitener *w) {
    size_t n = classes->rows, dim = classes->dim, least = VX_MIN(n, dim), numbers, square, right;
    const float *vectors;
    float *owned;
    if (!vx_mul(n, dim, &numbers) || !vx_mul(n, least, &square) || !vx_mul(least, dim, &right))
        return vx_fail_memory(n, dim * sizeof(double), job->word);
    VX_TRY(vx_rows_all(job, &job->rows, &vectors, &owned));
    double *residuals = vx_alloc(numbers, sizeof *residuals), *u = vx_alloc(square, sizeof *u);
    double *values = vx_alloc(least, sizeof *values);
    w->rows = vx_alloc(right, sizeof *w->rows);
    vindex_status status = VINDEX_OK;
    if (!residuals || !u || !values || !w->rows)
        status = vx_fail_memory(n, 2 * dim * sizeof(double), job->word);
    if (status == VINDEX_OK) {
        vx_within_residuals(classes, job->labels, vectors, n, residuals);
        scale_residuals(classes, residuals, deviation);
        status = vx_fit_progress(job, 0.5, "singular vectors");
    }
    if (status == VINDEX_OK)
        status = vx_svd_compute(&(vx_svd){residuals, n, dim, u, values, w->rows});
    if (status == VINDEX_OK) {
        for (size_t i = 0; i < least; i++) values[i] *= values[i];
        w->rank = vx_rank_of(values, least, s->rank_tolerance);
        scale_rows(w->rows, values, deviation, w->rank, dim);
    }
    vx_free(residuals);
    vx_free(u);
    vx_free(values);
    vx_free(owned);
    return status;
}

static vindex_status whiten(const vx_fit *job, const vx_classes *classes, const settings *s,
                            whitener *w) {
    bool shrinks = s->shrinkage > 0 || s->ledoit_wolf;
    bool svd = s->solver == SOLVER_SVD ||
               (s->solver == SOLVER_AUTO && !shrinks && classes->rows < classes->dim);
    double *deviation = vx_alloc(classes->dim, sizeof *deviation);
    if (!deviation) return vx_fail_memory(classes->dim, sizeof *deviation, job->word);
    vindex_status status =
        svd ? by_svd(job, classes, s, deviation, w) : by_eigen(job, classes, s, deviation, w);
    vx_free(deviation);
    if (status != VINDEX_OK || w->rank) return status;
    return vx_fail(VINDEX_ERR_DATA,
                   "lda: rows of one class are all the same, so nothing is known about how they "
                   "differ; give rows that do, or the class means will do without lda");
}

/* ---- between classes ---- */

/* Class means, whitened and weighted by the root of rows * prior / (classes - 1), in classes x
 * rank; `centre` receives their weighted mean, from which they are counted. */
static vindex_status weigh_means(const vx_fit *job, const vx_classes *classes, const settings *s,
                                 const whitener *w, double *centre, double *weighted) {
    size_t dim = classes->dim, count = classes->count;
    double *means = vx_alloc(count * dim, sizeof *means);
    if (!means) return vx_fail_memory(count * dim, sizeof *means, job->word);
    for (size_t j = 0; j < dim; j++) {
        double sum = 0;
        for (size_t c = 0; c < count; c++) sum += classes->means[c * dim + j];
        centre[j] = s->priors == PRIORS_UNIFORM ? sum / (double)count : classes->mean[j];
    }
    for (size_t c = 0; c < count; c++) {
        double rows = s->priors == PRIORS_UNIFORM ? (double)classes->rows / (double)count
                                                  : (double)classes->sizes[c];
        double weight = sqrt(rows / (double)(count - 1));
        for (size_t j = 0; j < dim; j++)
            means[c * dim + j] = weight * (classes->means[c * dim + j] - centre[j]);
    }
    vx_dgemm(&(vx_dproduct){.m = count,
                            .n = w->rank,
                            .k = dim,
                            .alpha = 1,
                            .a = means,
                            .b = w->rows,
                            .b_transposed = true,
                            .c = weighted},
             job->threads);
    vx_free(means);
    return VINDEX_OK;
}

static vindex_status choose_dim(const vx_fit *job, const vx_classes *classes, size_t rank,
                                size_t *dim) {
    if (job->dim > classes->count - 1)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "lda: %zu dimensions of %zu classes, which have at most %zu; ask for fewer",
                       job->dim, classes->count, classes->count - 1);
    if (job->dim > rank)
        return vx_fail(VINDEX_ERR_DATA,
                       "lda: %zu dimensions, and the class means span %zu in what is left of the "
                       "rows; ask for fewer",
                       job->dim, rank);
    if (!rank)
        return vx_fail(VINDEX_ERR_DATA,
                       "lda: the means of all %zu classes are the same; nothing tells them apart",
                       classes->count);
    *dim = job->dim ? job->dim : rank;
    return VINDEX_OK;
}

/* The directions that tell means apart, of the weighted means' singular vectors. */
static vindex_status write_step(const vx_fit *job, const whitener *w, const vx_svd *between,
                                const double *centre, vx_step *step) {
    size_t dim = (size_t)job->rows.dim, out = step->out;
    double *weights = vx_alloc(out * dim, sizeof *weights);
    if (!weights) return vx_fail_memory(out * dim, sizeof *weights, job->word);
    vx_dgemm(&(vx_dproduct){.m = out,
                            .n = dim,
                            .k = w->rank,
                            .alpha = 1,
                            .a = between->v,
                            .b = w->rows,
                            .c = weights},
             job->threads);
    for (size_t i = 0; i < out; i++) {
        const double *row = weights + i * dim;
        double most = 0;
        for (size_t j = 0; j < dim; j++)
            if (fabs(row[j]) > fabs(most)) most = row[j];
        for (size_t j = 0; j < dim; j++)
            step->weights[i * dim + j] = (float)(most < 0 ? -row[j] : row[j]);
    }
    for (size_t j = 0; j < dim; j++) step->shift[j] = (float)centre[j];
    vx_free(weights);
    return VINDEX_OK;
}

static vindex_status write_facts(const vx_classes *classes, const whitener *w,
                                 const vx_svd *between, size_t rank, vx_step *step) {
    double total = 0, count = (double)classes->count, alone = (double)classes->singletons;
    double within = (double)w->rank;
    for (size_t i = 0; i < rank; i++) {
        between->values[i] *= between->values[i];
        total += between->values[i];
    }
    for (size_t i = 0; i < rank; i++) between->values[i] /= total;
    VX_TRY(vx_step_fact(step, "explained", between->values, rank));
    VX_TRY(vx_step_fact(step, "classes", &count, 1));
    VX_TRY(vx_step_fact(step, "singleton_classes", &alone, 1));
    VX_TRY(vx_step_fact(step, "rank_within", &within, 1));
    return vx_step_fact(step, "shrinkage", &w->share, 1);
}

static vindex_status discriminate(const vx_fit *job, const vx_classes *classes, const whitener *w,
                                  vx_svd *between, vx_step *step) {
    const settings *s = job->settings;
    size_t dim = classes->dim, least = VX_MIN(between->m, between->n), rank = 0;
    double *centre = vx_alloc(dim, sizeof *centre);
    if (!centre) return vx_fail_memory(dim, sizeof *centre, job->word);
    vindex_status status = weigh_means(job, classes, s, w, centre, between->a);
    if (status == VINDEX_OK) status = vx_fit_progress(job, 0.9, "directions between classes");
    if (status == VINDEX_OK) status = vx_svd_compute(between);
    /* Weighted means sum to 0: one dimension less than there are classes. */
    size_t most = VX_MIN(least, classes->count - 1);
    while (status == VINDEX_OK && rank < most && between->values[rank] > 0x1p-40 &&
           between->values[rank] > between->values[0] * sqrt(s->rank_tolerance))
        rank++;
    size_t out = 0;
    if (status == VINDEX_OK) status = choose_dim(job, classes, rank, &out);
    if (status == VINDEX_OK) status = vx_step_affine(step, dim, out, true);
    if (status == VINDEX_OK) status = write_step(job, w, between, centre, step);
    if (status == VINDEX_OK) status = write_facts(classes, w, between, rank, step);
    vx_free(centre);
    return status;
}

static vindex_status fit_between(const vx_fit *job, const vx_classes *classes, const whitener *w,
                                 vx_step *step) {
    size_t count = classes->count, least = VX_MIN(count, w->rank);
    vx_svd between = {.m = count,
                      .n = w->rank,
                      .a = vx_alloc(count * w->rank, sizeof(double)),
                      .u = vx_alloc(count * least, sizeof(double)),
                      .values = vx_alloc(least, sizeof(double)),
                      .v = vx_alloc(least * w->rank, sizeof(double))};
    vindex_status status = between.a && between.u && between.values && between.v
                               ? discriminate(job, classes, w, &between, step)
                               : vx_fail_memory(count, 2 * w->rank * sizeof(double), job->word);
    vx_free(between.a);
    vx_free(between.u);
    vx_free(between.values);
    vx_free(between.v);
    return status;
}

static vindex_status fit_lda(const vx_fit *job, vx_step *step) {
    const settings *s = job->settings;
    VX_TRY(vx_shrinkage_check(job, (vx_shrinkage){s->shrinkage, s->ledoit_wolf}));
    if (s->solver == SOLVER_SVD && (s->shrinkage > 0 || s->ledoit_wolf))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "lda: shrinkage is asked for with the solver svd, which has no covariance "
                       "to shrink; take eigen");
    vx_classes classes;
    whitener w = {0};
    VX_TRY(vx_classes_compute(job, 0.3, &classes));
    vindex_status status = whiten(job, &classes, s, &w);
    if (status == VINDEX_OK) status = fit_between(job, &classes, &w, step);
    vx_free(w.rows);
    vx_classes_free(&classes);
    return status;
}

const vx_method vx_method_lda = {
    .shown = {.word = "lda",
              .help = "linear discriminant analysis; up to as many numbers as classes, less one",
              .chooses_dim = true,
              .needs_labels = true,
              .fields = &table},
    .fit = fit_lda,
};
