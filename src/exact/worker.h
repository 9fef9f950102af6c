/* One thread's share of a search: what it has found so far, its limits, and its scratch memory. */
#ifndef VX_EXACT_WORKER_H
#define VX_EXACT_WORKER_H

#include <stdatomic.h>

#include "search.h"

/* The hits of a range search, all queries mixed, in the order they were met. */
typedef struct vx_found {
    size_t query;
    vx_hit hit;
} vx_found;

/* The best keys known of the k-th neighbour of each query of a group, by all threads. Only keys of
 * settled rows get here, so that none is ever below the final one: whatever is above one of them
 * is no answer, and no answer depends on who lowered it when. */
typedef _Atomic(double) vx_best;

/* A pair that its code did not rule out. */
typedef struct vx_candidate {
    size_t row;
    float key;   /* the most it can be, in the query's units */
    float known; /* see vx_code_hit */
} vx_candidate;

/* Rows of one block, one after the other. */
typedef struct vx_span {
    const vx_block *block;
    size_t at;         /* of the first row, in the block */
    size_t row, count; /* row: number of the first */
    const char *data;
    const float *aux;
} vx_span;

typedef struct vx_worker {
    const vx_search_job *job;
    const vx_group *group;
    size_t first_query; /* of the group, in the job */
    size_t k;           /* 0: a range search */
    double radius_key;
    vx_topk *tops; /* per query of the group; unused in a range search */
    vx_found *found;
    size_t found_count, found_capacity;
    vx_best *bests;   /* the group's; NULL in a range search */
    vx_pass pass;     /* how the rows at hand are filtered */
    double *keys;     /* per query: the key that its limits were made of */
    float *limits;    /* per query: filter keys above cannot matter; of codes, keys below */
    float *seconds;   /* per query: the same for the scan of a row that its code did not rule out */
    bool limited;     /* every query has a limit */
    bool approximate; /* the pass that only looks for bests */
    vx_candidate *candidates; /* room per query */
    size_t *waiting;          /* candidates of each query */
    size_t room;
    size_t passed, sampled; /* candidates, and rows of a sample, since the worker began */
    size_t plain_rows;      /* to come that are filtered without codes */
    size_t backoff;         /* rows that the next fall back to the plain filter lasts */
    double debt;            /* nanoseconds that the codes cost lately beyond what they saved */
    vindex_search_stats stats;
    vx_code_hit *pairs;    /* VX_CASCADE_PAIRS: of queries of the group and rows at hand */
    unsigned char *opened; /* a tile's rows of codes */
    float *packed;         /* a tile of rows, slice by slice */
    float *sums; /* sums of earlier slices: per panel tile_queries x tile_rows; few dims: unused */
    float largest_aux;
    vindex_status status; /* the first failure, answered by the search */
    void *memory;
} vx_worker;

vindex_status vx_worker_create(const vx_search_job *job, const vx_group *group, size_t k,
                               double radius_key, vx_worker *worker);
void vx_worker_free(vx_worker *worker);

/* Starts over for the group's queries, the first of which is the job's first_query. */
void vx_worker_begin(vx_worker *worker, size_t first_query, vx_best *bests);

/* Makes an end of what waits. */
void vx_worker_finish(vx_worker *worker);

/* Searches rows first ... first+count-1 of a block, whose first row has the number block_first. */
void vx_worker_span(vx_worker *worker, const vx_block *block, size_t block_first, size_t first,
                    size_t count);

/* Looks among the same rows for neighbours as near as possible, by what codes say without any
 * certainty, and settles them: a first k-th best for each query. What is found is to be thrown
 * away but for the keys. */
void vx_worker_sample(vx_worker *worker, const vx_block *block, size_t block_first, size_t first,
                      size_t count);

/* Asks for the memory of the codes from a row on, which will be wanted soon. */
void vx_worker_expect(const vx_worker *worker, const vx_block *block, size_t first);

/* Rows that one call of vx_worker_span should get: enough to be worth a visit, few enough to share.
 */
size_t vx_worker_span_rows(const vx_space *space);

/* Rows start ... start+count-1 of a span. */
vx_span vx_span_part(const vx_span *rows, const vx_space *space, size_t start, size_t count);

/* For cascade.c, which filters by codes, and of it: so many rows at a time at most, and room for
 * all pairs of two panels of queries with a tile's rows. */
enum { VX_CASCADE_ROWS = 256, VX_CASCADE_PAIRS = 2 * VX_CODE_TILE_QUERIES * VX_CODE_TILE_ROWS };
double vx_worker_limit(const vx_worker *worker, size_t q);
void vx_worker_update_limit(vx_worker *worker, size_t q);
void vx_worker_tighten(vx_worker *worker, size_t q);
void vx_worker_settle(vx_worker *worker, size_t q, size_t row, const void *data);
void vx_cascade_span(vx_worker *worker, const vx_span *rows);
void vx_cascade_sample(vx_worker *worker, const vx_span *rows);
void vx_cascade_finish(vx_worker *worker);

#endif
