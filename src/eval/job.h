/* What every evaluation does around its ranking: checking what was asked, knowing which candidates
 * are relevant, holding the vote, reporting. */
#ifndef VX_EVAL_JOB_H
#define VX_EVAL_JOB_H

#include <time.h>

#include "core/topk.h"
#include "measures.h"

/* At most this many pairs, neighbours or search results are held at a time, so that an evaluation
 * needs megabytes, whatever the size of the set; one query's own may be more. */
enum { VX_EVAL_BATCH = 1 << 18 };

/* One side of an evaluation. */
typedef struct vx_side {
    const int32_t *cliques;
    int64_t count;
} vx_side;

typedef struct vx_eval_job {
    vindex_eval_params params;
    const int32_t *query_cliques, *candidate_cliques;
    size_t query_count, candidate_count;
    bool square;
    bool similarity; /* keys are negated similarities; set after vx_eval_open */
    size_t knn, top; /* neighbours that vote, that are kept: no more than there are candidates */
    int64_t *top_rows;
    double *top_distances;
    vx_hit *members;  /* the candidates by clique (key), then row (id) */
    vx_hit *ballot;   /* knn entries, for the vote */
    size_t *relevant; /* per query row, how many candidates are relevant */
    vx_measures measures;
    struct timespec started;
} vx_eval_job;

/* Checks parameters (NULL: the defaults) and both sides and prepares the rest. */
vindex_status vx_eval_open(vx_eval_job *job, const vindex_eval_params *params, vx_side queries,
                           vx_side candidates, bool square);

/* Ends an evaluation whose ranking answered status: fills report and detail when that is
 * VINDEX_OK, frees everything in any case, and answers status. */
vindex_status vx_eval_close(vx_eval_job *job, vindex_status status, vindex_eval_report *report,
                            vindex_eval_detail *detail);

/* Shapes and numbers of the vectors of both sets (of the candidates, in a square set). */
vindex_status vx_eval_check_vectors(const vindex_eval_sets *sets, bool square);

/* Candidates other than the query itself. */
static inline size_t vx_eval_others(const vx_eval_job *job) {
    return job->candidate_count - (job->square ? 1 : 0);
}

/* Writes the rows relevant to a query (job->relevant[query] of them), ascending. */
void vx_eval_relevant(const vx_eval_job *job, size_t query, int64_t *rows);

/* How many of a query's nearest candidates are needed, for the vote and to keep. */
static inline size_t vx_eval_nearest(const vx_eval_job *job) {
    return VX_MAX(job->knn, job->top);
}

/* Takes vx_eval_nearest of a query's candidates, best first (smaller keys are better), id -1 from
 * where there are fewer. */
void vx_eval_take_nearest(vx_eval_job *job, size_t query, const vx_hit *nearest);

/* Reports done of total to the caller's callback. */
vindex_status vx_eval_progress(const vx_eval_job *job, const char *phase, size_t done,
                               size_t total);

#endif
