/* Certified codes: four bits per dimension of the rotated row's head, with what is needed to bound
 * from them what its inner product with a query can be, and, where there is a second plane, four
 * bits per dimension of what the first leaves. docs/exactness.md has the proof. */
#ifndef VX_EXACT_CODES_H
#define VX_EXACT_CODES_H

#include "coder.h"

/* Bytes of codes for that many rows, whole groups. */
static inline size_t vx_codes_bytes(const vx_code_shape *shape, size_t rows) {
    return (rows + VX_CODE_ROWS - 1) / VX_CODE_ROWS * vx_code_group_bytes(shape);
}

/* The second plane has its rows one after the other: the scale and the rest, two floats, then half
 * the dimensions in low nibbles and half in high ones. */
typedef struct vx_plane_numbers {
    float scale, rest;
} vx_plane_numbers;

static inline size_t vx_plane_nibbles(size_t dim) {
    return (dim + 7) / 8 * 4;
}
static inline size_t vx_plane_stride(size_t dim) {
    return sizeof(vx_plane_numbers) + vx_plane_nibbles(dim);
}

/* Where a few rows come from and their codes go. */
typedef struct vx_code_task {
    const void *rows; /* stored, without gaps */
    const vx_measure *measures;
    size_t count;          /* at most VX_CODER_ROWS */
    unsigned char *codes;  /* of the block */
    unsigned char *planes; /* of the block; read only where the coder refines */
    size_t at;             /* place of the first row in the block */
    float *work;           /* vx_codes_work numbers */
} vx_code_task;

VX_SHARED size_t vx_codes_work(const vx_coder *coder);
/* The first row of a group clears it: encode that before others, and none on another thread. */
VX_SHARED void vx_codes_encode(const vx_space *space, const vx_kernels *kernels,
                               const vx_code_task *task);

/* Rounds y / unit, inverse being 1 / unit, to integers z within +-127 with an even sum, which it
 * answers. */
VX_SHARED int32_t vx_quantise(const float *y, double inverse, size_t dim, int8_t *z);

/* Quantises the queries of a loaded group. */
vindex_status vx_group_load_codes(vx_group *group, int threads);

/* The codes of `count` rows of a block from row `first` on, a multiple of VX_CODE_ROWS. */
VX_SHARED vx_codes vx_codes_at(const vx_space *space, const unsigned char *codes, size_t first,
                               size_t count);

/* The key of row i of a block once its second plane is known, given what the first said of it. */
VX_SHARED float vx_codes_refine(const vx_group *group, size_t q, const vx_block *block, size_t i,
                                float product);

/* Copies the code at `from` of one block to `to` of another (or the same). */
VX_SHARED void vx_codes_move(const vx_space *space, const vx_block *source, size_t from,
                             const vx_block *target, size_t to);

#endif
