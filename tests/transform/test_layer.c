/* Layers trained elsewhere: Linear and BatchNorm1d as one map. */
#include "data.h"

enum { IN = 7, OUT = 3, ROWS = 20 };

static const float bias[OUT] = {0.5F, -1, 2}, mean[OUT] = {3, 0, -2},
                   variance[OUT] = {4, 0.25F, 1e-4F}, scale[OUT] = {1.5F, -2, 0.001F},
                   offset[OUT] = {0, 7, 1};

static vindex_layer layer_of(const float *weights) {
    vindex_layer layer;
    vindex_layer_init(&layer);
    layer.in = IN;
    layer.out = OUT;
    layer.weights = weights;
    return layer;
}

/* The layers one after the other, in double precision. */
static void check(const vindex_layer *layer, const float *rows) {
    vindex_transform *transform;
    ck_ok(vindex_transform_layer("move", layer, &transform));
    float *found = data_apply(transform, rows, ROWS);
    for (int i = 0; i < ROWS; i++)
        for (int o = 0; o < OUT; o++) {
            double y = layer->bias ? (double)layer->bias[o] : 0;
            for (int j = 0; j < IN; j++)
                y += (double)layer->weights[o * IN + j] * (double)rows[i * IN + j];
            if (layer->mean)
                y = (y - (double)layer->mean[o]) /
                    sqrt((double)layer->variance[o] + layer->epsilon);
            if (layer->scale) y *= (double)layer->scale[o];
            if (layer->offset) y += (double)layer->offset[o];
            ck_near(found[i * OUT + o], y, 1e-4 * (1 + fabs(y)));
        }
    free(found);
    vindex_transform_free(transform);
}

START_TEST(every_combination) {
    float *weights = data_normal(OUT, IN, 1), *rows = data_normal(ROWS, IN, 2);
    vindex_layer layer = layer_of(weights);
    ck_assert_double_eq(layer.epsilon, 1e-5);
    check(&layer, rows);
    layer.bias = bias;
    check(&layer, rows);
    layer.mean = mean;
    layer.variance = variance;
    check(&layer, rows);
    layer.scale = scale;
    check(&layer, rows);
    layer.offset = offset;
    layer.epsilon = 1e-3;
    check(&layer, rows);
    layer.bias = NULL;
    check(&layer, rows);
    free(weights);
    free(rows);
}
END_TEST

static void refuses(vindex_status status, const char *text, const vindex_layer *layer) {
    vindex_transform *old = (vindex_transform *)(uintptr_t)layer, *transform = old;
    ck_fails(status, text, vindex_transform_layer("move", layer, &transform));
    ck_assert_ptr_eq(transform, old);
}

START_TEST(bad_input) {
    float *weights = data_normal(OUT, IN, 1);
    const float broken[OUT] = {1, NAN, 1}, negative[OUT] = {1, 1, -1}, zero[OUT] = {1, 1, 0};
    vindex_layer layer = layer_of(NULL);
    refuses(VINDEX_ERR_ARGUMENT, "NULL", NULL);
    refuses(VINDEX_ERR_ARGUMENT, "there are no weights", &layer);
    layer.weights = weights;
    layer.in = 0;
    refuses(VINDEX_ERR_ARGUMENT, "0 numbers to 3", &layer);
    layer.in = IN;
    layer.mean = mean;
    refuses(VINDEX_ERR_ARGUMENT, "one is missing", &layer);
    layer.mean = NULL;
    layer.scale = scale;
    refuses(VINDEX_ERR_ARGUMENT, "no running mean", &layer);
    layer.mean = mean;
    layer.variance = negative;
    refuses(VINDEX_ERR_DATA, "running variance of output 2 is -1", &layer);
    layer.variance = zero;
    layer.epsilon = 0;
    refuses(VINDEX_ERR_DATA, "running variance of output 2 is 0", &layer);
    layer.epsilon = 1e-5;
    layer.variance = broken;
    refuses(VINDEX_ERR_DATA, "running variance of output 1 is nan", &layer);
    layer.variance = variance;
    layer.bias = broken;
    refuses(VINDEX_ERR_DATA, "NaN or infinity", &layer);
    layer.bias = bias;
    layer.struct_size = 8;
    refuses(VINDEX_ERR_ARGUMENT, "struct_size", &layer);
    layer.struct_size = sizeof layer;
    for (long after = 0; after < 3; after++) {
        vindex_transform *transform = NULL;
        vx_alloc_fail_after(after);
        ck_assert_int_eq(vindex_transform_layer("move", &layer, &transform), VINDEX_ERR_MEMORY);
        vx_alloc_fail_after(-1);
        ck_assert_ptr_null(transform);
    }
    free(weights);
}
END_TEST

TEST_MAIN("transform/layer", every_combination, bad_input)
