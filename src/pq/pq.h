/* Product quantization (Jegou, Douze and Schmid, Product quantization for nearest neighbor search,
 * 2011): a vector is cut into parts, and each part is replaced by the nearest of 16, 64 or 256
 * codewords learnt for it, so that the vector becomes a few bits per part. */
#ifndef VX_PQ_PQ_H
#define VX_PQ_PQ_H

#include <vindex/transform.h>

#include "simd/kernels.h"

enum {
    VX_PQ_PARTS_MOST = 4096,
    VX_PQ_WIDTH_MOST = 4096,      /* numbers per part */
    VX_PQ_POINTS_EACH = 256,      /* training vectors per codeword; the rest is left out, */
    VX_PQ_POINTS_LEAST = 1 << 14, /* but not where there are few codewords */
    VX_PQ_ITERATIONS = 25,
    VX_PQ_RERANK = 10 /* candidates per neighbour before a finer form */
};

typedef struct vx_pq {
    vx_pq_book book;
    const vx_kernels *kernels;
    float *words;   /* parts x codes x width; all zero until trained */
    double longest; /* no decoded vector is longer */
    void *memory;
} vx_pq;

/* VINDEX_ERR_ARGUMENT where dim is not a multiple of parts, or bits not 4, 6 or 8; the error lists
 * numbers of parts that fit. */
vindex_status vx_pq_check(const vx_pq_shape *shape);
vindex_status vx_pq_create(const vx_pq_shape *shape, vx_pq **pq);
void vx_pq_free(vx_pq *pq); /* NULL is fine */

/* Bytes a quantizer takes, and those of codes of that many rows, whole groups. */
size_t vx_pq_memory(const vx_pq_shape *shape);
size_t vx_pq_bytes(const vx_pq_shape *shape, size_t rows);
/* Training vectors that are of use. */
static inline size_t vx_pq_useful(const vx_pq_shape *shape) {
    return VX_MAX(vx_pq_codes(shape) * VX_PQ_POINTS_EACH, (size_t)VX_PQ_POINTS_LEAST);
}
/* Bytes of a query's table, as numbers and as bytes. */
size_t vx_pq_table_bytes(const vx_pq_shape *shape);

/* Makes a part ready after its words changed. */
void vx_pq_refresh(vx_pq *pq, size_t part);
/* Makes all of it ready. */
void vx_pq_refresh_all(vx_pq *pq);

/* A vector as it is to be encoded: (v - mean) scale - centre. */
typedef struct vx_pq_view {
    const float *vector;
    const float *centre; /* NULL: zero */
    double mean, scale;
} vx_pq_view;

/* The nearest codeword of each part, ties to the smaller number: the same on every machine. */
unsigned char vx_pq_encode_part(const vx_pq *pq, size_t part, const float *x);
void vx_pq_encode(const vx_pq *pq, const vx_pq_view *view, unsigned char *codes);
/* Codeword by codeword. */
void vx_pq_decode(const vx_pq *pq, const unsigned char *codes, float *vector);

/* Bytes from a line of a row to its next one. */
static inline size_t vx_pq_step(const vx_pq_shape *shape) {
    return shape->alone ? 4 : VX_CODE_LINE;
}
/* The first byte of row `at`. */
static inline const unsigned char *vx_pq_row(const vx_pq_shape *shape, const unsigned char *groups,
                                             size_t at) {
    if (shape->alone) return groups + at * vx_pq_lines(shape) * 4;
    return groups + at / VX_CODE_ROWS * vx_pq_lines(shape) * VX_CODE_LINE + at % VX_CODE_ROWS * 4;
}
/* The codes of row `at` into its place among groups, and back. */
void vx_pq_put(const vx_pq_shape *shape, unsigned char *groups, size_t at,
               const unsigned char *codes);
void vx_pq_get(const vx_pq_shape *shape, const unsigned char *groups, size_t at,
               unsigned char *codes);

typedef struct vx_pq_training {
    const float *points; /* count x dim, finite */
    size_t count;
    uint64_t seed;
    size_t iterations;
    bool resume; /* from the words that are there, not from a sample of the points */
    int threads; /* resolved */
    vindex_progress_fn progress;
    void *progress_context;
} vx_pq_training;

/* Learns the words: k-means for every part. *loss (may be NULL) receives the mean squared distance
 * of the points to their codewords, after the last step. VINDEX_ERR_DATA: fewer points than
 * codewords; VINDEX_ERR_CANCELLED: progress, told part by part, wanted no more, and the words are
 * of no use. The result does not depend on the number of threads. */
vindex_status vx_pq_train(vx_pq *pq, const vx_pq_training *training, double *loss);

#endif
