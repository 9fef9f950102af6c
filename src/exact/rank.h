/* Where the relevant candidates stand in the full ranking, without sorting it: a rank is one more
 * than the number of candidates before it, and counting costs a comparison where sorting costs a
 * logarithm. Exact: the order is that of the metric in double precision, ties to the smaller row.
 */
#ifndef VX_EXACT_RANK_H
#define VX_EXACT_RANK_H

#include <vindex/types.h>

#include "core/topk.h"

typedef struct vx_rank_task {
    vindex_metric metric;
    size_t dim;
    const float *queries; /* query_count x dim */
    size_t query_count;
    const float *candidates; /* candidate_count x dim; may be the queries themselves */
    size_t candidate_count;
    const int64_t *self; /* per query the candidate row to leave out, or -1; NULL: none */
    bool within; /* query q is candidate self[0] + q, which is self[q]: pairs of queries are then
                    compared once for both */
    const size_t *offsets; /* query_count + 1: query q owns entries offsets[q] ... offsets[q+1]-1 */
    int64_t *rows;   /* per entry, the candidate row whose rank is asked (never self); sorted best
                        first within each query by the call */
    int64_t *before; /* out, per entry: candidates, self left out, that rank before it */
    int64_t *tied;   /* out, per entry: other candidates at exactly the same distance */
} vx_rank_task;

/* Fills before and tied, and sorts rows. Numbers must be finite. A query with many entries costs a
 * logarithm of their number per candidate. */
VX_SHARED vindex_status vx_rank(const vx_rank_task *task, const vindex_call *call);

/* The k nearest candidates of each query, self left out: hits (query_count x k), best first, id -1
 * where there are fewer. Uses metric, dim, queries, candidates and self of the task. */
VX_SHARED vindex_status vx_rank_nearest(const vx_rank_task *task, size_t k, const vindex_call *call,
                                        vx_hit *hits);

#endif
