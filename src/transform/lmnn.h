/* Large margin nearest neighbours: the objective, for its method and for tests. */
#ifndef VX_TRANSFORM_LMNN_H
#define VX_TRANSFORM_LMNN_H

#include "metric.h"

typedef struct vx_lmnn {
    vx_metric *metric;
    size_t k;        /* target neighbours, at most */
    double mu;       /* the share of the loss that pushes */
    size_t *targets; /* n x k: the nearest rows of the same class; n: there are no more */
    double *room;    /* for the distances and pulls of each part's rows */
    double *lengths; /* n: |x| */
    double longest;  /* of them */

    /* Candidates: rows of other classes that are impostors, or were near enough under the map the
     * list was made for. */
    size_t *starts; /* n + 1: where each row's begin */
    size_t *candidates;
    size_t capacity, lists; /* lists: how often it was made */
    double *listed;         /* that map */
    double *reach;          /* n: rows from this distance on were left out; INFINITY: none count */
} vx_lmnn;

/* Finds target neighbours among the rows as they are. */
vindex_status vx_lmnn_create(vx_metric *metric, size_t k, double mu, vx_lmnn *lmnn);
void vx_lmnn_free(vx_lmnn *lmnn);

/* The mean over rows i of (1 - mu) sum_j |z_i - z_j|^2 + mu sum_j sum_l max(0, 1 + |z_i - z_j|^2 -
 * |z_i - z_l|^2), j over targets and l over all rows of other classes, and its slope by the map. */
vindex_status vx_lmnn_at(void *lmnn, const double *map, double *value, double *slope);

#endif
