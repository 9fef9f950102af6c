/* The frame of every evaluation; what differs is only where the ranks come from. */
#include "job.h"

#include <math.h>

static const vindex_field fields[] = {
    {"metric", VINDEX_FIELD_METRIC, offsetof(vindex_eval_params, metric), 0, 3, VINDEX_L2,
     "how two vectors are compared"},
    {"threads", VINDEX_FIELD_INT32, offsetof(vindex_eval_params, threads), 0, 4096, 0,
     "threads; 0 for every core"},
    {"precision_at", VINDEX_FIELD_INT64, offsetof(vindex_eval_params, precision_at), 1, 0x1p31, 10,
     "k of precision@k"},
    {"knn", VINDEX_FIELD_INT64, offsetof(vindex_eval_params, knn), 0, 0x1p31, 0,
     "neighbours that vote in k-NN accuracy; 0 for none"},
    {"preset", VINDEX_FIELD_INT32, offsetof(vindex_eval_params, preset), 0, VINDEX_EVAL_COVERHUNTER,
     VINDEX_EVAL_DEFAULT, "whose script's convention, by number"},
    {"depth", VINDEX_FIELD_INT64, offsetof(vindex_eval_params, depth), 0, 0x1p31, 0,
     "how deep coverhunter's AP looks; 0 for 10,000"},
    {"top", VINDEX_FIELD_INT64, offsetof(vindex_eval_params, top), 0, 0x1p31, 0,
     "nearest candidates to keep of each query; 0 for none"},
};

static const vindex_field_table table = {"eval", sizeof(vindex_eval_params), fields,
                                         VX_COUNT(fields)};

const vindex_field_table *vindex_eval_fields(void) {
    return &table;
}

void vindex_eval_params_init_sized(vindex_eval_params *params, size_t struct_size) {
    vindex_fields_init(&table, params, struct_size);
}

static vindex_status check_side(vx_side side, const char *name) {
    if (side.count <= 0)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the number of %s is %lld; give at least one row",
                       name, (long long)side.count);
    if (!side.cliques)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: %s have no clique numbers; give one per row",
                       name);
    for (int64_t i = 0; i < side.count; i++)
        if (side.cliques[i] < 0)
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "eval: the clique of row %lld of the %s is %ld; cliques are numbered "
                           "from 0",
                           (long long)i, name, (long)side.cliques[i]);
    return VINDEX_OK;
}

static vindex_status check_square(vx_side queries, vx_side candidates) {
    if (queries.count != candidates.count)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "eval: a square set has %lld queries and %lld candidates; they must be the "
                       "same rows",
                       (long long)queries.count, (long long)candidates.count);
    if (queries.cliques == candidates.cliques) return VINDEX_OK;
    for (int64_t i = 0; i < queries.count; i++)
        if (queries.cliques[i] != candidates.cliques[i])
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "eval: row %lld of a square set is in clique %ld as a query and %ld as "
                           "a candidate; they must be the same rows",
                           (long long)i, (long)queries.cliques[i], (long)candidates.cliques[i]);
    return VINDEX_OK;
}

/* The first member whose clique is at least that. */
static size_t lower_bound(const vx_eval_job *job, double clique) {
    size_t low = 0, high = job->candidate_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (job->members[middle].key < clique)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static vindex_status prepare(vx_eval_job *job) {
    VX_TRY(vx_measures_open(&job->measures, job->query_count, job->square, &job->params));
    job->members = vx_alloc(job->candidate_count, sizeof *job->members);
    job->relevant = vx_alloc(job->query_count, sizeof *job->relevant);
    job->ballot = vx_alloc(job->knn, sizeof *job->ballot);
    job->top_rows = vx_alloc(job->query_count, job->top * sizeof *job->top_rows);
    job->top_distances = vx_alloc(job->query_count, job->top * sizeof *job->top_distances);
    if (!job->members || !job->relevant || !job->ballot || !job->top_rows || !job->top_distances)
        return vx_fail_memory(job->candidate_count + job->query_count + job->knn,
                              (1 + job->top) * sizeof(vx_hit), "eval: cliques and nearest");
    for (size_t c = 0; c < job->candidate_count; c++)
        job->members[c] = (vx_hit){.key = job->candidate_cliques[c], .id = (int64_t)c};
    vx_hits_sort(job->members, job->candidate_count);
    for (size_t q = 0; q < job->query_count; q++) {
        double clique = job->query_cliques[q];
        job->relevant[q] =
            lower_bound(job, clique + 1) - lower_bound(job, clique) - (job->square ? 1 : 0);
    }
    return VINDEX_OK;
}

static void release(vx_eval_job *job, vindex_eval_detail *detail) {
    vx_measures_close(&job->measures, detail);
    if (detail && job->top) {
        detail->top = (int64_t)job->top;
        detail->nearest = job->top_rows;
        detail->distances = job->top_distances;
    } else {
        vx_free(job->top_rows);
        vx_free(job->top_distances);
    }
    vx_free(job->members);
    vx_free(job->relevant);
    vx_free(job->ballot);
}

vindex_status vx_eval_open(vx_eval_job *job, const vindex_eval_params *params, vx_side queries,
                           vx_side candidates, bool square) {
    *job = (vx_eval_job){
        .query_cliques = queries.cliques,
        .candidate_cliques = candidates.cliques,
        .square = square,
    };
    clock_gettime(CLOCK_MONOTONIC, &job->started);
    vindex_eval_params_init(&job->params);
    if (params) {
        VX_TRY(vindex_fields_check(&table, params));
        job->params = *params;
    }
    VX_TRY(check_side(queries, "queries"));
    VX_TRY(check_side(candidates, "candidates"));
    if (square) VX_TRY(check_square(queries, candidates));
    job->query_count = (size_t)queries.count;
    job->candidate_count = (size_t)candidates.count;
    job->knn = VX_MIN((size_t)job->params.knn, vx_eval_others(job));
    job->top = VX_MIN((size_t)job->params.top, vx_eval_others(job));
    vindex_status status = prepare(job);
    if (status) release(job, NULL);
    return status;
}

vindex_status vx_eval_close(vx_eval_job *job, vindex_status status, vindex_eval_report *report,
                            vindex_eval_detail *detail) {
    vx_locale locale; /* presets print numbers */
    if (!status) status = vx_locale_enter(&locale);
    if (status) {
        release(job, NULL);
        return status;
    }
    if (job->params.knn > 0) job->measures.votes_right = VX_MAX(job->measures.votes_right, 0);
    vx_measures_report(&job->measures, report);
    vx_locale_leave(&locale);
    report->candidates = (int64_t)job->candidate_count;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    report->seconds = (double)(now.tv_sec - job->started.tv_sec) +
                      1e-9 * (double)(now.tv_nsec - job->started.tv_nsec);
    release(job, detail);
    return VINDEX_OK;
}

void vx_eval_relevant(const vx_eval_job *job, size_t query, int64_t *rows) {
    size_t count = job->relevant[query] + (job->square ? 1 : 0), written = 0;
    const vx_hit *member = &job->members[lower_bound(job, job->query_cliques[query])];
    for (size_t i = 0; i < count; i++)
        if (!job->square || member[i].id != (int64_t)query) rows[written++] = member[i].id;
}

/* The majority's clique; a tie in votes goes to the clique whose nearest member is closer. */
static void vote(vx_eval_job *job, size_t query, const vx_hit *nearest) {
    size_t count = 0, most = 0;
    vx_hit winner = {.key = -1, .id = INT64_MAX}; /* clique, place of its nearest member */
    for (; count < job->knn && nearest[count].id >= 0; count++)
        job->ballot[count] =
            (vx_hit){.key = job->candidate_cliques[nearest[count].id], .id = (int64_t)count};
    vx_hits_sort(job->ballot, count);
    for (size_t start = 0, end; start < count; start = end) {
        for (end = start + 1; end < count && job->ballot[end].key == job->ballot[start].key;) end++;
        size_t votes = end - start;
        if (votes < most || (votes == most && job->ballot[start].id > winner.id)) continue;
        most = votes;
        winner = job->ballot[start];
    }
    job->measures.votes_right =
        VX_MAX(job->measures.votes_right, 0) + (winner.key == (double)job->query_cliques[query]);
}

void vx_eval_take_nearest(vx_eval_job *job, size_t query, const vx_hit *nearest) {
    bool none = false;
    for (size_t i = 0; i < job->top; i++) {
        size_t at = query * job->top + i;
        none = none || nearest[i].id < 0;
        job->top_rows[at] = none ? -1 : nearest[i].id;
        job->top_distances[at] = none ? NAN : job->similarity ? 0 - nearest[i].key : nearest[i].key;
    }
    if (job->knn) vote(job, query, nearest);
}

vindex_status vx_eval_progress(const vx_eval_job *job, const char *phase, size_t done,
                               size_t total) {
    return vx_progress(job->params.progress, job->params.progress_context, phase,
                       total ? (double)done / (double)total : 1);
}
