/* A model and a projected index that earlier versions wrote: they open and answer as they always
 * did, and are written again byte for byte. */
#include "data.h"

#include "../golden/check.h"

/* next (W x + b), in whole numbers: exact. */
static void naive(const float *x, float y[GOLDEN_OUT]) {
    float middle[3];
    for (int i = 0; i < 3; i++) {
        middle[i] = golden_bias[i];
        for (int j = 0; j < GOLDEN_DIM; j++) middle[i] += golden_weights[i][j] * x[j];
    }
    for (int i = 0; i < GOLDEN_OUT; i++) {
        y[i] = 0;
        for (int j = 0; j < 3; j++) y[i] += golden_next[i][j] * middle[j];
    }
}

START_TEST(the_model_applies_as_ever) {
    vindex_transform *t;
    float x[GOLDEN_DIM], expected[GOLDEN_OUT], y[GOLDEN_OUT];
    scratch_make();
    ck_ok(vindex_transform_load(golden_path(golden_model), &t));
    ck_assert_int_eq(vindex_transform_step_count(t), 2);
    for (int row = 0; row < GOLDEN_ROWS; row++) {
        for (int j = 0; j < GOLDEN_DIM; j++) x[j] = golden_number(row, j);
        naive(x, expected);
        ck_ok(vindex_transform_apply(t, x, 1, y, NULL));
        ck_assert_float_eq(y[0], expected[0]);
        ck_assert_float_eq(y[1], expected[1]);
    }
    ck_ok(vindex_transform_save(t, scratch_path("again")));
    golden_again(golden_model);
    vindex_transform_free(t);
    scratch_remove();
}
END_TEST

START_TEST(the_index_answers_as_ever) {
    vindex_index *index;
    float x[GOLDEN_DIM], rows[GOLDEN_ROWS][GOLDEN_OUT], distance;
    int64_t id;
    scratch_make();
    for (int row = 0; row < GOLDEN_ROWS; row++) {
        for (int j = 0; j < GOLDEN_DIM; j++) x[j] = golden_number(row, j);
        naive(x, rows[row]);
    }
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = 1;
    for (uint32_t flags = 0; flags < 4; flags++) {
        ck_ok(vindex_load(golden_path(golden_projected), flags, &index));
        ck_assert_str_eq(vindex_spec(index), "Transform,Flat");
        for (int query = 0; query < GOLDEN_ROWS; query++) {
            float nearest = INFINITY, y[GOLDEN_OUT];
            int64_t best = -1;
            for (int j = 0; j < GOLDEN_DIM; j++) x[j] = golden_number(query, j) + (float)(j == 2);
            naive(x, y);
            for (int row = 0; row < GOLDEN_ROWS; row++) {
                float a = y[0] - rows[row][0], b = y[1] - rows[row][1];
                if (a * a + b * b < nearest) nearest = a * a + b * b, best = row;
            }
            ck_ok(vindex_search(index, x, 1, &params, &id, &distance));
            ck_assert_int_eq(id, best);
            ck_assert_float_eq(distance, nearest);
        }
        ck_ok(vindex_save(index, scratch_path("again"), NULL));
        golden_again(golden_projected);
        vindex_free(index);
    }
    scratch_remove();
}
END_TEST

TEST_MAIN("transform/golden", the_model_applies_as_ever, the_index_answers_as_ever)
