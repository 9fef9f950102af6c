/* The operating points that an index keeps, and the parameters they are about. */
#ifndef VX_CORE_POINTS_H
#define VX_CORE_POINTS_H

#include <vindex/tune.h>

#include "index_impl.h"

/* One operating point; values are those of the index's knobs. */
struct vx_point {
    int64_t k, queries, vectors, changed;
    double recall, measured;
    int64_t values[VX_KNOBS_MOST];
};

/* The knobs of an index; answers how many. */
size_t vx_knobs_of(const vindex_index *index, vx_knob knobs[VX_KNOBS_MOST]);

/* Writes the knobs that a search asks for, or the point that gives its recall, into a request. */
vindex_status vx_points_apply(const vindex_index *index, const vindex_search_params *params,
                              vx_request *request);

/* Replaces the points for k by `count` new ones, whose recalls rise. Nothing changes on failure. */
vindex_status vx_points_set(vindex_index *index, int64_t k, const vx_point *points, size_t count);
void vx_points_drop(vindex_index *index);

/* Notes that so many vectors came or went. */
void vx_points_age(vindex_index *index, int64_t vectors);

/* Section "points" of an index file, absent while there are none: knob count u64 and the knobs'
 * names, 16 bytes each; then per point k, queries, vectors, changed u64, recall and measured f64,
 * and the knobs' values, u64. */
bool vx_points_saved(const vindex_index *index);
vindex_status vx_points_save(const vindex_index *index, vx_container_writer *writer);
vindex_status vx_points_load(vindex_index *index, const vx_container *file);

/* tune.c: what vindex_tune does once index, queries and call are checked. */
vindex_status vx_tune(vindex_index *index, const float *queries, size_t n,
                      const vindex_tune_params *params, const vindex_call *call);

#endif
