#include "softmax.h"

#include <math.h>

/* Four numbers side by side: every machine vindex runs on has registers of that size. */
typedef float lanes __attribute__((vector_size(16)));
typedef int32_t masks __attribute__((vector_size(16)));

enum { WIDTH = 4, CHUNK = 256 /* sums of single precision go over to double this often */ };

static lanes load(const float *from, size_t count, float other) {
    float values[WIDTH] = {other, other, other, other};
    lanes result;
    memcpy(values, from, count * sizeof *from);
    memcpy(&result, values, sizeof result);
    return result;
}

static lanes load_all(const float *from) {
    lanes result;
    memcpy(&result, from, sizeof result);
    return result;
}

static lanes larger(lanes a, lanes b) {
    masks choose = a > b;
    return (lanes)(((masks)a & choose) | ((masks)b & ~choose));
}

static lanes all(float value) {
    return (lanes){value, value, value, value};
}

/* exp(x) for x <= 0: 2^n exp(r), |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to a whole number and
 * leaves it in the low bits. Below -30, a share that no sum of float32 notices, it is 0: the
 * smallest numbers make products slow. */
static lanes exponential(lanes x) {
    const lanes least = all(-30.0f), whole = all(0x1.8p23f);
    masks within = x >= least;
    x = larger(x, least);
    lanes shifted = x * 1.44269504f + whole, n = shifted - whole;
    lanes r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f; /* ln 2 in two parts */
    lanes sum = 1.0f / 120 + r * (1.0f / 720);
    sum = 1.0f / 24 + r * sum;
    sum = 1.0f / 6 + r * sum;
    sum = 0.5f + r * sum;
    sum = 1.0f + r * sum;
    sum = 1.0f + r * sum;
    lanes power = (lanes)(((masks)shifted + 127) << 23);
    return (lanes)((masks)(sum * power) & within);
}

static float largest(const float *values, size_t count) {
    lanes most[4] = {all(-INFINITY), all(-INFINITY), all(-INFINITY), all(-INFINITY)};
    size_t i = 0;
    for (; i + 4 * WIDTH <= count; i += 4 * WIDTH)
        for (size_t j = 0; j < 4; j++) most[j] = larger(most[j], load_all(values + i + j * WIDTH));
    for (; i < count; i += WIDTH)
        most[0] = larger(most[0], load(values + i, VX_MIN(count - i, (size_t)WIDTH), -INFINITY));
    lanes best = larger(larger(most[0], most[1]), larger(most[2], most[3]));
    return VX_MAX(VX_MAX(best[0], best[1]), VX_MAX(best[2], best[3]));
}

/* values = exp(values - most); answers their sum. */
static double exponentials(float *values, size_t count, float most) {
    double total = 0;
    for (size_t start = 0; start < count; start += CHUNK) {
        lanes sum = all(0);
        for (size_t i = start; i < VX_MIN(start + CHUNK, count); i += WIDTH) {
            size_t width = VX_MIN(count - i, (size_t)WIDTH);
            lanes x = width == WIDTH ? load_all(values + i) : load(values + i, width, -INFINITY);
            lanes e = exponential(x - most);
            memcpy(values + i, &e, width * sizeof *values);
            sum += e;
        }
        total += ((double)sum[0] + (double)sum[1]) + ((double)sum[2] + (double)sum[3]);
    }
    return total;
}

double vx_softmax(float *values, size_t count, float scale) {
    float most = largest(values, count);
    double total = exponentials(values, count, most);
    float share = (float)((double)scale / total);
    for (size_t i = 0; i < count; i++) values[i] *= share;
    return (double)most + log(total);
}
