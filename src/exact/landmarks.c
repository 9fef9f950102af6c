#include "landmarks.h"

#include <math.h>

enum { BISECT_LEAST = 64 /* landmarks of a query from which on candidates look for their place */ };

static bool comes_before(double key, int64_t row, const vx_landmark *mark) {
    return key < mark->key || (key == mark->key && row < mark->row);
}

static int compare_marks(const void *a, const void *b) {
    const vx_landmark *x = a, *y = b;
    return comes_before(x->key, x->row, y) ? -1 : comes_before(y->key, y->row, x);
}

/* How the group's queries are filtered: a small group by scans. */
static vx_pass pass_of(const vx_ranking *r) {
    return r->group.panels ? VX_PASS_TILE : VX_PASS_SCAN;
}

void vx_landmarks_place(vx_ranking *r) {
    const vx_rank_task *task = r->task;
#pragma omp parallel for num_threads(r->threads) schedule(dynamic, 16) if (r->threads > 1)
    for (size_t q = 0; q < r->group.count; q++) {
        size_t query = r->first_query + q, start = task->offsets[query];
        size_t end = task->offsets[query + 1];
        r->norms[query] = r->group.norms[q];
        for (size_t e = start; e < end; e++) {
            int64_t row = task->rows[e];
            r->marks[e].row = row;
            r->marks[e].key = vx_group_settle(&r->group, q, vx_ranking_candidate(r, (size_t)row));
        }
        qsort(r->marks + start, end - start, sizeof *r->marks, compare_marks);
        for (size_t e = start; e < end; e++) {
            task->rows[e] = r->marks[e].row;
            vx_group_limits(&r->group, pass_of(r), q, r->marks[e].key, r->largest_aux, &r->low[e],
                            &r->high[e]);
        }
    }
}

/* The true key of a pair. It is the same bits from either side, so that either may be the one that
 * is in the group. */
static double settle(const vx_ranking *r, size_t query, size_t row) {
    const vx_rank_task *task = r->task;
    size_t q = query - r->first_query;
    if (query >= r->first_query && q < r->group.count)
        return vx_group_settle(&r->group, q, vx_ranking_candidate(r, row));
    q = row - (size_t)task->self[r->first_query];
    return vx_group_settle(&r->group, q, task->queries + query * task->dim);
}

/* Whether the filter key tells, after all, which side of a landmark a candidate falls on. The
 * largest aux of all candidates bracketed the mark; the candidate's own brackets it closer. So an
 * outlier makes work for itself alone. */
static int place_alone(const vx_ranking *r, size_t query, const vx_landmark *mark, float key,
                       size_t row) {
    vx_bracket bracket =
        vx_limits(&r->group.space, pass_of(r), r->norms[query], mark->key, r->aux[row]);
    return key < bracket.low ? -1 : key > bracket.high;
}

/* Settles a candidate whose filter key does not tell. */
static void settle_at(const vx_ranking *r, const vx_tally *tally, size_t query, size_t entry,
                      float filter_key, size_t row) {
    const vx_landmark *mark = &r->marks[entry];
    const int64_t *self = r->task->self;
    if ((int64_t)row == mark->row || (self && (int64_t)row == self[query])) return;
    int side = 4 * r->aux[row] < r->largest_aux ? place_alone(r, query, mark, filter_key, row) : 0;
    if (side == 0) {
        double key = settle(r, query, row);
        tally->tied[entry - tally->base] += key == mark->key;
        side = comes_before(key, (int64_t)row, mark) ? -1 : 1;
    }
    tally->before[entry - tally->base] += side < 0;
}

/* Counts the candidates before each landmark. Those that come after a landmark come after all in
 * front of it too: where none is left, it is done. */
static void count_marks(const vx_ranking *r, const vx_tally *tally, size_t query, const float *keys,
                        size_t first, size_t count) {
    size_t start = r->task->offsets[query], within;
    uint32_t positions[VX_RANK_RUN];
    for (size_t e = r->task->offsets[query + 1]; e-- > start;) {
        size_t below =
            r->group.kernels->count(keys, count, r->low[e], r->high[e], positions, &within);
        if (!below && !within) return;
        tally->before[e - tally->base] += (int64_t)below;
        for (size_t i = 0; i < within; i++)
            settle_at(r, tally, query, e, keys[positions[i]], first + positions[i]);
    }
}

/* Settles a candidate that lies within the bounds of some landmarks, of which `at` is the first,
 * and counts it. */
static void settle_place(const vx_ranking *r, const vx_tally *tally, size_t query, size_t at,
                         float filter_key, size_t row) {
    const vx_landmark *mark = r->marks;
    size_t marks = r->task->offsets[query + 1], end = at + 1;
    for (size_t step = 1; end < marks && !(filter_key < r->low[end]); step *= 2) end += step;
    end = VX_MIN(end, marks);
    double key = settle(r, query, row);
    size_t low = at, high = end, tie = at;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (comes_before(key, (int64_t)row, &mark[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    if (low < marks) tally->before[low - tally->base]++;
    for (high = low; tie < high;) {
        size_t middle = tie + (high - tie) / 2;
        if (mark[middle].key >= key)
            high = middle;
        else
            tie = middle + 1;
    }
    if (tie < marks && mark[tie].key == key) tally->tied[tie - tally->base]++;
}

/* Lets candidates look for their places among many landmarks: a logarithm of their number each,
 * where counting goes over the candidates once for every landmark. */
static void place_candidates(const vx_ranking *r, const vx_tally *tally, size_t query,
                             const float *keys, size_t first, size_t count) {
    size_t start = r->task->offsets[query], marks = r->task->offsets[query + 1] - start;
    int64_t self = r->task->self ? r->task->self[query] : -1;
    uint32_t places[VX_RANK_RUN];
    r->group.kernels->place(r->high + start, marks, keys, count, places);
    for (size_t i = 0; i < count; i++) {
        size_t at = start + places[i];
        if (places[i] == marks || (int64_t)(first + i) == self) continue;
        if (keys[i] < r->low[at])
            tally->before[at - tally->base]++;
        else
            settle_place(r, tally, query, at, keys[i], first + i);
    }
}

static bool looks_for_places(const vx_rank_task *task, size_t query) {
    return task->offsets[query + 1] - task->offsets[query] >= BISECT_LEAST;
}

void vx_landmarks_count(const vx_ranking *r, const vx_tally *tally, size_t query, float *keys,
                        size_t first, size_t count) {
    const vx_rank_task *task = r->task;
    if (task->self && task->self[query] >= (int64_t)first &&
        task->self[query] < (int64_t)(first + count))
        keys[task->self[query] - (int64_t)first] = INFINITY; /* before nothing */
    (looks_for_places(task, query) ? place_candidates : count_marks)(r, tally, query, keys, first,
                                                                     count);
}

/* A landmark is among the candidates of its key. */
void vx_landmarks_sum(const vx_ranking *r, size_t query) {
    const vx_rank_task *task = r->task;
    size_t start = task->offsets[query];
    int64_t before = 0, same = 0;
    if (!looks_for_places(task, query)) return;
    for (size_t e = start; e < task->offsets[query + 1]; e++) {
        before += task->before[e];
        if (e == start || r->marks[e].key != r->marks[e - 1].key) same = task->tied[e];
        task->before[e] = before;
        task->tied[e] = same - 1;
    }
}
