/* What NCA and LMNN share: both learn a linear map z = L x by minimising a sum over pairs of rows,
 * of which each evaluation knows the slope by distance, w_ij = d loss / d |z_i - z_j|^2. */
#ifndef VX_TRANSFORM_METRIC_H
#define VX_TRANSFORM_METRIC_H

#include "lbfgs.h"
#include "method.h"

/* Rows are shared out to threads in PARTS spans of whole blocks, and what spans add to the same
 * numbers is kept apart and summed in their order: the same sums on any number of threads. */
enum { VX_METRIC_PARTS = 16, VX_METRIC_BLOCK = 128 };

typedef enum vx_metric_start {
    VX_METRIC_AUTO, /* identity where no dimension is lost, otherwise the principal components */
    VX_METRIC_IDENTITY,
    VX_METRIC_PCA,
    VX_METRIC_RANDOM
} vx_metric_start;

typedef struct vx_metric {
    const vx_fit *job;
    size_t n, in, out;
    double *x;         /* n x in: the rows about their mean */
    double *mean;      /* in */
    size_t singletons; /* classes of one row */
    double *z;         /* n x out */
    double *squares;   /* n: |z|^2 */
    double *map;       /* out x in: L */
    double *wx, *wz;   /* n x in, n x out: sums over j of w_ij x_j and w_ij z_j, by the method */
    double *around;    /* n: sums over j of w_ij, by the method */
    double *towards;   /* PARTS x n: what each part adds to sums over i of w_ij */
    double *tiles;     /* one for each of `takers` threads: distances of a block of rows to all */
    int takers;
    double *losses; /* one per part */
} vx_metric;

/* Reads the rows and makes L as the start says. */
vindex_status vx_metric_create(const vx_fit *job, vx_metric_start start, vx_metric *metric);
void vx_metric_free(vx_metric *metric);

/* Maps all rows by L into z and squares. */
void vx_metric_project(vx_metric *metric, const double *map);

/* The rows of a part: first ... first+count-1. */
void vx_metric_part(const vx_metric *metric, size_t part, size_t *first, size_t *count);

/* |z_i - z_j|^2 for `count` rows from first on (at most a block) and all j, in count x n; not
 * below 0. */
void vx_metric_distances(const vx_metric *metric, size_t first, size_t count, double *distances);

/* The slope by L, 2 sum w_ij (z_i - z_j)(x_i - x_j)^T, times `scale`, from wx, wz, around and
 * towards; wx is overwritten. */
void vx_metric_slope(vx_metric *metric, double scale, double *slope);

/* A descent of the map, and what is said about it. */
typedef struct vx_descent {
    vindex_status (*at)(void *context, const double *map, double *value, double *slope);
    void *context;
    size_t steps;     /* at most */
    double tolerance; /* as in vx_objective */
    vx_metric *metric;
    double *losses; /* before the first step, and after each */
    size_t count, capacity;
    bool converged;
} vx_descent;

/* Runs L-BFGS from the metric's map on, which becomes the best one found. */
vindex_status vx_descent_run(vx_descent *descent);
void vx_descent_free(vx_descent *descent);

/* Makes the step L (x - mean), with the facts of its descent: the loss step by step, whether it
 * converged. */
vindex_status vx_metric_write(const vx_descent *descent, vx_step *step);

#endif
