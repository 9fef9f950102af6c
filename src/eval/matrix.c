/* Evaluation of a ready-made matrix, such as the similarity matrices of Qmax, Dmax or SiMPle in
 * "Less is more", Table 2: some megabytes of rows in memory at a time, read by the caller's thread,
 * ranked by all. */
#include <math.h>
#include <omp.h>

#include "job.h"

/* What ranking one row needs; each thread has one. */
typedef struct workspace {
    int64_t *rows;  /* the relevant rows, then their ranks */
    vx_hit *hits;   /* the same, best first */
    size_t *before; /* per hit, candidates that rank right before it; one more for those after */
    bool *tied;
} workspace;

/* Rows in memory. */
typedef struct block {
    size_t first, count, capacity;
    float *values;
    vx_hit *nearest;      /* per row: memory of a top-k, for the vote and to keep */
    size_t *not_a_number; /* per row: the first column that is NaN, or SIZE_MAX */
    workspace *work;
    int threads;
} block;

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
static void rank_row(vx_eval_job *job, const vindex_eval_matrix *matrix, const workspace *work,
                     size_t query, const float *values) {
    size_t count = job->relevant[query];
    vx_eval_relevant(job, query, work->rows);
    for (size_t i = 0; i < count; i++) {
        int64_t row = work->rows[i];
        work->hits[i] = (vx_hit){.key = key_of(matrix, values[row]), .id = row};
        work->before[i] = 0;
        work->tied[i] = false;
    }
    vx_hits_sort(work->hits, count);
    work->before[count] = 0;
    for (size_t c = 0; c < job->candidate_count; c++) {
        vx_hit hit = {.key = key_of(matrix, values[c]), .id = (int64_t)c};
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

static void find_nearest(const vx_eval_job *job, const vindex_eval_matrix *matrix, size_t query,
                         const float *values, vx_hit *nearest) {
    size_t k = vx_eval_nearest(job);
    vx_topk top;
    vx_topk_init(&top, k, nearest);
    for (size_t c = 0; c < job->candidate_count; c++)
        if (!left_out(job, query, c))
            vx_topk_push(&top, (vx_hit){.key = key_of(matrix, values[c]), .id = (int64_t)c});
    for (size_t i = vx_topk_finish(&top); i < k; i++) top.hits[i] = (vx_hit){NAN, -1};
}

static size_t find_nan(const vx_eval_job *job, size_t query, const float *values) {
    for (size_t c = 0; c < job->candidate_count; c++)
        if (isnan(values[c]) && !left_out(job, query, c)) return c;
    return SIZE_MAX;
}

static bool wanted(const vx_eval_job *job, size_t query) {
    return job->relevant[query] || vx_eval_nearest(job);
}

static void rank_one(vx_eval_job *job, const vindex_eval_matrix *matrix, const block *b, size_t row,
                     const workspace *work) {
    size_t query = b->first + row;
    const float *values = b->values + row * job->candidate_count;
    b->not_a_number[row] = find_nan(job, query, values);
    if (b->not_a_number[row] != SIZE_MAX) return;
    if (job->relevant[query]) rank_row(job, matrix, work, query, values);
    if (vx_eval_nearest(job))
        find_nearest(job, matrix, query, values,
                     b->nearest + row * vx_topk_capacity(vx_eval_nearest(job)));
}

/* Ranks all rows of the block at once; what changes the job is then done in their order. */
static vindex_status rank_block(vx_eval_job *job, const vindex_eval_matrix *matrix,
                                const block *b) {
#pragma omp parallel for schedule(dynamic) num_threads(b->threads)
    for (size_t row = 0; row < b->count; row++)
        if (wanted(job, b->first + row))
            rank_one(job, matrix, b, row, &b->work[omp_get_thread_num()]);
    for (size_t row = 0; row < b->count; row++) {
        if (!wanted(job, b->first + row)) continue;
        if (b->not_a_number[row] != SIZE_MAX)
            return vx_fail(VINDEX_ERR_DATA,
                           "eval: row %zu, column %zu of the matrix is NaN; every candidate needs "
                           "a number",
                           b->first + row, b->not_a_number[row]);
        if (vx_eval_nearest(job))
            vx_eval_take_nearest(job, b->first + row,
                                 b->nearest + row * vx_topk_capacity(vx_eval_nearest(job)));
    }
    return VINDEX_OK;
}

/* Blocks begin and end with a row that is wanted. */
static vindex_status rank_rows(vx_eval_job *job, const vindex_eval_matrix *matrix, block *b) {
    for (size_t next = 0; next < job->query_count;) {
        if (!wanted(job, next)) {
            next++;
            continue;
        }
        VX_TRY(vx_eval_progress(job, "rank", next, job->query_count));
        b->first = next;
        for (size_t i = 0; i < b->capacity && next + i < job->query_count; i++)
            if (wanted(job, next + i)) b->count = i + 1;
        VX_TRY(matrix->rows(matrix->context, (int64_t)b->first, (int64_t)b->count, b->values));
        VX_TRY(rank_block(job, matrix, b));
        next += b->count;
    }
    return vx_eval_progress(job, "rank", 1, 1);
}

static bool open_workspace(workspace *work, size_t most) {
    *work = (workspace){
        .rows = vx_alloc(most, sizeof *work->rows),
        .hits = vx_alloc(most, sizeof *work->hits),
        .before = vx_alloc(most + 1, sizeof *work->before),
        .tied = vx_alloc(most, sizeof *work->tied),
    };
    return work->rows && work->hits && work->before && work->tied;
}

static void close_workspace(workspace *work) {
    vx_free(work->rows);
    vx_free(work->hits);
    vx_free(work->before);
    vx_free(work->tied);
}

static vindex_status evaluate(vx_eval_job *job, const vindex_eval_matrix *matrix) {
    enum { BLOCK_BYTES = 16 << 20 };
    size_t most = 0, row_bytes = job->candidate_count * sizeof(float);
    for (size_t q = 0; q < job->query_count; q++) most = VX_MAX(most, job->relevant[q]);
    block b = {.threads = vx_threads(job->params.threads)};
    b.capacity = VX_MIN(VX_MAX(BLOCK_BYTES / row_bytes, (size_t)1), job->query_count);
    b.values = vx_alloc(b.capacity, row_bytes);
    b.nearest = vx_alloc(b.capacity, vx_topk_capacity(vx_eval_nearest(job)) * sizeof *b.nearest);
    b.not_a_number = vx_alloc(b.capacity, sizeof *b.not_a_number);
    b.work = vx_alloc_zero((size_t)b.threads, sizeof *b.work);
    bool ready = b.values && b.nearest && b.not_a_number && b.work;
    for (int i = 0; i < b.threads && ready; i++) ready = open_workspace(&b.work[i], most);
    vindex_status status =
        ready ? rank_rows(job, matrix, &b)
              : vx_fail_memory(b.capacity, row_bytes, "eval: some rows of a matrix");
    for (int i = 0; i < b.threads && b.work; i++) close_workspace(&b.work[i]);
    vx_free(b.work);
    vx_free(b.not_a_number);
    vx_free(b.nearest);
    vx_free(b.values);
    return status;
}

vindex_status vindex_eval_from_matrix(const vindex_eval_matrix *matrix,
                                      const vindex_eval_params *params, vindex_eval_report *report,
                                      vindex_eval_detail *detail) {
    if (detail) *detail = (vindex_eval_detail){0};
    if (!matrix || !matrix->rows || !report)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "eval: the matrix, its row function or the report is NULL; give all");
    vx_eval_job job;
    VX_TRY(vx_eval_open(&job, params, (vx_side){matrix->query_cliques, matrix->query_count},
                        (vx_side){matrix->candidate_cliques, matrix->candidate_count},
                        matrix->square));
    job.similarity = matrix->similarity;
    return vx_eval_close(&job, evaluate(&job, matrix), report, detail);
}
