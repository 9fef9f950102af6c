/* Canonical correlation analysis (Hotelling, "Relations between two sets of variates", 1936): the
 * directions of two views of the same things in which they agree most. Both views are standardised,
 * whitened, and turned by the singular vectors of what is then their cross-covariance. */
#include <math.h>

#include "core/blas.h"
#include "moments.h"
#include "pca.h"

enum { VIEW_FIRST, VIEW_SECOND };

typedef struct settings {
    size_t struct_size;
    int32_t view;
    double regularisation, rank_tolerance;
} settings;

static const char *const views[] = {"first", "second"};

static const vindex_field fields[] = {
    {"view", VINDEX_FIELD_CHOICE, offsetof(settings, view), 0, 1, 0,
     "whose map it shall be; both come from the same fit and belong together", views},
    {"regularisation", VINDEX_FIELD_DOUBLE, offsetof(settings, regularisation), 0, 1e6, 0,
     "added to the variance of every dimension, which is 1 after standardising", NULL},
    {"rank-tolerance", VINDEX_FIELD_DOUBLE, offsetof(settings, rank_tolerance), 1e-15, 0.1, 1e-9,
     "share of the largest eigenvalue below which a direction is dropped", NULL},
};
static const vindex_field_table table = {"cca", sizeof(settings), fields, VX_COUNT(fields)};

typedef struct view {
    const vindex_rows *rows;
    size_t dim, rank;
    vx_moments moments;
    double *scale;  /* dim: 1 / deviation, 0 for a dimension that never changes */
    double *block;  /* standardised rows */
    double *matrix; /* dim x dim: the covariance, then in its first rows the whitening map */
    double *values; /* dim: its eigenvalues */
} view;

typedef struct canon {
    const vx_fit *job;
    view views[2];
    float *second; /* a block of its rows */
    double *cross; /* first's dim x second's dim */
    size_t capacity;
} canon;

/* ---- covariances ---- */

static void free_view(view *v) {
    vx_moments_free(&v->moments);
    vx_free(v->scale);
    vx_free(v->block);
    vx_free(v->matrix);
    vx_free(v->values);
}

static vindex_status begin_view(const vx_fit *job, const vindex_rows *rows, size_t capacity,
                                double until, view *v) {
    size_t square, numbers;
    v->rows = rows;
    v->dim = (size_t)rows->dim;
    if (!vx_mul(v->dim, v->dim, &square) || !vx_mul(capacity, v->dim, &numbers))
        return vx_fail_memory(v->dim, v->dim * sizeof(double), job->word);
    v->scale = vx_alloc(v->dim, sizeof *v->scale);
    v->block = vx_alloc(numbers, sizeof *v->block);
    v->matrix = vx_alloc(square, sizeof *v->matrix);
    v->values = vx_alloc(v->dim, sizeof *v->values);
    if (!v->scale || !v->block || !v->matrix || !v->values)
        return vx_fail_memory(v->dim, (v->dim + capacity) * sizeof(double), job->word);
    VX_TRY(vx_moments_compute(job, rows, until, &v->moments));
    for (size_t j = 0; j < v->dim; j++) {
        double deviation = sqrt(v->moments.variance[j]);
        v->scale[j] = deviation > fabs(v->moments.mean[j]) * 0x1p-40 ? 1 / deviation : 0;
    }
    return VINDEX_OK;
}

static void standardise(view *v, const float *vectors, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < v->dim; j++)
            v->block[i * v->dim + j] =
                ((double)vectors[i * v->dim + j] - v->moments.mean[j]) * v->scale[j];
}

static void add_covariance(view *v, size_t count, bool begun, int threads) {
    vx_dsyrk(&(vx_dproduct){.m = v->dim,
                            .k = count,
                            .alpha = 1 / (double)v->rows->count,
                            .beta = begun ? 1 : 0,
                            .a = v->block,
                            .a_transposed = true,
                            .c = v->matrix},
             threads);
}

static vindex_status add_block(void *context, size_t first, size_t count, const float *vectors) {
    canon *c = context;
    view *x = &c->views[0], *y = &c->views[1];
    for (size_t done = 0; done < count; done += c->capacity) {
        size_t now = VX_MIN(c->capacity, count - done);
        bool begun = first + done > 0;
        VX_TRY(vx_rows_read(c->job, y->rows, first + done, now, c->second));
        standardise(x, vectors + done * x->dim, now);
        standardise(y, c->second, now);
        add_covariance(x, now, begun, c->job->threads);
        add_covariance(y, now, begun, c->job->threads);
        vx_dgemm(&(vx_dproduct){.m = x->dim,
                                .n = y->dim,
                                .k = now,
                                .alpha = 1 / (double)x->rows->count,
                                .beta = begun ? 1 : 0,
                                .a = x->block,
                                .a_transposed = true,
                                .b = y->block,
                                .c = c->cross},
                 c->job->threads);
    }
    return VINDEX_OK;
}

/* ---- the directions ---- */

/* The map W with W (C + r I) W^T = I, over directions of C that rows span. */
static vindex_status whiten(const vx_fit *job, const settings *s, const char *name, view *v) {
    VX_TRY(vx_eigen(v->matrix, v->dim, v->values));
    v->rank = v->values[0] > 0 ? vx_rank_of(v->values, v->dim, s->rank_tolerance) : 0;
    if (!v->rank)
        return vx_fail(VINDEX_ERR_DATA,
                       "cca: all rows of the %s view are the same; give rows that "
                       "differ",
                       name);
    for (size_t i = 0; i < v->rank; i++)
        for (size_t j = 0; j < v->dim; j++)
            v->matrix[i * v->dim + j] /= sqrt(v->values[i] + s->regularisation);
    return vx_fit_progress(job, 0.8, "directions of the %s view", name);
}

/* Wx Cxy Wy^T, rank of the first view x rank of the second; room holds rank of the first x dim of
 * the second. */
static void whiten_cross(const canon *c, double *room, double *whitened) {
    const view *x = &c->views[0], *y = &c->views[1];
    vx_dproduct product = {.m = x->rank,
                           .n = y->dim,
                           .k = x->dim,
                           .alpha = 1,
                           .a = x->matrix,
                           .b = c->cross,
                           .c = room};
    vx_dgemm(&product, c->job->threads);
    product = (vx_dproduct){.m = x->rank,
                            .n = y->rank,
                            .k = y->dim,
                            .alpha = 1,
                            .a = room,
                            .b = y->matrix,
                            .b_transposed = true,
                            .c = whitened};
    vx_dgemm(&product, c->job->threads);
}

/* Weights of one view: the first `out` singular vectors times its whitening map, for rows as they
 * are. */
static void weigh(const canon *c, const vx_svd *svd, bool second, size_t out, double *weights) {
    const view *v = &c->views[second];
    vx_dgemm(&(vx_dproduct){.m = out,
                            .n = v->dim,
                            .k = v->rank,
                            .alpha = 1,
                            .a = second ? svd->v : svd->u,
                            .a_stride = second ? 0 : VX_MIN(svd->m, svd->n),
                            .a_transposed = !second,
                            .b = v->matrix,
                            .c = weights},
             c->job->threads);
    for (size_t i = 0; i < out; i++)
        for (size_t j = 0; j < v->dim; j++) weights[i * v->dim + j] *= v->scale[j];
}

/* Both views change sign together, so that their numbers stay alike: by the first view. */
static void settle_signs(const double *weights, size_t out, size_t dim, double *signs) {
    for (size_t i = 0; i < out; i++) {
        double most = 0;
        for (size_t j = 0; j < dim; j++)
            if (fabs(weights[i * dim + j]) > fabs(most)) most = weights[i * dim + j];
        signs[i] = most < 0 ? -1 : 1;
    }
}

static vindex_status write_step(const canon *c, const settings *s, const vx_svd *svd, size_t out,
                                vx_step *step) {
    const view *v = &c->views[s->view == VIEW_SECOND];
    size_t widest = VX_MAX(c->views[0].dim, c->views[1].dim);
    double ranks[2] = {(double)c->views[0].rank, (double)c->views[1].rank};
    double *weights = vx_alloc(out, widest * sizeof *weights);
    double *signs = vx_alloc(out, sizeof *signs);
    vindex_status status = weights && signs ? vx_step_affine(step, v->dim, out, true)
                                            : vx_fail_memory(out, widest * sizeof(double), "cca");
    if (status == VINDEX_OK) {
        weigh(c, svd, false, out, weights);
        settle_signs(weights, out, c->views[0].dim, signs);
        if (s->view == VIEW_SECOND) weigh(c, svd, true, out, weights);
        for (size_t i = 0; i < out; i++)
            for (size_t j = 0; j < v->dim; j++)
                step->weights[i * v->dim + j] = (float)(signs[i] * weights[i * v->dim + j]);
        for (size_t j = 0; j < v->dim; j++) step->shift[j] = (float)v->moments.mean[j];
        status = vx_step_fact(step, "correlations", svd->values, out);
    }
    vx_free(weights);
    vx_free(signs);
    return status == VINDEX_OK ? vx_step_fact(step, "ranks", ranks, 2) : status;
}

static vindex_status check_ranks(const canon *c, const settings *s, size_t *out) {
    size_t x = c->views[0].rank, y = c->views[1].rank, rows = (size_t)c->job->rows.count;
    size_t most = VX_MIN(x, y);
    if (s->regularisation == 0 && x + y >= rows)
        return vx_fail(VINDEX_ERR_DATA,
                       "cca: %zu rows whose views have ranks %zu and %zu: with so few, directions "
                       "that agree perfectly are found in any data; set regularisation, or put pca "
                       "before it",
                       rows, x, y);
    if (c->job->dim > most)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "cca: %zu dimensions of views of rank %zu and %zu; ask for %zu or fewer",
                       c->job->dim, x, y, most);
    *out = c->job->dim ? c->job->dim : most;
    return VINDEX_OK;
}

static vindex_status solve(const canon *c, const settings *s, vx_step *step) {
    size_t x = c->views[0].rank, y = c->views[1].rank, least = VX_MIN(x, y), out = 0;
    VX_TRY(check_ranks(c, s, &out));
    double *room = vx_alloc(x, c->views[1].dim * sizeof *room);
    vx_svd svd = {.a = vx_alloc(x, y * sizeof(double)),
                  .m = x,
                  .n = y,
                  .u = vx_alloc(x, least * sizeof(double)),
                  .values = vx_alloc(least, sizeof(double)),
                  .v = vx_alloc(least, y * sizeof(double))};
    vindex_status status = VINDEX_OK;
    if (!room || !svd.a || !svd.u || !svd.values || !svd.v)
        status = vx_fail_memory(x, 3 * y * sizeof(double), "cca");
    if (status == VINDEX_OK) {
        whiten_cross(c, room, svd.a);
        status = vx_svd_compute(&svd);
    }
    if (status == VINDEX_OK) status = write_step(c, s, &svd, out, step);
    vx_free(room);
    vx_free(svd.a);
    vx_free(svd.u);
    vx_free(svd.values);
    vx_free(svd.v);
    return status;
}

static vindex_status find(canon *c, const settings *s, vx_step *step) {
    const vx_fit *job = c->job;
    size_t numbers;
    VX_TRY(begin_view(job, &job->rows, c->capacity, 0.15, &c->views[0]));
    VX_TRY(begin_view(job, &job->second, c->capacity, 0.3, &c->views[1]));
    if (vx_mul(c->views[0].dim, c->views[1].dim, &numbers))
        c->cross = vx_alloc(numbers, sizeof *c->cross);
    c->second = vx_alloc(c->capacity, c->views[1].dim * sizeof *c->second);
    if (!c->cross || !c->second)
        return vx_fail_memory(c->views[0].dim, c->views[1].dim * sizeof(double), job->word);
    vx_pass pass = {"covariances", 0.3, 0.7, add_block, c};
    VX_TRY(vx_rows_each(job, &job->rows, &pass));
    VX_TRY(whiten(job, s, "first", &c->views[0]));
    VX_TRY(whiten(job, s, "second", &c->views[1]));
    return solve(c, s, step);
}

static vindex_status fit_cca(const vx_fit *job, vx_step *step) {
    const settings *s = job->settings;
    if (s->view == VIEW_SECOND && job->steps_before)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "cca: the second view's map was asked for after other steps, which act on "
                       "the first; fit those apart, and cca on its own");
    size_t widest = (size_t)VX_MAX(job->rows.dim, job->second.dim);
    canon c = {.job = job, .capacity = VX_MIN(vx_rows_block(widest), (size_t)job->rows.count)};
    vindex_status status = find(&c, s, step);
    free_view(&c.views[0]);
    free_view(&c.views[1]);
    vx_free(c.cross);
    vx_free(c.second);
    return status;
}

const vx_method vx_method_cca = {
    .shown = {.word = "cca",
              .help = "canonical correlation analysis of two views of the same rows",
              .chooses_dim = true,
              .needs_second = true,
              .fields = &table},
    .fit = fit_cca,
};
