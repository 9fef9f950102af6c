/* Evaluation through any index, by its public interface alone: what an approximate index loses
 * shows in the measures users know. */
#include <math.h>

#include "job.h"

typedef struct searched {
    vx_eval_job *job;
    const vindex_index *index;
    const float *queries;
    vindex_search_params search;
    size_t depth;     /* candidates taken of each answer, the query itself not counted */
    int64_t *ids;     /* of one batch of queries, search.k each */
    float *distances; /* likewise */
    int64_t *sorted;  /* the ids of one answer by row */
    int64_t *rows;    /* relevant rows of one query */
    int64_t *ranks;   /* and their ranks */
    vx_hit *nearest;  /* of one query, for the vote and to keep */
} searched;

static int compare(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* How many of the sorted rows are smaller. */
static size_t rows_below(const int64_t *sorted, size_t count, int64_t row) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Strikes the query itself and what lies beyond the depth; answers how many are left. */
static vindex_status clean(const searched *s, size_t query, int64_t *ids, float *distances,
                           size_t *count) {
    size_t k = (size_t)s->search.k;
    *count = 0;
    for (size_t i = 0; i < k && ids[i] >= 0 && *count < s->depth; i++) {
        if (ids[i] >= (int64_t)s->job->candidate_count)
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "eval: the index found id %lld; it must hold the %zu candidates under "
                           "ids from 0",
                           (long long)ids[i], s->job->candidate_count);
        if (s->job->square && ids[i] == (int64_t)query) continue;
        ids[*count] = ids[i];
        distances[(*count)++] = distances[i];
    }
    return VINDEX_OK;
}

/* Ranks of the relevant candidates that the answer holds, ascending; how many there are. *tied
 * receives how many of them share their distance. */
static size_t rank_found(searched *s, size_t query, size_t count, const int64_t *ids,
                         const float *distances, int64_t *tied) {
    size_t found = 0;
    *tied = 0;
    for (size_t i = 0; i < count; i++) {
        if (s->job->candidate_cliques[ids[i]] != s->job->query_cliques[query]) continue;
        s->ranks[found++] = (int64_t)i + 1;
        *tied += (i && distances[i - 1] == distances[i]) ||
                 (i + 1 < count && distances[i + 1] == distances[i]);
    }
    return found;
}

/* Ranks of the others: after everything returned, in row order, so that they ascend too. */
static void rank_missing(searched *s, size_t query, size_t count, const int64_t *ids,
                         size_t found) {
    memcpy(s->sorted, ids, count * sizeof *ids);
    qsort(s->sorted, count, sizeof *s->sorted, compare);
    vx_eval_relevant(s->job, query, s->rows);
    for (size_t i = 0; i < s->job->relevant[query]; i++) {
        int64_t row = s->rows[i];
        size_t below = rows_below(s->sorted, count, row);
        if (below < count && s->sorted[below] == row) continue;
        int64_t self = s->job->square && (int64_t)query < row;
        s->ranks[found++] = (int64_t)(count - below) + row - self + 1;
    }
}

static vindex_status take(searched *s, size_t query, int64_t *ids, float *distances) {
    size_t count, relevant = s->job->relevant[query], nearest = vx_eval_nearest(s->job);
    VX_TRY(clean(s, query, ids, distances, &count));
    if (relevant) {
        int64_t tied;
        size_t found = rank_found(s, query, count, ids, distances, &tied);
        if (found < relevant) rank_missing(s, query, count, ids, found);
        vx_measures_add(&s->job->measures, query, s->ranks, relevant, vx_eval_others(s->job), tied);
    }
    for (size_t i = 0; i < nearest; i++)
        s->nearest[i] = i < count ? (vx_hit){s->job->similarity ? 0 - (double)distances[i]
                                                                : (double)distances[i],
                                             ids[i]}
                                  : (vx_hit){NAN, -1};
    if (nearest) vx_eval_take_nearest(s->job, query, s->nearest);
    return VINDEX_OK;
}

static vindex_status search_all(searched *s, size_t batch) {
    size_t dim = (size_t)vindex_dim(s->index), k = (size_t)s->search.k;
    for (size_t first = 0; first < s->job->query_count; first += batch) {
        VX_TRY(vx_eval_progress(s->job, "rank", first, s->job->query_count));
        size_t count = VX_MIN(batch, s->job->query_count - first);
        vindex_search_params search = s->search;
        if (search.weights &&
            search.weight_rows > 1) { /* one row of weights per query: those of this batch */
            search.weights += first * dim;
            search.weight_rows = (int64_t)count;
        }
        VX_TRY(vindex_search(s->index, s->queries + first * dim, (int64_t)count, &search, s->ids,
                             s->distances));
        for (size_t q = 0; q < count; q++)
            VX_TRY(take(s, first + q, s->ids + q * k, s->distances + q * k));
    }
    return vx_eval_progress(s->job, "rank", 1, 1);
}

static vindex_status evaluate(vx_eval_job *job, searched *s) {
    size_t k = (size_t)s->search.k, most = 0;
    size_t batch = VX_MIN(job->query_count, VX_MAX(VX_EVAL_BATCH / k, (size_t)1));
    for (size_t q = 0; q < job->query_count; q++) most = VX_MAX(most, job->relevant[q]);
    s->ids = vx_alloc(batch, k * sizeof *s->ids);
    s->distances = vx_alloc(batch, k * sizeof *s->distances);
    s->sorted = vx_alloc(k, sizeof *s->sorted);
    s->rows = vx_alloc(most, sizeof *s->rows);
    s->ranks = vx_alloc(most, sizeof *s->ranks);
    s->nearest = vx_alloc(vx_eval_nearest(job), sizeof *s->nearest);
    vindex_status status;
    if (s->ids && s->distances && s->sorted && s->rows && s->ranks && s->nearest)
        status = search_all(s, batch);
    else
        status = vx_fail_memory(batch * k, sizeof *s->ids, "eval: search results");
    vx_free(s->ids);
    vx_free(s->distances);
    vx_free(s->sorted);
    vx_free(s->rows);
    vx_free(s->ranks);
    vx_free(s->nearest);
    return status;
}

static vindex_status check(const searched *s, const vindex_eval_sets *sets, int64_t depth) {
    const vx_eval_job *job = s->job;
    const vindex_index *index = s->index;
    if (!sets->queries)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the queries are NULL; give rows x dim numbers");
    if (vindex_dim(index) != sets->dim)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "eval: the index has %lld dimensions and the queries %lld; they must agree",
                       (long long)vindex_dim(index), (long long)sets->dim);
    if (vindex_count(index) != sets->candidate_count)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "eval: the index holds %lld vectors and there are %lld candidates; it must "
                       "hold exactly those",
                       (long long)vindex_count(index), (long long)sets->candidate_count);
    if (depth < 0 || (depth > 0 && (size_t)depth < vx_eval_nearest(job)))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "eval: depth is %lld with %zu neighbours voting and %zu to keep; give 0 for "
                       "all candidates or at least as many",
                       (long long)depth, job->knn, job->top);
    if (s->search.weights && s->search.weight_rows != 1 &&
        s->search.weight_rows != sets->query_count)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "eval: %lld rows of weights for %lld queries; give one, or one per query",
                       (long long)s->search.weight_rows, (long long)sets->query_count);
    return VINDEX_OK;
}

vindex_status vindex_eval_index(const vindex_index *index, const vindex_eval_sets *sets,
                                bool square, int64_t depth, const vindex_search_params *search,
                                const vindex_eval_params *params, vindex_eval_report *report,
                                vindex_eval_detail *detail) {
    if (detail) *detail = (vindex_eval_detail){0};
    if (!index || !sets || !report)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "eval: the index, the sets or the report is NULL; give all");
    vx_eval_job job;
    VX_TRY(vx_eval_open(&job, params, (vx_side){sets->query_cliques, sets->query_count},
                        (vx_side){sets->candidate_cliques, sets->candidate_count}, square));
    job.similarity = vindex_metric_of(index) != VINDEX_L2;
    searched s = {.job = &job, .index = index, .queries = sets->queries};
    vindex_search_params_init(&s.search);
    if (search) s.search = *search;
    vindex_status status = check(&s, sets, depth);
    if (!status) {
        size_t others = vx_eval_others(&job);
        s.depth = depth ? VX_MIN((size_t)depth, others) : others;
        s.search.k = (int64_t)s.depth + (square ? 1 : 0);
        s.search.threads = job.params.threads;
        s.search.progress = NULL;
        status = evaluate(&job, &s);
    }
    return vx_eval_close(&job, status, report, detail);
}
