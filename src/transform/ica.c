/* Independent components by FastICA (Hyvarinen and Oja, "Independent component analysis: algorithms
 * and applications", 2000): rows are whitened, then all directions are turned together towards
 * non-Gaussian ones by the fixed point w = E[z g(w z)] - E[g'(w z)] w with g = tanh, made
 * orthonormal symmetrically, W = (W W^T)^-1/2 W, after each round. */
#include <math.h>

#include "core/blas.h"
#include "core/rng.h"
#include "pca.h"

enum { BLOCK = 4096, STREAM_START = 0x696361 };

typedef struct settings {
    size_t struct_size;
    int64_t iterations;
    double tolerance;
} settings;

static const vindex_field fields[] = {
    {"iterations", VINDEX_FIELD_INT64, offsetof(settings, iterations), 1, 100000, 200,
     "rounds at most"},
    {"tolerance", VINDEX_FIELD_DOUBLE, offsetof(settings, tolerance), 1e-12, 0.1, 1e-4,
     "enough when no direction turns by more than this (1 - cosine)"},
};
static const vindex_field_table table = {"ica", sizeof(settings), fields, VX_COUNT(fields)};

typedef struct fitting {
    const vx_fit *job;
    const vx_pca *pca;
    size_t n, k;
    double *white;    /* k x dim: what whitens a row */
    double *rows;     /* n x k, white */
    double *w, *next; /* k x k */
    double *block;    /* BLOCK x k: g(W z) */
    double *slopes;   /* k: sums of g' */
    double *spare;    /* 2 x k x k */
} fitting;

static void free_fitting(fitting *f) {
    vx_free(f->white);
    vx_free(f->rows);
    vx_free(f->w);
    vx_free(f->next);
    vx_free(f->block);
    vx_free(f->slopes);
    vx_free(f->spare);
}

static vindex_status make_fitting(const vx_fit *job, const vx_pca *pca, fitting *f) {
    size_t k = pca->k, n = (size_t)job->rows.count, numbers;
    *f = (fitting){.job = job, .pca = pca, .n = n, .k = k};
    f->white = vx_alloc(k * pca->dim, sizeof *f->white);
    if (vx_mul(n, k, &numbers)) f->rows = vx_alloc(numbers, sizeof *f->rows);
    f->w = vx_alloc(k * k, sizeof *f->w);
    f->next = vx_alloc(k * k, sizeof *f->next);
    f->block = vx_alloc(VX_MIN((size_t)BLOCK, n) * k, sizeof *f->block);
    f->slopes = vx_alloc(k, sizeof *f->slopes);
    f->spare = vx_alloc(2 * k * k, sizeof *f->spare);
    if (f->white && f->rows && f->w && f->next && f->block && f->slopes && f->spare)
        return VINDEX_OK;
    return vx_fail_memory(n, k * sizeof(double), job->word);
}

/* ---- whitening ---- */

typedef struct whitening {
    fitting *f;
    double *centred; /* capacity x dim */
    size_t capacity;
} whitening;

static vindex_status whiten_block(void *context, size_t first, size_t count, const float *vectors) {
    whitening *w = context;
    fitting *f = w->f;
    size_t dim = f->pca->dim;
    for (size_t i = 0; i < count * dim; i++)
        w->centred[i] = (double)vectors[i] - f->pca->mean[i % dim];
    vx_dgemm(&(vx_dproduct){.m = count,
                            .n = f->k,
                            .k = dim,
                            .alpha = 1,
                            .a = w->centred,
                            .b = f->white,
                            .b_transposed = true,
                            .c = f->rows + first * f->k},
             f->job->threads);
    return VINDEX_OK;
}

static vindex_status whiten(fitting *f) {
    size_t dim = f->pca->dim, capacity = VX_MIN(vx_rows_block(dim), f->n);
    for (size_t i = 0; i < f->k; i++)
        for (size_t j = 0; j < dim; j++)
            f->white[i * dim + j] = f->pca->vectors[i * dim + j] / sqrt(f->pca->values[i]);
    whitening w = {f, vx_alloc(capacity * dim, sizeof(double)), capacity};
    if (!w.centred) return vx_fail_memory(capacity * dim, sizeof(double), f->job->word);
    vx_pass pass = {"whitening", 0.4, 0.5, whiten_block, &w};
    vindex_status status = vx_rows_each(f->job, &f->job->rows, &pass);
    vx_free(w.centred);
    return status;
}

/* ---- the fixed point ---- */

/* rows = (rows rows^T)^-1/2 rows, for the k x k matrix rows. */
static vindex_status decorrelate(fitting *f, double *rows) {
    size_t k = f->k;
    double *vectors = f->spare, *turned = f->spare + k * k, *values = f->slopes;
    vx_dsyrk(&(vx_dproduct){.m = k, .k = k, .alpha = 1, .a = rows, .c = vectors}, f->job->threads);
    VX_TRY(vx_eigen(vectors, k, values));
    if (!(values[k - 1] > values[0] * 1e-14))
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: two of %zu directions fell together; ask for fewer or use another seed",
                       f->job->word, k);
    vx_dgemm(
        &(vx_dproduct){.m = k, .n = k, .k = k, .alpha = 1, .a = vectors, .b = rows, .c = turned},
        f->job->threads);
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++) turned[i * k + j] /= sqrt(values[i]);
    vx_dgemm(&(vx_dproduct){.m = k,
                            .n = k,
                            .k = k,
                            .alpha = 1,
                            .a = vectors,
                            .a_transposed = true,
                            .b = turned,
                            .c = rows},
             f->job->threads);
    return VINDEX_OK;
}

/* tanh of a block of projections in place, and the sums of its derivative per direction. Each
 * direction's sum is one thread's, row after row. */
static void bend(fitting *f, size_t count) {
    size_t k = f->k;
#pragma omp parallel for num_threads(f->job->threads) schedule(static)
    for (size_t i = 0; i < count * k; i++) f->block[i] = tanh(f->block[i]);
#pragma omp parallel for num_threads(f->job->threads) schedule(static)
    for (size_t j = 0; j < k; j++)
        for (size_t i = 0; i < count; i++) {
            double g = f->block[i * k + j];
            f->slopes[j] += 1 - g * g;
        }
}

/* One round: the next directions, and how far the furthest turned. */
static vindex_status turn(fitting *f, double *moved) {
    size_t k = f->k, n = f->n;
    memset(f->slopes, 0, k * sizeof *f->slopes);
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t count = VX_MIN((size_t)BLOCK, n - first);
        const double *rows = f->rows + first * k;
        vx_dgemm(&(vx_dproduct){.m = count,
                                .n = k,
                                .k = k,
                                .alpha = 1,
                                .a = rows,
                                .b = f->w,
                                .b_transposed = true,
                                .c = f->block},
                 f->job->threads);
        bend(f, count);
        vx_dgemm(&(vx_dproduct){.m = k,
                                .n = k,
                                .k = count,
                                .alpha = 1 / (double)n,
                                .beta = first ? 1 : 0,
                                .a = f->block,
                                .a_transposed = true,
                                .b = rows,
                                .c = f->next},
                 f->job->threads);
    }
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++)
            f->next[i * k + j] -= f->slopes[i] / (double)n * f->w[i * k + j];
    VX_TRY(decorrelate(f, f->next));
    *moved = 0;
    for (size_t i = 0; i < k; i++) {
        double cosine = 0;
        for (size_t j = 0; j < k; j++) cosine += f->next[i * k + j] * f->w[i * k + j];
        *moved = VX_MAX(*moved, fabs(fabs(cosine) - 1));
    }
    double *kept = f->w;
    f->w = f->next;
    f->next = kept;
    return VINDEX_OK;
}

static vindex_status iterate(fitting *f, vx_step *step) {
    const settings *s = f->job->settings;
    double moved = INFINITY, rounds = 0;
    vx_rng rng = vx_rng_seed(f->job->seed, STREAM_START);
    for (size_t i = 0; i < f->k * f->k; i++) f->w[i] = vx_rng_normal(&rng);
    VX_TRY(decorrelate(f, f->w));
    for (int64_t i = 0; i < s->iterations && moved > s->tolerance; i++) {
        VX_TRY(turn(f, &moved));
        rounds++;
        VX_TRY(vx_fit_progress(f->job, 0.5 + 0.5 * rounds / (double)s->iterations,
                               "round %.0f, moved %.2g", rounds, moved));
    }
    VX_TRY(vx_step_fact(step, "rounds", &rounds, 1));
    VX_TRY(vx_step_fact(step, "moved", &moved, 1));
    double converged = moved <= s->tolerance;
    return vx_step_fact(step, "converged", &converged, 1);
}

/* y = W white (x - mean). */
static vindex_status write_step(const fitting *f, vx_step *step) {
    size_t dim = f->pca->dim, k = f->k;
    VX_TRY(vx_step_affine(step, dim, k, true));
    double *weights = vx_alloc(k * dim, sizeof *weights);
    if (!weights) return vx_fail_memory(k * dim, sizeof *weights, f->job->word);
    vx_dgemm(
        &(vx_dproduct){
            .m = k, .n = dim, .k = k, .alpha = 1, .a = f->w, .b = f->white, .c = weights},
        f->job->threads);
    for (size_t i = 0; i < k * dim; i++) step->weights[i] = (float)weights[i];
    for (size_t j = 0; j < dim; j++) step->shift[j] = (float)f->pca->mean[j];
    vx_free(weights);
    return VINDEX_OK;
}

static vindex_status fit_components(const vx_fit *job, const vx_pca *pca, vx_step *step) {
    fitting f;
    vindex_status status = make_fitting(job, pca, &f);
    if (status == VINDEX_OK) status = whiten(&f);
    if (status == VINDEX_OK) status = iterate(&f, step);
    if (status == VINDEX_OK) status = write_step(&f, step);
    free_fitting(&f);
    return status;
}

static vindex_status fit(const vx_fit *job, vx_step *step) {
    vx_pca_options options = vx_pca_defaults(job->dim);
    vx_pca pca;
    VX_TRY(vx_pca_compute(job, &job->rows, &options, &pca));
    size_t rank = vx_rank_of(pca.values, pca.k, options.rank_tolerance);
    vindex_status status =
        rank < pca.k ? vx_fail(VINDEX_ERR_DATA,
                               "%s: %zu components were asked of data of rank %zu; there are no "
                               "more than that to tell apart, ask for at most %zu",
                               job->word, pca.k, rank, rank)
                     : fit_components(job, &pca, step);
    vx_pca_free(&pca);
    return status;
}

const vx_method vx_method_ica = {
    .shown = {.word = "ica",
              .help = "independent components, by FastICA; without a dimension as many as the rank",
              .chooses_dim = true,
              .fields = &table},
    .fit = fit,
};
