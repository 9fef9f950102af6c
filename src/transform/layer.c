/* Layers that were trained elsewhere, as transforms. */
#include <math.h>

#include "chain.h"

static const vindex_field fields[] = {
    {"epsilon", VINDEX_FIELD_DOUBLE, offsetof(vindex_layer, epsilon), 0, 1, 1e-5,
     "added to the variance by the batch norm", NULL},
};
static const vindex_field_table table = {"layer", sizeof(vindex_layer), fields, VX_COUNT(fields)};

void vindex_layer_init_sized(vindex_layer *layer, size_t struct_size) {
    vindex_fields_init(&table, layer, struct_size);
}

static vindex_status check_layer(const vindex_layer *layer) {
    if (!layer) return vx_fail(VINDEX_ERR_ARGUMENT, "layer: NULL; start with vindex_layer_init");
    VX_TRY(vindex_fields_check(&table, layer));
    if (layer->in < 1 || layer->in > VX_DIM_MOST || layer->out < 1 || layer->out > VX_DIM_MOST)
        return vx_fail(VINDEX_ERR_ARGUMENT, "layer: %lld numbers to %lld; give 1 to %d",
                       (long long)layer->in, (long long)layer->out, VX_DIM_MOST);
    if (!layer->weights)
        return vx_fail(VINDEX_ERR_ARGUMENT, "layer: there are no weights; give %lld x %lld numbers",
                       (long long)layer->out, (long long)layer->in);
    if (!layer->mean != !layer->variance)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "layer: a batch norm has a running mean and a running variance, and one is "
                       "missing; give both or neither");
    if ((layer->scale || layer->offset) && !layer->mean)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "layer: the batch norm has a scale or an offset and no running mean and "
                       "variance; give them too");
    return VINDEX_OK;
}

/* y = scale (W x + bias - mean) / sqrt(variance + epsilon) + offset, as one affine map. */
static vindex_status fold(const vindex_layer *layer, float *weights, float *bias) {
    for (size_t o = 0; o < (size_t)layer->out; o++) {
        double factor = 1, add = layer->bias ? (double)layer->bias[o] : 0;
        if (layer->mean) {
            double spread = (double)layer->variance[o] + layer->epsilon;
            if (!(layer->variance[o] >= 0) || !(spread > 0))
                return vx_fail(VINDEX_ERR_DATA,
                               "layer: the running variance of output %zu is %g; it must not be "
                               "negative, nor 0 without epsilon",
                               o, (double)layer->variance[o]);
            factor = (layer->scale ? (double)layer->scale[o] : 1) / sqrt(spread);
            add = factor * (add - (double)layer->mean[o]);
            add += layer->offset ? (double)layer->offset[o] : 0;
        }
        const float *from = layer->weights + o * (size_t)layer->in;
        float *to = weights + o * (size_t)layer->in;
        for (size_t i = 0; i < (size_t)layer->in; i++) to[i] = (float)(factor * (double)from[i]);
        bias[o] = (float)add;
    }
    return VINDEX_OK;
}

vindex_status vindex_transform_layer(const char *origin, const vindex_layer *layer,
                                     vindex_transform **transform) {
    VX_TRY(check_layer(layer));
    size_t in = (size_t)layer->in, out = (size_t)layer->out, numbers;
    float *weights = vx_mul(in, out, &numbers) ? vx_alloc(numbers, sizeof *weights) : NULL;
    float *bias = vx_alloc(out, sizeof *bias);
    vindex_status status = weights && bias ? fold(layer, weights, bias)
                                           : vx_fail_memory(in, out * sizeof(float), "layer");
    if (status == VINDEX_OK)
        status = vindex_transform_affine(origin, layer->in, layer->out, weights, bias, transform);
    vx_free(weights);
    vx_free(bias);
    return status;
}
