/* Canonical correlation analysis against scikit-learn and a generalised eigenvalue problem. */
#include "labelled.h"

enum { ROWS = 70, FIRST = 5, SECOND = 4 };

static vindex_fit_data views(void) {
    vindex_fit_data data = data_of(view_first, ROWS, FIRST);
    data.second = (vindex_rows){.count = ROWS, .dim = SECOND, .vectors = view_second};
    return data;
}

static double correlation(const float *a, const double *b, int column, int columns, int others) {
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < ROWS; i++) {
        double p = (double)a[i * columns + column], q = b[i * others + column];
        x += p;
        y += q;
        xx += p * p;
        yy += q * q;
        xy += p * q;
    }
    return (xy - x * y / ROWS) / sqrt((xx - x * x / ROWS) * (yy - y * y / ROWS));
}

static vindex_transform *fit(const vindex_fit_data *data, const char *view, int64_t dim) {
    vindex_setting setting = {"view", view};
    vindex_transform *transform;
    ck_ok(data_fit("cca", data, dim, &setting, &transform));
    return transform;
}

START_TEST(both_maps_are_those_of_scikit_learn) {
    vindex_fit_data data = views();
    vindex_transform *first = fit(&data, "first", 3), *second = fit(&data, "second", 3);
    ck_assert_int_eq(vindex_transform_input_dim(first), FIRST);
    ck_assert_int_eq(vindex_transform_input_dim(second), SECOND);
    float *x = data_apply(first, view_first, ROWS), *y = data_apply(second, view_second, ROWS);
    const double *found = data_fact(first, 0, "correlations", NULL);
    for (int c = 0; c < 3; c++) {
        ck_near(fabs(correlation(x, cca_first, c, 3, 3)), 1.0, 1e-6);
        ck_near(fabs(correlation(y, cca_second, c, 3, 3)), 1.0, 1e-6);
        double wide[ROWS * 3], variance = 0;
        for (int i = 0; i < ROWS * 3; i++) wide[i] = (double)y[i];
        for (int i = 0; i < ROWS; i++) variance += (double)x[i * 3 + c] * (double)x[i * 3 + c];
        ck_near(variance / ROWS, 1.0, 1e-4);
        /* The two views agree in sign, and by as much as is said. */
        ck_near(correlation(x, wide, c, 3, 3), found[c], 1e-5);
    }
    free(x);
    free(y);
    vindex_transform_free(first);
    vindex_transform_free(second);
}
END_TEST

START_TEST(regularised) {
    vindex_fit_data data = views();
    vindex_setting setting = {"regularisation", "0.5"};
    vindex_transform *transform;
    int64_t count;
    ck_ok(data_fit("cca", &data, 0, &setting, &transform));
    const double *found = data_fact(transform, 0, "correlations", &count);
    ck_assert_int_eq(count, SECOND);
    for (int i = 0; i < SECOND; i++) ck_near(found[i], cca_regularised[i], 1e-7);
    vindex_transform_free(transform);
}
END_TEST

/* A copied column adds no rank, a constant one none either. */
START_TEST(rank_deficient) {
    enum { WIDE = FIRST + 2 };
    float rows[ROWS * WIDE];
    for (int i = 0; i < ROWS; i++) {
        memcpy(rows + i * WIDE, view_first + i * FIRST, FIRST * sizeof *rows);
        rows[i * WIDE + FIRST] = view_first[i * FIRST];
        rows[i * WIDE + FIRST + 1] = -3;
    }
    vindex_fit_data data = views(), plain = views();
    data.rows = (vindex_rows){.count = ROWS, .dim = WIDE, .vectors = rows};
    vindex_transform *found = fit(&data, "first", 3), *expected = fit(&plain, "first", 3);
    ck_assert_double_eq(data_fact(found, 0, "ranks", NULL)[0], FIRST);
    for (int i = 0; i < 3; i++)
        ck_near(data_fact(found, 0, "correlations", NULL)[i],
                data_fact(expected, 0, "correlations", NULL)[i], 1e-9);
    vindex_transform_free(found);
    vindex_transform_free(expected);
}
END_TEST

START_TEST(bad_input) {
    vindex_fit_data data = views();
    labelled_refuses(VINDEX_ERR_ARGUMENT, "5 dimensions of views of rank 5 and 4", "cca", &data, 5,
                     NULL);
    data.rows.count = data.second.count = 9;
    labelled_refuses(VINDEX_ERR_DATA, "9 rows whose views have ranks 5 and 4", "cca", &data, 0,
                     NULL);
    vindex_setting setting = {"view", "second"};
    data = views();
    labelled_refuses(VINDEX_ERR_ARGUMENT, "second view's map was asked for after other steps",
                     "standardise,cca", &data, 0, &setting);
    data.second.count = 69;
    labelled_refuses(VINDEX_ERR_DIMENSION, "second has 69 rows", "cca", &data, 0, NULL);
    data.second.count = 0;
    labelled_refuses(VINDEX_ERR_DATA, "no second view was given", "cca", &data, 0, NULL);
    float rows[ROWS * SECOND];
    for (int i = 0; i < ROWS * SECOND; i++) rows[i] = 1;
    data = views();
    data.second.vectors = rows;
    labelled_refuses(VINDEX_ERR_DATA, "all rows of the second view are the same", "cca", &data, 0,
                     NULL);
    rows[5] = INFINITY;
    labelled_refuses(VINDEX_ERR_DATA, "row 1 has infinity in dimension 1", "cca", &data, 0, NULL);
}
END_TEST

START_TEST(memory_and_threads) {
    vindex_fit_data data = views();
    labelled_out_of_memory("cca", &data);
    labelled_same_bits("cca:2", &data, view_first, ROWS);
}
END_TEST

TEST_MAIN("transform/cca", both_maps_are_those_of_scikit_learn, regularised, rank_deficient,
          bad_input, memory_and_threads)
