/* From ranks to measures. Whatever ranks the candidates (vectors, a matrix, an index) hands each
 * query's relevant ranks to vx_measures_add; what MAP and its relatives mean is said here alone. */
#ifndef VX_EVAL_MEASURES_H
#define VX_EVAL_MEASURES_H

#include <vindex/eval.h>

#include "preset.h"

/* One entry per query row, so that the sums run in row order however the ranks came. */
typedef struct vx_measures {
    const vx_preset *preset;
    size_t query_rows;
    int64_t precision_at, depth;
    size_t own;                /* 1: ARP counts the query among the irrelevant items */
    double *average_precision; /* NaN for a row that is no query */
    double *precision, *percentile;
    double *curve;                         /* query_rows x VINDEX_EVAL_RECALL_LEVELS */
    int64_t *first_rank, *relevant, *tied; /* 0 for a row that is no query */
    int64_t *items;                        /* relevant items within the first 10 */
    int64_t *scratch;                      /* query_rows, for the median */
    int64_t votes_right;                   /* -1 while no vote was held */
} vx_measures;

/* square: queries and candidates are the same rows. */
vindex_status vx_measures_open(vx_measures *measures, size_t query_rows, bool square,
                               const vindex_eval_params *params);

/* Takes the ranks of a query's relevant candidates (count > 0, ascending) among `candidates`
 * candidates, itself left out, `tied` of which share their distance with another. Each query row at
 * most once; several threads may add different queries. */
void vx_measures_add(vx_measures *measures, size_t query, const int64_t *ranks, size_t count,
                     size_t candidates, int64_t tied);

/* Fills all of the report but candidates and seconds. */
void vx_measures_report(const vx_measures *measures, vindex_eval_report *report);

/* Frees everything, or hands the per-query arrays to detail where it is not NULL. */
void vx_measures_close(vx_measures *measures, vindex_eval_detail *detail);

#endif
