/* Principal component analysis: the front of the solvers, and the methods pca and pca-whiten. */
#include "pca.h"

#include <math.h>

#include "moments.h"

/* ---- the components ---- */

enum {
    COVARIANCE_MOST = 2048, /* dimensions whose covariance matrix is taken apart exactly */
    GRAM_MOST = 4096        /* rows likewise */
};

vindex_status vx_pca_room(vx_pca *pca, size_t k) {
    size_t numbers;
    pca->k = k;
    pca->values = vx_alloc_zero(k, sizeof *pca->values);
    pca->vectors = vx_mul(k, pca->dim, &numbers) ? vx_alloc_zero(numbers, sizeof(double)) : NULL;
    if (pca->values && pca->vectors) return VINDEX_OK;
    return vx_fail_memory(k, pca->dim * sizeof(double), "principal components");
}

void vx_pca_free(vx_pca *pca) {
    vx_free(pca->mean);
    vx_free(pca->values);
    vx_free(pca->vectors);
    *pca = (vx_pca){0};
}

size_t vx_rank_of(const double *values, size_t n, double tolerance) {
    size_t rank = 0;
    while (rank < n && values[rank] > values[0] * tolerance) rank++;
    return rank;
}

static vx_pca_solver choose(size_t n, size_t dim, const vx_pca_options *options) {
    if (options->solver != VX_PCA_AUTO) return options->solver;
    if (n < dim && n <= GRAM_MOST) return VX_PCA_GRAM;
    if (dim <= COVARIANCE_MOST) return VX_PCA_COVARIANCE;
    return VX_PCA_RANDOMIZED;
}

static vindex_status solve(const vx_fit *job, const vindex_rows *rows,
                           const vx_pca_options *options, vx_pca *pca) {
    switch (choose((size_t)rows->count, (size_t)rows->dim, options)) {
    case VX_PCA_GRAM:
        return vx_pca_by_gram(job, rows, options, pca);
    case VX_PCA_RANDOMIZED:
        return vx_pca_by_iteration(job, rows, options, pca);
    default:
        return vx_pca_by_covariance(job, rows, options, pca);
    }
}

/* A block of rows in double precision and the matrix that becomes the vectors; then what LAPACK
 * works in, or those that are kept. Iterating, a block, its products with all directions, and these
 * in single and double precision. */
double vx_pca_bytes(size_t n, size_t dim, const vx_pca_options *options) {
    vx_pca_solver solver = choose(n, dim, options);
    double block = (double)VX_MIN(vx_rows_block(dim), n), d = (double)dim, rows = (double)n;
    double k = (double)options->k, l = k + (double)options->oversample;
    if (solver == VX_PCA_GRAM)
        return sizeof(double) * (rows * d + rows * rows + VX_MAX(2 * rows * rows, k * d));
    if (solver == VX_PCA_COVARIANCE)
        return sizeof(double) * (block * d + d * d + VX_MAX(2 * d * d + 10 * d, k * d));
    return sizeof(float) * (block * d + 2 * l * d + block * l) +
           sizeof(double) * (2 * l * d + block * l + 3 * l * l);
}

/* Of the two signs of a vector the one that makes its largest number positive; no value below 0. */
static void settle(vx_pca *pca) {
    for (size_t i = 0; i < pca->k; i++) {
        double *vector = pca->vectors + i * pca->dim, most = 0;
        pca->values[i] = VX_MAX(pca->values[i], 0.0);
        for (size_t j = 0; j < pca->dim; j++)
            if (fabs(vector[j]) > fabs(most)) most = vector[j];
        for (size_t j = 0; j < pca->dim && most < 0; j++) vector[j] = -vector[j];
    }
}

/* Mean and total variance, about the mean or the origin. */
static vindex_status begin(const vx_fit *job, const vindex_rows *rows, bool about_origin,
                           vx_pca *pca) {
    vx_moments m;
    *pca = (vx_pca){.dim = (size_t)rows->dim};
    pca->mean = vx_alloc_zero(pca->dim, sizeof *pca->mean);
    if (!pca->mean) return vx_fail_memory(pca->dim, sizeof *pca->mean, job->word);
    VX_TRY(vx_moments_compute(job, rows, 0.1, &m));
    double largest = 0;
    for (size_t j = 0; j < pca->dim; j++) {
        pca->total += m.variance[j] + (about_origin ? m.mean[j] * m.mean[j] : 0);
        largest = VX_MAX(largest, fabs(m.mean[j]));
        if (!about_origin) pca->mean[j] = m.mean[j];
    }
    vx_moments_free(&m);
    if (pca->total > largest * largest * 0x1p-80 * (double)pca->dim) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA, "%s: all %lld rows are the same; give rows that differ",
                   job->word, (long long)rows->count);
}

vindex_status vx_pca_compute(const vx_fit *job, const vindex_rows *rows,
                             const vx_pca_options *options, vx_pca *pca) {
    size_t most = VX_MIN((size_t)rows->count, (size_t)rows->dim);
    if (options->k > most)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: %zu components of %lld rows of %lld numbers, which have at most %zu; "
                       "ask for fewer or give more rows",
                       job->word, options->k, (long long)rows->count, (long long)rows->dim, most);
    vindex_status status = begin(job, rows, options->about_origin, pca);
    if (status == VINDEX_OK) status = solve(job, rows, options, pca);
    if (status == VINDEX_OK)
        settle(pca);
    else
        vx_pca_free(pca);
    return status;
}

/* ---- the methods ---- */

enum { CENTRE_BOTH, CENTRE_COVARIANCE, CENTRE_NONE };

typedef struct settings {
    size_t struct_size;
    int32_t solver, centre;
    double epsilon, whiten, rank_tolerance, tolerance;
    int64_t oversample, passes;
} settings;

static const char *const solvers[] = {"auto", "covariance", "gram", "randomized"};
static const char *const centres[] = {"both", "covariance", "none"};

static const vindex_field fields[] = {
    {"whiten", VINDEX_FIELD_DOUBLE, offsetof(settings, whiten), 0, 1, 0,
     "divide each number by its eigenvalue to this power; 0.5 gives all variance 1"},
    {"epsilon", VINDEX_FIELD_DOUBLE, offsetof(settings, epsilon), 0, 1e30, 0,
     "added to every eigenvalue"},
    {"centre", VINDEX_FIELD_CHOICE, offsetof(settings, centre), 0, 2, 0,
     "take the mean away: from covariance and rows, from the covariance alone, from neither",
     centres},
    {"solver", VINDEX_FIELD_CHOICE, offsetof(settings, solver), 0, 3, 0,
     "how the components are found", solvers},
    {"rank-tolerance", VINDEX_FIELD_DOUBLE, offsetof(settings, rank_tolerance), 1e-15, 0.1, 1e-9,
     "share of the largest eigenvalue that counts for the rank"},
    {"tolerance", VINDEX_FIELD_DOUBLE, offsetof(settings, tolerance), 1e-14, 0.1, 1e-6,
     "randomized: enough when no eigenvalue moves by more than this share"},
    {"oversample", VINDEX_FIELD_INT64, offsetof(settings, oversample), 0, 4096, 32,
     "randomized: directions beside those wanted"},
    {"passes", VINDEX_FIELD_INT64, offsetof(settings, passes), 2, 1000, 20,
     "randomized: over the rows, at most"},
};
static const vindex_field_table pca_table = {"pca", sizeof(settings), fields, VX_COUNT(fields)};
/* The same without the exponent, which is what this method is about. */
static const vindex_field_table whiten_table = {"pca-whiten", sizeof(settings), fields + 1,
                                                VX_COUNT(fields) - 1};

vx_pca_options vx_pca_defaults(size_t k) {
    settings s;
    vindex_fields_init(&pca_table, &s, sizeof s);
    return (vx_pca_options){.k = k,
                            .rank_tolerance = s.rank_tolerance,
                            .oversample = (size_t)s.oversample,
                            .passes = (size_t)s.passes,
                            .tolerance = s.tolerance};
}

static vx_pca_options options_of(const settings *s, size_t k) {
    return (vx_pca_options){.k = k,
                            .solver = (vx_pca_solver)s->solver,
                            .about_origin = s->centre == CENTRE_NONE,
                            .rank_tolerance = s->rank_tolerance,
                            .oversample = (size_t)s->oversample,
                            .passes = (size_t)s->passes,
                            .tolerance = s->tolerance};
}

/* y = (Lambda + epsilon)^-whiten U^T (x - mean), with the covariance of ByteCover2's equation 3. */
static vindex_status write_step(const vx_fit *job, const settings *s, const vx_pca *pca,
                                vx_step *step) {
    VX_TRY(vx_step_affine(step, pca->dim, pca->k, s->centre == CENTRE_BOTH));
    for (size_t i = 0; i < pca->k; i++) {
        double value = pca->values[i] + s->epsilon;
        if (s->whiten > 0 && !(value > pca->values[0] * s->rank_tolerance))
            return vx_fail(VINDEX_ERR_DATA,
                           "%s: component %zu has the eigenvalue %g beside the largest, %g: the "
                           "data have rank %zu; ask for at most as many, or set epsilon",
                           job->word, i + 1, value, pca->values[0], i);
        double scale = s->whiten > 0 ? pow(value, -s->whiten) : 1;
        for (size_t j = 0; j < pca->dim; j++)
            step->weights[i * pca->dim + j] = (float)(pca->vectors[i * pca->dim + j] * scale);
    }
    for (size_t j = 0; step->shift && j < pca->dim; j++) step->shift[j] = (float)pca->mean[j];
    return VINDEX_OK;
}

static vindex_status write_facts(const vx_fit *job, const settings *s, const vx_pca *pca,
                                 vx_step *step) {
    double kept = 0, rank = (double)pca->rank, passes = (double)pca->passes;
    double total = pca->total + s->epsilon * (double)pca->dim;
    double *values = vx_alloc(pca->k, sizeof *values);
    if (!values) return vx_fail_memory(pca->k, sizeof *values, job->word);
    for (size_t i = 0; i < pca->k; i++) {
        values[i] = pca->values[i] + s->epsilon;
        kept += values[i];
    }
    kept = VX_MIN(kept / total, 1.0);
    vindex_status status = vx_step_fact(step, "eigenvalues", values, pca->k);
    vx_free(values);
    VX_TRY(status);
    VX_TRY(vx_step_fact(step, "variance", &total, 1));
    VX_TRY(vx_step_fact(step, "kept", &kept, 1));
    if (pca->rank) VX_TRY(vx_step_fact(step, "rank", &rank, 1));
    if (!pca->passes) return VINDEX_OK;
    VX_TRY(vx_step_fact(step, "passes", &passes, 1));
    return vx_step_fact(step, "change", &pca->change, 1);
}

/* With no dimension given, as many components as the rank, so that distances are kept; by how much
 * they are not is measured on rows that were not learned from. */
static vindex_status fit(const vx_fit *job, const settings *s, vx_step *step) {
    vx_pca_options options = options_of(s, job->dim);
    vx_holdout holdout = {.all = job->rows, .rest = job->rows};
    vx_pca pca;
    if (!job->dim && s->whiten == 0) vx_holdout_make(&job->rows, &holdout);
    VX_TRY(vx_pca_compute(job, &holdout.rest, &options, &pca));
    vindex_status status = write_step(job, s, &pca, step);
    if (status == VINDEX_OK) status = write_facts(job, s, &pca, step);
    vx_pca_free(&pca);
    if (status != VINDEX_OK || holdout.held < 2) return status;
    double error;
    VX_TRY(vx_holdout_distance_error(job, &holdout, step, &error));
    return vx_step_fact(step, "distance_error", &error, 1);
}

static vindex_status fit_pca(const vx_fit *job, vx_step *step) {
    return fit(job, job->settings, step);
}

static double fit_bytes(const vx_fit *job) {
    vx_pca_options options = options_of(job->settings, job->dim);
    return vx_pca_bytes((size_t)job->rows.count, (size_t)job->rows.dim, &options);
}

static vindex_status fit_whiten(const vx_fit *job, vx_step *step) {
    settings s = *(const settings *)job->settings;
    s.whiten = 0.5;
    return fit(job, &s, step);
}

const vx_method vx_method_pca = {
    .shown = {.word = "pca",
              .help = "principal components; without a dimension as many as the rank, which keeps "
                      "distances",
              .chooses_dim = true,
              .fields = &pca_table},
    .fit = fit_pca,
    .bytes = fit_bytes,
};

const vx_method vx_method_pca_whiten = {
    .shown = {.word = "pca-whiten",
              .help = "principal components, each scaled to variance 1",
              .chooses_dim = true,
              .fields = &whiten_table},
    .fit = fit_whiten,
    .bytes = fit_bytes,
};
