/* Principal components against scikit-learn and against each other's solvers. */
#include "data.h"
#include "fixtures.h"

static const char *const solvers[] = {"covariance", "gram", "randomized"};

/* The sign that makes a column agree with another. */
static double agreeing_sign(const float *a, const double *b, size_t n, size_t k, size_t column) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i * k + column] * b[i * k + column];
    return sum < 0 ? -1 : 1;
}

typedef struct fixture {
    const float *rows;
    const double *variance, *ratio, *projected, *whitened;
    size_t n, dim, k;
} fixture;

static void check_against(const fixture *f, const char *solver) {
    vindex_fit_data data = data_of(f->rows, f->n, f->dim);
    vindex_setting setting = {"solver", solver};
    vindex_transform *plain, *white;
    ck_ok(data_fit("pca", &data, (int64_t)f->k, &setting, &plain));
    ck_ok(data_fit("pca-whiten", &data, (int64_t)f->k, &setting, &white));
    float *a = data_apply(plain, f->rows, f->n), *b = data_apply(white, f->rows, f->n);
    const double *values = data_fact(plain, 0, "eigenvalues", NULL);
    double kept = 0, n = (double)f->n;
    /* scikit-learn divides by n - 1, equation 3 of ByteCover2 by n. */
    for (size_t c = 0; c < f->k; c++) {
        ck_near(values[c] * n / (n - 1) / f->variance[c], 1, 1e-5);
        kept += f->ratio[c];
        double sign = agreeing_sign(a, f->projected, f->n, f->k, c);
        for (size_t i = c; i < f->n * f->k; i += f->k) {
            ck_near((double)a[i], sign * f->projected[i], 1e-4);
            ck_near((double)b[i], sign * f->whitened[i] * sqrt(n / (n - 1)), 1e-3);
        }
    }
    ck_near(*data_fact(plain, 0, "kept", NULL), kept, 1e-5);
    free(a);
    free(b);
    vindex_transform_free(plain);
    vindex_transform_free(white);
}

START_TEST(as_by_scikit_learn) {
    const fixture tall = {tall_rows,
                          tall_explained_variance,
                          tall_explained_ratio,
                          tall_projected,
                          tall_whitened,
                          60,
                          8,
                          5};
    const fixture wide = {wide_rows,
                          wide_explained_variance,
                          wide_explained_ratio,
                          wide_projected,
                          wide_whitened,
                          12,
                          20,
                          4};
    for (size_t s = 0; s < VX_COUNT(solvers); s++) {
        check_against(&tall, solvers[s]);
        check_against(&wide, solvers[s]);
    }
}
END_TEST

/* W has orthonormal rows, for every solver, also beyond the rank. */
START_TEST(directions_are_orthonormal) {
    enum { N = 90, DIM = 30, RANK = 6, K = 12 };
    float *rows = data_ranked(N, DIM, RANK, 2);
    vindex_fit_data data = data_of(rows, N, DIM);
    for (size_t s = 0; s < VX_COUNT(solvers); s++) {
        vindex_setting setting = {"solver", solvers[s]};
        vindex_transform *t;
        vindex_transform_step step;
        ck_ok(data_fit("pca", &data, K, &setting, &t));
        ck_ok(vindex_transform_describe(t, 0, &step));
        ck_assert_double_eq(*data_fact(t, 0, "rank", NULL), RANK);
        for (size_t i = 0; i < K; i++)
            for (size_t j = 0; j <= i; j++) {
                double sum = 0;
                for (size_t d = 0; d < DIM; d++)
                    sum += (double)step.weights[i * DIM + d] * (double)step.weights[j * DIM + d];
                ck_near(sum, i == j, 1e-5);
            }
        vindex_transform_free(t);
    }
    free(rows);
}
END_TEST

START_TEST(the_rank_keeps_distances) {
    enum { N = 400, DIM = 120, RANK = 17 };
    float *rows = data_ranked(N, DIM, RANK, 5);
    vindex_fit_data data = data_of(rows, N, DIM);
    for (size_t s = 0; s < VX_COUNT(solvers); s++) {
        vindex_setting setting = {"solver", solvers[s]};
        vindex_transform *t;
        ck_ok(data_fit("pca", &data, 0, &setting, &t));
        ck_assert_int_eq(vindex_transform_output_dim(t), RANK);
        double told = *data_fact(t, 0, "distance_error", NULL), most = 0;
        ck_assert_double_lt(told, 2e-6);
        float *y = data_apply(t, rows, N);
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < i; j++) {
                double before = 0, after = 0;
                for (size_t d = 0; d < DIM; d++) {
                    double gap = (double)rows[i * DIM + d] - (double)rows[j * DIM + d];
                    before += gap * gap;
                }
                for (size_t d = 0; d < RANK; d++) {
                    double gap = (double)y[i * RANK + d] - (double)y[j * RANK + d];
                    after += gap * gap;
                }
                most = VX_MAX(most, fabs(sqrt(after / before) - 1));
            }
        ck_assert_double_lt(most, 2 * told); /* on all rows about what it was on those held back */
        free(y);
        vindex_transform_free(t);
    }
    free(rows);
}
END_TEST

/* The error that is told is an error indeed: where the rank is cut short by hand. */
START_TEST(a_lossy_rank_is_told) {
    enum { N = 300, DIM = 40 };
    float *rows = data_ranked(N, DIM, 10, 2);
    vx_rng rng = vx_rng_seed(3, 3);
    for (size_t i = 0; i < (size_t)N * DIM; i++) rows[i] += 1e-3f * (float)vx_rng_normal(&rng);
    vindex_fit_data data = data_of(rows, N, DIM);
    vindex_setting setting = {"rank-tolerance", "1e-4"};
    vindex_transform *t;
    ck_ok(data_fit("pca", &data, 0, &setting, &t));
    ck_assert_int_eq(vindex_transform_output_dim(t), 10);
    double told = *data_fact(t, 0, "distance_error", NULL);
    ck_assert_double_gt(told, 1e-7);
    ck_assert_double_lt(told, 1e-2);
    vindex_transform_free(t);
    free(rows);
}
END_TEST

START_TEST(whitening_and_epsilon) {
    enum { N = 200, DIM = 10, K = 6 };
    float *rows = data_ranked(N, DIM, 4, 1);
    vindex_fit_data data = data_of(rows, N, DIM);
    vindex_transform *t = NULL;
    ck_fails(VINDEX_ERR_DATA, "the data have rank 4", data_fit("pca-whiten", &data, K, NULL, &t));
    ck_fails(VINDEX_ERR_DATA, "the data have rank 4",
             data_fit("pca", &data, K, &(vindex_setting){"whiten", "0.25"}, &t));
    ck_ok(data_fit("pca-whiten", &data, K, &(vindex_setting){"epsilon", "0.5"}, &t));
    /* Equation 3: every eigenvalue has epsilon more; variances come out as l / (l + epsilon). */
    const double *values = data_fact(t, 0, "eigenvalues", NULL);
    float *y = data_apply(t, rows, N);
    for (size_t c = 0; c < K; c++) {
        double square = 0;
        for (size_t i = 0; i < N; i++) square += (double)y[i * K + c] * (double)y[i * K + c];
        ck_near(square / N, (values[c] - 0.5) / values[c], 1e-4);
    }
    ck_near(values[5], 0.5, 1e-6);
    free(y);
    vindex_transform_free(t);
    free(rows);
}
END_TEST

START_TEST(centring_can_be_left_out) {
    enum { N = 60, DIM = 8 };
    vindex_fit_data data = data_of(tall_rows, N, DIM);
    vindex_transform *both, *covariance, *none;
    ck_ok(data_fit("pca", &data, 3, &(vindex_setting){"centre", "both"}, &both));
    ck_ok(data_fit("pca", &data, 3, &(vindex_setting){"centre", "covariance"}, &covariance));
    ck_ok(data_fit("pca", &data, DIM, &(vindex_setting){"centre", "none"}, &none));
    float *a = data_apply(both, tall_rows, N), *b = data_apply(covariance, tall_rows, N);
    for (size_t i = 3; i < N * 3; i++) /* apart by one constant row */
        ck_near((double)a[i] - (double)a[i % 3], (double)b[i] - (double)b[i % 3], 1e-4);
    ck_assert_double_gt(fabs((double)a[0] - (double)b[0]) + fabs((double)a[1] - (double)b[1]), 1);
    /* About the origin, with all dimensions, inner products are kept. */
    float *c = data_apply(none, tall_rows, N);
    for (size_t i = 1; i < N; i++) {
        double before = 0, after = 0;
        for (size_t d = 0; d < DIM; d++) {
            before += (double)tall_rows[d] * (double)tall_rows[i * DIM + d];
            after += (double)c[d] * (double)c[i * DIM + d];
        }
        ck_near(after / before, 1, 1e-5);
    }
    free(a);
    free(b);
    free(c);
    vindex_transform_free(both);
    vindex_transform_free(covariance);
    vindex_transform_free(none);
}
END_TEST

START_TEST(hopeless_data) {
    float same[5][3] = {{1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}};
    vindex_fit_data data = data_of(&same[0][0], 5, 3);
    vindex_transform *t = NULL;
    for (size_t s = 0; s < VX_COUNT(solvers); s++)
        ck_fails(VINDEX_ERR_DATA, "all 5 rows are the same",
                 data_fit("pca", &data, 2, &(vindex_setting){"solver", solvers[s]}, &t));
    data.rows.count = 2;
    ck_fails(VINDEX_ERR_ARGUMENT, "at most 2", data_fit("pca", &data, 3, NULL, &t));
    data.rows.count = 1;
    ck_fails(VINDEX_ERR_DATA, "the same", data_fit("pca", &data, 1, NULL, &t));
    /* Rows of full rank in more dimensions than their covariance is taken apart for. */
    enum { N = 2600, DIM = 2400 };
    float *rows = data_normal(N, DIM, 1);
    data = data_of(rows, N, DIM);
    if (!getenv("VINDEX_TEST_LIGHT"))
        ck_fails(VINDEX_ERR_DATA, "give a dimension",
                 data_fit("pca", &data, 0, &(vindex_setting){"solver", "randomized"}, &t));
    ck_assert_ptr_null(t);
    free(rows);
}
END_TEST

TEST_MAIN("transform/pca", as_by_scikit_learn, directions_are_orthonormal, the_rank_keeps_distances,
          a_lossy_rank_is_told, whitening_and_epsilon, centring_can_be_left_out, hopeless_data)
