/* Evaluation of embeddings: exact ranks from the exact room. */
#include "exact/rank.h"
#include "job.h"

/* The caller's progress, over the batches of one phase. */
typedef struct stage {
    const vx_eval_job *job;
    const char *phase;
    double done, share; /* of the whole phase: before this batch, by this batch */
} stage;

static int stage_progress(void *context, const char *phase, double fraction) {
    const stage *s = context;
    (void)phase; /* the ranker's own name for what the caller knows as ours */
    return s->job->params.progress(s->job->params.progress_context, s->phase,
                                   s->done + s->share * fraction);
}

static vindex_call stage_call(const vx_eval_job *job, stage *s) {
    vindex_call call;
    vindex_call_init(&call);
    call.threads = job->params.threads;
    if (job->params.progress) {
        call.progress = stage_progress;
        call.progress_context = s;
    }
    return call;
}

/* The task of some queries from first on; what is asked of them is the caller's to fill. */
static vx_rank_task task_of(const vx_eval_job *job, const vindex_eval_sets *sets,
                            const int64_t *self, size_t first) {
    return (vx_rank_task){
        .metric = job->params.metric,
        .dim = (size_t)sets->dim,
        .queries = sets->queries + first * (size_t)sets->dim,
        .candidates = sets->candidates,
        .candidate_count = job->candidate_count,
        .self = self ? self + first : NULL,
        .within = job->square,
    };
}

/* Memory for the pairs of one batch. */
typedef struct pairs {
    size_t *offsets; /* query_count + 1 */
    int64_t *rows, *before, *tied;
} pairs;

static vindex_status rank_batch(vx_eval_job *job, vx_rank_task *task, pairs *batch, size_t first,
                                stage *s) {
    task->offsets = batch->offsets;
    task->rows = batch->rows;
    task->before = batch->before;
    task->tied = batch->tied;
    for (size_t q = 0; q < task->query_count; q++)
        vx_eval_relevant(job, first + q, batch->rows + batch->offsets[q]);
    vindex_call call = stage_call(job, s);
    VX_TRY(vx_rank(task, &call));
#pragma omp parallel for num_threads(vx_threads(job->params.threads)) schedule(static)
    for (size_t q = 0; q < task->query_count; q++) {
        size_t start = batch->offsets[q], count = batch->offsets[q + 1] - start;
        int64_t tied = 0;
        if (!count) continue;
        for (size_t i = start; i < start + count; i++) {
            tied += batch->tied[i] > 0;
            batch->before[i]++; /* one more than before it: the rank */
        }
        vx_measures_add(&job->measures, first + q, batch->before + start, count,
                        vx_eval_others(job), tied);
    }
    return VINDEX_OK;
}

static vindex_status rank_batches(vx_eval_job *job, const vindex_eval_sets *sets,
                                  const int64_t *self, pairs *batch) {
    for (size_t first = 0, end; first < job->query_count; first = end) {
        size_t count = 0;
        batch->offsets[0] = 0;
        for (end = first; end < job->query_count; end++) {
            if (end > first && count + job->relevant[end] > VX_EVAL_BATCH) break;
            count += job->relevant[end];
            batch->offsets[end - first + 1] = count;
        }
        if (!count) continue;
        vx_rank_task task = task_of(job, sets, self, first);
        task.query_count = end - first;
        double rows = (double)job->query_count;
        stage s = {job, "rank", (double)first / rows, (double)(end - first) / rows};
        VX_TRY(rank_batch(job, &task, batch, first, &s));
    }
    return vx_eval_progress(job, "rank", 1, 1);
}

static vindex_status rank_all(vx_eval_job *job, const vindex_eval_sets *sets, const int64_t *self) {
    size_t most = 0, total = 0;
    for (size_t q = 0; q < job->query_count; q++) {
        most = VX_MAX(most, job->relevant[q]);
        total += job->relevant[q];
    }
    size_t capacity = VX_MAX(most, VX_MIN(total, (size_t)VX_EVAL_BATCH));
    pairs batch = {
        .offsets = vx_alloc(job->query_count + 1, sizeof(size_t)),
        .rows = vx_alloc(capacity, sizeof(int64_t)),
        .before = vx_alloc(capacity, sizeof(int64_t)),
        .tied = vx_alloc(capacity, sizeof(int64_t)),
    };
    vindex_status status;
    if (batch.offsets && batch.rows && batch.before && batch.tied)
        status = rank_batches(job, sets, self, &batch);
    else
        status = vx_fail_memory(job->query_count + 3 * capacity, sizeof(int64_t), "eval: ranks");
    vx_free(batch.offsets);
    vx_free(batch.rows);
    vx_free(batch.before);
    vx_free(batch.tied);
    return status;
}

static vindex_status find_nearest(vx_eval_job *job, const vindex_eval_sets *sets,
                                  const int64_t *self) {
    size_t k = vx_eval_nearest(job);
    if (!k) return VINDEX_OK;
    size_t rows = VX_MIN(job->query_count, VX_MAX(VX_EVAL_BATCH / k, (size_t)1));
    vx_hit *nearest = vx_alloc(rows, k * sizeof *nearest);
    if (!nearest) return vx_fail_memory(rows, k * sizeof *nearest, "eval: neighbours");
    vindex_status status = VINDEX_OK;
    for (size_t first = 0; first < job->query_count && !status; first += rows) {
        vx_rank_task task = task_of(job, sets, self, first);
        task.query_count = VX_MIN(rows, job->query_count - first);
        double total = (double)job->query_count;
        stage s = {job, "vote", (double)first / total, (double)task.query_count / total};
        vindex_call call = stage_call(job, &s);
        status = vx_rank_nearest(&task, k, &call, nearest);
        for (size_t q = 0; q < task.query_count && !status; q++)
            vx_eval_take_nearest(job, first + q, nearest + q * k);
    }
    vx_free(nearest);
    return status ? status : vx_eval_progress(job, "vote", 1, 1);
}

static vindex_status check_vectors(const float *vectors, int64_t n, int64_t dim, const char *name) {
    size_t numbers, bytes, where;
    if (!vectors)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the %s are NULL; give rows x dim numbers", name);
    if (dim < 1 || dim > VX_DIM_MOST)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: dim is %lld; give 1 to %d", (long long)dim,
                       VX_DIM_MOST);
    if (!vx_mul((size_t)n, (size_t)dim, &numbers) || !vx_mul(numbers, sizeof(float), &bytes))
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: %lld %s of %lld numbers do not fit memory",
                       (long long)n, name, (long long)dim);
    if (vx_all_finite(vectors, numbers, &where)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA,
                   "eval: row %zu, column %zu of the %s is %g; every number must be finite",
                   where / (size_t)dim, where % (size_t)dim, name, (double)vectors[where]);
}

vindex_status vx_eval_check_vectors(const vindex_eval_sets *sets, bool square) {
    VX_TRY(check_vectors(sets->candidates, sets->candidate_count, sets->dim, "candidates"));
    return square ? VINDEX_OK
                  : check_vectors(sets->queries, sets->query_count, sets->dim, "queries");
}

static vindex_status evaluate(vx_eval_job *job, const vindex_eval_sets *sets) {
    VX_TRY(vx_eval_check_vectors(sets, job->square));
    int64_t *self = NULL;
    if (job->square) {
        self = vx_alloc(job->query_count, sizeof *self);
        if (!self) return vx_fail_memory(job->query_count, sizeof *self, "eval: queries");
        for (size_t q = 0; q < job->query_count; q++) self[q] = (int64_t)q;
    }
    vindex_status status = rank_all(job, sets, self);
    if (!status) status = find_nearest(job, sets, self);
    vx_free(self);
    return status;
}

static vindex_status run(const vindex_eval_sets *sets, bool square,
                         const vindex_eval_params *params, vindex_eval_report *report,
                         vindex_eval_detail *detail) {
    if (detail) *detail = (vindex_eval_detail){0};
    if (!report)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the report is NULL; give a place for it");
    vx_eval_job job;
    VX_TRY(vx_eval_open(&job, params, (vx_side){sets->query_cliques, sets->query_count},
                        (vx_side){sets->candidate_cliques, sets->candidate_count}, square));
    job.similarity = job.params.metric != VINDEX_L2;
    return vx_eval_close(&job, evaluate(&job, sets), report, detail);
}

vindex_status vindex_eval(const float *vectors, const int32_t *cliques, int64_t n, int64_t dim,
                          const vindex_eval_params *params, vindex_eval_report *report,
                          vindex_eval_detail *detail) {
    vindex_eval_sets sets = {vectors, cliques, n, vectors, cliques, n, dim};
    return run(&sets, true, params, report, detail);
}

vindex_status vindex_eval_split(const vindex_eval_sets *sets, const vindex_eval_params *params,
                                vindex_eval_report *report, vindex_eval_detail *detail) {
    if (!sets) return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the sets are NULL; give both");
    return run(sets, false, params, report, detail);
}
