#include "pool.h"

#include <math.h>

#include "bound.h"

/* Candidates that wait: the k best, and as many again before the next cut. */
static size_t pending_capacity(size_t k) {
    return 2 * k + 14;
}

static void *take(char **memory, size_t bytes) {
    void *taken = *memory;
    *memory += (bytes + 63) / 64 * 64;
    return taken;
}

/* Hits of a query. */
static size_t hits_each(size_t k) {
    return k ? pending_capacity(k) + vx_topk_capacity(k) : 0;
}

size_t vx_pools_bytes(size_t capacity, size_t k) {
    return capacity * (hits_each(k) * sizeof(vx_hit) + sizeof(vx_pool) + sizeof(float)) + 3 * 64;
}

vindex_status vx_pools_create(vx_pools *pools, const vx_pool_rows *rows, size_t capacity, size_t k,
                              double radius_key) {
    size_t hits = hits_each(k), each, bytes;
    *pools = (vx_pools){.rows = *rows, .k = k, .radius_key = radius_key, .capacity = capacity};
    if (vx_mul(hits, sizeof(vx_hit), &each) &&
        vx_mul(capacity, each + sizeof(vx_pool) + sizeof(float), &bytes) &&
        vx_add(bytes, (size_t)3 * 64, &bytes))
        pools->memory = vx_alloc(bytes, 1);
    if (!pools->memory)
        return vx_fail_memory(capacity, hits * sizeof(vx_hit), "search: room for k neighbours");
    char *memory = pools->memory;
    pools->each = take(&memory, capacity * sizeof *pools->each);
    pools->limits = take(&memory, capacity * sizeof *pools->limits);
    vx_hit *room = take(&memory, capacity * each);
    for (size_t q = 0; q < capacity; q++) {
        pools->each[q] = (vx_pool){.pending = room + q * hits};
        if (k) vx_topk_init(&pools->each[q].top, k, room + q * hits + pending_capacity(k));
    }
    return VINDEX_OK;
}

void vx_pools_free(vx_pools *pools) {
    vx_free(pools->found);
    vx_free(pools->memory);
    *pools = (vx_pools){0};
}

void vx_pool_open(vx_pools *pools, size_t query, double offset, double slack) {
    vx_pool *pool = &pools->each[query];
    pool->offset = offset;
    pool->slack = slack;
    pool->count = 0;
    if (pools->k) vx_topk_init(&pool->top, pools->k, pool->top.hits);
    pools->limits[query] = pools->k ? INFINITY : vx_round_up(pools->radius_key - offset + slack);
}

static void keep_found(vx_pools *pools, size_t query, vx_hit hit) {
    if (!(hit.key <= pools->radius_key)) return;
    void *found = pools->found;
    if (!vx_grow(&found, &pools->found_capacity, pools->found_count + 1, sizeof *pools->found)) {
        pools->status = VINDEX_ERR_MEMORY;
        return;
    }
    pools->found = found;
    pools->found[pools->found_count++] = (vx_pool_found){query, hit};
}

/* Computes the true key of an admitted row and keeps it where it is good enough. */
static void settle(vx_pools *pools, size_t query, uint64_t where) {
    vx_pool *pool = &pools->each[query];
    double key = pools->rows.settle(pools->rows.context, query, where);
    vx_hit hit = {isnan(key) ? INFINITY : key, pools->rows.id(pools->rows.context, where)};
    pools->settled++;
    if (!pools->k) {
        keep_found(pools, query, hit);
        return;
    }
    vx_topk_push(&pool->top, hit);
    float limit = vx_round_up(pool->top.worst.key - pool->offset + pool->slack);
    if (limit < pools->limits[query]) pools->limits[query] = limit;
}

/* Drops what the k best of those that wait rule out. */
static void tighten(vx_pools *pools, size_t query) {
    vx_pool *pool = &pools->each[query];
    size_t k = pools->k, kept = k;
    vx_hits_select(pool->pending, pool->count, k);
    double worst = pool->pending[0].key;
    for (size_t i = 1; i < k; i++) worst = fmax(worst, pool->pending[i].key);
    float limit = vx_round_up(worst + 2 * pool->slack);
    if (limit < pools->limits[query]) pools->limits[query] = limit;
    for (size_t i = k; i < pool->count; i++)
        if (!(pool->pending[i].key > (double)pools->limits[query]))
            pool->pending[kept++] = pool->pending[i];
    pool->count = kept;
}

void vx_pool_push(vx_pools *pools, size_t query, float key, uint64_t where) {
    vx_pool *pool = &pools->each[query];
    size_t k = pools->k, most = pending_capacity(k);
    if (!pools->rows.admit(pools->rows.context, query, where)) return;
    if (!k || isnan(key)) {
        settle(pools, query, where);
        return;
    }
    pool->pending[pool->count++] = (vx_hit){(double)key, (int64_t)where};
    if (pool->count < most) return;
    tighten(pools, query);
    if (pool->count > k + (most - k) / 2) vx_pool_settle(pools, query); /* too many ties to wait */
}

void vx_pool_tighten(vx_pools *pools, size_t query) {
    if (pools->k && pools->each[query].count >= pools->k) tighten(pools, query);
}

void vx_pool_settle(vx_pools *pools, size_t query) {
    vx_pool *pool = &pools->each[query];
    if (pool->count > pools->k) tighten(pools, query);
    size_t count = pool->count;
    pool->count = 0;
    for (size_t i = 0; i < count; i++)
        if (!(pool->pending[i].key > (double)pools->limits[query]))
            settle(pools, query, (uint64_t)pool->pending[i].id);
}
