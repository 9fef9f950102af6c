/* Within-class whitening against the inverse root of the covariance. */
#include "labelled.h"

START_TEST(weights_are_the_inverse_root) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    vindex_transform *transform;
    vindex_transform_step step;
    ck_ok(vindex_fit("wccn", &data, NULL, &transform));
    ck_ok(vindex_transform_describe(transform, 0, &step));
    ck_assert_int_eq(step.in, CLASS_DIM);
    ck_assert_int_eq(step.out, CLASS_DIM);
    for (int i = 0; i < CLASS_DIM * CLASS_DIM; i++) ck_near(step.weights[i], whitening[i], 1e-5);
    for (int i = 0; i < CLASS_DIM; i++) ck_assert_float_eq(step.bias[i], 0);
    vindex_transform_free(transform);
}
END_TEST

START_TEST(shrinking_all_the_way_leaves_a_scale) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    vindex_setting setting = {"shrinkage", "1"};
    vindex_transform *transform;
    vindex_transform_step step;
    ck_ok(data_fit("wccn", &data, 0, &setting, &transform));
    ck_ok(vindex_transform_describe(transform, 0, &step));
    for (int i = 0; i < CLASS_DIM; i++)
        for (int j = 0; j < CLASS_DIM; j++)
            ck_near(step.weights[i * CLASS_DIM + j], i == j ? step.weights[0] : 0.0F, 1e-6);
    vindex_transform_free(transform);
}
END_TEST

START_TEST(bad_input) {
    labelled_bad_input("wccn");
    vindex_fit_data data = labelled(CLASS_ROWS);
    vindex_setting both = {"shrinkage", "2"};
    labelled_refuses(VINDEX_ERR_ARGUMENT, "shrinkage", "wccn", &data, 0, &both);
    float *rows = data_normal(8, 12, 1);
    int32_t labels[8] = {0, 0, 0, 0, 1, 1, 1, 1};
    data = data_of(rows, 8, 12);
    data.labels = labels;
    labelled_refuses(VINDEX_ERR_DATA, "has rank 6 of 12; set shrinkage", "wccn", &data, 0, NULL);
    vindex_setting help = {"ledoit-wolf", "true"};
    vindex_transform *transform;
    ck_ok(data_fit("wccn", &data, 0, &help, &transform));
    vindex_transform_free(transform);
    free(rows);
}
END_TEST

START_TEST(memory_and_threads) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    labelled_out_of_memory("wccn", &data);
    labelled_same_bits("wccn", &data, class_rows, CLASS_ROWS);
}
END_TEST

TEST_MAIN("transform/wccn", weights_are_the_inverse_root, shrinking_all_the_way_leaves_a_scale,
          bad_input, memory_and_threads)
