/* Lane operations for AVX2 with FMA and F16C: 8 floats, 16 registers. FMA has latency 4 and two
 * ports, so a tile of 2 x 6 accumulators (12 chains) keeps both busy and leaves registers for the
 * operands. */
#ifndef VX_SIMD_LANES_AVX2_H
#define VX_SIMD_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8, TILE_VECTORS = 2, TILE_QUERIES = 6 };
enum { CODE_GROUPS = 1, CODE_QUERIES = 4, HADAMARD_VECTORS = 8 };

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

/* Codes: a line of bytes, four per lane; low and high nibbles; dot products of four. Codes are at
 * most 127 and query bytes within +-127, so the 16-bit pairs of maddubs do not saturate. */

typedef __m256i bytes, ints;

static inline bytes bytes_load(const unsigned char *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline bytes bytes_low(bytes v) {
    return _mm256_and_si256(v, _mm256_set1_epi8(15));
}
static inline bytes bytes_high(bytes v) {
    return bytes_low(_mm256_srli_epi16(v, 4));
}
static inline ints ints_set(int32_t x) {
    return _mm256_set1_epi32(x);
}
static inline ints ints_add(ints a, ints b) {
    return _mm256_add_epi32(a, b);
}
static inline int32_t ints_sum(ints v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}
static inline bytes bytes_set(int32_t four) {
    return _mm256_set1_epi32(four);
}
/* codes times signed bytes. */
static inline ints ints_dot(ints sum, bytes codes, bytes query) {
    __m256i pairs = _mm256_maddubs_epi16(codes, query);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
/* The same with codes up to 255: pairs of these would saturate, so their halves go apart. */
static inline ints ints_dot_wide(ints sum, bytes codes, bytes query) {
    __m256i low = _mm256_maddubs_epi16(bytes_low(codes), query);
    __m256i high = _mm256_maddubs_epi16(bytes_high(codes), query);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(low, _mm256_set1_epi16(1)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(high, _mm256_set1_epi16(16)));
}
static inline lanes ints_floats(ints v) {
    return _mm256_cvtepi32_ps(v);
}
/* Rounded towards zero; and numbers of 0 to 255 as bytes. */
static inline ints lanes_ints(lanes v) {
    return _mm256_cvttps_epi32(v);
}
static inline void ints_store_bytes(unsigned char *p, ints v) {
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(words, words));
}
static inline ints ints_load_bytes(const unsigned char *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
/* The upper and the lower bf16 of each dword. */
static inline lanes bytes_upper(bytes v) {
    return _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32(-0x10000)));
}
static inline lanes bytes_lower(bytes v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}
static inline lanes lanes_div(lanes a, lanes b) {
    return _mm256_div_ps(a, b);
}
static inline lanes lanes_max(lanes a, lanes b) {
    return _mm256_max_ps(a, b);
}
static inline lanes lanes_sqrt(lanes a) {
    return _mm256_sqrt_ps(a);
}

/* Butterflies at distances LANES / 2 to 1: sums in the lower places, differences in the upper. */
static inline lanes lanes_butterflies(lanes v) {
    const lanes halves = {1, 1, 1, 1, -1, -1, -1, -1}, pairs = {1, 1, -1, -1, 1, 1, -1, -1};
    const lanes singles = {1, -1, 1, -1, 1, -1, 1, -1};
    v = lanes_fma(v, halves, _mm256_permute2f128_ps(v, v, 1));
    v = lanes_fma(v, pairs, _mm256_permute_ps(v, 0x4e));
    return lanes_fma(v, singles, _mm256_permute_ps(v, 0xb1));
}

typedef __m256d four;

static inline four four_widen(const float *p) {
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

#include "lanes_eight.h"
#include "lanes_part.h"
#include "tables_avx2.h"

#endif
