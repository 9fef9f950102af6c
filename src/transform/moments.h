/* Mean and variance of every dimension, in one pass over the rows. */
#ifndef VX_TRANSFORM_MOMENTS_H
#define VX_TRANSFORM_MOMENTS_H

#include "method.h"

typedef struct vx_moments {
    size_t dim;
    double *mean, *variance; /* variance: of all rows, divided by their number */
} vx_moments;

/* One pass, which is the part of the fit's progress from 0 to `until`. */
vindex_status vx_moments_compute(const vx_fit *job, const vindex_rows *rows, double until,
                                 vx_moments *moments);
void vx_moments_free(vx_moments *moments);

#endif
