/* Taking over the rows of another graph. Its links say nothing here: rows are added anew, as codes
 * that stay what they are and by the vectors that these decode to. */
#include "hnsw.h"

/* What comes, of which rows, ids and vectors are made here. */
static vindex_status gather(const vx_hnsw *from, vx_arrivals *new) {
    size_t kept = from->ids.count - from->ids.removed, dim = from->base.dim;
    float *vectors = vx_alloc(kept, dim * sizeof *vectors);
    int64_t *ids = vx_alloc(kept, sizeof *ids);
    uint32_t *rows = vx_alloc(kept, sizeof *rows);
    *new = (vx_arrivals){.vectors = vectors, .ids = ids, .from = from, .rows = rows};
    if (!vectors || !ids || !rows) return vx_fail_memory(kept, dim * sizeof *vectors, "merge");
    for (size_t row = 0; row < from->ids.count; row++) {
        if (!vx_ids_alive(&from->ids, row)) continue;
        ids[new->n] = vx_ids_of(&from->ids, row);
        rows[new->n] = (uint32_t)row;
        from->codec->ops->decode(from->codec, (vx_coded){&from->rows, row},
                                 vectors + dim * new->n++);
    }
    return VINDEX_OK;
}

vindex_status vx_hnsw_merge(vindex_index *index, const vindex_index *other,
                            const vindex_call *call) {
    vx_hnsw *hnsw = (vx_hnsw *)index;
    const vx_hnsw *from = (const vx_hnsw *)other;
    vx_arrivals new;
    if (!vx_codec_alike(hnsw->codec, from->codec))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "merge: the two indexes were not trained alike; train one, save it, and "
                       "fill a copy per shard");
    vindex_status status = gather(from, &new);
    if (status == VINDEX_OK) status = vx_hnsw_take(hnsw, &new, call);
    vx_free((void *)(uintptr_t) new.vectors);
    vx_free((void *)(uintptr_t) new.ids);
    vx_free((void *)(uintptr_t) new.rows);
    return status;
}
