#include "loss_pairs.h"

#include <math.h>

vindex_status vx_pair_rooms(vx_loss *loss) {
    size_t n = loss->setup.batch, dim = loss->setup.dim;
    VX_TRY(vx_loss_room(loss, VX_PAIR_MATRIX, n, n));
    VX_TRY(vx_loss_room(loss, VX_PAIR_SLOPES, n, n));
    VX_TRY(vx_loss_room(loss, VX_PAIR_UNITS, n, dim));
    VX_TRY(vx_loss_room(loss, VX_PAIR_SPARE, n, dim));
    return vx_loss_room(loss, VX_PAIR_LENGTHS, n, 1);
}

vx_pairs vx_pairs_of(vx_loss *loss, const vx_batch *batch, vx_geometry geometry) {
    return (vx_pairs){.geometry = geometry,
                      .rows = batch->rows,
                      .n = batch->n,
                      .dim = batch->dim,
                      .units = loss->rooms[VX_PAIR_UNITS],
                      .spare = loss->rooms[VX_PAIR_SPARE],
                      .lengths = loss->rooms[VX_PAIR_LENGTHS],
                      .threads = batch->threads};
}

double vx_pair_step(vx_loss *loss, const vx_batch *batch, vx_geometry geometry,
                    vx_pair_loss pair_loss, float *slope) {
    vx_pairs pairs = vx_pairs_of(loss, batch, geometry);
    float *matrix = loss->rooms[VX_PAIR_MATRIX], *slopes = loss->rooms[VX_PAIR_SLOPES];
    vx_pairs_compare(&pairs, matrix);
    memset(slopes, 0, batch->n * batch->n * sizeof *slopes);
    double value = pair_loss(loss, batch, matrix, slopes);
    vx_pairs_back(&pairs, matrix, slopes, slope);
    return value;
}

static void scale_all(float *slopes, size_t n, double scale) {
    for (size_t i = 0; i < n * n; i++) slopes[i] *= (float)scale;
}

/* ---- triplets ---- */

/* Adds one triplet, the anchor's row of comparisons and slopes given: its hinge. */
static double add_triplet(const vx_loss *loss, const float *far, float *slopes, size_t positive,
                          size_t negative) {
    double hinge = (double)far[positive] - (double)far[negative] + loss->setup.margin;
    if (!(hinge > 0)) return 0;
    slopes[positive] += 1;
    slopes[negative] -= 1;
    return hinge;
}

/* The farthest row of the anchor's class and the nearest of another; n: there is none. */
static void hardest(const vx_batch *batch, const float *far, size_t anchor, size_t *positive,
                    size_t *negative) {
    size_t n = batch->n;
    *positive = *negative = n;
    for (size_t j = 0; j < n; j++) {
        bool same = batch->classes[j] == batch->classes[anchor];
        if (j == anchor) continue;
        if (same && (*positive == n || far[j] > far[*positive])) *positive = j;
        if (!same && (*negative == n || far[j] < far[*negative])) *negative = j;
    }
}

/* The nearest negative that is farther than the positive, or the farthest where none is (F. Schroff
 * et al., "FaceNet", CVPR 2015). */
static size_t semi_hard(const vx_batch *batch, const float *far, size_t anchor, size_t positive) {
    size_t n = batch->n, beyond = n, farthest = n;
    for (size_t j = 0; j < n; j++) {
        if (batch->classes[j] == batch->classes[anchor]) continue;
        if (far[j] > far[positive] && (beyond == n || far[j] < far[beyond])) beyond = j;
        if (farthest == n || far[j] > far[farthest]) farthest = j;
    }
    return beyond < n ? beyond : farthest;
}

/* Every positive of an anchor with its semi-hard negative; counts them. */
static double add_semi_hard(const vx_loss *loss, const vx_batch *batch, const float *far,
                            float *slopes, size_t anchor, size_t *triplets) {
    double sum = 0;
    for (size_t p = 0; p < batch->n; p++) {
        if (p == anchor || batch->classes[p] != batch->classes[anchor]) continue;
        size_t negative = semi_hard(batch, far, anchor, p);
        if (negative == batch->n) continue;
        sum += add_triplet(loss, far, slopes, p, negative);
        ++*triplets;
    }
    return sum;
}

/* Equation 4, the mean over anchors that have both a positive and a negative; semi-hard, over all
 * pairs of anchor and positive. */
static double triplets(const vx_loss *loss, const vx_batch *batch, const float *matrix,
                       float *slopes) {
    size_t n = batch->n, count = 0, positive, negative;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const float *far = matrix + i * n;
        if (loss->setup.semi_hard) {
            sum += add_semi_hard(loss, batch, far, slopes + i * n, i, &count);
            continue;
        }
        hardest(batch, far, i, &positive, &negative);
        if (positive == n || negative == n) continue;
        sum += add_triplet(loss, far, slopes + i * n, positive, negative);
        count++;
    }
    if (!count) return 0;
    scale_all(slopes, n, 1 / (double)count);
    return sum / (double)count;
}

static double step_triplet(vx_loss *loss, const vx_batch *batch, float *slope) {
    return vx_pair_step(loss, batch, VX_MEAN_SQUARE, triplets, slope);
}

static double step_triplet_euclidean(vx_loss *loss, const vx_batch *batch, float *slope) {
    return vx_pair_step(loss, batch, VX_EUCLIDEAN, triplets, slope);
}

const vx_loss_kind vx_loss_triplet = {.word = "triplet",
                                      .metric = VINDEX_L2,
                                      .margin = 1,
                                      .in_pairs = true,
                                      .create = vx_pair_rooms,
                                      .step = step_triplet};

/* ByteCover2's, on plain distances. */
const vx_loss_kind vx_loss_triplet_euclidean = {.word = "triplet-euclidean",
                                                .metric = VINDEX_COSINE,
                                                .margin = 0.3,
                                                .in_pairs = true,
                                                .create = vx_pair_rooms,
                                                .step = step_triplet_euclidean};

/* ---- contrastive ---- */

/* Pairs of one class are drawn together, others pushed apart up to the margin: D^2 / 2 and max(0,
 * margin - D)^2 / 2 (R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality reduction by learning an
 * invariant mapping", CVPR 2006), D = |v - w| / sqrt(d). The mean over the pairs of one class plus
 * that over the others, as if both were drawn alike. */
static double contrastive(const vx_loss *loss, const vx_batch *batch, const float *matrix,
                          float *slopes) {
    size_t n = batch->n, counts[2] = {0};
    double sums[2] = {0}, margin = loss->setup.margin;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            bool same = batch->classes[i] == batch->classes[j];
            double far = (double)matrix[i * n + j];
            double off = same ? far : VX_MAX(margin - far, 0.0);
            sums[same] += off * off / 2;
            counts[same]++;
            slopes[i * n + j] = (float)(same ? off : -off);
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            slopes[i * n + j] /= (float)counts[batch->classes[i] == batch->classes[j]];
    return (counts[0] ? sums[0] / (double)counts[0] : 0) +
           (counts[1] ? sums[1] / (double)counts[1] : 0);
}

static double step_contrastive(vx_loss *loss, const vx_batch *batch, float *slope) {
    return vx_pair_step(loss, batch, VX_ROOT_MEAN_SQUARE, contrastive, slope);
}

const vx_loss_kind vx_loss_contrastive = {.word = "contrastive",
                                          .metric = VINDEX_L2,
                                          .margin = 1,
                                          .in_pairs = true,
                                          .create = vx_pair_rooms,
                                          .step = step_contrastive};

/* ---- InfoNCE ---- */

/* The most similar other row, for exponentials that neither overflow nor all vanish. */
static double closest(const vx_batch *batch, const float *similar, size_t anchor) {
    double most = -1;
    for (size_t j = 0; j < batch->n; j++)
        if (j != anchor) most = VX_MAX(most, (double)similar[j]);
    return most;
}

/* One anchor: the mean over its positives j of -log(exp(c_j / t) / sum over k != i of exp(c_k /
 * t)). Counts it when it has any. */
static double add_anchor(const vx_batch *batch, const float *similar, float *slopes, size_t anchor,
                         double temperature, size_t *anchors) {
    size_t positives = 0;
    double total = 0, attracted = 0, most = closest(batch, similar, anchor);
    for (size_t j = 0; j < batch->n; j++) {
        if (j == anchor) continue;
        double exponent = ((double)similar[j] - most) / temperature, weight = exp(exponent);
        bool same = batch->classes[j] == batch->classes[anchor];
        total += weight;
        slopes[j] = (float)weight;
        if (same) attracted += exponent;
        positives += same;
    }
    for (size_t j = 0; j < batch->n; j++) {
        bool same = batch->classes[j] == batch->classes[anchor];
        double share = positives ? (double)slopes[j] / total : 0;
        double pull = same && positives ? 1 / (double)positives : 0;
        slopes[j] = j == anchor ? 0 : (float)((share - pull) / temperature);
    }
    if (!positives) return 0;
    ++*anchors;
    return log(total) - attracted / (double)positives;
}

/* T. Chen et al., "A simple framework for contrastive learning of visual representations", ICML
 * 2020; with several positives, P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020.
 * The mean over anchors that have a positive. */
static double infonce(const vx_loss *loss, const vx_batch *batch, const float *matrix,
                      float *slopes) {
    size_t n = batch->n, anchors = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum +=
            add_anchor(batch, matrix + i * n, slopes + i * n, i, loss->setup.temperature, &anchors);
    if (!anchors) return 0;
    scale_all(slopes, n, 1 / (double)anchors);
    return sum / (double)anchors;
}

static double step_infonce(vx_loss *loss, const vx_batch *batch, float *slope) {
    return vx_pair_step(loss, batch, VX_CORRELATION, infonce, slope);
}

const vx_loss_kind vx_loss_infonce = {.word = "infonce",
                                      .metric = VINDEX_COSINE,
                                      .in_pairs = true,
                                      .temperature = 0.05,
                                      .create = vx_pair_rooms,
                                      .step = step_infonce};
