/* Taking over the rows of another index. */
#include "flat.h"

enum { MERGE_BYTES = 16 << 20 /* of vectors at hand */ };

/* The next rows from *row on that were not removed, as vectors, and their ids. */
static size_t next_rows(const vx_flat *from, size_t *row, size_t most, float *vectors,
                        int64_t *ids) {
    size_t count = 0, dim = from->space.dim;
    for (; *row < from->ids.count && count < most; (*row)++) {
        if (!vx_ids_alive(&from->ids, *row)) continue;
        from->kernels->widen[from->space.dtype](vx_flat_row(from, *row), dim,
                                                vectors + count * dim);
        ids[count++] = vx_ids_of(&from->ids, *row);
    }
    return count;
}

vindex_status vx_flat_merge(vindex_index *index, const vindex_index *other,
                            const vindex_call *call) {
    vx_flat *flat = (vx_flat *)index;
    const vx_flat *from = (const vx_flat *)other;
    size_t before = flat->ids.count, dim = flat->space.dim, row = 0;
    size_t most = VX_MIN(MERGE_BYTES / (dim * sizeof(float)) + 1, from->ids.count);
    int64_t largest = flat->ids.largest;
    float *vectors = vx_alloc(most, dim * sizeof *vectors);
    int64_t *ids = vx_alloc(most, sizeof *ids);
    vindex_call quiet = {.struct_size = sizeof quiet, .threads = call->threads};
    vindex_status status =
        vectors && ids ? VINDEX_OK : vx_fail_memory(most, dim * sizeof *vectors, "merge");
    while (status == VINDEX_OK && row < from->ids.count) {
        status = vx_progress(call->progress, call->progress_context, "merge",
                             (double)row / (double)from->ids.count);
        size_t count = next_rows(from, &row, most, vectors, ids);
        if (status == VINDEX_OK) status = vx_flat_add(index, vectors, count, ids, &quiet);
    }
    if (status != VINDEX_OK) vx_flat_retract(flat, before, largest);
    vx_free(vectors);
    vx_free(ids);
    return status;
}
