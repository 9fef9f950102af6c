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

/* What turns the sums of a tile into keys, sums * scale[r] + bias[r], and the largest key of each
 * query that matters. */
typedef struct vx_tile_limits {
    const float *scale, *bias, *high;
} vx_tile_limits;

/* Codes: 4 bits per dimension, in groups of 16 rows. A group begins with lines of 64 bytes, a dword
 * per row: first scale and rest, both bf16, the scale above; then, where there are such, a float
 * that is |v|^2 / 2 or |v|, and one that is the tail. Then come lines of 8 dimensions: dword i is
 * row i, its low nibbles dimensions 0 to 3, its high nibbles 4 to 7. A nibble n stands for
 * c = scale (n - 7.5), which approximates a number of y, the head of the rotated row v. */
enum { VX_CODE_ROWS = 16, VX_CODE_LINE = 64, VX_CODE_DIMS = 8 };

/* The most of a tile of codes on any machine. */
enum { VX_CODE_TILE_QUERIES = 12, VX_CODE_TILE_ROWS = 128 };

/* What the second line of a group says. */
typedef enum vx_code_second {
    VX_CODE_NOTHING, /* there is none: all rows and codes are at most `length` long */
    VX_CODE_HALF,    /* |v|^2 / 2, rounded down: keys are bounds of q . v - |v|^2 / 2 */
    VX_CODE_LENGTH   /* |v|, rounded up beyond the length of the code */
} vx_code_second;

typedef struct vx_code_shape {
    size_t lines; /* of dimensions */
    vx_code_second second;
    bool tailed; /* the last number of a row is the norm of what lies outside the head */
} vx_code_shape;

static inline size_t vx_code_lines(size_t dim) {
    return (dim + VX_CODE_DIMS - 1) / VX_CODE_DIMS;
}
/* Lines of numbers. */
static inline size_t vx_code_numbers(const vx_code_shape *shape) {
    return 1 + (shape->second != VX_CODE_NOTHING) + shape->tailed;
}
static inline size_t vx_code_group_bytes(const vx_code_shape *shape) {
    return (vx_code_numbers(shape) + shape->lines) * VX_CODE_LINE;
}

typedef struct vx_codes {
    const unsigned char *groups;
    size_t count; /* groups */
    vx_code_shape shape;
    float length; /* with VX_CODE_NOTHING: no row and no code is longer */
} vx_codes;

/* Codes laid open for tiles, which use them again and again: per group a line of floats each for
 * scale, rest, length, |v|^2 / 2 and tail, then a line of bytes for 4 dimensions: bytes 4 i to
 * 4 i + 3 are row i's. */
enum { VX_CODE_OPEN_NUMBERS = 5 };

static inline size_t vx_code_open_bytes(const vx_code_shape *shape) {
    return (VX_CODE_OPEN_NUMBERS + 2 * shape->lines) * VX_CODE_LINE;
}

typedef struct vx_open_codes {
    const unsigned char *groups;
    size_t count;
    vx_code_shape shape; /* of what was opened */
} vx_open_codes;

/* Queries as int8 planes: y = unit (z + e) with integer z. For one query, or for a panel of them
 * side by side. All is in multiples of the unit. */
typedef struct vx_code_queries {
    const int32_t *words; /* 2 lines x queries: four bytes each */
    const int32_t *start; /* -7.5 times the sum of z */
    const float *norm;    /* |y|, rounded up */
    const float *square;  /* |y|^2, rounded up further, see exact/codes.c */
    const float *error;   /* |e|, rounded up */
    const float *ratio;   /* the largest error / norm of the panel, rounded up */
    const float *tail;    /* the norm of what lies outside the head, rounded up */
    const float *inverse; /* 1 / unit */
} vx_code_queries;

/* A scale kept as bf16 is off by at most 2^-9 of itself, and this is more. */
#define VX_CODE_SCALE_ERROR 0x1p-8f

/* A pair that passed. */
typedef struct vx_code_hit {
    uint32_t query, row; /* of the panel, of the rows at hand */
    float key;           /* the most it can be */
    float known;         /* key without what a second plane can make smaller */
} vx_code_hit;

/* Product quantization: a row is cut into `parts` of equal width, each a code of 4, 6 or 8 bits.
 * Sixteen rows form a group of lines of 64 bytes, a dword per row:
 * - 4 bits: byte b of line l has code 8 l + b in its low nibble and code 8 l + 4 + b in its high;
 * - 8 bits: byte b of line l is code 4 l + b;
 * - 6 bits: sixteen codes lie in three lines, the first twelve in the low bits of the bytes, and
 *   code 12 + b in the two high bits of byte b of each line, lowest first. Where fewer than
 *   thirteen are left, there are only the lines that these need.
 * Bits without a code are 0. Rows that are `alone` have their dwords one behind the other. */
typedef struct vx_pq_shape {
    size_t dim, parts, bits;
    bool alone;
} vx_pq_shape;

/* Codewords of each part. */
static inline size_t vx_pq_codes(const vx_pq_shape *shape) {
    return (size_t)1 << shape->bits;
}
static inline size_t vx_pq_width(const vx_pq_shape *shape) {
    return shape->dim / shape->parts;
}
static inline size_t vx_pq_lines(const vx_pq_shape *shape) {
    size_t rest = (shape->parts % 16 + 3) / 4;
    if (shape->bits == 4) return (shape->parts + 7) / 8;
    return shape->bits == 8 ? (shape->parts + 3) / 4 : shape->parts / 16 * 3 + VX_MIN(rest, 3);
}
/* Parts for which there must be tables; those beyond `parts` are zero. */
static inline size_t vx_pq_slots(const vx_pq_shape *shape) {
    return shape->bits == 4 ? vx_pq_lines(shape) * 8 : (shape->parts + 3) / 4 * 4;
}

/* The codewords, and what the encoder needs to know of them. */
typedef struct vx_pq_book {
    vx_pq_shape shape;
    const float *columns; /* dim x codes: number j of all codewords of its part */
    const float *squares; /* parts x codes: |c|^2 */
    const float *most;    /* parts: the largest of them */
} vx_pq_book;

/* Half, and what rounding adds to it. */
#define VX_PQ_STEP_ERROR 0.5005

enum {
    VX_PQ_QUERIES = 4, /* that a scan takes at once */
    VX_PQ_CODES = 256  /* at most */
};

typedef struct vx_pq_rows {
    const unsigned char *groups;
    size_t count; /* rows */
    vx_pq_shape shape;
    const float *aux; /* per row, a factor where scaled, otherwise to be added; NULL: neither */
    bool scaled;
} vx_pq_rows;

/* A key is base + step x the sum of what the row's codes look up, then times or plus aux. */
typedef struct vx_pq_query {
    /* slots x codes, and a scan may read three bytes behind them. Bytes; for pq_gather and codes of
     * 6 or 8 bits floats, and step is 1. */
    const void *tables;
    float step, base, limit;
} vx_pq_query;

typedef struct vx_pq_hit {
    uint32_t query, row;
    float key;
} vx_pq_hit;

/* Rows that are alone, to be looked up by their numbers. */
typedef struct vx_pq_listed {
    const unsigned char *rows;
    vx_pq_shape shape;
    const uint32_t *which;
    size_t count;
} vx_pq_listed;

/* Rows to be looked up by their numbers. */
typedef struct vx_listed {
    const void *rows; /* of the storage type, without gaps */
    const uint32_t *which;
    size_t count;
} vx_listed;

/* Levels: 1 to 8 bits per dimension, of rows side by side, 16 in a group (or each alone), a dword
 * per row and line. A group may begin with a line of numbers, scale above reach, both bf16. A level
 * of 8 bits is a byte of lines of 4 dimensions. One of fewer has its lowest bits in nibbles (lines
 * of 8 dimensions, where bits & 4), the next in pairs (lines of 16, bits & 2), the highest in a
 * single bit (lines of 32, bits & 1); all nibbles go before all pairs, and these before single
 * bits. Line l of nibbles has dimensions 8 l + b in the low half of byte b and 8 l + 4 + b in the
 * high one, and so on. */
typedef struct vx_level_shape {
    size_t dim;
    int bits;
} vx_level_shape;

enum { VX_LEVEL_ROWS = 16, VX_LEVEL_LINE = 64, VX_LEVEL_DIMS = 4 };

/* Lines of levels of a byte each. */
static inline size_t vx_level_depth(size_t dim) {
    return (dim + VX_LEVEL_DIMS - 1) / VX_LEVEL_DIMS;
}
/* Lines of a group behind its numbers. */
static inline size_t vx_level_lines(const vx_level_shape *shape) {
    size_t depth = vx_level_depth(shape->dim), lines = 0;
    if (shape->bits == 8) return depth;
    for (int width = 4; width; width /= 2)
        if (shape->bits & width) lines += (depth * (size_t)width + 7) / 8;
    return lines;
}

/* What a key is made of a product p: p less the row's error, plus aux or times it. */
typedef enum vx_level_form { VX_LEVELS_PLAIN, VX_LEVELS_ADDED, VX_LEVELS_SCALED } vx_level_form;

/* Rows with a byte per level. */
typedef struct vx_levels {
    const unsigned char *lines, *numbers; /* of the first group; numbers NULL: scale 1, reach 0 */
    size_t lines_stride, numbers_stride;  /* bytes from group to group */
    const float *aux;                     /* per row */
    size_t depth, count;                  /* lines of a group, rows */
    vx_level_form form;
    bool squared; /* the error has the square of reach, too */
} vx_levels;

/* One query, or a panel side by side. With scale and reach of a row, p = unit scale (start + sum of
 * products) + origin, and its error is reach (error + reach, where squared). Origins count where
 * keys are scaled. */
typedef struct vx_level_queries {
    const int32_t *words; /* depth x queries: four bytes each, within +-127 */
    const int32_t *start;
    const float *unit, *origin, *error, *limit;
} vx_level_queries;

/* Rows that lie alone (a group of one, without its numbers), to be looked up. */
typedef struct vx_level_listed {
    const unsigned char *rows; /* vx_level_lines(shape) dwords each */
    vx_level_shape shape;
    const uint32_t *which;
    size_t count;
} vx_level_listed;

/* Of a query for such rows there are four bytes for every four dimensions, in the order in which a
 * row's lines are taken apart: for each width, for each place within a byte, for each line. */
static inline size_t vx_level_words(const vx_level_shape *shape) {
    size_t depth = vx_level_depth(shape->dim), words = 0;
    if (shape->bits == 8) return depth;
    for (size_t width = 4; width; width /= 2)
        if ((size_t)shape->bits & width) words += (depth * width + 7) / 8 * (8 / width);
    return words;
}

typedef struct vx_level_hit {
    uint32_t query, row;
    float key;
} vx_level_hit;

typedef struct vx_products {
    double dot, square;
} vx_products;

typedef struct vx_code_sums {
    double dot, units, square;
} vx_code_sums;

/* Sums of y u and u^2. */
typedef struct vx_code_fit {
    double dot, units;
} vx_code_fit;

/* The longest chain of roundings in what code_centre, code_fit and code_left answer. */
enum { VX_CODE_FIT_CHAIN = 16 };

typedef struct vx_kernels {
    const char *name;
    size_t tile_rows, tile_queries;
    size_t code_tile_rows, code_tile_queries;

    /* Filter, one query against count rows, `stride` bytes apart: squared L2, and inner product.
     * The query is padded; rows are not. */
    void (*scan_l2[VX_STORED_TYPES])(const float *query, const void *rows, size_t stride,
                                     size_t count, size_t dim, float *keys);
    void (*scan_ip[VX_STORED_TYPES])(const float *query, const void *rows, size_t stride,
                                     size_t count, size_t dim, float *keys);

    /* The same for rows all over memory. */
    void (*gather_l2[VX_STORED_TYPES])(const float *query, const vx_listed *listed, size_t dim,
                                       float *keys);
    void (*gather_ip[VX_STORED_TYPES])(const float *query, const vx_listed *listed, size_t dim,
                                       float *keys);

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

    /* As tile_select, and the keys of every query with a bit set go to keys[q x tile_rows + r]. */
    bool (*tile_collect)(const vx_tile *tile, const vx_tile_limits *limits, uint32_t *masks,
                         float *keys);

    /* How many keys are below low; and the positions of those neither below low nor above high
     * (NaN included), `within` of them. */
    size_t (*count)(const float *keys, size_t count, float low, float high, uint32_t *positions,
                    size_t *within);

    /* How many of `bounds` (count of them, ascending, fewer than 2^32) each of n keys is above; 0
     * for NaN. */
    void (*place)(const float *bounds, size_t count, const float *keys, size_t n, uint32_t *places);

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

    /* Filter by codes. The key of a row is the most that q . v (less |v|^2 / 2) can be, given its
     * code, in multiples of the query's unit. Both write the pairs with !(key < limit) and answer
     * how many; code_tile is for a panel of queries and at most code_tile_rows rows. Rows behind
     * the last are the caller's to ignore. */
    size_t (*code_select)(const vx_codes *rows, const vx_code_queries *query, float limit,
                          vx_code_hit *hits);
    size_t (*code_tile)(const vx_open_codes *rows, const vx_code_queries *queries,
                        const float *limits, vx_code_hit *hits);

    /* Lays codes open, vx_code_open_bytes for each group. */
    void (*code_open)(const vx_codes *rows, unsigned char *open);

    /* The product of a row of a second plane with z: half the dimensions in the low nibbles of
     * `bytes` bytes, half in the high ones; z holds either half, each followed by zeros up to a
     * multiple of 64. Reads up to 63 bytes behind the row. */
    int32_t (*code_refine)(const unsigned char *row, size_t bytes, const int8_t *z);

    /* Multiplies n = 2^k numbers by signs (NULL: by nothing), transforms them (Walsh-Hadamard) and
     * multiplies them by the factor. The same bits on every machine. */
    void (*hadamard)(float *values, const float *signs, size_t n, float factor);

    /* Quantises a rotated row, with zeros up to a multiple of eight numbers, whose numbers times
     * `steps` are within +-1e9: a level 0 ... most = 2^bits - 1 per number, padding included;
     * answers the sums of y u, u^2 and y^2 with u = 2 level - most. The same bits on every machine.
     */
    vx_code_sums (*encode)(const float *values, size_t dim, float steps, int bits,
                           unsigned char *levels);

    /* What certified codes are made of, the same bits on every machine; v, y and rest have zeros up
     * to vx_padded(dim) numbers, levels room for as many. code_centre: v = x factor - mean, which
     * takes two roundings; answers |v|^2. code_fit: the level 0 ... 15 of each number of y, times
     * `steps` and within +-1e9 then; answers sums of y u and u^2 with u = 2 level - 15. code_left:
     * rest = y - half u, which takes one rounding where half has no more than 20 bits; answers its
     * square. Sums in single precision pass through no more than VX_CODE_FIT_CHAIN roundings. */
    double (*code_centre)(const float *x, float factor, const float *mean, size_t dim, float *v);
    vx_code_fit (*code_fit)(const float *y, size_t dim, float steps, unsigned char *levels);
    double (*code_left)(const float *y, const unsigned char *levels, size_t dim, float half,
                        float *rest);

    /* The lines of a group of fewer than 8 bits (without its numbers) as lines of bytes. */
    void (*level_expand)(const vx_level_shape *shape, const unsigned char *lines,
                         unsigned char *expanded);

    /* Filter by levels: one query against rows, and a panel of up to code_tile_queries. Both write
     * the pairs with !(key > limit) and answer how many, at most rows x queries. wide: levels go
     * beyond 127. */
    size_t (*level_scan)(const vx_levels *rows, const vx_level_queries *query, bool wide,
                         vx_level_hit *hits);
    size_t (*level_tile)(const vx_levels *rows, const vx_level_queries *queries, size_t count,
                         bool wide, vx_level_hit *hits);

    /* The sums of levels times z (see vx_level_words) of listed rows; reads up to 63 bytes behind
     * z. */
    void (*level_gather)(const vx_level_listed *listed, const int8_t *z, int32_t *products);

    /* The sum of weights times (level - middle), count being a multiple of 16. */
    float (*level_product)(const unsigned char *levels, const float *weights, size_t count,
                           float middle);

    /* Filter by product codes: up to VX_PQ_QUERIES queries; writes the pairs with !(key > limit)
     * and answers how many, at most count x rows. Reads whole groups. */
    size_t (*pq_scan)(const vx_pq_rows *rows, const vx_pq_query *queries, size_t count,
                      vx_pq_hit *hits);

    /* base + step x sum (see vx_pq_query) of listed rows; codes of 6 and 8 bits look floats up. */
    void (*pq_gather)(const vx_pq_listed *listed, const vx_pq_query *query, float *keys);

    /* The products of a vector's parts with their codewords, parts x codes; the same bits on every
     * machine. */
    void (*pq_products)(const vx_pq_book *book, const float *vector, float *products);

    /* Tables as bytes, parts x codes: value = low of its part + step x byte, off by at most
     * VX_PQ_STEP_ERROR steps. Answers the step; *base is the sum of the lows. 0, with all bytes 0,
     * where the values of each part are within 1e-30 or single precision is too small. The same
     * bits on every machine. */
    float (*pq_quantise)(const vx_pq_shape *shape, const float *values, unsigned char *tables,
                         double *base);

    /* The codewords nearest to x, which is `count` parts of a vector from `part` on. Writes which
     * of them another might be nearer to, and answers how many; unsure has room for count + 1. */
    size_t (*pq_nearest)(const vx_pq_book *book, size_t part, size_t count, const float *x,
                         unsigned char *nearest, uint32_t *unsure);

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

extern const vx_kernels vx_kernels_scalar, vx_kernels_avx2, vx_kernels_avx512,
    vx_kernels_avx512vnni, vx_kernels_avx512vbmi, vx_kernels_neon, vx_kernels_neondot;

#endif
