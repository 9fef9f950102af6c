/* Every row of a batch compared with every other, and the way back: from slopes of the comparisons
 * to slopes of the rows. */
#ifndef VX_TRANSFORM_PAIRS_H
#define VX_TRANSFORM_PAIRS_H

#include "core/base.h"

typedef enum vx_geometry {
    VX_MEAN_SQUARE,      /* |v - w|^2 / d */
    VX_ROOT_MEAN_SQUARE, /* |v - w| / sqrt(d) */
    VX_EUCLIDEAN,        /* |v - w| */
    VX_CORRELATION,      /* cosine similarity */
    VX_CENTRED           /* Pearson's correlation: cosine of v, w less their means */
} vx_geometry;

/* Rows to compare, and scratch memory. */
typedef struct vx_pairs {
    vx_geometry geometry;
    const float *rows; /* n x dim */
    size_t n, dim;
    float *units, *spare; /* n x dim each; only for the two correlations */
    float *lengths;       /* n; likewise */
    int threads;
} vx_pairs;

/* Fills the n x n matrix of comparisons; its diagonal is of no meaning. */
void vx_pairs_compare(const vx_pairs *pairs, float *matrix);

/* Adds to slope (n x dim) what the slopes of the comparisons (n x n, diagonal 0) come to. `matrix`
 * is what vx_pairs_compare filled, `slopes` is used up. */
void vx_pairs_back(const vx_pairs *pairs, const float *matrix, float *slopes, float *slope);

/* Rows as units of length 1 (less their mean first, when centred), and how long they were. A row of
 * length 0 becomes 0. */
typedef struct vx_units {
    const float *rows; /* n x dim */
    size_t n, dim;
    bool centred;
    float *units, *lengths; /* n x dim, n */
    int threads;
} vx_units;

void vx_units_make(const vx_units *units);

/* Adds to slope (n x dim) what slopes of the units come to. */
void vx_units_back(const vx_units *units, const float *unit_slope, float *slope);

/* How many threads are worth waking for so many numbers: one when they are few. */
static inline int vx_team(int threads, size_t numbers) {
    return numbers < 1 << 16 ? 1 : threads;
}

/* Sum of products, of squares; in double precision. */
double vx_dot(const float *a, const float *b, size_t dim);

#endif
