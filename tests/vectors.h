/* Vectors of many kinds, those that break shortcuts above all. */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vindex/types.h>

typedef enum vectors_kind {
    VECTORS_UNIFORM,
    VECTORS_NORMAL,
    VECTORS_CLUSTERED,
    VECTORS_ONE_HOT,
    VECTORS_WHOLE,    /* small whole numbers */
    VECTORS_NEAR,     /* one vector, last bits apart; every other query is unlike it */
    VECTORS_TIED,     /* a handful of different vectors */
    VECTORS_DENORMAL, /* below the normal range of the storage type */
    VECTORS_NORMS,    /* lengths over all that the storage type holds */
    VECTORS_CONSTANT, /* zero vectors, constant vectors, constant dimensions */
    VECTORS_OFFSET,   /* far from the origin: mean 10,000, spread 1 */
    VECTORS_FAR,      /* queries from elsewhere than the rows */
    VECTORS_CANCEL,   /* large products that cancel */
    VECTORS_DRIFT,    /* one rounding error over and over, so that they add up */
    VECTORS_KINDS
} vectors_kind;

/* One set of vectors. */
typedef struct vectors {
    vectors_kind kind;
    vindex_dtype dtype; /* every number fits it, and those of rows are rounded to it */
    size_t count, dim;
    uint64_t seed;
    bool queries; /* rows and queries of one seed belong together */
} vectors;

const char *vectors_name(vectors_kind kind);

/* count x dim numbers, to be freed. */
float *vectors_make(const vectors *set);

/* Whether sums over products of such numbers have no rounding at all. */
bool vectors_exact(vectors_kind kind);

#endif
