/* Trains a head: epochs of batches, learning-rate drops, validation, the best kept. */
#ifndef VX_TRANSFORM_TRAINER_H
#define VX_TRANSFORM_TRAINER_H

#include "head.h"
#include "losses.h"
#include "training_set.h"

typedef enum vx_masking { VX_MASKS_NONE, VX_MASKS_BLOCKS, VX_MASKS_LEARNED } vx_masking;

/* What the methods that train let a caller set; each has a field table of those it uses. */
typedef struct vx_head_settings {
    size_t struct_size;
    int32_t loss;             /* vx_loss_number */
    int32_t semi_hard;        /* choice: 0 hard, 1 semi-hard */
    int32_t optimiser;        /* vx_optimiser_kind */
    int32_t match;            /* distill, choice: 0 distances, 1 clusters */
    int32_t epochs, patience; /* patience 0: all epochs */
    int32_t batch, per_class;
    int32_t iterations, notions;
    int32_t masks; /* vx_masking */
    int32_t start; /* prune: the dimension it begins with; 0: that of the rows */
    double rate, momentum, clip, decay, drop, margin, temperature;
    bool norm; /* batch norm; for fc and pca-fc, whose loss always has it: in what comes out too */
} vx_head_settings;

/* One loss, of what comes out of the layer (raw) or of batch norm behind it. */
typedef struct vx_term {
    const vx_loss_kind *kind;
    bool raw;
} vx_term;

enum { VX_TERMS_MOST = 2 };

typedef struct vx_training {
    const vx_training_set *set;
    const vx_head_settings *settings;
    vx_head *head;                /* as it starts */
    bool fold_norm;               /* the step is the layer with batch norm folded in */
    vx_term terms[VX_TERMS_MOST]; /* kind NULL: none. Their sum is made small */
    double from, to;              /* the part of the whole fit */
} vx_training;

/* Trains the head and makes *step of it (affine, shifted; with facts "loss" and, with validation,
 * "MAP" per epoch, "epoch" the one that was kept, "diverged" the one that failed, masks "mask 1",
 * ...). The head is left as the last epoch left it. VINDEX_ERR_DATA when the first epoch diverges:
 * a later one ends the training, and the best before it is kept. */
vindex_status vx_train(vx_training *training, vx_step *step);

#endif
