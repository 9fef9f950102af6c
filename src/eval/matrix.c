/* Evaluation of a ready-made matrix, such as the similarity matrices of Qmax, Dmax or SiMPle in
 * "Less is more", Table 2: one row in memory at a time. */
#include <math.h>

#include "job.h"

typedef struct workspace {
    float *values;  /* one row */
    int64_t *rows;  /* the relevant rows, then their ranks */
    vx_hit *hits;   /* the same, best first */
    size_t *before; /* per hit, candidates that rank right before it; one more for those after */
    bool *tied;
    vx_hit *nearest; /* memory of the top-k for the vote and to keep */
} workspace;

static bool left_out(const vx_eval_job *job, size_t query, size_t candidate) {
    return job->square && candidate == query;
}

static double key_of(const vindex_eval_matrix *matrix, float value) {
    return matrix->similarity ? -(double)value : (double)value;
}

/* How many of the sorted hits rank before `hit` or are it. */
static size_t place(const vx_hit *hits, size_t count, vx_hit hit) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (vx_hit_before(hit, hits[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Ranks by counting: every candidate finds its place among the sorted relevant ones, which costs a
 * logarithm of their number where sorting the row costs one of its length. */
static void rank_row(vx_eval_job *job, const vindex_eval_matrix *matrix, workspace *work,
                     size_t query) {
    size_t count = job->relevant[query];
    vx_eval_relevant(job, query, work->rows);
    for (size_t i = 0; i < count; i++) {
        int64_t row = work->rows[i];
        work->hits[i] = (vx_hit){.key = key_of(matrix, work->values[row]), .id = row};
        work->before[i] = 0;
        work->tied[i] = false;
    }
    vx_hits_sort(work->hits, count);
    work->before[count] = 0;
    for (size_t c = 0; c < job->candidate_count; c++) {
        vx_hit hit = {.key = key_of(matrix, work->values[c]), .id = (int64_t)c};
        if (hit.key > work->hits[count - 1].key || left_out(job, query, c)) continue;
        size_t at = place(work->hits, count, hit);
        work->before[at]++;
        if (at < count && work->hits[at].key == hit.key) work->tied[at] = true;
        if (at && work->hits[at - 1].key == hit.key && work->hits[at - 1].id != hit.id)
            work->tied[at - 1] = true;
    }
    size_t before = 0;
    int64_t tied = 0;
    for (size_t i = 0; i < count; i++) {
        before += work->before[i]; /* a hit counts itself as before the next one */
        work->rows[i] = (int64_t)before + 1;
        bool shared = (i && work->hits[i - 1].key == work->hits[i].key) ||
                      (i + 1 < count && work->hits[i + 1].key == work->hits[i].key);
        tied += work->tied[i] || shared;
    }
    vx_measures_add(&job->measures, query, work->rows, count, vx_eval_others(job), tied);
}

static void find_nearest(vx_eval_job *job, const vindex_eval_matrix *matrix, workspace *work,
                         size_t query) {
    size_t k = vx_eval_nearest(job);
    vx_topk top;
    vx_topk_init(&top, k, work->nearest);
    for (size_t c = 0; c < job->candidate_count; c++)
        if (!left_out(job, query, c))
            vx_topk_push(&top, (vx_hit){.key = key_of(matrix, work->values[c]), .id = (int64_t)c});
    for (size_t i = vx_topk_finish(&top); i < k; i++) top.hits[i] = (vx_hit){NAN, -1};
    vx_eval_take_nearest(job, query, top.hits);
}

static vindex_status read_row(vx_eval_job *job, const vindex_eval_matrix *matrix, float *values,
                              size_t query) {
    VX_TRY(matrix->row(matrix->context, (int64_t)query, values));
    for (size_t c = 0; c < job->candidate_count; c++)
        if (isnan(values[c]) && !left_out(job, query, c))
            return vx_fail(VINDEX_ERR_DATA,
                           "eval: row %zu, column %zu of the matrix is NaN; every candidate needs "
                           "a number",
                           query, c);
    return VINDEX_OK;
}

static vindex_status rank_rows(vx_eval_job *job, const vindex_eval_matrix *matrix,
                               workspace *work) {
    for (size_t q = 0; q < job->query_count; q++) {
        if (q % 64 == 0) VX_TRY(vx_eval_progress(job, "rank", q, job->query_count));
        if (!job->relevant[q] && !vx_eval_nearest(job)) continue;
        VX_TRY(read_row(job, matrix, work->values, q));
        if (job->relevant[q]) rank_row(job, matrix, work, q);
        if (vx_eval_nearest(job)) find_nearest(job, matrix, work, q);
    }
    return vx_eval_progress(job, "rank", 1, 1);
}

static vindex_status evaluate(vx_eval_job *job, const vindex_eval_matrix *matrix) {
    size_t most = 0;
    for (size_t q = 0; q < job->query_count; q++) most = VX_MAX(most, job->relevant[q]);
    workspace work = {
        .values = vx_alloc(job->candidate_count, sizeof *work.values),
        .rows = vx_alloc(most, sizeof *work.rows),
        .hits = vx_alloc(most, sizeof *work.hits),
        .before = vx_alloc(most + 1, sizeof *work.before),
        .tied = vx_alloc(most, sizeof *work.tied),
        .nearest = vx_alloc(vx_topk_capacity(vx_eval_nearest(job)), sizeof *work.nearest),
    };
    vindex_status status;
    if (work.values && work.rows && work.hits && work.before && work.tied && work.nearest)
        status = rank_rows(job, matrix, &work);
    else
        status = vx_fail_memory(job->candidate_count + most + job->knn, sizeof(vx_hit),
                                "eval: a matrix row");
    vx_free(work.values);
    vx_free(work.rows);
    vx_free(work.hits);
    vx_free(work.before);
    vx_free(work.tied);
    vx_free(work.nearest);
    return status;
}

vindex_status vindex_eval_from_matrix(const vindex_eval_matrix *matrix,
                                      const vindex_eval_params *params, vindex_eval_report *report,
                                      vindex_eval_detail *detail) {
    if (detail) *detail = (vindex_eval_detail){0};
    if (!matrix || !matrix->row || !report)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "eval: the matrix, its row function or the report is NULL; give all");
    vx_eval_job job;
    VX_TRY(vx_eval_open(&job, params, (vx_side){matrix->query_cliques, matrix->query_count},
                        (vx_side){matrix->candidate_cliques, matrix->candidate_count},
                        matrix->square));
    job.similarity = matrix->similarity;
    return vx_eval_close(&job, evaluate(&job, matrix), report, detail);
}
