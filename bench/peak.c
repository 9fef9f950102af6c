/* What building an index takes of memory: the estimate beside what the process is seen to hold.
 *
 *     bench_peak ROWS DIM THREADS SPEC...     prints one line of CSV per index
 *
 * Vectors lie in memory and are added in one call. Each index is built in a process of its own, in
 * which a small one was built before, so that threads and libraries have what they need. `held` is
 * what the process has more of after building, `train_peak` and `add_peak` the most that it has had
 * more of meanwhile (resident memory, as Linux counts it); `build_estimate` is of the larger of
 * these, 0 where it is not known. malloc is told to give blocks of 1 MiB and more back when they
 * are freed (M_MMAP_THRESHOLD): by itself it keeps some of them for later, here up to a tenth more.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vindex/vindex.h>

#include "simulated.h"

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "bench_peak: %s\n", vindex_last_error());
    exit(1);
}

/* Bytes of a line of /proc/self/status, "VmRSS:" or "VmHWM:". */
static double status_of(const char *name) {
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) exit(1);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name))) kilobytes = atof(line + strlen(name));
    fclose(file);
    return 1024 * kilobytes;
}

/* From here on VmHWM counts anew. */
static void forget_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file || fputs("5", file) < 0 || fclose(file)) exit(1);
}

static vindex_index *train(const char *spec, const float *vectors, int64_t rows, int64_t dim,
                           const vindex_call *call) {
    vindex_index *index;
    check(vindex_create(spec, dim, VINDEX_L2, &index));
    check(vindex_train(index, vectors, rows, call));
    return index;
}

static void warm(int64_t dim, const float *vectors, const vindex_call *call) {
    enum { FEW = 4096 };
    vindex_index *index = train("IVF16,SQ8", vectors, FEW, dim, call);
    check(vindex_add(index, vectors, FEW, call));
    vindex_free(index);
    malloc_trim(0);
}

static void measure(const char *spec, int64_t rows, int64_t dim, int threads) {
    float *vectors = malloc(sizeof *vectors * (size_t)(rows * dim));
    size_t estimate, building = 0;
    vindex_call call;
    vindex_call_init(&call);
    call.threads = threads;
    check(vindex_memory_estimate(spec, dim, rows, &estimate));
    if (vindex_build_memory_estimate(spec, dim, rows, threads, &building) != VINDEX_OK)
        building = 0;
    if (!vectors || !bench_simulate("clustered", 0, rows, dim, 1, threads, vectors)) exit(1);
    warm(dim, vectors, &call);
    double before = status_of("VmRSS:");
    forget_peak();
    vindex_index *index = train(spec, vectors, rows, dim, &call);
    double train_peak = status_of("VmHWM:") - before;
    forget_peak();
    check(vindex_add(index, vectors, rows, &call));
    double add_peak = status_of("VmHWM:") - before;
    malloc_trim(0);
    double held = status_of("VmRSS:") - before;
    printf("\"%s\",%lld,%lld,%d,%zu,%zu,%zu,%.0f,%.0f,%.0f\n", spec, (long long)rows,
           (long long)dim, threads, estimate, building, vindex_memory(index), held, train_peak,
           add_peak);
    vindex_free(index);
    free(vectors);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: bench_peak ROWS DIM THREADS SPEC...\n");
        return 2;
    }
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    printf("spec,rows,dim,threads,estimate,build_estimate,memory,held,train_peak,add_peak\n");
    for (int i = 4; i < argc; i++) {
        int status;
        fflush(stdout);
        pid_t child = fork();
        if (child < 0) return 1;
        if (!child) {
            measure(argv[i], atoll(argv[1]), atoll(argv[2]), atoi(argv[3]));
            fflush(stdout);
            _exit(0);
        }
        if (waitpid(child, &status, 0) < 0 || status) return 1;
    }
    return 0;
}
