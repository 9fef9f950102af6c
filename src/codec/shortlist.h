/* Rows that a coarse code could not rule out, and that wait to be looked at in a finer form.
 *
 * By bound: a row waits with the least that its key can be. The k best are looked at when there are
 * too many, and what the limit they give rules out goes; at the end rows are looked at from the
 * best on, until the rest is ruled out. So the answer is that of looking at all rows, and few are
 * read that need not be.
 *
 * By factor (pools->rerank): a row waits with an estimate of its key, and rerank x k of them are
 * looked at, at the end. */
#ifndef VX_CODEC_SHORTLIST_H
#define VX_CODEC_SHORTLIST_H

#include "exact/pool.h"

/* Looks at rows, best first: pushes their keys to the pools, for as long as they are not above the
 * limit. */
typedef void (*vx_look_fn)(void *context, size_t query, const vx_hit *rows, size_t count,
                           vx_pools *pools);

typedef struct vx_shortlist {
    vx_look_fn look;
    void *context;
    size_t capacity;  /* queries */
    size_t k, wanted; /* wanted: rows that are looked at, by factor; 0: by bound */
    size_t room;      /* per query */
    vx_hit *waiting;  /* capacity x room: key, and where */
    size_t *counts;
    float *limits; /* by factor: the key of the worst row that is wanted */
    void *memory;
    size_t allocated; /* of it */
} vx_shortlist;

void vx_shortlist_init(vx_shortlist *list, size_t capacity, vx_look_fn look, void *context);
void vx_shortlist_free(vx_shortlist *list);

/* Starts over for the queries of those pools, which are open. */
vindex_status vx_shortlist_begin(vx_shortlist *list, const vx_pools *pools, size_t count);

/* Whether keys are estimates, and the key above which rows do not matter. */
static inline bool vx_shortlist_estimates(const vx_shortlist *list) {
    return list->wanted != 0;
}
static inline float vx_shortlist_limit(const vx_shortlist *list, const vx_pools *pools,
                                       size_t query) {
    return list->wanted ? list->limits[query] : pools->limits[query];
}

/* A row, and the least its key can be (NaN: anything), or an estimate. */
void vx_shortlist_push(vx_shortlist *list, size_t query, float key, uint64_t where,
                       vx_pools *pools);

/* After the last row. */
void vx_shortlist_finish(vx_shortlist *list, size_t query, vx_pools *pools);

#endif
