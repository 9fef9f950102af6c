/* Neighbourhood components analysis (Goldberger, Roweis, Hinton and Salakhutdinov, 2005). Every row
 * sees every other at each step, in tiles: work grows with the square of the rows, memory does not.
 */
#include "nca.h"

#include <math.h>

#include "core/blas.h"

typedef struct settings {
    size_t struct_size;
    int32_t start;
    int64_t steps;
    double tolerance;
} settings;

static const char *const starts[] = {"auto", "identity", "pca", "random"};

static const vindex_field fields[] = {
    {"start", VINDEX_FIELD_CHOICE, offsetof(settings, start), 0, 3, 0,
     "the map to begin with; auto: the rows as they are, or principal components where there shall "
     "be fewer numbers",
     starts},
    {"steps", VINDEX_FIELD_INT64, offsetof(settings, steps), 1, 1e6, 100, "of L-BFGS, at most",
     NULL},
    {"tolerance", VINDEX_FIELD_DOUBLE, offsetof(settings, tolerance), 0, 0.1, 1e-4,
     "enough when a step lowers the loss by no more than this share", NULL},
};
static const vindex_field_table table = {"nca", sizeof(settings), fields, VX_COUNT(fields)};

/* ---- the objective ---- */

/* Distances of row i become w_ij, and what they add to the sums over i is added to `towards`;
 * answers the row's probability. The largest exponent is taken out of all of them first. */
static double weigh_row(const vx_metric *m, size_t i, double *row, double *towards) {
    const int32_t *labels = m->job->labels;
    double least = INFINITY, all = 0, same = 0;
    row[i] = INFINITY;
    for (size_t j = 0; j < m->n; j++) least = VX_MIN(least, row[j]);
    for (size_t j = 0; j < m->n; j++) {
        row[j] = exp(least - row[j]);
        all += row[j];
        same += labels[j] == labels[i] ? row[j] : 0;
    }
    double probability = same / all;
    for (size_t j = 0; j < m->n; j++) {
        row[j] *= ((labels[j] == labels[i] ? 1 : 0) - probability) / all;
        towards[j] += row[j];
    }
    return probability;
}

/* The tile times X, and times Z. */
static void sum_pairs(vx_metric *m, size_t first, size_t count, const double *tile) {
    vx_dproduct product = {.m = count,
                           .n = m->in,
                           .k = m->n,
                           .alpha = 1,
                           .a = tile,
                           .b = m->x,
                           .c = m->wx + first * m->in};
    vx_dgemm(&product, 1);
    product.n = m->out;
    product.b = m->z;
    product.c = m->wz + first * m->out;
    vx_dgemm(&product, 1);
}

static void sum_part(vx_metric *m, size_t part, double *tile) {
    double *towards = m->towards + part * m->n;
    size_t first, count;
    vx_metric_part(m, part, &first, &count);
    memset(towards, 0, m->n * sizeof *towards);
    m->losses[part] = 0;
    for (size_t done = 0; done < count; done += VX_METRIC_BLOCK) {
        size_t from = first + done, now = VX_MIN(count - done, (size_t)VX_METRIC_BLOCK);
        vx_metric_distances(m, from, now, tile);
        for (size_t i = 0; i < now; i++) {
            m->losses[part] -= weigh_row(m, from + i, tile + i * m->n, towards);
            m->around[from + i] = 0; /* p_i - p_i, whatever the row */
        }
        sum_pairs(m, from, now, tile);
    }
}

vindex_status vx_nca_at(void *context, const double *map, double *value, double *slope) {
    vx_metric *m = context;
    int threads = m->takers;
    vx_metric_project(m, map);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int t = 0; t < threads; t++)
        for (size_t p = (size_t)t; p < VX_METRIC_PARTS; p += (size_t)threads)
            sum_part(m, p, m->tiles + (size_t)t * m->n * VX_METRIC_BLOCK);
    *value = 0;
    for (size_t p = 0; p < VX_METRIC_PARTS; p++) *value += m->losses[p];
    *value /= (double)m->n;
    vx_metric_slope(m, 1 / (double)m->n, slope);
    return VINDEX_OK;
}

/* ---- the method ---- */

static vindex_status fit_nca(const vx_fit *job, vx_step *step) {
    const settings *s = job->settings;
    vx_metric m;
    VX_TRY(vx_metric_create(job, (vx_metric_start)s->start, &m));
    vx_descent descent = {.at = vx_nca_at,
                          .context = &m,
                          .metric = &m,
                          .steps = (size_t)s->steps,
                          .tolerance = s->tolerance};
    vindex_status status = vx_descent_run(&descent);
    if (status == VINDEX_OK) status = vx_metric_write(&descent, step);
    vx_descent_free(&descent);
    vx_metric_free(&m);
    return status;
}

const vx_method vx_method_nca = {
    .shown = {.word = "nca",
              .help = "neighbourhood components analysis: rows of a class become neighbours",
              .chooses_dim = true,
              .needs_labels = true,
              .fields = &table},
    .fit = fit_nca,
};
