/* From the distances between the segments of two recordings to one distance. */
#ifndef VX_EVAL_REDUCE_H
#define VX_EVAL_REDUCE_H

#include <vindex/eval.h>

#include "core/topk.h"

/* One thread's memory for reducing matrices of up to rows x columns. */
typedef struct vx_reducer {
    vindex_eval_reduction how;
    vx_hit *hits; /* of the k best */
    bool *row_used, *column_used;
} vx_reducer;

vindex_status vx_reducer_create(const vindex_eval_reduction *how, size_t rows, size_t columns,
                                vx_reducer *reducer);
void vx_reducer_free(vx_reducer *reducer);

/* Keys (rows x columns, smaller is better; rows the query's segments) to one key. */
double vx_reduce(vx_reducer *reducer, const double *keys, size_t rows, size_t columns);

#endif
