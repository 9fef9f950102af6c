#include "head.h"

#include <math.h>

#include "core/blas.h"

static const double epsilon = 1e-5; /* added to variances, as PyTorch does */

static float *take(size_t rows, size_t columns) {
    size_t count;
    return vx_mul(rows, columns, &count) ? vx_alloc_zero(count, sizeof(float)) : NULL;
}

vindex_status vx_head_create(size_t in, size_t out, size_t batch, bool normed, vx_head *head) {
    size_t count;
    *head = (vx_head){.in = in, .out = out, .batch = batch, .normed = normed};
    if (!vx_mul(in, out, &count)) return vx_fail_memory(out, in * sizeof(float), "weights");
    VX_TRY(vx_parameter_create(count, true, &head->weights));
    vindex_status status = normed ? VINDEX_OK : vx_parameter_create(out, false, &head->bias);
    if (status == VINDEX_OK) {
        head->mean = take(out, 1);
        head->deviation = take(out, 1);
        head->input = take(batch, in);
        head->layer = take(batch, out);
        head->normal = take(batch, out);
        head->layer_slope = take(batch, out);
        head->normal_slope = take(batch, out);
        head->spread = take(out, 1);
        head->sums = vx_alloc_zero(out, 2 * sizeof(double));
        if (!head->mean || !head->deviation || !head->input || !head->layer || !head->normal ||
            !head->layer_slope || !head->normal_slope || !head->spread || !head->sums)
            status = vx_fail_memory(batch, (in + 4 * out) * sizeof(float), "a batch");
    }
    if (status != VINDEX_OK) vx_head_free(head);
    return status;
}

void vx_head_free(vx_head *head) {
    vx_parameter_free(&head->weights);
    vx_parameter_free(&head->bias);
    vx_free(head->mean);
    vx_free(head->deviation);
    vx_free(head->input);
    vx_free(head->layer);
    vx_free(head->normal);
    vx_free(head->layer_slope);
    vx_free(head->normal_slope);
    vx_free(head->spread);
    vx_free(head->sums);
    *head = (vx_head){0};
}

static void apply_layer(vx_head *head, size_t n, int threads) {
    vx_sproduct product = {.m = n,
                           .n = head->out,
                           .k = head->in,
                           .alpha = 1,
                           .a = head->input,
                           .b = head->weights.values,
                           .c = head->layer,
                           .b_transposed = true};
    vx_sgemm(&product, threads);
    for (size_t i = 0; i < n && head->bias.count; i++)
        for (size_t j = 0; j < head->out; j++)
            head->layer[i * head->out + j] += head->bias.values[j];
}

/* (layer - mean) / deviation, both of the batch. */
static void normalise(vx_head *head, size_t n) {
    size_t out = head->out;
    double *means = head->sums, *squares = head->sums + out;
    memset(head->sums, 0, 2 * out * sizeof *head->sums);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < out; j++) means[j] += (double)head->layer[i * out + j] / (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < out; j++) {
            double away = (double)head->layer[i * out + j] - means[j];
            squares[j] += away * away / (double)n;
        }
    for (size_t j = 0; j < out; j++) head->spread[j] = (float)sqrt(squares[j] + epsilon);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < out; j++)
            head->normal[i * out + j] =
                (head->layer[i * out + j] - (float)means[j]) / head->spread[j];
}

void vx_head_forward(vx_head *head, size_t n, int threads) {
    size_t bytes = n * head->out * sizeof(float);
    apply_layer(head, n, threads);
    if (head->normed)
        normalise(head, n);
    else
        memcpy(head->normal, head->layer, bytes);
    memset(head->layer_slope, 0, bytes);
    memset(head->normal_slope, 0, bytes);
}

/* z = (f - mean) / s has the slope (g - mean g - z mean(g z)) / s. */
static void return_norm(vx_head *head, size_t n) {
    size_t out = head->out;
    double *means = head->sums, *alongs = head->sums + out;
    memset(head->sums, 0, 2 * out * sizeof *head->sums);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < out; j++) {
            double slope = (double)head->normal_slope[i * out + j] / (double)n;
            means[j] += slope;
            alongs[j] += slope * (double)head->normal[i * out + j];
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < out; j++) {
            size_t at = i * out + j;
            head->layer_slope[at] +=
                (head->normal_slope[at] - (float)means[j] - head->normal[at] * (float)alongs[j]) /
                head->spread[j];
        }
}

void vx_head_back(vx_head *head, size_t n, int threads) {
    size_t out = head->out;
    if (head->normed)
        return_norm(head, n);
    else
        for (size_t i = 0; i < n * out; i++) head->layer_slope[i] += head->normal_slope[i];
    for (size_t i = 0; i < n && head->bias.count; i++)
        for (size_t j = 0; j < out; j++) head->bias.slope[j] += head->layer_slope[i * out + j];
    vx_sproduct product = {.m = out,
                           .n = head->in,
                           .k = n,
                           .alpha = 1,
                           .beta = 1,
                           .a = head->layer_slope,
                           .b = head->input,
                           .c = head->weights.slope,
                           .a_transposed = true};
    vx_sgemm(&product, threads);
}

void vx_head_settle_begin(vx_head *head) {
    memset(head->sums, 0, 2 * head->out * sizeof *head->sums);
}

void vx_head_settle_add(vx_head *head, size_t n, int threads) {
    size_t out = head->out;
    apply_layer(head, n, threads);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < out; j++) {
            double value = (double)head->layer[i * out + j];
            head->sums[j] += value;
            head->sums[out + j] += value * value;
        }
}

void vx_head_settle_end(vx_head *head, size_t rows) {
    for (size_t j = 0; j < head->out; j++) {
        double mean = head->sums[j] / (double)rows;
        /* Rows are centred, so that the squares do not cancel. */
        double variance = VX_MAX(head->sums[head->out + j] / (double)rows - mean * mean, 0.0);
        head->mean[j] = (float)mean;
        head->deviation[j] = (float)sqrt(variance + epsilon);
    }
}

void vx_head_fold(const vx_head *head, bool norm, float *weights, float *bias) {
    for (size_t j = 0; j < head->out; j++) {
        float scale = norm ? 1 / head->deviation[j] : 1, mean = norm ? head->mean[j] : 0;
        float own = head->bias.count ? head->bias.values[j] : 0;
        for (size_t k = 0; k < head->in; k++)
            weights[j * head->in + k] = head->weights.values[j * head->in + k] * scale;
        bias[j] = (own - mean) * scale;
    }
}
