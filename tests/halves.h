/* The half-width formats, from their definitions: a value is an integer times a power of two, and
 * narrowing picks the nearest value, the even one of two that are as near. */
#ifndef TESTS_HALVES_H
#define TESTS_HALVES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <vindex/types.h>

/* The value of a half; what would be infinity counts as the next power of two. */
static inline double half_magnitude(vindex_dtype type, uint16_t code) {
    int bits = type == VINDEX_F16 ? 10 : 7, bias = type == VINDEX_F16 ? 15 : 127;
    int exponent = code >> bits, fraction = code & ((1 << bits) - 1);
    if (exponent == 0) return ldexp(fraction, 1 - bias - bits);
    return ldexp((1 << bits) + fraction, exponent - bias - bits);
}

static inline float half_widened(vindex_dtype type, uint16_t code) {
    uint16_t infinite = type == VINDEX_F16 ? 0x7c00 : 0x7f80, rest = code & 0x7fff;
    double magnitude = rest < infinite    ? half_magnitude(type, rest)
                       : rest == infinite ? (double)INFINITY
                                          : (double)NAN;
    return (float)(code & 0x8000 ? -magnitude : magnitude);
}

static inline uint16_t half_narrowed(vindex_dtype type, float value) {
    uint16_t low = 0, high = type == VINDEX_F16 ? 0x7c00 : 0x7f80;
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs((double)value);
    if (magnitude >= half_magnitude(type, high)) return sign | high;
    while (high - low > 1) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (half_magnitude(type, middle) <= magnitude)
            low = middle;
        else
            high = middle;
    }
    double below = magnitude - half_magnitude(type, low);
    double above = half_magnitude(type, high) - magnitude;
    if (below == above) return sign | (low % 2 ? high : low);
    return sign | (below < above ? low : high);
}

/* A number as storage of that type keeps it: rounded to a multiple of its last place. */
static inline float as_stored(vindex_dtype type, float value) {
    if (type == VINDEX_F32 || value == 0) return value;
    int bits = type == VINDEX_F16 ? 10 : 7, least = type == VINDEX_F16 ? -14 : -126;
    int exponent = ilogbf(value);
    double place = ldexp(1, (exponent > least ? exponent : least) - bits);
    return (float)(nearbyint((double)value / place) * place);
}

#endif
