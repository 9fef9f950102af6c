/* Learning how rows become codes, from the first that are there or from those given for it. */
#include "flat.h"

void vx_flat_encode(const vx_flat *flat, const vx_block *block, size_t at,
                    const vx_measure *measures, size_t count, float *work) {
    vx_space space = flat->space;
    space.coder = &flat->coder; /* while it is being learnt, too */
    vx_code_task task = {.rows = (const char *)block->data + at * vx_flat_stride(flat),
                         .measures = measures,
                         .count = count,
                         .codes = block->codes,
                         .planes = block->planes,
                         .at = at,
                         .work = work};
    vx_codes_encode(&space, flat->kernels, &task);
}

/* All rows of a block. */
static void encode_block(const vx_flat *flat, const vx_block *block, float *work) {
    size_t stride = vx_flat_stride(flat);
    for (size_t at = 0; at < block->count; at += VX_CODER_ROWS) {
        vx_measure measures[VX_CODER_ROWS];
        size_t count = VX_MIN(block->count - at, (size_t)VX_CODER_ROWS);
        for (size_t r = 0; r < count; r++)
            measures[r] = vx_measure_row(&flat->space, flat->kernels,
                                         (const char *)block->data + (at + r) * stride);
        vx_flat_encode(flat, block, at, measures, count, work);
    }
}

/* Codes for the rows held, of which there are few when a coder is learnt. */
static vindex_status encode_held(vx_flat *flat) {
    size_t numbers = vx_codes_work(&flat->coder);
    float *work = vx_alloc(numbers, sizeof *work);
    if (!work) return vx_fail_memory(numbers, sizeof *work, "codes");
    vindex_status status = VINDEX_OK;
    for (size_t b = 0; status == VINDEX_OK && b < flat->block_count; b++) {
        size_t capacity = VX_MAX(flat->capacities[b], flat->blocks[b].count);
        status = vx_flat_own_block(flat, b, capacity);
        if (status == VINDEX_OK) encode_block(flat, &flat->blocks[b], work);
    }
    vx_free(work);
    return status;
}

/* Learns from a sample (count x dim) and encodes what is held. */
static vindex_status learn(vx_flat *flat, const float *sample, size_t count, int threads) {
    VX_TRY(vx_coder_choose(&flat->space, &flat->choice, sample, count, threads, &flat->coder));
    vindex_status status = encode_held(flat);
    if (status == VINDEX_OK)
        flat->space.coder = &flat->coder;
    else
        vx_coder_free(&flat->coder);
    return status;
}

vindex_status vx_flat_learn(vx_flat *flat, const float *vectors, size_t n, int threads) {
    size_t held = flat->ids.count, dim = flat->space.dim, all = held + n;
    if (!flat->certified || flat->space.coder || !n) return VINDEX_OK;
    if (all < vx_choice_least(&flat->choice, dim)) return VINDEX_OK;
    size_t count = VX_MIN(all, vx_choice_most(dim));
    float *sample = vx_alloc(count * dim, sizeof *sample);
    if (!sample) return vx_fail_memory(count * dim, sizeof *sample, "codes: a sample");
    for (size_t i = 0; i < count; i++) {
        size_t row = (size_t)((double)i / (double)count * (double)all);
        if (row < held)
            flat->kernels->widen[flat->space.dtype](vx_flat_row(flat, row), dim, sample + i * dim);
        else
            memcpy(sample + i * dim, vectors + (row - held) * dim, dim * sizeof *sample);
    }
    vindex_status status = learn(flat, sample, count, threads);
    vx_free(sample);
    return status;
}

/* Reads count rows in runs spread over all of them. */
static vindex_status read_sample(const vindex_rows *rows, size_t count, float *sample) {
    enum { RUN = 64 };
    size_t dim = (size_t)rows->dim, all = (size_t)rows->count, runs = (count + RUN - 1) / RUN;
    for (size_t run = 0; run < runs; run++) {
        size_t some = VX_MIN(count - run * RUN, (size_t)RUN), where;
        size_t first = (size_t)((double)run / (double)runs * (double)(all - count)) + run * RUN;
        float *into = sample + run * RUN * dim;
        if (rows->vectors)
            memcpy(into, rows->vectors + first * dim, some * dim * sizeof *into);
        else
            VX_TRY(rows->read(rows->context, (int64_t)first, (int64_t)some, into));
        if (!vx_all_finite(into, some * dim, &where))
            return vx_fail(VINDEX_ERR_DATA,
                           "train: row %zu has NaN or infinity in dimension %zu; leave it out",
                           first + where / dim, where % dim);
    }
    return VINDEX_OK;
}

vindex_status vx_flat_train(vindex_index *index, const vindex_rows *rows, const vindex_call *call) {
    vx_flat *flat = (vx_flat *)index;
    if (!flat->certified || !rows->count) return VINDEX_OK;
    if (flat->space.coder && flat->ids.count)
        return vx_fail(VINDEX_ERR_STATE,
                       "train: the codes of this index were learnt already and hold vectors; train "
                       "a new index before the first add");
    size_t dim = flat->space.dim, count = VX_MIN((size_t)rows->count, vx_choice_most(dim));
    float *sample = vx_alloc(count * dim, sizeof *sample);
    if (!sample) return vx_fail_memory(count * dim, sizeof *sample, "train: a sample");
    vindex_status status = read_sample(rows, count, sample);
    if (status == VINDEX_OK) {
        flat->space.coder = NULL; /* learnt before, and of no use yet */
        vx_coder_free(&flat->coder);
        status = learn(flat, sample, count, vx_threads(call->threads));
    }
    vx_free(sample);
    return status;
}
