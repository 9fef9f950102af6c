/* How fast a projection is applied, beside OpenBLAS's product of the same matrices. Prints one JSON
 * object.
 *
 *     bench_project ROWS IN OUT     simulated Gaussian weights, numbers whose values do not matter
 */
#define _GNU_SOURCE
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <vindex/vindex.h>

#include "memory.h"

enum { PASSES = 3, QUERIES = 50 };

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "bench_project: %s\n", vindex_last_error());
    exit(1);
}

static void fill(float *values, size_t count, uint32_t state) {
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
}

typedef struct work {
    int64_t rows, in, out;
    float *x, *w, *y;
    vindex_transform *transform;
} work;

/* GFLOP/s of y = x W^T, the best of some passes. */
static double sgemm_rate(const work *k, int threads) {
    double best = 0;
    openblas_set_num_threads(threads);
    for (int pass = 0; pass < PASSES; pass++) {
        double start = bench_clock();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)k->rows, (blasint)k->out,
                    (blasint)k->in, 1, k->x, (blasint)k->in, k->w, (blasint)k->in, 0, k->y,
                    (blasint)k->out);
        double rate =
            2e-9 * (double)k->rows * (double)k->in * (double)k->out / (bench_clock() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

static double apply_rate(const work *k, int threads) {
    double best = 0;
    vindex_call call;
    vindex_call_init(&call);
    call.threads = threads;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = bench_clock();
        check(vindex_transform_apply(k->transform, k->x, k->rows, k->y, &call));
        double rate =
            2e-9 * (double)k->rows * (double)k->in * (double)k->out / (bench_clock() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* Milliseconds to project one query, on average. */
static double query_ms(const work *k, int threads) {
    vindex_call call;
    vindex_call_init(&call);
    call.threads = threads;
    int64_t count = k->rows < QUERIES ? k->rows : QUERIES;
    double start = bench_clock();
    for (int64_t i = 0; i < count; i++)
        check(vindex_transform_apply(k->transform, k->x + i * k->in, 1, k->y, &call));
    return (bench_clock() - start) * 1e3 / (double)count;
}

int main(int argc, char **argv) {
    const char *core = vindex_blas_advice();
    if (core && setenv("OPENBLAS_CORETYPE", core, 1) == 0) execv("/proc/self/exe", argv);
    work k = {0};
    if (argc == 4) k.rows = atoll(argv[1]), k.in = atoll(argv[2]), k.out = atoll(argv[3]);
    if (k.rows < 1 || k.in < 1 || k.out < 1) {
        fprintf(stderr, "usage: bench_project ROWS IN OUT\n");
        return 2;
    }
    k.x = malloc(sizeof(float) * (size_t)(k.rows * k.in));
    k.w = malloc(sizeof(float) * (size_t)(k.out * k.in));
    k.y = malloc(sizeof(float) * (size_t)(k.rows * k.out));
    if (!k.x || !k.w || !k.y) return 1;
    fill(k.x, (size_t)(k.rows * k.in), 1);
    fill(k.w, (size_t)(k.out * k.in), 2);
    check(vindex_transform_affine("bench", k.in, k.out, k.w, NULL, &k.transform));
    int all = (int)sysconf(_SC_NPROCESSORS_ONLN);
    printf("{\"rows\": %lld, \"in\": %lld, \"out\": %lld, \"blas_core\": \"%s\", \"threads\": %d",
           (long long)k.rows, (long long)k.in, (long long)k.out, openblas_get_corename(), all);
    printf(", \"sgemm_gflops\": %.1f, \"sgemm_gflops_all\": %.1f", sgemm_rate(&k, 1),
           sgemm_rate(&k, all));
    printf(", \"apply_gflops\": %.1f, \"apply_gflops_all\": %.1f", apply_rate(&k, 1),
           apply_rate(&k, all));
    printf(", \"query_ms\": %.3f, \"query_ms_all\": %.3f}\n", query_ms(&k, 1), query_ms(&k, all));
    vindex_transform_free(k.transform);
    free(k.x);
    free(k.w);
    free(k.y);
    return 0;
}
