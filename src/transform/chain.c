/* The transform itself: steps put together, copied, looked at. */
#include "chain.h"

vindex_status vx_chain_create(vindex_transform **chain) {
    const vx_kernels *kernels = vx_kernels_get();
    if (!kernels) return VINDEX_ERR_UNSUPPORTED;
    vindex_transform *made = vx_alloc_zero(1, sizeof *made);
    if (!made) return vx_fail_memory(1, sizeof *made, "transform");
    made->kernels = kernels;
    *chain = made;
    return VINDEX_OK;
}

void vindex_transform_free(vindex_transform *chain) {
    if (!chain) return;
    for (size_t i = 0; i < chain->step_count; i++) vx_step_free(&chain->steps[i]);
    vx_free(chain->steps);
    vx_stages_free(chain->stages, chain->stage_count);
    vx_free(chain);
}

vindex_status vx_chain_take(vindex_transform *chain, vx_step *more, size_t count) {
    size_t all = chain->step_count + count, stage_count;
    if (all > VX_STEPS_MOST)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "transform: a chain of %zu steps; the longest allowed is %d", all,
                       VX_STEPS_MOST);
    vx_stage *stages;
    vx_step *steps = vx_alloc(all, sizeof *steps);
    if (!steps) return vx_fail_memory(all, sizeof *steps, "transform");
    if (chain->step_count) memcpy(steps, chain->steps, chain->step_count * sizeof *steps);
    memcpy(steps + chain->step_count, more, count * sizeof *steps);
    vindex_status status = vx_stages_make(steps, all, chain->kernels, &stages, &stage_count);
    if (status != VINDEX_OK) {
        vx_free(steps);
        return status;
    }
    memset(more, 0, count * sizeof *more);
    vx_free(chain->steps);
    vx_stages_free(chain->stages, chain->stage_count);
    chain->steps = steps;
    chain->step_count = all;
    chain->stages = stages;
    chain->stage_count = stage_count;
    return VINDEX_OK;
}

static vindex_status copy_steps(const vindex_transform *chain, vx_step **copies) {
    vx_step *steps = vx_alloc_zero(chain->step_count, sizeof *steps);
    if (!steps) return vx_fail_memory(chain->step_count, sizeof *steps, "transform");
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; status == VINDEX_OK && i < chain->step_count; i++)
        status = vx_step_copy(&chain->steps[i], &steps[i]);
    if (status == VINDEX_OK) {
        *copies = steps;
        return status;
    }
    for (size_t i = 0; i < chain->step_count; i++) vx_step_free(&steps[i]);
    vx_free(steps);
    return status;
}

vindex_status vindex_transform_append(vindex_transform *transform, const vindex_transform *next) {
    vx_step *steps = NULL;
    if (!transform || !next)
        return vx_fail(VINDEX_ERR_ARGUMENT, "append: a transform is NULL; give both");
    int64_t out = vindex_transform_output_dim(transform), in = vindex_transform_input_dim(next);
    if (out != in)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "append: the first gives %lld numbers and the next takes %lld; they must "
                       "agree",
                       (long long)out, (long long)in);
    VX_TRY(copy_steps(next, &steps));
    size_t count = next->step_count;
    vindex_status status = vx_chain_take(transform, steps, count);
    for (size_t i = 0; i < count; i++) vx_step_free(&steps[i]);
    vx_free(steps);
    return status;
}

vindex_status vindex_transform_copy(const vindex_transform *transform, vindex_transform **copy) {
    vx_step *steps = NULL;
    vindex_transform *made = NULL;
    if (!transform || !copy)
        return vx_fail(VINDEX_ERR_ARGUMENT, "copy: NULL; give a transform and a place for another");
    VX_TRY(vx_chain_create(&made));
    vindex_status status = copy_steps(transform, &steps);
    if (status == VINDEX_OK) {
        status = vx_chain_take(made, steps, transform->step_count);
        for (size_t i = 0; i < transform->step_count; i++) vx_step_free(&steps[i]);
        vx_free(steps);
    }
    if (status == VINDEX_OK)
        *copy = made;
    else
        vindex_transform_free(made);
    return status;
}

/* ---- transforms from ready numbers ---- */

static vindex_status from_step(vx_step *step, vindex_transform **transform) {
    vindex_transform *made = NULL;
    VX_TRY(vx_chain_create(&made));
    vindex_status status = vx_chain_take(made, step, 1);
    if (status == VINDEX_OK)
        *transform = made;
    else
        vindex_transform_free(made);
    return status;
}

static vindex_status check_dims(const char *what, int64_t in, int64_t out) {
    if (in >= 1 && in <= VX_DIM_MOST && out >= 1 && out <= VX_DIM_MOST) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_ARGUMENT, "%s: %lld numbers to %lld; give 1 to %d", what,
                   (long long)in, (long long)out, VX_DIM_MOST);
}

static vindex_status fill_affine(vx_step *step, const float *weights, const float *bias) {
    size_t where, count = step->in * step->out;
    if (!vx_all_finite(weights, count, &where) || (bias && !vx_all_finite(bias, step->out, &where)))
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: weights or bias hold NaN or infinity; look at how they were made",
                       step->method);
    memcpy(step->weights, weights, count * sizeof *weights);
    if (bias) memcpy(step->bias, bias, step->out * sizeof *bias);
    return VINDEX_OK;
}

vindex_status vindex_transform_affine(const char *origin, int64_t in, int64_t out,
                                      const float *weights, const float *bias,
                                      vindex_transform **transform) {
    if (!origin || !weights || !transform || !*origin || strlen(origin) >= VX_METHOD_NAME)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "affine: NULL, or an origin that has not 1 to %d characters; give an "
                       "origin, weights and a place for the transform",
                       VX_METHOD_NAME - 1);
    VX_TRY(check_dims(origin, in, out));
    vx_step step = {0};
    strcpy(step.method, origin);
    vindex_status status = vx_step_affine(&step, (size_t)in, (size_t)out, false);
    if (status == VINDEX_OK) status = fill_affine(&step, weights, bias);
    if (status == VINDEX_OK) status = from_step(&step, transform);
    vx_step_free(&step);
    return status;
}

vindex_status vindex_transform_normalise(int64_t dim, vindex_transform **transform) {
    if (!transform)
        return vx_fail(VINDEX_ERR_ARGUMENT, "normalise: give a place for the transform");
    VX_TRY(check_dims("normalise", dim, dim));
    vx_step step = {.kind = VINDEX_STEP_NORMALISE,
                    .method = "normalise",
                    .in = (size_t)dim,
                    .out = (size_t)dim};
    return from_step(&step, transform);
}

/* ---- looking ---- */

int64_t vindex_transform_input_dim(const vindex_transform *transform) {
    return (int64_t)transform->steps[0].in;
}

int64_t vindex_transform_output_dim(const vindex_transform *transform) {
    return (int64_t)transform->steps[transform->step_count - 1].out;
}

size_t vindex_transform_memory(const vindex_transform *transform) {
    size_t numbers = 0;
    for (size_t i = 0; i < transform->step_count; i++) {
        const vx_step *step = &transform->steps[i];
        if (step->kind == VINDEX_STEP_AFFINE) numbers += 2 * step->in * step->out;
        numbers += 2 * (step->in + step->out);
        for (size_t f = 0; f < step->fact_count; f++) numbers += 2 * step->facts[f].count;
    }
    return sizeof *transform + numbers * sizeof(float);
}

int64_t vindex_transform_step_count(const vindex_transform *transform) {
    return (int64_t)transform->step_count;
}

vindex_status vindex_transform_describe(const vindex_transform *transform, int64_t i,
                                        vindex_transform_step *shown) {
    if (!transform || !shown || i < 0 || (size_t)i >= transform->step_count)
        return vx_fail(VINDEX_ERR_ARGUMENT, "describe: there is no step %lld; give 0 to %lld",
                       (long long)i, transform ? (long long)transform->step_count - 1 : -1);
    const vx_step *step = &transform->steps[i];
    *shown = (vindex_transform_step){
        .method = step->method,
        .kind = step->kind,
        .in = (int64_t)step->in,
        .out = (int64_t)step->out,
        .fact_count = (int64_t)step->fact_count,
        .weights = step->weights,
        .bias = step->bias,
        .shift = step->shift,
        .scale = step->scale,
    };
    return VINDEX_OK;
}

vindex_status vindex_transform_fact_at(const vindex_transform *transform, int64_t step,
                                       int64_t fact, vindex_transform_fact *shown) {
    if (!transform || !shown || step < 0 || (size_t)step >= transform->step_count || fact < 0 ||
        (size_t)fact >= transform->steps[step].fact_count)
        return vx_fail(VINDEX_ERR_ARGUMENT, "fact: step %lld has no fact %lld", (long long)step,
                       (long long)fact);
    const vx_fact *found = &transform->steps[step].facts[fact];
    *shown = (vindex_transform_fact){found->name, found->values, (int64_t)found->count};
    return VINDEX_OK;
}
