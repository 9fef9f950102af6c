/* Eight numbers in double precision where registers are narrower: two halves, for compilers lower
 * wider vectors badly. Included at the end of a lanes_*.h, which has said how four are widened. */
#ifndef VX_SIMD_LANES_EIGHT_H
#define VX_SIMD_LANES_EIGHT_H

typedef struct eight {
    four low, high;
} eight;

static inline eight eight_set(double x) {
    return (eight){{x, x, x, x}, {x, x, x, x}};
}
static inline eight eight_load(const double *p) {
    eight v;
    memcpy(&v.low, p, sizeof v.low);
    memcpy(&v.high, p + 4, sizeof v.high);
    return v;
}
static inline eight eight_widen(const float *p) {
    return (eight){four_widen(p), four_widen(p + 4)};
}
static inline eight eight_add(eight a, eight b) {
    return (eight){a.low + b.low, a.high + b.high};
}
static inline eight eight_sub(eight a, eight b) {
    return (eight){a.low - b.low, a.high - b.high};
}
static inline eight eight_mul(eight a, eight b) {
    return (eight){a.low * b.low, a.high * b.high};
}
static inline double eight_sum(eight v) {
    four s = v.low + v.high;
    return (s[0] + s[2]) + (s[1] + s[3]);
}

#endif
