/* Large margin nearest neighbours (Weinberger and Saul, "Distance metric learning for large margin
 * nearest neighbor classification", 2009, equations 11 to 13), minimised over the map itself.
 *
 * Only impostors have a part in the loss, rows of another class that come closer than a target
 * neighbour and a margin of 1. A list of candidates stands for all rows while the map moves: a row
 * that is not on it was far away under the map the list was made for, and cannot have come nearer
 * than the map has moved (|L d| >= |L' d| - |L - L'| |d|). Where that does not rule it out, the
 * list is made anew; so the loss is always that over all rows. */
#include "lmnn.h"

#include <math.h>

#include "core/blas.h"

typedef struct settings {
    size_t struct_size;
    int32_t start;
    int64_t neighbours, steps;
    double mu, tolerance;
} settings;

static const char *const starts[] = {"auto", "identity", "pca", "random"};

static const vindex_field fields[] = {
    {"neighbours", VINDEX_FIELD_INT64, offsetof(settings, neighbours), 1, 1000, 3,
     "rows of the same class to keep near each row", NULL},
    {"mu", VINDEX_FIELD_DOUBLE, offsetof(settings, mu), 0, 1, 0.5,
     "share of the loss that pushes impostors away; the rest pulls neighbours near", NULL},
    {"start", VINDEX_FIELD_CHOICE, offsetof(settings, start), 0, 3, VX_METRIC_PCA,
     "the map to begin with", starts},
    {"steps", VINDEX_FIELD_INT64, offsetof(settings, steps), 1, 1e6, 100, "of L-BFGS, at most",
     NULL},
    {"tolerance", VINDEX_FIELD_DOUBLE, offsetof(settings, tolerance), 0, 0.1, 1e-4,
     "enough when a step lowers the loss by no more than this share", NULL},
};
static const vindex_field_table table = {"lmnn", sizeof(settings), fields, VX_COUNT(fields)};

/* ---- target neighbours ---- */

/* Puts row j among the k nearest of a row, ties by number. */
static void insert(size_t *targets, double *distances, size_t k, size_t j, double distance) {
    if (!(distance < distances[k - 1])) return;
    size_t at = k - 1;
    for (; at > 0 && distance < distances[at - 1]; at--) {
        targets[at] = targets[at - 1];
        distances[at] = distances[at - 1];
    }
    targets[at] = j;
    distances[at] = distance;
}

static void choose_targets(vx_lmnn *lm, size_t i, const double *row, double *nearest) {
    const int32_t *labels = lm->metric->job->labels;
    size_t n = lm->metric->n, *targets = lm->targets + i * lm->k;
    for (size_t t = 0; t < lm->k; t++) {
        targets[t] = n;
        nearest[t] = INFINITY;
    }
    for (size_t j = 0; j < n; j++)
        if (j != i && labels[j] == labels[i]) insert(targets, nearest, lm->k, j, row[j]);
}

/* Distances between rows as they are: the map is the identity for a moment. */
static void find_targets(vx_lmnn *lm, double *nearest) {
    vx_metric rows = *lm->metric;
    rows.z = rows.x;
    rows.out = rows.in;
    for (size_t i = 0; i < rows.n; i++) {
        rows.squares[i] = 0;
        for (size_t j = 0; j < rows.in; j++)
            rows.squares[i] += rows.x[i * rows.in + j] * rows.x[i * rows.in + j];
    }
    for (size_t first = 0; first < rows.n; first += VX_METRIC_BLOCK) {
        size_t count = VX_MIN(rows.n - first, (size_t)VX_METRIC_BLOCK);
        vx_metric_distances(&rows, first, count, lm->metric->tiles);
        for (size_t i = 0; i < count; i++)
            choose_targets(lm, first + i, lm->metric->tiles + i * rows.n, nearest);
    }
}

vindex_status vx_lmnn_create(vx_metric *metric, size_t k, double mu, vx_lmnn *lmnn) {
    size_t n = metric->n, places;
    *lmnn = (vx_lmnn){.metric = metric, .k = k, .mu = mu};
    lmnn->targets = vx_mul(n, k, &places) ? vx_alloc(places, sizeof *lmnn->targets) : NULL;
    lmnn->starts = vx_alloc_zero(n + 1, sizeof *lmnn->starts);
    lmnn->lengths = vx_alloc(n, sizeof *lmnn->lengths);
    lmnn->reach = vx_alloc_zero(n, sizeof *lmnn->reach);
    lmnn->listed = vx_alloc_zero(metric->in * metric->out, sizeof *lmnn->listed);
    lmnn->room = vx_alloc(k, 2 * VX_METRIC_PARTS * sizeof *lmnn->room);
    if (!lmnn->targets || !lmnn->starts || !lmnn->lengths || !lmnn->reach || !lmnn->listed ||
        !lmnn->room) {
        vx_lmnn_free(lmnn);
        return vx_fail_memory(n, 2 * k * sizeof(double), metric->job->word);
    }
    find_targets(lmnn, lmnn->room);
    for (size_t i = 0; i < n; i++) {
        lmnn->lengths[i] = sqrt(metric->squares[i]); /* of the rows as they are, just now */
        lmnn->longest = VX_MAX(lmnn->longest, lmnn->lengths[i]);
    }
    return VINDEX_OK;
}

void vx_lmnn_free(vx_lmnn *lmnn) {
    vx_free(lmnn->targets);
    vx_free(lmnn->room);
    vx_free(lmnn->lengths);
    vx_free(lmnn->starts);
    vx_free(lmnn->candidates);
    vx_free(lmnn->listed);
    vx_free(lmnn->reach);
    *lmnn = (vx_lmnn){0};
}

/* ---- candidates ---- */

/* In eight sums, which the processor adds at once. */
static double distance(const vx_metric *m, size_t i, size_t j) {
    enum { LANES = 8 };
    const double *a = m->z + i * m->out, *b = m->z + j * m->out;
    double sums[LANES] = {0}, sum = 0;
    size_t d = 0;
    for (; d + LANES <= m->out; d += LANES)
        for (size_t l = 0; l < LANES; l++) sums[l] += (a[d + l] - b[d + l]) * (a[d + l] - b[d + l]);
    for (; d < m->out; d++) sum += (a[d] - b[d]) * (a[d] - b[d]);
    for (size_t l = 0; l < LANES; l++) sum += sums[l];
    return sum;
}

/* How far the list reaches beyond what counts, in squared distances. */
static const double SLACK = 2;

/* Squared distance to the farthest target; below 0 for a row that has none. */
static double farthest_target(const vx_lmnn *lm, size_t i) {
    const size_t *targets = lm->targets + i * lm->k;
    double farthest = -1;
    for (size_t t = 0; t < lm->k && targets[t] < lm->metric->n; t++)
        farthest = VX_MAX(farthest, distance(lm->metric, i, targets[t]));
    return farthest;
}

/* Counts the candidates of a row by its distances, or notes them where `to` is given. */
static size_t candidates_of(const vx_lmnn *lm, size_t i, const double *row, size_t *to) {
    const int32_t *labels = lm->metric->job->labels;
    size_t n = lm->metric->n, count = 0;
    if (lm->reach[i] == INFINITY) return 0;
    double reach = lm->reach[i] * lm->reach[i];
    for (size_t l = 0; l < n; l++) {
        if (labels[l] == labels[i] || row[l] >= reach) continue;
        if (to) to[count] = l;
        count++;
    }
    return count;
}

static vindex_status list_block(vx_lmnn *lm, size_t first, size_t count) {
    const double *tile = lm->metric->tiles;
    size_t n = lm->metric->n;
    int threads = lm->metric->job->threads;
    vx_metric_distances(lm->metric, first, count, lm->metric->tiles);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t i = first; i < first + count; i++) {
        double farthest = farthest_target(lm, i);
        lm->reach[i] = farthest < 0 ? INFINITY : sqrt(SLACK * (farthest + 1));
        lm->starts[i + 1] = candidates_of(lm, i, tile + (i - first) * n, NULL);
    }
    for (size_t i = first; i < first + count; i++) lm->starts[i + 1] += lm->starts[i];
    size_t all = lm->starts[first + count];
    void *grown = lm->candidates;
    if (!vx_grow(&grown, &lm->capacity, all, sizeof *lm->candidates))
        return vx_fail_memory(all, sizeof *lm->candidates, lm->metric->job->word);
    lm->candidates = grown;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t i = first; i < first + count; i++)
        candidates_of(lm, i, tile + (i - first) * n, lm->candidates + lm->starts[i]);
    return VINDEX_OK;
}

/* Whether the list holds all impostors under a map, by whose rows are in z. */
static bool list_suffices(const vx_lmnn *lm, const double *map) {
    const vx_metric *m = lm->metric;
    double moved = 0;
    for (size_t i = 0; i < m->in * m->out; i++)
        moved += (map[i] - lm->listed[i]) * (map[i] - lm->listed[i]);
    moved = sqrt(moved);
    bool enough = lm->lists > 0;
    for (size_t i = 0; enough && i < m->n; i++) {
        if (lm->reach[i] == INFINITY) continue;
        double nearest = lm->reach[i] - moved * (lm->lengths[i] + lm->longest);
        /* A little more than counts, for what distances lose by rounding. */
        enough = nearest > sqrt(farthest_target(lm, i) + 1) * (1 + 1e-6);
    }
    return enough;
}

/* Makes the list for a map by whose rows are in z. */
static vindex_status list_candidates(vx_lmnn *lm, const double *map) {
    size_t n = lm->metric->n;
    for (size_t first = 0; first < n; first += VX_METRIC_BLOCK)
        VX_TRY(list_block(lm, first, VX_MIN(n - first, (size_t)VX_METRIC_BLOCK)));
    memcpy(lm->listed, map, lm->metric->in * lm->metric->out * sizeof *map);
    lm->lists++;
    return VINDEX_OK;
}

/* ---- the objective ---- */

/* Adds w_ij to every sum it has a part in. */
static void add_pair(const vx_metric *m, size_t i, size_t j, double w, double *towards) {
    double *wx = m->wx + i * m->in, *wz = m->wz + i * m->out;
    for (size_t d = 0; d < m->in; d++) wx[d] += w * m->x[j * m->in + d];
    for (size_t d = 0; d < m->out; d++) wz[d] += w * m->z[j * m->out + d];
    m->around[i] += w;
    towards[j] += w;
}

/* Row i's part of the loss; distances and pulls have room for its targets. */
static double sum_row(const vx_lmnn *lm, size_t i, double *distances, double *pulls,
                      double *towards) {
    const vx_metric *m = lm->metric;
    const size_t *targets = lm->targets + i * lm->k;
    size_t count = 0;
    double loss = 0;
    for (; count < lm->k && targets[count] < m->n; count++) {
        distances[count] = distance(m, i, targets[count]);
        pulls[count] = 1 - lm->mu;
        loss += (1 - lm->mu) * distances[count];
    }
    for (size_t c = lm->starts[i]; c < lm->starts[i + 1]; c++) {
        double push = 0, away = distance(m, i, lm->candidates[c]);
        for (size_t t = 0; t < count; t++) {
            double hinge = 1 + distances[t] - away;
            if (hinge <= 0) continue;
            loss += lm->mu * hinge;
            pulls[t] += lm->mu;
            push += lm->mu;
        }
        if (push > 0) add_pair(m, i, lm->candidates[c], -push, towards);
    }
    for (size_t t = 0; t < count; t++) add_pair(m, i, targets[t], pulls[t], towards);
    return loss;
}

static void sum_part(const vx_lmnn *lm, size_t part, double *room) {
    const vx_metric *m = lm->metric;
    double *towards = m->towards + part * m->n;
    size_t first, count;
    vx_metric_part(m, part, &first, &count);
    memset(towards, 0, m->n * sizeof *towards);
    memset(m->around + first, 0, count * sizeof *m->around);
    memset(m->wx + first * m->in, 0, count * m->in * sizeof *m->wx);
    memset(m->wz + first * m->out, 0, count * m->out * sizeof *m->wz);
    m->losses[part] = 0;
    for (size_t i = first; i < first + count; i++)
        m->losses[part] += sum_row(lm, i, room, room + lm->k, towards);
}

vindex_status vx_lmnn_at(void *context, const double *map, double *value, double *slope) {
    vx_lmnn *lm = context;
    vx_metric *m = lm->metric;
    int threads = m->job->threads;
    vx_metric_project(m, map);
    if (!list_suffices(lm, map)) VX_TRY(list_candidates(lm, map));
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (size_t p = 0; p < VX_METRIC_PARTS; p++) sum_part(lm, p, lm->room + 2 * p * lm->k);
    *value = 0;
    for (size_t p = 0; p < VX_METRIC_PARTS; p++) *value += m->losses[p];
    *value /= (double)m->n;
    vx_metric_slope(m, 1 / (double)m->n, slope);
    return VINDEX_OK;
}

/* ---- the method ---- */

static vindex_status fit_lmnn(const vx_fit *job, vx_step *step) {
    const settings *s = job->settings;
    vx_metric m;
    vx_lmnn lm = {0};
    VX_TRY(vx_metric_create(job, (vx_metric_start)s->start, &m));
    vx_descent descent = {.at = vx_lmnn_at,
                          .context = &lm,
                          .metric = &m,
                          .steps = (size_t)s->steps,
                          .tolerance = s->tolerance};
    vindex_status status = vx_lmnn_create(&m, (size_t)s->neighbours, s->mu, &lm);
    if (status == VINDEX_OK) status = vx_descent_run(&descent);
    if (status == VINDEX_OK) status = vx_metric_write(&descent, step);
    vx_descent_free(&descent);
    vx_lmnn_free(&lm);
    vx_metric_free(&m);
    return status;
}

const vx_method vx_method_lmnn = {
    .shown = {.word = "lmnn",
              .help = "large margin nearest neighbours: rows of other classes keep their distance",
              .chooses_dim = true,
              .needs_labels = true,
              .fields = &table},
    .fit = fit_lmnn,
};
