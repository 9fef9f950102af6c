/* Counting ranks by tiles: the filter tells for most pairs which side of a relevant candidate they
 * fall on; the few that lie within its error are settled. Where queries are candidates themselves,
 * a tile of two of their groups serves both. */
#include "rank.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>

#include "bound.h"
#include "landmarks.h"
#include "search.h"

enum {
    GROUP_BYTES = 16 << 20, /* of a group's queries in single precision */
    GROUP_LEAST = 48,
    GROUP_MOST = 1024,
    GROUP_ENTRIES = 1 << 15, /* as many as a core's second-level cache holds, on average */
    GROUP_FEWEST = 8,        /* fewer that are left at the end go with the group before */
    SPAN = 256,              /* candidates that a thread takes at a time */
    TURNED = VX_RANK_RUN + VX_TILE_QUERIES /* from one row of turned keys to the next */
};
_Static_assert((int)SPAN <= (int)VX_RANK_RUN, "spans are counted whole");
_Static_assert(SPAN % 4 == 0 && VX_TILE_QUERIES % 4 == 0, "keys are turned four at a time");

/* Candidates that a thread takes at a time. */
typedef struct span {
    size_t first, count;
    bool both; /* they are queries of later groups, and are counted as such too */
} span;

/* One thread's scratch memory: packed rows; filter keys, one row of SPAN per query of a panel (or
 * of the group, when the dimensions take several slices); the keys of some panels turned, one row
 * of TURNED per candidate of a span. */
typedef struct scratch {
    float *packed, *keys, *turned;
    vx_tally tally; /* of the group's queries */
} scratch;

/* A group too small for tiles: one scan per query. */
static void count_scans(const vx_ranking *r, scratch *own, const span *rows) {
    const vx_kernels *kernels = r->group.kernels;
    const vx_space *space = &r->group.space;
    size_t stride = vx_space_stride(space);
    for (size_t q = 0; q < r->group.count; q++) {
        const float *query = r->group.single + q * r->group.padded;
        bool l2 = space->metric == VINDEX_L2;
        (l2 ? kernels->scan_l2
            : kernels->scan_ip)[VINDEX_F32](query, vx_ranking_candidate(r, rows->first), stride,
                                            rows->count, space->dim, own->keys);
        if (space->metric == VINDEX_COSINE || space->metric == VINDEX_PEARSON)
            for (size_t i = 0; i < rows->count; i++) own->keys[i] *= r->aux[rows->first + i];
        vx_landmarks_count(r, &own->tally, r->first_query + q, own->keys, rows->first, rows->count);
    }
}

typedef float quad __attribute__((vector_size(16)));

static quad quad_load(const float *from) {
    quad numbers;
    memcpy(&numbers, from, sizeof numbers);
    return numbers;
}

/* Four times four numbers, rows to columns, with something added to the columns. */
static void turn_quads(const float *from, quad bias, float *to) {
    quad a = quad_load(from), b = quad_load(from + SPAN);
    quad c = quad_load(from + 2 * SPAN), d = quad_load(from + 3 * SPAN);
    quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    quad turned[4] = {__builtin_shufflevector(ab, cd, 0, 1, 4, 5),
                      __builtin_shufflevector(ab, cd, 2, 3, 6, 7)};
    ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    turned[2] = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    turned[3] = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    for (size_t i = 0; i < 4; i++) {
        turned[i] += bias;
        memcpy(to + i * TURNED, &turned[i], sizeof *turned);
    }
}

/* The keys of a panel, turned: what its queries, candidates from `first` on, are to those of the
 * span. Under L2 the keys came without the candidates' numbers, so that either side can add the
 * other's. Writes up to three columns and rows more. */
static void turn_keys(const vx_ranking *r, float *keys, size_t queries, const span *rows,
                      size_t first, float *turned) {
    bool l2 = r->group.space.metric == VINDEX_L2;
    float bias[VX_TILE_QUERIES] = {0};
    if (l2) memcpy(bias, r->aux + first, queries * sizeof *bias);
    for (size_t i = 0; i < rows->count; i += 4)
        for (size_t q = 0; q < queries; q += 4)
            turn_quads(keys + q * SPAN + i, quad_load(bias + q), turned + i * TURNED + q);
    for (size_t q = 0; l2 && q < queries; q++)
        for (size_t i = 0; i < rows->count; i++) keys[q * SPAN + i] += r->aux[rows->first + i];
}

/* Counts queries of the group, by their candidate rows, for the candidates of a span, which are
 * queries too. Nobody else counts for these meanwhile. */
static void count_turned(const vx_ranking *r, scratch *own, const span *rows, size_t first,
                         size_t count) {
    const vx_rank_task *task = r->task;
    vx_tally tally = {task->before, task->tied, 0};
    size_t query = rows->first - (size_t)task->self[0];
    for (size_t i = 0; i < rows->count; i++)
        vx_landmarks_count(r, &tally, query + i, own->turned + i * TURNED, first, count);
}

/* One panel of keys is complete. */
static void count_panel(const vx_ranking *r, scratch *own, const span *rows, size_t panel,
                        float *keys) {
    size_t width = r->group.kernels->tile_queries, at = panel * width;
    size_t queries = VX_MIN(width, r->group.count - at), group_row = 0, waiting = 0;
    if (rows->both) {
        group_row = (size_t)r->task->self[r->first_query];
        waiting = at % (VX_RANK_RUN / width * width); /* turned keys of earlier panels */
        turn_keys(r, keys, queries, rows, group_row + at, own->turned + waiting);
        waiting += queries;
    }
    for (size_t q = 0; q < queries; q++)
        vx_landmarks_count(r, &own->tally, r->first_query + at + q, keys + q * SPAN, rows->first,
                           rows->count);
    bool full = waiting + width > VX_RANK_RUN || panel + 1 == r->group.panels;
    if (rows->both && full) count_turned(r, own, rows, group_row + at + queries - waiting, waiting);
}

/* One slice of the dimensions: a span of candidates against every panel of queries. */
static void count_slice(const vx_ranking *r, scratch *own, const span *rows, size_t slice) {
    const vx_group *group = &r->group;
    const vx_kernels *kernels = group->kernels;
    size_t dim = group->space.dim, width = kernels->tile_queries, height = kernels->tile_rows;
    size_t depth = VX_MIN(dim - slice, (size_t)VX_SLICE), stride = vx_space_stride(&group->space);
    bool last = slice + depth == dim, one = dim <= VX_SLICE;
    float aux[SPAN] = {0};
    memcpy(aux, r->aux + rows->first, rows->count * sizeof *aux);
    for (size_t start = 0; start < rows->count; start += height)
        kernels->pack[VINDEX_F32](vx_ranking_candidate(r, rows->first + start), stride,
                                  VX_MIN(rows->count - start, height), slice, depth, height,
                                  own->packed + start * depth);
    for (size_t p = 0; p < group->panels; p++) {
        float *keys = own->keys + (one ? 0 : p * width * SPAN);
        for (size_t start = 0; start < rows->count; start += height) {
            vx_tile tile = {.rows = own->packed + start * depth,
                            .queries = vx_group_panel(group, p, slice, depth),
                            .depth = depth,
                            .sums = slice ? keys + start : NULL,
                            .stride = SPAN};
            const float *bias = rows->both ? group->aux_zero : vx_group_bias(group, aux + start);
            if (last)
                kernels->tile_keys(&tile, vx_group_scale(group, aux + start), bias, keys + start);
            else
                kernels->tile_sums(&tile, keys + start);
        }
        if (last) count_panel(r, own, rows, p, keys);
    }
}

static void count_span(const vx_ranking *r, scratch *own, const span *rows) {
    if (!r->group.panels) {
        count_scans(r, own, rows);
        return;
    }
    for (size_t slice = 0; slice < r->group.space.dim; slice += VX_SLICE)
        count_slice(r, own, rows, slice);
}

static void add_spans(span *spans, size_t *count, size_t first, size_t end, bool both) {
    for (; first < end; first += SPAN)
        spans[(*count)++] = (span){first, VX_MIN(end - first, (size_t)SPAN), both};
}

/* What the group at hand is to be compared with, in spans; answers how many. Groups before it have
 * been compared with it. */
static size_t plan(const vx_ranking *r, span *spans) {
    const vx_rank_task *task = r->task;
    size_t count = 0, first = 0;
    if (task->within) {
        size_t start = (size_t)task->self[0], own = start + r->first_query;
        first = start + task->query_count;
        add_spans(spans, &count, own + r->group.count, first, true);
        add_spans(spans, &count, own, own + r->group.count, false);
        add_spans(spans, &count, 0, start, false);
    }
    add_spans(spans, &count, first, task->candidate_count, false);
    return count;
}

/* Counts one group, and adds the threads' counts up: integers, so that their order does not
 * matter. */
static void count_group(vx_ranking *r, scratch *threads, span *spans) {
    const vx_rank_task *task = r->task;
    size_t base = task->offsets[r->first_query], span_count = plan(r, spans);
    size_t entries = task->offsets[r->first_query + r->group.count] - base;
    for (int t = 0; t < r->threads; t++) {
        threads[t].tally.base = base;
        memset(threads[t].tally.before, 0, entries * sizeof(int64_t));
        memset(threads[t].tally.tied, 0, entries * sizeof(int64_t));
    }
    atomic_size_t next = 0;
#pragma omp parallel num_threads(r->threads) if (r->threads > 1)
    {
        scratch *own = &threads[r->threads > 1 ? omp_get_thread_num() : 0];
        for (size_t i; (i = atomic_fetch_add(&next, 1)) < span_count;)
            count_span(r, own, &spans[i]);
    }
    for (size_t e = 0; e < entries; e++)
        for (int t = 0; t < r->threads; t++) {
            task->before[base + e] += threads[t].tally.before[e];
            task->tied[base + e] += threads[t].tally.tied[e];
        }
    for (size_t q = 0; q < r->group.count; q++) vx_landmarks_sum(r, r->first_query + q);
}

/* ---- groups of queries, one after the other ---- */

/* Where the group ends that begins with a query. */
static size_t group_end(const vx_rank_task *task, size_t size, size_t first) {
    size_t left = task->query_count - first;
    return left < size + GROUP_FEWEST ? task->query_count : first + size;
}

/* The most entries that any group has. */
static size_t most_entries(const vx_rank_task *task, size_t size) {
    size_t most = 0;
    for (size_t q = 0, end; q < task->query_count; q = end) {
        end = group_end(task, size, q);
        most = VX_MAX(most, task->offsets[end] - task->offsets[q]);
    }
    return most;
}

static vindex_status load_group(vx_ranking *r, size_t size, size_t first) {
    size_t count = group_end(r->task, size, first) - first;
    r->first_query = first;
    return vx_group_load(&r->group, r->task->queries + first * r->task->dim, count, r->threads);
}

/* Where a tile serves two groups, the landmarks of both are wanted: then all are placed first, at
 * the price of loading groups twice. */
static vindex_status place_all(vx_ranking *r, size_t size) {
    for (size_t q = 0; q < r->task->query_count; q = group_end(r->task, size, q)) {
        VX_TRY(load_group(r, size, q));
        vx_landmarks_place(r);
    }
    return VINDEX_OK;
}

static vindex_status rank_groups(vx_ranking *r, size_t size, scratch *threads, span *spans,
                                 const vindex_call *call) {
    const vx_rank_task *task = r->task;
    size_t entries = task->offsets[task->query_count];
    memset(task->before, 0, entries * sizeof *task->before);
    memset(task->tied, 0, entries * sizeof *task->tied);
    if (task->within) VX_TRY(place_all(r, size));
    for (size_t first = 0; first < task->query_count; first = group_end(task, size, first)) {
        VX_TRY(load_group(r, size, first));
        if (!task->within) vx_landmarks_place(r);
        count_group(r, threads, spans);
        VX_TRY(vx_progress(call->progress, call->progress_context, "rank",
                           (double)group_end(task, size, first) / (double)task->query_count));
    }
    return VINDEX_OK;
}

/* ---- memory ---- */

static vindex_status make_scratch(const vx_ranking *r, size_t entries, scratch *own) {
    size_t dim = r->task->dim, panel = (size_t)VX_TILE_QUERIES * SPAN;
    size_t keys = dim <= VX_SLICE ? panel : (r->group.capacity + VX_TILE_QUERIES) * SPAN;
    size_t turned = r->task->within ? (size_t)SPAN * TURNED : 0;
    own->packed = vx_alloc(VX_MIN(dim, (size_t)VX_SLICE) * SPAN, sizeof *own->packed);
    own->keys = vx_alloc(keys, sizeof *own->keys);
    own->turned = vx_alloc(turned, sizeof *own->turned);
    own->tally.before = vx_alloc(entries, sizeof(int64_t));
    own->tally.tied = vx_alloc(entries, sizeof(int64_t));
    if (own->packed && own->keys && own->turned && own->tally.before && own->tally.tied)
        return VINDEX_OK;
    return vx_fail_memory(keys + turned, sizeof *own->keys, "rank: scratch memory");
}

static void free_scratch(scratch *own) {
    vx_free(own->packed);
    vx_free(own->keys);
    vx_free(own->turned);
    vx_free(own->tally.before);
    vx_free(own->tally.tied);
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

static size_t group_size(const vx_rank_task *task) {
    size_t size = VX_MAX(GROUP_BYTES / (task->dim * sizeof(float)), (size_t)GROUP_LEAST);
    size_t asked = task->offsets[task->query_count] / task->query_count + 1; /* of each query */
    return VX_MIN(VX_MIN(size, (size_t)GROUP_MOST), VX_MAX(GROUP_ENTRIES / asked, GROUP_LEAST));
}

static vindex_status make_ranking(vx_ranking *r) {
    const vx_rank_task *task = r->task;
    size_t entries = task->offsets[task->query_count];
    vx_space space = {task->metric, VINDEX_F32, task->dim, NULL};
    r->aux = aux_of(task, &space, r->threads);
    r->norms = vx_alloc(task->query_count, sizeof *r->norms);
    r->marks = vx_alloc(entries, sizeof *r->marks);
    r->low = vx_alloc(entries, sizeof *r->low);
    r->high = vx_alloc(entries, sizeof *r->high);
    if (!r->aux || !r->norms || !r->marks || !r->low || !r->high)
        return vx_fail_memory(task->candidate_count + task->query_count + entries, sizeof *r->marks,
                              "rank");
    bool by_length = task->metric == VINDEX_L2 || task->metric == VINDEX_INNER_PRODUCT;
    r->largest_aux = by_length ? vx_aux_largest(r->aux, task->candidate_count) : 0;
    size_t capacity = VX_MIN(group_size(task) + GROUP_FEWEST, task->query_count);
    return vx_group_create(&space, capacity, false, &r->group);
}

static void free_ranking(vx_ranking *r) {
    vx_free(r->aux);
    vx_free(r->norms);
    vx_free(r->marks);
    vx_free(r->low);
    vx_free(r->high);
    vx_group_free(&r->group);
}

vindex_status vx_rank(const vx_rank_task *task, const vindex_call *given) {
    vindex_call call;
    VX_TRY(vx_call_resolve(given, &call));
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    if (!task->query_count) return VINDEX_OK;
    size_t size = group_size(task), entries = most_entries(task, size);
    vx_ranking r = {.task = task, .threads = vx_threads(call.threads)};
    vindex_status status = make_ranking(&r);
    scratch *threads = vx_alloc_zero((size_t)r.threads, sizeof *threads);
    /* At most four stretches, each with a span that is not full. */
    size_t spans_most = task->candidate_count / SPAN + 4;
    span *spans = vx_alloc(spans_most, sizeof *spans);
    if (status == VINDEX_OK && (!threads || !spans))
        status = vx_fail_memory(spans_most, sizeof *spans, "rank");
    for (int t = 0; status == VINDEX_OK && t < r.threads; t++)
        status = make_scratch(&r, entries, &threads[t]);
    if (status == VINDEX_OK) status = rank_groups(&r, size, threads, spans, &call);
    for (int t = 0; threads && t < r.threads; t++) free_scratch(&threads[t]);
    vx_free(threads);
    vx_free(spans);
    free_ranking(&r);
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
