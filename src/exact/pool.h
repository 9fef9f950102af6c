/* Candidates of a batch of queries, settled late.
 *
 * A filter gives rows keys that are off by at most a known slack. A row whose key is more than
 * twice the slack above the k-th best cannot be among the k best; the others wait in a pool, and at
 * the end a handful per query is settled in double precision instead of every row that was ever
 * among the best so far. */
#ifndef VX_EXACT_POOL_H
#define VX_EXACT_POOL_H

#include "core/topk.h"

/* What the owner of the rows knows about them. `where` is a row in the owner's own terms. */
typedef struct vx_pool_rows {
    bool (*admit)(void *context, size_t query, uint64_t where); /* may be an answer at all */
    int64_t (*id)(void *context, uint64_t where);
    double (*settle)(void *context, size_t query, uint64_t where); /* the true key */
    void *context;
    /* The run that a row is in, and its place there; NULL where no codec asks. */
    const struct vx_block *(*find)(void *context, uint64_t where, size_t *at);
} vx_pool_rows;

/* One query. Filter keys are true keys less the offset, off by the slack at most. */
typedef struct vx_pool {
    double offset, slack;
    vx_hit *pending; /* key of the filter, and where */
    size_t count;
    vx_topk top; /* what was settled */
} vx_pool;

/* The hits of a range search, all queries mixed, in the order they were met. */
typedef struct vx_pool_found {
    size_t query;
    vx_hit hit;
} vx_pool_found;

typedef struct vx_pools {
    vx_pool_rows rows;
    size_t k; /* 0: a range search */
    double radius_key;
    /* Of codecs that settle a finer form: candidates per neighbour, 0: as many as the bounds ask
     * for; and how many rows there can be. The owner's to set. */
    size_t rerank, rows_most;
    size_t capacity; /* queries */
    vx_pool *each;
    float *limits; /* per query: filter keys above cannot matter */
    vx_pool_found *found;
    size_t found_count, found_capacity;
    size_t settled;
    vindex_status status; /* the first failure */
    void *memory;
} vx_pools;

/* Room for that many queries; k 0: a range search. */
size_t vx_pools_bytes(size_t capacity, size_t k);
VX_SHARED vindex_status vx_pools_create(vx_pools *pools, const vx_pool_rows *rows, size_t capacity,
                                        size_t k, double radius_key);
VX_SHARED void vx_pools_free(vx_pools *pools);

/* Starts a query over; the findings of a range search are the owner's to clear. */
VX_SHARED void vx_pool_open(vx_pools *pools, size_t query, double offset, double slack);

/* A row whose filter key is not above the query's limit; NaN: the filter cannot tell. */
VX_SHARED void vx_pool_push(vx_pools *pools, size_t query, float key, uint64_t where);

/* Makes the most of what waits: the limit that the k best of it give. */
VX_SHARED void vx_pool_tighten(vx_pools *pools, size_t query);

/* Settles what is left; then each[query].top holds the best, to be merged or finished. */
VX_SHARED void vx_pool_settle(vx_pools *pools, size_t query);

#endif
