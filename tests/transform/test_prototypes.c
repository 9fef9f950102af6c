/* Class means. */
#include "labelled.h"

START_TEST(means_of_classes) {
    float means[CLASSES * CLASS_DIM];
    ck_ok(vindex_class_means(class_rows, CLASS_ROWS, CLASS_DIM, class_labels, CLASSES, means));
    for (int c = 0; c < CLASSES; c++)
        for (int j = 0; j < CLASS_DIM; j++) {
            double sum = 0;
            int count = 0;
            for (int i = 0; i < CLASS_ROWS; i++)
                if (class_labels[i] == c) {
                    sum += (double)class_rows[i * CLASS_DIM + j];
                    count++;
                }
            ck_assert_float_eq(means[c * CLASS_DIM + j], (float)(sum / count));
        }
}
END_TEST

static void refuses(vindex_status status, const char *text, const float *rows, int64_t n,
                    const int32_t *labels, int64_t classes) {
    float means[2] = {-5, -5};
    ck_fails(status, text, vindex_class_means(rows, n, 1, labels, classes, means));
    ck_assert(means[0] == -5 && means[1] == -5);
}

START_TEST(bad_input) {
    float rows[4] = {1, 2, 3, 4}, broken[4] = {1, NAN, 3, 4};
    int32_t labels[4] = {0, 1, 1, 0}, beyond[4] = {0, 1, 2, 0}, below[4] = {0, -1, 1, 0},
            empty[4] = {1, 1, 1, 1};
    refuses(VINDEX_ERR_ARGUMENT, "0 rows", rows, 0, labels, 2);
    refuses(VINDEX_ERR_ARGUMENT, "0 classes", rows, 4, labels, 0);
    refuses(VINDEX_ERR_ARGUMENT, "NULL", NULL, 4, labels, 2);
    refuses(VINDEX_ERR_ARGUMENT, "NULL", rows, 4, NULL, 2);
    refuses(VINDEX_ERR_DATA, "label of row 2 is 2; give 0 to 1", rows, 4, beyond, 2);
    refuses(VINDEX_ERR_DATA, "label of row 1 is -1", rows, 4, below, 2);
    refuses(VINDEX_ERR_DATA, "class 0 has no row", rows, 4, empty, 2);
    refuses(VINDEX_ERR_DATA, "row 1 holds NaN", broken, 4, labels, 2);
    for (long after = 0; after < 2; after++) {
        vx_alloc_fail_after(after);
        refuses(VINDEX_ERR_MEMORY, "class means", rows, 4, labels, 2);
        vx_alloc_fail_after(-1);
    }
}
END_TEST

TEST_MAIN("transform/prototypes", means_of_classes, bad_input)
