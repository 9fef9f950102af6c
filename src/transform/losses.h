/* What a head is trained to make small, and the slope of it: one table of losses.
 *
 * A loss sees a batch of embeddings with their classes and answers one number, a mean over the
 * batch; it adds the slope with respect to the embeddings to an array, and that with respect to
 * what it learns itself (proxies of classes, a classifier, a projection) to its parameter. All
 * memory is taken when it is made, so that a step cannot fail.
 *
 * The formulas are those of F. Yesiler, J. Serra and E. Gomez, "Less is more: faster and better
 * music version identification with embedding distillation", ISMIR 2020, with its distance
 * D(v, w) = |v - w|^2 / d (equation 2), where no other source is named. */
#ifndef VX_TRANSFORM_LOSSES_H
#define VX_TRANSFORM_LOSSES_H

#include "optimiser.h"

/* Some embeddings of one notion of similarity. */
typedef struct vx_batch {
    const float *rows; /* n x dim */
    size_t n, dim;
    const int32_t *classes;          /* of each row */
    size_t class_first, class_count; /* the classes of this notion: from the first on */
    const float *teacher;            /* n x teacher_dim; NULL where no loss asks for it */
    size_t teacher_dim;
    int threads;
} vx_batch;

typedef struct vx_loss vx_loss;

/* A kind of loss. */
typedef struct vx_loss_kind {
    const char *word;
    vindex_metric metric; /* what compares embeddings learned with it */
    bool in_pairs;        /* a batch must hold several rows of a class */
    double temperature;   /* its own, where the caller names none; 0: it has none */
    double margin;        /* likewise */
    double clip;          /* likewise: the norm down to which slopes are scaled; 0: never */
    vindex_status (*create)(vx_loss *loss);
    /* Draws what it learns. */
    void (*start)(vx_loss *loss, vx_rng *rng);
    double (*step)(vx_loss *loss, const vx_batch *batch, float *slope);
} vx_loss_kind;

/* What a loss needs to know when it is made. */
typedef struct vx_loss_setup {
    size_t dim, classes;        /* numbers per embedding; classes in all */
    size_t batch;               /* the most rows of a batch */
    double margin, temperature; /* margin -1, temperature 0: the kind's own */
    bool semi_hard;             /* triplets; else hard */
    int iterations;             /* of the replicator dynamics */
    /* For cluster matching: the centre of each class as the teacher sees it. */
    const float *centres; /* classes x teacher_dim */
    size_t teacher_dim;
} vx_loss_setup;

enum { VX_LOSS_ROOMS = 12 };

struct vx_loss {
    const vx_loss_kind *kind;
    vx_loss_setup setup;
    vx_parameter learned;
    float *rooms[VX_LOSS_ROOMS]; /* scratch memory, as the kind divides it */
};

/* As vx_losses numbers them. */
typedef enum vx_loss_number {
    VX_LOSS_NORMALIZED_SOFTMAX,
    VX_LOSS_TRIPLET,
    VX_LOSS_PROXY_NCA,
    VX_LOSS_GROUP,
    VX_LOSS_CONTRASTIVE,
    VX_LOSS_INFONCE,
    VX_LOSS_CHOICES, /* those a caller can choose; the rest belong to methods */
    VX_LOSS_SOFTMAX = VX_LOSS_CHOICES,
    VX_LOSS_TRIPLET_EUCLIDEAN,
    VX_LOSS_DISTANCE_MATCHING,
    VX_LOSS_CLUSTER_MATCHING,
    VX_LOSSES
} vx_loss_number;

extern const vx_loss_kind *const vx_losses[VX_LOSSES];

/* Makes a loss; a failure leaves nothing to free. */
vindex_status vx_loss_create(const vx_loss_kind *kind, const vx_loss_setup *setup, vx_rng *rng,
                             vx_loss *loss);
void vx_loss_free(vx_loss *loss);

/* For kinds: takes room i, of rows x columns numbers. */
vindex_status vx_loss_room(vx_loss *loss, int i, size_t rows, size_t columns);

#endif
