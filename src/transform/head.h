/* A head: one linear layer, and batch norm behind it or not (S. Ioffe and C. Szegedy, "Batch
 * normalization", ICML 2015; without a learned scale and shift, as in MOVE). The slopes of batch
 * norm are those of a batch; what is applied later divides by the deviation over the training rows,
 * and so is one affine map. */
#ifndef VX_TRANSFORM_HEAD_H
#define VX_TRANSFORM_HEAD_H

#include "optimiser.h"

typedef struct vx_head {
    size_t in, out, batch; /* batch: the most rows at a time */
    bool normed;
    vx_parameter weights;    /* out x in */
    vx_parameter bias;       /* out; none when normed, for batch norm takes it out again */
    float *mean, *deviation; /* out each: what batch norm applies; after vx_head_settle */
    /* The batch under way. */
    float *input;                      /* batch x in, filled by the caller */
    float *layer, *normal;             /* batch x out: W x + b, and that after batch norm */
    float *layer_slope, *normal_slope; /* batch x out, added to by the losses */
    float *spread;                     /* out: deviations of the batch */
    double *sums;                      /* 2 out */
} vx_head;

/* Zero weights; a failure leaves nothing to free. */
vindex_status vx_head_create(size_t in, size_t out, size_t batch, bool normed, vx_head *head);
void vx_head_free(vx_head *head);

/* Fills layer and normal from input; clears the slopes. */
void vx_head_forward(vx_head *head, size_t n, int threads);

/* Adds to the slopes of the parameters what layer_slope and normal_slope come to. */
void vx_head_back(vx_head *head, size_t n, int threads);

/* Mean and deviation of the layer over rows: begin, add some by way of input, end. */
void vx_head_settle_begin(vx_head *head);
void vx_head_settle_add(vx_head *head, size_t n, int threads);
void vx_head_settle_end(vx_head *head, size_t rows);

/* y = weights x + bias for seen rows x: of the layer alone, or with batch norm folded in. */
void vx_head_fold(const vx_head *head, bool norm, float *weights, float *bias);

#endif
