#include "codes.h"

#include <math.h>
#include <omp.h>

#include "bound.h"

enum {
    NORM_MOST = 1000000000, /* squared twice it is still a float */
    SMALLEST_CODE_TILE = 5  /* smaller groups look at the codes query by query */
};

/* The row as its codes see it: single precision, centred for Pearson. */
static double prepare(const vx_space *space, const vx_kernels *kernels, const void *row,
                      float *values) {
    double mean = 0;
    if (space->metric == VINDEX_PEARSON)
        mean = kernels->settle_sum[space->dtype](NULL, row, space->dim, 0) / (double)space->dim;
    kernels->widen[space->dtype](row, space->dim, values);
    for (size_t j = 0; mean != 0 && j < space->dim; j++)
        values[j] = (float)((double)values[j] - mean);
    return sqrt(kernels->settle_products[space->dtype](NULL, NULL, row, space->dim, mean).square);
}

void vx_codes_encode(const vx_space *space, const vx_kernels *kernels, const void *row,
                     const vx_codes_memory *memory, size_t at, float *work) {
    size_t group = at / VX_CODE_ROWS, lines = vx_code_lines(space->dim);
    unsigned char *codes = memory->codes + group * lines * VX_CODE_LINE;
    double scale, rest, length, norm = prepare(space, kernels, row, work);
    vx_rotation_apply(space->rotation, kernels, work, work + space->dim);
    kernels->encode(work, space->dim, codes, at % VX_CODE_ROWS, &scale, &rest, &length);
    /* What rotating (and centring) in single precision may have moved, and gradual underflow. */
    double moved =
        vx_gamma(vx_rotation_chain(space->rotation) + 2) * norm + vx_underflow(space->dim);
    memory->numbers[VX_CODE_SCALE][at] =
        norm < NORM_MOST ? (float)scale : NAN; /* NaN: always settled */
    memory->numbers[VX_CODE_REST][at] = vx_round_up(rest * (1 + 0x1p-40) + moved);
    memory->numbers[VX_CODE_LENGTH][at] = vx_round_up(fmax(length * (1 + 0x1p-40), 1e-30));
}

void vx_codes_move(size_t dim, const vx_codes_memory *source, size_t from,
                   const vx_codes_memory *target, size_t to) {
    size_t lines = vx_code_lines(dim);
    const unsigned char *read =
        source->codes + from / VX_CODE_ROWS * lines * VX_CODE_LINE + from % VX_CODE_ROWS * 4;
    unsigned char *write =
        target->codes + to / VX_CODE_ROWS * lines * VX_CODE_LINE + to % VX_CODE_ROWS * 4;
    for (size_t l = 0; l < lines; l++) memcpy(write + l * VX_CODE_LINE, read + l * VX_CODE_LINE, 4);
    for (int n = 0; n < VX_CODE_NUMBERS; n++) target->numbers[n][to] = source->numbers[n][from];
}

/* Writes word w of query q where its kernel looks for it. */
static int32_t *word_of(const vx_group *group, size_t q, size_t w) {
    size_t width = group->code_panels ? group->kernels->code_tile_queries : 1;
    size_t words = 2 * vx_code_lines(group->space.dim);
    int32_t *all = (int32_t *)(uintptr_t)group->codes.words;
    return all + q / width * width * words + w * width + q % width;
}

/* The query as codes multiply it: |y| times larger is better for every metric. */
static void code_form(const vx_group *group, size_t q, float *form, float *spare) {
    double norm = group->norms[q];
    bool unit = group->space.metric == VINDEX_COSINE || group->space.metric == VINDEX_PEARSON;
    double scale = !unit ? 1 : norm > 0 ? 1 / norm : 0;
    const double *settle = group->settle + q * group->padded;
    for (size_t j = 0; j < group->space.dim; j++) form[j] = (float)(settle[j] * scale);
    vx_rotation_apply(group->space.rotation, group->kernels, form, spare);
}

static void load_query(const vx_group *group, size_t q, float *form) {
    size_t dim = group->space.dim;
    float largest = 0;
    code_form(group, q, form, form + dim);
    for (size_t j = 0; j < dim; j++) largest = fmaxf(largest, fabsf(form[j]));
    double step = (double)largest / 127, square = 0, error = 0;
    int32_t sum = 0;
    for (size_t first = 0; first < dim; first += 4) {
        int8_t four[4] = {0};
        for (size_t j = first; j < VX_MIN(first + 4, dim); j++) {
            double z = step > 0 ? nearbyint((double)form[j] / step) : 0;
            double off = (double)form[j] - z * step;
            four[j - first] = (int8_t)z;
            sum += (int32_t)z;
            square += (double)form[j] * (double)form[j];
            error += off * off;
        }
        memcpy(word_of(group, q, first / 4), four, sizeof four);
    }
    /* Rounded outward by far more than these sums and the kernel's own roundings can err. */
    double norm = sqrt(square) * (1 + 0x1p-20);
    ((int32_t *)(uintptr_t)group->codes.offset)[q] = 15 * sum;
    ((float *)(uintptr_t)group->codes.step)[q] = (float)step;
    ((float *)(uintptr_t)group->codes.norm)[q] = vx_round_up(norm);
    ((float *)(uintptr_t)group->codes.square)[q] = vx_round_up(norm * norm);
    ((float *)(uintptr_t)group->codes.error)[q] = vx_round_up(sqrt(error) + norm * 0x1p-20);
}

vindex_status vx_group_load_codes(vx_group *group, int threads) {
    size_t width = group->kernels->code_tile_queries, dim = group->space.dim;
    float *forms = vx_alloc((size_t)threads * 2 * dim, sizeof *forms);
    if (!forms) return vx_fail_memory((size_t)threads * 2 * dim, sizeof *forms, "search");
    group->code_panels =
        group->count >= SMALLEST_CODE_TILE ? (group->count + width - 1) / width : 0;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t q = 0; q < group->count; q++)
        load_query(group, q, forms + (threads > 1 ? (size_t)omp_get_thread_num() : 0) * 2 * dim);
    vx_free(forms);
    return VINDEX_OK;
}
