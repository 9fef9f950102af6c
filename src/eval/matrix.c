/* Evaluation of a ready-made matrix, such as the similarity matrices of Qmax, Dmax or SiMPle in
 * "Less is more", Table 2: some megabytes of rows in memory at a time, read by the caller's thread,
 * ranked by all. */
#include <math.h>
#include <omp.h>

#include "row.h"

/* What ranking one row needs; each thread has one. */
typedef struct workspace {
    vx_row row;
    double *keys; /* per candidate */
} workspace;

/* Rows in memory. */
typedef struct block {
    size_t first, count, capacity;
    float *values;
    vx_hit *nearest;      /* per row: the best candidates, for the vote and to keep */
    size_t *not_a_number; /* per row: the first column that is NaN, or SIZE_MAX */
    workspace *work;
    int threads;
} block;

static bool left_out(const vx_eval_job *job, size_t query, size_t candidate) {
    return job->square && candidate == query;
}

/* Smaller is better; NaN leaves out what the preset does. */
static void make_keys(const vx_eval_job *job, const vindex_eval_matrix *matrix, const float *values,
                      double *keys) {
    bool negatives_left = job->measures.preset->negatives_left && !matrix->similarity;
    for (size_t c = 0; c < job->candidate_count; c++) {
        double value = (double)values[c];
        keys[c] = matrix->similarity ? -value : negatives_left && value < 0 ? NAN : value;
    }
}

static size_t find_nan(const vx_eval_job *job, size_t query, const float *values) {
    for (size_t c = 0; c < job->candidate_count; c++)
        if (isnan(values[c]) && !left_out(job, query, c)) return c;
    return SIZE_MAX;
}

static bool wanted(const vx_eval_job *job, size_t query) {
    return job->relevant[query] || vx_eval_nearest(job);
}

static void rank_one(vx_eval_job *job, const vindex_eval_matrix *matrix, const block *b, size_t at,
                     workspace *work) {
    size_t query = b->first + at, k = vx_eval_nearest(job);
    const float *values = b->values + at * job->candidate_count;
    b->not_a_number[at] = find_nan(job, query, values);
    if (b->not_a_number[at] != SIZE_MAX) return;
    make_keys(job, matrix, values, work->keys);
    if (job->relevant[query]) vx_row_rank(job, &work->row, query, work->keys);
    if (k)
        memcpy(b->nearest + at * k, vx_row_nearest(job, &work->row, query, work->keys),
               k * sizeof *b->nearest);
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
            vx_eval_take_nearest(job, b->first + row, b->nearest + row * vx_eval_nearest(job));
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

static vindex_status open_workspace(const vx_eval_job *job, workspace *work) {
    VX_TRY(vx_row_create(job, &work->row));
    work->keys = vx_alloc(job->candidate_count, sizeof *work->keys);
    return work->keys ? VINDEX_OK
                      : vx_fail_memory(job->candidate_count, sizeof *work->keys, "eval: a row");
}

static void close_workspace(workspace *work) {
    vx_row_free(&work->row);
    vx_free(work->keys);
}

static vindex_status evaluate(vx_eval_job *job, const vindex_eval_matrix *matrix) {
    enum { BLOCK_BYTES = 16 << 20 };
    size_t row_bytes = job->candidate_count * sizeof(float);
    block b = {.threads = vx_threads(job->params.threads)};
    b.capacity = VX_MIN(VX_MAX(BLOCK_BYTES / row_bytes, (size_t)1), job->query_count);
    b.values = vx_alloc(b.capacity, row_bytes);
    b.nearest = vx_alloc(b.capacity, vx_eval_nearest(job) * sizeof *b.nearest);
    b.not_a_number = vx_alloc(b.capacity, sizeof *b.not_a_number);
    b.work = vx_alloc_zero((size_t)b.threads, sizeof *b.work);
    vindex_status status =
        b.values && b.nearest && b.not_a_number && b.work
            ? VINDEX_OK
            : vx_fail_memory(b.capacity, row_bytes, "eval: some rows of a matrix");
    for (int i = 0; i < b.threads && !status; i++) status = open_workspace(job, &b.work[i]);
    if (!status) status = rank_rows(job, matrix, &b);
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
