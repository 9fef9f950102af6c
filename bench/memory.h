/* How fast this machine reads memory, which is what an exact scan is measured against. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* GB/s that `threads` threads together read from `length` bytes of their own, best of five passes;
 * NaN when there is no memory. The length should be far more than the caches hold. */
double bench_read_gbs(size_t length, int threads);

/* Seconds on a clock that only goes forward. */
double bench_clock(void);

#ifdef __cplusplus
}
#endif
#endif
