/* Lane operations for AArch64 NEON: 4 floats, 32 registers. FMLA has latency 4 on two to four
 * ports, so a tile of 4 x 6 accumulators (24 chains) keeps wide cores busy. */
#ifndef VX_SIMD_LANES_NEON_H
#define VX_SIMD_LANES_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 4, TILE_VECTORS = 4, TILE_QUERIES = 6 };
enum { CODE_GROUPS = 1, CODE_QUERIES = 4, HADAMARD_VECTORS = 16 };

typedef float32x4_t lanes;

static inline lanes lanes_zero(void) {
    return vdupq_n_f32(0);
}
static inline lanes lanes_set(float x) {
    return vdupq_n_f32(x);
}
static inline lanes lanes_load(const float *p) {
    return vld1q_f32(p);
}
static inline void lanes_store(float *p, lanes v) {
    vst1q_f32(p, v);
}
static inline lanes lanes_add(lanes a, lanes b) {
    return vaddq_f32(a, b);
}
static inline lanes lanes_sub(lanes a, lanes b) {
    return vsubq_f32(a, b);
}
static inline lanes lanes_mul(lanes a, lanes b) {
    return vmulq_f32(a, b);
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c) {
    return vfmaq_f32(c, a, b);
}
static inline float lanes_sum(lanes v) {
    float32x2_t halves = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(vpadd_f32(halves, halves), 0);
}

static inline uint32_t lanes_bits(uint32x4_t mask) {
    const uint32x4_t weights = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(mask, weights));
}
static inline uint32_t lanes_not_above(lanes a, lanes b) {
    return lanes_bits(vmvnq_u32(vcgtq_f32(a, b)));
}
static inline uint32_t lanes_below(lanes a, lanes b) {
    return lanes_bits(vcltq_f32(a, b));
}

static inline lanes lanes_load_f16(const uint16_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
static inline lanes lanes_load_bf16(const uint16_t *p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

/* Codes: a line of bytes, four per lane; low and high nibbles; dot products of four, by one
 * instruction where there is DOTPROD. */

typedef uint8x16_t bytes;
typedef int32x4_t ints;

static inline bytes bytes_load(const unsigned char *p) {
    return vld1q_u8(p);
}
static inline bytes bytes_low(bytes v) {
    return vandq_u8(v, vdupq_n_u8(15));
}
static inline bytes bytes_high(bytes v) {
    return vshrq_n_u8(v, 4);
}
static inline ints ints_set(int32_t x) {
    return vdupq_n_s32(x);
}
static inline ints ints_add(ints a, ints b) {
    return vaddq_s32(a, b);
}
static inline int32_t ints_sum(ints v) {
    return vaddvq_s32(v);
}
static inline bytes bytes_set(int32_t four) {
    return vreinterpretq_u8_s32(vdupq_n_s32(four));
}
/* codes times signed bytes. */
static inline ints ints_dot(ints sum, bytes codes, bytes query) {
    int8x16_t c = vreinterpretq_s8_u8(codes), q = vreinterpretq_s8_u8(query);
#ifdef __ARM_FEATURE_DOTPROD
    return vdotq_s32(sum, c, q);
#else
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(c), vget_low_s8(q)));
    int32x4_t high = vpaddlq_s16(vmull_high_s8(c, q));
    return vaddq_s32(sum, vpaddq_s32(low, high));
#endif
}
/* The same with codes up to 255, whose halves go apart, for bytes are signed here. */
static inline ints ints_dot_wide(ints sum, bytes codes, bytes query) {
    ints high = ints_dot(vdupq_n_s32(0), bytes_high(codes), query);
    return ints_dot(vaddq_s32(sum, vshlq_n_s32(high, 4)), bytes_low(codes), query);
}
static inline lanes ints_floats(ints v) {
    return vcvtq_f32_s32(v);
}
/* Rounded towards zero; and numbers of 0 to 255 as bytes. */
static inline ints lanes_ints(lanes v) {
    return vcvtq_s32_f32(v);
}
static inline void ints_store_bytes(unsigned char *p, ints v) {
    uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(v));
    uint32x2_t four = vreinterpret_u32_u8(vmovn_u16(vcombine_u16(words, words)));
    uint32_t stored = vget_lane_u32(four, 0);
    memcpy(p, &stored, sizeof stored);
}
static inline ints ints_load_bytes(const unsigned char *p) {
    uint32_t four;
    memcpy(&four, p, sizeof four);
    uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
}
/* The upper and the lower bf16 of each dword. */
static inline lanes bytes_upper(bytes v) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u8(v), vdupq_n_u32(0xffff0000u)));
}
static inline lanes bytes_lower(bytes v) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u8(v), 16));
}
static inline lanes lanes_div(lanes a, lanes b) {
    return vdivq_f32(a, b);
}
static inline lanes lanes_max(lanes a, lanes b) {
    return vmaxq_f32(a, b);
}
static inline lanes lanes_sqrt(lanes a) {
    return vsqrtq_f32(a);
}

/* Butterflies at distances LANES / 2 to 1: sums in the lower places, differences in the upper. */
static inline lanes lanes_butterflies(lanes v) {
    const lanes pairs = {1, 1, -1, -1}, singles = {1, -1, 1, -1};
    v = lanes_fma(v, pairs, vextq_f32(v, v, 2));
    return lanes_fma(v, singles, vrev64q_f32(v));
}

typedef double four __attribute__((vector_size(32)));

static inline four four_widen(const float *p) {
    return (four){(double)p[0], (double)p[1], (double)p[2], (double)p[3]};
}

#include "lanes_eight.h"
#include "lanes_part.h"
#include "tables_neon.h"

#endif
