/* The k best of few rows for many queries: what training, coarse quantizers and small sets ask for.
 * Filtered in tiles and settled late (see pool.h). */
#ifndef VX_EXACT_NEAREST_H
#define VX_EXACT_NEAREST_H

#include "search.h"

/* As vx_search_topk, for jobs without codes and weights. */
VX_SHARED vindex_status vx_nearest(const vx_search_job *job, size_t k, vx_answer_fn answer,
                                   void *context);

#endif
