/* Filter keys as a search computes them: scans for a few queries, tiles for many. */
#ifndef TESTS_EXACT_FILTERING_H
#define TESTS_EXACT_FILTERING_H

#include <math.h>
#include <string.h>

#include "../harness.h"
#include "../vectors.h"
#include "exact/bound.h"
#include "exact/group.h"

/* A group of queries before rows, all filter keys computed. */
typedef struct filtering {
    vx_space space;
    size_t rows, queries;
    char *stored;
    float *aux, largest_aux;
    vx_group group;
    float *keys;   /* queries x rows: filter keys */
    double *truth; /* queries x rows: settled keys */
} filtering;

static inline void filter_by_scans(filtering *f) {
    const vx_kernels *kernels = f->group.kernels;
    bool l2 = f->space.metric == VINDEX_L2;
    for (size_t q = 0; q < f->queries; q++) {
        float *keys = f->keys + q * f->rows;
        (l2 ? kernels->scan_l2 : kernels->scan_ip)[f->space.dtype](
            f->group.single + q * f->group.padded, f->stored, vx_space_stride(&f->space), f->rows,
            f->space.dim, keys);
        for (size_t r = 0; r < f->rows && f->space.metric >= VINDEX_COSINE; r++)
            keys[r] *= f->aux[r];
    }
}

/* One tile of rows against one panel of queries, slice by slice. */
static inline void filter_tile(const filtering *f, size_t panel, size_t first_row, size_t count,
                               float *out) {
    const vx_kernels *kernels = f->group.kernels;
    float aux[VX_TILE_ROWS] = {0};
    memcpy(aux, f->aux + first_row, count * sizeof *aux);
    float *packed = malloc(VX_SLICE * kernels->tile_rows * sizeof *packed);
    size_t stride = vx_space_stride(&f->space), dim = f->space.dim;
    for (size_t first = 0; first < dim; first += VX_SLICE) {
        size_t depth = VX_MIN(dim - first, (size_t)VX_SLICE);
        kernels->pack[f->space.dtype](f->stored + first_row * stride, stride, count, first, depth,
                                      kernels->tile_rows, packed);
        vx_tile tile = {packed, vx_group_panel(&f->group, panel, first, depth), depth,
                        first ? out : NULL, kernels->tile_rows};
        if (first + depth < dim)
            kernels->tile_sums(&tile, out);
        else
            kernels->tile_keys(&tile, vx_group_scale(&f->group, aux), vx_group_bias(&f->group, aux),
                               out);
    }
    free(packed);
}

static inline void filter_by_tiles(filtering *f) {
    size_t height = f->group.kernels->tile_rows, width = f->group.kernels->tile_queries;
    float out[VX_TILE_QUERIES * VX_TILE_ROWS];
    for (size_t p = 0; p < f->group.panels; p++)
        for (size_t start = 0; start < f->rows; start += height) {
            size_t count = VX_MIN(height, f->rows - start);
            filter_tile(f, p, start, count, out);
            for (size_t q = p * width; q < VX_MIN((p + 1) * width, f->queries); q++)
                memcpy(f->keys + q * f->rows + start, out + (q - p * width) * height,
                       count * sizeof *out);
        }
}

/* The rows of that set against `queries` queries of its kind. */
static inline filtering filtering_make(const vectors *set, vindex_metric metric, size_t queries) {
    filtering f = {
        .space = {metric, set->dtype, set->dim, NULL}, .rows = set->count, .queries = queries};
    vectors asked = *set;
    asked.queries = true;
    asked.count = queries;
    float *rows = vectors_make(set), *numbers = vectors_make(&asked);
    ck_ok(vx_group_create(&f.space, queries, false, &f.group));
    ck_ok(vx_group_load(&f.group, numbers, queries, 1));
    size_t stride = vx_space_stride(&f.space);
    f.stored = malloc(f.rows * stride + 1);
    f.aux = malloc((f.rows + 1) * sizeof *f.aux);
    f.keys = malloc((f.rows * queries + 1) * sizeof *f.keys);
    f.truth = malloc((f.rows * queries + 1) * sizeof *f.truth);
    f.group.kernels->narrow[set->dtype](rows, f.rows * set->dim, f.stored);
    vx_aux_fill(&f.space, f.group.kernels, f.stored, f.rows, f.aux);
    f.largest_aux = vx_aux_largest(f.aux, f.rows);
    if (f.group.panels)
        filter_by_tiles(&f);
    else
        filter_by_scans(&f);
    for (size_t q = 0; q < queries; q++)
        for (size_t r = 0; r < f.rows; r++)
            f.truth[q * f.rows + r] = vx_group_settle(&f.group, q, f.stored + r * stride);
    free(rows);
    free(numbers);
    return f;
}

static inline vx_pass filtering_pass(const filtering *f) {
    return f->group.panels ? VX_PASS_TILE : VX_PASS_SCAN;
}

static inline void filtering_free(filtering *f) {
    vx_group_free(&f->group);
    free(f->stored);
    free(f->aux);
    free(f->keys);
    free(f->truth);
}

#endif
