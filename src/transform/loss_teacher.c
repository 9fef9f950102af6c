#include "loss_teacher.h"

#include <math.h>

#include "core/blas.h"
#include "loss_pairs.h"

/* ---- distance matching ---- */

enum { TEACHER = VX_PAIR_LENGTHS + 1 /* batch x batch: the teacher's distances */ };

static vindex_status create_distances(vx_loss *loss) {
    VX_TRY(vx_pair_rooms(loss));
    return vx_loss_room(loss, TEACHER, loss->setup.batch, loss->setup.batch);
}

/* Equation 1: the mean absolute difference of distances, over all pairs of two rows. */
static double match(const vx_loss *loss, const vx_batch *batch, const float *matrix,
                    float *slopes) {
    size_t n = batch->n;
    const float *teacher = loss->rooms[TEACHER];
    double sum = 0, pairs = (double)n * (double)(n - 1);
    if (n < 2) return 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            if (i == j) continue;
            double off = (double)matrix[i * n + j] - (double)teacher[i * n + j];
            sum += fabs(off);
            slopes[i * n + j] = (float)(((off > 0) - (off < 0)) / pairs);
        }
    return sum / pairs;
}

static double step_distances(vx_loss *loss, const vx_batch *batch, float *slope) {
    vx_pairs teacher = {.geometry = VX_MEAN_SQUARE,
                        .rows = batch->teacher,
                        .n = batch->n,
                        .dim = batch->teacher_dim,
                        .threads = batch->threads};
    vx_pairs_compare(&teacher, loss->rooms[TEACHER]);
    return vx_pair_step(loss, batch, VX_MEAN_SQUARE, match, slope);
}

const vx_loss_kind vx_loss_distance_matching = {.word = "distance-matching",
                                                .metric = VINDEX_L2,
                                                .create = create_distances,
                                                .step = step_distances};

/* ---- cluster matching ---- */

/* The classes of a batch are numbered 0, 1, ... as they appear in it. */
enum rooms {
    CENTRES = VX_PAIR_LENGTHS + 1, /* classes x dim: the teacher's centres, projected */
    CENTRE_SLOPES,                 /* classes x dim */
    TEACHERS,                      /* classes x teacher_dim: the centres as the teacher sees them */
    SPREADS,       /* classes: sigma, the mean distance of a class from its centre */
    SPREAD_SLOPES, /* classes */
    NUMBERS,       /* batch: each row's class, as numbered in the batch */
    SIZES          /* classes: rows in the batch */
};

static vindex_status create_clusters(vx_loss *loss) {
    const vx_loss_setup *setup = &loss->setup;
    size_t n = setup->batch, count;
    VX_TRY(vx_pair_rooms(loss)); /* for the centres of at most a class per row */
    if (!vx_mul(setup->dim, setup->teacher_dim, &count))
        return vx_fail_memory(setup->dim, setup->teacher_dim, "cluster matching");
    VX_TRY(vx_parameter_create(count, true, &loss->learned));
    VX_TRY(vx_loss_room(loss, CENTRES, n, setup->dim));
    VX_TRY(vx_loss_room(loss, CENTRE_SLOPES, n, setup->dim));
    VX_TRY(vx_loss_room(loss, TEACHERS, n, setup->teacher_dim));
    VX_TRY(vx_loss_room(loss, SPREADS, n, 1));
    VX_TRY(vx_loss_room(loss, SPREAD_SLOPES, n, 1));
    VX_TRY(vx_loss_room(loss, NUMBERS, n, 1));
    return vx_loss_room(loss, SIZES, n, 1);
}

static void start_clusters(vx_loss *loss, vx_rng *rng) {
    vx_parameter_start(&loss->learned, loss->setup.teacher_dim, rng);
}

/* Numbers the classes of the batch and gathers their centres; answers how many there are. */
static size_t number_classes(vx_loss *loss, const vx_batch *batch) {
    size_t classes = 0, width = loss->setup.teacher_dim;
    float *numbers = loss->rooms[NUMBERS], *sizes = loss->rooms[SIZES];
    for (size_t i = 0; i < batch->n; i++) {
        size_t first = 0;
        while (batch->classes[first] != batch->classes[i]) first++;
        if (first < i) {
            numbers[i] = numbers[first];
        } else {
            memcpy(loss->rooms[TEACHERS] + classes * width,
                   loss->setup.centres + (size_t)batch->classes[i] * width, width * sizeof(float));
            sizes[classes] = 0;
            numbers[i] = (float)classes++;
        }
        sizes[(size_t)numbers[i]]++;
    }
    return classes;
}

static double mean_square(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t j = 0; j < dim; j++) {
        double off = (double)a[j] - (double)b[j];
        sum += off * off;
    }
    return sum / (double)dim;
}

static void find_spreads(vx_loss *loss, const vx_batch *batch, size_t classes) {
    float *spreads = loss->rooms[SPREADS];
    memset(spreads, 0, classes * sizeof *spreads);
    for (size_t i = 0; i < batch->n; i++) {
        size_t c = (size_t)loss->rooms[NUMBERS][i];
        spreads[c] += (float)mean_square(batch->rows + i * batch->dim,
                                         loss->rooms[CENTRES] + c * batch->dim, batch->dim) /
                      loss->rooms[SIZES][c];
    }
}

/* Equation 3, the mean over the batch's classes of the worst (sigma_i + sigma_j) / D(c_i, c_j);
 * fills the slopes of the spreads and of the distances between centres. */
static double davies_bouldin(vx_loss *loss, size_t classes, const float *apart, float *slopes) {
    const float *spreads = loss->rooms[SPREADS];
    float *spread_slopes = loss->rooms[SPREAD_SLOPES];
    double sum = 0;
    memset(slopes, 0, classes * classes * sizeof *slopes);
    memset(spread_slopes, 0, classes * sizeof *spread_slopes);
    for (size_t i = 0; i < classes; i++) {
        size_t worst = classes;
        double most = -1;
        for (size_t j = 0; j < classes; j++) {
            double far = (double)apart[i * classes + j];
            double ratio = ((double)spreads[i] + (double)spreads[j]) / far;
            if (j != i && far > 0 && ratio > most) most = ratio, worst = j;
        }
        if (worst == classes) continue;
        double far = (double)apart[i * classes + worst], share = 1 / (double)classes;
        sum += most * share;
        spread_slopes[i] += (float)(share / far);
        spread_slopes[worst] += (float)(share / far);
        slopes[i * classes + worst] = (float)(-most * share / far);
    }
    return sum;
}

/* From the spreads to the rows and the centres. */
static void return_spreads(vx_loss *loss, const vx_batch *batch, float *slope) {
    size_t dim = batch->dim;
    for (size_t i = 0; i < batch->n; i++) {
        size_t c = (size_t)loss->rooms[NUMBERS][i];
        float scale = 2 * loss->rooms[SPREAD_SLOPES][c] / (loss->rooms[SIZES][c] * (float)dim);
        const float *row = batch->rows + i * dim, *centre = loss->rooms[CENTRES] + c * dim;
        float *centre_slope = loss->rooms[CENTRE_SLOPES] + c * dim;
        for (size_t j = 0; j < dim; j++) {
            slope[i * dim + j] += scale * (row[j] - centre[j]);
            centre_slope[j] -= scale * (row[j] - centre[j]);
        }
    }
}

static double step_clusters(vx_loss *loss, const vx_batch *batch, float *slope) {
    size_t dim = batch->dim, width = loss->setup.teacher_dim;
    size_t classes = number_classes(loss, batch);
    vx_sproduct project = {.m = classes,
                           .n = dim,
                           .k = width,
                           .alpha = 1,
                           .a = loss->rooms[TEACHERS],
                           .b = loss->learned.values,
                           .c = loss->rooms[CENTRES],
                           .b_transposed = true};
    vx_sgemm(&project, batch->threads);
    find_spreads(loss, batch, classes);
    vx_pairs centres = vx_pairs_of(loss, batch, VX_MEAN_SQUARE);
    centres.rows = loss->rooms[CENTRES];
    centres.n = classes;
    float *apart = loss->rooms[VX_PAIR_MATRIX], *slopes = loss->rooms[VX_PAIR_SLOPES];
    vx_pairs_compare(&centres, apart);
    double value = davies_bouldin(loss, classes, apart, slopes);
    memset(loss->rooms[CENTRE_SLOPES], 0, classes * dim * sizeof(float));
    vx_pairs_back(&centres, apart, slopes, loss->rooms[CENTRE_SLOPES]);
    return_spreads(loss, batch, slope);
    vx_sproduct learn = {.m = dim,
                         .n = width,
                         .k = classes,
                         .alpha = 1,
                         .beta = 1,
                         .a = loss->rooms[CENTRE_SLOPES],
                         .b = loss->rooms[TEACHERS],
                         .c = loss->learned.slope,
                         .a_transposed = true};
    vx_sgemm(&learn, batch->threads);
    return value;
}

const vx_loss_kind vx_loss_cluster_matching = {.word = "cluster-matching",
                                               .metric = VINDEX_L2,
                                               .create = create_clusters,
                                               .start = start_clusters,
                                               .step = step_clusters};
