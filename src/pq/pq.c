/* The quantizer itself: codewords, encoding, decoding, and where codes lie. */
#include "pq.h"

#include <math.h>
#include <stdio.h>

/* ---- coming to be ---- */

/* "1, 2, 3, 4, 6, 8": the numbers of parts that fit, those nearest to the one asked for. */
static void list_fitting(const vx_pq_shape *shape, char *text, size_t room) {
    enum { SHOWN = 8 };
    size_t fitting[SHOWN], count = 0, used = 0;
    for (size_t m = 1; m <= VX_MIN(shape->dim, (size_t)VX_PQ_PARTS_MOST); m++) {
        if (shape->dim % m || shape->dim / m > VX_PQ_WIDTH_MOST) continue;
        if (count == SHOWN && m > shape->parts && m - shape->parts > shape->parts - fitting[0])
            break;
        if (count == SHOWN) memmove(fitting, fitting + 1, --count * sizeof *fitting);
        fitting[count++] = m;
    }
    *text = 0;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%zu", i ? ", " : "", fitting[i]);
}

vindex_status vx_pq_check(const vx_pq_shape *shape) {
    char fitting[128];
    if (shape->bits != 4 && shape->bits != 6 && shape->bits != 8)
        return vx_fail(VINDEX_ERR_ARGUMENT, "product quantizer: codes of %zu bits; give 4, 6 or 8",
                       shape->bits);
    if (shape->parts >= 1 && shape->parts <= VX_PQ_PARTS_MOST && shape->dim % shape->parts == 0 &&
        shape->dim / shape->parts <= VX_PQ_WIDTH_MOST)
        return VINDEX_OK;
    list_fitting(shape, fitting, sizeof fitting);
    return vx_fail(VINDEX_ERR_ARGUMENT,
                   "product quantizer: %zu numbers cannot be cut into %zu equal parts of at most "
                   "%d; numbers of parts that fit: %s",
                   shape->dim, shape->parts, VX_PQ_WIDTH_MOST, *fitting ? fitting : "none");
}

static void *take(char *memory, size_t *used, size_t bytes) {
    void *taken = memory ? memory + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return taken;
}

/* Places the arrays from `memory` on; NULL only measures. */
static size_t place(const vx_pq_shape *shape, char *memory, vx_pq *pq) {
    size_t used = 0, codes = vx_pq_codes(shape);
    pq->words = take(memory, &used, shape->dim * codes * sizeof(float));
    pq->book.columns = take(memory, &used, shape->dim * codes * sizeof(float));
    pq->book.squares = take(memory, &used, shape->parts * codes * sizeof(float));
    pq->book.most = take(memory, &used, shape->parts * sizeof(float));
    return used;
}

size_t vx_pq_memory(const vx_pq_shape *shape) {
    vx_pq unplaced;
    return sizeof(vx_pq) + place(shape, NULL, &unplaced);
}

vindex_status vx_pq_create(const vx_pq_shape *shape, vx_pq **result) {
    VX_TRY(vx_pq_check(shape));
    const vx_kernels *kernels = vx_kernels_get();
    if (!kernels) return VINDEX_ERR_UNSUPPORTED;
    size_t bytes = vx_pq_memory(shape) - sizeof(vx_pq);
    vx_pq *pq = vx_alloc_zero(1, sizeof *pq);
    char *memory = vx_alloc_zero(bytes, 1);
    if (!pq || !memory) {
        vx_free(pq);
        vx_free(memory);
        return vx_fail_memory(bytes, 1, "product quantizer");
    }
    place(shape, memory, pq);
    pq->book.shape = *shape;
    pq->kernels = kernels;
    pq->memory = memory;
    *result = pq;
    return VINDEX_OK;
}

void vx_pq_free(vx_pq *pq) {
    if (!pq) return;
    vx_free(pq->memory);
    vx_free(pq);
}

void vx_pq_refresh(vx_pq *pq, size_t part) {
    const vx_pq_shape *shape = &pq->book.shape;
    size_t codes = vx_pq_codes(shape), width = vx_pq_width(shape);
    const float *words = pq->words + part * codes * width;
    float *columns = (float *)(uintptr_t)pq->book.columns + part * codes * width;
    float *squares = (float *)(uintptr_t)pq->book.squares + part * codes;
    float most = 0;
    for (size_t c = 0; c < codes; c++) {
        double square = 0;
        for (size_t j = 0; j < width; j++) {
            float number = words[c * width + j];
            columns[j * codes + c] = number;
            square += (double)number * (double)number;
        }
        squares[c] = (float)square;
        most = VX_MAX(most, squares[c]);
    }
    ((float *)(uintptr_t)pq->book.most)[part] = most;
}

void vx_pq_refresh_all(vx_pq *pq) {
    double square = 0;
    for (size_t part = 0; part < pq->book.shape.parts; part++) {
        vx_pq_refresh(pq, part);
        square += (double)pq->book.most[part];
    }
    pq->longest = sqrt(square) * (1 + 0x1p-20);
}

/* ---- codes ---- */

/* `width` numbers of a vector from dimension `first` on: where they lie, or in `room`. */
static const float *part_of(const vx_pq_view *view, size_t first, size_t width, float *room) {
    const float *vector = view->vector + first;
    if (!view->centre && view->mean == 0 && view->scale == 1) return vector;
    for (size_t j = 0; j < width; j++) {
        double seen = ((double)vector[j] - view->mean) * view->scale;
        room[j] = (float)(view->centre ? seen - (double)view->centre[first + j] : seen);
    }
    return room;
}

/* The nearest codeword in double precision, summed in one order. */
static unsigned char settle(const vx_pq *pq, size_t part, const float *x) {
    size_t codes = vx_pq_codes(&pq->book.shape), width = vx_pq_width(&pq->book.shape), best = 0;
    double least = INFINITY;
    for (size_t c = 0; c < codes; c++) {
        const float *word = pq->words + (part * codes + c) * width;
        double sum = 0;
        for (size_t j = 0; j < width; j++) {
            double difference = (double)x[j] - (double)word[j];
            sum += difference * difference;
        }
        if (!(sum < least)) continue;
        least = sum;
        best = c;
    }
    return (unsigned char)best;
}

unsigned char vx_pq_encode_part(const vx_pq *pq, size_t part, const float *x) {
    unsigned char code;
    uint32_t unsure[2];
    size_t count = pq->kernels->pq_nearest(&pq->book, part, 1, x, &code, unsure);
    return count ? settle(pq, part, x) : code;
}

void vx_pq_encode(const vx_pq *pq, const vx_pq_view *view, unsigned char *codes) {
    size_t width = vx_pq_width(&pq->book.shape), together = VX_PQ_WIDTH_MOST / width;
    float room[VX_PQ_WIDTH_MOST];
    uint32_t unsure[VX_PQ_WIDTH_MOST + 1];
    for (size_t part = 0, count; part < pq->book.shape.parts; part += count) {
        count = VX_MIN(pq->book.shape.parts - part, together);
        const float *x = part_of(view, part * width, count * width, room);
        size_t open = pq->kernels->pq_nearest(&pq->book, part, count, x, codes + part, unsure);
        for (size_t i = 0; i < open; i++)
            codes[part + unsure[i]] = settle(pq, part + unsure[i], x + unsure[i] * width);
    }
}

void vx_pq_decode(const vx_pq *pq, const unsigned char *codes, float *vector) {
    size_t count = vx_pq_codes(&pq->book.shape), width = vx_pq_width(&pq->book.shape);
    for (size_t part = 0; part < pq->book.shape.parts; part++)
        memcpy(vector + part * width, pq->words + (part * count + codes[part]) * width,
               width * sizeof *vector);
}

/* ---- where codes lie ---- */

size_t vx_pq_bytes(const vx_pq_shape *shape, size_t rows) {
    if (shape->alone) return rows * vx_pq_lines(shape) * 4;
    return (rows + VX_CODE_ROWS - 1) / VX_CODE_ROWS * vx_pq_lines(shape) * VX_CODE_LINE;
}

size_t vx_pq_table_bytes(const vx_pq_shape *shape) {
    return vx_pq_slots(shape) * vx_pq_codes(shape) * (sizeof(float) + 1);
}

void vx_pq_put(const vx_pq_shape *shape, unsigned char *groups, size_t at,
               const unsigned char *codes) {
    unsigned char *row = (unsigned char *)(uintptr_t)vx_pq_row(shape, groups, at);
    size_t step = vx_pq_step(shape);
    for (size_t l = 0; l < vx_pq_lines(shape); l++) memset(row + l * step, 0, 4);
    for (size_t i = 0; i < shape->parts; i++) {
        if (shape->bits == 8) {
            row[i / 4 * step + i % 4] = codes[i];
        } else if (shape->bits == 4) {
            row[i / 8 * step + i % 4] |= (unsigned char)(codes[i] << (i % 8 / 4 * 4));
        } else {
            unsigned char *three = row + i / 16 * 3 * step + i % 4;
            if (i % 16 < 12) three[i % 16 / 4 * step] |= codes[i];
            for (size_t l = 0; i % 16 >= 12 && l < 3; l++)
                three[l * step] |= (unsigned char)((codes[i] >> (2 * l) & 3) << 6);
        }
    }
}

/* The 6 bits of a code: of every sixteen, the last four lie in the top bits of the others. */
static unsigned char get_six(const unsigned char *row, size_t step, size_t i) {
    const unsigned char *three = row + i / 16 * 3 * step + i % 4;
    unsigned char code = 0;
    if (i % 16 < 12) return three[i % 16 / 4 * step] & 63;
    for (size_t l = 0; l < 3; l++) code |= (unsigned char)(three[l * step] >> 6 << (2 * l));
    return code;
}

/* Line by line: a search looks rows up so. */
void vx_pq_get(const vx_pq_shape *shape, const unsigned char *groups, size_t at,
               unsigned char *codes) {
    const unsigned char *row = vx_pq_row(shape, groups, at);
    size_t step = vx_pq_step(shape), parts = shape->parts, i = 0;
    if (shape->bits == 8)
        for (; i < parts; i += 4, row += step) memcpy(codes + i, row, VX_MIN(parts - i, (size_t)4));
    for (; shape->bits == 4 && i + 8 <= parts; i += 8, row += step)
        for (size_t b = 0; b < 4; b++) {
            codes[i + b] = row[b] & 15;
            codes[i + 4 + b] = row[b] >> 4;
        }
    for (; i < parts; i++)
        codes[i] = shape->bits == 4 ? row[i % 4] >> (i % 8 / 4 * 4) & 15 : get_six(row, step, i);
}
