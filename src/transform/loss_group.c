/* I. Elezi et al., "The group loss for deep metric learning", ECCV 2020, as "Less is more" uses it:
 * one anchor per class of the batch.
 *
 * X(0) is the softmax of a linear classifier; an anchor's row is its class alone. W holds Pearson's
 * correlations of the rows, 0 where negative and on the diagonal. Replicator dynamics turn X(t)
 * into X(t+1) = X(t) * W X(t), every row scaled to sum to 1 again, and the loss is the mean of -log
 * X(T) of their own class over all rows that are no anchors. (Equation 7's softmax of logits is
 * that very number for the logits log X(T).) A row that no other supports stays as it is. */
#include "loss_group.h"

#include <math.h>

#include "core/blas.h"
#include "loss_pairs.h"
#include "softmax.h"

enum rooms {
    SUPPORT = VX_PAIR_LENGTHS + 1, /* batch x classes: W X(t), then slopes of X(t) * W X(t) */
    SLOPE,                         /* batch x classes: of X(t) */
    SUMS,                          /* batch: sums of X(t) * W X(t) over the classes */
    LIKENESS,                      /* batch x batch: W */
    ANCHORS,                       /* batch: 1 for an anchor */
    STATES                         /* (iterations + 1) x batch x classes */
};

static const double least = 1e-12; /* added to a probability before its logarithm is taken */

/* Slopes are cut off here on the way back: a row whose class nobody supports has slopes that grow
 * beyond float32 from iteration to iteration, and then are no numbers. */
static const float steepest = 1e12f;

static vindex_status create(vx_loss *loss) {
    const vx_loss_setup *setup = &loss->setup;
    size_t n = setup->batch, count;
    VX_TRY(vx_pair_rooms(loss));
    if (!vx_mul(setup->classes, setup->dim, &count))
        return vx_fail_memory(setup->classes, setup->dim, "group loss");
    VX_TRY(vx_parameter_create(count, false, &loss->learned));
    VX_TRY(vx_loss_room(loss, SUPPORT, n, setup->classes));
    VX_TRY(vx_loss_room(loss, SLOPE, n, setup->classes));
    VX_TRY(vx_loss_room(loss, SUMS, n, 1));
    VX_TRY(vx_loss_room(loss, LIKENESS, n, n));
    VX_TRY(vx_loss_room(loss, ANCHORS, n, 1));
    return vx_loss_room(loss, STATES, (size_t)setup->iterations + 1, n * setup->classes);
}

static void start(vx_loss *loss, vx_rng *rng) {
    vx_parameter_start(&loss->learned, loss->setup.dim, rng);
}

/* A step under way. */
typedef struct group_step {
    vx_loss *loss;
    const vx_batch *batch;
    size_t n, classes;
    vx_pairs pairs;
    size_t offset; /* where the notion's classifier begins among the numbers learned */
    int team;
} group_step;

static float *state(const group_step *s, int t) {
    return s->loss->rooms[STATES] + (size_t)t * s->n * s->classes;
}

static size_t own_class(const group_step *s, size_t row) {
    return (size_t)s->batch->classes[row] - s->batch->class_first;
}

/* The first row of each class; answers how many rows are none. */
static size_t mark_anchors(const group_step *s) {
    float *anchors = s->loss->rooms[ANCHORS];
    size_t others = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t first = 0;
        while (s->batch->classes[first] != s->batch->classes[i]) first++;
        anchors[i] = first == i;
        others += first != i;
    }
    return others;
}

/* X(0). */
static void classify(const group_step *s) {
    vx_sproduct product = {.m = s->n,
                           .n = s->classes,
                           .k = s->batch->dim,
                           .alpha = (float)(1 / s->loss->setup.temperature),
                           .a = s->batch->rows,
                           .b = s->loss->learned.values + s->offset,
                           .c = state(s, 0),
                           .b_transposed = true};
    vx_sgemm(&product, s->batch->threads);
    const float *anchors = s->loss->rooms[ANCHORS];
#pragma omp parallel for num_threads(s->team) schedule(static) if (s->team > 1)
    for (size_t i = 0; i < s->n; i++) {
        float *row = state(s, 0) + i * s->classes;
        if (anchors[i] > 0) {
            memset(row, 0, s->classes * sizeof *row);
            row[own_class(s, i)] = 1;
        } else
            vx_softmax(row, s->classes, 1);
    }
}

static void find_likeness(const group_step *s) {
    float *matrix = s->loss->rooms[VX_PAIR_MATRIX], *likeness = s->loss->rooms[LIKENESS];
    vx_pairs_compare(&s->pairs, matrix);
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->n; j++)
            likeness[i * s->n + j] = i == j ? 0 : VX_MAX(matrix[i * s->n + j], 0.0f);
}

/* W X(t), and each row's sum of X(t) * W X(t), 0 where it is too small to divide by. */
static void support(const group_step *s, int t) {
    float *sums = s->loss->rooms[SUMS];
    vx_sproduct product = {.m = s->n,
                           .n = s->classes,
                           .k = s->n,
                           .alpha = 1,
                           .a = s->loss->rooms[LIKENESS],
                           .b = state(s, t),
                           .c = s->loss->rooms[SUPPORT]};
    vx_sgemm(&product, s->batch->threads);
#pragma omp parallel for num_threads(s->team) schedule(static) if (s->team > 1)
    for (size_t i = 0; i < s->n; i++) {
        double sum = vx_dot(state(s, t) + i * s->classes, s->loss->rooms[SUPPORT] + i * s->classes,
                            s->classes);
        sums[i] = sum < least ? 0 : (float)sum;
    }
}

static void iterate(const group_step *s, int t) {
    const float *supports = s->loss->rooms[SUPPORT], *sums = s->loss->rooms[SUMS];
    support(s, t);
#pragma omp parallel for num_threads(s->team) schedule(static) if (s->team > 1)
    for (size_t i = 0; i < s->n; i++) {
        const float *from = state(s, t) + i * s->classes;
        float *to = state(s, t + 1) + i * s->classes, scale = 1 / sums[i];
        for (size_t c = 0; c < s->classes; c++)
            to[c] =
                sums[i] > 0 ? vx_or_zero(from[c] * supports[i * s->classes + c] * scale) : from[c];
    }
}

/* The loss, and its slope with respect to the last state. */
static double settle(const group_step *s, size_t others) {
    const float *last = state(s, s->loss->setup.iterations), *anchors = s->loss->rooms[ANCHORS];
    float *slope = s->loss->rooms[SLOPE];
    double sum = 0;
    memset(slope, 0, s->n * s->classes * sizeof *slope);
    for (size_t i = 0; i < s->n; i++) {
        if (anchors[i] > 0) continue;
        size_t where = i * s->classes + own_class(s, i);
        double probability = (double)last[where] + least;
        sum -= log(probability);
        slope[where] = (float)(-1 / (probability * (double)others));
    }
    return sum / (double)others;
}

/* One row on the way back from X(t+1) to X(t) and W X(t): with z = X(t) * W X(t) and X(t+1) = z /
 * sum z, dz = (g - g.X(t+1)) / sum z. */
static void return_row(const group_step *s, int t, size_t row) {
    size_t first = row * s->classes;
    const float *from = state(s, t) + first, *to = state(s, t + 1) + first;
    float *supports = s->loss->rooms[SUPPORT] + first, *slope = s->loss->rooms[SLOPE] + first;
    float sum = s->loss->rooms[SUMS][row];
    if (!(sum > 0)) { /* it stayed as it was */
        memset(supports, 0, s->classes * sizeof *supports);
        return;
    }
    float along = (float)vx_dot(slope, to, s->classes), scale = 1 / sum;
    for (size_t c = 0; c < s->classes; c++) {
        float product_slope = (slope[c] - along) * scale;
        product_slope = VX_MIN(VX_MAX(product_slope, -steepest), steepest);
        slope[c] = vx_or_zero(product_slope * supports[c]);
        supports[c] = vx_or_zero(product_slope * from[c]);
    }
}

/* From slopes of X(t+1) to those of X(t), adding up those of W. */
static void return_iteration(const group_step *s, int t) {
    support(s, t);
#pragma omp parallel for num_threads(s->team) schedule(static) if (s->team > 1)
    for (size_t i = 0; i < s->n; i++) return_row(s, t, i);
    vx_sproduct states = {.m = s->n,
                          .n = s->classes,
                          .k = s->n,
                          .alpha = 1,
                          .beta = 1,
                          .a = s->loss->rooms[LIKENESS], /* symmetric */
                          .b = s->loss->rooms[SUPPORT],
                          .c = s->loss->rooms[SLOPE]};
    vx_sproduct likeness = {.m = s->n,
                            .n = s->n,
                            .k = s->classes,
                            .alpha = 1,
                            .beta = 1,
                            .a = s->loss->rooms[SUPPORT],
                            .b = state(s, t),
                            .c = s->loss->rooms[VX_PAIR_SLOPES],
                            .b_transposed = true};
    vx_sgemm(&states, s->batch->threads);
    vx_sgemm(&likeness, s->batch->threads);
}

/* Through the softmax and the classifier; an anchor's state did not come from there. */
static void return_classifier(const group_step *s, float *row_slope) {
    const float *anchors = s->loss->rooms[ANCHORS];
    float *slope = s->loss->rooms[SLOPE];
#pragma omp parallel for num_threads(s->team) schedule(static) if (s->team > 1)
    for (size_t i = 0; i < s->n; i++) {
        const float *from = state(s, 0) + i * s->classes;
        float *own = slope + i * s->classes;
        float along = (float)vx_dot(own, from, s->classes);
        for (size_t c = 0; c < s->classes; c++)
            own[c] = anchors[i] > 0 ? 0 : vx_or_zero(from[c] * (own[c] - along));
    }
    float scale = (float)(1 / s->loss->setup.temperature);
    vx_sproduct rows = {.m = s->n,
                        .n = s->batch->dim,
                        .k = s->classes,
                        .alpha = scale,
                        .beta = 1,
                        .a = slope,
                        .b = s->loss->learned.values + s->offset,
                        .c = row_slope};
    vx_sproduct classifier = {.m = s->classes,
                              .n = s->batch->dim,
                              .k = s->n,
                              .alpha = scale,
                              .beta = 1,
                              .a = slope,
                              .b = s->batch->rows,
                              .c = s->loss->learned.slope + s->offset,
                              .a_transposed = true};
    vx_sgemm(&rows, s->batch->threads);
    vx_sgemm(&classifier, s->batch->threads);
}

/* What was cut off has no slope. */
static void return_likeness(const group_step *s, float *row_slope) {
    const float *matrix = s->loss->rooms[VX_PAIR_MATRIX];
    float *slopes = s->loss->rooms[VX_PAIR_SLOPES];
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->n; j++)
            if (i == j || !(matrix[i * s->n + j] > 0)) slopes[i * s->n + j] = 0;
    vx_pairs_back(&s->pairs, matrix, slopes, row_slope);
}

static double step(vx_loss *loss, const vx_batch *batch, float *slope) {
    group_step s = {.loss = loss,
                    .batch = batch,
                    .n = batch->n,
                    .classes = batch->class_count,
                    .pairs = vx_pairs_of(loss, batch, VX_CENTRED),
                    .offset = batch->class_first * batch->dim,
                    .team = vx_team(batch->threads, batch->n * batch->class_count)};
    size_t others = mark_anchors(&s);
    if (!others) return 0;
    classify(&s);
    find_likeness(&s);
    for (int t = 0; t < loss->setup.iterations; t++) iterate(&s, t);
    double value = settle(&s, others);
    memset(loss->rooms[VX_PAIR_SLOPES], 0, s.n * s.n * sizeof(float));
    for (int t = loss->setup.iterations - 1; t >= 0; t--) return_iteration(&s, t);
    return_classifier(&s, slope);
    return_likeness(&s, slope);
    return value;
}

const vx_loss_kind vx_loss_group = {.word = "group",
                                    .metric = VINDEX_PEARSON,
                                    .in_pairs = true,
                                    .temperature = 1,
                                    .clip = 1,
                                    .create = create,
                                    .start = start,
                                    .step = step};
