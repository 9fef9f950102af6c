/* Simulated vectors that benchmarks of recall run on. */
#ifndef BENCH_SIMULATED_H
#define BENCH_SIMULATED_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What sets are called, separated by a bar: "clustered|sift-like". clustered: 1,000 clusters whose
 * centres and spread both have variances that fall as i^-0.7 along random axes, which makes near
 * neighbours hard to tell from others. sift-like: whole numbers from 0 to 128, half of them 0, of
 * clusters whose variances fall as i^-1.2, an easier set of low intrinsic dimension. */
extern const char bench_simulated_names[];

/* Whether there is a set of that name. */
int bench_simulated_known(const char *name);

/* Fills rows (count x dim) with vectors first ... first+count-1 of a set: the same on any number of
 * threads (0: every core). Answers 0 when memory is out or the name is not known. */
int bench_simulate(const char *name, int64_t first, int64_t count, int64_t dim, uint64_t seed,
                   int threads, float *rows);

#ifdef __cplusplus
}
#endif
#endif
