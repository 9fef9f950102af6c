/* A chain of steps, and the shorter list of stages it is applied by. */
#ifndef VX_TRANSFORM_CHAIN_H
#define VX_TRANSFORM_CHAIN_H

#include "core/container.h"
#include "exact/rotation.h"
#include "method.h"

/* A step, or several linear ones multiplied into one, made ready for the kernels. */
typedef struct vx_stage {
    vindex_step_kind kind;
    size_t in, out;
    float *panels; /* affine: weights packed for tiles, panels of tile_rows outputs, in x tile_rows
                      each */
    float *shift, *scale, *bias; /* affine: in, NULL, out; scale: in each; NULL: 0, 1, 0 */
    vx_rotation rotation;
} vx_stage;

struct vindex_transform {
    vx_step *steps;
    size_t step_count;
    vx_stage *stages;
    size_t stage_count;
    const vx_kernels *kernels;
};

/* A chain without steps yet. */
vindex_status vx_chain_create(vindex_transform **chain);

/* Appends `count` steps that fit each other, taking over what they hold; a failure leaves all as
 * they were. A chain has at most VX_STEPS_MOST steps. */
enum { VX_STEPS_MOST = 32 };
vindex_status vx_chain_take(vindex_transform *chain, vx_step *steps, size_t count);

/* fold.c: the stages of a list of steps that fit each other. */
vindex_status vx_stages_make(const vx_step *steps, size_t count, const vx_kernels *kernels,
                             vx_stage **stages, size_t *stage_count);
void vx_stages_free(vx_stage *stages, size_t count);

/* apply.c: finite rows; the result may hold infinity or NaN where float32 was too small. */
vindex_status vx_chain_apply(const vindex_transform *chain, const float *rows, size_t n,
                             float *result, int threads);

/* file.c: a chain as sections of a container. */
enum { VX_CHAIN_SECTIONS = 2 };
vindex_status vx_chain_save(const vindex_transform *chain, vx_container_writer *writer);
vindex_status vx_chain_load(const vx_container *file, vindex_transform **chain);

/* settings.c: the methods of a chain of words, their dimensions and settings. */
typedef struct vx_plan_step {
    const vx_method *method;
    int64_t dim;    /* 0: the method decides */
    void *settings; /* as its field table says; NULL: it has none */
} vx_plan_step;

enum { VX_PLAN_MOST = 16 };
typedef struct vx_plan {
    vx_plan_step steps[VX_PLAN_MOST];
    size_t count;
} vx_plan;

vindex_status vx_plan_make(const char *methods, const vindex_fit_params *params, vx_plan *plan);
void vx_plan_free(vx_plan *plan);

#endif
