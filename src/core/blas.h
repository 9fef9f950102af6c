/* Dense linear algebra for training, by OpenBLAS and the LAPACK in it.
 *
 * Matrices are row-major; a stride counts numbers from one row to the next, 0 standing for rows
 * without gaps. Results do not depend on the thread count: a product is cut into tiles by its
 * shape alone, OpenMP shares the tiles out, and each tile is one single-threaded call of OpenBLAS.
 * They may differ in the last bits from machine to machine, since OpenBLAS chooses its kernels by
 * the processor.
 *
 * OpenBLAS's number of threads is one setting for the whole process. While any function of this
 * file runs it is 1, and what it was before comes back when the last of them returns: a program
 * that calls OpenBLAS itself at that moment, from another thread, may find it single-threaded. */
#ifndef VX_CORE_BLAS_H
#define VX_CORE_BLAS_H

#include "base.h"

/* C = alpha op(A) op(B) + beta C, where op(A) is m x k, op(B) is k x n and C is m x n; op is the
 * transpose where asked. C is not read when beta is 0. No side may exceed 2^31 - 1. */
typedef struct vx_sproduct {
    size_t m, n, k;
    float alpha, beta;
    const float *a, *b;
    float *c;
    size_t a_stride, b_stride, c_stride;
    bool a_transposed, b_transposed; /* A is stored k x m, B is stored n x k */
} vx_sproduct;

typedef struct vx_dproduct {
    size_t m, n, k;
    double alpha, beta;
    const double *a, *b;
    double *c;
    size_t a_stride, b_stride, c_stride;
    bool a_transposed, b_transposed;
} vx_dproduct;

VX_SHARED void vx_sgemm(const vx_sproduct *product, int threads);
VX_SHARED void vx_dgemm(const vx_dproduct *product, int threads);

/* The same where the product is symmetric, B being the transpose of A (m = n; b, b_stride and
 * b_transposed are not looked at): half the work. All of C is written. beta is 0, or C comes in
 * symmetric. */
VX_SHARED void vx_ssyrk(const vx_sproduct *product, int threads);
VX_SHARED void vx_dsyrk(const vx_dproduct *product, int threads);

/* Eigenvalues, largest first, and eigenvectors of a symmetric n x n matrix, whose rows the vectors
 * replace. Of the two signs of a vector the one is taken that makes its largest number positive.
 * VINDEX_ERR_DATA when LAPACK does not converge. */
VX_SHARED vindex_status vx_eigen(double *matrix, size_t n, double *values);

/* The eigenvalues alone, largest first; the matrix is destroyed. */
VX_SHARED vindex_status vx_eigenvalues(double *matrix, size_t n, double *values);

/* Makes `count` rows of dim numbers orthonormal (count <= dim), each a combination of itself and
 * those before it; rows that depend on others are replaced by others that are orthonormal. */
VX_SHARED vindex_status vx_orthonormalise(double *rows, size_t count, size_t dim);

/* Singular value decomposition A = U diag(values) V of an m x n matrix, r = min(m, n): u is m x r,
 * values r, largest first, v is r x n. A is overwritten. VINDEX_ERR_DATA as above. */
typedef struct vx_svd {
    double *a;
    size_t m, n;
    double *u, *values, *v;
} vx_svd;
VX_SHARED vindex_status vx_svd_compute(const vx_svd *svd);

/* Lower triangle L of A = L L^T, in place, zeros above it. VINDEX_ERR_DATA when A is not positive
 * definite. */
VX_SHARED vindex_status vx_cholesky(double *matrix, size_t n);

/* Solves L X = B, or L^T X = B, for the n x columns matrix B, in place. */
VX_SHARED void vx_triangular_solve(const double *lower, size_t n, bool transposed, double *b,
                                   size_t columns);

/* The value of the environment variable OPENBLAS_CORETYPE that would make OpenBLAS much faster
 * here, since it does not know this processor and fell back to an old one's kernels; NULL when all
 * is well, or when the variable is set already. */
VX_SHARED const char *vx_blas_advice(void);

#endif
