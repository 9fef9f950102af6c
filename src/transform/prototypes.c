/* Class means, the vectors that stand for tags or cliques. */
#include "core/base.h"

#include <vindex/transform.h>

static vindex_status check_means(const float *rows, int64_t n, int64_t dim, const int32_t *labels,
                                 int64_t classes, const float *means) {
    size_t numbers;
    if (n < 1 || dim < 1 || dim > VX_DIM_MOST || classes < 1)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "class means: %lld rows of %lld numbers in %lld classes; give 1 or more of "
                       "each, and at most %d numbers",
                       (long long)n, (long long)dim, (long long)classes, VX_DIM_MOST);
    if (!rows || !labels || !means)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "class means: NULL; give rows, labels and a place for the means");
    if (!vx_mul((size_t)classes, (size_t)dim, &numbers))
        return vx_fail_memory((size_t)classes, (size_t)dim * sizeof(double), "class means");
    for (int64_t i = 0; i < n; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return vx_fail(VINDEX_ERR_DATA,
                           "class means: the label of row %lld is %d; give 0 to %lld", (long long)i,
                           (int)labels[i], (long long)classes - 1);
    size_t where;
    if (!vx_all_finite(rows, (size_t)n * (size_t)dim, &where))
        return vx_fail(VINDEX_ERR_DATA,
                       "class means: row %zu holds NaN or infinity; repair it or leave it out",
                       where / (size_t)dim);
    return VINDEX_OK;
}

static vindex_status sum_classes(const float *rows, size_t n, size_t dim, const int32_t *labels,
                                 size_t classes, double *sums, int64_t *sizes) {
    for (size_t i = 0; i < n; i++) {
        double *sum = sums + (size_t)labels[i] * dim;
        sizes[labels[i]]++;
        for (size_t j = 0; j < dim; j++) sum[j] += (double)rows[i * dim + j];
    }
    for (size_t c = 0; c < classes; c++)
        if (!sizes[c])
            return vx_fail(VINDEX_ERR_DATA,
                           "class means: class %zu has no row, so it has no mean; "
                           "number classes without gaps",
                           c);
    return VINDEX_OK;
}

vindex_status vindex_class_means(const float *rows, int64_t n, int64_t dim, const int32_t *labels,
                                 int64_t classes, float *means) {
    VX_TRY(check_means(rows, n, dim, labels, classes, means));
    size_t width = (size_t)dim, count = (size_t)classes;
    double *sums = vx_alloc_zero(count * width, sizeof *sums);
    int64_t *sizes = vx_alloc_zero(count, sizeof *sizes);
    vindex_status status = sums && sizes
                               ? sum_classes(rows, (size_t)n, width, labels, count, sums, sizes)
                               : vx_fail_memory(count, width * sizeof(double), "class means");
    for (size_t c = 0; status == VINDEX_OK && c < count; c++)
        for (size_t j = 0; j < width; j++)
            means[c * width + j] = (float)(sums[c * width + j] / (double)sizes[c]);
    vx_free(sums);
    vx_free(sizes);
    return status;
}
