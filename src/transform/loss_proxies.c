#include "loss_proxies.h"

#include <math.h>

#include "core/blas.h"
#include "pairs.h"
#include "softmax.h"

enum rooms {
    LOGITS,        /* batch x classes; then their slopes */
    VALUES,        /* batch: each row's loss */
    UNITS,         /* batch x dim; */
    LENGTHS,       /* batch; */
    SPARE,         /* batch x dim: slopes of units */
    PROXY_UNITS,   /* classes x dim; */
    PROXY_LENGTHS, /* classes: lengths, or squares of them; */
    PROXY_SPARE    /* classes x dim, or for distances classes: slopes of units, sums of slopes */
};

/* How a row is compared with the proxies. */
typedef enum comparison { BY_PRODUCT, BY_COSINE, BY_DISTANCE } comparison;

/* A step under way. */
typedef struct proxy_step {
    vx_loss *loss;
    const vx_batch *batch;
    comparison by;
    float scale;                 /* logits are this times products */
    size_t offset;               /* where the notion's proxies begin among the numbers learned */
    const float *rows, *proxies; /* as the products see them */
    float *logits;
} proxy_step;

static vindex_status create(vx_loss *loss) {
    size_t n = loss->setup.batch, dim = loss->setup.dim, classes = loss->setup.classes, count;
    if (!vx_mul(classes, dim, &count)) return vx_fail_memory(classes, dim, "proxies");
    VX_TRY(vx_parameter_create(count, false, &loss->learned));
    VX_TRY(vx_loss_room(loss, LOGITS, n, classes));
    return vx_loss_room(loss, VALUES, n, 1);
}

static vindex_status create_cosine(vx_loss *loss) {
    size_t n = loss->setup.batch, dim = loss->setup.dim, classes = loss->setup.classes;
    VX_TRY(create(loss));
    VX_TRY(vx_loss_room(loss, UNITS, n, dim));
    VX_TRY(vx_loss_room(loss, LENGTHS, n, 1));
    VX_TRY(vx_loss_room(loss, SPARE, n, dim));
    VX_TRY(vx_loss_room(loss, PROXY_UNITS, classes, dim));
    VX_TRY(vx_loss_room(loss, PROXY_LENGTHS, classes, 1));
    return vx_loss_room(loss, PROXY_SPARE, classes, dim);
}

static vindex_status create_distance(vx_loss *loss) {
    VX_TRY(create(loss));
    VX_TRY(vx_loss_room(loss, PROXY_LENGTHS, loss->setup.classes, 1));
    return vx_loss_room(loss, PROXY_SPARE, loss->setup.classes, 1);
}

static void start_normal(vx_loss *loss, vx_rng *rng) {
    for (size_t i = 0; i < loss->learned.count; i++)
        loss->learned.values[i] = (float)vx_rng_normal(rng);
}

static void start_uniform(vx_loss *loss, vx_rng *rng) {
    vx_parameter_start(&loss->learned, loss->setup.dim, rng);
}

static vx_units row_units(const proxy_step *s) {
    float **rooms = s->loss->rooms;
    return (vx_units){.rows = s->batch->rows,
                      .n = s->batch->n,
                      .dim = s->batch->dim,
                      .units = rooms[UNITS],
                      .lengths = rooms[LENGTHS],
                      .threads = s->batch->threads};
}

static vx_units proxy_units(const proxy_step *s) {
    float **rooms = s->loss->rooms;
    return (vx_units){.rows = s->loss->learned.values + s->offset,
                      .n = s->batch->class_count,
                      .dim = s->batch->dim,
                      .units = rooms[PROXY_UNITS] + s->offset,
                      .lengths = rooms[PROXY_LENGTHS] + s->batch->class_first,
                      .threads = s->batch->threads};
}

/* -D = (2 v.p - |v|^2 - |p|^2) / d, in place of 2 v.p / d. */
static void subtract_squares(const proxy_step *s) {
    size_t dim = s->batch->dim, classes = s->batch->class_count;
    float *squares = s->loss->rooms[PROXY_LENGTHS], scale = 1 / (float)dim;
    int team = vx_team(s->batch->threads, s->batch->n * classes);
    for (size_t c = 0; c < classes; c++)
        squares[c] = (float)vx_dot(s->proxies + c * dim, s->proxies + c * dim, dim) * scale;
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1)
    for (size_t i = 0; i < s->batch->n; i++) {
        float own = (float)vx_dot(s->rows + i * dim, s->rows + i * dim, dim) * scale;
        float *logits = s->logits + i * classes;
        for (size_t c = 0; c < classes; c++) logits[c] -= own + squares[c];
    }
}

static void compare(proxy_step *s) {
    const vx_batch *batch = s->batch;
    if (s->by == BY_COSINE) {
        vx_units rows = row_units(s), proxies = proxy_units(s);
        vx_units_make(&rows);
        vx_units_make(&proxies);
        s->rows = rows.units;
        s->proxies = proxies.units;
    }
    vx_sproduct product = {.m = batch->n,
                           .n = batch->class_count,
                           .k = batch->dim,
                           .alpha = s->scale,
                           .a = s->rows,
                           .b = s->proxies,
                           .c = s->logits,
                           .b_transposed = true};
    vx_sgemm(&product, batch->threads);
    if (s->by == BY_DISTANCE) subtract_squares(s);
}

/* The loss of one row, -log of the softmax of its own class, and in place of its logits their
 * slopes, of a mean over the batch. With others_only its own class is not in the sum. */
static float settle_row(const proxy_step *s, size_t row, bool others_only) {
    size_t classes = s->batch->class_count;
    size_t own = (size_t)s->batch->classes[row] - s->batch->class_first;
    float *logits = s->logits + row * classes, share = 1 / (float)s->batch->n;
    double logit = (double)logits[own];
    if (others_only) logits[own] = -INFINITY;
    double total = vx_softmax(logits, classes, share);
    logits[own] -= share;
    return (float)(total - logit);
}

static double settle(const proxy_step *s, bool others_only) {
    size_t n = s->batch->n;
    float *values = s->loss->rooms[VALUES];
    double sum = 0;
    int team = vx_team(s->batch->threads, n * s->batch->class_count);
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1)
    for (size_t i = 0; i < n; i++) values[i] = settle_row(s, i, others_only);
    for (size_t i = 0; i < n; i++) sum += (double)values[i];
    return sum / (double)n;
}

/* Slopes of the logits times the proxies, and transposed times the rows. */
static void multiply_back(const proxy_step *s, float beta, float *row_slope, float *proxy_slope) {
    const vx_batch *batch = s->batch;
    vx_sproduct rows = {.m = batch->n,
                        .n = batch->dim,
                        .k = batch->class_count,
                        .alpha = s->scale,
                        .beta = beta,
                        .a = s->logits,
                        .b = s->proxies,
                        .c = row_slope};
    vx_sproduct proxies = {.m = batch->class_count,
                           .n = batch->dim,
                           .k = batch->n,
                           .alpha = s->scale,
                           .beta = beta,
                           .a = s->logits,
                           .b = s->rows,
                           .c = proxy_slope,
                           .a_transposed = true};
    vx_sgemm(&rows, batch->threads);
    vx_sgemm(&proxies, batch->threads);
}

/* The part of |p|^2: a proxy's slopes, summed, times -2 p / d. That of |v|^2 vanishes, for a row's
 * slopes sum to 0. */
static void back_squares(const proxy_step *s, float *proxy_slope) {
    size_t n = s->batch->n, classes = s->batch->class_count, dim = s->batch->dim;
    float *sums = s->loss->rooms[PROXY_SPARE];
    int team = vx_team(s->batch->threads, classes * dim);
    memset(sums, 0, classes * sizeof *sums);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < classes; c++) sums[c] += s->logits[i * classes + c];
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1)
    for (size_t c = 0; c < classes; c++)
        for (size_t j = 0; j < dim; j++)
            proxy_slope[c * dim + j] -= s->scale * sums[c] * s->proxies[c * dim + j];
}

static double step(vx_loss *loss, const vx_batch *batch, float *slope, comparison by) {
    proxy_step s = {.loss = loss,
                    .batch = batch,
                    .by = by,
                    .scale = by == BY_COSINE     ? (float)(1 / loss->setup.temperature)
                             : by == BY_DISTANCE ? 2 / (float)batch->dim
                                                 : 1,
                    .offset = batch->class_first * batch->dim,
                    .rows = batch->rows,
                    .logits = loss->rooms[LOGITS]};
    s.proxies = loss->learned.values + s.offset;
    bool others_only = by == BY_DISTANCE;
    if (others_only && batch->class_count < 2) return 0; /* nothing to tell a row from */
    compare(&s);
    double value = settle(&s, others_only);
    float *proxy_slope = loss->learned.slope + s.offset;
    if (by != BY_COSINE) {
        multiply_back(&s, 1, slope, proxy_slope);
        if (by == BY_DISTANCE) back_squares(&s, proxy_slope);
        return value;
    }
    vx_units rows = row_units(&s), proxies = proxy_units(&s);
    multiply_back(&s, 0, loss->rooms[SPARE], loss->rooms[PROXY_SPARE]);
    vx_units_back(&rows, loss->rooms[SPARE], slope);
    vx_units_back(&proxies, loss->rooms[PROXY_SPARE], proxy_slope);
    return value;
}

static double step_cosine(vx_loss *loss, const vx_batch *batch, float *slope) {
    return step(loss, batch, slope, BY_COSINE);
}

static double step_distance(vx_loss *loss, const vx_batch *batch, float *slope) {
    return step(loss, batch, slope, BY_DISTANCE);
}

static double step_product(vx_loss *loss, const vx_batch *batch, float *slope) {
    return step(loss, batch, slope, BY_PRODUCT);
}

/* Equation 6; A. Zhai and H.-Y. Wu, "Classification is a strong baseline for deep metric learning",
 * BMVC 2019. */
const vx_loss_kind vx_loss_normalized_softmax = {.word = "normalized-softmax",
                                                 .metric = VINDEX_COSINE,
                                                 .temperature = 0.05,
                                                 .create = create_cosine,
                                                 .start = start_normal,
                                                 .step = step_cosine};

/* Equation 5; Y. Movshovitz-Attias et al., "No fuss distance metric learning using proxies", ICCV
 * 2017: a row's own class is not among those it is told from. */
const vx_loss_kind vx_loss_proxy_nca = {.word = "proxy-nca",
                                        .metric = VINDEX_L2,
                                        .create = create_distance,
                                        .start = start_normal,
                                        .step = step_distance};

/* Plain classification, CE(softmax(W v)) of equation 2 of "ByteCover2". */
const vx_loss_kind vx_loss_softmax = {.word = "softmax",
                                      .metric = VINDEX_COSINE,
                                      .create = create,
                                      .start = start_uniform,
                                      .step = step_product};
