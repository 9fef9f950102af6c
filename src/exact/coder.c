#include "coder.h"

#include <math.h>

#include "bound.h"

vindex_status vx_coder_make(size_t dim, float *mean, float *matrix, size_t head, vx_coder *coder) {
    const vx_kernels *kernels = vx_kernels_get();
    *coder = (vx_coder){
        .dim = dim, .head = head, .mean = mean, .matrix = matrix, .forecast = (double)NAN};
    double square = 0;
    for (size_t j = 0; j < dim; j++) square += (double)mean[j] * (double)mean[j];
    coder->mean_norm = sqrt(square);
    vindex_status status = VINDEX_OK;
    if (!matrix) {
        status = vx_rotation_create(dim, &coder->rotation);
    } else {
        size_t width = kernels->tile_queries, panels = (head + width - 1) / width;
        coder->packed = vx_alloc(panels * width * dim, sizeof *coder->packed);
        if (!coder->packed) status = vx_fail_memory(panels * width * dim, sizeof(float), "codes");
        for (size_t first = 0; coder->packed && first < dim; first += VX_SLICE)
            for (size_t p = 0; p < panels; p++) {
                size_t depth = VX_MIN(dim - first, (size_t)VX_SLICE);
                kernels->pack[VINDEX_F32](matrix + p * width * dim, dim * sizeof(float),
                                          VX_MIN(width, head - p * width), first, depth, width,
                                          coder->packed + (first * panels + p * depth) * width);
            }
    }
    if (status != VINDEX_OK) vx_coder_free(coder);
    return status;
}

void vx_coder_free(vx_coder *coder) {
    vx_free(coder->mean);
    vx_free(coder->matrix);
    vx_free(coder->packed);
    vx_rotation_free(&coder->rotation);
    *coder = (vx_coder){0};
}

size_t vx_coder_memory(const vx_coder *coder) {
    size_t signs = (size_t)coder->rotation.rounds * coder->rotation.dim;
    size_t matrices = coder->matrix ? 2 * coder->head * coder->dim : 0;
    return (coder->dim + signs + matrices) * sizeof(float);
}

vx_code_shape vx_coder_shape(const vx_coder *coder, vindex_metric metric) {
    vx_code_second second = metric == VINDEX_L2              ? VX_CODE_HALF
                            : metric == VINDEX_INNER_PRODUCT ? VX_CODE_LENGTH
                                                             : VX_CODE_NOTHING;
    return (vx_code_shape){vx_code_lines(coder->head), second, coder->matrix != NULL};
}

/* Sums of a tile: a line of VX_CODER_ROWS for each row of the matrix, whole panels. */
static size_t sums_size(const vx_coder *coder) {
    return (coder->head + VX_TILE_QUERIES) * VX_CODER_ROWS;
}

size_t vx_coder_scratch(const vx_coder *coder) {
    if (!coder->matrix) return vx_padded(coder->dim);
    return VX_MIN(coder->dim, (size_t)VX_SLICE) * VX_TILE_ROWS + sums_size(coder);
}

/* v times the matrix, by the tiles that batches of queries use. */
static void multiply(const vx_coder *coder, const vx_kernels *kernels, const float *v, size_t count,
                     float *y, float *scratch) {
    size_t dim = coder->dim, head = coder->head, stride = vx_padded(dim);
    size_t width = kernels->tile_queries, height = kernels->tile_rows;
    size_t panels = (head + width - 1) / width;
    float *sums = scratch, *rows = scratch + sums_size(coder);
    for (size_t start = 0; start < count; start += height) {
        size_t some = VX_MIN(height, count - start);
        for (size_t first = 0; first < dim; first += VX_SLICE) {
            size_t depth = VX_MIN(dim - first, (size_t)VX_SLICE);
            kernels->pack[VINDEX_F32](v + start * stride, stride * sizeof *v, some, first, depth,
                                      height, rows);
            for (size_t p = 0; p < panels; p++) {
                float *out = sums + p * width * height;
                vx_tile tile = {rows, coder->packed + (first * panels + p * depth) * width, depth,
                                first ? out : NULL, height};
                kernels->tile_sums(&tile, out);
            }
        }
        for (size_t r = 0; r < some; r++)
            for (size_t j = 0; j < head; j++)
                y[(start + r) * vx_padded(head) + j] = sums[j * height + r];
    }
}

void vx_coder_rotate(const vx_coder *coder, const vx_kernels *kernels, float *v, size_t count,
                     float *y, float *scratch) {
    size_t padded = vx_padded(coder->head);
    if (coder->matrix) {
        multiply(coder, kernels, v, count, y, scratch);
    } else {
        if (y != v) memcpy(y, v, count * padded * sizeof *y);
        for (size_t r = 0; r < count; r++)
            vx_rotation_apply(&coder->rotation, kernels, y + r * padded);
    }
    for (size_t r = 0; r < count; r++)
        memset(y + r * padded + coder->head, 0, (padded - coder->head) * sizeof *y);
}

void vx_coder_rotate_query(const vx_coder *coder, const vx_kernels *kernels, const double *w,
                           float *y) {
    if (!coder->matrix) {
        for (size_t j = 0; j < coder->dim; j++) y[j] = (float)w[j];
        vx_rotation_apply(&coder->rotation, kernels, y);
        return;
    }
    for (size_t j = 0; j < coder->head; j++)
        y[j] = (float)kernels
                   ->settle_products[VINDEX_F32](w, NULL, coder->matrix + j * coder->dim,
                                                 coder->dim, 0)
                   .dot;
}

/* How far y is from the rotated v, as a share of |v|. The 4 pays for centring and for converting.
 */
static double rotation_error(const vx_coder *coder) {
    if (!coder->matrix) return vx_gamma(vx_rotation_chain(&coder->rotation) + 4);
    return vx_gamma(vx_tile_chain(coder->dim) + 4) * sqrt((double)coder->head) * (1 + coder->skew);
}

double vx_coder_error(const vx_coder *coder) {
    double error = rotation_error(coder), most = 1 + coder->skew;
    return 2.01 * error * most + error * error + 1.01 * coder->skew * most * most;
}

double vx_coder_tail(const vx_coder *coder, double norm, double head) {
    if (!coder->matrix) return 0;
    double least = fmax(head * (1 - 0x1p-40) - rotation_error(coder) * norm, 0);
    double square = norm * norm * (1 + 0x1p-19) - least * least * (1 - coder->skew);
    return sqrt(fmax(square, 0)) * (1 + 0x1p-40);
}
