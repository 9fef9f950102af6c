/* Large margin nearest neighbours: the objective, for its method and for tests. */
#ifndef VX_TRANSFORM_LMNN_H
#define VX_TRANSFORM_LMNN_H

#include "metric.h"

typedef struct vx_lmnn {
    vx_metric *metric;
    size_t k;           /* target neighbours, at most */
    double mu;          /* the share of the loss that pushes */
    size_t *targets;    /* n x k: the nearest rows of the same class; n: there are no more */
    size_t *starts;     /* n + 1: where each row's candidates begin */
    size_t *candidates; /* rows of other classes that are impostors or may become some */
    size_t capacity;
    double *tiles; /* for distances */
} vx_lmnn;

/* Finds target neighbours among the rows as they are. */
vindex_status vx_lmnn_create(vx_metric *metric, size_t k, double mu, vx_lmnn *lmnn);
void vx_lmnn_free(vx_lmnn *lmnn);

/* Finds the candidates under the metric's map: rows of other classes within `slack` (1 or more)
 * times the distance at which they would count. */
vindex_status vx_lmnn_look(vx_lmnn *lmnn, double slack);

/* The mean over rows i of (1 - mu) sum_j |z_i - z_j|^2 + mu sum_j sum_l max(0, 1 + |z_i - z_j|^2 -
 * |z_i - z_l|^2), j over targets and l over candidates, and its slope by the map. */
vindex_status vx_lmnn_at(void *lmnn, const double *map, double *value, double *slope);

#endif
