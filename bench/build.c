/* How fast indexes are built: whole calls of vindex_add, beside what the memory itself costs.
 *
 *     bench_build ROWS DIM THREADS SPEC...     simulated Re-MOVE-like rows; prints one JSON object
 *
 * Vectors lie in memory. Each index is built and freed some times, one after the other, so that the
 * machine has the memory at hand: a virtual machine may take seconds to lend a gigabyte that was
 * not in use before, which says nothing about an index. `fill` is how long it takes to set as many
 * bytes as the vectors have of memory that is just as fresh. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vindex/eval.h>
#include <vindex/vindex.h>

#include "memory.h"

enum { PASSES = 5, HUGE_PAGE = 2 << 20 };

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "bench_build: %s\n", vindex_last_error());
    exit(1);
}

static float *make_rows(int64_t rows, int64_t dim) {
    float *values = malloc(sizeof *values * (size_t)(rows * dim));
    vindex_simulate_params params;
    vindex_simulator *simulator;
    if (!values) exit(1);
    vindex_simulate_params_init(&params);
    params.model = VINDEX_SIMULATED_RE_MOVE;
    params.dim = dim;
    params.scale = (double)rows / 15000 + 0.01;
    check(vindex_simulator_create(&params, NULL, 0, &simulator));
    check(vindex_simulator_read(simulator, 0, rows, 0, values));
    vindex_simulator_free(simulator);
    return values;
}

/* Seconds to set that many bytes of fresh memory. */
static double fill(size_t bytes) {
    double best = INFINITY;
    for (int pass = 0; pass < PASSES; pass++) {
        void *memory;
        double start = bench_clock();
        if (posix_memalign(&memory, HUGE_PAGE, bytes)) return NAN;
        madvise(memory, bytes, MADV_HUGEPAGE);
        memset(memory, 1, bytes);
        best = fmin(best, bench_clock() - start);
        free(memory);
    }
    return best;
}

static void build(const char *spec, int64_t rows, int64_t dim, int threads, const float *values) {
    double best = INFINITY;
    size_t bytes = 0;
    vindex_call call;
    vindex_call_init(&call);
    call.threads = threads;
    for (int pass = 0; pass < PASSES; pass++) {
        vindex_index *index;
        check(vindex_create(spec, dim, VINDEX_L2, &index));
        double start = bench_clock();
        check(vindex_add(index, values, rows, &call));
        best = fmin(best, bench_clock() - start);
        bytes = vindex_memory(index);
        vindex_free(index);
    }
    double vectors = (double)(rows * dim) * sizeof *values;
    printf("{\"spec\": \"%s\", \"seconds\": %.3f, \"rows_per_second\": %.0f, "
           "\"bytes\": %zu, \"beside_vectors\": %.4f}",
           spec, best, (double)rows / best, bytes, (double)bytes / vectors - 1);
}

int main(int argc, char **argv) {
    const char *core = vindex_blas_advice();
    if (core && setenv("OPENBLAS_CORETYPE", core, 1) == 0) execv("/proc/self/exe", argv);
    int64_t rows = argc > 4 ? atoll(argv[1]) : 0, dim = argc > 4 ? atoll(argv[2]) : 0;
    int threads = argc > 4 ? atoi(argv[3]) : 0;
    if (rows < 1 || dim < 1 || threads < 1) {
        fprintf(stderr, "usage: bench_build ROWS DIM THREADS SPEC...\n");
        return 2;
    }
    float *values = make_rows(rows, dim);
    printf("{\"rows\": %lld, \"dim\": %lld, \"threads\": %d, \"fill_seconds\": %.3f, \"builds\": [",
           (long long)rows, (long long)dim, threads, fill(sizeof *values * (size_t)(rows * dim)));
    for (int i = 4; i < argc; i++) {
        printf("%s", i > 4 ? ", " : "");
        build(argv[i], rows, dim, threads, values);
    }
    printf("]}\n");
    free(values);
    return 0;
}
