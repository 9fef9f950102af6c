/* Certified codes: four bits per dimension of the rotated row, with what is needed to bound from
 * them what its inner product with a query can be. docs/exactness.md has the proof. */
#ifndef VX_EXACT_CODES_H
#define VX_EXACT_CODES_H

#include "group.h"
#include "rotation.h"

/* Bytes of codes for that many rows, whole groups. */
static inline size_t vx_codes_bytes(const vx_space *space, size_t rows) {
    return (rows + VX_CODE_ROWS - 1) / VX_CODE_ROWS *
           vx_code_group_bytes(space->dim, vx_space_biased(space));
}

/* The number of that kind of row `at`. */
static inline float *vx_codes_number(const vx_space *space, unsigned char *codes, size_t at,
                                     size_t number) {
    return (float *)(void *)(codes + vx_codes_bytes(space, at / VX_CODE_ROWS * VX_CODE_ROWS) +
                             number * VX_CODE_LINE) +
           at % VX_CODE_ROWS;
}

/* Encodes one stored row into place `at`; work holds 2 x vx_padded(dim) numbers. */
VX_SHARED void vx_codes_encode(const vx_space *space, const vx_kernels *kernels, const void *row,
                               const vx_measure *measure, unsigned char *codes, size_t at,
                               float *work);

/* Quantises the queries of a loaded group. */
vindex_status vx_group_load_codes(vx_group *group, int threads);

/* Copies the code at `from` of one block to `to` of another (or the same). */
VX_SHARED void vx_codes_move(const vx_space *space, const unsigned char *source, size_t from,
                             unsigned char *target, size_t to);

#endif
