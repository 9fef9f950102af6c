/* A group of queries made ready: their single-precision form for the filter, their double-precision
 * form for settling, and the limits that connect the two. */
#ifndef VX_EXACT_GROUP_H
#define VX_EXACT_GROUP_H

#include <vindex/types.h>

#include "simd/kernels.h"

/* A run of stored rows. */
typedef struct vx_block {
    const void *data;      /* count x dim numbers of the storage type, rows without gaps */
    const float *aux;      /* per row what the filter needs, see vx_aux_fill */
    unsigned char *codes;  /* where the space has a coder: see exact/codes.h */
    unsigned char *planes; /* where that refines */
    size_t count;
    /* Of codecs: what rows are coded relative to (dim numbers; NULL: nothing), and the finer form
     * of the rows where the codec keeps one. */
    const float *centre;
    void *fine;
} vx_block;

/* What is compared, and how. */
typedef struct vx_space {
    vindex_metric metric;
    vindex_dtype dtype; /* of the rows: f32, f16 or bf16 */
    size_t dim;
    const struct vx_coder *coder; /* of the certified codes; NULL: there are none */
} vx_space;

static inline size_t vx_space_stride(const vx_space *space) {
    return space->dim * vindex_dtype_size(space->dtype);
}

/* VINDEX_ERR_DATA where a number of n vectors would turn into infinity when stored. */
VX_SHARED vindex_status vx_space_fits(const vx_space *space, const float *vectors, size_t n);

/* What a row's numbers for the filters are made of. */
typedef struct vx_measure {
    double mean;   /* Pearson; 0 otherwise */
    double square; /* |x - mean|^2 */
} vx_measure;

VX_SHARED vx_measure vx_measure_row(const vx_space *space, const vx_kernels *kernels,
                                    const void *row);

/* The number the filter keeps per row: L2 |x|^2; inner product |x|; cosine 1/|x|; Pearson 1/|x -
 * mean(x)|. 0 for a zero (constant) row, whose similarity is 0; NaN where single precision cannot
 * judge the row, which then is always settled. */
VX_SHARED float vx_aux_of(const vx_space *space, const vx_measure *measure);
VX_SHARED void vx_aux_fill(const vx_space *space, const vx_kernels *kernels, const void *rows,
                           size_t count, float *aux);

/* The ways to filter: by scanning rows, by tiles of rows and queries, by codes. */
typedef enum vx_pass { VX_PASS_SCAN, VX_PASS_TILE, VX_PASS_CODES } vx_pass;

typedef struct vx_group {
    vx_space space;
    const vx_kernels *kernels;
    size_t capacity, count; /* queries */
    size_t padded;          /* vx_padded(dim) */
    size_t panels;          /* tiles of queries; 0 when the group is small enough for scans */
    float *filter;          /* tiles: per slice, per panel, depth x tile_queries */
    float *single;          /* scans: count x padded; in a tile group only where there are codes */
    bool coded;             /* there are codes, and these queries can be multiplied with them */
    size_t code_panels; /* of code_tile_queries; 0 when the group is small enough for single ones */
    vx_code_queries codes;
    const int8_t *second; /* z for second planes, see code_refine; NULL: there are none */
    double *code_base;    /* what connects keys and limits of codes, see vx_group_code_limit */
    double *settle;       /* count x padded */
    double *norms;        /* |q| (|q - mean(q)| for Pearson) */
    double *weights;      /* weight_rows x padded, NULL without weights: then nothing is filtered */
    size_t weight_rows;
    const float *aux_one, *aux_zero; /* the scale 1 and the bias 0 of a tile's rows */
    void *memory;
} vx_group;

/* Allocates a group for up to capacity queries. */
/* Bytes of a group without weights. */
size_t vx_group_bytes(const vx_space *space, size_t capacity);
VX_SHARED vindex_status vx_group_create(const vx_space *space, size_t capacity, bool weighted,
                                        vx_group *group);
VX_SHARED void vx_group_free(vx_group *group);

/* Loads count queries (count x dim); with weights, those come first. */
VX_SHARED vindex_status vx_group_load(vx_group *group, const float *queries, size_t count,
                                      int threads);

/* Loads the weights of the queries to come: rows (1, or one per query) x dim. */
VX_SHARED void vx_group_weigh(vx_group *group, const float *weights, size_t rows);

/* Query q as the filter multiplies it, padded: so that smaller keys are better, and in a tile so
 * that |x|^2 + sum = |q - x|^2 - |q|^2. */
VX_SHARED void vx_group_form(const vx_group *group, vx_pass pass, size_t q, float *form);

/* The key of query q and a row, in double precision: smaller is better; the squared distance, or
 * the negated similarity. The same bits on every machine. */
VX_SHARED double vx_group_settle(const vx_group *group, size_t q, const void *row);

/* Where the filter key of a row lies whose true key is `key`: between *low and *high. A row with a
 * filter key below *low comes before it for certain, one above *high after it. largest_aux is the
 * largest aux among the rows in question (not used by cosine and Pearson). */
VX_SHARED void vx_group_limits(const vx_group *group, vx_pass pass, size_t q, double key,
                               float largest_aux, float *low, float *high);

/* The same for any query, by its norm as the group has it. */
typedef struct vx_bracket {
    float low, high;
} vx_bracket;
vx_bracket vx_limits(const vx_space *space, vx_pass pass, double norm, double key,
                     float largest_aux);

/* A key of the tile form, whether a tile or a scan of inner products made it, is the true key less
 * the offset, and off by the slack at most; infinite where single precision might overflow. */
VX_SHARED double vx_group_offset(const vx_group *group, size_t q);
VX_SHARED double vx_group_slack(const vx_group *group, size_t q, float largest_aux);

/* Query q alone, or the panel that begins with it. */
VX_SHARED vx_code_queries vx_group_codes(const vx_group *group, size_t q);

/* The limit of query q for the code kernels: a row with a code key below it comes after `key`.
 * Codes carry their slack with them, row by row. */
VX_SHARED float vx_group_code_limit(const vx_group *group, size_t q, double key);

/* The packed queries of panel p for the slice that begins at dimension first. */
static inline const float *vx_group_panel(const vx_group *group, size_t p, size_t first,
                                          size_t depth) {
    size_t width = group->kernels->tile_queries;
    return group->filter + first * group->panels * width + p * depth * width;
}

/* The largest aux of a run of rows; infinity when one is NaN. */
VX_SHARED float vx_aux_largest(const float *aux, size_t count);

/* What turns the sums of a tile into keys: sums * scale + bias. */
static inline const float *vx_group_scale(const vx_group *group, const float *aux) {
    bool similarity = group->space.metric == VINDEX_COSINE || group->space.metric == VINDEX_PEARSON;
    return similarity ? aux : group->aux_one;
}
static inline const float *vx_group_bias(const vx_group *group, const float *aux) {
    return group->space.metric == VINDEX_L2 ? aux : group->aux_zero;
}

#endif
