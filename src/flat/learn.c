/* Learning how rows become codes, from the first that are there or from those given for it. */
#include <omp.h>

#include "flat.h"

void vx_flat_encode(const vx_flat *flat, const vx_block *block, size_t at, size_t count,
                    int threads, float *work) {
    size_t stride = vx_flat_stride(flat), numbers = vx_codes_work(&flat->coder);
    if (count * flat->space.dim < 1 << 16) threads = 1;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t start = 0; start < count; start += VX_CODER_ROWS) {
        vx_measure measures[VX_CODER_ROWS];
        size_t some = VX_MIN(count - start, (size_t)VX_CODER_ROWS);
        const char *rows = (const char *)block->data + (at + start) * stride;
        for (size_t r = 0; r < some; r++)
            measures[r] = vx_measure_row(&flat->space, flat->kernels, rows + r * stride);
        size_t thread = threads > 1 ? (size_t)omp_get_thread_num() : 0;
        vx_space space = flat->space;
        space.coder = &flat->coder; /* while it is being learnt, too */
        vx_code_task task = {.rows = rows,
                             .measures = measures,
                             .count = some,
                             .codes = block->codes,
                             .planes = block->planes,
                             .at = at + start,
                             .work = work + thread * numbers};
        vx_codes_encode(&space, flat->kernels, &task);
    }
}

/* Codes for the rows held, of which there are few when a coder is learnt. */
static vindex_status encode_held(vx_flat *flat, int threads) {
    size_t numbers = (size_t)threads * vx_codes_work(&flat->coder);
    float *work = vx_alloc(numbers, sizeof *work);
    if (!work) return vx_fail_memory(numbers, sizeof *work, "codes");
    vindex_status status = VINDEX_OK;
    for (size_t b = 0; status == VINDEX_OK && b < flat->block_count; b++) {
        size_t capacity = VX_MAX(flat->capacities[b], flat->blocks[b].count);
        status = vx_flat_own_block(flat, b, capacity);
        if (status == VINDEX_OK)
            vx_flat_encode(flat, &flat->blocks[b], 0, flat->blocks[b].count, threads, work);
    }
    vx_free(work);
    return status;
}

/* One row of those given, finite. */
static vindex_status read_row(const vindex_rows *rows, size_t row, float *vector) {
    size_t dim = (size_t)rows->dim, where;
    if (rows->vectors)
        memcpy(vector, rows->vectors + row * dim, dim * sizeof *vector);
    else
        VX_TRY(rows->read(rows->context, (int64_t)row, 1, vector));
    if (vx_all_finite(vector, dim, &where)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA,
                   "train: vector %zu has a number in dimension %zu that is not finite; remove or "
                   "replace it",
                   row, where);
}

/* Learns from a sample of the rows held and of others. */
static vindex_status learn(vx_flat *flat, const vindex_rows *rows, int threads) {
    size_t held = flat->ids.count, dim = flat->space.dim, all = held + (size_t)rows->count;
    size_t count = VX_MIN(all, vx_choice_most(dim));
    float *sample = vx_alloc(count * dim, sizeof *sample);
    if (!sample) return vx_fail_memory(count * dim, sizeof *sample, "codes: a sample");
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; status == VINDEX_OK && i < count; i++) {
        size_t row = (size_t)((double)i / (double)count * (double)all);
        if (row < held)
            flat->kernels->widen[flat->space.dtype](vx_flat_row(flat, row), dim, sample + i * dim);
        else
            status = read_row(rows, row - held, sample + i * dim);
    }
    if (status == VINDEX_OK)
        status = vx_coder_choose(&flat->space, &flat->choice, sample, count, threads, &flat->coder);
    vx_free(sample);
    if (status == VINDEX_OK) status = encode_held(flat, threads);
    if (status == VINDEX_OK)
        flat->space.coder = &flat->coder;
    else
        vx_coder_free(&flat->coder);
    return status;
}

vindex_status vx_flat_learn(vx_flat *flat, const float *vectors, size_t n, int threads) {
    if (!flat->certified || flat->space.coder) return VINDEX_OK;
    if (flat->ids.count + n < vx_choice_least(&flat->choice, flat->space.dim)) return VINDEX_OK;
    vindex_rows rows = {(int64_t)n, (int64_t)flat->space.dim, vectors, NULL, NULL};
    return n ? learn(flat, &rows, threads) : VINDEX_OK;
}

vindex_status vx_flat_train(vindex_index *index, const vindex_rows *rows, const vindex_call *call) {
    vx_flat *flat = (vx_flat *)index;
    if (!flat->certified || !rows->count) return VINDEX_OK;
    if (flat->space.coder && flat->ids.count)
        return vx_fail(VINDEX_ERR_STATE,
                       "train: the codes of this index were learnt already and hold vectors; train "
                       "a new index before the first add");
    flat->space.coder = NULL; /* learnt before, and of no use yet */
    vx_coder_free(&flat->coder);
    return learn(flat, rows, vx_threads(call->threads));
}
