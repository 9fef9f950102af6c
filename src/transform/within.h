/* Classes and the scatter within them, for the methods that learn from labels. */
#ifndef VX_TRANSFORM_WITHIN_H
#define VX_TRANSFORM_WITHIN_H

#include "method.h"

/* Sizes and means of the classes of job->labels. */
typedef struct vx_classes {
    size_t count, dim, rows;
    size_t singletons; /* classes of one row: they have a mean and no scatter */
    size_t *sizes;
    double *means; /* count x dim */
    double *mean;  /* of all rows */
} vx_classes;

/* One pass over the rows, the part of the fit's progress from 0 to `until`. VINDEX_ERR_DATA where
 * there is but one class, or where no class has two rows. */
vindex_status vx_classes_compute(const vx_fit *job, double until, vx_classes *classes);
void vx_classes_free(vx_classes *classes);

/* How a covariance is drawn towards a multiple of the identity, (1 - s) S + s tr(S)/dim I. */
typedef struct vx_shrinkage {
    double share;     /* s */
    bool ledoit_wolf; /* s is estimated: Ledoit and Wolf, "A well-conditioned estimator for
                         large-dimensional covariance matrices", 2004, lemma 3.3 */
} vx_shrinkage;

/* The covariance within classes, sum (x - mean of its class)(...)^T / (rows - classes), dim x dim,
 * shrunk. *share receives the share used. One pass, the progress from `from` to `until`. */
typedef struct vx_within_span {
    double from, until;
} vx_within_span;
vindex_status vx_within_covariance(const vx_fit *job, const vx_classes *classes,
                                   vx_shrinkage shrinkage, vx_within_span span, double *covariance,
                                   double *share);

/* Rows less the mean of their class, widened. */
void vx_within_residuals(const vx_classes *classes, const int32_t *labels, const float *vectors,
                         size_t count, double *residuals);

/* VINDEX_ERR_ARGUMENT where both a share and its estimation are asked for. */
vindex_status vx_shrinkage_check(const vx_fit *job, vx_shrinkage shrinkage);

#endif
