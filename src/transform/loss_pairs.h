/* Losses over the pairs of a batch. Rooms 0 to 4 are theirs: the comparisons, their slopes, and
 * what vx_pairs needs. */
#ifndef VX_TRANSFORM_LOSS_PAIRS_H
#define VX_TRANSFORM_LOSS_PAIRS_H

#include "losses.h"
#include "pairs.h"

extern const vx_loss_kind vx_loss_triplet, vx_loss_triplet_euclidean, vx_loss_contrastive,
    vx_loss_infonce;

enum { VX_PAIR_MATRIX, VX_PAIR_SLOPES, VX_PAIR_UNITS, VX_PAIR_SPARE, VX_PAIR_LENGTHS };

/* Takes those rooms. */
vindex_status vx_pair_rooms(vx_loss *loss);

/* The batch's pairs in those rooms. */
vx_pairs vx_pairs_of(vx_loss *loss, const vx_batch *batch, vx_geometry geometry);

/* A loss as a function of the comparisons: answers it, and fills the slopes (n x n, diagonal 0). */
typedef double (*vx_pair_loss)(const vx_loss *loss, const vx_batch *batch, const float *matrix,
                               float *slopes);

/* A step of such a loss. */
double vx_pair_step(vx_loss *loss, const vx_batch *batch, vx_geometry geometry, vx_pair_loss pairs,
                    float *slope);

#endif
