/* Shares a search among threads and puts their findings together. Rows are handed out in spans to
 * whichever thread is free; since hits have one total order, who looked at what does not matter. */
#include "search.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>

#include "bound.h"
#include "nearest.h"
#include "worker.h"

enum {
    GROUP_BYTES = 1 << 20,   /* of a group's queries in single precision: they stay in the cache */
    GROUP_MOST = 2048,       /* queries */
    HITS_BYTES = 256 << 20,  /* of all top-k buffers of a group */
    FORMS_BYTES = 256 << 20, /* of a group's queries in both precisions, whatever the dimensions */
    FEW_ROWS = 1 << 16,      /* where MANY_QUERIES ask, settling late is worth its pools */
    MANY_QUERIES = 12,
    SMALL_WORK = 1 << 21 /* multiplications below which a second thread costs more than it brings */
};

enum { CODED, SURVIVORS, VECTORS, PLAIN, SETTLED, BYTES, STATS }; /* of vindex_search_stats */

typedef struct search_run {
    const vx_search_job *job;
    size_t k;
    double radius_key;
    vx_answer_fn answer;
    void *context;
    size_t rows, span_rows, spans_per_block, spans;
    atomic_int status;  /* the first failure of any thread */
    atomic_size_t done; /* spans, of all groups */
    size_t groups;
    atomic_llong stats[STATS];
} search_run;

static void record(search_run *run, vindex_status status) {
    int none = VINDEX_OK;
    if (status != VINDEX_OK) atomic_compare_exchange_strong(&run->status, &none, (int)status);
}

/* Progress is told on the caller's thread alone. */
static void report(search_run *run, bool caller) {
    size_t done = atomic_fetch_add(&run->done, 1) + 1;
    if (!run->job->progress || !caller) return;
    double fraction = (double)done / ((double)run->spans * (double)run->groups);
    if (run->job->progress(run->job->progress_context, "search", fraction))
        record(run, VINDEX_ERR_CANCELLED);
}

static void search_spans(search_run *run, vx_worker *worker, atomic_size_t *next, bool caller) {
    const vx_search_job *job = run->job;
    for (;;) {
        size_t i = atomic_fetch_add(next, 1);
        if (i >= run->spans || atomic_load(&run->status) != VINDEX_OK) break;
        size_t b = i / run->spans_per_block, first = i % run->spans_per_block * run->span_rows;
        if (worker->group->coded && first + run->span_rows >= job->blocks[b].count &&
            b + 1 < job->block_count)
            vx_worker_expect(worker, &job->blocks[b + 1], 0);
        if (first < job->blocks[b].count)
            vx_worker_span(worker, &job->blocks[b], b * job->block_rows, first,
                           VX_MIN(run->span_rows, job->blocks[b].count - first));
        report(run, caller);
    }
    vx_worker_finish(worker);
    record(run, worker->status);
}

/* A sample of the rows: pieces spread over all of them. */
enum { SAMPLE_PIECE = VX_CASCADE_ROWS, SAMPLE_SHARE = 32, SAMPLE_NEIGHBOURS = 64, SAMPLE_MOST = 8 };

static size_t sample_pieces(const search_run *run) {
    size_t rows = VX_MAX(run->rows / SAMPLE_SHARE, run->k * SAMPLE_NEIGHBOURS);
    return VX_MIN(rows, run->rows / SAMPLE_MOST) / SAMPLE_PIECE;
}

/* Piece i of that many: the block, and the first row there. */
static size_t sample_piece(const search_run *run, size_t i, size_t pieces, size_t *at) {
    size_t row = i * (run->rows / SAMPLE_PIECE) / pieces * SAMPLE_PIECE;
    *at = row % run->job->block_rows / VX_CODE_ROWS * VX_CODE_ROWS;
    return row / run->job->block_rows;
}

static void sample_spans(const search_run *run, vx_worker *worker, atomic_size_t *next,
                         size_t threads) {
    const vx_search_job *job = run->job;
    size_t pieces = sample_pieces(run), at;
    for (size_t i; (i = atomic_fetch_add(next, 1)) < pieces;) {
        if (i + threads < pieces) { /* which this thread will take next, or its neighbour */
            size_t b = sample_piece(run, i + threads, pieces, &at);
            vx_worker_expect(worker, &job->blocks[b], at);
        }
        size_t b = sample_piece(run, i, pieces, &at);
        size_t count = VX_MIN(job->blocks[b].count - at, (size_t)SAMPLE_PIECE);
        vx_worker_sample(worker, &job->blocks[b], b * job->block_rows, at, count);
    }
}

/* The k-th best of all threads' samples together. */
static void take_bests(vx_worker *workers, int threads, size_t count, vx_best *bests) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t q = 0; q < count; q++) {
        vx_topk *top = &workers[0].tops[q];
        for (int t = 1; t < threads; t++)
            for (size_t i = 0; i < workers[t].tops[q].count; i++)
                vx_topk_push(top, workers[t].tops[q].hits[i]);
        vx_topk_cut(top);
        if (top->worst.key < atomic_load(&bests[q])) atomic_store(&bests[q], top->worst.key);
    }
}

/* A first k-th best for each query, so that codes rule out rows from the start. */
static void sample(const search_run *run, vx_worker *workers, int threads, size_t count,
                   vx_best *bests) {
    atomic_size_t next = 0;
    if (threads == 1) {
        sample_spans(run, workers, &next, 1);
    } else {
#pragma omp parallel num_threads(threads)
        sample_spans(run, &workers[omp_get_thread_num()], &next, (size_t)threads);
    }
    take_bests(workers, threads, count, bests);
}

static void answer_topk(const search_run *run, vx_worker *workers, int threads, size_t count) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16) if (threads > 1)
    for (size_t q = 0; q < count; q++) {
        vx_topk *top = &workers[0].tops[q];
        for (int t = 1; t < threads; t++)
            for (size_t i = 0; i < workers[t].tops[q].count; i++)
                vx_topk_push(top, workers[t].tops[q].hits[i]);
        size_t found = vx_topk_finish(top);
        run->answer(run->context, workers[0].first_query + q, top->hits, found);
    }
}

/* Sorts the mixed findings of a range search by query with a counting sort. */
static vindex_status answer_range(const search_run *run, const vx_worker *workers, int threads,
                                  size_t count) {
    size_t total = 0;
    for (int t = 0; t < threads; t++) total += workers[t].found_count;
    size_t *ends = vx_alloc_zero(count + 1, sizeof *ends);
    vx_hit *hits = vx_alloc(total, sizeof *hits);
    if (!ends || !hits) {
        vx_free(ends);
        vx_free(hits);
        return vx_fail_memory(total, sizeof *hits, "range search: room for what was found");
    }
    for (int t = 0; t < threads; t++)
        for (size_t i = 0; i < workers[t].found_count; i++) ends[workers[t].found[i].query + 1]++;
    for (size_t q = 0; q < count; q++) ends[q + 1] += ends[q];
    for (int t = 0; t < threads; t++)
        for (size_t i = 0; i < workers[t].found_count; i++)
            hits[ends[workers[t].found[i].query]++] = workers[t].found[i].hit;
    for (size_t q = 0, start = 0; q < count; start = ends[q++]) {
        vx_hits_sort(hits + start, ends[q] - start);
        run->answer(run->context, workers[0].first_query + q, hits + start, ends[q] - start);
    }
    vx_free(ends);
    vx_free(hits);
    return VINDEX_OK;
}

/* Searches the rows for the queries first ... first+count-1. */
static vindex_status search_group(search_run *run, vx_group *group, vx_worker *workers, int threads,
                                  size_t first, vx_best *bests, bool caller) {
    const vx_search_job *job = run->job;
    size_t dim = job->space.dim, count = VX_MIN(group->capacity, job->query_count - first);
    if (job->weights && job->weight_rows == 1) vx_group_weigh(group, job->weights, 1);
    if (job->weights && job->weight_rows > 1)
        vx_group_weigh(group, job->weights + first * dim, count);
    VX_TRY(vx_group_load(group, job->queries + first * dim, count, threads));
    for (size_t q = 0; q < count; q++) atomic_init(&bests[q], INFINITY);
    for (int t = 0; t < threads; t++) vx_worker_begin(&workers[t], first, bests);
    if (run->k && group->coded) {
        sample(run, workers, threads, count, bests);
        for (int t = 0; t < threads; t++) vx_worker_begin(&workers[t], first, bests);
    }
    atomic_size_t next = 0;
    if (threads == 1) {
        search_spans(run, workers, &next, caller);
    } else {
#pragma omp parallel num_threads(threads)
        search_spans(run, &workers[omp_get_thread_num()], &next, omp_get_thread_num() == 0);
    }
    if (atomic_load(&run->status) != VINDEX_OK) return VINDEX_OK; /* recorded already */
    if (!run->k) return answer_range(run, workers, threads, count);
    answer_topk(run, workers, threads, count);
    return VINDEX_OK;
}

static void add_stats(search_run *run, const vindex_search_stats *done) {
    atomic_fetch_add(&run->stats[CODED], done->coded);
    atomic_fetch_add(&run->stats[SURVIVORS], done->survivors);
    atomic_fetch_add(&run->stats[VECTORS], done->vectors);
    atomic_fetch_add(&run->stats[PLAIN], done->plain);
    atomic_fetch_add(&run->stats[SETTLED], done->settled);
    atomic_fetch_add(&run->stats[BYTES], done->bytes);
}

/* Takes groups of queries, one after the other, until none is left. */
static void search_groups(search_run *run, size_t group_size, atomic_size_t *next_group,
                          int threads, bool caller) {
    const vx_search_job *job = run->job;
    vx_group group = {0};
    vindex_status status = vx_group_create(&job->space, group_size, job->weights != NULL, &group);
    vx_worker *workers = vx_alloc_zero((size_t)threads, sizeof *workers);
    vx_best *bests = vx_alloc(group_size, sizeof *bests);
    if (!workers || !bests)
        status = vx_fail_memory((size_t)threads, sizeof *workers, "search: threads");
    for (int t = 0; status == VINDEX_OK && t < threads; t++)
        status = vx_worker_create(job, &group, run->k, run->radius_key, &workers[t]);
    while (status == VINDEX_OK && atomic_load(&run->status) == VINDEX_OK) {
        size_t first = atomic_fetch_add(next_group, 1) * group_size;
        if (first >= job->query_count) break;
        status = search_group(run, &group, workers, threads, first, bests, caller);
    }
    record(run, status);
    for (int t = 0; workers && t < threads; t++) {
        add_stats(run, &workers[t].stats);
        vx_worker_free(&workers[t]);
    }
    vx_free(workers);
    vx_free(bests);
    vx_group_free(&group);
}

static size_t choose_group_size(const search_run *run, int threads) {
    size_t dim = run->job->space.dim;
    size_t by_cache = GROUP_BYTES / (VX_MIN(dim, (size_t)VX_SLICE) * sizeof(float));
    size_t by_forms = FORMS_BYTES / (dim * (sizeof(float) + sizeof(double)));
    size_t by_hits =
        run->k ? HITS_BYTES / ((size_t)threads * vx_topk_capacity(run->k) * sizeof(vx_hit))
               : GROUP_MOST;
    size_t size = VX_MIN(VX_MIN(by_cache, by_forms), VX_MIN(by_hits, (size_t)GROUP_MOST));
    return VX_MIN(VX_MAX(size, (size_t)1), run->job->query_count);
}

/* The sentence belongs to the thread that made the call, whichever thread failed. */
static vindex_status outcome(const search_run *run) {
    vindex_status status = (vindex_status)atomic_load(&run->status);
    if (status == VINDEX_ERR_CANCELLED) return vx_fail(status, "search: cancelled by the caller");
    if (status == VINDEX_ERR_MEMORY)
        return vx_fail(status,
                       "search: no memory for %zu queries at once; give fewer per call, a "
                       "smaller k or a smaller radius",
                       run->job->query_count);
    return status;
}

static void answer_stats(const search_run *run) {
    if (!run->job->stats) return;
    *run->job->stats = (vindex_search_stats){.coded = atomic_load(&run->stats[CODED]),
                                             .survivors = atomic_load(&run->stats[SURVIVORS]),
                                             .vectors = atomic_load(&run->stats[VECTORS]),
                                             .plain = atomic_load(&run->stats[PLAIN]),
                                             .settled = atomic_load(&run->stats[SETTLED]),
                                             .bytes = atomic_load(&run->stats[BYTES])};
}

static vindex_status run_search(search_run *run) {
    const vx_search_job *job = run->job;
    if (!job->query_count) {
        answer_stats(run);
        return VINDEX_OK;
    }
    run->span_rows = vx_worker_span_rows(&job->space);
    run->spans_per_block = (job->block_rows + run->span_rows - 1) / run->span_rows;
    run->spans = run->spans_per_block * job->block_count;
    for (size_t b = 0; b < job->block_count; b++) run->rows += job->blocks[b].count;
    double work = (double)run->rows * (double)job->space.dim * (double)job->query_count;
    int threads = work < SMALL_WORK ? 1 : job->threads;
    size_t size = choose_group_size(run, threads);
    bool by_rows =
        threads == 1 || run->spans >= 4 * (size_t)threads || job->query_count < 4 * (size_t)threads;
    if (!by_rows) size = VX_MAX(VX_MIN(size, job->query_count / (4 * (size_t)threads)), (size_t)1);
    run->groups = (job->query_count + size - 1) / size;
    atomic_size_t next_group = 0;
    if (by_rows) {
        threads = (int)VX_MAX(VX_MIN((size_t)threads, run->spans), (size_t)1);
        search_groups(run, size, &next_group, threads, true);
    } else { /* few rows, many queries: each thread takes groups of its own */
#pragma omp parallel num_threads(threads)
        search_groups(run, size, &next_group, 1, omp_get_thread_num() == 0);
    }
    answer_stats(run);
    return outcome(run);
}

vindex_status vx_search_topk(const vx_search_job *job, size_t k, vx_answer_fn answer,
                             void *context) {
    size_t rows = 0;
    for (size_t b = 0; b < job->block_count; b++) rows += job->blocks[b].count;
    k = VX_MAX(VX_MIN(k, rows), (size_t)1); /* room for no more than there can be */
    bool plain = !job->space.coder && !job->weights;
    if (plain && rows <= FEW_ROWS && job->query_count >= MANY_QUERIES && k <= rows / 4)
        return vx_nearest(job, k, answer, context);
    search_run run = {.job = job, .k = k, .answer = answer, .context = context};
    return run_search(&run);
}

vindex_status vx_search_range(const vx_search_job *job, double radius_key, vx_answer_fn answer,
                              void *context) {
    search_run run = {.job = job, .radius_key = radius_key, .answer = answer, .context = context};
    return run_search(&run);
}
