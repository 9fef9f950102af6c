/* Searching a flat index: its blocks go to the exact engine. */
#include "flat.h"

static vx_search_job job_of(const vx_flat *flat, const vx_request *request) {
    return (vx_search_job){
        .space = flat->space,
        .blocks = flat->blocks,
        .block_count = flat->block_count,
        .block_rows = flat->block_rows,
        .ids = &flat->ids,
        .filter = request->filter,
        .queries = request->queries,
        .query_count = request->query_count,
        .weights = request->weights,
        .weight_rows = request->weight_rows,
        .threads = request->threads,
        .progress = request->progress,
        .progress_context = request->progress_context,
        .stats = request->stats,
    };
}

vindex_status vx_flat_search(const vindex_index *index, const vx_request *request) {
    vx_search_job job = job_of((const vx_flat *)index, request);
    return vx_search_topk(&job, request->k, request->answer, request->answer_context);
}

vindex_status vx_flat_range_search(const vindex_index *index, const vx_request *request) {
    vx_search_job job = job_of((const vx_flat *)index, request);
    return vx_search_range(&job, request->radius_key, request->answer, request->answer_context);
}
