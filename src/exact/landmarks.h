/* Candidates counted before landmarks: the part of ranking that looks at filter keys. */
#ifndef VX_EXACT_LANDMARKS_H
#define VX_EXACT_LANDMARKS_H

#include "group.h"
#include "rank.h"

/* The most keys that are counted at a time. */
enum { VX_RANK_RUN = 384 };

/* A relevant candidate and its true key. Those of a query are sorted by key and row. */
typedef struct vx_landmark {
    double key;
    int64_t row;
} vx_landmark;

typedef struct vx_ranking {
    const vx_rank_task *task;
    vx_group group;
    size_t first_query; /* of the group */
    float *aux;         /* per candidate */
    float largest_aux;
    double *norms;      /* per query, of those that were in the group */
    vx_landmark *marks; /* per entry, of those too */
    float *low, *high;  /* likewise, the filter keys that bracket it: sorted as the marks are */
    int threads;
} vx_ranking;

/* What is counted, entry e at e - base. Where a query's candidates look for their place, before
 * counts those right before a landmark and not before the one in front, and tied, at the first of
 * some landmarks of one key, all candidates of that key; see vx_landmarks_sum. */
typedef struct vx_tally {
    int64_t *before, *tied;
    size_t base;
} vx_tally;

static inline const float *vx_ranking_candidate(const vx_ranking *r, size_t row) {
    return r->task->candidates + row * r->task->dim;
}

/* Finds the landmarks of the group's queries and sorts them. */
void vx_landmarks_place(vx_ranking *r);

/* Counts candidates first ... first+count-1, at most VX_RANK_RUN, before the landmarks of a query,
 * by their filter keys. Either the query is in the group, or all of the candidates are its queries,
 * see vx_rank_task. A key of the query itself is overwritten. */
void vx_landmarks_count(const vx_ranking *r, const vx_tally *tally, size_t query, float *keys,
                        size_t first, size_t count);

/* Once all candidates are counted: makes ranks of the places that a query's candidates took. */
void vx_landmarks_sum(const vx_ranking *r, size_t query);

#endif
