/* Maps that look at no data: what random numbers must be, and what rotations must keep. */
#include "data.h"
#include "fixtures.h"

START_TEST(random_projection_is_gaussian) {
    enum { DIM = 300, K = 50 };
    float *row = data_normal(1, DIM, 1);
    vindex_fit_data data = data_of(row, 1, DIM);
    vindex_transform *t, *other;
    vindex_transform_step step, second;
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    params.dim = K;
    ck_ok(vindex_fit("grp", &data, &params, &t));
    params.seed = 2;
    ck_ok(vindex_fit("grp", &data, &params, &other));
    ck_ok(vindex_transform_describe(t, 0, &step));
    ck_ok(vindex_transform_describe(other, 0, &second));
    double mean = 0, square = 0, fourth = 0, shared = 0, n = DIM * K;
    for (size_t i = 0; i < (size_t)DIM * K; i++) {
        double w = (double)step.weights[i] * sqrt(K);
        mean += w / n, square += w * w / n, fourth += w * w * w * w / n;
        shared += w * (double)second.weights[i] * sqrt(K) / n;
    }
    /* Moments of a normal distribution, and another seed is another projection: five deviations. */
    ck_near(mean, 0, 5 / sqrt(n));
    ck_near(square, 1, 5 * sqrt(2 / n));
    ck_near(fourth, 3, 5 * sqrt(96 / n));
    ck_near(shared, 0, 5 / sqrt(n));
    vindex_transform_free(t);
    vindex_transform_free(other);
    free(row);
}
END_TEST

START_TEST(the_lemma_as_by_scikit_learn) {
    for (size_t i = 0; i < VX_COUNT(lemma_dims); i++) {
        enum { DIM = 1000 };
        char distortion[32];
        float *row = calloc(DIM, sizeof *row);
        vindex_rows one = {.count = (int64_t)lemma_rows[i], .dim = DIM, .vectors = row};
        vindex_fit_data data = data_of(row, 1, DIM);
        data.rows = one; /* of which nothing is read */
        snprintf(distortion, sizeof distortion, "%.17g", lemma_distortions[i]);
        vindex_transform *t;
        ck_ok(data_fit("grp", &data, 0, &(vindex_setting){"distortion", distortion}, &t));
        ck_assert_int_eq(vindex_transform_output_dim(t), (int64_t)lemma_dims[i]);
        vindex_transform_free(t);
        t = NULL;
        data.rows.dim = (int64_t)lemma_dims[i] - 1;
        ck_fails(VINDEX_ERR_ARGUMENT, "give a dimension",
                 data_fit("grp", &data, 0, &(vindex_setting){"distortion", distortion}, &t));
        free(row);
    }
}
END_TEST

START_TEST(rotations_keep_lengths_and_spread) {
    static const size_t dims[] = {1, 2, 3, 7, 64, 100, 1000};
    for (size_t d = 0; d < VX_COUNT(dims); d++) {
        size_t dim = dims[d], n = 20;
        float *rows = data_normal(n, dim, 4);
        memset(rows, 0, dim * sizeof *rows);
        rows[0] = 1; /* one axis */
        vindex_fit_data data = data_of(rows, n, dim);
        vindex_transform *t;
        ck_ok(data_fit("hadamard", &data, 0, NULL, &t));
        float *y = data_apply(t, rows, n);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++) {
                double before = 0, after = 0;
                for (size_t k = 0; k < dim; k++) {
                    before += (double)rows[i * dim + k] * (double)rows[j * dim + k];
                    after += (double)y[i * dim + k] * (double)y[j * dim + k];
                }
                ck_near(before, after, 1e-5 * (double)(dim + 1));
            }
        for (size_t k = 0; k < dim && dim >= 64; k++)
            ck_assert_double_lt(fabs((double)y[k]), 0.6); /* not on one axis any more */
        free(y);
        free(rows);
        vindex_transform_free(t);
    }
}
END_TEST

TEST_MAIN("transform/random", random_projection_is_gaussian, the_lemma_as_by_scikit_learn,
          rotations_keep_lengths_and_spread)
