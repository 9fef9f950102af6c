/* Ranks by counting, against sorting. Run once per instruction set. */
#include <math.h>
#include <string.h>

#include "../harness.h"
#include "../oracle.h"
#include "../vectors.h"
#include "core/rng.h"
#include "exact/rank.h"

enum {
    MANY = 90,            /* enough for candidates to look for their places */
    SEVERAL_GROUPS = 240, /* so many queries, and so many landmarks of most, form groups */
};

/* A task and the memory it points to. */
typedef struct ranks {
    vx_rank_task task;
    vectors set;
    float *queries, *candidates;
    int64_t *self, *rows, *before, *tied;
    size_t *offsets;
} ranks;

/* Up to three relevant candidates per query, and many for some; queries are the first candidates
 * when `among`. */
static ranks make_ranks(const vectors *set, vindex_metric metric, size_t queries, bool among) {
    ranks r = {.set = *set, .candidates = vectors_make(set)};
    vectors asked = *set;
    asked.queries = true;
    asked.count = queries;
    r.queries = vectors_make(&asked);
    if (among) memcpy(r.queries, r.candidates, queries * set->dim * sizeof(float));
    bool several = queries >= SEVERAL_GROUPS;
    size_t many = several ? SEVERAL_GROUPS : MANY;
    r.self = malloc(queries * sizeof *r.self);
    r.offsets = calloc(queries + 1, sizeof *r.offsets);
    r.rows = malloc(many * queries * sizeof *r.rows);
    r.before = malloc(many * queries * sizeof *r.before);
    r.tied = malloc(many * queries * sizeof *r.tied);
    vx_rng rng = vx_rng_seed(21, set->seed);
    size_t entries = 0;
    for (size_t q = 0; q < queries; q++) {
        r.self[q] = among ? (int64_t)q : -1;
        bool has_many = several ? q % 5 > 0 : q % 5 == 2;
        for (uint64_t i = has_many ? many : vx_rng_below(&rng, 4); i > 0; i--) {
            int64_t row = (int64_t)vx_rng_below(&rng, set->count);
            if (row != r.self[q]) r.rows[entries++] = row;
        }
        r.offsets[q + 1] = entries;
    }
    r.task = (vx_rank_task){
        metric, set->dim,  r.queries, queries,  r.candidates, set->count, among ? r.self : NULL,
        among,  r.offsets, r.rows,    r.before, r.tied};
    return r;
}

static void free_ranks(ranks *r) {
    free(r->queries);
    free(r->candidates);
    free(r->self);
    free(r->offsets);
    free(r->rows);
    free(r->before);
    free(r->tied);
}

/* What sorting says of one entry: between the least and the most that the slack allows. */
static void check_entry(const ranks *r, const oracle *truth, const oracle_ranking *ranking,
                        size_t q, size_t e) {
    const oracle_hit *mark = &ranking->hits[ranking->places[r->rows[e]]];
    int64_t before_least = 0, before_most = 0, tied_least = 0, tied_most = 0;
    for (size_t i = 0; i < ranking->count; i++) {
        const oracle_hit *hit = &ranking->hits[i];
        if (hit == mark) continue;
        double slack = hit->slack + mark->slack;
        bool twin = truth->twins[hit->row] == truth->twins[mark->row];
        bool equal = twin || (truth->exact && hit->key == mark->key);
        bool nearer = hit->id < mark->id;
        tied_least += equal;
        tied_most += equal || fabs(hit->key - mark->key) <= slack;
        before_least += equal ? nearer : hit->key + slack < mark->key;
        before_most += equal ? nearer : hit->key <= mark->key + slack;
    }
    if (truth->exact) { /* no slack: the two bounds on ties that are none fall together */
        before_most = before_least;
        tied_most = tied_least;
    }
    ck_each(r->before[e] >= before_least && r->before[e] <= before_most,
            "%s %s, dim %zu, query %zu, row %lld: %lld before, not %lld to %lld",
            vindex_metric_name(r->task.metric), vectors_name(r->set.kind), r->set.dim, q,
            (long long)r->rows[e], (long long)r->before[e], (long long)before_least,
            (long long)before_most);
    ck_each(r->tied[e] >= tied_least && r->tied[e] <= tied_most,
            "%s %s, dim %zu, query %zu, row %lld: %lld tied, not %lld to %lld",
            vindex_metric_name(r->task.metric), vectors_name(r->set.kind), r->set.dim, q,
            (long long)r->rows[e], (long long)r->tied[e], (long long)tied_least,
            (long long)tied_most);
}

static void check_nearest(const ranks *r, const oracle *truth, const oracle_ranking *ranking,
                          size_t q, const vx_hit *hits, size_t k) {
    int64_t rows[16];
    float distances[16];
    char what[100];
    for (size_t i = 0; i < k; i++) {
        rows[i] = hits[i].id;
        double key = rows[i] < 0 ? INFINITY : hits[i].key;
        distances[i] = (float)(truth->metric == VINDEX_L2 ? key : 0 - key);
    }
    snprintf(what, sizeof what, "nearest of query %zu, %s %s, dim %zu", q,
             vindex_metric_name(truth->metric), vectors_name(r->set.kind), r->set.dim);
    oracle_answer answer = {rows, distances, k};
    oracle_check(truth, ranking, &answer, what);
}

static void check_ranks(const vectors *set, vindex_metric metric, size_t queries, bool among) {
    enum { K = 7 };
    ranks r = make_ranks(set, metric, queries, among);
    vx_hit *nearest = malloc(queries * K * sizeof *nearest);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = 1 + (int32_t)(set->seed % 3);
    ck_ok(vx_rank(&r.task, &call));
    ck_ok(vx_rank_nearest(&r.task, K, &call, nearest));
    bool *hidden = calloc(set->count, sizeof *hidden);
    oracle truth = {.metric = metric,
                    .dim = set->dim,
                    .count = set->count,
                    .rows = r.candidates,
                    .hidden = hidden,
                    .exact = vectors_exact(set->kind) && metric <= VINDEX_INNER_PRODUCT};
    oracle_open(&truth);
    for (size_t q = 0; q < queries; q++) {
        if (among) hidden[q] = true;
        oracle_ranking ranking = oracle_rank(&truth, r.queries + q * set->dim, NULL);
        for (size_t e = r.offsets[q]; e < r.offsets[q + 1]; e++)
            check_entry(&r, &truth, &ranking, q, e);
        check_nearest(&r, &truth, &ranking, q, nearest + q * K, K);
        oracle_ranking_free(&ranking);
        hidden[q % set->count] = false;
    }
    oracle_close(&truth);
    free(hidden);
    free(nearest);
    free_ranks(&r);
}

START_TEST(counting_gives_the_ranks_that_sorting_gives) {
    static const size_t dims[] = {1, 3, 17, 64, 513, 1100};
    size_t turn = 0;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int kind = 0; kind < VECTORS_KINDS; kind += test_stride())
            for (int round = 0; round < 2; round++, turn++) {
                vectors set = {.kind = (vectors_kind)kind,
                               .dim = dims[turn % 6],
                               .count = turn % 5 ? 60 + turn : 300,
                               .seed = turn};
                check_ranks(&set, (vindex_metric)metric, turn % 3 ? 14 : 3, round == 1);
            }
}
END_TEST

/* Queries that are candidates, in several groups of which a tile serves two, with candidates behind
 * them that are no queries. */
START_TEST(pairs_of_queries_are_compared_once) {
    static const vectors_kind kinds[] = {VECTORS_WHOLE, VECTORS_NORMS, VECTORS_TIED,
                                         VECTORS_OFFSET};
    for (size_t turn = 0; turn < 4 * VX_COUNT(kinds); turn += 5) {
        vectors set = {.kind = kinds[turn / 4],
                       .dim = turn % 3 ? 7 : 515,
                       .count = SEVERAL_GROUPS + 60,
                       .seed = turn};
        check_ranks(&set, (vindex_metric)(turn % 4), SEVERAL_GROUPS + 3 * turn, true);
    }
}
END_TEST

START_TEST(one_candidate_ranks_first) {
    vectors set = {.kind = VECTORS_NORMAL, .dim = 5, .count = 1};
    check_ranks(&set, VINDEX_L2, 4, false);
    set.count = 5; /* and fewer candidates than a tile has rows */
    check_ranks(&set, VINDEX_COSINE, 5, true);
}
END_TEST

static int stop(void *context, const char *phase, double fraction) {
    ++*(int *)context;
    return !strcmp(phase, "rank") && fraction > 0;
}

START_TEST(ranking_can_be_stopped) {
    vectors set = {.kind = VECTORS_NORMAL, .dim = 5, .count = 50};
    ranks r = make_ranks(&set, VINDEX_L2, 20, false);
    int calls = 0;
    vindex_call call;
    vindex_call_init(&call);
    call.progress = stop;
    call.progress_context = &calls;
    ck_fails(VINDEX_ERR_CANCELLED, "rank", vx_rank(&r.task, &call));
    ck_assert_int_ge(calls, 1);
    free_ranks(&r);
}
END_TEST

TEST_MAIN_PER_LEVEL("exact/rank", counting_gives_the_ranks_that_sorting_gives,
                    pairs_of_queries_are_compared_once, one_candidate_ranks_first,
                    ranking_can_be_stopped)
