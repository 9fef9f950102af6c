/* Taking over the rows of another graph. Its links say nothing here: rows are added anew, as codes
 * that stay what they are and by the vectors that these decode to. */
#include "hnsw.h"

vindex_status vx_hnsw_merge(vindex_index *index, const vindex_index *other,
                            const vindex_call *call) {
    vx_hnsw *hnsw = (vx_hnsw *)index;
    const vx_hnsw *from = (const vx_hnsw *)other;
    size_t kept = from->ids.count - from->ids.removed, n = 0;
    if (!vx_codec_alike(hnsw->codec, from->codec))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "merge: the two indexes were not trained alike; train one, save it, and "
                       "fill a copy per shard");
    int64_t *ids = vx_alloc(kept, sizeof *ids);
    uint32_t *rows = vx_alloc(kept, sizeof *rows);
    vindex_status status = VINDEX_OK;
    if (!ids || !rows) status = vx_fail_memory(kept, sizeof *ids + sizeof *rows, "merge");
    for (size_t row = 0; status == VINDEX_OK && row < from->ids.count; row++) {
        if (!vx_ids_alive(&from->ids, row)) continue;
        ids[n] = vx_ids_of(&from->ids, row);
        rows[n++] = (uint32_t)row;
    }
    const vx_arrivals new = {.verb = "merge", .n = n, .ids = ids, .from = from, .rows = rows};
    if (status == VINDEX_OK) status = vx_hnsw_take(hnsw, &new, call);
    vx_free(ids);
    vx_free(rows);
    return status;
}
