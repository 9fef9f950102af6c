#include "codes.h"

#include <math.h>
#include <omp.h>

#include "bound.h"

enum { SMALLEST_CODE_TILE = 5 /* smaller groups look at the codes query by query */ };

/* Norms between which no quantity of a code leaves the normal range of single precision. */
#define NORM_LEAST 1e-9
#define NORM_MOST 1e9

static bool fits(double norm) {
    return norm == 0 || (norm >= NORM_LEAST && norm <= NORM_MOST);
}

/* The row as its codes see it: single precision, centred for Pearson, rotated. */
static void rotate_row(const vx_space *space, const vx_kernels *kernels, const void *row,
                       double mean, float *values) {
    kernels->widen[space->dtype](row, space->dim, values);
    for (size_t j = 0; mean != 0 && j < space->dim; j++)
        values[j] = (float)((double)values[j] - mean);
    size_t padded = vx_padded(space->dim);
    vx_rotation_apply(space->rotation, kernels, values, values + padded);
    memset(values + space->dim, 0, (padded - space->dim) * sizeof *values);
}

/* With the least-squares scale s = sum y u / sum u^2 the rest y - s u is orthogonal to s u, and its
 * square is |y|^2 - (sum y u)^2 / sum u^2. The first scale is that of the best 16-level uniform
 * quantiser of a Gaussian, whose step is 0.3352 sigma (Max, Quantizing for minimum distortion,
 * 1960). */
void vx_codes_encode(const vx_space *space, const vx_kernels *kernels, const void *row,
                     const vx_measure *measure, unsigned char *codes, size_t at, float *work) {
    double norm = sqrt(measure->square), divisor = 1;
    float numbers[VX_CODE_NUMBERS] = {[VX_CODE_SCALE] = NAN}; /* NaN: always looked at again */
    bool unit = space->metric == VINDEX_COSINE || space->metric == VINDEX_PEARSON;
    if (unit && norm > 0) divisor = norm;
    bool judged = fits(norm) && !isnan(vx_aux_of(space, measure));
    unsigned char *group = codes + vx_codes_bytes(space, at / VX_CODE_ROWS * VX_CODE_ROWS);
    unsigned char *lines = group + vx_code_numbers(vx_space_biased(space)) * VX_CODE_LINE;
    if (judged) {
        rotate_row(space, kernels, row, measure->mean, work);
        float steps = norm > 0 ? (float)(sqrt((double)space->dim) / (0.3352 * norm)) : 0;
        vx_code_sums sums = kernels->encode(work, space->dim, steps, lines, at % VX_CODE_ROWS);
        double rest = fmax(sums.square - sums.dot * sums.dot / sums.units, 0);
        rest += (double)(space->dim + 64) * 0x1p-50 * sums.square; /* what these sums may err by */
        double scale = sums.dot / sums.units, length = scale * sqrt(sums.units);
        numbers[VX_CODE_SCALE] = (float)(2 * scale / divisor);
        numbers[VX_CODE_REST] = vx_round_up(sqrt(rest) / divisor * (1 + 0x1p-22));
        numbers[VX_CODE_LENGTH] =
            vx_round_up(fmax(length * (1 + 0x1p-22), norm / 2) / divisor + 1e-30);
        numbers[VX_CODE_HALF] = (float)(measure->square / 2 * (1 - 0x1p-20));
    }
    for (size_t n = 0; n < vx_code_numbers(vx_space_biased(space)); n++)
        *vx_codes_number(space, codes, at, n) = numbers[n];
}

void vx_codes_move(const vx_space *space, const unsigned char *source, size_t from,
                   unsigned char *target, size_t to) {
    size_t bytes = vx_codes_bytes(space, VX_CODE_ROWS);
    source += from / VX_CODE_ROWS * bytes + from % VX_CODE_ROWS * 4;
    target += to / VX_CODE_ROWS * bytes + to % VX_CODE_ROWS * 4;
    for (size_t line = 0; line < bytes; line += VX_CODE_LINE)
        memcpy(target + line, source + line, 4);
}

/* Word w of query q, where its kernel looks for it. */
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

/* Rounds form / unit to integers with an even sum, so that 7.5 times the sum is one too: the number
 * nearest to the middle between two integers goes to the other one. */
static int32_t quantise(const float *form, double inverse, size_t dim, int8_t *z) {
    int32_t sum = 0;
    size_t closest = 0;
    double least = -1;
    for (size_t j = 0; j < dim; j++) {
        double exact = (double)form[j] * inverse, rounded = nearbyint(exact);
        z[j] = (int8_t)rounded;
        sum += (int32_t)rounded;
        if (fabs(exact - rounded) > least) least = fabs(exact - rounded), closest = j;
    }
    if (sum % 2 == 0) return sum;
    int step = (double)form[closest] * inverse > z[closest] ? 1 : -1;
    if (z[closest] + step > 127 || z[closest] + step < -127) step = -step;
    z[closest] = (int8_t)(z[closest] + step);
    return sum + step;
}

static void load_query(const vx_group *group, size_t q, float *form) {
    size_t dim = group->space.dim;
    float largest = 0;
    code_form(group, q, form, form + dim);
    for (size_t j = 0; j < dim; j++) largest = fmaxf(largest, fabsf(form[j]));
    float inverse = largest > 0 ? 126.99f / largest : 1;
    int8_t *z = (int8_t *)(void *)(form + dim);
    int32_t sum = quantise(form, (double)inverse, dim, z);
    double square = 0, error = 0;
    for (size_t j = 0; j < dim; j++) {
        double exact = (double)form[j] * (double)inverse, off = exact - z[j];
        square += exact * exact;
        error += off * off;
    }
    for (size_t first = 0; first < dim; first += 4) {
        int8_t four[4] = {0};
        memcpy(four, z + first, VX_MIN(dim - first, (size_t)4));
        memcpy(word_of(group, q, first / 4), four, sizeof four);
    }
    /* Rounded outward by far more than these sums can err. Every rounding of the rotations and of
     * the kernel errs by a share of |q| |x|, and a row's length is at least |x| / 2: so twice that
     * share of |q|, times the length, makes up for all of them. */
    double norm = sqrt(square) * (1 + 0x1p-20), slack = sqrt(error);
    size_t chain = VX_CODE_CHAIN + 2 * vx_rotation_chain(group->space.rotation);
    slack += (norm + slack) * (2 * vx_gamma(chain) + 0x1p-20);
    ((int32_t *)(uintptr_t)group->codes.start)[q] = -(sum / 2 * 15);
    ((float *)(uintptr_t)group->codes.norm)[q] = vx_round_up(norm);
    ((float *)(uintptr_t)group->codes.square)[q] = vx_round_up(norm * norm);
    ((float *)(uintptr_t)group->codes.error)[q] = vx_round_up(slack);
    ((float *)(uintptr_t)group->codes.inverse)[q] = inverse;
}

/* The largest error / norm of each panel, kept with its first query. */
static void load_ratios(const vx_group *group) {
    size_t width = group->code_panels ? group->kernels->code_tile_queries : 1;
    float *ratios = (float *)(uintptr_t)group->codes.ratio;
    for (size_t first = 0; first < group->count; first += width) {
        double largest = 0;
        for (size_t q = first; q < VX_MIN(first + width, group->count); q++)
            if (group->codes.norm[q] > 0)
                largest =
                    fmax(largest, (double)group->codes.error[q] / (double)group->codes.norm[q]);
        ratios[first] = vx_round_up(largest * (1 + 0x1p-20));
    }
}

vindex_status vx_group_load_codes(vx_group *group, int threads) {
    size_t width = group->kernels->code_tile_queries, dim = group->space.dim;
    bool unit = group->space.metric == VINDEX_COSINE || group->space.metric == VINDEX_PEARSON;
    group->coded = true;
    for (size_t q = 0; q < group->count; q++) group->coded &= unit || fits(group->norms[q]);
    if (!group->coded) return VINDEX_OK;
    float *forms = vx_alloc((size_t)threads * 2 * dim, sizeof *forms);
    if (!forms) return vx_fail_memory((size_t)threads * 2 * dim, sizeof *forms, "search");
    group->code_panels =
        group->count >= SMALLEST_CODE_TILE ? (group->count + width - 1) / width : 0;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t q = 0; q < group->count; q++)
        load_query(group, q, forms + (threads > 1 ? (size_t)omp_get_thread_num() : 0) * 2 * dim);
    load_ratios(group);
    vx_free(forms);
    return VINDEX_OK;
}
