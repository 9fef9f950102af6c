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
    float *v, *y;          /* VX_CODER_ROWS each; signs rotate in place */
    float *rest;           /* one row's, */
    unsigned char *levels; /* as are these */
    float *rotation;
} scratch;

static scratch place(const vx_coder *coder, float *work) {
    size_t padded = vx_padded(coder->dim), head = vx_padded(coder->head);
    float *y = coder->matrix ? work + VX_CODER_ROWS * padded : work;
    float *rest = y + VX_CODER_ROWS * head, *levels = rest + head;
    return (scratch){work, y, rest, (unsigned char *)(void *)levels, levels + head};
}

size_t vx_codes_work(const vx_coder *coder) {
    size_t rows =
        coder->matrix ? vx_padded(coder->dim) + vx_padded(coder->head) : vx_padded(coder->dim);
    return VX_CODER_ROWS * rows + 2 * vx_padded(coder->head) + vx_coder_scratch(coder);
}

/* The row as its codes see it: as the metric does, less the mean; answers its norm. */
static double form_row(const vx_space *space, const vx_kernels *kernels, const void *row,
                       const vx_measure *measure, float *v) {
    const float *mean = space->coder->mean, *numbers = row;
    double factor = !is_unit(space) ? 1 : measure->square > 0 ? 1 / sqrt(measure->square) : 0;
    double square = 0;
    if (space->dtype != VINDEX_F32) {
        kernels->widen[space->dtype](row, space->dim, v);
        numbers = v;
    }
    if (measure->mean == 0) { /* three roundings: docs/exactness.md counts them */
        square = kernels->code_centre(numbers, (float)factor, mean, space->dim, v);
    } else {
        for (size_t j = 0; j < space->dim; j++)
            v[j] = (float)(((double)numbers[j] - measure->mean) * factor - (double)mean[j]);
        memset(v + space->dim, 0, (vx_padded(space->dim) - space->dim) * sizeof *v);
    }
    /* Squares of next to nothing are lost in single precision. */
    if (square < NORM_LEAST * NORM_LEAST * 64)
        square = kernels->settle_products[VINDEX_F32](NULL, NULL, v, space->dim, 0).square;
    return sqrt(square);
}

/* Nibbles into lane `lane` of a group's lines of dimensions: four bytes of low ones and four of
 * high ones become four of both. */
static void store_levels(const unsigned char *levels, size_t head, unsigned char *lines,
                         size_t lane) {
    unsigned char *to = lines + lane * 4;
    for (size_t i = 0; i < head; i += VX_CODE_DIMS, to += VX_CODE_LINE) {
        uint32_t low, high;
        memcpy(&low, levels + i, sizeof low);
        memcpy(&high, levels + i + 4, sizeof high);
        low |= high << 4;
        memcpy(to, &low, sizeof low);
    }
}

/* At least the root of the sum of squares of a row of that norm: of a sum that has been rounded,
 * and without what single precision cannot square. */
static float rest_of(double square, double norm) {
    return vx_round_up(sqrt(square) * (1 + 0x1p-20) + norm * 0x1p-30);
}

/* The scale of levels; with no more bits than make its product with a level exact. */
static float second_scale(vx_code_fit fit) {
    float scale = (float)(2 * fit.dot / fit.units);
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    bits &= 0xffffff00u;
    memcpy(&scale, &bits, sizeof scale);
    return scale;
}

/* The second plane: what the first left of y in own->rest, which is mostly within one of its
 * scales. */
static void encode_plane(const vx_space *space, const vx_kernels *kernels, const scratch *own,
                         float scale, double norm, unsigned char *plane) {
    size_t dim = space->dim, nibbles = vx_plane_nibbles(dim);
    float step = scale * (float)SECOND_STEP;
    vx_code_fit fit = kernels->code_fit(own->rest, dim, step > 0 ? 1 / step : 0, own->levels);
    vx_plane_numbers numbers = {.scale = second_scale(fit)};
    double square = kernels->code_left(own->rest, own->levels, dim, numbers.scale / 2, own->rest);
    numbers.rest = rest_of(square, norm);
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

/* A head y of a row of that norm: its levels, and the numbers that go with them. With the
 * least-squares scale s = sum y u / sum u^2 the rest y - s u is orthogonal to s u; the scale that
 * is kept is the bf16 next to it. */
static row_numbers encode_head(const vx_space *space, const vx_kernels *kernels, const float *y,
                               double norm, const scratch *own) {
    const vx_coder *coder = space->coder;
    size_t head = coder->head;
    double head_norm = norm, step = coder->refined ? STEP_REFINED : STEP_ALONE;
    row_numbers numbers = {0};
    if (coder->matrix)
        head_norm = sqrt(kernels->settle_products[VINDEX_F32](NULL, NULL, y, head, 0).square);
    /* Of a head next to nothing the code is 0. */
    bool some = norm > 0 && head_norm > norm * 0x1p-30;
    float steps = some ? (float)(sqrt((double)head) / (step * head_norm)) : 0;
    vx_code_fit fit = kernels->code_fit(y, head, steps, own->levels);
    if (some) numbers.scale = vx_bf16_value(vx_bf16_near((float)(2 * fit.dot / fit.units)));
    double square = kernels->code_left(y, own->levels, head, numbers.scale / 2, own->rest);
    numbers.rest = rest_of(square, norm);
    if (space->metric == VINDEX_INNER_PRODUCT)
        numbers.second = vx_round_up(norm * (1 + (double)VX_CODE_SCALE_ERROR) + 1e-30);
    else
        numbers.second = (float)(norm * norm / 2 * (1 - 0x1p-18));
    if (coder->matrix) numbers.tail = vx_round_up(vx_coder_tail(coder, norm, head_norm));
    return numbers;
}

static bool is_judged(const vx_space *space, const vx_measure *measure, double norm) {
    return fits(norm) && !(is_unit(space) && isnan(vx_aux_of(space, measure)));
}

static void encode_row(const vx_space *space, const vx_kernels *kernels, const vx_code_task *task,
                       size_t r, const float *y, double norm) {
    const vx_coder *coder = space->coder;
    const scratch own = place(coder, task->work);
    vx_code_shape shape = vx_coder_shape(coder, space->metric);
    size_t at = task->at + r, lane = at % VX_CODE_ROWS;
    unsigned char *group = task->codes + vx_codes_bytes(&shape, at - lane);
    unsigned char *plane = task->planes + at * vx_plane_stride(space->dim);
    row_numbers numbers = {.scale = NAN};
    if (lane == 0) memset(group, 0, vx_code_group_bytes(&shape)); /* rows that may not come */
    if (is_judged(space, &task->measures[r], norm)) {
        numbers = encode_head(space, kernels, y, norm, &own);
        store_levels(own.levels, coder->head, group + vx_code_numbers(&shape) * VX_CODE_LINE, lane);
        if (coder->refined) encode_plane(space, kernels, &own, numbers.scale, norm, plane);
    } else if (coder->refined) {
        memset(plane, 0, vx_plane_stride(space->dim));
    }
    store_numbers(&shape, &numbers, group, lane);
}

void vx_codes_encode(const vx_space *space, const vx_kernels *kernels, const vx_code_task *task) {
    const vx_coder *coder = space->coder;
    scratch own = place(coder, task->work);
    size_t stride = vx_space_stride(space), padded = vx_padded(space->dim);
    size_t each = coder->matrix ? VX_CODER_ROWS : 1; /* one stays nearest; a matrix wants many */
    for (size_t first = 0; first < task->count; first += each) {
        size_t count = VX_MIN(each, task->count - first);
        double norms[VX_CODER_ROWS];
        for (size_t i = 0; i < count; i++) {
            float *v = own.v + i * padded;
            const char *row = (const char *)task->rows + (first + i) * stride;
            norms[i] = form_row(space, kernels, row, &task->measures[first + i], v);
            /* What is never judged may not overflow on its way either. */
            if (!fits(norms[i])) memset(v, 0, space->dim * sizeof *v);
        }
        vx_coder_rotate(coder, kernels, own.v, count, own.y, own.rotation);
        for (size_t i = 0; i < count; i++)
            encode_row(space, kernels, task, first + i, own.y + i * vx_padded(coder->head),
                       norms[i]);
    }
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
