/* Lane operations for AArch64 NEON: 4 floats, 32 registers. FMLA has latency 4 on two to four
 * ports, so a tile of 4 x 6 accumulators (24 chains) keeps wide cores busy. */
#ifndef VX_SIMD_LANES_NEON_H
#define VX_SIMD_LANES_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 4, TILE_VECTORS = 4, TILE_QUERIES = 6 };

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
    return vaddvq_f32(v);
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

#include "lanes_part.h"

#endif
