/* standardise, centre and normalise against their definitions and scikit-learn. */
#include "data.h"
#include "fixtures.h"

enum { ROWS = 60, DIM = 8 };

START_TEST(standardised_as_by_scikit_learn) {
    vindex_fit_data data = data_of(tall_rows, ROWS, DIM);
    vindex_transform *transform;
    ck_ok(data_fit("standardise", &data, 0, NULL, &transform));
    float *result = data_apply(transform, tall_rows, ROWS);
    for (size_t i = 0; i < (size_t)ROWS * DIM; i++)
        ck_near((double)result[i], tall_standardised[i], 2e-5);
    free(result);
    vindex_transform_free(transform);
}
END_TEST

START_TEST(constant_columns_are_only_shifted) {
    float rows[5][3] = {{1, 7, 2}, {2, 7, 2}, {3, 7, 2}, {4, 7, 2}, {5, 7, 2}}, result[15];
    vindex_fit_data data = data_of(&rows[0][0], 5, 3);
    vindex_transform *transform;
    ck_ok(data_fit("standardise", &data, 0, NULL, &transform));
    ck_ok(vindex_transform_apply(transform, &rows[0][0], 5, result, NULL));
    ck_assert_double_eq(*data_fact(transform, 0, "constant", NULL), 2);
    for (int i = 0; i < 5; i++) {
        ck_assert_float_eq_tol(result[3 * i], (float)((i - 2) / sqrt(2)), 1e-6f);
        ck_assert_float_eq(result[3 * i + 1], 0);
        ck_assert_float_eq(result[3 * i + 2], 0);
    }
    vindex_transform_free(transform);
}
END_TEST

START_TEST(far_from_the_origin_nothing_cancels) {
    enum { N = 100 };
    float rows[N], result[N];
    for (int i = 0; i < N; i++) rows[i] = 16777216.0f + 2 * (float)i; /* whole numbers: exact */
    vindex_fit_data data = data_of(rows, N, 1);
    vindex_transform *transform;
    ck_ok(data_fit("standardise", &data, 0, NULL, &transform));
    ck_ok(vindex_transform_apply(transform, rows, N, result, NULL));
    double deviation = sqrt((N * N - 1) / 12.0);
    for (int i = 0; i < N; i++) /* the shift itself is rounded to float32: to 2 here */
        ck_near((double)result[i], (i - (N - 1) / 2.0) / deviation, 1 / deviation);
    vindex_transform_free(transform);
}
END_TEST

START_TEST(centred_and_normalised) {
    vindex_fit_data data = data_of(tall_rows, ROWS, DIM);
    vindex_transform *centre, *normalise;
    ck_ok(data_fit("centre", &data, 0, NULL, &centre));
    float *result = data_apply(centre, tall_rows, ROWS);
    for (size_t j = 0; j < DIM; j++) {
        double sum = 0;
        for (size_t i = 0; i < ROWS; i++) sum += (double)result[i * DIM + j];
        ck_near(sum, 0, 1e-3);
        ck_assert_float_eq_tol(result[j] - result[DIM + j], tall_rows[j] - tall_rows[DIM + j],
                               1e-5f);
    }
    ck_ok(data_fit("normalise", &data, 0, NULL, &normalise));
    ck_ok(vindex_transform_apply(normalise, tall_rows, ROWS, result, NULL));
    for (size_t i = 0; i < ROWS; i++) {
        double length = 0, whole = 0;
        for (size_t j = 0; j < DIM; j++) {
            length += (double)result[i * DIM + j] * (double)result[i * DIM + j];
            whole += (double)tall_rows[i * DIM + j] * (double)tall_rows[i * DIM + j];
        }
        ck_near(length, 1, 1e-6);
        ck_near((double)result[i * DIM], (double)tall_rows[i * DIM] / sqrt(whole), 1e-7);
    }
    float zeros[DIM] = {0}, huge[DIM] = {3e38f, 3e38f}, tiny[DIM] = {1e-42f};
    ck_ok(vindex_transform_apply(normalise, zeros, 1, result, NULL));
    ck_assert_float_eq(result[0], 0); /* a zero row stays zero */
    ck_ok(vindex_transform_apply(normalise, huge, 1, result, NULL));
    ck_assert_float_eq_tol(result[0], 0.70710678f, 1e-6f);
    ck_ok(vindex_transform_apply(normalise, tiny, 1, result, NULL));
    ck_assert_float_eq(result[0], 1);
    free(result);
    vindex_transform_free(centre);
    vindex_transform_free(normalise);
}
END_TEST

TEST_MAIN("transform/standardise", standardised_as_by_scikit_learn,
          constant_columns_are_only_shifted, far_from_the_origin_nothing_cancels,
          centred_and_normalised)
