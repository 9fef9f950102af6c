#include "rotation.h"

#include <math.h>

#include "core/rng.h"

enum { SEED = 0x76696e64 }; /* fixed: the rotation is part of the file format */

vindex_status vx_rotation_create(size_t dim, vx_rotation *rotation) {
    return vx_rotation_seeded(dim, SEED, rotation);
}

vindex_status vx_rotation_seeded(size_t dim, uint64_t seed, vx_rotation *rotation) {
    size_t window = 1, log2 = 0;
    while (window * 2 <= dim) window *= 2, log2++;
    /* 2^(-k/2) from exact powers of two and one rounded root. */
    float factor = ldexpf(log2 % 2 ? 0.70710678118654752f : 1, -(int)(log2 / 2));
    *rotation = (vx_rotation){.dim = dim, .window = window, .factor = factor};
    rotation->rounds = window == dim ? 2 : 4;
    rotation->signs = vx_alloc((size_t)rotation->rounds * dim, sizeof *rotation->signs);
    if (!rotation->signs) return vx_fail_memory(dim, sizeof(float), "rotation");
    vx_rng rng = vx_rng_seed(seed, dim);
    for (size_t i = 0; i < (size_t)rotation->rounds * dim; i++)
        rotation->signs[i] = vx_rng_next(&rng) >> 63 ? -1.0f : 1.0f;
    return VINDEX_OK;
}

void vx_rotation_free(vx_rotation *rotation) {
    vx_free(rotation->signs);
    *rotation = (vx_rotation){0};
}

/* Where the window of a round begins, and where the numbers outside it do. */
static size_t window_at(const vx_rotation *rotation, int round) {
    return round % 2 ? rotation->dim - rotation->window : 0;
}
static size_t outside_at(const vx_rotation *rotation, int round) {
    return round % 2 ? 0 : rotation->window;
}

void vx_rotation_apply(const vx_rotation *rotation, const vx_kernels *kernels, float *values) {
    size_t outside = rotation->dim - rotation->window;
    for (int round = 0; round < rotation->rounds; round++) {
        const float *signs = rotation->signs + (size_t)round * rotation->dim;
        size_t start = window_at(rotation, round), rest = outside_at(rotation, round);
        for (size_t i = rest; i < rest + outside; i++) values[i] *= signs[i];
        kernels->hadamard(values + start, signs + start, rotation->window, rotation->factor);
    }
}

void vx_rotation_undo(const vx_rotation *rotation, const vx_kernels *kernels, float *values) {
    for (int round = rotation->rounds - 1; round >= 0; round--) {
        const float *signs = rotation->signs + (size_t)round * rotation->dim;
        kernels->hadamard(values + window_at(rotation, round), NULL, rotation->window,
                          rotation->factor);
        for (size_t i = 0; i < rotation->dim; i++) values[i] *= signs[i];
    }
}

size_t vx_rotation_chain(const vx_rotation *rotation) {
    size_t log2 = 0;
    while ((size_t)1 << log2 < rotation->window) log2++;
    return (size_t)rotation->rounds * (log2 + 2);
}
