/* What scalar quantizers learn: the middle, and per dimension a range. */
#include <math.h>

#include "exact/bound.h"
#include "scalar.h"

enum {
    NUMBERS_MOST = 1 << 24, /* learnt from at once */
    ROWS_LEAST = 1000,
    MEASURED_MOST = 2000, /* vectors that are coded to see how well */
    SORTED_MOST = 2048    /* numbers of a dimension that its range is tried on */
};

/* Training vectors as the metric sees them, less their centres: every step-th one. */
typedef struct residuals {
    const vx_sample *sample;
    size_t count, step;
    float *numbers; /* count x dim */
} residuals;

static const float *centre_of(const vx_sample *sample, size_t dim, size_t i) {
    return sample->centres ? sample->centres + sample->nearest[i] * dim : NULL;
}

/* Every so many-th of n vectors is learnt from. */
static size_t step_for(size_t dim, size_t n) {
    size_t most = VX_MAX(NUMBERS_MOST / dim, (size_t)ROWS_LEAST);
    most = VX_MIN(most, (size_t)VX_SCALAR_USEFUL);
    return (n + most - 1) / most;
}

size_t vx_scalar_learn_bytes(size_t dim, size_t vectors) {
    size_t step = step_for(dim, vectors);
    return (vectors + step - 1) / step * dim * sizeof(float);
}

static vindex_status gather(const vx_scalar *codec, const vx_sample *sample, residuals *all) {
    size_t dim = codec->shape.dim;
    *all = (residuals){.sample = sample, .step = step_for(dim, sample->n)};
    all->count = (sample->n + all->step - 1) / all->step;
    all->numbers = vx_alloc(all->count, dim * sizeof(float));
    if (!all->numbers) return vx_fail_memory(all->count, dim * sizeof(float), "train");
#pragma omp parallel for num_threads(sample->threads) if (sample->threads > 1)
    for (size_t i = 0; i < all->count; i++)
        vx_codec_form(&codec->base, sample->vectors + i * all->step * dim,
                      centre_of(sample, dim, i * all->step), all->numbers + i * dim);
    return VINDEX_OK;
}

static void learn_mean(const residuals *all, size_t dim, float *middle) {
    for (size_t j = 0; j < dim; j++) {
        double sum = 0;
        for (size_t i = 0; i < all->count; i++) sum += (double)all->numbers[i * dim + j];
        middle[j] = (float)(sum / (double)all->count);
    }
}

static int compare_floats(const void *a, const void *b) {
    const float *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The squared error of numbers in a range cut into 2^bits steps. */
static double range_error(const float *numbers, size_t count, double low, double step, int bits) {
    double error = 0, last = (double)((1 << bits) - 1);
    for (size_t i = 0; i < count; i++) {
        double level = floor(((double)numbers[i] - low) / step);
        level = fmin(fmax(level, 0), last);
        double off = (double)numbers[i] - (low + (level + 0.5) * step);
        error += off * off;
    }
    return error;
}

/* The range of a dimension: all there is, or without some at either end where these would make the
 * steps of the others too wide. */
static void learn_range(float *sorted, size_t count, int bits, float *middle, float *step) {
    double best = INFINITY;
    qsort(sorted, count, sizeof *sorted, compare_floats);
    for (size_t off = 0; off <= count / 4; off = off ? off + off / 2 + 1 : 1) {
        double low = (double)sorted[off], high = (double)sorted[count - 1 - off];
        double width = (high - low) / (1 << bits);
        if (!(width > 0)) break;
        double error = range_error(sorted, count, low, width, bits);
        if (error >= best) continue;
        best = error;
        *middle = (float)((low + high) / 2);
        *step = (float)width;
    }
    if (best < INFINITY) return;
    *middle = sorted[count / 2];
    *step = 0;
}

static void learn_ranges(const vx_scalar *codec, const residuals *all, float *middle,
                         float *steps) {
    size_t dim = codec->shape.dim, stride = (all->count + SORTED_MOST - 1) / SORTED_MOST;
    int threads = all->sample->threads;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t j = 0; j < dim; j++) {
        float column[SORTED_MOST];
        size_t count = 0;
        for (size_t i = 0; i < all->count; i += stride) column[count++] = all->numbers[i * dim + j];
        learn_range(column, count, codec->shape.bits, &middle[j], &steps[j]);
    }
}

/* Codes some of the training vectors: how far off they are, and how long codes are beside that. */
static void measure(vx_scalar *codec, const vx_sample *sample) {
    size_t dim = codec->shape.dim, step = (sample->n + MEASURED_MOST - 1) / MEASURED_MOST;
    double codes = 0, errors = 0, squares = 0;
    size_t count = 0;
    for (size_t i = 0; i < sample->n; i += step, count++) {
        unsigned char levels[VX_SCALAR_NUMBERS];
        float decoded[VX_SCALAR_NUMBERS];
        vx_scalar_row row = vx_scalar_quantise(codec, sample->vectors + i * dim,
                                               centre_of(sample, dim, i), levels, decoded);
        codes += row.code;
        errors += row.error;
        squares += row.square;
    }
    /* A tenth more, so that few rows have their error raised for the sake of the code's length. */
    double ratio = errors > 0 ? 1.1 * codes / errors : 1;
    codec->ratio = (float)fmin(fmax(ratio, 1e-3), 1e6);
    codec->base.distortion = fmin(squares / (double)count, 1e38);
}

vindex_status vx_scalar_train(vx_codec *codec, const vx_sample *sample) {
    vx_scalar *own = (vx_scalar *)codec;
    size_t dim = own->shape.dim;
    residuals all;
    if (!sample->n)
        return vx_fail(VINDEX_ERR_DATA,
                       "train: %s learns from vectors and there are none; give at "
                       "least 1, better 1,000",
                       codec->word);
    vx_scalar trained = *own;
    trained.middle = vx_alloc(dim, sizeof(float));
    trained.steps = vx_alloc(dim, sizeof(float));
    vindex_status status = trained.middle && trained.steps
                               ? gather(own, sample, &all)
                               : vx_fail_memory(dim, 2 * sizeof(float), "train");
    if (status != VINDEX_OK) {
        vx_free(trained.middle);
        vx_free(trained.steps);
        return status;
    }
    for (size_t j = 0; j < dim; j++) trained.steps[j] = 1;
    if (own->kind == VX_SCALAR_DIMENSION)
        learn_ranges(own, &all, trained.middle, trained.steps);
    else
        learn_mean(&all, dim, trained.middle);
    vx_free(all.numbers);
    vx_scalar_measure(&trained);
    measure(&trained, sample);
    vx_free(own->middle);
    vx_free(own->steps);
    *own = trained;
    return VINDEX_OK;
}
