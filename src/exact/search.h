/* Exact search over blocks of rows: filter, then settle (see src/README.md). */
#ifndef VX_EXACT_SEARCH_H
#define VX_EXACT_SEARCH_H

#include <vindex/index.h>

#include "core/ids.h"
#include "core/topk.h"
#include "group.h"

/* What a search did, in pairs of a query and a row. */
typedef struct vx_search_stats {
    uint64_t coded;     /* judged by codes */
    uint64_t survivors; /* of those, not ruled out */
    uint64_t plain;     /* judged by their vectors alone */
    uint64_t settled;   /* computed in double precision */
    uint64_t bytes;     /* read: of codes and vectors, each once per pass over them */
} vx_search_stats;

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
} vx_search_job;

/* The k best rows of each query. */
VX_SHARED vindex_status vx_search_topk(const vx_search_job *job, size_t k, vx_answer_fn answer,
                                       void *context);

/* All rows whose key is at most radius_key. When a call fails, answers may have been given already.
 */
VX_SHARED vindex_status vx_search_range(const vx_search_job *job, double radius_key,
                                        vx_answer_fn answer, void *context);

#endif
