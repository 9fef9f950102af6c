/* Principal components, for the methods that begin with them. */
#ifndef VX_TRANSFORM_PCA_H
#define VX_TRANSFORM_PCA_H

#include "method.h"

typedef enum vx_pca_solver {
    VX_PCA_AUTO,
    VX_PCA_COVARIANCE, /* the covariance matrix and LAPACK, one pass */
    VX_PCA_GRAM,       /* fewer rows than dimensions: the matrix of their inner products */
    VX_PCA_RANDOMIZED  /* subspace iteration, a pass each */
} vx_pca_solver;

typedef struct vx_pca_options {
    size_t k; /* components; 0: as many as the numerical rank */
    vx_pca_solver solver;
    bool about_origin;     /* second moments instead of the covariance: no mean is taken away */
    double rank_tolerance; /* the rank counts eigenvalues above this share of the largest */
    size_t oversample;     /* randomized: directions beside those wanted */
    size_t passes;         /* randomized: at most */
    double tolerance;      /* randomized: enough when no eigenvalue moves by more than this share */
} vx_pca_options;

/* The settings' defaults. */
vx_pca_options vx_pca_defaults(size_t k);

typedef struct vx_pca {
    size_t dim, k;
    double *mean;    /* dim; zeros when about the origin */
    double *values;  /* k eigenvalues, largest first, none below 0 */
    double *vectors; /* k x dim, orthonormal rows, the largest number of each positive */
    double total;    /* the sum of all dim eigenvalues */
    size_t rank;     /* 0: unknown, all k are above the tolerance and there may be more */
    size_t passes;   /* randomized: how many it took */
    double change;   /* randomized: how much an eigenvalue still moved, as a share */
} vx_pca;

/* The largest eigenvalues and their vectors of (1/n) sum (x - mean)(x - mean)^T. VINDEX_ERR_DATA:
 * constant rows, or k 0 and a rank too large to be found. VINDEX_ERR_ARGUMENT: k above what rows
 * and dimensions allow. */
vindex_status vx_pca_compute(const vx_fit *job, const vindex_rows *rows,
                             const vx_pca_options *options, vx_pca *pca);
void vx_pca_free(vx_pca *pca);
/* About the most bytes that this takes of n rows in memory. */
double vx_pca_bytes(size_t n, size_t dim, const vx_pca_options *options);

/* pca_solve.c: fill values, vectors (k of them, or with k 0 as many as the rank) and rank of a pca
 * whose dim, mean and total are there. */
vindex_status vx_pca_by_covariance(const vx_fit *job, const vindex_rows *rows,
                                   const vx_pca_options *options, vx_pca *pca);
vindex_status vx_pca_by_gram(const vx_fit *job, const vindex_rows *rows,
                             const vx_pca_options *options, vx_pca *pca);
/* pca_random.c */
vindex_status vx_pca_by_iteration(const vx_fit *job, const vindex_rows *rows,
                                  const vx_pca_options *options, vx_pca *pca);

/* How many of n eigenvalues, largest first, are above that share of the largest. */
size_t vx_rank_of(const double *values, size_t n, double tolerance);

/* Makes room for k values and vectors, zeroed. */
vindex_status vx_pca_room(vx_pca *pca, size_t k);

/* holdout.c: of `all` rows, every so many-th is kept back, about 256 of them; `rest` reads the
 * others. */
typedef struct vx_holdout {
    vindex_rows all, rest;
    size_t every, held; /* row every - 1, 2 every - 1, ...: held of them */
} vx_holdout;

void vx_holdout_make(const vindex_rows *all, vx_holdout *holdout);

/* The largest |d'/d - 1| over all pairs of rows kept back, d being their L2 distance before the
 * step and d' after; pairs at distance 0 do not count. */
vindex_status vx_holdout_distance_error(const vx_fit *job, const vx_holdout *holdout,
                                        const vx_step *step, double *error);

#endif
