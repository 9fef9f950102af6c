/* Lane operations for AVX-512 (F, BW, DQ, VL): 16 floats, 32 registers, masked loads for tails. A
 * tile of 2 x 12 accumulators needs 14 loads for 24 multiply-adds per step, below both ports'
 * limits. */
#ifndef VX_SIMD_LANES_AVX512_H
#define VX_SIMD_LANES_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16, TILE_VECTORS = 2, TILE_QUERIES = 12 };
enum { CODE_GROUPS = 2, CODE_QUERIES = 12, HADAMARD_VECTORS = 16 };

typedef __m512 lanes;

static inline lanes lanes_zero(void) {
    return _mm512_setzero_ps();
}
static inline lanes lanes_set(float x) {
    return _mm512_set1_ps(x);
}
static inline lanes lanes_load(const float *p) {
    return _mm512_loadu_ps(p);
}
static inline void lanes_store(float *p, lanes v) {
    _mm512_storeu_ps(p, v);
}
static inline lanes lanes_add(lanes a, lanes b) {
    return _mm512_add_ps(a, b);
}
static inline lanes lanes_sub(lanes a, lanes b) {
    return _mm512_sub_ps(a, b);
}
static inline lanes lanes_mul(lanes a, lanes b) {
    return _mm512_mul_ps(a, b);
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c) {
    return _mm512_fmadd_ps(a, b, c);
}
static inline float lanes_sum(lanes v) {
    return _mm512_reduce_add_ps(v);
}

static inline uint32_t lanes_not_above(lanes a, lanes b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_NGT_UQ);
}
static inline uint32_t lanes_below(lanes a, lanes b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline lanes lanes_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline lanes lanes_from_bf16(__m256i stored) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16));
}
static inline lanes lanes_load_bf16(const uint16_t *p) {
    return lanes_from_bf16(_mm256_loadu_si256((const __m256i *)p));
}

/* The first count < LANES numbers, zeros behind them. */
static inline __mmask16 lanes_first(size_t count) {
    return (__mmask16)((1u << count) - 1);
}
static inline lanes lanes_load_part(const float *p, size_t count) {
    return _mm512_maskz_loadu_ps(lanes_first(count), p);
}
static inline lanes lanes_load_part_f16(const uint16_t *p, size_t count) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes_first(count), p));
}
static inline lanes lanes_load_part_bf16(const uint16_t *p, size_t count) {
    return lanes_from_bf16(_mm256_maskz_loadu_epi16(lanes_first(count), p));
}

/* Codes: a line of bytes, four per lane; low and high nibbles; dot products of four, by one
 * instruction where there is VNNI. Codes are at most 127 and query bytes within +-127, so the
 * 16-bit pairs of maddubs do not saturate. */

typedef __m512i bytes, ints;

static inline bytes bytes_load(const unsigned char *p) {
    return _mm512_loadu_si512(p);
}
/* The first count < LANES dwords, zeros behind them. */
static inline bytes bytes_load_part(const unsigned char *p, size_t count) {
    return _mm512_maskz_loadu_epi32(lanes_first(count), p);
}
static inline bytes bytes_low(bytes v) {
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
static inline bytes bytes_high(bytes v) {
    return bytes_low(_mm512_srli_epi16(v, 4));
}
static inline ints ints_set(int32_t x) {
    return _mm512_set1_epi32(x);
}
static inline ints ints_add(ints a, ints b) {
    return _mm512_add_epi32(a, b);
}
static inline int32_t ints_sum(ints v) {
    return _mm512_reduce_add_epi32(v);
}
/* Not an assignment: GCC 12 gathers several masks in a vector to store them together, which keeps a
 * port busy that products need. */
static inline void mask_store(uint16_t *mask, uint32_t bits) {
    __asm__("kmovw %1, %0" : "=m"(*mask) : "k"((__mmask16)bits));
}
/* Bit i is set where masks[i], of 32, is not 0. */
static inline uint32_t masks_there(const uint16_t *masks) {
    __m512i all = _mm512_loadu_si512(masks);
    return _mm512_test_epi16_mask(all, all);
}
static inline bytes bytes_set(int32_t four) {
    return _mm512_set1_epi32(four);
}
/* codes times signed bytes. */
static inline ints ints_dot(ints sum, bytes codes, bytes query) {
#ifdef __AVX512VNNI__
    /* Not the intrinsic: GCC 12 copies every accumulator around it, as many moves as products. */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(query));
    return sum;
#else
    __m512i pairs = _mm512_maddubs_epi16(codes, query);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#endif
}
/* The same with codes up to 255: pairs of these would saturate, so their halves go apart. */
static inline ints ints_dot_wide(ints sum, bytes codes, bytes query) {
#ifdef __AVX512VNNI__
    return ints_dot(sum, codes, query);
#else
    __m512i low = _mm512_maddubs_epi16(bytes_low(codes), query);
    __m512i high = _mm512_maddubs_epi16(bytes_high(codes), query);
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(low, _mm512_set1_epi16(1)));
    return _mm512_add_epi32(sum, _mm512_madd_epi16(high, _mm512_set1_epi16(16)));
#endif
}
static inline lanes ints_floats(ints v) {
    return _mm512_cvtepi32_ps(v);
}
/* Rounded towards zero; and numbers of 0 to 255 as bytes. */
static inline ints lanes_ints(lanes v) {
    return _mm512_cvttps_epi32(v);
}
static inline void ints_store_bytes(unsigned char *p, ints v) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}
static inline ints ints_load_bytes(const unsigned char *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
/* The upper and the lower bf16 of each dword. */
static inline lanes bytes_upper(bytes v) {
    return _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32(-0x10000)));
}
static inline lanes bytes_lower(bytes v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
}
static inline lanes lanes_div(lanes a, lanes b) {
    return _mm512_div_ps(a, b);
}
static inline lanes lanes_max(lanes a, lanes b) {
    return _mm512_max_ps(a, b);
}
static inline lanes lanes_sqrt(lanes a) {
    return _mm512_sqrt_ps(a);
}

/* 1, or -1 where the number of the lane has that bit. */
static inline lanes lanes_signs(__mmask16 negative) {
    return _mm512_mask_blend_ps(negative, _mm512_set1_ps(1), _mm512_set1_ps(-1));
}
/* Butterflies at distances LANES / 2 to 1: sums in the lower places, differences in the upper. */
static inline lanes lanes_butterflies(lanes v) {
    v = lanes_fma(v, lanes_signs(0xff00), _mm512_shuffle_f32x4(v, v, 0x4e));
    v = lanes_fma(v, lanes_signs(0xf0f0), _mm512_shuffle_f32x4(v, v, 0xb1));
    v = lanes_fma(v, lanes_signs(0xcccc), _mm512_permute_ps(v, 0x4e));
    return lanes_fma(v, lanes_signs(0xaaaa), _mm512_permute_ps(v, 0xb1));
}

/* Eight numbers in double precision. */
typedef __m512d eight;

static inline eight eight_set(double x) {
    return _mm512_set1_pd(x);
}
static inline eight eight_load(const double *p) {
    return _mm512_loadu_pd(p);
}
static inline eight eight_widen(const float *p) {
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
static inline eight eight_add(eight a, eight b) {
    return _mm512_add_pd(a, b);
}
static inline eight eight_sub(eight a, eight b) {
    return _mm512_sub_pd(a, b);
}
static inline eight eight_mul(eight a, eight b) {
    return _mm512_mul_pd(a, b);
}
/* In the order of every level. */
static inline double eight_sum(eight v) {
    __m256d s = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
    return (s[0] + s[2]) + (s[1] + s[3]);
}

#include "tables_avx512.h"

#endif
