/* Lane operations for AVX2 with FMA and F16C: 8 floats, 16 registers. FMA has latency 4 and two
 * ports, so a tile of 2 x 6 accumulators (12 chains) keeps both busy and leaves registers for the
 * operands. */
#ifndef VX_SIMD_LANES_AVX2_H
#define VX_SIMD_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8, TILE_VECTORS = 2, TILE_QUERIES = 6 };

typedef __m256 lanes;

static inline lanes lanes_zero(void) {
    return _mm256_setzero_ps();
}
static inline lanes lanes_set(float x) {
    return _mm256_set1_ps(x);
}
static inline lanes lanes_load(const float *p) {
    return _mm256_loadu_ps(p);
}
static inline void lanes_store(float *p, lanes v) {
    _mm256_storeu_ps(p, v);
}
static inline lanes lanes_add(lanes a, lanes b) {
    return _mm256_add_ps(a, b);
}
static inline lanes lanes_sub(lanes a, lanes b) {
    return _mm256_sub_ps(a, b);
}
static inline lanes lanes_mul(lanes a, lanes b) {
    return _mm256_mul_ps(a, b);
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c) {
    return _mm256_fmadd_ps(a, b, c);
}
static inline float lanes_sum(lanes v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline uint32_t lanes_not_above(lanes a, lanes b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NGT_UQ));
}
static inline uint32_t lanes_below(lanes a, lanes b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

static inline lanes lanes_load_f16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
static inline lanes lanes_load_bf16(const uint16_t *p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

#include "lanes_part.h"

#endif
