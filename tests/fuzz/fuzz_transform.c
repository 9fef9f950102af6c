/* Any bytes as a model file. What opens must apply, describe itself, be copied, chained and saved.
 * The first byte of the input says what to make right before. */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vindex/vindex.h>

#include "fuzz_input.h"
#include "signing.h"

enum { MOST = 1 << 16, DIM_MOST = 4096, ROWS = 3 };

static void demand(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "fuzz_transform: %s; %s\n", what, vindex_last_error());
    abort();
}

static void look(const vindex_transform *transform) {
    for (int64_t i = 0; i < vindex_transform_step_count(transform); i++) {
        vindex_transform_step step;
        vindex_transform_fact fact;
        demand(vindex_transform_describe(transform, i, &step) == VINDEX_OK, "describe");
        for (int64_t f = 0; f < step.fact_count; f++) {
            demand(vindex_transform_fact_at(transform, i, f, &fact) == VINDEX_OK, "fact");
            volatile double last = fact.count ? fact.values[fact.count - 1] : 0;
            (void)last;
        }
    }
}

/* The copy does what the original does. */
static void use(vindex_transform *transform) {
    size_t in = (size_t)vindex_transform_input_dim(transform);
    size_t out = (size_t)vindex_transform_output_dim(transform);
    look(transform);
    if (in > DIM_MOST || out > DIM_MOST) return;
    float *rows = calloc(ROWS * in, sizeof *rows);
    float *results[2] = {calloc(ROWS * out, sizeof(float)), calloc(ROWS * out, sizeof(float))};
    for (size_t i = 0; i < ROWS * in; i++) rows[i] = (float)(i * i % 7) - 3;
    vindex_transform *copy;
    demand(vindex_transform_copy(transform, &copy) == VINDEX_OK, "copy");
    vindex_status first = vindex_transform_apply(transform, rows, ROWS, results[0], NULL);
    vindex_status second = vindex_transform_apply(copy, rows, ROWS, results[1], NULL);
    demand(first == second, "a copy answers otherwise");
    demand(first || !memcmp(results[0], results[1], ROWS * out * sizeof(float)),
           "a copy gives other numbers");
    if (in == out) vindex_transform_append(transform, copy);
    vindex_transform_free(copy);
    free(rows);
    free(results[0]);
    free(results[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static unsigned char file[MOST];
    if (size < 1 || size > MOST) return 0;
    size--;
    memcpy(file, data + 1, size);
    sign_container(data[0], VX_KIND_TRANSFORM, file, size);
    char path[64];
    int fd = memfd_create("transform", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, file, size) != (ssize_t)size) abort();
    vindex_transform *transform;
    if (vindex_transform_load(path, &transform) == VINDEX_OK) {
        use(transform);
        vindex_transform_free(transform);
    } else {
        demand(*vindex_last_error(), "a failure without a sentence");
    }
    close(fd);
    return 0;
}
