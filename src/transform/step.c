/* Steps: their memory, and the facts beside them. */
#include "method.h"

static float *numbers(size_t count, float value) {
    float *values = vx_alloc(count, sizeof *values);
    for (size_t i = 0; values && i < count; i++) values[i] = value;
    return values;
}

vindex_status vx_step_affine(vx_step *step, size_t in, size_t out, bool shifted) {
    size_t count;
    step->kind = VINDEX_STEP_AFFINE;
    step->in = in;
    step->out = out;
    if (!vx_mul(in, out, &count)) return vx_fail_memory(in, out, "weights");
    step->weights = numbers(count, 0);
    step->bias = numbers(out, 0);
    step->shift = shifted ? numbers(in, 0) : NULL;
    if (!step->weights || !step->bias || (shifted && !step->shift))
        return vx_fail_memory(count, sizeof(float), "weights");
    return VINDEX_OK;
}

vindex_status vx_step_scale(vx_step *step, size_t dim) {
    step->kind = VINDEX_STEP_SCALE;
    step->in = step->out = dim;
    step->shift = numbers(dim, 0);
    step->scale = numbers(dim, 1);
    if (!step->shift || !step->scale) return vx_fail_memory(dim, sizeof(float), "scale");
    return VINDEX_OK;
}

vindex_status vx_step_fact(vx_step *step, const char *name, const double *values, size_t count) {
    double *copy = vx_alloc(count, sizeof *copy);
    vx_fact *facts = vx_alloc(step->fact_count + 1, sizeof *facts);
    if (!copy || !facts) {
        vx_free(copy);
        vx_free(facts);
        return vx_fail_memory(count, sizeof *copy, name);
    }
    if (count) memcpy(copy, values, count * sizeof *copy);
    if (step->fact_count) memcpy(facts, step->facts, step->fact_count * sizeof *facts);
    vx_fact *fact = &facts[step->fact_count++];
    *fact = (vx_fact){.values = copy, .count = count};
    strncpy(fact->name, name, sizeof fact->name - 1);
    vx_free(step->facts);
    step->facts = facts;
    return VINDEX_OK;
}

void vx_step_free(vx_step *step) {
    vx_free(step->weights);
    vx_free(step->bias);
    vx_free(step->shift);
    vx_free(step->scale);
    for (size_t i = 0; i < step->fact_count; i++) vx_free(step->facts[i].values);
    vx_free(step->facts);
    *step = (vx_step){0};
}

static vindex_status copy_numbers(const float *from, size_t count, float **to) {
    if (!from) return VINDEX_OK;
    *to = vx_alloc(count, sizeof **to);
    if (!*to) return vx_fail_memory(count, sizeof **to, "copy of a step");
    memcpy(*to, from, count * sizeof **to);
    return VINDEX_OK;
}

static vindex_status copy_all(const vx_step *from, vx_step *to) {
    VX_TRY(copy_numbers(from->weights, from->in * from->out, &to->weights));
    VX_TRY(copy_numbers(from->bias, from->out, &to->bias));
    VX_TRY(copy_numbers(from->shift, from->in, &to->shift));
    VX_TRY(copy_numbers(from->scale, from->in, &to->scale));
    for (size_t i = 0; i < from->fact_count; i++)
        VX_TRY(vx_step_fact(to, from->facts[i].name, from->facts[i].values, from->facts[i].count));
    return VINDEX_OK;
}

vindex_status vx_step_copy(const vx_step *from, vx_step *to) {
    *to = *from;
    to->weights = to->bias = to->shift = to->scale = NULL;
    to->facts = NULL;
    to->fact_count = 0;
    vindex_status status = copy_all(from, to);
    if (status != VINDEX_OK) vx_step_free(to);
    return status;
}
