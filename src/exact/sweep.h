/* The plain filter over any queries of a group and any run of rows: a few queries scan the rows,
 * more of them form tiles. What passes goes to the queries' pools. One thread's. */
#ifndef VX_EXACT_SWEEP_H
#define VX_EXACT_SWEEP_H

#include "group.h"
#include "pool.h"

typedef struct vx_sweep {
    const vx_group *group;
    float *forms;            /* the queries in tile form, capacity x padded */
    const uint32_t *queries; /* at hand */
    size_t count;
    /* Scratch: queries side by side in panels, a tile of rows, sums of earlier slices, and what a
     * tile hands out. */
    float *panels, *packed, *sums, *keys;
    float *limits;
    void *memory;
} vx_sweep;

/* Scratch for a group of any number of queries up to its capacity. */
size_t vx_sweep_bytes(const vx_group *group);
VX_SHARED vindex_status vx_sweep_create(const vx_group *group, vx_sweep *sweep);
VX_SHARED void vx_sweep_free(vx_sweep *sweep);

/* Takes over the queries that were loaded into the group and opens their pools. largest_aux as for
 * vx_group_limits, of all rows to come. */
VX_SHARED void vx_sweep_begin(vx_sweep *sweep, float largest_aux, vx_pools *pools);

/* The queries that the rows to come are for, by their numbers in the group; the list stays the
 * caller's and must last. */
VX_SHARED void vx_sweep_queries(vx_sweep *sweep, const uint32_t *queries, size_t count);

/* Filters a run of rows; row i is `where` + i to the pools. */
VX_SHARED void vx_sweep_rows(vx_sweep *sweep, const vx_block *rows, uint64_t where,
                             vx_pools *pools);

#endif
