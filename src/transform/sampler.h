/* Which rows meet in a batch. */
#ifndef VX_TRANSFORM_SAMPLER_H
#define VX_TRANSFORM_SAMPLER_H

#include "core/rng.h"
#include "training_set.h"

typedef struct vx_sample {
    size_t first, count; /* of the sampler's order */
    size_t notion;
} vx_sample;

/* An epoch of batches. With per_class 0 entries are shuffled. Otherwise those of a class come in
 * groups of per_class (all, where it has fewer), so that batches hold pairs; its last group is
 * filled up with others of the class. What is left at the end, less than half a batch, waits for
 * another epoch, unless it is all there is. */
typedef struct vx_sampler {
    const vx_training_set *set;
    size_t batch, per_class;
    vx_rng rng;
    size_t *order;      /* entries, batch by batch */
    vx_sample *samples; /* the batches */
    size_t sample_count;
    size_t *members, *starts; /* entries by class, and where each class begins */
    size_t *groups;           /* where in members each group begins */
} vx_sampler;

/* A failure leaves nothing to free. */
vindex_status vx_sampler_open(const vx_training_set *set, size_t batch, size_t per_class,
                              uint64_t seed, vx_sampler *sampler);
void vx_sampler_close(vx_sampler *sampler);

/* Draws the next epoch. */
void vx_sampler_draw(vx_sampler *sampler);

#endif
