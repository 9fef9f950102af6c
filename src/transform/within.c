#include "within.h"

#include "core/blas.h"

/* ---- classes ---- */

typedef struct summing {
    const vx_fit *job;
    vx_classes *classes;
} summing;

static vindex_status add_rows(void *context, size_t first, size_t count, const float *vectors) {
    const summing *s = context;
    size_t dim = s->classes->dim;
    for (size_t i = 0; i < count; i++) {
        size_t class = (size_t)s->job->labels[first + i];
        double *sum = s->classes->means + class * dim;
        s->classes->sizes[class]++;
        for (size_t j = 0; j < dim; j++) sum[j] += (double)vectors[i * dim + j];
    }
    return VINDEX_OK;
}

static vindex_status check_classes(const vx_fit *job, const vx_classes *classes) {
    if (classes->count < 2)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: all %zu rows have one label; give rows of two classes or more",
                       job->word, classes->rows);
    if (classes->singletons == classes->count)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: each of the %zu classes has a single row, which says nothing about "
                       "how rows of a class differ; give classes of two rows or more",
                       job->word, classes->count);
    return VINDEX_OK;
}

static void divide(vx_classes *classes) {
    size_t dim = classes->dim;
    for (size_t c = 0; c < classes->count; c++) {
        double *mean = classes->means + c * dim;
        for (size_t j = 0; j < dim; j++) {
            classes->mean[j] += mean[j];
            mean[j] /= (double)classes->sizes[c];
        }
        classes->singletons += classes->sizes[c] == 1;
    }
    for (size_t j = 0; j < dim; j++) classes->mean[j] /= (double)classes->rows;
}

vindex_status vx_classes_compute(const vx_fit *job, double until, vx_classes *classes) {
    size_t dim = (size_t)job->rows.dim, numbers;
    *classes = (vx_classes){.count = job->classes, .dim = dim, .rows = (size_t)job->rows.count};
    classes->sizes = vx_alloc_zero(job->classes, sizeof *classes->sizes);
    classes->mean = vx_alloc_zero(dim, sizeof *classes->mean);
    if (vx_mul(job->classes, dim, &numbers))
        classes->means = vx_alloc_zero(numbers, sizeof *classes->means);
    vindex_status status = VINDEX_OK;
    if (!classes->sizes || !classes->means || !classes->mean)
        status = vx_fail_memory(job->classes, dim * sizeof(double), job->word);
    summing s = {job, classes};
    vx_pass pass = {"class means", 0, until, add_rows, &s};
    if (status == VINDEX_OK) status = vx_rows_each(job, &job->rows, &pass);
    if (status == VINDEX_OK) {
        divide(classes);
        status = check_classes(job, classes);
    }
    if (status != VINDEX_OK) vx_classes_free(classes);
    return status;
}

void vx_classes_free(vx_classes *classes) {
    vx_free(classes->sizes);
    vx_free(classes->means);
    vx_free(classes->mean);
    *classes = (vx_classes){0};
}

/* ---- the covariance within them ---- */

vindex_status vx_shrinkage_check(const vx_fit *job, vx_shrinkage shrinkage) {
    if (!shrinkage.ledoit_wolf || shrinkage.share == 0) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_ARGUMENT,
                   "%s: shrinkage is %g and ledoit-wolf, which estimates it, is on; give one",
                   job->word, shrinkage.share);
}

void vx_within_residuals(const vx_classes *classes, const int32_t *labels, const float *vectors,
                         size_t count, double *residuals) {
    size_t dim = classes->dim;
    for (size_t i = 0; i < count; i++) {
        const double *mean = classes->means + (size_t)labels[i] * dim;
        for (size_t j = 0; j < dim; j++)
            residuals[i * dim + j] = (double)vectors[i * dim + j] - mean[j];
    }
}

typedef struct scatter {
    const vx_fit *job;
    const vx_classes *classes;
    double *residuals, *matrix;
    size_t capacity;
    double lengths; /* the sum of |residual|^4 */
} scatter;

static vindex_status add_scatter(void *context, size_t first, size_t count, const float *vectors) {
    scatter *s = context;
    size_t dim = s->classes->dim;
    for (size_t done = 0; done < count; done += s->capacity) {
        size_t now = VX_MIN(s->capacity, count - done);
        vx_within_residuals(s->classes, s->job->labels + first + done, vectors + done * dim, now,
                            s->residuals);
        for (size_t i = 0; i < now; i++) {
            double square = 0;
            for (size_t j = 0; j < dim; j++)
                square += s->residuals[i * dim + j] * s->residuals[i * dim + j];
            s->lengths += square * square;
        }
        vx_dsyrk(&(vx_dproduct){.m = dim,
                                .k = now,
                                .alpha = 1,
                                .beta = first + done ? 1 : 0,
                                .a = s->residuals,
                                .a_transposed = true,
                                .c = s->matrix},
                 s->job->threads);
    }
    return VINDEX_OK;
}

static double trace(const double *matrix, size_t dim) {
    double sum = 0;
    for (size_t j = 0; j < dim; j++) sum += matrix[j * dim + j];
    return sum;
}

/* Ledoit and Wolf's share for n residuals whose scatter is X^T X = matrix. */
static double estimate(const double *matrix, size_t dim, double n, double lengths) {
    double squares = 0, mean = trace(matrix, dim) / n / (double)dim;
    for (size_t i = 0; i < dim * dim; i++) squares += matrix[i] * matrix[i];
    squares /= n * n;
    double away = squares / (double)dim - mean * mean;
    double noise = (lengths / n - squares) / n / (double)dim;
    if (!(away > 0) || !(noise > 0)) return 0;
    return VX_MIN(noise / away, 1.0);
}

static void shrink(double *matrix, size_t dim, double share) {
    double mean = trace(matrix, dim) / (double)dim;
    for (size_t i = 0; i < dim * dim; i++) matrix[i] *= 1 - share;
    for (size_t j = 0; j < dim; j++) matrix[j * dim + j] += share * mean;
}

vindex_status vx_within_covariance(const vx_fit *job, const vx_classes *classes,
                                   vx_shrinkage shrinkage, vx_within_span span, double *covariance,
                                   double *share) {
    size_t dim = classes->dim, n = classes->rows;
    scatter s = {.job = job, .classes = classes, .matrix = covariance};
    s.capacity = VX_MIN(vx_rows_block(dim), n);
    s.residuals = vx_alloc(s.capacity * dim, sizeof *s.residuals);
    if (!s.residuals) return vx_fail_memory(s.capacity, dim * sizeof(double), job->word);
    vx_pass pass = {"scatter within classes", span.from, span.until, add_scatter, &s};
    vindex_status status = vx_rows_each(job, &job->rows, &pass);
    vx_free(s.residuals);
    if (status != VINDEX_OK) return status;
    *share =
        shrinkage.ledoit_wolf ? estimate(covariance, dim, (double)n, s.lengths) : shrinkage.share;
    for (size_t i = 0; i < dim * dim; i++) covariance[i] /= (double)(n - classes->count);
    shrink(covariance, dim, *share);
    return VINDEX_OK;
}
