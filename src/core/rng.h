/* Random numbers that are the same bits on every machine: integer arithmetic, and logarithm and
 * exponential made of IEEE basic operations alone. */
#ifndef VX_CORE_RNG_H
#define VX_CORE_RNG_H

#include "base.h"

/* xoshiro256** of Blackman and Vigna, seeded through splitmix64. */
typedef struct vx_rng {
    uint64_t state[4];
} vx_rng;

/* A generator for (seed, stream); different streams are independent, so that row i of a simulated
 * set can be made without rows 0 ... i-1. */
VX_SHARED vx_rng vx_rng_seed(uint64_t seed, uint64_t stream);

VX_SHARED uint64_t vx_rng_next(vx_rng *rng);
VX_SHARED double vx_rng_uniform(vx_rng *rng); /* [0, 1) with 53 bits */
VX_SHARED uint64_t vx_rng_below(vx_rng *rng,
                                uint64_t bound); /* 0 ... bound-1, unbiased; bound > 0 */
VX_SHARED double vx_rng_normal(vx_rng *rng);     /* mean 0, variance 1 */

/* Natural logarithm (x > 0, normal) and exponential (|x| < 700), within about 2 ulp. */
VX_SHARED double vx_log(double x);
VX_SHARED double vx_exp(double x);

#endif
