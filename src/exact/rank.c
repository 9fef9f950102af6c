/* Counting ranks by tiles: the filter tells for most pairs which side of a relevant candidate they
 * fall on; the few that lie within its error are settled. */
#include "rank.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>

#include "bound.h"
#include "search.h"

enum {
    GROUP_BYTES = 16 << 20, /* of a group's queries in single precision */
    GROUP_LEAST = 48,
    GROUP_MOST = 1024,
    GROUP_ENTRIES = 1 << 15, /* as many as a core's second-level cache holds, on average */
    SPAN = 256,              /* candidates that a thread takes at a time */
    RUN = 32,                /* keys that are passed over together where none needs settling */
    BISECT_LEAST = 64 /* landmarks of a query from which on candidates look for their place */
};

/* A relevant candidate and its true key. Those of a query are sorted by key and row. */
typedef struct landmark {
    double key;
    int64_t row;
} landmark;

typedef struct ranking {
    const vx_rank_task *task;
    vx_group group;
    size_t first_query; /* of the group */
    float *aux;         /* per candidate */
    float largest_aux;
    landmark *marks;   /* per entry of the group, from offsets[first_query] on */
    float *low, *high; /* likewise, the filter keys that bracket it: sorted as the marks are */
    int threads;
} ranking;

/* One thread's scratch memory: packed rows, and filter keys, one row of SPAN per query of a panel
 * (or of the group, when the dimensions take several slices). Where a query's candidates look for
 * their place, before counts those right before a landmark and not before the one in front, and
 * tied, at the first of some landmarks of one key, all candidates of that key. */
typedef struct scratch {
    float *packed, *keys;
    float largest_aux;      /* of the span */
    int64_t *before, *tied; /* per entry of the group */
} scratch;

static const float *candidate(const ranking *r, size_t row) {
    return r->task->candidates + row * r->task->dim;
}

/* How the group's queries are filtered: a small group by scans. */
static vx_pass pass_of(const ranking *r) {
    return r->group.panels ? VX_PASS_TILE : VX_PASS_SCAN;
}

static bool comes_before(double key, int64_t row, const landmark *mark) {
    return key < mark->key || (key == mark->key && row < mark->row);
}

static int compare_marks(const void *a, const void *b) {
    const landmark *x = a, *y = b;
    return comes_before(x->key, x->row, y) ? -1 : comes_before(y->key, y->row, x);
}

static void place_marks(ranking *r) {
    const vx_rank_task *task = r->task;
    const size_t *offsets = task->offsets + r->first_query;
#pragma omp parallel for num_threads(r->threads) schedule(dynamic, 16) if (r->threads > 1)
    for (size_t q = 0; q < r->group.count; q++) {
        landmark *marks = r->marks + offsets[q] - offsets[0];
        size_t count = offsets[q + 1] - offsets[q];
        int64_t *rows = task->rows + offsets[q];
        for (size_t e = 0; e < count; e++) {
            marks[e].row = rows[e];
            marks[e].key = vx_group_settle(&r->group, q, candidate(r, (size_t)rows[e]));
        }
        qsort(marks, count, sizeof *marks, compare_marks);
        for (size_t e = 0; e < count; e++) {
            rows[e] = marks[e].row;
            size_t entry = offsets[q] - offsets[0] + e;
            vx_group_limits(&r->group, pass_of(r), q, marks[e].key, r->largest_aux, &r->low[entry],
                            &r->high[entry]);
        }
    }
}

/* Whether one of RUN keys lies between, or is NaN. */
static bool any_between(const float *keys, float low, float high) {
    int any = 0;
    for (size_t i = 0; i < RUN; i++) any |= !(keys[i] < low) & !(keys[i] > high);
    return any;
}

/* Settles the candidates of a span whose filter keys do not tell. The largest aux of all candidates
 * bracketed the mark; that of the span brackets it closer, so that an outlier makes work for its
 * own span alone. */
static void settle_within(const ranking *r, scratch *own, size_t q, size_t entry, const float *keys,
                          size_t first, size_t count) {
    const vx_rank_task *task = r->task;
    size_t base = task->offsets[r->first_query];
    const landmark *mark = &r->marks[entry - base];
    float outer_low = r->low[entry - base], outer_high = r->high[entry - base], low, high;
    int64_t self = task->self ? task->self[r->first_query + q] : -1;
    vx_group_limits(&r->group, pass_of(r), q, mark->key, own->largest_aux, &low, &high);
    for (size_t i = 0; i < count; i++) {
        if (i % RUN == 0 && i + RUN <= count && !any_between(keys + i, outer_low, outer_high)) {
            i += RUN - 1;
            continue;
        }
        int64_t row = (int64_t)(first + i);
        if (keys[i] < outer_low || keys[i] > outer_high) continue; /* counted already */
        if (keys[i] < low) {
            own->before[entry - base]++;
            continue;
        }
        if (keys[i] > high || row == self || row == task->rows[entry]) continue;
        double key = vx_group_settle(&r->group, q, candidate(r, first + i));
        own->tied[entry - base] += key == mark->key;
        own->before[entry - base] += comes_before(key, row, mark);
    }
}

/* Counts the candidates of a span before each landmark. Those that come after a landmark come after
 * all in front of it too: where the span has none left, it is done. */
static void count_marks(const ranking *r, scratch *own, size_t q, const float *keys, size_t first,
                        size_t count) {
    const vx_rank_task *task = r->task;
    size_t base = task->offsets[r->first_query], start = task->offsets[r->first_query + q];
    for (size_t e = task->offsets[r->first_query + q + 1]; e-- > start;) {
        const landmark *mark = &r->marks[e - base];
        size_t below, within;
        r->group.kernels->count(keys, count, r->low[e - base], r->high[e - base], &below, &within);
        if (!below && !within) return;
        own->before[e - base] += (int64_t)below;
        /* Its own filter key lies within the bounds for certain, and needs no settling. */
        bool own_span = mark->row >= (int64_t)first && mark->row < (int64_t)(first + count);
        if (within > own_span) settle_within(r, own, q, e, keys, first, count);
    }
}

/* Settles a candidate that lies within the bounds of some landmarks, of which `at` is the first,
 * and counts it. */
static void settle_place(const ranking *r, scratch *own, size_t q, size_t at, float filter_key,
                         int64_t row) {
    const size_t *offsets = r->task->offsets + r->first_query;
    const landmark *mark = r->marks;
    size_t marks = offsets[q + 1] - offsets[0], end = at + 1;
    for (size_t step = 1; end < marks && !(filter_key < r->low[end]); step *= 2) end += step;
    end = VX_MIN(end, marks);
    double key = vx_group_settle(&r->group, q, candidate(r, (size_t)row));
    size_t low = at, high = end, tie = at;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (comes_before(key, row, &mark[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    if (low < marks) own->before[low]++;
    for (high = low; tie < high;) {
        size_t middle = tie + (high - tie) / 2;
        if (mark[middle].key >= key)
            high = middle;
        else
            tie = middle + 1;
    }
    if (tie < marks && mark[tie].key == key) own->tied[tie]++;
}

/* Lets the candidates of a span look for their places among many landmarks: a logarithm of their
 * number each, where counting goes over the span once for every landmark. */
static void place_candidates(const ranking *r, scratch *own, size_t q, const float *keys,
                             size_t first, size_t count) {
    const size_t *offsets = r->task->offsets + r->first_query;
    size_t base = offsets[0], entry = offsets[q] - base, marks = offsets[q + 1] - offsets[q];
    int64_t self = r->task->self ? r->task->self[r->first_query + q] : -1;
    uint32_t places[SPAN];
    r->group.kernels->place(r->high + entry, marks, keys, count, places);
    for (size_t i = 0; i < count; i++) {
        int64_t row = (int64_t)(first + i);
        size_t at = places[i];
        if (at == marks || row == self) continue;
        if (keys[i] < r->low[entry + at])
            own->before[entry + at]++;
        else
            settle_place(r, own, q, entry + at, keys[i], row);
    }
}

static bool looks_for_places(const vx_rank_task *task, size_t query) {
    return task->offsets[query + 1] - task->offsets[query] >= BISECT_LEAST;
}

static void count_query(const ranking *r, scratch *own, size_t q, float *keys, size_t first,
                        size_t count) {
    const vx_rank_task *task = r->task;
    size_t query = r->first_query + q;
    if (task->self && task->self[query] >= (int64_t)first &&
        task->self[query] < (int64_t)(first + count))
        keys[task->self[query] - (int64_t)first] = INFINITY; /* before nothing */
    (looks_for_places(task, query) ? place_candidates : count_marks)(r, own, q, keys, first, count);
}

/* Makes ranks of the places that candidates took. A landmark is among the candidates of its key. */
static void sum_places(const ranking *r, size_t query) {
    const vx_rank_task *task = r->task;
    size_t base = task->offsets[r->first_query], start = task->offsets[query];
    const landmark *marks = r->marks - base;
    int64_t before = 0, same = 0;
    for (size_t e = start; e < task->offsets[query + 1]; e++) {
        before += task->before[e];
        if (e == start || marks[e].key != marks[e - 1].key) same = task->tied[e];
        task->before[e] = before;
        task->tied[e] = same - 1;
    }
}

/* A group too small for tiles: one scan per query. */
static void count_scans(const ranking *r, scratch *own, size_t first, size_t count) {
    const vx_kernels *kernels = r->group.kernels;
    const vx_space *space = &r->group.space;
    size_t stride = vx_space_stride(space);
    for (size_t q = 0; q < r->group.count; q++) {
        const float *query = r->group.single + q * r->group.padded;
        bool l2 = space->metric == VINDEX_L2;
        (l2 ? kernels->scan_l2 : kernels->scan_ip)[VINDEX_F32](query, candidate(r, first), stride,
                                                               count, space->dim, own->keys);
        if (space->metric == VINDEX_COSINE || space->metric == VINDEX_PEARSON)
            for (size_t i = 0; i < count; i++) own->keys[i] *= r->aux[first + i];
        count_query(r, own, q, own->keys, first, count);
    }
}

/* One slice of the dimensions: a span of candidates against every panel of queries. */
static void count_slice(const ranking *r, scratch *own, size_t first, size_t count, size_t slice) {
    const vx_group *group = &r->group;
    const vx_kernels *kernels = group->kernels;
    size_t dim = group->space.dim, width = kernels->tile_queries, height = kernels->tile_rows;
    size_t depth = VX_MIN(dim - slice, (size_t)VX_SLICE), stride = vx_space_stride(&group->space);
    bool last = slice + depth == dim, one = dim <= VX_SLICE;
    float aux[SPAN] = {0};
    memcpy(aux, r->aux + first, count * sizeof *aux);
    for (size_t start = 0; start < count; start += height)
        kernels->pack[VINDEX_F32](candidate(r, first + start), stride,
                                  VX_MIN(count - start, height), slice, depth, height,
                                  own->packed + start * depth);
    for (size_t p = 0; p < group->panels; p++) {
        float *keys = own->keys + (one ? 0 : p * width * SPAN);
        for (size_t start = 0; start < count; start += height) {
            vx_tile tile = {.rows = own->packed + start * depth,
                            .queries = vx_group_panel(group, p, slice, depth),
                            .depth = depth,
                            .sums = slice ? keys + start : NULL,
                            .stride = SPAN};
            if (last)
                kernels->tile_keys(&tile, vx_group_scale(group, aux + start),
                                   vx_group_bias(group, aux + start), keys + start);
            else
                kernels->tile_sums(&tile, keys + start);
        }
        for (size_t i = 0; last && i < VX_MIN(width, group->count - p * width); i++)
            count_query(r, own, p * width + i, keys + i * SPAN, first, count);
    }
}

static void count_span(const ranking *r, scratch *own, size_t first) {
    size_t count = VX_MIN(r->task->candidate_count - first, (size_t)SPAN);
    own->largest_aux = vx_aux_largest(r->aux + first, count);
    if (!r->group.panels) {
        count_scans(r, own, first, count);
        return;
    }
    for (size_t slice = 0; slice < r->group.space.dim; slice += VX_SLICE)
        count_slice(r, own, first, count, slice);
}

/* Counts one group against all candidates, and adds the threads' counts up: integers, so that their
 * order does not matter. */
static void count_group(ranking *r, scratch *threads) {
    const vx_rank_task *task = r->task;
    size_t base = task->offsets[r->first_query];
    size_t entries = task->offsets[r->first_query + r->group.count] - base;
    for (int t = 0; t < r->threads; t++) {
        memset(threads[t].before, 0, entries * sizeof *threads[t].before);
        memset(threads[t].tied, 0, entries * sizeof *threads[t].tied);
    }
    atomic_size_t next = 0;
#pragma omp parallel num_threads(r->threads) if (r->threads > 1)
    {
        scratch *own = &threads[r->threads > 1 ? omp_get_thread_num() : 0];
        for (size_t first; (first = atomic_fetch_add(&next, SPAN)) < task->candidate_count;)
            count_span(r, own, first);
    }
    for (size_t e = 0; e < entries; e++) {
        task->before[base + e] = task->tied[base + e] = 0;
        for (int t = 0; t < r->threads; t++) {
            task->before[base + e] += threads[t].before[e];
            task->tied[base + e] += threads[t].tied[e];
        }
    }
    for (size_t q = r->first_query; q < r->first_query + r->group.count; q++)
        if (looks_for_places(task, q)) sum_places(r, q);
}

/* The most entries that any group of that many queries has. */
static size_t most_entries(const vx_rank_task *task, size_t group_size) {
    size_t most = 0;
    for (size_t q = 0; q < task->query_count; q += group_size) {
        size_t end = VX_MIN(q + group_size, task->query_count);
        most = VX_MAX(most, task->offsets[end] - task->offsets[q]);
    }
    return most;
}

static vindex_status make_scratch(const ranking *r, size_t entries, scratch *own) {
    size_t dim = r->task->dim, panel = (size_t)VX_TILE_QUERIES * SPAN;
    size_t keys = dim <= VX_SLICE ? panel : (r->group.capacity + VX_TILE_QUERIES) * SPAN;
    own->packed = vx_alloc(VX_MIN(dim, (size_t)VX_SLICE) * SPAN, sizeof *own->packed);
    own->keys = vx_alloc(keys, sizeof *own->keys);
    own->before = vx_alloc(entries, sizeof *own->before);
    own->tied = vx_alloc(entries, sizeof *own->tied);
    if (own->packed && own->keys && own->before && own->tied) return VINDEX_OK;
    return vx_fail_memory(keys, sizeof *own->keys, "rank: scratch memory");
}

static void free_scratch(scratch *own) {
    vx_free(own->packed);
    vx_free(own->keys);
    vx_free(own->before);
    vx_free(own->tied);
}

static vindex_status rank_groups(ranking *r, scratch *threads, const vindex_call *call) {
    const vx_rank_task *task = r->task;
    size_t size = r->group.capacity;
    for (r->first_query = 0; r->first_query < task->query_count; r->first_query += size) {
        size_t count = VX_MIN(size, task->query_count - r->first_query);
        VX_TRY(vx_group_load(&r->group, task->queries + r->first_query * task->dim, count,
                             r->threads));
        place_marks(r);
        count_group(r, threads);
        VX_TRY(vx_progress(call->progress, call->progress_context, "rank",
                           (double)(r->first_query + count) / (double)task->query_count));
    }
    return VINDEX_OK;
}

/* The filter's numbers for all candidates. */
static float *aux_of(const vx_rank_task *task, const vx_space *space, int threads) {
    const vx_kernels *kernels = vx_kernels_get();
    float *aux = vx_alloc(task->candidate_count, sizeof *aux);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t i = 0; i < (aux ? task->candidate_count : 0); i++)
        vx_aux_fill(space, kernels, task->candidates + i * task->dim, 1, aux + i);
    return aux;
}

vindex_status vx_rank(const vx_rank_task *task, const vindex_call *given) {
    vindex_call call;
    VX_TRY(vx_call_resolve(given, &call));
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    if (!task->query_count) return VINDEX_OK;
    vx_space space = {task->metric, VINDEX_F32, task->dim, NULL};
    size_t size = VX_MAX(GROUP_BYTES / (task->dim * sizeof(float)), (size_t)GROUP_LEAST);
    size_t asked = task->offsets[task->query_count] / task->query_count + 1; /* of each query */
    size = VX_MIN(VX_MIN(size, (size_t)GROUP_MOST), VX_MAX(GROUP_ENTRIES / asked, GROUP_LEAST));
    size = VX_MIN(size, task->query_count);
    size_t entries = most_entries(task, size);
    ranking r = {.task = task, .threads = vx_threads(call.threads)};
    scratch *threads = vx_alloc_zero((size_t)r.threads, sizeof *threads);
    r.aux = aux_of(task, &space, r.threads);
    r.marks = vx_alloc(entries, sizeof *r.marks);
    r.low = vx_alloc(entries, sizeof *r.low);
    r.high = vx_alloc(entries, sizeof *r.high);
    vindex_status status = VINDEX_OK;
    if (!threads || !r.aux || !r.marks || !r.low || !r.high)
        status = vx_fail_memory(task->candidate_count + entries, sizeof *r.marks, "rank");
    if (status == VINDEX_OK) status = vx_group_create(&space, size, false, &r.group);
    for (int t = 0; status == VINDEX_OK && t < r.threads; t++)
        status = make_scratch(&r, entries, &threads[t]);
    if (status == VINDEX_OK) {
        r.largest_aux = vx_aux_largest(r.aux, task->candidate_count);
        status = rank_groups(&r, threads, &call);
    }
    for (int t = 0; threads && t < r.threads; t++) free_scratch(&threads[t]);
    vx_free(threads);
    vx_free(r.aux);
    vx_free(r.marks);
    vx_free(r.low);
    vx_free(r.high);
    vx_group_free(&r.group);
    return status;
}

typedef struct nearest {
    vx_hit *hits;
    size_t k;
} nearest;

static void answer_nearest(void *context, size_t query, const vx_hit *hits, size_t count) {
    const nearest *out = context;
    for (size_t i = 0; i < out->k; i++)
        out->hits[query * out->k + i] = i < count ? hits[i] : (vx_hit){.key = NAN, .id = -1};
}

vindex_status vx_rank_nearest(const vx_rank_task *task, size_t k, const vindex_call *given,
                              vx_hit *hits) {
    vindex_call call;
    VX_TRY(vx_call_resolve(given, &call));
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    vx_space space = {task->metric, VINDEX_F32, task->dim, NULL};
    int threads = vx_threads(call.threads);
    float *aux = aux_of(task, &space, threads);
    if (!aux) return vx_fail_memory(task->candidate_count, sizeof *aux, "nearest candidates");
    vx_block block = {.data = task->candidates, .aux = aux, .count = task->candidate_count};
    vx_search_job job = {.space = space,
                         .blocks = &block,
                         .block_count = 1,
                         .block_rows = task->candidate_count,
                         .self = task->self,
                         .queries = task->queries,
                         .query_count = task->query_count,
                         .threads = threads,
                         .progress = call.progress,
                         .progress_context = call.progress_context};
    nearest out = {hits, k};
    vindex_status status = vx_search_topk(&job, k, answer_nearest, &out);
    vx_free(aux);
    return status;
}
