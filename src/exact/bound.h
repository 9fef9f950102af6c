/* How far a filter key can be from the truth. docs/exactness.md derives these formulas.
 *
 * u = 2^-24 is the rounding unit of single precision. A sum of products whose longest chain of
 * roundings is c has an error of at most gamma(c) times the sum of the absolute products (Higham,
 * Accuracy and Stability of Numerical Algorithms, section 3.1), and that is at most gamma(c) |q|
 * |x| by Cauchy and Schwarz. Below the normal range each operation may err by 2^-150 more. */
#ifndef VX_EXACT_BOUND_H
#define VX_EXACT_BOUND_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    VX_SLICE = 512,     /* dimensions that a tile sums before it adds to the slices before */
    VX_CODE_CHAIN = 96, /* roundings of a key made of a code, beside those of two rotations */
    VX_MEAN_RATIO = 16  /* Pearson: the filter judges rows with |x| <= 16 |x - mean(x)| */
};

/* c u / (1 - c u), rounded up generously: 1.01 covers the divisor and the roundings of this very
 * computation for every c below 150,000 (dim <= 1,048,576 stays below 70,000). */
static inline double vx_gamma(size_t chain) {
    return 1.01 * (double)chain * 0x1p-24;
}

/* The longest chains: 16 partial sums per row in a scan; a slice, then one addition per slice in a
 * tile. The constant covers the conversion of the query to single precision, the subtraction and
 * square of L2, the last partial sums, the stored norm and the key's own scaling and bias. */
static inline size_t vx_scan_chain(size_t dim) {
    return dim / 16 + 16;
}
static inline size_t vx_tile_chain(size_t dim) {
    return (dim < VX_SLICE ? dim : VX_SLICE) + dim / VX_SLICE + 16;
}

/* What gradual underflow can add over a whole row. */
static inline double vx_underflow(size_t dim) {
    return (double)dim * 0x1p-148;
}

/* Beyond this magnitude a single-precision sum might overflow, and the filter steps aside. */
#define VX_FILTER_LIMIT 1e37

/* The smallest float that is not below x. */
static inline float vx_round_up(double x) {
    float f = (float)x;
    uint32_t bits, step = (double)f < x; /* not a branch, of which none could foretell the way */
    memcpy(&bits, &f, sizeof bits);
    bits += bits >> 31 ? 0 - step : step;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The bf16 nearest to x, the smallest that is not below x (which is not negative), and what one
 * stands for. */
static inline uint32_t vx_bf16_near(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return isnan(x) ? 0x7fc0u : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
static inline uint32_t vx_bf16_up(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits + 0xffff) >> 16;
}
static inline float vx_bf16_value(uint32_t stored) {
    uint32_t bits = stored << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
