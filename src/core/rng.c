/* The generator, and the two functions of libm that differ between machines. */
#include "rng.h"

#include <math.h>

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

vx_rng vx_rng_seed(uint64_t seed, uint64_t stream) {
    uint64_t state = seed;
    state = splitmix(&state) ^ stream;
    vx_rng rng;
    for (int i = 0; i < 4; i++) rng.state[i] = splitmix(&state);
    return rng;
}

static uint64_t rotate(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

uint64_t vx_rng_next(vx_rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double vx_rng_uniform(vx_rng *rng) {
    return (double)(vx_rng_next(rng) >> 11) * 0x1p-53;
}

uint64_t vx_rng_below(vx_rng *rng, uint64_t bound) {
    uint64_t reject = -bound % bound; /* 2^64 mod bound */
    for (;;) {
        uint64_t x = vx_rng_next(rng);
        if (x >= reject) return x % bound;
    }
}

/* Marsaglia's polar method; the second deviate is dropped so that the state is the generator alone.
 */
double vx_rng_normal(vx_rng *rng) {
    for (;;) {
        double u = 2 * vx_rng_uniform(rng) - 1, v = 2 * vx_rng_uniform(rng) - 1;
        double s = u * u + v * v;
        if (s > 0 && s < 1) return u * sqrt(-2 * vx_log(s) / s);
    }
}

static const double ln2_high = 0x1.62e42fefa3800p-1, ln2_low = 0x1.ef35793c76730p-45;

/* x = 2^e m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(t), t = (m-1)/(m+1), by its series. */
double vx_log(double x) {
    int exponent;
    double m = frexp(x, &exponent);
    if (m < 0.70710678118654752) m *= 2, exponent--;
    double t = (m - 1) / (m + 1), t2 = t * t, sum = 0;
    for (int n = 23; n >= 3; n -= 2) sum = (sum + 1.0 / n) * t2;
    return exponent * ln2_high + (exponent * ln2_low + 2 * (t + t * sum));
}

/* x = n ln 2 + r with |r| <= ln 2 / 2; exp r by its series. */
double vx_exp(double x) {
    double n = floor(x * 1.4426950408889634 + 0.5);
    double r = (x - n * ln2_high) - n * ln2_low, sum = 1;
    for (int i = 14; i >= 1; i--) sum = 1 + sum * r / i;
    return ldexp(sum, (int)n);
}
