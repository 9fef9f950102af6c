/* How fast each kernel runs at each level, beside what the machine can do. */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <stddef.h>

#include <vindex/types.h>

/* What the memory and the arithmetic units gave in this very run. */
typedef struct bench_machine {
    double read_gbs;     /* GB/s that one thread reads from memory */
    double read_all_gbs; /* that `threads` threads read together */
    int threads;
    double peak_gflops; /* multiply-adds on registers, best level, one thread */
} bench_machine;

typedef struct bench_row {
    const char *kernel, *level, *dtype;
    double gbs;    /* GB of stored numbers per second; 0 where it is not the measure */
    double gflops; /* 10^9 floating-point operations per second */
    double share;  /* of read_gbs, or of this level's own peak */
} bench_row;

typedef struct bench_options {
    size_t dim;
    size_t bytes; /* of rows to scan, far more than the caches hold */
    int threads;  /* for read_all_gbs */
    vindex_progress_fn progress;
    void *progress_context;
} bench_options;

enum { BENCH_ROWS = 64 };

/* Measures all; fills up to BENCH_ROWS rows. Answers how many, or 0 when memory is out or the
 * caller cancelled (vindex_last_error says which). One thread at a time unless said. */
size_t bench_kernels(const bench_options *options, bench_machine *machine, bench_row *rows);

#endif
