#include "metric.h"

#include <math.h>

#include "core/blas.h"
#include "core/rng.h"
#include "pca.h"
#include "within.h"

/* ---- making one ---- */

static vindex_status allocate(vx_metric *m) {
    size_t n = m->n, wide, narrow, map, tile;
    if (!vx_mul(n, m->in, &wide) || !vx_mul(n, m->out, &narrow) || !vx_mul(m->in, m->out, &map) ||
        !vx_mul(n, VX_METRIC_BLOCK, &tile))
        return vx_fail_memory(n, m->in * sizeof(double), m->job->word);
    m->x = vx_alloc(wide, sizeof *m->x);
    m->wx = vx_alloc(wide, sizeof *m->wx);
    m->mean = vx_alloc_zero(m->in, sizeof *m->mean);
    m->z = vx_alloc(narrow, sizeof *m->z);
    m->wz = vx_alloc(narrow, sizeof *m->wz);
    m->map = vx_alloc_zero(map, sizeof *m->map);
    m->squares = vx_alloc(n, sizeof *m->squares);
    m->around = vx_alloc(n, sizeof *m->around);
    m->towards = vx_alloc(n, VX_METRIC_PARTS * sizeof *m->towards);
    m->tiles = vx_alloc(tile, (size_t)m->takers * sizeof *m->tiles);
    m->losses = vx_alloc(VX_METRIC_PARTS, sizeof *m->losses);
    if (m->x && m->wx && m->mean && m->z && m->wz && m->map && m->squares && m->around &&
        m->towards && m->tiles && m->losses)
        return VINDEX_OK;
    return vx_fail_memory(n, 2 * (m->in + m->out) * sizeof(double), m->job->word);
}

void vx_metric_free(vx_metric *m) {
    double *const owned[] = {m->x,       m->wx,     m->mean,    m->z,     m->wz,    m->map,
                             m->squares, m->around, m->towards, m->tiles, m->losses};
    for (size_t i = 0; i < VX_COUNT(owned); i++) vx_free(owned[i]);
    *m = (vx_metric){0};
}

/* The rows about their mean; labels are checked on the way. */
static vindex_status read_rows(vx_metric *m) {
    const float *vectors;
    float *owned;
    vx_classes classes;
    VX_TRY(vx_classes_compute(m->job, 0, &classes));
    memcpy(m->mean, classes.mean, m->in * sizeof *m->mean);
    m->singletons = classes.singletons;
    vx_classes_free(&classes);
    VX_TRY(vx_rows_all(m->job, &m->job->rows, &vectors, &owned));
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j < m->in; j++)
            m->x[i * m->in + j] = (double)vectors[i * m->in + j] - m->mean[j];
    vx_free(owned);
    return VINDEX_OK;
}

static vindex_status start_by_pca(vx_metric *m) {
    vx_pca pca;
    vx_pca_options options = vx_pca_defaults(m->out);
    VX_TRY(vx_pca_compute(m->job, &m->job->rows, &options, &pca));
    memcpy(m->map, pca.vectors, m->out * m->in * sizeof *m->map);
    vx_pca_free(&pca);
    return VINDEX_OK;
}

static void start_by_chance(vx_metric *m) {
    vx_rng rng = vx_rng_seed(m->job->seed, 0);
    double scale = 1 / sqrt((double)m->in); /* lengths stay about what they were */
    for (size_t i = 0; i < m->out * m->in; i++) m->map[i] = scale * vx_rng_normal(&rng);
}

static vindex_status start_map(vx_metric *m, vx_metric_start start) {
    if (start == VX_METRIC_AUTO) start = m->in == m->out ? VX_METRIC_IDENTITY : VX_METRIC_PCA;
    if (start == VX_METRIC_PCA) return start_by_pca(m);
    if (start == VX_METRIC_RANDOM)
        start_by_chance(m);
    else
        for (size_t i = 0; i < m->out; i++) m->map[i * m->in + i] = 1;
    return VINDEX_OK;
}

vindex_status vx_metric_create(const vx_fit *job, vx_metric_start start, vx_metric *metric) {
    size_t in = (size_t)job->rows.dim;
    *metric = (vx_metric){.job = job,
                          .n = (size_t)job->rows.count,
                          .in = in,
                          .out = job->dim ? job->dim : in,
                          .takers = VX_MIN(job->threads, (int)VX_METRIC_PARTS)};
    if (metric->out > in)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: %zu numbers of rows of %zu; a linear map adds nothing to them, ask for "
                       "as many or fewer",
                       job->word, metric->out, in);
    vindex_status status = allocate(metric);
    if (status == VINDEX_OK) status = read_rows(metric);
    if (status == VINDEX_OK) status = start_map(metric, start);
    if (status != VINDEX_OK) vx_metric_free(metric);
    return status;
}

/* ---- evaluating ---- */

void vx_metric_project(vx_metric *m, const double *map) {
    vx_dgemm(&(vx_dproduct){.m = m->n,
                            .n = m->out,
                            .k = m->in,
                            .alpha = 1,
                            .a = m->x,
                            .b = map,
                            .b_transposed = true,
                            .c = m->z},
             m->job->threads);
    for (size_t i = 0; i < m->n; i++) {
        const double *z = m->z + i * m->out;
        m->squares[i] = 0;
        for (size_t j = 0; j < m->out; j++) m->squares[i] += z[j] * z[j];
    }
}

void vx_metric_part(const vx_metric *m, size_t part, size_t *first, size_t *count) {
    size_t blocks = (m->n + VX_METRIC_BLOCK - 1) / VX_METRIC_BLOCK;
    size_t from = blocks * part / VX_METRIC_PARTS * VX_METRIC_BLOCK;
    size_t to = blocks * (part + 1) / VX_METRIC_PARTS * VX_METRIC_BLOCK;
    *first = VX_MIN(from, m->n);
    *count = VX_MIN(to, m->n) - *first;
}

void vx_metric_distances(const vx_metric *m, size_t first, size_t count, double *distances) {
    vx_dgemm(&(vx_dproduct){.m = count,
                            .n = m->n,
                            .k = m->out,
                            .alpha = -2,
                            .a = m->z + first * m->out,
                            .b = m->z,
                            .b_transposed = true,
                            .c = distances},
             1);
    for (size_t i = 0; i < count; i++) {
        double *row = distances + i * m->n, mine = m->squares[first + i];
        for (size_t j = 0; j < m->n; j++) row[j] = VX_MAX(row[j] + mine + m->squares[j], 0.0);
    }
}

/* With r_i the sum of w_ij over j and c_j that over i, the slope is 2 (Z^T (diag(r + c) X - W X) -
 * (W Z)^T X). */
void vx_metric_slope(vx_metric *m, double scale, double *slope) {
    for (size_t i = 0; i < m->n; i++) {
        double sum = m->around[i];
        for (size_t p = 0; p < VX_METRIC_PARTS; p++) sum += m->towards[p * m->n + i];
        for (size_t j = 0; j < m->in; j++)
            m->wx[i * m->in + j] = sum * m->x[i * m->in + j] - m->wx[i * m->in + j];
    }
    vx_dproduct product = {.m = m->out,
                           .n = m->in,
                           .k = m->n,
                           .alpha = 2 * scale,
                           .a = m->z,
                           .a_transposed = true,
                           .b = m->wx,
                           .c = slope};
    vx_dgemm(&product, m->job->threads);
    product.alpha = -2 * scale;
    product.beta = 1;
    product.a = m->wz;
    product.b = m->x;
    vx_dgemm(&product, m->job->threads);
}

/* ---- the descent ---- */

static vindex_status note(vx_descent *d, double loss) {
    void *losses = d->losses;
    if (!vx_grow(&losses, &d->capacity, d->count + 1, sizeof *d->losses))
        return vx_fail_memory(d->count + 1, sizeof *d->losses, d->metric->job->word);
    d->losses = losses;
    d->losses[d->count++] = loss;
    return VINDEX_OK;
}

static vindex_status at(void *context, const double *map, double *value, double *slope) {
    vx_descent *d = context;
    VX_TRY(d->at(d->context, map, value, slope));
    return d->count ? VINDEX_OK : note(d, *value);
}

static vindex_status stepped(void *context, size_t step, double value) {
    vx_descent *d = context;
    (void)step;
    VX_TRY(note(d, value));
    return vx_fit_progress(d->metric->job, (double)(d->count - 1) / (double)d->steps,
                           "step %zu, loss %.6g", d->count - 1, value);
}

vindex_status vx_descent_run(vx_descent *d) {
    vx_objective objective = {.count = d->metric->in * d->metric->out,
                              .at = at,
                              .stepped = stepped,
                              .context = d,
                              .steps = d->steps,
                              .tolerance = d->tolerance};
    vx_minimum minimum;
    vindex_status status = vx_lbfgs(&objective, d->metric->map, &minimum);
    d->converged = minimum.converged;
    return status == VINDEX_ERR_DATA ? vx_fail_in(status, d->metric->job->word) : status;
}

void vx_descent_free(vx_descent *d) {
    vx_free(d->losses);
    d->losses = NULL;
}

vindex_status vx_metric_write(const vx_descent *d, vx_step *step) {
    const vx_metric *m = d->metric;
    double converged = d->converged ? 1 : 0, alone = (double)m->singletons;
    VX_TRY(vx_step_affine(step, m->in, m->out, true));
    for (size_t i = 0; i < m->in * m->out; i++) step->weights[i] = (float)m->map[i];
    for (size_t j = 0; j < m->in; j++) step->shift[j] = (float)m->mean[j];
    VX_TRY(vx_step_fact(step, "loss", d->losses, d->count));
    VX_TRY(vx_step_fact(step, "converged", &converged, 1));
    return vx_step_fact(step, "singleton_classes", &alone, 1);
}
