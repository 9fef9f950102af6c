/* A random rotation that spreads what a vector has over all its dimensions: random signs, then a
 * Walsh-Hadamard transform of the first 2^k dimensions, then signs and a transform of the last 2^k,
 * and so on (Kac's walk by blocks, as RaBitQ's authors use it). Orthonormal, O(d log d), for any d,
 * and the same bits on every machine; nothing of it needs to be stored. */
#ifndef VX_EXACT_ROTATION_H
#define VX_EXACT_ROTATION_H

#include "simd/kernels.h"

typedef struct vx_rotation {
    size_t dim, window; /* window: the largest power of two that is not above dim */
    int rounds;
    float factor; /* window^-1/2 */
    float *signs; /* rounds x dim */
} vx_rotation;

/* That of the certified codes, the same for all indexes of one dimension; and one of many. */
VX_SHARED vindex_status vx_rotation_create(size_t dim, vx_rotation *rotation);
VX_SHARED vindex_status vx_rotation_seeded(size_t dim, uint64_t seed, vx_rotation *rotation);
VX_SHARED void vx_rotation_free(vx_rotation *rotation);

/* Rotates values in place. */
VX_SHARED void vx_rotation_apply(const vx_rotation *rotation, const vx_kernels *kernels,
                                 float *values);

/* The way back: what was rotated, as it was up to rounding. */
VX_SHARED void vx_rotation_undo(const vx_rotation *rotation, const vx_kernels *kernels,
                                float *values);

/* Roundings that one number passes through: |computed - true| <= vx_gamma(chain) |x|. */
VX_SHARED size_t vx_rotation_chain(const vx_rotation *rotation);

#endif
