#include "worker.h"

#include <math.h>

#include "bound.h"
#include "codes.h"

enum { SCAN_ROWS = 256, SPAN_BYTES = 2 << 20, SPAN_ROWS_LEAST = 64, SPAN_ROWS_MOST = 8192 };

enum {
    ROOM_ALL = 1 << 18, /* candidates, of all queries together */
    ROOM_LEAST = 256,
    ROOM_MOST = 512
};

size_t vx_worker_span_rows(const vx_space *space) {
    size_t rows = SPAN_BYTES / vx_space_stride(space) / VX_TILE_ROWS * VX_TILE_ROWS;
    return VX_MIN(VX_MAX(rows, (size_t)SPAN_ROWS_LEAST), (size_t)SPAN_ROWS_MOST);
}

static void *take(char **memory, size_t bytes) {
    void *taken = *memory;
    *memory += (bytes + 63) / 64 * 64;
    return taken;
}

vindex_status vx_worker_create(const vx_search_job *job, const vx_group *group, size_t k,
                               double radius_key, vx_worker *worker) {
    size_t width = group->kernels->tile_queries, dim = job->space.dim;
    size_t queries = (group->capacity + VX_TILE_QUERIES) / width * width + VX_TILE_QUERIES;
    size_t hits_each = k ? vx_topk_capacity(k) * sizeof(vx_hit) : 0, hits;
    size_t packed = VX_MIN(dim, (size_t)VX_SLICE) * VX_TILE_ROWS * sizeof(float);
    size_t sums = dim > VX_SLICE ? queries * VX_TILE_ROWS * sizeof(float) : 0, bytes;
    bool coded = job->space.coder && !job->weights;
    size_t room = ROOM_ALL / queries;
    room = coded ? VX_MIN(VX_MAX(room, (size_t)ROOM_LEAST), (size_t)ROOM_MOST) : 0;
    size_t pairs = coded ? VX_CASCADE_PAIRS * sizeof(vx_code_hit) : 0, opened = 0;
    if (coded) {
        vx_code_shape shape = vx_coder_shape(job->space.coder, job->space.metric);
        opened = group->kernels->code_tile_rows / VX_CODE_ROWS * vx_code_open_bytes(&shape);
    }
    size_t candidates = group->capacity * (room * sizeof(vx_candidate) + sizeof(size_t));
    if (!vx_mul(hits_each, group->capacity, &hits) ||
        !vx_add(hits,
                queries * (sizeof(vx_topk) + sizeof(double) + 2 * sizeof(float)) + packed + sums +
                    candidates + pairs + opened + 11 * 64,
                &bytes))
        return vx_fail_memory(hits_each, group->capacity, "search: room for k neighbours");
    char *memory = vx_alloc(bytes, 1);
    if (!memory) return vx_fail_memory(bytes, 1, "search: room for k neighbours");
    *worker = (vx_worker){.job = job,
                          .group = group,
                          .k = k,
                          .radius_key = radius_key,
                          .room = room,
                          .memory = memory};
    worker->tops = take(&memory, queries * sizeof(vx_topk));
    worker->keys = take(&memory, queries * sizeof(double));
    worker->limits = take(&memory, queries * sizeof(float));
    worker->seconds = take(&memory, queries * sizeof(float));
    worker->packed = take(&memory, packed);
    worker->sums = take(&memory, sums);
    worker->pairs = take(&memory, pairs);
    worker->opened = take(&memory, opened);
    worker->candidates = take(&memory, group->capacity * room * sizeof(vx_candidate));
    worker->waiting = take(&memory, group->capacity * sizeof(size_t));
    vx_hit *each = take(&memory, hits);
    for (size_t q = 0; k && q < group->capacity; q++)
        vx_topk_init(&worker->tops[q], k, each + q * vx_topk_capacity(k));
    return VINDEX_OK;
}

void vx_worker_free(vx_worker *worker) {
    vx_free(worker->found);
    vx_free(worker->memory);
    *worker = (vx_worker){0};
}

void vx_worker_begin(vx_worker *worker, size_t first_query, vx_best *bests) {
    worker->first_query = first_query;
    worker->bests = bests;
    worker->found_count = 0;
    worker->largest_aux = 0;
    worker->plain_rows = 0;
    worker->backoff = 0;
    worker->debt = 0;
    worker->passed = worker->sampled = 0;
    worker->limited = !worker->k;
    for (size_t q = 0; q < worker->group->count; q++) worker->keys[q] = (double)NAN;
    memset(worker->waiting, 0, worker->group->count * sizeof *worker->waiting);
    for (size_t q = 0; worker->k && q < worker->group->count; q++)
        vx_topk_init(&worker->tops[q], worker->k, worker->tops[q].hits);
}

/* No row with a key above it matters. */
double vx_worker_limit(const vx_worker *worker, size_t q) {
    if (!worker->k) return worker->radius_key;
    double best = atomic_load_explicit(&worker->bests[q], memory_order_relaxed);
    return fmin(best, worker->tops[q].worst.key);
}

/* Tells the other threads of a k-th best key. */
static void publish(vx_worker *worker, size_t q) {
    double key = worker->tops[q].worst.key;
    double best = atomic_load_explicit(&worker->bests[q], memory_order_relaxed);
    while (key < best &&
           !atomic_compare_exchange_weak_explicit(&worker->bests[q], &best, key,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

void vx_worker_update_limit(vx_worker *worker, size_t q) {
    double key = vx_worker_limit(worker, q);
    float low;
    worker->keys[q] = key;
    if (worker->pass == VX_PASS_CODES)
        worker->limits[q] = vx_group_code_limit(worker->group, q, key);
    vx_pass by_vectors = worker->pass == VX_PASS_CODES ? VX_PASS_SCAN : worker->pass;
    float *high = worker->pass == VX_PASS_CODES ? worker->seconds : worker->limits;
    vx_group_limits(worker->group, by_vectors, q, key, worker->largest_aux, &low, &high[q]);
}

/* Makes the most of what was settled: a top k tells of its worst when it is cut. */
void vx_worker_tighten(vx_worker *worker, size_t q) {
    if (!worker->k || worker->tops[q].count < worker->k) return;
    double before = worker->tops[q].worst.key;
    vx_topk_cut(&worker->tops[q]);
    if (worker->tops[q].worst.key == before) return;
    publish(worker, q);
    vx_worker_update_limit(worker, q);
}

/* For the rows to come, which are filtered by that pass. Behind the last query nothing passes. Of
 * those that are scanned, only the inner product's limits depend on the largest norm. */
static void update_limits(vx_worker *worker, vx_pass pass, const float *aux, size_t count) {
    vindex_metric metric = worker->group->space.metric;
    bool wanted = metric == VINDEX_INNER_PRODUCT || (metric == VINDEX_L2 && pass == VX_PASS_TILE);
    float largest = wanted ? vx_aux_largest(aux, count) : 0;
    bool same = worker->pass == pass && worker->largest_aux == largest;
    worker->largest_aux = largest;
    worker->pass = pass;
    for (size_t q = 0; q < worker->group->count; q++)
        if (!same || worker->keys[q] != vx_worker_limit(worker, q))
            vx_worker_update_limit(worker, q);
    for (size_t q = worker->group->count; q < worker->group->count + VX_TILE_QUERIES; q++)
        worker->limits[q] = pass == VX_PASS_CODES ? INFINITY : -INFINITY;
}

static void keep(vx_worker *worker, size_t q, vx_hit hit) {
    if (worker->k) {
        double before = worker->tops[q].worst.key;
        vx_topk_push(&worker->tops[q], hit);
        if (worker->tops[q].worst.key == before) return;
        publish(worker, q);
        vx_worker_update_limit(worker, q);
        return;
    }
    if (!(hit.key <= worker->radius_key)) return;
    void *found = worker->found;
    if (!vx_grow(&found, &worker->found_capacity, worker->found_count + 1, sizeof(vx_found))) {
        worker->status = VINDEX_ERR_MEMORY;
        return;
    }
    worker->found = found;
    worker->found[worker->found_count++] = (vx_found){q, hit};
}

/* Admits one row that the filter could not rule out, and settles it. */
void vx_worker_settle(vx_worker *worker, size_t q, size_t row, const void *data) {
    const vx_search_job *job = worker->job;
    if (job->ids && !vx_ids_alive(job->ids, row)) return;
    int64_t id = job->ids ? vx_ids_of(job->ids, row) : (int64_t)row;
    if (job->self && job->self[worker->first_query + q] == id) return;
    if (job->filter && !vx_filter_allows(job->filter, id)) return;
    worker->stats.settled++;
    double key = vx_group_settle(worker->group, q, data);
    keep(worker, q, (vx_hit){isnan(key) ? INFINITY : key, id});
}

/* A few queries: each scans a stretch of rows while it is in the cache. */
static void scan_span(vx_worker *worker, const vx_span *rows) {
    const vx_group *group = worker->group;
    const vx_space *space = &group->space;
    const vx_kernels *kernels = group->kernels;
    size_t stride = vx_space_stride(space);
    bool similarity = space->metric == VINDEX_COSINE || space->metric == VINDEX_PEARSON;
    for (size_t start = 0; start < rows->count; start += SCAN_ROWS) {
        size_t count = VX_MIN(rows->count - start, (size_t)SCAN_ROWS);
        const char *data = rows->data + start * stride;
        for (size_t q = 0; q < group->count; q++) {
            float keys[SCAN_ROWS];
            uint32_t positions[SCAN_ROWS];
            const float *query = group->single + q * group->padded;
            if (space->metric == VINDEX_L2)
                kernels->scan_l2[space->dtype](query, data, stride, count, space->dim, keys);
            else
                kernels->scan_ip[space->dtype](query, data, stride, count, space->dim, keys);
            size_t found = kernels->select(keys, similarity ? rows->aux + start : NULL, count,
                                           worker->limits[q], positions);
            for (size_t i = 0; i < found; i++)
                vx_worker_settle(worker, q, rows->row + start + positions[i],
                                 data + positions[i] * stride);
        }
    }
}

/* Settles the rows that tile_select left of a panel of queries. */
static void settle_masks(vx_worker *worker, size_t panel, const uint32_t *masks,
                         const vx_span *rows) {
    const vx_group *group = worker->group;
    size_t width = group->kernels->tile_queries, stride = vx_space_stride(&group->space);
    uint32_t inside = (uint32_t)((1ull << rows->count) - 1);
    for (size_t i = 0; i < VX_MIN(width, group->count - panel * width); i++)
        for (uint32_t mask = masks[i] & inside; mask; mask &= mask - 1) {
            size_t r = (size_t)__builtin_ctz(mask);
            vx_worker_settle(worker, panel * width + i, rows->row + r, rows->data + r * stride);
        }
}

/* Many queries: one tile of rows against all of them. `next` is what will be read after it. */
static void tile_rows(vx_worker *worker, const vx_span *rows, const char *next) {
    const vx_group *group = worker->group;
    const vx_kernels *kernels = group->kernels;
    size_t width = kernels->tile_queries, height = kernels->tile_rows, dim = group->space.dim;
    size_t stride = vx_space_stride(&group->space);
    size_t ahead = height * stride / group->panels + 1; /* bytes to prefetch per panel */
    float aux[VX_TILE_ROWS] = {0};
    memcpy(aux, rows->aux, rows->count * sizeof *aux);
    const float *scale = vx_group_scale(group, aux), *bias = vx_group_bias(group, aux);
    for (size_t first = 0; first < dim; first += VX_SLICE) {
        size_t depth = VX_MIN(dim - first, (size_t)VX_SLICE);
        bool last = first + depth == dim;
        kernels->pack[group->space.dtype](rows->data, stride, rows->count, first, depth, height,
                                          worker->packed);
        for (size_t p = 0; p < group->panels; p++) {
            float *sums = worker->sums + p * width * height;
            uint32_t masks[VX_TILE_QUERIES];
            vx_tile tile = {.rows = worker->packed,
                            .queries = vx_group_panel(group, p, first, depth),
                            .depth = depth,
                            .sums = first ? sums : NULL,
                            .stride = height};
            if (!last) {
                kernels->tile_sums(&tile, sums);
                continue;
            }
            for (size_t byte = 0; next && byte < ahead; byte += 64)
                __builtin_prefetch(next + p * ahead + byte, 0, 2);
            if (kernels->tile_select(&tile, scale, bias, worker->limits + p * width, masks))
                settle_masks(worker, p, masks, rows);
        }
    }
}

static void tile_span(vx_worker *worker, const vx_span *rows) {
    size_t height = worker->group->kernels->tile_rows;
    size_t stride = vx_space_stride(&worker->group->space);
    for (size_t start = 0; start < rows->count; start += height) {
        vx_span tile = {.data = rows->data + start * stride,
                        .aux = rows->aux + start,
                        .row = rows->row + start,
                        .count = VX_MIN(rows->count - start, height)};
        bool more = start + 2 * height <= rows->count;
        tile_rows(worker, &tile, more ? tile.data + height * stride : NULL);
    }
}

/* With weights nothing is filtered: the stored norms do not hold in the subspace. */
static void settle_span(vx_worker *worker, const vx_span *rows) {
    size_t stride = vx_space_stride(&worker->group->space);
    for (size_t i = 0; i < rows->count; i++)
        for (size_t q = 0; q < worker->group->count; q++)
            vx_worker_settle(worker, q, rows->row + i, rows->data + i * stride);
}

static void plain_span(vx_worker *worker, const vx_span *rows) {
    const vx_group *group = worker->group;
    worker->stats.plain += (int64_t)(rows->count * group->count);
    worker->stats.bytes += (int64_t)(rows->count * vx_space_stride(&group->space));
    worker->plain_rows -= VX_MIN(rows->count, worker->plain_rows);
    if (group->weights)
        settle_span(worker, rows);
    else if (worker->pass == VX_PASS_TILE)
        tile_span(worker, rows);
    else
        scan_span(worker, rows);
}

/* Codes rule out nothing before there are k rows to compare with. */
static bool has_limits(vx_worker *worker) {
    for (size_t q = 0; q < worker->group->count && !worker->limited; q++)
        if (vx_worker_limit(worker, q) == INFINITY) return false;
    worker->limited = true;
    return true;
}

vx_span vx_span_part(const vx_span *rows, const vx_space *space, size_t start, size_t count) {
    return (vx_span){.block = rows->block,
                     .at = rows->at + start,
                     .row = rows->row + start,
                     .count = count,
                     .data = rows->data + start * vx_space_stride(space),
                     .aux = rows->aux + start};
}

/* Filters a span by codes where they pay, and without where not, piece by piece. */
static void search_pieces(vx_worker *worker, const vx_span *rows) {
    enum { PIECE_ROWS = VX_CASCADE_ROWS };
    const vx_group *group = worker->group;
    vx_pass plain = group->panels ? VX_PASS_TILE : VX_PASS_SCAN;
    for (size_t start = 0; start < rows->count;) {
        bool codes = group->coded && !worker->plain_rows && has_limits(worker);
        size_t left = rows->count - start;
        size_t most = codes ? PIECE_ROWS : worker->plain_rows ? worker->plain_rows : left;
        if (group->coded && !codes && !worker->plain_rows) most = PIECE_ROWS;
        most = (most + VX_TILE_ROWS - 1) / VX_TILE_ROWS * VX_TILE_ROWS;
        vx_span part = vx_span_part(rows, &group->space, start, VX_MIN(left, most));
        if (start == 0 || worker->pass != (codes ? VX_PASS_CODES : plain))
            update_limits(worker, codes ? VX_PASS_CODES : plain, part.aux, left);
        if (codes)
            vx_cascade_span(worker, &part);
        else
            plain_span(worker, &part);
        start += part.count;
    }
}

static vx_span span_of(const vx_worker *worker, const vx_block *block, size_t block_first,
                       size_t first, size_t count) {
    vx_span all = {.block = block, .row = block_first, .data = block->data, .aux = block->aux};
    return vx_span_part(&all, &worker->group->space, first, count);
}

void vx_worker_span(vx_worker *worker, const vx_block *block, size_t block_first, size_t first,
                    size_t count) {
    vx_span rows = span_of(worker, block, block_first, first, count);
    search_pieces(worker, &rows);
}

void vx_worker_sample(vx_worker *worker, const vx_block *block, size_t block_first, size_t first,
                      size_t count) {
    vx_span rows = span_of(worker, block, block_first, first, count);
    worker->approximate = true;
    update_limits(worker, VX_PASS_CODES, rows.aux, rows.count);
    vx_cascade_sample(worker, &rows);
    worker->approximate = false;
}

void vx_worker_expect(const vx_worker *worker, const vx_block *block, size_t first) {
    enum { MOST = 16384 };
    const vx_space *space = &worker->group->space;
    vx_codes codes = vx_codes_at(space, block->codes, first, SCAN_ROWS);
    size_t bytes = VX_MIN(block->count - first, (size_t)SCAN_ROWS) / VX_CODE_ROWS *
                   vx_code_group_bytes(&codes.shape);
    for (size_t byte = 0; byte < VX_MIN(bytes, (size_t)MOST); byte += VX_CODE_LINE)
        __builtin_prefetch(codes.groups + byte, 0, 2);
}

void vx_worker_finish(vx_worker *worker) {
    if (worker->group->coded) vx_cascade_finish(worker);
}
