/* What the tests of readers share: fixtures, and files read whole. */
#ifndef TESTS_IO_FILES_H
#define TESTS_IO_FILES_H

#include <math.h>
#include <string.h>

#include <vindex/io.h>

#include "../core/scratch.h"
#include "../harness.h"
#include "io/test_paths.h" /* made by the build */

/* Real files, where they are at hand. */
enum { SKIPPED = 77 };

static inline const char *folder(void) {
    const char *given = getenv("VINDEX_SHARED_DATA");
    return given ? given : SHARED_DATA;
}

static inline const char *data_path(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    return path;
}

/* The path of a committed fixture; valid until the next call. */
static inline const char *fixture(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", FIXTURES, name);
    return path;
}

/* Number k of the 5 x 3 arrays of that kind (f, i or u), as `values` of make_fixtures.py. */
static inline float fixture_value(char kind, int k) {
    return kind == 'f' ? (float)k * 0.25f - 1.5f : (float)(kind == 'i' ? 3 * k - 7 : 3 * k);
}

/* Options that ask for a member. */
static inline const vindex_embeddings_options *by_key(const char *key) {
    static vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.key = key;
    return &options;
}

/* All rows of a file, to be freed; it must have that shape. */
static inline float *read_all(const char *path, const vindex_embeddings_options *options,
                              int64_t rows, int64_t dim) {
    vindex_embeddings *file;
    vindex_embeddings_info info;
    ck_ok(vindex_embeddings_open(path, options, &file));
    vindex_embeddings_describe(file, &info);
    ck_assert_int_eq(info.rows, rows);
    ck_assert_int_eq(info.dim, dim);
    float *vectors = malloc((size_t)(rows * dim + 1) * sizeof *vectors);
    ck_assert_ptr_nonnull(vectors);
    vectors[rows * dim] = 12345;
    ck_ok(vindex_embeddings_read(file, 0, rows, vectors));
    ck_assert_msg(vectors[rows * dim] == 12345, "%s: written behind the end", path);
    vindex_embeddings_close(file);
    return vectors;
}

/* Opens a file and reads all its rows; answers the first failure. */
static inline vindex_status try_all(const char *path, const vindex_embeddings_options *options) {
    vindex_embeddings *file;
    vindex_embeddings_info info;
    vindex_status status = vindex_embeddings_open(path, options, &file);
    if (status != VINDEX_OK) return status;
    vindex_embeddings_describe(file, &info);
    float *vectors = malloc((size_t)(info.rows * info.dim) * sizeof *vectors + 1);
    ck_assert_ptr_nonnull(vectors);
    status = vindex_embeddings_read(file, 0, info.rows, vectors);
    free(vectors);
    vindex_embeddings_close(file);
    return status;
}

/* The file must hold exactly these numbers; NaN equals NaN. */
static inline void expect_rows(const char *path, const vindex_embeddings_options *options,
                               int64_t rows, int64_t dim, const float *expected) {
    float *found = read_all(path, options, rows, dim);
    for (int64_t i = 0; i < rows * dim; i++)
        ck_assert_msg(found[i] == expected[i] || (isnan(found[i]) && isnan(expected[i])),
                      "%s: number %lld is %.9g, expected %.9g", path, (long long)i,
                      (double)found[i], (double)expected[i]);
    free(found);
}

/* Writes a file anew: to overwrite one is slow on file systems that then flush it. */
static inline void write_anew(const char *name, const void *bytes, size_t length) {
    remove(scratch_path(name));
    scratch_write(name, bytes, length);
}

/* A text file in the scratch folder; answers its path. */
static inline const char *text_file(const char *name, const char *text) {
    scratch_write(name, text, strlen(text));
    return scratch_path(name);
}

#endif
