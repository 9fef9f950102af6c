/* What the files of `vindex eval` share. */
#ifndef CLI_EVAL_H
#define CLI_EVAL_H

#include <vindex/eval.h>

#include "report.h"
#include "rows.h"
#include "truth.h"

/* What was asked for. */
struct eval {
    const char **inputs, **labels, **queries, **query_labels;
    char *metric, *preset, *spec, *project, *similarity, *distance;
    char *per_query, *compare, *segments, *padding, *dims, *triplets, *plot, *scatter;
    int prototypes, silhouette;
    long long knn, precision_at, depth, top;
    vindex_eval_params params;
    vindex_eval_reduction reduction; /* of --segments */
    bool per_dim;                    /* the metric l2/d: distances are shown divided by dim */
};

/* What the library is asked about and what it answered. */
struct eval_task {
    const struct eval *eval;
    struct cli_rows candidates, queries; /* queries.rows is 0: the candidates query each other */
    struct cli_truth truth, query_truth;
    int32_t *cliques; /* of the candidates' rows, then of the queries'; NULL: there are no labels */
    float *vectors, *query_vectors;   /* as they are compared */
    uint8_t *padding, *query_padding; /* 1 where a row is none, as --padding says */
    int64_t dim;                      /* of these */
    char *index;                      /* factory string, or NULL */
    vindex_eval_report report;
    vindex_eval_detail detail;
};

static inline bool eval_is_matrix(const struct eval *eval) {
    return eval->similarity != NULL || eval->distance != NULL;
}
static inline bool eval_is_square(const struct eval *eval) {
    return eval_is_matrix(eval) ? eval->query_labels == NULL : eval->queries == NULL;
}

/* Reads and ranks; the task is to be closed in any case. eval_run.c */
int eval_run(struct eval_task *task);
void eval_close(struct eval_task *task);

/* The ids and labels of what queries. */
static inline const struct cli_truth *eval_query_truth(const struct eval_task *task) {
    return task->query_truth.count > 0 ? &task->query_truth : &task->truth;
}

/* The row of recording i, which is i itself where every row is a recording. */
static inline int64_t eval_first_row(const struct cli_truth *truth, int64_t i) {
    return truth->starts != NULL ? truth->starts[i] : i;
}

/* ---- subspaces: eval_dims.c ---- */

/* Leaves of each row what --dims names, in place, scaled by the roots of its weights; *dim is then
 * how many numbers are left. */
int eval_dims_apply(const struct eval *eval, float *vectors, int64_t rows, int64_t *dim);

/* ---- beside the ranking: eval_more.c ---- */

/* Adds triplet accuracy, prototypes and silhouette, as asked for, to the report. */
int eval_more(const struct eval_task *task, struct cli_report *report);

/* ---- files of queries: eval_queries.c ---- */

int eval_queries_write(const struct eval_task *task);

/* A system that is compared: an entry per query row. */
struct eval_system {
    int64_t count;
    char **ids; /* NULL: row numbers */
    double *average_precision;
    int64_t *first_rank;
};

int eval_queries_read(const char *path, struct eval_system *system);
int eval_system_of(const struct eval_task *task, struct eval_system *system);
void eval_system_free(struct eval_system *system);

/* Adds the comparison with --compare to the report. eval_compare.c */
int eval_compare(const struct eval_task *task, struct cli_report *report);

/* ---- printing: measures.c ---- */

/* The task's measures, named. */
struct cli_report *eval_report(const struct eval_task *task);

/* ---- pictures: eval_plot.c ---- */

int eval_plot(const struct eval_task *task);
int eval_scatter(const struct eval_task *task);

#endif
