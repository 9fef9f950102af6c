/* Lane operations for any processor: four floats in a compiler vector, which every compiler lowers
 * to what the baseline has (SSE2 on x86-64). No fused multiply-add: two roundings, as the bounds
 * allow. */
#ifndef VX_SIMD_LANES_SCALAR_H
#define VX_SIMD_LANES_SCALAR_H

#include <stdint.h>
#include <string.h>

enum { LANES = 4, TILE_VECTORS = 2, TILE_QUERIES = 4 };
enum { CODE_GROUPS = 1, CODE_QUERIES = 2, HADAMARD_VECTORS = 8 };

typedef float lanes __attribute__((vector_size(16)));

static inline lanes lanes_zero(void) {
    return (lanes){0};
}
static inline lanes lanes_set(float x) {
    return (lanes){x, x, x, x};
}
static inline lanes lanes_load(const float *p) {
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void lanes_store(float *p, lanes v) {
    memcpy(p, &v, sizeof v);
}
static inline lanes lanes_add(lanes a, lanes b) {
    return a + b;
}
static inline lanes lanes_sub(lanes a, lanes b) {
    return a - b;
}
static inline lanes lanes_mul(lanes a, lanes b) {
    return a * b;
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c) {
    return a * b + c;
}
static inline float lanes_sum(lanes v) {
    return (v[0] + v[2]) + (v[1] + v[3]);
}

/* Bit i is set when !(a[i] > b[i]); when a[i] < b[i]. */
static inline uint32_t lanes_not_above(lanes a, lanes b) {
    uint32_t mask = 0;
    for (int i = 0; i < LANES; i++) mask |= (uint32_t) !(a[i] > b[i]) << i;
    return mask;
}
static inline uint32_t lanes_below(lanes a, lanes b) {
    uint32_t mask = 0;
    for (int i = 0; i < LANES; i++) mask |= (uint32_t)(a[i] < b[i]) << i;
    return mask;
}

static inline float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff, bits;
    if (rest >= 0x7c00) { /* infinity, NaN */
        bits = sign | 0x7f800000u | (rest & 0x3ff) << 13;
    } else if (rest >= 0x400) { /* normal: rebias the exponent from 15 to 127 */
        bits = sign | ((rest << 13) + (112u << 23));
    } else { /* zero, denormal: an integer times 2^-24, exact in single precision */
        float magnitude = (float)rest * 0x1p-24f;
        memcpy(&bits, &magnitude, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline lanes lanes_load_f16(const uint16_t *p) {
    return (lanes){half_to_float(p[0]), half_to_float(p[1]), half_to_float(p[2]),
                   half_to_float(p[3])};
}
static inline lanes lanes_load_bf16(const uint16_t *p) {
    uint32_t bits[LANES];
    for (int i = 0; i < LANES; i++) bits[i] = (uint32_t)p[i] << 16;
    lanes v;
    memcpy(&v, bits, sizeof v);
    return v;
}

/* Codes: a line of bytes, four per lane; low and high nibbles; dot products of four. */

typedef struct bytes {
    unsigned char b[4 * LANES];
} bytes;
typedef int32_t ints __attribute__((vector_size(16)));

static inline bytes bytes_load(const unsigned char *p) {
    bytes v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline bytes bytes_low(bytes v) {
    for (int i = 0; i < 4 * LANES; i++) v.b[i] &= 15;
    return v;
}
static inline bytes bytes_high(bytes v) {
    for (int i = 0; i < 4 * LANES; i++) v.b[i] >>= 4;
    return v;
}
static inline ints ints_set(int32_t x) {
    return (ints){x, x, x, x};
}
static inline ints ints_add(ints a, ints b) {
    return a + b;
}
static inline int32_t ints_sum(ints v) {
    return v[0] + v[1] + v[2] + v[3];
}
static inline bytes bytes_set(int32_t four) {
    bytes v;
    for (int i = 0; i < LANES; i++) memcpy(v.b + 4 * i, &four, sizeof four);
    return v;
}
/* codes times signed bytes. */
static inline ints ints_dot(ints sum, bytes codes, bytes query) {
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < 4; j++) sum[i] += codes.b[4 * i + j] * (int8_t)query.b[4 * i + j];
    return sum;
}
/* The same with codes up to 255. */
static inline ints ints_dot_wide(ints sum, bytes codes, bytes query) {
    return ints_dot(sum, codes, query);
}
static inline lanes ints_floats(ints v) {
    return __builtin_convertvector(v, lanes);
}
/* Rounded towards zero; and numbers of 0 to 255 as bytes. */
static inline ints lanes_ints(lanes v) {
    return __builtin_convertvector(v, ints);
}
static inline void ints_store_bytes(unsigned char *p, ints v) {
    for (int i = 0; i < LANES; i++) p[i] = (unsigned char)v[i];
}
static inline ints ints_load_bytes(const unsigned char *p) {
    return (ints){p[0], p[1], p[2], p[3]};
}
/* The upper and the lower bf16 of each dword. */
static inline lanes bytes_upper(bytes v) {
    for (int i = 0; i < 4 * LANES; i += 4) v.b[i] = v.b[i + 1] = 0;
    lanes upper;
    memcpy(&upper, v.b, sizeof upper);
    return upper;
}
static inline lanes bytes_lower(bytes v) {
    for (int i = 0; i < 4 * LANES; i += 4) memcpy(v.b + i + 2, v.b + i, 2);
    return bytes_upper(v);
}
static inline lanes lanes_div(lanes a, lanes b) {
    return a / b;
}
static inline lanes lanes_max(lanes a, lanes b) {
    for (int i = 0; i < LANES; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
static inline lanes lanes_sqrt(lanes a) {
    for (int i = 0; i < LANES; i++) a[i] = __builtin_sqrtf(a[i]);
    return a;
}

/* Butterflies at distances LANES / 2 to 1: sums in the lower places, differences in the upper. */
static inline lanes lanes_butterflies(lanes v) {
    v = (lanes){v[0] + v[2], v[1] + v[3], v[0] - v[2], v[1] - v[3]};
    return (lanes){v[0] + v[1], v[0] - v[1], v[2] + v[3], v[2] - v[3]};
}

typedef double four __attribute__((vector_size(32)));

static inline four four_widen(const float *p) {
    return (four){(double)p[0], (double)p[1], (double)p[2], (double)p[3]};
}

#include "lanes_eight.h"
#include "lanes_part.h"
#include "tables_scalar.h"

#endif
