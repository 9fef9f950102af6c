/* FastICA against scikit-learn and against the sources it must find. */
#include "data.h"
#include "fixtures.h"

enum { ROWS = 400, DIM = 5, SOURCES = 3 };

/* The correlation of column a of one matrix with column b of another. */
static double correlation(const float *x, size_t a, const double *y, size_t b) {
    double xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double u = (double)x[i * SOURCES + a], v = y[i * SOURCES + b];
        xy += u * v, xx += u * u, yy += v * v;
    }
    return xy / sqrt(xx * yy);
}

START_TEST(as_by_scikit_learn) {
    vindex_fit_data data = data_of(mixed_rows, ROWS, DIM);
    vindex_transform *t;
    ck_ok(data_fit("ica", &data, SOURCES, &(vindex_setting){"tolerance", "1e-10"}, &t));
    ck_assert_double_eq(*data_fact(t, 0, "converged", NULL), 1);
    float *found = data_apply(t, mixed_rows, ROWS);
    for (size_t s = 0; s < SOURCES; s++) {
        size_t best = 0; /* in any order and of any sign */
        for (size_t c = 1; c < SOURCES; c++)
            if (fabs(correlation(found, c, mixed_sources, s)) >
                fabs(correlation(found, best, mixed_sources, s)))
                best = c;
        double sign = correlation(found, best, mixed_sources, s) < 0 ? -1 : 1;
        for (size_t i = 0; i < ROWS; i++)
            ck_near(sign * (double)found[i * SOURCES + best], mixed_sources[i * SOURCES + s], 1e-3);
    }
    free(found);
    vindex_transform_free(t);
}
END_TEST

START_TEST(above_the_rank_it_is_refused) {
    vindex_fit_data data = data_of(mixed_rows, ROWS, DIM);
    vindex_transform *t = NULL;
    ck_fails(VINDEX_ERR_DATA, "4 components were asked of data of rank 3",
             data_fit("ica", &data, 4, NULL, &t));
    ck_ok(data_fit("ica", &data, 0, NULL, &t));
    ck_assert_int_eq(vindex_transform_output_dim(t), SOURCES); /* on its own, as many as the rank */
    vindex_transform_free(t);
}
END_TEST

START_TEST(too_few_rounds_are_told) {
    vindex_fit_data data = data_of(mixed_rows, ROWS, DIM);
    vindex_transform *t;
    ck_ok(data_fit("ica", &data, 3, &(vindex_setting){"iterations", "1"}, &t));
    ck_assert_double_eq(*data_fact(t, 0, "converged", NULL), 0);
    ck_assert_double_eq(*data_fact(t, 0, "rounds", NULL), 1);
    vindex_transform_free(t);
}
END_TEST

TEST_MAIN("transform/ica", as_by_scikit_learn, above_the_rank_it_is_refused,
          too_few_rounds_are_told)
