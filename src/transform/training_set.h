/* Rows ready for training: centred, scaled by one number so that a dimension's variance is 1 on
 * average (learning rates then mean the same for all data), with their classes. */
#ifndef VX_TRANSFORM_TRAINING_SET_H
#define VX_TRANSFORM_TRAINING_SET_H

#include "method.h"

/* Vectors in memory and how they are seen. */
typedef struct vx_view {
    size_t n, dim;
    const float *rows;
    float *owned; /* what must be freed of rows */
    float *shift; /* dim */
    float scale;  /* seen is (x - shift) * scale */
} vx_view;

/* Entries 0 ... n-1 are the rows; without labels, n ... 2n-1 the second view of each, which makes a
 * class with it: instance discrimination (Z. Wu et al., "Unsupervised feature learning via
 * non-parametric instance discrimination", CVPR 2018). */
typedef struct vx_training_set {
    const vx_fit *job;
    size_t entries, class_count;
    vx_view view, second;
    int32_t *classes;     /* per entry; those of a notion of similarity are neighbours */
    size_t notions;       /* parts of the entries, as many in each */
    size_t *class_starts; /* notions + 1 */
    vx_view teacher;      /* n 0: none */
} vx_training_set;

/* Reads the job's rows, and the second view: as the teacher when `taught`, as second views when
 * there are no labels. VINDEX_ERR_DATA without either, with rows that are all equal, and when the
 * parts do not come out even. A failure leaves nothing to free. */
vindex_status vx_training_set_open(const vx_fit *job, size_t notions, bool taught,
                                   vx_training_set *set);
void vx_training_set_close(vx_training_set *set);

/* As seen: entries into rows (count x dim), and what the teacher makes of them. */
void vx_training_set_gather(const vx_training_set *set, const size_t *entries, size_t count,
                            float *rows);
void vx_training_set_teacher(const vx_training_set *set, const size_t *entries, size_t count,
                             float *rows);

/* Other rows, seen as the set's own. */
void vx_view_apply(const vx_view *view, const float *rows, size_t count, float *seen);

/* The mean of each class as the teacher sees it: class_count x teacher.dim, to be freed. */
vindex_status vx_training_set_centres(const vx_training_set *set, float **centres);

#endif
