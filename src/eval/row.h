/* The ranks of one query's relevant candidates, from a row of keys: by counting, every candidate
 * finding its place among the relevant ones. */
#ifndef VX_EVAL_ROW_H
#define VX_EVAL_ROW_H

#include "job.h"

/* One thread's memory for ranking rows. */
typedef struct vx_row {
    vx_hit *hits;    /* the relevant candidates, best first */
    int64_t *ranks;  /* and their ranks */
    size_t *before;  /* per hit, candidates that rank right before it; one more for those after */
    bool *tied;      /* per hit, whether an irrelevant candidate has its key */
    vx_hit *nearest; /* memory of the top-k for the vote and to keep */
    vx_topk top;     /* over it */
} vx_row;

/* Memory for any row of the job. */
vindex_status vx_row_create(const vx_eval_job *job, vx_row *row);
void vx_row_free(vx_row *row);

/* Adds a query's measures: keys has an entry per candidate (smaller is better); NaN leaves one out,
 * as the query itself is in a square set. Several threads may rank different queries, each with a
 * row of its own. */
void vx_row_rank(vx_eval_job *job, vx_row *row, size_t query, const double *keys);

/* The query's vx_eval_nearest best candidates, in the row's memory, as vx_eval_take_nearest wants
 * them. */
const vx_hit *vx_row_nearest(const vx_eval_job *job, vx_row *row, size_t query, const double *keys);

#endif
