/* Rows that a method learns from: in memory, or read piece by piece. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "method.h"

enum { BLOCK_BYTES = 32 << 20 };

size_t vx_rows_block(size_t dim) {
    return VX_MAX(BLOCK_BYTES / (dim * sizeof(float)), (size_t)16);
}

static vindex_status check_finite(const vx_fit *job, size_t dim, size_t first, size_t count,
                                  const float *vectors) {
    size_t where;
    if (vx_all_finite(vectors, count * dim, &where)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA, "%s: row %zu has %s in dimension %zu; remove or replace it",
                   job->word, first + where / dim, isnan(vectors[where]) ? "NaN" : "infinity",
                   where % dim);
}

vindex_status vx_rows_read(const vx_fit *job, const vindex_rows *rows, size_t first, size_t count,
                           float *vectors) {
    size_t dim = (size_t)rows->dim;
    if (rows->vectors)
        memcpy(vectors, rows->vectors + first * dim, count * dim * sizeof *vectors);
    else
        VX_TRY(rows->read(rows->context, (int64_t)first, (int64_t)count, vectors));
    return check_finite(job, dim, first, count, vectors);
}

vindex_status vx_rows_each(const vx_fit *job, const vindex_rows *rows, const vx_pass *pass) {
    size_t dim = (size_t)rows->dim, n = (size_t)rows->count, block = vx_rows_block(dim);
    float *room = NULL;
    if (!rows->vectors) {
        room = vx_alloc(VX_MIN(block, n) * dim, sizeof *room);
        if (!room) return vx_fail_memory(block * dim, sizeof *room, job->word);
    }
    vindex_status status = VINDEX_OK;
    for (size_t first = 0; status == VINDEX_OK && first < n; first += block) {
        size_t count = VX_MIN(block, n - first);
        const float *vectors = room ? room : rows->vectors + first * dim;
        status = room ? vx_rows_read(job, rows, first, count, room)
                      : check_finite(job, dim, first, count, vectors);
        if (status == VINDEX_OK) status = pass->visit(pass->context, first, count, vectors);
        double part = (double)(first + count) / (double)n;
        if (status == VINDEX_OK)
            status = vx_fit_progress(job, pass->from + (pass->to - pass->from) * part, "%s",
                                     pass->phase);
    }
    vx_free(room);
    return status;
}

typedef struct gathering {
    size_t dim;
    float *vectors;
} gathering;

static vindex_status gather(void *context, size_t first, size_t count, const float *vectors) {
    const gathering *to = context;
    memcpy(to->vectors + first * to->dim, vectors, count * to->dim * sizeof *vectors);
    return VINDEX_OK;
}

vindex_status vx_rows_all(const vx_fit *job, const vindex_rows *rows, const float **vectors,
                          float **owned) {
    size_t n = (size_t)rows->count, dim = (size_t)rows->dim, numbers;
    *owned = NULL;
    if (rows->vectors) {
        *vectors = rows->vectors;
        return check_finite(job, dim, 0, n, *vectors);
    }
    float *room = vx_mul(n, dim, &numbers) ? vx_alloc(numbers, sizeof *room) : NULL;
    if (!room) return vx_fail_memory(n, dim * sizeof *room, job->word);
    gathering to = {dim, room};
    vx_pass pass = {"reading", 0, 0, gather, &to};
    vindex_status status = vx_rows_each(job, rows, &pass);
    if (status != VINDEX_OK) {
        vx_free(room);
        return status;
    }
    *vectors = *owned = room;
    return VINDEX_OK;
}

vindex_status vx_fit_progress(const vx_fit *job, double fraction, const char *format, ...) {
    char phase[256];
    if (!job->progress) return VINDEX_OK;
    int used = snprintf(phase, sizeof phase, "%s: ", job->word);
    va_list words;
    va_start(words, format);
    vsnprintf(phase + used, sizeof phase - (size_t)used, format, words);
    va_end(words);
    return vx_progress(job->progress, job->progress_context, phase, fraction);
}
