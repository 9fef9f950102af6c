/* Certified codes: four bits per dimension of the rotated row, with what is needed to bound from
 * them what its inner product with a query can be. docs/exactness.md has the proof. */
#ifndef VX_EXACT_CODES_H
#define VX_EXACT_CODES_H

#include "group.h"
#include "rotation.h"

/* Bytes of codes for that many rows, whole groups. */
static inline size_t vx_codes_bytes(size_t dim, size_t rows) {
    return (rows + VX_CODE_ROWS - 1) / VX_CODE_ROWS * vx_code_lines(dim) * VX_CODE_LINE;
}

/* Encodes one stored row into place `at`; work holds 2 x dim numbers. */
VX_SHARED void vx_codes_encode(const vx_space *space, const vx_kernels *kernels, const void *row,
                               const vx_codes_memory *memory, size_t at, float *work);

/* Quantises the queries of a loaded group. */
vindex_status vx_group_load_codes(vx_group *group, int threads);

/* Copies the code at `from` of one block to `to` of another (or the same). */
VX_SHARED void vx_codes_move(size_t dim, const vx_codes_memory *source, size_t from,
                             const vx_codes_memory *target, size_t to);

#endif
