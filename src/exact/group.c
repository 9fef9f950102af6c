#include "group.h"

#include <math.h>
#include <omp.h>

#include "bound.h"
#include "codes.h"

/* Groups of fewer queries are scanned one by one: a tile would do the work of tile_queries. */
enum { SMALLEST_TILE_GROUP = 5 };

vindex_status vx_space_fits(const vx_space *space, const float *vectors, size_t n) {
    if (space->dtype == VINDEX_F32) return VINDEX_OK;
    float most = space->dtype == VINDEX_F16 ? 65519.996f : 0x1.fefffep127f;
    for (size_t i = 0; i < n * space->dim; i++)
        if (!(fabsf(vectors[i]) <= most))
            return vx_fail(VINDEX_ERR_DATA,
                           "add: vector %zu has %g in dimension %zu, more than %s can hold; use "
                           "another storage type",
                           i / space->dim, (double)vectors[i], i % space->dim,
                           vindex_dtype_name(space->dtype));
    return VINDEX_OK;
}

vx_measure vx_measure_row(const vx_space *space, const vx_kernels *kernels, const void *row) {
    vx_measure measure = {0};
    if (space->metric == VINDEX_PEARSON)
        measure.mean =
            kernels->settle_sum[space->dtype](NULL, row, space->dim, 0) / (double)space->dim;
    measure.square =
        kernels->settle_products[space->dtype](NULL, NULL, row, space->dim, measure.mean).square;
    return measure;
}

float vx_aux_of(const vx_space *space, const vx_measure *measure) {
    double norm = sqrt(measure->square);
    if (space->metric == VINDEX_L2) return (float)measure->square;
    if (space->metric == VINDEX_INNER_PRODUCT) return vx_round_up(norm);
    if (norm == 0) return 0;
    bool extreme = norm < 1e-30 || norm > 1e30;
    bool mean_dominates =
        sqrt((double)space->dim) * fabs(measure->mean) > (VX_MEAN_RATIO - 1) * norm;
    return extreme || mean_dominates ? NAN : (float)(1 / norm);
}

void vx_aux_fill(const vx_space *space, const vx_kernels *kernels, const void *rows, size_t count,
                 float *aux) {
    size_t stride = vx_space_stride(space);
    for (size_t i = 0; i < count; i++) {
        vx_measure measure = vx_measure_row(space, kernels, (const char *)rows + i * stride);
        aux[i] = vx_aux_of(space, &measure);
    }
}

float vx_aux_largest(const float *aux, size_t count) {
    /* None is negative, so their bits are in their order, with NaN above infinity; and integers
     * have a maximum that compilers vectorise. */
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &aux[i], sizeof bits);
        largest = VX_MAX(largest, bits);
    }
    float result;
    memcpy(&result, &largest, sizeof result);
    return isnan(result) ? INFINITY : result;
}

/* The next `bytes` of memory; NULL when that is NULL, for then only the size is wanted. */
static void *take(char *memory, size_t *used, size_t bytes) {
    void *taken = memory ? memory + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return taken;
}

/* Places the group's arrays one after the other from `memory` on; NULL only measures. */
static size_t place(vx_group *group, char *memory, bool weighted) {
    const vx_kernels *kernels = group->kernels;
    const vx_coder *coder = weighted ? NULL : group->space.coder;
    size_t width = kernels->tile_queries, codes = kernels->code_tile_queries;
    size_t capacity = group->capacity, padded = group->padded, used = 0;
    size_t tiled = capacity < SMALLEST_TILE_GROUP ? 0 : (capacity + width - 1) / width * width;
    size_t coded = coder ? (capacity + codes - 1) / codes * codes : 0;
    size_t single = weighted || (tiled && !coder) ? SMALLEST_TILE_GROUP : capacity;
    group->filter = take(memory, &used, tiled * padded * sizeof(float));
    group->single = take(memory, &used, VX_MIN(single, capacity) * padded * sizeof(float));
    group->settle = take(memory, &used, capacity * padded * sizeof(double));
    group->weights = weighted ? take(memory, &used, capacity * padded * sizeof(double)) : NULL;
    group->norms = take(memory, &used, capacity * sizeof(double));
    group->aux_one = take(memory, &used, VX_TILE_ROWS * sizeof(float));
    group->aux_zero = take(memory, &used, VX_TILE_ROWS * sizeof(float));
    size_t words = coder ? 2 * vx_code_lines(coder->head) : 0;
    group->codes.words = take(memory, &used, coded * words * sizeof(int32_t));
    group->codes.start = take(memory, &used, coded * sizeof(int32_t));
    group->codes.norm = take(memory, &used, coded * sizeof(float));
    group->codes.square = take(memory, &used, coded * sizeof(float));
    group->codes.error = take(memory, &used, coded * sizeof(float));
    group->codes.ratio = take(memory, &used, coded * sizeof(float));
    group->codes.tail = take(memory, &used, coded * sizeof(float));
    group->codes.inverse = take(memory, &used, coded * sizeof(float));
    group->code_base = take(memory, &used, coded * sizeof(double));
    if (coder && coder->refined)
        group->second =
            take(memory, &used, coded * 2 * vx_padded(vx_plane_nibbles(group->space.dim)));
    return used;
}

static vx_group group_of(const vx_space *space, size_t capacity) {
    return (vx_group){.space = *space,
                      .kernels = vx_kernels_get(),
                      .capacity = capacity,
                      .padded = vx_padded(space->dim)};
}

size_t vx_group_bytes(const vx_space *space, size_t capacity) {
    vx_group group = group_of(space, capacity);
    return place(&group, NULL, false);
}

vindex_status vx_group_create(const vx_space *space, size_t capacity, bool weighted,
                              vx_group *group) {
    *group = group_of(space, capacity);
    if (!group->kernels) return VINDEX_ERR_UNSUPPORTED;
    size_t bytes = place(group, NULL, weighted);
    char *memory = vx_alloc_zero(bytes, 1);
    if (!memory) return vx_fail_memory(bytes, 1, "search: preparing queries");
    place(group, memory, weighted);
    group->memory = memory;
    float *one = (float *)(uintptr_t)group->aux_one;
    for (size_t i = 0; i < VX_TILE_ROWS; i++) one[i] = 1;
    return VINDEX_OK;
}

void vx_group_free(vx_group *group) {
    vx_free(group->memory);
    *group = (vx_group){0};
}

static const double *weights_of(const vx_group *group, size_t q) {
    return group->weights ? group->weights + (group->weight_rows == 1 ? 0 : q) * group->padded
                          : NULL;
}

/* The weighted mean, which Pearson takes off on both sides. The mean of a constant vector must be
 * that constant, so that nothing is left of it: without weights every sum is exact, with weights a
 * second step takes off what the first is wrong by. */
static double mean_of(const vx_group *group, const double *weights, vindex_dtype dtype,
                      const void *row) {
    size_t dim = group->space.dim;
    if (!weights) return group->kernels->settle_sum[dtype](NULL, row, dim, 0) / (double)dim;
    double total = 0;
    for (size_t j = 0; j < dim; j++) total += weights[j];
    if (total == 0) return 0; /* an empty subspace: every product is 0 whatever the mean */
    double mean = group->kernels->settle_sum[dtype](weights, row, dim, 0) / total;
    return mean + group->kernels->settle_sum[dtype](weights, row, dim, mean) / total;
}

static void load_settle(vx_group *group, const float *query, size_t q) {
    size_t dim = group->space.dim;
    const double *weights = weights_of(group, q);
    double *settle = group->settle + q * group->padded;
    double mean =
        group->space.metric == VINDEX_PEARSON ? mean_of(group, weights, VINDEX_F32, query) : 0;
    for (size_t j = 0; j < dim; j++) settle[j] = (double)query[j] - mean;
    for (size_t j = dim; j < group->padded; j++) settle[j] = 0;
    group->norms[q] =
        sqrt(group->kernels->settle_products[VINDEX_F32](NULL, weights, query, dim, mean).square);
}

void vx_group_form(const vx_group *group, vx_pass pass, size_t q, float *form) {
    vindex_metric metric = group->space.metric;
    double norm = group->norms[q], scale = -1;
    if (metric == VINDEX_L2)
        scale = pass == VX_PASS_TILE ? -2 : 1;
    else if (metric != VINDEX_INNER_PRODUCT)
        scale = norm > 0 ? -1 / norm : 0;
    const double *settle = group->settle + q * group->padded;
    for (size_t j = 0; j < group->padded; j++) form[j] = (float)(settle[j] * scale);
}

/* Packs the filter forms of a panel of queries, slice by slice. */
static void pack_panel(const vx_group *group, size_t panel, float *forms) {
    size_t width = group->kernels->tile_queries, dim = group->space.dim;
    size_t count = VX_MIN(width, group->count - panel * width);
    for (size_t q = 0; q < count; q++)
        vx_group_form(group, VX_PASS_TILE, panel * width + q, forms + q * group->padded);
    for (size_t first = 0; first < dim; first += VX_SLICE) {
        size_t depth = VX_MIN(dim - first, (size_t)VX_SLICE);
        float *packed = group->filter + first * group->panels * width + panel * depth * width;
        group->kernels->pack[VINDEX_F32](forms, group->padded * sizeof(float), count, first, depth,
                                         width, packed);
    }
}

void vx_group_weigh(vx_group *group, const float *weights, size_t rows) {
    group->weight_rows = rows;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < group->padded; j++)
            group->weights[r * group->padded + j] =
                j < group->space.dim ? (double)weights[r * group->space.dim + j] : 0;
}

vindex_status vx_group_load(vx_group *group, const float *queries, size_t count, int threads) {
    size_t width = group->kernels->tile_queries, each = width * group->padded;
    bool tiles = !group->weights && count >= SMALLEST_TILE_GROUP;
    float *forms = tiles ? vx_alloc((size_t)threads * each, sizeof *forms) : NULL;
    if (tiles && !forms) return vx_fail_memory((size_t)threads * each, sizeof *forms, "search");
    group->count = count;
    group->panels = tiles ? (count + width - 1) / width : 0;
    if (count * group->space.dim < 1 << 16) threads = 1;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t q = 0; q < count; q++) {
        load_settle(group, queries + q * group->space.dim, q);
        if (group->weights) continue;
        if (!tiles || group->space.coder)
            vx_group_form(group, VX_PASS_SCAN, q, group->single + q * group->padded);
    }
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t p = 0; p < group->panels; p++)
        pack_panel(group, p, forms + (threads > 1 ? (size_t)omp_get_thread_num() : 0) * each);
    vx_free(forms);
    return group->space.coder && !group->weights ? vx_group_load_codes(group, threads) : VINDEX_OK;
}

double vx_group_settle(const vx_group *group, size_t q, const void *row) {
    const vx_space *space = &group->space;
    const double *query = group->settle + q * group->padded, *weights = weights_of(group, q);
    if (space->metric == VINDEX_L2)
        return group->kernels->settle_l2[space->dtype](query, weights, row, space->dim);
    double mean = space->metric == VINDEX_PEARSON ? mean_of(group, weights, space->dtype, row) : 0;
    vx_products products =
        group->kernels->settle_products[space->dtype](query, weights, row, space->dim, mean);
    if (space->metric == VINDEX_INNER_PRODUCT) return -products.dot;
    double norms = group->norms[q] * sqrt(products.square);
    return norms > 0 ? -products.dot / norms : 0;
}

/* Bounds every intermediate sum of a tile; its error is gamma times it. */
static double reach_of(vindex_metric metric, double norm, float largest_aux) {
    switch (metric) {
    case VINDEX_L2:
        return norm * norm + (double)largest_aux;
    case VINDEX_INNER_PRODUCT:
        return norm * (double)largest_aux;
    case VINDEX_COSINE:
        return 1;
    case VINDEX_PEARSON:
        return VX_MEAN_RATIO;
    }
    return INFINITY;
}

static double offset_of(vindex_metric metric, double norm) {
    return metric == VINDEX_L2 ? norm * norm : 0;
}

double vx_group_offset(const vx_group *group, size_t q) {
    return offset_of(group->space.metric, group->norms[q]);
}

double vx_group_slack(const vx_group *group, size_t q, float largest_aux) {
    size_t dim = group->space.dim, scan = vx_scan_chain(dim), tile = vx_tile_chain(dim);
    double reach = reach_of(group->space.metric, group->norms[q], largest_aux);
    if (!(reach < VX_FILTER_LIMIT)) return INFINITY;
    return vx_gamma(VX_MAX(scan, tile)) * reach + vx_underflow(dim);
}

vx_bracket vx_limits(const vx_space *space, vx_pass pass, double norm, double key,
                     float largest_aux) {
    size_t chain = pass == VX_PASS_SCAN ? vx_scan_chain(space->dim) : vx_tile_chain(space->dim);
    double under = vx_underflow(space->dim), gamma = vx_gamma(chain);
    if (space->metric == VINDEX_L2 && pass == VX_PASS_SCAN)
        /* sums of squares: the error is relative to the key itself */
        return (vx_bracket){-vx_round_up(under - key * (1 - gamma)),
                            vx_round_up(key * (1 + gamma) + under)};
    double reach = reach_of(space->metric, norm, largest_aux);
    if (!(reach < VX_FILTER_LIMIT)) return (vx_bracket){-INFINITY, INFINITY};
    key -= offset_of(space->metric, norm);
    return (vx_bracket){-vx_round_up(gamma * reach + under - key),
                        vx_round_up(key + gamma * reach + under)};
}

void vx_group_limits(const vx_group *group, vx_pass pass, size_t q, double key, float largest_aux,
                     float *low, float *high) {
    vx_bracket bracket = vx_limits(&group->space, pass, group->norms[q], key, largest_aux);
    *low = bracket.low;
    *high = bracket.high;
}

vx_code_queries vx_group_codes(const vx_group *group, size_t q) {
    const vx_code_queries *all = &group->codes;
    return (vx_code_queries){all->words + q * 2 * vx_code_lines(group->space.coder->head),
                             all->start + q,
                             all->norm + q,
                             all->square + q,
                             all->error + q,
                             all->ratio + q,
                             all->tail + q,
                             all->inverse + q};
}

float vx_group_code_limit(const vx_group *group, size_t q, double key) {
    /* |w - v|^2 <= key where w . v - |v|^2 / 2 >= (|w|^2 - key) / 2; and -(q . x) <= key where
     * q . v >= -key - q . mean. */
    double share = group->space.metric == VINDEX_L2 ? 0.5 : 1;
    double least = group->code_base[q] - key * share;
    double inverse = (double)group->codes.inverse[q];
    return -vx_round_up(-least * inverse * (1 + copysign(0x1p-50, -least)));
}
