/* Numbers being learned, and the two ways to move them down their slope. */
#ifndef VX_TRANSFORM_OPTIMISER_H
#define VX_TRANSFORM_OPTIMISER_H

#include <math.h>

#include "core/rng.h"

/* 0 for numbers so small that products of them leave the normal range of float32, where processors
 * are a hundred times slower. */
static inline float vx_or_zero(float x) {
    return fabsf(x) < 1e-16f ? 0 : x;
}

/* A block of numbers being learned: a matrix, a vector, the proxies of all classes. */
typedef struct vx_parameter {
    size_t count; /* 0: nothing is learned */
    float *values;
    float *slope;          /* of the loss, added up over a batch */
    float *first, *second; /* momentum; Adam's running means of the slope and of its square */
    bool decays;           /* whether weight decay acts on it */
} vx_parameter;

/* Zeroed numbers; a failure leaves nothing to free. */
vindex_status vx_parameter_create(size_t count, bool decays, vx_parameter *parameter);
void vx_parameter_free(vx_parameter *parameter);

/* Uniform within 1 / sqrt(in), as PyTorch starts the weights of a linear layer with so many inputs.
 */
void vx_parameter_start(vx_parameter *parameter, size_t in, vx_rng *rng);

typedef enum vx_optimiser_kind { VX_OPTIMISER_SGD = 0, VX_OPTIMISER_ADAM = 1 } vx_optimiser_kind;

/* SGD: m = momentum m + g, w -= rate m. Adam: Kingma and Ba, "Adam: a method for stochastic
 * optimization", 2015, algorithm 1, its beta1 being momentum. Decay adds decay w to the slope. */
typedef struct vx_optimiser {
    vx_optimiser_kind kind;
    double rate, momentum, decay;
    int64_t steps; /* taken so far */
    double scale;  /* of this step's slopes */
} vx_optimiser;

/* Begins a step: after it, vx_optimiser_move moves every parameter once. Slopes are multiplied by
 * scale. */
void vx_optimiser_begin(vx_optimiser *optimiser, double scale);

/* Moves a parameter down its slope, which it clears. */
void vx_optimiser_move(const vx_optimiser *optimiser, vx_parameter *parameter, int threads);

#endif
