/* K-means: k centroids that stand for many points, for coarse quantizers and codebooks.
 *
 * Points are assigned by the exact engine and centroids summed in double precision in the order of
 * the points, so that the same seed gives the same bits on every machine and with any number of
 * threads. */
#ifndef VX_CORE_KMEANS_H
#define VX_CORE_KMEANS_H

#include <vindex/transform.h>

#include "base.h"

/* From here on k is reached in two levels: the points are cut into about sqrt(k) cells first, and
 * each cell into its share. */
enum { VX_KMEANS_FLAT_MOST = 10000 };

/* What is done to the points first. */
typedef enum vx_kmeans_form {
    VX_KMEANS_AS_IS,
    VX_KMEANS_UNIT,        /* scaled to length 1 */
    VX_KMEANS_CENTRED_UNIT /* their mean taken off before */
} vx_kmeans_form;

typedef struct vx_kmeans_params {
    size_t k;
    vx_kmeans_form form;
    uint64_t seed;
    size_t iterations;
    size_t points_each; /* learn from at most this many points per centroid; 0: from all */
    size_t batch;       /* points per iteration, drawn anew each time; 0: all */
    double balance; /* 0 to 1: clusters of less than this share of the mean size move to the largest
                       ones; 0: only empty ones do */
    bool plus_plus; /* k-means++ start instead of a sample: better, and as slow as k scans */
    bool spherical; /* centroids have length 1, for inner products */
    int threads;    /* resolved */
    vindex_progress_fn progress;
    void *progress_context;
} vx_kmeans_params;

/* 10 iterations over at most 64 points per centroid. */
VX_SHARED void vx_kmeans_init(vx_kmeans_params *params, size_t k);

typedef struct vx_kmeans_report {
    size_t points;     /* learnt from */
    size_t iterations; /* done; of two levels, those of the first */
    double loss;       /* mean squared distance of these points to their centroids before the last
                          update */
} vx_kmeans_report;

/* Fills centroids (k x dim) from n points (n x dim, finite). VINDEX_ERR_DATA for n < k. report may
 * be NULL. */
VX_SHARED vindex_status vx_kmeans(const float *points, size_t n, size_t dim,
                                  const vx_kmeans_params *params, float *centroids,
                                  vx_kmeans_report *report);

/* The rows that k-means learns from, of rows in memory or read piece by piece: all, or points_each
 * per centroid of them. vx_kmeans over them gives the bits that it gives over all rows. *sample is
 * *owned, to be freed with vx_free, or where the rows lie in memory and *owned is NULL.
 * VINDEX_ERR_DATA where a number is not finite. */
VX_SHARED vindex_status vx_kmeans_sample(const vindex_rows *rows, const vx_kmeans_params *params,
                                         const float **sample, float **owned, size_t *count);

/* The nearest centroid of each of n points, ties to the smaller number. */
VX_SHARED vindex_status vx_kmeans_assign(const float *points, size_t n, size_t dim,
                                         const float *centroids, size_t k, int threads,
                                         uint32_t *nearest);

#endif
