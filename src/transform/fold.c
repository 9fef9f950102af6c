/* Steps become stages: linear neighbours are multiplied into one map, in double precision, and
 * weights are packed for the kernels. */
#include "chain.h"
#include "core/blas.h"

/* A linear map while it grows: y = W (x - shift) + bias, or without W y = (x - shift) scale + bias.
 */
typedef struct linear {
    size_t in, out;
    double *weights;              /* out x in, or NULL */
    double *shift, *scale, *bias; /* in; in, only without weights; out */
} linear;

static void free_linear(linear *l) {
    vx_free(l->weights);
    vx_free(l->shift);
    vx_free(l->scale);
    vx_free(l->bias);
    *l = (linear){0};
}

static double *widen(const float *from, size_t count, double otherwise) {
    double *to = vx_alloc(count, sizeof *to);
    for (size_t i = 0; to && i < count; i++) to[i] = from ? (double)from[i] : otherwise;
    return to;
}

static vindex_status linear_of(const vx_step *step, linear *l) {
    bool affine = step->kind == VINDEX_STEP_AFFINE;
    *l = (linear){.in = step->in, .out = step->out};
    if (affine) l->weights = widen(step->weights, step->in * step->out, 0);
    if (!affine) l->scale = widen(step->scale, step->in, 1);
    l->shift = widen(step->shift, step->in, 0);
    l->bias = widen(step->bias, step->out, 0);
    if ((affine ? l->weights : l->scale) && l->shift && l->bias) return VINDEX_OK;
    free_linear(l);
    return vx_fail_memory(step->in, step->out * sizeof(double), "transform");
}

/* Whether one map instead of two is no more work: going down and up again may be. */
static bool pays(const linear *l, const linear *next) {
    if (!l->weights || !next->weights) return true;
    return next->out * l->in <= l->in * l->out + next->in * next->out;
}

/* l becomes next after l, both with weights. */
static vindex_status multiply(linear *l, const linear *next) {
    double *weights = vx_alloc(next->out * l->in, sizeof *weights);
    if (!weights) return vx_fail_memory(next->out * l->in, sizeof *weights, "transform");
    vx_dgemm(&(vx_dproduct){.m = next->out,
                            .n = l->in,
                            .k = next->in,
                            .alpha = 1,
                            .a = next->weights,
                            .b = l->weights,
                            .c = weights},
             1);
    vx_free(l->weights);
    l->weights = weights;
    return VINDEX_OK;
}

/* l becomes next after l: next.W (l(x) - next.shift) + next.bias. next may lose its weights to l.
 */
static vindex_status follow(linear *l, linear *next) {
    double *bias = vx_alloc(next->out, sizeof *bias);
    if (!bias) return vx_fail_memory(next->out, sizeof *bias, "transform");
    for (size_t i = 0; i < l->out; i++) l->bias[i] -= next->shift[i];
    for (size_t o = 0; o < next->out; o++) {
        double sum = 0;
        if (next->weights)
            for (size_t i = 0; i < next->in; i++)
                sum += next->weights[o * next->in + i] * l->bias[i];
        else
            sum = l->bias[o] * next->scale[o];
        bias[o] = sum + next->bias[o];
    }
    vindex_status status = VINDEX_OK;
    if (next->weights && l->weights) {
        status = multiply(l, next);
    } else if (next->weights) {
        for (size_t o = 0; o < next->out; o++)
            for (size_t i = 0; i < l->in; i++) next->weights[o * l->in + i] *= l->scale[i];
        l->weights = next->weights;
        next->weights = NULL;
    } else {
        double *rows = l->weights ? l->weights : l->scale;
        size_t each = l->weights ? l->in : 1;
        for (size_t o = 0; o < l->out; o++)
            for (size_t i = 0; i < each; i++) rows[o * each + i] *= next->scale[o];
    }
    vx_free(l->bias);
    l->bias = bias;
    l->out = next->out;
    return status;
}

static float *narrow(const double *from, size_t count) {
    float *to = vx_alloc(count, sizeof *to);
    for (size_t i = 0; to && i < count; i++) to[i] = (float)from[i];
    return to;
}

/* Panels of tile_rows outputs each, the last one filled up with zeros. */
static float *pack_panels(const float *weights, size_t in, size_t out, const vx_kernels *kernels) {
    size_t width = kernels->tile_rows, panels = (out + width - 1) / width, numbers;
    if (!vx_mul(panels * width, in, &numbers)) return NULL;
    float *packed = vx_alloc(numbers, sizeof *packed);
    for (size_t p = 0; packed && p < panels; p++)
        kernels->pack[VINDEX_F32](weights + p * width * in, in * sizeof(float),
                                  VX_MIN(width, out - p * width), 0, in, width,
                                  packed + p * width * in);
    return packed;
}

static vindex_status affine_stage(const linear *l, const vx_kernels *kernels, vx_stage *stage) {
    float *weights = narrow(l->weights, l->in * l->out);
    if (weights) stage->panels = pack_panels(weights, l->in, l->out, kernels);
    vx_free(weights);
    return stage->panels ? VINDEX_OK
                         : vx_fail_memory(l->in, l->out * sizeof(float), "transform: weights");
}

static vindex_status stage_of(const linear *l, const vx_kernels *kernels, vx_stage *stage) {
    *stage = (vx_stage){
        .kind = l->weights ? VINDEX_STEP_AFFINE : VINDEX_STEP_SCALE, .in = l->in, .out = l->out};
    if (l->weights)
        VX_TRY(affine_stage(l, kernels, stage));
    else
        stage->scale = narrow(l->scale, l->in);
    stage->shift = narrow(l->shift, l->in);
    stage->bias = narrow(l->bias, l->out);
    if (!stage->shift || !stage->bias || (!l->weights && !stage->scale))
        return vx_fail_memory(l->in, l->out * sizeof(float), "transform");
    return VINDEX_OK;
}

static bool is_linear(const vx_step *step) {
    return step->kind == VINDEX_STEP_AFFINE || step->kind == VINDEX_STEP_SCALE;
}

/* Multiplies steps from *at on into l as long as that pays. */
static vindex_status gather(const vx_step *steps, size_t count, size_t *at, linear *l) {
    VX_TRY(linear_of(&steps[*at], l));
    vindex_status status = VINDEX_OK;
    for (++*at; status == VINDEX_OK && *at < count && is_linear(&steps[*at]); ++*at) {
        linear next;
        status = linear_of(&steps[*at], &next);
        if (status != VINDEX_OK) break;
        bool enough = !pays(l, &next);
        if (!enough) status = follow(l, &next);
        free_linear(&next);
        if (enough) break;
    }
    if (status != VINDEX_OK) free_linear(l);
    return status;
}

static vindex_status next_stage(const vx_step *steps, size_t count, size_t *at,
                                const vx_kernels *kernels, vx_stage *stage) {
    const vx_step *step = &steps[*at];
    if (is_linear(step)) {
        linear l;
        VX_TRY(gather(steps, count, at, &l));
        vindex_status status = stage_of(&l, kernels, stage);
        free_linear(&l);
        return status;
    }
    *stage = (vx_stage){.kind = step->kind, .in = step->in, .out = step->out};
    ++*at;
    return step->kind == VINDEX_STEP_ROTATION
               ? vx_rotation_seeded(step->in, step->seed, &stage->rotation)
               : VINDEX_OK;
}

vindex_status vx_stages_make(const vx_step *steps, size_t count, const vx_kernels *kernels,
                             vx_stage **stages, size_t *stage_count) {
    vx_stage *made = vx_alloc_zero(count, sizeof *made);
    if (!made) return vx_fail_memory(count, sizeof *made, "transform");
    size_t used = 0;
    vindex_status status = VINDEX_OK;
    for (size_t at = 0; status == VINDEX_OK && at < count; used++)
        status = next_stage(steps, count, &at, kernels, &made[used]);
    if (status != VINDEX_OK) {
        vx_stages_free(made, used);
        return status;
    }
    *stages = made;
    *stage_count = used;
    return VINDEX_OK;
}

void vx_stages_free(vx_stage *stages, size_t count) {
    for (size_t i = 0; i < count; i++) {
        vx_free(stages[i].panels);
        vx_free(stages[i].shift);
        vx_free(stages[i].scale);
        vx_free(stages[i].bias);
        vx_rotation_free(&stages[i].rotation);
    }
    vx_free(stages);
}
