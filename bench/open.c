/* How long an index file takes to open: mapped with checks deferred, then verified, then searched
 * where it lies. Prints one JSON object.
 *
 *     bench_open ROWS DIM FILE     writes FILE (ROWS x DIM float32, simulated), and removes it */
#include <stdio.h>
#include <stdlib.h>

#include <vindex/vindex.h>

#include "memory.h"

enum { AT_ONCE = 10000 };

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "bench_open: %s\n", vindex_last_error());
    exit(1);
}

/* A linear congruence is random enough for numbers whose values do not matter. */
static void fill(float *values, size_t count, uint32_t *state) {
    for (size_t i = 0; i < count; i++) {
        *state = *state * 1664525u + 1013904223u;
        values[i] = (float)(*state >> 8) * 0x1p-24f;
    }
}

static void build(const char *path, int64_t rows, int64_t dim, float *values) {
    vindex_index *index;
    uint32_t state = 1;
    check(vindex_create("Flat", dim, VINDEX_L2, &index));
    for (int64_t done = 0; done < rows; done += AT_ONCE) {
        int64_t count = rows - done < AT_ONCE ? rows - done : AT_ONCE;
        fill(values, (size_t)(count * dim), &state);
        check(vindex_add(index, values, count, NULL));
    }
    check(vindex_save(index, path, NULL));
    vindex_free(index);
}

int main(int argc, char **argv) {
    int64_t rows = argc == 4 ? atoll(argv[1]) : 0, dim = argc == 4 ? atoll(argv[2]) : 0;
    if (rows < 1 || dim < 1) {
        fprintf(stderr, "usage: bench_open ROWS DIM FILE\n");
        return 2;
    }
    float *values = malloc(sizeof(float) * (size_t)dim * AT_ONCE);
    if (!values) return 1;
    build(argv[3], rows, dim, values);

    vindex_index *index;
    double start = bench_clock();
    check(vindex_load(argv[3], VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER, &index));
    double opened = bench_clock() - start;
    start = bench_clock();
    check(vindex_verify(index, NULL));
    double verified = bench_clock() - start;
    int64_t ids[10];
    uint32_t state = 7;
    fill(values, (size_t)dim, &state);
    start = bench_clock();
    check(vindex_search(index, values, 1, NULL, ids, NULL));
    double searched = bench_clock() - start;
    vindex_free(index);
    remove(argv[3]);
    free(values);
    printf("{\"rows\": %lld, \"dim\": %lld, \"gigabytes\": %.2f, \"open_ms\": %.3f, "
           "\"verify_seconds\": %.2f, \"search_ms\": %.1f}\n",
           (long long)rows, (long long)dim, (double)rows * (double)dim * 4e-9, opened * 1e3,
           verified, searched * 1e3);
    return 0;
}
