/* Principal components of many dimensions by randomized subspace iteration (Halko, Martinsson and
 * Tropp, "Finding structure with randomness", 2011, algorithm 4.4 with Rayleigh-Ritz): l directions
 * Q, one pass over the rows for T = X Q^T and Y = T^T X / n = Q C, the next Q from Y. What T^T T /
 * n has for eigenvalues are the Ritz values; when they rest, the rows of V Y are the eigenvectors.
 *
 * Products are in single precision, a block of rows at a time, their sums over the blocks in
 * double. The Ritz values come from T^T T, whose small eigenvalues single precision disturbs in
 * second order only, so that a rank shows far below 1e-7. */
#include <math.h>
#include <stdio.h>

#include "core/blas.h"
#include "core/rng.h"
#include "pca.h"

enum { SAMPLE_LEAST = 512, SAMPLE_MOST = 2048, SAMPLE_RUN = 64, STREAM_START = 0x706361 };

typedef struct iteration {
    const vx_fit *job;
    const vx_pca *pca;
    size_t l, capacity;
    float *centred; /* capacity x dim: a block less the mean */
    float *q;       /* l x dim */
    float *t;       /* capacity x l */
    float *part;    /* l x dim: T^T X of a block */
    double *y;      /* l x dim */
    double *wide;   /* capacity x l: T */
    double *small;  /* l x l: T^T T, then its eigenvectors */
    double *values, *before;
} iteration;

static void free_iteration(iteration *it) {
    vx_free(it->centred);
    vx_free(it->q);
    vx_free(it->t);
    vx_free(it->part);
    vx_free(it->y);
    vx_free(it->wide);
    vx_free(it->small);
    vx_free(it->values);
    vx_free(it->before);
}

static vindex_status make_iteration(const vx_fit *job, const vindex_rows *rows, size_t l,
                                    const vx_pca *pca, iteration *it) {
    size_t dim = pca->dim, capacity = VX_MIN(vx_rows_block(dim), (size_t)rows->count);
    *it = (iteration){.job = job, .pca = pca, .l = l, .capacity = capacity};
    it->centred = vx_alloc(capacity * dim, sizeof *it->centred);
    it->q = vx_alloc(l * dim, sizeof *it->q);
    it->t = vx_alloc(capacity * l, sizeof *it->t);
    it->part = vx_alloc(l * dim, sizeof *it->part);
    it->y = vx_alloc(l * dim, sizeof *it->y);
    it->wide = vx_alloc(capacity * l, sizeof *it->wide);
    it->small = vx_alloc(l * l, sizeof *it->small);
    it->values = vx_alloc_zero(l, sizeof *it->values);
    it->before = vx_alloc_zero(l, sizeof *it->before);
    if (it->centred && it->q && it->t && it->part && it->y && it->wide && it->small && it->values &&
        it->before)
        return VINDEX_OK;
    return vx_fail_memory(l + capacity, dim * 2 * sizeof(double), job->word);
}

static void centre(const iteration *it, const float *vectors, size_t count) {
    size_t dim = it->pca->dim;
#pragma omp parallel for num_threads(it->job->threads) schedule(static)
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++)
            it->centred[i * dim + j] = (float)((double)vectors[i * dim + j] - it->pca->mean[j]);
}

static vindex_status add_block(void *context, size_t first, size_t count, const float *vectors) {
    iteration *it = context;
    size_t dim = it->pca->dim, l = it->l;
    int threads = it->job->threads;
    (void)first;
    centre(it, vectors, count);
    vx_sgemm(&(vx_sproduct){.m = count,
                            .n = l,
                            .k = dim,
                            .alpha = 1,
                            .a = it->centred,
                            .b = it->q,
                            .b_transposed = true,
                            .c = it->t},
             threads);
    vx_sgemm(&(vx_sproduct){.m = l,
                            .n = dim,
                            .k = count,
                            .alpha = 1,
                            .a = it->t,
                            .a_transposed = true,
                            .b = it->centred,
                            .c = it->part},
             threads);
    for (size_t i = 0; i < count * l; i++) it->wide[i] = (double)it->t[i];
    vx_dsyrk(&(vx_dproduct){.m = l,
                            .k = count,
                            .alpha = 1,
                            .beta = 1,
                            .a = it->wide,
                            .a_transposed = true,
                            .c = it->small},
             threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < l * dim; i++) it->y[i] += (double)it->part[i];
    return VINDEX_OK;
}

/* The next Q: orthonormal rows that span those of Y, in the order of the Ritz values. */
static vindex_status next_directions(iteration *it) {
    size_t dim = it->pca->dim, l = it->l;
    double *turned = vx_alloc(l * dim, sizeof *turned);
    if (!turned) return vx_fail_memory(l * dim, sizeof *turned, it->job->word);
    vx_dgemm(
        &(vx_dproduct){
            .m = l, .n = dim, .k = l, .alpha = 1, .a = it->small, .b = it->y, .c = turned},
        it->job->threads);
    vx_free(it->y);
    it->y = turned;
    return vx_orthonormalise(it->y, l, dim);
}

static void narrow(iteration *it) {
    for (size_t i = 0; i < it->l * it->pca->dim; i++) it->q[i] = (float)it->y[i];
}

/* Random directions to begin with. */
static vindex_status start(iteration *it) {
    vx_rng rng = vx_rng_seed(it->job->seed, STREAM_START);
    for (size_t i = 0; i < it->l * it->pca->dim; i++) it->y[i] = vx_rng_normal(&rng);
    VX_TRY(vx_orthonormalise(it->y, it->l, it->pca->dim));
    narrow(it);
    return VINDEX_OK;
}

/* One pass: Ritz values of Q, and the next Q. */
static vindex_status pass_over(iteration *it, const vindex_rows *rows, size_t number) {
    /* How many passes it will take is not known: each is a third of what is left. */
    double from = 1 - 0.9 * pow(2.0 / 3, (double)number);
    double to = 1 - 0.9 * pow(2.0 / 3, (double)number + 1);
    char phase[64];
    snprintf(phase, sizeof phase, "pass %zu", number + 1);
    vx_pass pass = {phase, from, to, add_block, it};
    memset(it->y, 0, it->l * it->pca->dim * sizeof *it->y);
    memset(it->small, 0, it->l * it->l * sizeof *it->small);
    VX_TRY(vx_rows_each(it->job, rows, &pass));
    memcpy(it->before, it->values, it->l * sizeof *it->before);
    VX_TRY(vx_eigen(it->small, it->l, it->values));
    for (size_t i = 0; i < it->l; i++) it->values[i] /= (double)rows->count;
    VX_TRY(next_directions(it));
    narrow(it);
    return VINDEX_OK;
}

/* How much one of the first k Ritz values has moved, as a share of itself; those that belong to no
 * direction of the data do not count. */
static double largest_change(const iteration *it, size_t k, double rank_tolerance) {
    double most = 0;
    for (size_t i = 0; i < k && it->values[i] > it->values[0] * rank_tolerance; i++)
        most = VX_MAX(most, fabs(it->values[i] - it->before[i]) / it->values[i]);
    return most;
}

static vindex_status iterate(iteration *it, const vindex_rows *rows, const vx_pca_options *options,
                             vx_pca *pca) {
    size_t k = options->k ? options->k : it->l;
    VX_TRY(start(it));
    for (pca->passes = 0; pca->passes < options->passes; pca->passes++) {
        VX_TRY(pass_over(it, rows, pca->passes));
        pca->change = largest_change(it, k, options->rank_tolerance);
        if (pca->passes > 0 && pca->change <= options->tolerance) {
            pca->passes++;
            break;
        }
    }
    return VINDEX_OK;
}

/* ---- how many directions ---- */

/* Reads m rows in short runs spread over all, less the mean. */
static vindex_status read_sample(const vx_fit *job, const vindex_rows *rows, const vx_pca *pca,
                                 size_t m, double *sample) {
    size_t n = (size_t)rows->count, dim = pca->dim, runs = (m + SAMPLE_RUN - 1) / SAMPLE_RUN;
    float *vectors = vx_alloc(SAMPLE_RUN * dim, sizeof *vectors);
    if (!vectors) return vx_fail_memory(SAMPLE_RUN, dim * sizeof *vectors, job->word);
    vindex_status status = VINDEX_OK;
    for (size_t r = 0; status == VINDEX_OK && r < runs; r++) {
        size_t done = r * SAMPLE_RUN, count = VX_MIN((size_t)SAMPLE_RUN, m - done);
        size_t first = runs > 1 ? (n - count) / (runs - 1) * r : 0;
        status = vx_rows_read(job, rows, first, count, vectors);
        for (size_t i = 0; status == VINDEX_OK && i < count * dim; i++)
            sample[done * dim + i] = (double)vectors[i] - pca->mean[i % dim];
    }
    vx_free(vectors);
    return status;
}

/* The rank of m rows, from the matrix of their inner products. */
static vindex_status rank_of_rows(const vx_fit *job, const vindex_rows *rows,
                                  const vx_pca_options *options, const vx_pca *pca, size_t m,
                                  size_t *rank) {
    double *sample = vx_alloc(m * pca->dim, sizeof *sample);
    double *matrix = vx_alloc(m * m, sizeof *matrix), *values = vx_alloc(m, sizeof *values);
    vindex_status status = VINDEX_OK;
    if (!sample || !matrix || !values)
        status = vx_fail_memory(m, (m + pca->dim) * sizeof(double), job->word);
    if (status == VINDEX_OK) status = read_sample(job, rows, pca, m, sample);
    if (status == VINDEX_OK) {
        vx_dsyrk(&(vx_dproduct){.m = m, .k = pca->dim, .alpha = 1, .a = sample, .c = matrix},
                 job->threads);
        status = vx_eigenvalues(matrix, m, values);
    }
    if (status == VINDEX_OK) *rank = vx_rank_of(values, m, options->rank_tolerance);
    vx_free(sample);
    vx_free(matrix);
    vx_free(values);
    return status;
}

/* The rank of a few rows is as a rule that of the whole data, when it is well below their number.
 * Answers 0 when it is not even for many. */
static vindex_status sample_rank(const vx_fit *job, const vindex_rows *rows,
                                 const vx_pca_options *options, const vx_pca *pca, size_t *rank) {
    size_t most = VX_MIN((size_t)rows->count, pca->dim);
    for (size_t m = SAMPLE_LEAST; m <= SAMPLE_MOST; m *= 4) {
        size_t now = VX_MIN(m, (size_t)rows->count);
        VX_TRY(vx_fit_progress(job, 0.1, "rank of %zu rows", now));
        VX_TRY(rank_of_rows(job, rows, options, pca, now, rank));
        if (*rank <= now - now / 10 || now >= most) return VINDEX_OK;
    }
    *rank = 0;
    return VINDEX_OK;
}

static vindex_status keep(const iteration *it, const vx_pca_options *options, vx_pca *pca) {
    size_t rank = vx_rank_of(it->values, it->l, options->rank_tolerance);
    pca->rank = rank < it->l ? rank : 0;
    size_t k = options->k ? options->k : rank;
    VX_TRY(vx_pca_room(pca, k));
    memcpy(pca->values, it->values, k * sizeof *it->values);
    memcpy(pca->vectors, it->y, k * pca->dim * sizeof *it->y);
    return VINDEX_OK;
}

vindex_status vx_pca_by_iteration(const vx_fit *job, const vindex_rows *rows,
                                  const vx_pca_options *options, vx_pca *pca) {
    size_t most = VX_MIN((size_t)rows->count, pca->dim), wanted = options->k;
    if (!wanted) VX_TRY(sample_rank(job, rows, options, pca, &wanted));
    if (!wanted)
        return vx_fail(
            VINDEX_ERR_DATA,
            "%s: the rank of rows of %zu numbers is above nine tenths of a sample of %d; "
            "give a dimension",
            job->word, pca->dim, SAMPLE_MOST);
    size_t l = VX_MIN(wanted + options->oversample, most);
    iteration it;
    vindex_status status = make_iteration(job, rows, l, pca, &it);
    if (status == VINDEX_OK) status = iterate(&it, rows, options, pca);
    if (status == VINDEX_OK) status = keep(&it, options, pca);
    free_iteration(&it);
    if (status == VINDEX_OK && !options->k && !pca->rank && l < most)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: a sample has rank %zu and the whole more than %zu; give a dimension",
                       job->word, wanted, l);
    return status;
}
