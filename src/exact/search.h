/* Exact search over blocks of rows: filter, then settle (see src/README.md). */
#ifndef VX_EXACT_SEARCH_H
#define VX_EXACT_SEARCH_H

#include <vindex/index.h>

#include "core/ids.h"
#include "core/topk.h"
#include "group.h"

typedef struct vx_search_job {
    vx_space space;
    const vx_block *blocks;
    size_t block_count;
    size_t block_rows; /* every block but the last holds as many; row = block x this + i */
    const vx_ids *ids; /* NULL: a row's id is its number and none is removed */
    const vindex_filter *filter; /* NULL: every id */
    const int64_t *self;         /* per query an id to leave out, or -1; NULL: none */
    const float *queries;        /* query_count x dim */
    size_t query_count;
    const float *weights; /* weight_rows x dim, NULL: none */
    size_t weight_rows;   /* 1 or query_count */
    int threads;
    vindex_progress_fn progress;
    void *progress_context;
    vindex_search_stats *stats; /* NULL: not wanted */
} vx_search_job;

/* Whether a filter lets that id be answered. */
static inline bool vx_filter_allows(const vindex_filter *filter, int64_t id) {
    if (filter->allow) return filter->allow(filter->context, id);
    return id < filter->bit_count && filter->bits[id / 64] >> (id % 64) & 1;
}

/* The k best rows of each query. */
VX_SHARED vindex_status vx_search_topk(const vx_search_job *job, size_t k, vx_answer_fn answer,
                                       void *context);

/* All rows whose key is at most radius_key. When a call fails, answers may have been given already.
 */
VX_SHARED vindex_status vx_search_range(const vx_search_job *job, double radius_key,
                                        vx_answer_fn answer, void *context);

#endif
