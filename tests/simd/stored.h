/* Numbers for kernels: random ones of mixed size, in memory that ends where they end. */
#ifndef TESTS_SIMD_STORED_H
#define TESTS_SIMD_STORED_H

#include <stdlib.h>
#include <string.h>

#include "../halves.h"
#include "core/rng.h"
#include "simd/kernels.h"

static const vindex_dtype stored_types[] = {VINDEX_F32, VINDEX_F16, VINDEX_BF16};

/* A number between -1 and 1; now and then one a thousand times larger or smaller. */
static inline float random_number(vx_rng *rng) {
    double x = 2 * vx_rng_uniform(rng) - 1;
    uint64_t size = vx_rng_below(rng, 16);
    return (float)(size == 0 ? x * 1000 : size == 1 ? x / 1000 : x);
}

/* n random numbers that the type holds exactly. */
static inline float *random_numbers(vindex_dtype type, size_t n, vx_rng *rng) {
    float *numbers = malloc(n * sizeof *numbers + 1);
    for (size_t i = 0; i < n; i++) numbers[i] = as_stored(type, random_number(rng));
    return numbers;
}

/* The same numbers as storage has them, each row followed by gap bytes but for the last. */
static inline char *store_rows(vindex_dtype type, const float *numbers, size_t rows, size_t dim,
                               size_t gap) {
    size_t size = vindex_dtype_size(type), stride = dim * size + gap;
    char *stored = malloc(rows ? (rows - 1) * stride + dim * size : 1);
    for (size_t i = 0; i < rows * dim; i++) {
        char *where = stored + i / dim * stride + i % dim * size;
        uint16_t half = half_narrowed(type == VINDEX_F32 ? VINDEX_F16 : type, numbers[i]);
        if (type == VINDEX_F32)
            memcpy(where, &numbers[i], sizeof numbers[i]);
        else
            memcpy(where, &half, sizeof half);
    }
    return stored;
}

/* A copy of dim numbers as doubles, zeros up to the padding of queries. */
static inline double *padded_doubles(const float *numbers, size_t dim) {
    double *padded = calloc(vx_padded(dim), sizeof *padded);
    for (size_t j = 0; j < dim; j++) padded[j] = (double)numbers[j];
    return padded;
}

#endif
