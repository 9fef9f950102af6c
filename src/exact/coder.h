/* How rows become codes: which mean is taken off, how what is left is rotated, and how many of the
 * rotated dimensions have codes. Two kinds:
 *
 *   signs   random signs and Walsh-Hadamard transforms (rotation.h): all dimensions, four bits
 *           each; with a second plane four more bits for the rest that the first leaves;
 *   PCA     the leading principal directions: four bits each, and the norm of what lies outside.
 *
 * Coders are learnt from a sample (choose.h) and saved with the index. */
#ifndef VX_EXACT_CODER_H
#define VX_EXACT_CODER_H

#include "group.h"
#include "rotation.h"

typedef struct vx_coder {
    size_t dim;
    size_t head;  /* rotated dimensions with codes; signs: dim */
    bool refined; /* there is a second plane (signs only) */
    float *mean;  /* dim; of rows as the metric sees them */
    double mean_norm;
    vx_rotation rotation; /* signs */
    float *matrix;        /* PCA: head x dim; NULL: signs */
    float *packed;        /* the same as tiles read it */
    double skew;          /* at least the norm of matrix x its transpose - 1 */
    double forecast;      /* bytes read per row, predicted for one query; NaN: not predicted */
} vx_coder;

/* Takes over mean (dim) and matrix (head x dim; NULL: signs), which belong to the coder even when
 * this fails. */
VX_SHARED vindex_status vx_coder_make(size_t dim, float *mean, float *matrix, size_t head,
                                      vx_coder *coder);
VX_SHARED void vx_coder_free(vx_coder *coder);
VX_SHARED size_t vx_coder_memory(const vx_coder *coder);

/* The shape of its codes under that metric. */
VX_SHARED vx_code_shape vx_coder_shape(const vx_coder *coder, vindex_metric metric);

/* Rows are rotated that many at a time at most. */
enum { VX_CODER_ROWS = 32 };

/* Numbers of scratch memory that vx_coder_rotate needs. */
VX_SHARED size_t vx_coder_scratch(const vx_coder *coder);

/* The heads y (count x vx_padded(head), padding zero) of centred rows v (count x vx_padded(dim),
 * padding zero). Signs may rotate in place, y being v. */
VX_SHARED void vx_coder_rotate(const vx_coder *coder, const vx_kernels *kernels, float *v,
                               size_t count, float *y, float *scratch);

/* The same for a query in double precision (vx_padded(dim), padding zero), y holding vx_padded(dim)
 * numbers. */
VX_SHARED void vx_coder_rotate_query(const vx_coder *coder, const vx_kernels *kernels,
                                     const double *w, float *y);

/* With heads y and tails t: |w . v - y_w . y_v| <= |t_w| |t_v| + this |w| |v|. */
VX_SHARED double vx_coder_error(const vx_coder *coder);

/* At least the norm of the tail of a vector of that norm and that head norm. */
VX_SHARED double vx_coder_tail(const vx_coder *coder, double norm, double head);

#endif
