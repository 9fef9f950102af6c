/* Files in memory for readers that take paths, and what must hold whatever an open file holds. */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz_input.h"

#include "io/format.h"

#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void demand(bool holds) {
    if (!holds) abort();
}

int fuzz_file(const uint8_t *data, size_t size, char path[FUZZ_PATH]) {
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    demand(file >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t wrote = write(file, data + done, size - done);
        demand(wrote > 0);
        done += (size_t)wrote;
    }
    snprintf(path, FUZZ_PATH, "/proc/self/fd/%d", file);
    return file;
}

/* Reads a few rows at a time, as far as is worth a fuzzer's time. */
static void read_rows(const vindex_embeddings *file, const vindex_embeddings_info *info) {
    enum { ENOUGH = 1 << 16 };
    if (info->dim > ENOUGH) return;
    int64_t most = ENOUGH / info->dim, rows = VX_MIN(info->rows, most);
    float *vectors = malloc((size_t)(rows * info->dim) * sizeof *vectors + 1);
    demand(vectors != NULL);
    vindex_status whole = vindex_embeddings_read(file, 0, rows, vectors);
    bool failed = false;
    for (int64_t row = 0; row < rows && row < 64; row++) {
        float *one = malloc((size_t)info->dim * sizeof *one);
        demand(one != NULL);
        vindex_status status = vindex_embeddings_read(file, row, 1, one);
        failed |= status != VINDEX_OK;
        /* The same numbers whichever way they are read; NaN may differ in what no one looks at. */
        for (int64_t i = 0; i < info->dim && status == VINDEX_OK && whole == VINDEX_OK; i++) {
            float other = vectors[row * info->dim + i];
            demand(one[i] == other || (isnan(one[i]) && isnan(other)));
        }
        free(one);
    }
    demand(whole != VINDEX_OK || !failed);
    if (info->rows > rows) {
        vindex_status last = vindex_embeddings_read(file, info->rows - rows, rows, vectors);
        demand(last == VINDEX_OK || *vindex_last_error());
    }
    demand(vindex_embeddings_read(file, info->rows, 1, vectors) == VINDEX_ERR_ARGUMENT);
    free(vectors);
}

/* Opens a path through every function an open file has. */
static void open_path(const char *path, const char *format,
                      const vindex_embeddings_options *options) {
    vindex_embeddings *file;
    if (vx_embeddings_open_as(path, vx_format_named(format), options, &file) == VINDEX_OK) {
        vindex_embeddings_info info;
        vindex_embeddings_describe(file, &info);
        demand(info.rows >= 0 && info.dim > 0 && vindex_dtype_size(info.dtype) > 0);
        read_rows(file, &info);
        for (int64_t row = 0; row <= info.rows && row < 1000; row++) {
            demand((vindex_embeddings_id(file, row) != NULL) == (info.has_ids && row < info.rows));
            demand((vindex_embeddings_label(file, row) != NULL) ==
                   (info.has_labels && row < info.rows));
        }
        vindex_labels labels;
        if (vindex_embeddings_labels(file, &labels) == VINDEX_OK) {
            demand(labels.count == info.rows);
            vindex_labels_free(&labels);
        }
        vindex_embeddings_close(file);
    } else {
        demand(*vindex_last_error());
    }
}

void fuzz_embeddings(const uint8_t *data, size_t size, const char *format, const char *id_column,
                     const char *label_column) {
    char path[FUZZ_PATH];
    int fd = fuzz_file(data, size, path);
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.id_column = id_column;
    options.label_column = label_column;
    open_path(path, format, &options);
    close(fd);
}

/* A member by its key: as what it was said to be, it must open. */
static void open_member(const char *path, const char *format, const vindex_member *member) {
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.key = member->key;
    demand(member->rows >= 0 && member->dim >= 0 && *member->kind);
    open_path(path, format, &options);
    vindex_labels_options labels_options;
    vindex_labels_options_init(&labels_options);
    labels_options.key = member->key;
    vindex_labels labels;
    vindex_status status = vx_labels_as(path, vx_format_named(format), &labels_options, &labels);
    if (status == VINDEX_OK) vindex_labels_free(&labels);
}

void fuzz_container(const uint8_t *data, size_t size, const char *format) {
    enum { MEMBERS = 8 };
    char path[FUZZ_PATH];
    int fd = fuzz_file(data, size, path);
    open_path(path, format, NULL);
    vindex_members members;
    if (vx_members_as(path, vx_format_named(format), &members) == VINDEX_OK) {
        for (int64_t i = 0; i < members.count && i < MEMBERS; i++)
            open_member(path, format, &members.items[i]);
        vindex_members_free(&members);
    }
    vindex_labels labels;
    if (vx_labels_as(path, vx_format_named(format), NULL, &labels) == VINDEX_OK)
        vindex_labels_free(&labels);
    close(fd);
}
