/* Linear discriminant analysis against scikit-learn, and what it refuses. */
#include "labelled.h"

/* Columns agree up to their sign. */
static void same_columns(const float *found, const double *expected, size_t rows, size_t columns,
                         double tolerance) {
    for (size_t j = 0; j < columns; j++) {
        double product = 0;
        for (size_t i = 0; i < rows; i++)
            product += (double)found[i * columns + j] * expected[i * columns + j];
        double sign = product < 0 ? -1 : 1;
        for (size_t i = 0; i < rows; i++)
            ck_near(sign * (double)found[i * columns + j], expected[i * columns + j], tolerance);
    }
}

static vindex_transform *fit(const vindex_fit_data *data, const vindex_setting *settings,
                             int64_t count) {
    vindex_transform *transform;
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    params.settings = settings;
    params.setting_count = count;
    ck_ok(vindex_fit("lda", data, &params, &transform));
    return transform;
}

START_TEST(projections_are_those_of_scikit_learn) {
    static const char *const solvers[] = {"eigen", "svd"}, *const priors[] = {"empirical",
                                                                              "uniform"};
    static const double *const projected[] = {lda_empirical_projected, lda_uniform_projected};
    static const double *const explained[] = {lda_empirical_explained, lda_uniform_explained};
    vindex_fit_data data = labelled(CLASS_ROWS);
    for (int s = 0; s < 2; s++)
        for (int p = 0; p < 2; p++) {
            vindex_setting settings[] = {{"solver", solvers[s]}, {"priors", priors[p]}};
            vindex_transform *transform = fit(&data, settings, 2);
            ck_assert_int_eq(vindex_transform_output_dim(transform), CLASSES - 1);
            float *found = data_apply(transform, class_rows, CLASS_ROWS);
            same_columns(found, projected[p], CLASS_ROWS, CLASSES - 1, 1e-4);
            const double *shares = data_fact(transform, 0, "explained", NULL);
            for (int i = 0; i < CLASSES - 1; i++) ck_near(shares[i], explained[p][i], 1e-9);
            free(found);
            vindex_transform_free(transform);
        }
}
END_TEST

/* Squared distances between projected class means are Mahalanobis distances under the shrunk
 * covariance, of which scikit-learn divides by the rows and vindex by its degrees of freedom. */
START_TEST(shrinkage_is_that_of_scikit_learn) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    vindex_setting setting = {"shrinkage", "0.3"};
    vindex_transform *transform = fit(&data, &setting, 1);
    float means[CLASSES * CLASS_DIM];
    ck_ok(vindex_class_means(class_rows, CLASS_ROWS, CLASS_DIM, class_labels, CLASSES, means));
    float *projected = data_apply(transform, means, CLASSES);
    for (int i = 0; i < CLASSES; i++)
        for (int j = 0; j < CLASSES; j++) {
            double sum = 0;
            for (int k = 0; k < CLASSES - 1; k++) {
                double gap = (double)projected[i * (CLASSES - 1) + k] -
                             (double)projected[j * (CLASSES - 1) + k];
                sum += gap * gap;
            }
            double expected = lda_shrunk_distances[i * CLASSES + j];
            ck_near(sum * CLASS_ROWS / (CLASS_ROWS - CLASSES), expected, 1e-5 * (1 + expected));
        }
    free(projected);
    vindex_transform_free(transform);
}
END_TEST

START_TEST(the_share_is_estimated_as_in_scikit_learn) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    vindex_setting setting = {"ledoit-wolf", "true"};
    vindex_transform *transform = fit(&data, &setting, 1);
    ck_near(*data_fact(transform, 0, "shrinkage", NULL), ledoit_wolf[0], 1e-9);
    vindex_transform_free(transform);
}
END_TEST

/* Scatter within classes becomes the identity, whatever the data. */
START_TEST(classes_become_round) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    vindex_transform *transform = fit(&data, NULL, 0);
    float *found = data_apply(transform, class_rows, CLASS_ROWS), means[CLASSES * (CLASSES - 1)];
    enum { OUT = CLASSES - 1 };
    ck_ok(vindex_class_means(found, CLASS_ROWS, OUT, class_labels, CLASSES, means));
    for (int a = 0; a < OUT; a++)
        for (int b = 0; b < OUT; b++) {
            double sum = 0;
            for (int i = 0; i < CLASS_ROWS; i++)
                sum += ((double)found[i * OUT + a] - (double)means[class_labels[i] * OUT + a]) *
                       ((double)found[i * OUT + b] - (double)means[class_labels[i] * OUT + b]);
            ck_near(sum / (CLASS_ROWS - CLASSES), a == b ? 1.0 : 0.0, 1e-4);
        }
    free(found);
    vindex_transform_free(transform);
}
END_TEST

START_TEST(fewer_rows_than_dimensions) {
    enum { N = 12, D = 30 };
    float *rows = data_normal(N, D, 3);
    int32_t labels[N];
    for (int32_t i = 0; i < N; i++) labels[i] = i / 3;
    vindex_fit_data data = data_of(rows, N, D);
    data.labels = labels;
    static const char *const solvers[] = {"auto", "eigen", "svd"};
    float *first = NULL;
    for (int s = 0; s < 3; s++) { /* the rank is 12 rows - 4 classes; all solvers agree on it */
        vindex_setting setting = {"solver", solvers[s]};
        vindex_transform *transform = fit(&data, &setting, 1);
        ck_assert_double_eq(*data_fact(transform, 0, "rank_within", NULL), N - 4);
        float *found = data_apply(transform, rows, N);
        for (int i = 0; first && i < N * 3; i++) ck_near(found[i], first[i], 1e-3);
        if (first)
            free(found);
        else
            first = found;
        vindex_transform_free(transform);
    }
    free(first);
    free(rows);
}
END_TEST

START_TEST(constant_columns_and_singletons) {
    float rows[CLASS_ROWS * (CLASS_DIM + 1)];
    int32_t labels[CLASS_ROWS];
    for (int i = 0; i < CLASS_ROWS; i++) {
        memcpy(rows + i * (CLASS_DIM + 1), class_rows + i * CLASS_DIM, CLASS_DIM * sizeof *rows);
        rows[i * (CLASS_DIM + 1) + CLASS_DIM] = 1e6F;
        labels[i] = class_labels[i];
    }
    labels[0] = 7;
    vindex_fit_data data = data_of(rows, CLASS_ROWS, CLASS_DIM + 1);
    data.labels = labels;
    vindex_transform *transform = fit(&data, NULL, 0);
    ck_assert_double_eq(*data_fact(transform, 0, "rank_within", NULL), CLASS_DIM);
    ck_assert_double_eq(*data_fact(transform, 0, "singleton_classes", NULL), 1);
    vindex_transform_step step;
    ck_ok(vindex_transform_describe(transform, 0, &step));
    for (int64_t o = 0; o < step.out; o++)
        ck_assert_float_eq(step.weights[o * step.in + CLASS_DIM], 0);
    vindex_transform_free(transform);
}
END_TEST

START_TEST(bad_input) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    labelled_bad_input("lda");
    labelled_refuses(VINDEX_ERR_ARGUMENT, "4 dimensions of 4 classes, which have at most 3", "lda",
                     &data, 4, NULL);
    vindex_setting settings[] = {{"shrinkage", "0.5"}, {"ledoit-wolf", "true"}};
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    params.settings = settings;
    params.setting_count = 2;
    vindex_transform *transform = labelled_old();
    ck_fails(VINDEX_ERR_ARGUMENT, "give one", vindex_fit("lda", &data, &params, &transform));
    settings[1] = (vindex_setting){"solver", "svd"};
    ck_fails(VINDEX_ERR_ARGUMENT, "take eigen", vindex_fit("lda", &data, &params, &transform));
    /* Two classes with the same rows: their means cannot be told apart. */
    float rows[8] = {0, 1, 2, 3, 0, 1, 2, 3};
    int32_t labels[4] = {0, 0, 1, 1};
    data = data_of(rows, 4, 2);
    data.labels = labels;
    labelled_refuses(VINDEX_ERR_DATA, "means of all 2 classes are the same", "lda", &data, 0, NULL);
    /* Rows of a class all the same. */
    float points[8] = {0, 1, 0, 1, 5, 3, 5, 3};
    data.rows.vectors = points;
    labelled_refuses(VINDEX_ERR_DATA, "rows of one class are all the same", "lda", &data, 0, NULL);
}
END_TEST

START_TEST(memory_and_threads) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    labelled_out_of_memory("lda", &data);
    labelled_same_bits("lda", &data, class_rows, CLASS_ROWS);
}
END_TEST

TEST_MAIN("transform/lda", projections_are_those_of_scikit_learn, shrinkage_is_that_of_scikit_learn,
          the_share_is_estimated_as_in_scikit_learn, classes_become_round,
          fewer_rows_than_dimensions, constant_columns_and_singletons, bad_input,
          memory_and_threads)
