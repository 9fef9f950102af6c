/* The k best of few rows for many queries: what training, coarse quantizers and small sets ask for.
 * Filtered in tiles and settled late (see pool.h). */
#ifndef VX_EXACT_NEAREST_H
#define VX_EXACT_NEAREST_H

#include "search.h"

/* As vx_search_topk, for jobs without codes and weights. */
VX_SHARED vindex_status vx_nearest(const vx_search_job *job, size_t k, vx_answer_fn answer,
                                   void *context);

/* Bytes that this takes on the way for the k nearest of L2, by that many threads. */
size_t vx_nearest_bytes(size_t dim, size_t queries, size_t k, int threads);

#endif
