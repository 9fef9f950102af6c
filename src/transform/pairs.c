#include "pairs.h"

#include <math.h>

#include "core/blas.h"

/* Four sums side by side, so that the processor need not wait for each addition. */
double vx_dot(const float *a, const float *b, size_t dim) {
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= dim; i += 4)
        for (size_t j = 0; j < 4; j++) sums[j] += (double)a[i + j] * (double)b[i + j];
    for (; i < dim; i++) sums[0] += (double)a[i] * (double)b[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static float mean_of(const float *row, size_t dim) {
    double sum = 0;
    for (size_t j = 0; j < dim; j++) sum += (double)row[j];
    return (float)(sum / (double)dim);
}

void vx_units_make(const vx_units *u) {
    size_t dim = u->dim;
    int team = vx_team(u->threads, u->n * dim);
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1)
    for (size_t i = 0; i < u->n; i++) {
        const float *row = u->rows + i * dim;
        float *unit = u->units + i * dim, mean = u->centred ? mean_of(row, dim) : 0;
        for (size_t j = 0; j < dim; j++) unit[j] = row[j] - mean;
        u->lengths[i] = (float)sqrt(vx_dot(unit, unit, dim));
        float scale = u->lengths[i] > 0 ? 1 / u->lengths[i] : 0;
        for (size_t j = 0; j < dim; j++) unit[j] *= scale;
    }
}

/* u = c / |c| has the slope (g - (g.u) u) / |c|; c = v - mean(v) that less its mean. */
void vx_units_back(const vx_units *u, const float *unit_slope, float *slope) {
    size_t dim = u->dim;
    int team = vx_team(u->threads, u->n * dim);
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1)
    for (size_t i = 0; i < u->n; i++) {
        if (!(u->lengths[i] > 0)) continue;
        const float *unit = u->units + i * dim, *given = unit_slope + i * dim;
        float along = (float)vx_dot(given, unit, dim), scale = 1 / u->lengths[i];
        /* A centred unit sums to 0, so only the mean of g is left to take away. */
        float mean = u->centred ? mean_of(given, dim) : 0;
        for (size_t j = 0; j < dim; j++)
            slope[i * dim + j] += (given[j] - mean - along * unit[j]) * scale;
    }
}

static bool correlates(vx_geometry geometry) {
    return geometry == VX_CORRELATION || geometry == VX_CENTRED;
}

static vx_units units_of(const vx_pairs *pairs) {
    return (vx_units){pairs->rows,  pairs->n,       pairs->dim,    pairs->geometry == VX_CENTRED,
                      pairs->units, pairs->lengths, pairs->threads};
}

/* |v - w|^2 = |v|^2 + |w|^2 - 2 v.w, in place of v.w. */
static void distances_of(const vx_pairs *pairs, float *matrix) {
    size_t n = pairs->n;
    float scale = pairs->geometry == VX_EUCLIDEAN ? 1 : 1 / (float)pairs->dim;
    bool root = pairs->geometry != VX_MEAN_SQUARE;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            float square = matrix[i * n + i] + matrix[j * n + j] - 2 * matrix[i * n + j];
            float distance = VX_MAX(square, 0.0f) * scale;
            matrix[i * n + j] = matrix[j * n + i] = root ? sqrtf(distance) : distance;
        }
}

void vx_pairs_compare(const vx_pairs *pairs, float *matrix) {
    size_t n = pairs->n, dim = pairs->dim;
    bool similar = correlates(pairs->geometry);
    if (similar) {
        vx_units units = units_of(pairs);
        vx_units_make(&units);
    }
    const float *rows = similar ? pairs->units : pairs->rows;
    vx_sproduct product = {.m = n, .n = n, .k = dim, .alpha = 1, .a = rows, .c = matrix};
    vx_ssyrk(&product, pairs->threads);
    if (!similar) distances_of(pairs, matrix);
}

/* Both orders of a pair are one comparison: S = G + G^T. Roots pass on 1 / (2 root); where two rows
 * are equal they have no slope. */
static void fold_orders(const vx_pairs *pairs, const float *matrix, float *slopes) {
    size_t n = pairs->n;
    vx_geometry geometry = pairs->geometry;
    float scale = geometry == VX_ROOT_MEAN_SQUARE ? 1 / (float)pairs->dim : 1;
    bool root = geometry == VX_ROOT_MEAN_SQUARE || geometry == VX_EUCLIDEAN;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            float both = slopes[i * n + j] + slopes[j * n + i], far = matrix[i * n + j];
            if (geometry == VX_MEAN_SQUARE) both /= (float)pairs->dim;
            if (root) both = far > 0 ? both * scale / (2 * far) : 0;
            slopes[i * n + j] = slopes[j * n + i] = both;
        }
}

void vx_pairs_back(const vx_pairs *pairs, const float *matrix, float *slopes, float *slope) {
    size_t n = pairs->n, dim = pairs->dim;
    fold_orders(pairs, matrix, slopes);
    vx_sproduct product = {.m = n, .n = dim, .k = n, .a = slopes};
    if (correlates(pairs->geometry)) {
        product.alpha = 1;
        product.b = pairs->units;
        product.c = pairs->spare;
        vx_sgemm(&product, pairs->threads);
        vx_units units = units_of(pairs);
        vx_units_back(&units, pairs->spare, slope);
        return;
    }
    /* sum over j of 2 S_ij (v_i - v_j), the first part on the diagonal. */
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++) sum += j == i ? 0 : (double)slopes[i * n + j];
        slopes[i * n + i] = -(float)sum;
    }
    product.alpha = -2;
    product.beta = 1;
    product.b = pairs->rows;
    product.c = slope;
    vx_sgemm(&product, pairs->threads);
}
