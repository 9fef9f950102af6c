#include "optimiser.h"

static const double beta2 = 0.999, epsilon = 1e-8; /* Adam's, as its authors set them */

vindex_status vx_parameter_create(size_t count, bool decays, vx_parameter *parameter) {
    *parameter = (vx_parameter){.count = count, .decays = decays};
    parameter->values = vx_alloc_zero(count, sizeof(float));
    parameter->slope = vx_alloc_zero(count, sizeof(float));
    parameter->first = vx_alloc_zero(count, sizeof(float));
    parameter->second = vx_alloc_zero(count, sizeof(float));
    if (parameter->values && parameter->slope && parameter->first && parameter->second)
        return VINDEX_OK;
    vx_parameter_free(parameter);
    return vx_fail_memory(count, 4 * sizeof(float), "numbers being learned");
}

void vx_parameter_free(vx_parameter *parameter) {
    vx_free(parameter->values);
    vx_free(parameter->slope);
    vx_free(parameter->first);
    vx_free(parameter->second);
    *parameter = (vx_parameter){0};
}

void vx_parameter_start(vx_parameter *parameter, size_t in, vx_rng *rng) {
    double bound = 1 / sqrt((double)in);
    for (size_t i = 0; i < parameter->count; i++)
        parameter->values[i] = (float)(bound * (2 * vx_rng_uniform(rng) - 1));
}

void vx_optimiser_begin(vx_optimiser *optimiser, double scale) {
    optimiser->scale = scale;
    optimiser->steps++;
}

static void move_sgd(const vx_optimiser *o, vx_parameter *p, size_t first, size_t end) {
    float rate = (float)o->rate, momentum = (float)o->momentum, scale = (float)o->scale;
    float decay = p->decays ? (float)o->decay : 0;
    for (size_t i = first; i < end; i++) {
        float slope = scale * p->slope[i] + decay * p->values[i];
        p->first[i] = vx_or_zero(momentum * p->first[i] + slope);
        p->values[i] -= rate * p->first[i];
        p->slope[i] = 0;
    }
}

static void move_adam(const vx_optimiser *o, vx_parameter *p, size_t first, size_t end) {
    float beta = (float)o->momentum, gamma = (float)beta2, small = (float)epsilon;
    float decay = p->decays ? (float)o->decay : 0, scale = (float)o->scale;
    /* The bias of the running means, which start at 0, is undone in the rate and under the root. */
    float rate = (float)(o->rate / (1 - pow(o->momentum, (double)o->steps)));
    float grown = (float)(1 / (1 - pow(beta2, (double)o->steps)));
    for (size_t i = first; i < end; i++) {
        float slope = vx_or_zero(scale * p->slope[i] + decay * p->values[i]);
        float second = gamma * p->second[i] + (1 - gamma) * slope * slope;
        p->first[i] = vx_or_zero(beta * p->first[i] + (1 - beta) * slope);
        p->second[i] = second < 1e-36f ? 0 : second;
        p->values[i] -= rate * p->first[i] / (sqrtf(p->second[i] * grown) + small);
        p->slope[i] = 0;
    }
}

void vx_optimiser_move(const vx_optimiser *optimiser, vx_parameter *parameter, int threads) {
    enum { PIECE = 1 << 15 };
    size_t pieces = (parameter->count + PIECE - 1) / PIECE;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1 && pieces > 1)
    for (size_t piece = 0; piece < pieces; piece++) {
        size_t first = piece * PIECE, end = VX_MIN(first + PIECE, parameter->count);
        if (optimiser->kind == VX_OPTIMISER_SGD)
            move_sgd(optimiser, parameter, first, end);
        else
            move_adam(optimiser, parameter, first, end);
    }
}
