/* What an evaluation found, printed and written. */
#ifndef CLI_MEASURES_H
#define CLI_MEASURES_H

#include <vindex/eval.h>

#include "truth.h"

/* How it was measured, for the report. */
struct cli_measured {
    const char *metric;  /* by name */
    const char *index;   /* factory string, or NULL: exhaustive */
    bool square;         /* the queries are the candidates */
    int64_t precision_k; /* of P@k */
    int64_t knn;         /* 0: not asked */
};

int cli_measures_print(const struct cli_measured *how, const vindex_eval_report *report);

/* One JSON object per query row and line: row, id, AP, first_rank, relevant; null for no query. */
int cli_measures_per_query(const char *path, const vindex_eval_detail *detail,
                           const struct cli_truth *queries);

#endif
