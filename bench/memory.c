#include "memory.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { PASSES = 5, HUGE_PAGE = 2 << 20 };

double bench_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Two wide sums, which fit the registers of any machine, and a prefetch across page borders: all
 * that a scan could hope for. */
static float read_all(const char *bytes, size_t length) {
    typedef float wide __attribute__((vector_size(64)));
    wide sums[2] = {0};
    const size_t step = sizeof sums;
    for (size_t i = 0; i + step <= length; i += step)
        for (size_t j = 0; j < 2; j++) {
            wide value;
            __builtin_prefetch(bytes + i + j * sizeof value + 4096, 0, 2);
            memcpy(&value, bytes + i + j * sizeof value, sizeof value);
            sums[j] += value;
        }
    float total = 0;
    for (size_t j = 0; j < 2; j++)
        for (size_t l = 0; l < 16; l++) total += sums[j][l];
    return total;
}

double bench_read_gbs(size_t length, int threads) {
    char *bytes;
    if (posix_memalign((void **)&bytes, HUGE_PAGE, length)) return NAN;
    madvise(bytes, length, MADV_HUGEPAGE); /* as vindex's own memory: a hint */
    memset(bytes, 0, length);
    size_t share = length / (size_t)threads / 4096 * 4096;
    double best = INFINITY;
    float total = 0; /* used below, so that no compiler drops the reading */
    for (int pass = 0; pass < PASSES; pass++) {
        double start = bench_clock();
#pragma omp parallel num_threads(threads) reduction(+ : total)
        total += read_all(bytes + share * (size_t)omp_get_thread_num(), share);
        best = fmin(best, bench_clock() - start);
    }
    free(bytes);
    return total == 0 ? (double)share * threads / best / 1e9 : NAN;
}
