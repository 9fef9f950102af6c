/* Mean average precision of an affine map on rows that are not trained on: what tells when to stop.
 * Every row ranks all others of its part (the parts are notions of similarity); queries are all
 * rows with another of their label, or evenly chosen ones where there are very many pairs. */
#ifndef VX_TRANSFORM_VALIDATION_H
#define VX_TRANSFORM_VALIDATION_H

#include "training_set.h"

/* The queries of one part. */
typedef struct vx_asked {
    size_t count;
    int64_t *rows;     /* count, within the part */
    size_t *offsets;   /* count + 1 */
    int64_t *relevant; /* offsets[count] rows of the part */
} vx_asked;

typedef struct vx_validation {
    const vx_fit *job;
    size_t parts, part; /* how many, and rows of each; 0: there is nothing to validate by */
    size_t in, out;
    vindex_metric metric;
    float *rows;           /* parts x part x in, as seen */
    float *mapped, *asked; /* part x out each */
    vx_asked *queries;     /* parts */
    int64_t *before, *tied;
} vx_validation;

/* VINDEX_ERR_DATA when validation rows have no labels or no two rows of one label. A failure leaves
 * nothing to free. */
vindex_status vx_validation_open(const vx_training_set *set, size_t out, vindex_metric metric,
                                 vx_validation *validation);
void vx_validation_close(vx_validation *validation);

/* The MAP of weights (out x in) and bias for seen rows, the mean over the parts, each with its mask
 * (parts x out; NULL: none). */
vindex_status vx_validation_map(vx_validation *validation, const float *weights, const float *bias,
                                const float *masks, double *map);

#endif
