#include "codes.h"

#include <math.h>
#include <omp.h>

#include "bound.h"

enum { SMALLEST_CODE_TILE = 5 /* smaller groups look at the codes query by query */ };

/* Norms between which no quantity of a code leaves the normal range of single precision. */
#define NORM_LEAST 1e-9
#define NORM_MOST 1e9

/* The step of the best 16-level uniform quantiser of a Gaussian is 0.3352 sigma (Max, Quantizing
 * for minimum distortion, 1960). Before a second plane, which takes a fixed share of that step, it
 * is better to have fewer numbers beyond the last level. */
#define STEP_ALONE 0.3352
#define STEP_REFINED 0.37
#define SECOND_STEP (1.0 / 11) /* of the first */

static bool fits(double norm) {
    return norm == 0 || (norm >= NORM_LEAST && norm <= NORM_MOST);
}

static bool is_unit(const vx_space *space) {
    return space->metric == VINDEX_COSINE || space->metric == VINDEX_PEARSON;
}

/* Scratch memory of vx_codes_encode. */
typedef struct scratch {
    float *v, *y, *rotation;
    unsigned char *levels; /* one row's */
} scratch;

static scratch place(const vx_coder *coder, float *work) {
    size_t padded = vx_padded(coder->dim);
    float *y = work + VX_CODER_ROWS * padded;
    float *levels = y + VX_CODER_ROWS * vx_padded(coder->head);
    return (scratch){work, y, levels + padded, (unsigned char *)(void *)levels};
}

size_t vx_codes_work(const vx_coder *coder) {
    size_t padded = vx_padded(coder->dim);
    return VX_CODER_ROWS * (padded + vx_padded(coder->head)) + padded + vx_coder_scratch(coder);
}

/* The row as its codes see it: as the metric does, less the mean. */
static void form_row(const vx_space *space, const vx_kernels *kernels, const void *row,
                     const vx_measure *measure, float *v) {
    const float *mean = space->coder->mean;
    double factor = !is_unit(space) ? 1 : measure->square > 0 ? 1 / sqrt(measure->square) : 0;
    kernels->widen[space->dtype](row, space->dim, v);
    const float single = (float)factor;
    if (measure->mean == 0) /* three roundings: docs/exactness.md counts them */
        for (size_t j = 0; j < space->dim; j++) v[j] = v[j] * single - mean[j];
    else
        for (size_t j = 0; j < space->dim; j++)
            v[j] = (float)(((double)v[j] - measure->mean) * factor - (double)mean[j]);
    memset(v + space->dim, 0, (vx_padded(space->dim) - space->dim) * sizeof *v);
}

/* Nibbles into lane `lane` of a group's lines of dimensions. */
static void store_levels(const unsigned char *levels, size_t head, unsigned char *lines,
                         size_t lane) {
    for (size_t i = 0; i < head; i += VX_CODE_DIMS) {
        uint32_t low, high;
        memcpy(&low, levels + i, sizeof low);
        memcpy(&high, levels + i + 4, sizeof high);
        low |= high << 4;
        memcpy(lines + i / VX_CODE_DIMS * VX_CODE_LINE + lane * 4, &low, sizeof low);
    }
}

/* |y - scale u|, rounded up; the sums may err by the term with 2^-50. */
static float rest_of(vx_code_sums sums, double scale, size_t dim) {
    double square = sums.square - 2 * scale * sums.dot + scale * scale * sums.units;
    square = fmax(square, 0) + (double)(dim + 64) * 0x1p-50 * sums.square;
    return vx_round_up(sqrt(square) * (1 + 0x1p-22));
}

/* The second plane: what the first leaves of y, which is mostly within one of its scales. */
static void encode_plane(const vx_space *space, const vx_kernels *kernels, const scratch *own,
                         const float *y, float scale, unsigned char *plane) {
    size_t dim = space->dim, nibbles = vx_plane_nibbles(dim);
    float *rest = own->rotation;
    for (size_t j = 0; j < dim; j++) rest[j] = y[j] - scale * ((float)own->levels[j] - 7.5f);
    memset(rest + dim, 0, (vx_padded(dim) - dim) * sizeof *rest);
    float step = scale * (float)SECOND_STEP;
    vx_code_sums sums = kernels->encode(rest, dim, step > 0 ? 1 / step : 0, 4, own->levels);
    vx_plane_numbers numbers = {.scale = (float)(2 * sums.dot / sums.units)};
    numbers.rest = rest_of(sums, (double)numbers.scale / 2, dim);
    memcpy(plane, &numbers, sizeof numbers);
    for (size_t i = 0; i < nibbles; i++)
        plane[sizeof numbers + i] = (unsigned char)(own->levels[i] | own->levels[nibbles + i] << 4);
}

/* The numbers of a row in front of its group's lines. NaN: always looked at again. */
typedef struct row_numbers {
    float scale, rest, second, tail;
} row_numbers;

static void store_numbers(const vx_code_shape *shape, const row_numbers *numbers,
                          unsigned char *group, size_t lane) {
    uint32_t pair = vx_bf16_near(numbers->scale) << 16 | vx_bf16_up(numbers->rest);
    unsigned char *dword = group + lane * 4;
    memcpy(dword, &pair, sizeof pair);
    if (shape->second != VX_CODE_NOTHING)
        memcpy(dword += VX_CODE_LINE, &numbers->second, sizeof numbers->second);
    if (shape->tailed) memcpy(dword + VX_CODE_LINE, &numbers->tail, sizeof numbers->tail);
}

/* With the least-squares scale s = sum y u / sum u^2 the rest y - s u is orthogonal to s u, and its
 * square is |y|^2 - (sum y u)^2 / sum u^2. The scale that is kept is the bf16 next to it. */
static void encode_row(const vx_space *space, const vx_kernels *kernels, const vx_code_task *task,
                       size_t r, double norm, const scratch *own) {
    const vx_coder *coder = space->coder;
    vx_code_shape shape = vx_coder_shape(coder, space->metric);
    size_t at = task->at + r, lane = at % VX_CODE_ROWS, head = coder->head;
    unsigned char *group = task->codes + vx_codes_bytes(&shape, at - lane);
    const float *y = own->y + r * vx_padded(head);
    double head_norm = norm, step = coder->refined ? STEP_REFINED : STEP_ALONE;
    row_numbers numbers = {.scale = NAN};
    unsigned char *plane = task->planes + at * vx_plane_stride(space->dim);
    if (coder->refined) memset(plane, 0, vx_plane_stride(space->dim));
    bool judged = fits(norm) && !isnan(vx_aux_of(space, &task->measures[r]));
    if (judged) {
        if (coder->matrix)
            head_norm = sqrt(kernels->settle_products[VINDEX_F32](NULL, NULL, y, head, 0).square);
        float steps = head_norm > norm * 0x1p-30 && norm > 0
                          ? (float)(sqrt((double)head) / (step * head_norm))
                          : 0;
        vx_code_sums sums = kernels->encode(y, head, steps, 4, own->levels);
        store_levels(own->levels, head, group + vx_code_numbers(&shape) * VX_CODE_LINE, lane);
        double scale = (double)vx_bf16_value(vx_bf16_near((float)(2 * sums.dot / sums.units))) / 2;
        numbers.scale = (float)(2 * scale);
        numbers.rest = rest_of(sums, scale, head);
        numbers.second = (float)(norm * norm / 2 * (1 - 0x1p-20));
        if (space->metric == VINDEX_INNER_PRODUCT)
            numbers.second = vx_round_up(norm * (1 + (double)VX_CODE_SCALE_ERROR) + 1e-30);
        numbers.tail = vx_round_up(vx_coder_tail(coder, norm, head_norm));
        if (coder->refined) encode_plane(space, kernels, own, y, numbers.scale, plane);
    }
    store_numbers(&shape, &numbers, group, lane);
}

void vx_codes_encode(const vx_space *space, const vx_kernels *kernels, const vx_code_task *task) {
    scratch own = place(space->coder, task->work);
    size_t stride = vx_space_stride(space), padded = vx_padded(space->dim);
    double norms[VX_CODER_ROWS];
    for (size_t r = 0; r < task->count; r++) {
        float *v = own.v + r * padded;
        form_row(space, kernels, (const char *)task->rows + r * stride, &task->measures[r], v);
        norms[r] = sqrt(kernels->settle_products[VINDEX_F32](NULL, NULL, v, space->dim, 0).square);
        /* What is never judged may not overflow on its way either. */
        if (!fits(norms[r])) memset(v, 0, space->dim * sizeof *v);
    }
    vx_coder_rotate(space->coder, kernels, own.v, task->count, own.y, own.rotation);
    for (size_t r = 0; r < task->count; r++) encode_row(space, kernels, task, r, norms[r], &own);
}

vx_codes vx_codes_at(const vx_space *space, const unsigned char *codes, size_t first,
                     size_t count) {
    vx_code_shape shape = vx_coder_shape(space->coder, space->metric);
    return (vx_codes){
        .groups = codes + vx_codes_bytes(&shape, first),
        .count = (count + VX_CODE_ROWS - 1) / VX_CODE_ROWS,
        .shape = shape,
        .length = vx_round_up((1 + space->coder->mean_norm) * (1 + (double)VX_CODE_SCALE_ERROR))};
}

float vx_codes_refine(const vx_group *group, size_t q, const vx_block *block, size_t i,
                      float known) {
    size_t dim = group->space.dim, nibbles = vx_plane_nibbles(dim);
    const unsigned char *plane = block->planes + i * vx_plane_stride(dim);
    vx_plane_numbers numbers;
    memcpy(&numbers, plane, sizeof numbers);
    const int8_t *z = group->second + q * 2 * vx_padded(nibbles);
    int32_t sum = group->kernels->code_refine(plane + sizeof numbers, nibbles, z);
    double product = (double)numbers.scale * ((double)sum + group->codes.start[q]);
    double reach = (double)group->codes.norm[q] + (double)group->codes.error[q];
    return (float)((double)known + product + reach * (double)numbers.rest);
}

void vx_codes_move(const vx_space *space, const vx_block *source, size_t from,
                   const vx_block *target, size_t to) {
    vx_code_shape shape = vx_coder_shape(space->coder, space->metric);
    size_t bytes = vx_codes_bytes(&shape, VX_CODE_ROWS), stride = vx_plane_stride(space->dim);
    const unsigned char *old =
        source->codes + from / VX_CODE_ROWS * bytes + from % VX_CODE_ROWS * 4;
    unsigned char *new = target->codes + to / VX_CODE_ROWS *bytes + to % VX_CODE_ROWS * 4;
    for (size_t line = 0; line < bytes; line += VX_CODE_LINE) memcpy(new + line, old + line, 4);
    if (space->coder->refined)
        memmove(target->planes + to * stride, source->planes + from * stride, stride);
}

/* Word w of query q, where its kernel looks for it. */
static int32_t *word_of(const vx_group *group, size_t q, size_t w) {
    size_t width = group->code_panels ? group->kernels->code_tile_queries : 1;
    size_t words = 2 * vx_code_lines(group->space.coder->head);
    int32_t *all = (int32_t *)(uintptr_t)group->codes.words;
    return all + q / width * width * words + w * width + q % width;
}

/* Scratch memory of load_query. */
typedef struct query_scratch {
    double *w; /* padded */
    float *y;  /* padded */
    int8_t *z;
} query_scratch;

static size_t query_scratch_size(const vx_coder *coder) {
    size_t padded = vx_padded(coder->dim);
    return padded * sizeof(double) + padded * sizeof(float) + padded;
}

static query_scratch place_query(const vx_coder *coder, char *memory) {
    size_t padded = vx_padded(coder->dim);
    double *w = (double *)(void *)memory;
    float *y = (float *)(void *)(w + padded);
    return (query_scratch){w, y, (int8_t *)(void *)(y + padded)};
}

/* The query as the metric sees it, less the mean where distances are compared; answers its norm. */
static double form_query(const vx_group *group, size_t q, double *w) {
    const vx_space *space = &group->space;
    double norm = group->norms[q], scale = !is_unit(space) ? 1 : norm > 0 ? 1 / norm : 0;
    const double *settle = group->settle + q * group->padded;
    double square = 0;
    for (size_t j = 0; j < group->padded; j++) {
        w[j] = settle[j] * scale;
        if (space->metric == VINDEX_L2 && j < space->dim) w[j] -= (double)space->coder->mean[j];
        square += w[j] * w[j];
    }
    return sqrt(square);
}

/* What the mean adds to every key of the query, and what that may be off by. */
static double code_base(const vx_group *group, double norm, const double *w) {
    const vx_coder *coder = group->space.coder;
    if (group->space.metric == VINDEX_L2) return norm * norm * (1 - 0x1p-30) / 2;
    double product = 0;
    for (size_t j = 0; j < coder->dim; j++) product += w[j] * (double)coder->mean[j];
    return -product - norm * coder->mean_norm * (double)(coder->dim + 64) * 0x1p-51;
}

/* The sum is even so that 7.5 times it is whole, too: the number
 * nearest to the middle between two integers goes to the other one. */
int32_t vx_quantise(const float *y, double inverse, size_t dim, int8_t *z) {
    int32_t sum = 0;
    size_t closest = 0;
    double least = -1;
    for (size_t j = 0; j < dim; j++) {
        double exact = (double)y[j] * inverse, rounded = nearbyint(exact);
        z[j] = (int8_t)rounded;
        sum += (int32_t)rounded;
        if (fabs(exact - rounded) > least) least = fabs(exact - rounded), closest = j;
    }
    if (sum % 2 == 0) return sum;
    int step = (double)y[closest] * inverse > z[closest] ? 1 : -1;
    if (z[closest] + step > 127 || z[closest] + step < -127) step = -step;
    z[closest] = (int8_t)(z[closest] + step);
    return sum + step;
}

static void store_query(const vx_group *group, size_t q, const int8_t *z) {
    const vx_coder *coder = group->space.coder;
    size_t head = coder->head, nibbles = vx_plane_nibbles(coder->dim);
    for (size_t first = 0; first < head; first += 4) {
        int8_t four[4] = {0};
        memcpy(four, z + first, VX_MIN(head - first, (size_t)4));
        memcpy(word_of(group, q, first / 4), four, sizeof four);
    }
    if (!coder->refined) return;
    int8_t *halves = (int8_t *)(uintptr_t)group->second + q * 2 * vx_padded(nibbles);
    memset(halves, 0, 2 * vx_padded(nibbles));
    memcpy(halves, z, VX_MIN(head, nibbles));
    if (head > nibbles) memcpy(halves + vx_padded(nibbles), z + nibbles, head - nibbles);
}

static void load_query(const vx_group *group, size_t q, const query_scratch *own) {
    const vx_coder *coder = group->space.coder;
    size_t head = coder->head;
    double whole = form_query(group, q, own->w);
    group->code_base[q] = code_base(group, whole, own->w);
    vx_coder_rotate_query(coder, group->kernels, own->w, own->y);
    /* A head next to nothing beside the whole has a larger unit than it needs, lest that leave the
     * range of single precision. */
    double largest = whole * 0x1p-20;
    for (size_t j = 0; j < head; j++) { /* not by fmax, on which gcc 12 for Arm fails */
        double size = fabs((double)own->y[j]);
        if (size > largest) largest = size;
    }
    float inverse = largest > 0 ? (float)(126.99 / largest) : 1;
    int32_t sum = vx_quantise(own->y, (double)inverse, head, own->z);
    double square = 0, error = 0;
    for (size_t j = 0; j < head; j++) {
        double exact = (double)own->y[j] * (double)inverse, off = exact - own->z[j];
        square += exact * exact;
        error += off * off;
    }
    store_query(group, q, own->z);
    /* Rounded outward by far more than these sums can err. Every rounding of the rotations and of
     * the kernel errs by a share of |q| |v|: so that share of |q|, times the row's length, makes up
     * for all of them. */
    double units = whole * (double)inverse * (1 + 0x1p-20), slack = sqrt(error);
    double norm = sqrt(square) * (1 + 0x1p-20), share = 2 * vx_gamma(VX_CODE_CHAIN);
    share += 2 * vx_coder_error(coder) + 0x1p-20;
    slack += (units + norm + slack) * share;
    double tail = vx_coder_tail(coder, whole, sqrt(square) / (double)inverse);
    /* The looser test multiplies with at least an eighth of the whole, so that error / norm, of
     * which a panel of queries shares the largest, stays small. */
    ((int32_t *)(uintptr_t)group->codes.start)[q] = -(sum / 2 * 15);
    ((float *)(uintptr_t)group->codes.norm)[q] = vx_round_up(fmax(norm, units / 8));
    ((float *)(uintptr_t)group->codes.square)[q] = vx_round_up(norm * norm);
    ((float *)(uintptr_t)group->codes.error)[q] = vx_round_up(slack);
    ((float *)(uintptr_t)group->codes.tail)[q] = vx_round_up(tail * (double)inverse);
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

/* Whether the codes can judge all queries of the group. */
static bool can_judge(const vx_group *group, double *w) {
    for (size_t q = 0; q < group->count && !is_unit(&group->space); q++)
        if (!fits(form_query(group, q, w))) return false;
    return true;
}

vindex_status vx_group_load_codes(vx_group *group, int threads) {
    size_t width = group->kernels->code_tile_queries;
    const vx_coder *coder = group->space.coder;
    size_t each = query_scratch_size(coder);
    char *memory = vx_alloc((size_t)threads, each);
    if (!memory) return vx_fail_memory((size_t)threads, each, "search");
    group->coded = can_judge(group, place_query(coder, memory).w);
    group->code_panels =
        group->coded && group->count >= SMALLEST_CODE_TILE ? (group->count + width - 1) / width : 0;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t q = 0; q < (group->coded ? group->count : 0); q++) {
        size_t thread = threads > 1 ? (size_t)omp_get_thread_num() : 0;
        query_scratch own = place_query(coder, memory + thread * each);
        load_query(group, q, &own);
    }
    if (group->coded) load_ratios(group);
    vx_free(memory);
    return VINDEX_OK;
}
