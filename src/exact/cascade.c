/* Filtering by codes. What a first plane does not rule out waits, with the most that its key can
 * be, until there is enough of it: then limits are tighter than they were, many of those that wait
 * are ruled out unseen, and the best of the others are looked at first, which tightens limits
 * again. Looking means the second plane where there is one, then the row itself by a scan, then
 * settling. */
#include "worker.h"

#include <math.h>

#include "codes.h"

enum {
    SCAN_ROWS = VX_CASCADE_ROWS, /* rows that a query looks at before the next query does */
    AHEAD = 12                   /* candidates between asking for memory and looking at it */
};

static const vx_block *block_of(const vx_worker *worker, size_t row, size_t *at) {
    *at = row % worker->job->block_rows;
    return &worker->job->blocks[row / worker->job->block_rows];
}

static void prefetch(const char *data, size_t bytes) {
    for (size_t byte = 0; byte < VX_MIN(bytes, (size_t)2048); byte += 64)
        __builtin_prefetch(data + byte);
}

static void prefetch_plane(const vx_worker *worker, size_t row) {
    size_t at, stride = vx_plane_stride(worker->group->space.dim);
    const vx_block *block = block_of(worker, row, &at);
    prefetch((const char *)block->planes + at * stride, stride + 63);
}

static void prefetch_row(const vx_worker *worker, size_t row) {
    size_t at, stride = vx_space_stride(&worker->group->space);
    const vx_block *block = block_of(worker, row, &at);
    prefetch((const char *)block->data + at * stride, stride);
}

/* Leaves those of count candidates that second planes do not rule out. */
static size_t refine(vx_worker *worker, size_t q, vx_candidate *candidates, size_t count) {
    size_t kept = 0, stride = vx_plane_stride(worker->group->space.dim);
    for (size_t i = 0; i < VX_MIN(count, (size_t)AHEAD); i++)
        prefetch_plane(worker, candidates[i].row);
    for (size_t i = 0; i < count; i++) {
        size_t at;
        const vx_block *block = block_of(worker, candidates[i].row, &at);
        if (i + AHEAD < count) prefetch_plane(worker, candidates[i + AHEAD].row);
        candidates[i].key = vx_codes_refine(worker->group, q, block, at, candidates[i].known);
        if (!(candidates[i].key < worker->limits[q])) candidates[kept++] = candidates[i];
    }
    worker->stats.bytes += (int64_t)(count * stride);
    return kept;
}

/* One scan decides whether a row is worth settling. */
static void check_row(vx_worker *worker, size_t q, size_t row) {
    const vx_group *group = worker->group;
    const vx_space *space = &group->space;
    size_t at, stride = vx_space_stride(space);
    const vx_block *block = block_of(worker, row, &at);
    const char *data = (const char *)block->data + at * stride;
    const float *query = group->single + q * group->padded;
    bool l2 = space->metric == VINDEX_L2;
    float key;
    (l2 ? group->kernels->scan_l2 : group->kernels->scan_ip)[space->dtype](query, data, stride, 1,
                                                                           space->dim, &key);
    if (space->metric == VINDEX_COSINE || space->metric == VINDEX_PEARSON) key *= block->aux[at];
    float low, high = worker->seconds[q];
    if (space->metric == VINDEX_INNER_PRODUCT) /* which depends on the row's own norm */
        vx_group_limits(group, VX_PASS_SCAN, q, vx_worker_limit(worker, q), block->aux[at], &low,
                        &high);
    if (key > high) return;
    vx_worker_settle(worker, q, row, data);
    /* A top k of few is cut often, for a limit that is not the tightest costs more. */
    if (worker->k && worker->tops[q].count > worker->k + worker->k / 4)
        vx_worker_tighten(worker, q);
}

/* Looks at count candidates. In a sample keys are guesses, which a second plane would not better
 * by enough. */
static void look(vx_worker *worker, size_t q, vx_candidate *candidates, size_t count) {
    bool refined = worker->group->second && !worker->approximate;
    if (!worker->approximate) worker->stats.survivors += (int64_t)count;
    if (refined) count = refine(worker, q, candidates, count);
    for (size_t i = 0; i < VX_MIN(count, (size_t)AHEAD); i++)
        prefetch_row(worker, candidates[i].row);
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count) prefetch_row(worker, candidates[i + AHEAD].row);
        check_row(worker, q, candidates[i].row);
    }
    if (!worker->approximate) worker->stats.vectors += (int64_t)count;
    worker->stats.bytes += (int64_t)(count * vx_space_stride(&worker->group->space));
    vx_worker_tighten(worker, q);
}

/* NaN, of which nothing is known, counts as the largest. */
static float rank_of(const vx_candidate *candidate) {
    return isnan(candidate->key) ? INFINITY : candidate->key;
}

/* Hoare's selection: the `wanted` candidates with the largest keys come first. */
static void select_first(vx_candidate *list, size_t count, size_t wanted) {
    size_t low = 0, high = count - 1;
    while (low < high) {
        float pivot = rank_of(&list[low + (high - low) / 2]);
        size_t i = low, j = high;
        for (;;) {
            while (rank_of(&list[i]) > pivot) i++;
            while (rank_of(&list[j]) < pivot) j--;
            if (i >= j) break;
            vx_candidate other = list[i];
            list[i++] = list[j];
            list[j--] = other;
        }
        if (wanted - 1 <= j)
            high = j;
        else
            low = j + 1;
    }
}

/* How many of count candidates to look at before the limit is looked at again. */
static size_t portion(const vx_worker *worker, size_t q, size_t count) {
    enum { FEW = 16 };
    if (!worker->k || count <= FEW) return count; /* a radius gets no tighter */
    const vx_topk *top = &worker->tops[q];
    bool first = worker->limits[q] == -INFINITY && top->count < worker->k;
    return first ? VX_MIN(worker->k - top->count, count) : (count + 1) / 2;
}

/* Looks at what waits of query q, the best first, until no more than `most` are left. */
static void drain(vx_worker *worker, size_t q, size_t most) {
    vx_candidate *list = worker->candidates + q * worker->room;
    size_t count = worker->waiting[q];
    for (;;) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i++)
            if (!(list[i].key < worker->limits[q])) list[kept++] = list[i];
        count = kept;
        if (count <= most) break;
        size_t some = portion(worker, q, count);
        if (some < count) select_first(list, count, some);
        look(worker, q, list, some);
        count -= some;
        memmove(list, list + some, count * sizeof *list);
    }
    worker->waiting[q] = count;
}

static void push(vx_worker *worker, size_t q, size_t first, const vx_code_hit *hit) {
    worker->candidates[q * worker->room + worker->waiting[q]++] =
        (vx_candidate){first + hit->row, hit->key, hit->known};
    worker->passed++;
    if (worker->waiting[q] == worker->room) drain(worker, q, worker->room / 2);
}

/* The panel that begins with query q; in a sample without any slack. */
static vx_code_queries queries_at(const vx_worker *worker, size_t q) {
    vx_code_queries queries = vx_group_codes(worker->group, q);
    if (worker->approximate) {
        static const float none[VX_CODE_TILE_QUERIES];
        queries.norm = queries.square = queries.error = queries.ratio = queries.tail = none;
    }
    return queries;
}

/* A few queries against the codes. */
static void scan_codes(vx_worker *worker, const vx_span *rows) {
    const vx_group *group = worker->group;
    for (size_t start = 0; start < rows->count; start += SCAN_ROWS) {
        size_t count = VX_MIN(rows->count - start, (size_t)SCAN_ROWS);
        vx_codes codes = vx_codes_at(&group->space, rows->block->codes, rows->at + start, count);
        for (size_t q = 0; q < group->count; q++) {
            vx_code_hit hits[SCAN_ROWS];
            vx_code_queries query = queries_at(worker, q);
            size_t found = group->kernels->code_select(&codes, &query, worker->limits[q], hits);
            for (size_t i = 0; i < found && hits[i].row < count; i++)
                push(worker, q, rows->row + start, &hits[i]);
        }
    }
}

/* Checks pairs of queries and the rows of a span. Many queries look at the same few rows. */
static void look_at_pairs(vx_worker *worker, const vx_span *rows, const vx_code_hit *pairs,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].key < worker->limits[pairs[i].query]) continue; /* which is tighter now */
        worker->stats.vectors++;
        worker->stats.bytes += (int64_t)vx_space_stride(&worker->group->space);
        check_row(worker, pairs[i].query, rows->row + pairs[i].row);
    }
}

/* Leaves those of a panel's pairs that second planes do not rule out, and asks for their rows. */
static size_t refine_pairs(vx_worker *worker, const vx_span *rows, vx_code_hit *pairs,
                           size_t count) {
    size_t kept = 0;
    worker->passed += count;
    worker->stats.survivors += (int64_t)count;
    if (worker->group->second)
        worker->stats.bytes += (int64_t)(count * vx_plane_stride(worker->group->space.dim));
    for (size_t i = 0; i < count; i++) {
        vx_code_hit pair = pairs[i];
        if (worker->group->second)
            pair.key = vx_codes_refine(worker->group, pair.query, rows->block, rows->at + pair.row,
                                       pair.known);
        if (pair.key < worker->limits[pair.query]) continue;
        pairs[kept++] = pair;
        prefetch_row(worker, rows->row + pair.row);
    }
    return kept;
}

/* The pairs that pass of opened rows and the panel of queries that begins with q. */
static size_t tile_panel(const vx_worker *worker, const vx_open_codes *open, size_t q,
                         const vx_span *rows, vx_code_hit *pairs) {
    const vx_group *group = worker->group;
    size_t there = VX_MIN(group->kernels->code_tile_queries, group->count - q), kept = 0;
    vx_code_queries queries = queries_at(worker, q);
    size_t found = group->kernels->code_tile(open, &queries, worker->limits + q, pairs);
    for (size_t i = 0; i < found; i++) {
        vx_code_hit pair = pairs[i];
        if (pair.query >= there || pair.row >= rows->count) continue;
        pair.query += (uint32_t)q;
        pairs[kept++] = pair;
    }
    return kept;
}

/* A tile's height of rows against all panels. */
static void tile_rows(vx_worker *worker, const vx_span *rows) {
    const vx_group *group = worker->group;
    vx_codes codes = vx_codes_at(&group->space, rows->block->codes, rows->at, rows->count);
    vx_open_codes open = {worker->opened, codes.count, codes.shape};
    size_t waiting = 0, stride = vx_plane_stride(group->space.dim);
    group->kernels->code_open(&codes, worker->opened);
    const char *planes = (const char *)rows->block->planes + rows->at * stride;
    for (size_t byte = 0; group->second && byte < rows->count * stride; byte += VX_CODE_LINE)
        __builtin_prefetch(planes + byte, 0, 2);
    for (size_t q = 0; q < group->count; q += group->kernels->code_tile_queries) {
        vx_code_hit *pairs = worker->pairs + waiting;
        size_t found = tile_panel(worker, &open, q, rows, pairs);
        if (worker->approximate) {
            for (size_t i = 0; i < found; i++) push(worker, pairs[i].query, rows->row, &pairs[i]);
            continue;
        }
        waiting += refine_pairs(worker, rows, pairs, found);
        if (waiting <= VX_CASCADE_PAIRS / 2) continue; /* there is room for another panel's */
        look_at_pairs(worker, rows, worker->pairs, waiting);
        waiting = 0;
    }
    look_at_pairs(worker, rows, worker->pairs, waiting);
}

/* Many queries against the codes. */
static void tile_codes(vx_worker *worker, const vx_span *rows) {
    size_t height = worker->group->kernels->code_tile_rows;
    for (size_t start = 0; start < rows->count; start += height) {
        vx_span part =
            vx_span_part(rows, &worker->group->space, start, VX_MIN(rows->count - start, height));
        tile_rows(worker, &part);
    }
}

/* Nanoseconds, roughly, as measured: of a pair by the plain filter, of one by codes, of one that
 * passes them and is looked at in its second plane, of one whose row is looked at. */
typedef struct costs {
    double plain, coded, refined, looked;
} costs;

static costs costs_of(const vx_worker *worker) {
    const vx_space *space = &worker->group->space;
    vx_code_shape shape = vx_coder_shape(space->coder, space->metric);
    double row = (double)vx_space_stride(space), head = (double)space->coder->head,
           code = (double)vx_codes_bytes(&shape, 1) / VX_CODE_ROWS;
    bool tiles = worker->group->code_panels > 0;
    double each = tiles ? 40 : 20, plane = (double)vx_plane_stride(space->dim);
    return (costs){.plain = tiles ? (double)space->dim / 80 : row / 16,
                   .coded = tiles ? head / 250 : code / 16,
                   .refined = worker->group->second ? each + plane / 10 : 0,
                   .looked = each + row / 10};
}

/* Looks at what the codes brought: where too many rows survive them, the rows to come do without,
 * each time for longer. */
static void guard(vx_worker *worker, size_t count, size_t passed, size_t looked) {
    enum { BACKOFF_FIRST = 16384, BACKOFF_MOST = 1 << 22, DEBT_ROWS = 1024 };
    costs each = costs_of(worker);
    double queries = (double)worker->group->count, pairs = (double)count * queries;
    worker->debt += (double)passed * each.refined + (double)looked * each.looked;
    worker->debt -= pairs * (each.plain - each.coded);
    if (worker->debt < 0) {
        worker->debt = 0;
        worker->backoff = worker->backoff / 2;
    }
    worker->backoff = VX_MAX(worker->backoff, (size_t)BACKOFF_FIRST);
    if (worker->debt < DEBT_ROWS * queries * each.plain) return;
    worker->debt = 0;
    worker->plain_rows = worker->backoff;
    worker->backoff = VX_MIN(2 * worker->backoff, (size_t)BACKOFF_MOST);
}

static void filter_codes(vx_worker *worker, const vx_span *rows) {
    vx_code_shape shape = vx_coder_shape(worker->group->space.coder, worker->group->space.metric);
    if (worker->group->code_panels)
        tile_codes(worker, rows);
    else
        scan_codes(worker, rows);
    worker->stats.bytes += (int64_t)vx_codes_bytes(&shape, rows->count);
}

void vx_cascade_span(vx_worker *worker, const vx_span *rows) {
    size_t passed = worker->passed;
    int64_t looked = worker->stats.vectors;
    filter_codes(worker, rows);
    worker->stats.coded += (int64_t)(rows->count * worker->group->count);
    guard(worker, rows->count, worker->passed - passed, (size_t)(worker->stats.vectors - looked));
}

void vx_cascade_sample(vx_worker *worker, const vx_span *rows) {
    /* Where guesses do not tell rows apart, more of them are no use. */
    size_t enough = worker->sampled / 8 + 8 * worker->k + 256;
    if (worker->passed > enough * worker->group->count) return;
    worker->sampled += rows->count;
    filter_codes(worker, rows);
    for (size_t q = 0; q < worker->group->count; q++) drain(worker, q, 0);
}

void vx_cascade_finish(vx_worker *worker) {
    for (size_t q = 0; q < worker->group->count; q++) {
        if (!worker->waiting[q]) continue;
        worker->pass = VX_PASS_CODES;
        vx_worker_update_limit(worker, q);
        drain(worker, q, 0);
    }
}
