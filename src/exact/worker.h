/* One thread's share of a search: what it has found so far, its limits, and its scratch memory. */
#ifndef VX_EXACT_WORKER_H
#define VX_EXACT_WORKER_H

#include "search.h"

/* The hits of a range search, all queries mixed, in the order they were met. */
typedef struct vx_found {
    size_t query;
    vx_hit hit;
} vx_found;

typedef struct vx_worker {
    const vx_search_job *job;
    const vx_group *group;
    size_t first_query; /* of the group, in the job */
    size_t k;           /* 0: a range search */
    double radius_key;
    vx_topk *tops; /* per query of the group; unused in a range search */
    vx_found *found;
    size_t found_count, found_capacity;
    vx_pass pass;   /* how the rows at hand are filtered */
    float *limits;  /* per query: filter keys above cannot matter */
    float *seconds; /* per query: the same for the scan of a row that its code did not rule out */
    size_t plain_rows;          /* to come that are filtered without codes */
    size_t backoff;             /* rows that the next fall back to the plain filter lasts */
    double debt;                /* what the codes cost lately beyond what they saved, in pairs */
    struct vx_pending *pending; /* survivors of the codes on their way into the cache */
    size_t pending_count;
    vindex_search_stats stats;
    float *packed; /* a tile of rows, slice by slice */
    float *sums; /* sums of earlier slices: per panel tile_queries x tile_rows; few dims: unused */
    float largest_aux;
    vindex_status status; /* the first failure, answered by the search */
    void *memory;
} vx_worker;

vindex_status vx_worker_create(const vx_search_job *job, const vx_group *group, size_t k,
                               double radius_key, vx_worker *worker);
void vx_worker_free(vx_worker *worker);

/* Starts over for the group's queries, the first of which is the job's first_query. */
void vx_worker_begin(vx_worker *worker, size_t first_query);

/* Searches rows first ... first+count-1 of a block, whose first row has the number block_first. */
void vx_worker_span(vx_worker *worker, const vx_block *block, size_t block_first, size_t first,
                    size_t count);

/* Rows that one call of vx_worker_span should get: enough to be worth a visit, few enough to share.
 */
size_t vx_worker_span_rows(const vx_space *space);

#endif
