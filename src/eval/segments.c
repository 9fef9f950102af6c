/* Evaluation of recordings that keep several vectors each, as CLEWS and ByteCover3 do: for one
 * query recording at a time, the distances of all candidates, in double precision. */
#include <math.h>
#include <omp.h>

#include "exact/group.h"
#include "reduce.h"
#include "row.h"

enum { QUERIES_EACH = 8 /* recordings per thread between two calls of progress */ };

/* A side without its padding. */
typedef struct side {
    const vindex_eval_recordings *given;
    size_t *starts;     /* count + 1, into rows */
    const float **rows; /* the segments that count */
    size_t most;        /* segments of a recording */
} side;

typedef struct segmented {
    vx_eval_job job;
    vindex_eval_reduction how;
    vx_space space;
    side queries, candidates;
    int threads;
} segmented;

/* One thread's memory. */
typedef struct worker {
    vx_group group;  /* the segments of a query */
    float *segments; /* the same side by side */
    double *pairs;   /* a query's segments x a candidate's */
    double *keys;    /* per candidate */
    vx_reducer reducer;
    vx_row row;
} worker;

static vindex_status check_side(const vindex_eval_recordings *given, const char *name) {
    size_t numbers, where;
    if (!given->vectors || !given->offsets)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the %s have no vectors or no offsets; give both",
                       name);
    if (given->offsets[0] != 0)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the offsets of the %s begin with %lld; with 0",
                       name, (long long)given->offsets[0]);
    for (int64_t i = 0; i < given->count; i++)
        if (given->offsets[i + 1] < given->offsets[i])
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "eval: offset %lld of the %s is %lld after %lld; they must not fall",
                           (long long)i + 1, name, (long long)given->offsets[i + 1],
                           (long long)given->offsets[i]);
    if (given->dim < 1 || given->dim > VX_DIM_MOST ||
        !vx_mul((size_t)given->offsets[given->count], (size_t)given->dim, &numbers))
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: dim is %lld; give 1 to %d",
                       (long long)given->dim, VX_DIM_MOST);
    for (int64_t r = 0; r < given->offsets[given->count]; r++) {
        const float *row = given->vectors + (size_t)r * (size_t)given->dim;
        if ((given->padding && given->padding[r]) || vx_all_finite(row, (size_t)given->dim, &where))
            continue;
        return vx_fail(VINDEX_ERR_DATA,
                       "eval: row %lld, column %zu of the %s is %g; every number must be finite, "
                       "or the row padding",
                       (long long)r, where, name, (double)row[where]);
    }
    return VINDEX_OK;
}

static vindex_status open_side(const vindex_eval_recordings *given, const char *name, side *s) {
    VX_TRY(check_side(given, name));
    size_t total = (size_t)given->offsets[given->count], used = 0;
    s->given = given;
    s->starts = vx_alloc((size_t)given->count + 1, sizeof *s->starts);
    s->rows = vx_alloc(total, sizeof *s->rows);
    if (!s->starts || !s->rows) return vx_fail_memory(total, sizeof *s->rows, "eval: segments");
    for (size_t i = 0; i < (size_t)given->count; i++) {
        s->starts[i] = used;
        for (int64_t r = given->offsets[i]; r < given->offsets[i + 1]; r++)
            if (!given->padding || !given->padding[r])
                s->rows[used++] = given->vectors + (size_t)r * (size_t)given->dim;
        if (used == s->starts[i])
            return vx_fail(VINDEX_ERR_DATA,
                           "eval: recording %zu of the %s has no segment but padding; leave it out",
                           i, name);
        s->most = VX_MAX(s->most, used - s->starts[i]);
    }
    s->starts[given->count] = used;
    return VINDEX_OK;
}

static void close_side(side *s) {
    vx_free(s->starts);
    vx_free(s->rows);
}

static vindex_status open_worker(const segmented *all, worker *w) {
    size_t pairs, bytes;
    if (!vx_mul(all->queries.most, all->candidates.most, &pairs) ||
        !vx_mul(pairs, sizeof *w->pairs, &bytes))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "eval: recordings of %zu and %zu segments are too long to compare",
                       all->queries.most, all->candidates.most);
    VX_TRY(vx_group_create(&all->space, all->queries.most, false, &w->group));
    VX_TRY(vx_reducer_create(&all->how, VX_MAX(all->queries.most, all->candidates.most),
                             VX_MAX(all->queries.most, all->candidates.most), &w->reducer));
    VX_TRY(vx_row_create(&all->job, &w->row));
    w->segments = vx_alloc(all->queries.most, all->space.dim * sizeof *w->segments);
    w->pairs = vx_alloc(pairs, sizeof *w->pairs);
    w->keys = vx_alloc(all->job.candidate_count, sizeof *w->keys);
    if (w->segments && w->pairs && w->keys) return VINDEX_OK;
    return vx_fail_memory(pairs + all->job.candidate_count, sizeof *w->keys, "eval: segments");
}

static void close_worker(worker *w) {
    vx_group_free(&w->group);
    vx_reducer_free(&w->reducer);
    vx_row_free(&w->row);
    vx_free(w->segments);
    vx_free(w->pairs);
    vx_free(w->keys);
}

/* The keys of all candidates; false without the memory to load the query. */
static bool compare_all(const segmented *all, worker *w, size_t query) {
    const side *queries = &all->queries, *candidates = &all->candidates;
    size_t dim = all->space.dim, count = queries->starts[query + 1] - queries->starts[query];
    for (size_t i = 0; i < count; i++)
        memcpy(w->segments + i * dim, queries->rows[queries->starts[query] + i],
               dim * sizeof *w->segments);
    if (vx_group_load(&w->group, w->segments, count, 1)) return false;
    for (size_t c = 0; c < all->job.candidate_count; c++) {
        const float **rows = candidates->rows + candidates->starts[c];
        size_t columns = candidates->starts[c + 1] - candidates->starts[c];
        for (size_t j = 0; j < columns; j++)
            for (size_t i = 0; i < count; i++)
                w->pairs[i * columns + j] = vx_group_settle(&w->group, i, rows[j]);
        w->keys[c] = vx_reduce(&w->reducer, w->pairs, count, columns);
    }
    return true;
}

static bool rank_query(segmented *all, worker *w, size_t query) {
    vx_eval_job *job = &all->job;
    if (!job->relevant[query] && !vx_eval_nearest(job)) return true;
    if (!compare_all(all, w, query)) return false;
    vx_row_rank(job, &w->row, query, w->keys);
    if (!vx_eval_nearest(job)) return true;
    const vx_hit *nearest = vx_row_nearest(job, &w->row, query, w->keys);
#pragma omp critical(vx_eval_segments)
    vx_eval_take_nearest(job, query, nearest);
    return true;
}

static vindex_status rank_all(segmented *all, worker *workers) {
    size_t count = all->job.query_count, each = (size_t)all->threads * QUERIES_EACH;
    for (size_t first = 0; first < count; first += each) {
        VX_TRY(vx_eval_progress(&all->job, "rank", first, count));
        size_t end = VX_MIN(first + each, count), failed = 0;
#pragma omp parallel for num_threads(all->threads) schedule(dynamic) reduction(+ : failed)
        for (size_t q = first; q < end; q++)
            failed += !rank_query(all, &workers[omp_get_thread_num()], q);
        if (failed) return vx_fail_memory(all->queries.most, sizeof(float), "eval: a query");
    }
    return vx_eval_progress(&all->job, "rank", 1, 1);
}

static vindex_status evaluate(segmented *all, bool square, const vindex_eval_recordings *queries,
                              const vindex_eval_recordings *candidates) {
    VX_TRY(open_side(candidates, "candidates", &all->candidates));
    if (!square) VX_TRY(open_side(queries, "queries", &all->queries));
    if (square) all->queries = all->candidates;
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    all->threads = vx_threads(all->job.params.threads);
    worker *workers = vx_alloc_zero((size_t)all->threads, sizeof *workers);
    if (!workers) return vx_fail_memory((size_t)all->threads, sizeof *workers, "eval: segments");
    vindex_status status = VINDEX_OK;
    for (int t = 0; t < all->threads && !status; t++) status = open_worker(all, &workers[t]);
    if (!status) status = rank_all(all, workers);
    for (int t = 0; t < all->threads; t++) close_worker(&workers[t]);
    vx_free(workers);
    return status;
}

static vindex_status check_arguments(const vindex_eval_recordings *queries,
                                     const vindex_eval_recordings *candidates,
                                     const vindex_eval_reduction *reduction,
                                     const vindex_eval_report *report) {
    if (!candidates || !reduction || !report)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "eval: the recordings, the reduction or the report is NULL; give all");
    if ((unsigned)reduction->kind > VINDEX_EVAL_BPWR || reduction->count < 0 ||
        (reduction->kind == VINDEX_EVAL_BEST && !reduction->count))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "eval: reduction %d with count %lld; vindex_eval_reduction_parse makes one",
                       (int)reduction->kind, (long long)reduction->count);
    if (queries && queries->dim != candidates->dim)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "eval: the queries have %lld dimensions and the candidates %lld; they must "
                       "agree",
                       (long long)queries->dim, (long long)candidates->dim);
    return VINDEX_OK;
}

vindex_status vindex_eval_segments(const vindex_eval_recordings *queries,
                                   const vindex_eval_recordings *candidates,
                                   const vindex_eval_reduction *reduction,
                                   const vindex_eval_params *params, vindex_eval_report *report,
                                   vindex_eval_detail *detail) {
    if (detail) *detail = (vindex_eval_detail){0};
    VX_TRY(check_arguments(queries, candidates, reduction, report));
    bool square = !queries;
    if (square) queries = candidates;
    segmented all = {.how = *reduction};
    VX_TRY(vx_eval_open(&all.job, params, (vx_side){queries->cliques, queries->count},
                        (vx_side){candidates->cliques, candidates->count}, square));
    all.job.similarity = all.job.params.metric != VINDEX_L2;
    all.space = (vx_space){all.job.params.metric, VINDEX_F32, (size_t)candidates->dim, NULL};
    vindex_status status = evaluate(&all, square, queries, candidates);
    close_side(&all.candidates);
    if (!square) close_side(&all.queries);
    return vx_eval_close(&all.job, status, report, detail);
}
