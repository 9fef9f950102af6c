/* The arithmetic of vindex: one table of functions per instruction set, chosen at run time.
 *
 * Two kinds of kernel live here. *Filter* kernels work in single precision, in whatever order is
 * fastest on a machine; their rounding error is bounded (exact/bound.h), not fixed. *Settle*
 * kernels work in double precision over eight fixed lanes without fused operations, and give the
 * same bits on every machine. The bodies are written once (bodies.inc) over a few lane operations
 * (lanes_*.h). */
#ifndef VX_SIMD_KERNELS_H
#define VX_SIMD_KERNELS_H

#include "core/base.h"

/* Storage types with kernels: VINDEX_F32, VINDEX_F16, VINDEX_BF16, by their numbers. */
enum { VX_STORED_TYPES = 3 };

enum {
    VX_PAD = 64,         /* query vectors are zero-padded to a multiple of this many numbers */
    VX_TILE_ROWS = 32,   /* the most rows of a tile on any machine */
    VX_TILE_QUERIES = 12 /* the most queries of a tile on any machine */
};

/* dim rounded up to the padding of query vectors. */
static inline size_t vx_padded(size_t dim) {
    return (dim + VX_PAD - 1) / VX_PAD * VX_PAD;
}

/* One tile of a batch: sums[q][r] = sum over depth of queries[.][q] * rows[.][r], plus what earlier
 * slices of the dimensions left in `sums`. */
typedef struct vx_tile {
    const float *rows;    /* depth x tile_rows, packed by pack */
    const float *queries; /* depth x tile_queries, packed likewise */
    size_t depth;
    const float *sums; /* tile_queries x stride: the sums so far; NULL: none */
    size_t stride;
} vx_tile;

typedef struct vx_products {
    double dot, square;
} vx_products;

typedef struct vx_kernels {
    const char *name;
    size_t tile_rows, tile_queries;

    /* Filter, one query against count rows, `stride` bytes apart: squared L2, and inner product.
     * The query is padded; rows are not. */
    void (*scan_l2[VX_STORED_TYPES])(const float *query, const void *rows, size_t stride,
                                     size_t count, size_t dim, float *keys);
    void (*scan_ip[VX_STORED_TYPES])(const float *query, const void *rows, size_t stride,
                                     size_t count, size_t dim, float *keys);

    /* The positions i < count with !(keys[i] * scale[i] > limit), so that NaN passes; scale
     * NULL: 1. Answers how many were written to positions. */
    size_t (*select)(const float *keys, const float *scale, size_t count, float limit,
                     uint32_t *positions);

    /* Dimensions first ... first+depth-1 of count rows, transposed to depth x width, width being
     * tile_rows (or tile_queries for queries); missing rows are zero. */
    void (*pack[VX_STORED_TYPES])(const void *rows, size_t stride, size_t count, size_t first,
                                  size_t depth, size_t width, float *packed);

    /* Filter, a batch tile. tile_sums stores the sums to out (tile_queries x stride). tile_keys
     * stores sums * scale[r] + bias[r]. tile_select keeps those keys in registers: bit r of
     * masks[q] is set when !(key > limits[q]); it answers whether any is. */
    void (*tile_sums)(const vx_tile *tile, float *out);
    void (*tile_keys)(const vx_tile *tile, const float *scale, const float *bias, float *out);
    bool (*tile_select)(const vx_tile *tile, const float *scale, const float *bias,
                        const float *limits, uint32_t *masks);

    /* How many keys are below low, and how many are neither below low nor above high (NaN
     * included). */
    void (*count)(const float *keys, size_t count, float low, float high, size_t *below,
                  size_t *within);

    /* Settle, one row. Queries are double, padded with zeros; weights (likewise) may be NULL.
     * settle_l2: sum w (q - x)^2. settle_products: sum w q (x - shift), 0 where the query is NULL,
     * and sum w (x - shift)^2. settle_sum: sum w (x - shift). */
    double (*settle_l2[VX_STORED_TYPES])(const double *query, const double *weights,
                                         const void *row, size_t dim);
    vx_products (*settle_products[VX_STORED_TYPES])(const double *query, const double *weights,
                                                    const void *row, size_t dim, double shift);
    double (*settle_sum[VX_STORED_TYPES])(const double *weights, const void *row, size_t dim,
                                          double shift);

    /* Storage: n float32 to n stored numbers, round to nearest even, and back, exactly. */
    void (*narrow[VX_STORED_TYPES])(const float *values, size_t n, void *stored);
    void (*widen[VX_STORED_TYPES])(const void *stored, size_t n, float *values);

    /* y[j] += a * x[j], one product and one sum rounded apart: the same bits on every machine. */
    void (*axpy)(float a, const float *x, float *y, size_t n);

    /* For benchmarks: `steps` rounds of independent multiply-adds that never leave the registers;
     * answers how many floating-point operations they were. sink receives a value that depends on
     * all. */
    double (*peak)(size_t steps, float *sink);
} vx_kernels;

/* The table for this machine, or the one VINDEX_SIMD names; NULL and an error when that is unknown
 * or beyond this machine. */
VX_SHARED const vx_kernels *vx_kernels_get(void);

/* The i-th table this machine can run, slowest first; NULL past the last. For tests and benchmarks.
 */
VX_SHARED const vx_kernels *vx_kernels_at(size_t i);

extern const vx_kernels vx_kernels_scalar, vx_kernels_avx2, vx_kernels_avx512, vx_kernels_neon;

#endif
