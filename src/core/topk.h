/* The k best of a stream: an unsorted buffer of up to 2k that is cut back to k when full, so that a
 * push costs O(1) on average even at k = 1,000. Smaller keys are better, ties go to the smaller id.
 */
#ifndef VX_CORE_TOPK_H
#define VX_CORE_TOPK_H

#include "base.h"

typedef struct vx_hit {
    double key;
    int64_t id;
} vx_hit;

typedef struct vx_topk {
    vx_hit *hits; /* capacity entries, the owner's */
    size_t k, capacity, count;
    vx_hit worst; /* the k-th best at the last cut; only a hit before it can enter */
} vx_topk;

/* The order of every answer vindex gives. */
static inline bool vx_hit_before(vx_hit a, vx_hit b) {
    return a.key < b.key || (a.key == b.key && a.id < b.id);
}

/* Entries that vx_topk_init needs for k. */
VX_SHARED size_t vx_topk_capacity(size_t k);

/* Starts empty over the caller's memory. */
VX_SHARED void vx_topk_init(vx_topk *top, size_t k, vx_hit *memory);

/* Cuts back to the k best and tightens worst. */
VX_SHARED void vx_topk_cut(vx_topk *top);

static inline void vx_topk_push(vx_topk *top, vx_hit hit) {
    if (!vx_hit_before(hit, top->worst)) return;
    top->hits[top->count++] = hit;
    if (top->count == top->capacity) vx_topk_cut(top);
}

/* Sorts the best k, best first; answers how many there are. */
VX_SHARED size_t vx_topk_finish(vx_topk *top);

/* Brings the k best of count hits to the front, in any order; 1 <= k <= count. */
VX_SHARED void vx_hits_select(vx_hit *hits, size_t count, size_t k);

/* Receives the hits of one query, best first; called once per query, from any thread. */
typedef void (*vx_answer_fn)(void *context, size_t query, const vx_hit *hits, size_t count);

/* Sorts hits, best first. */
VX_SHARED void vx_hits_sort(vx_hit *hits, size_t count);

#endif
