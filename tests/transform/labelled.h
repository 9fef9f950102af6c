/* Labelled rows, and jobs for methods that are tested from inside. */
#ifndef TESTS_TRANSFORM_LABELLED_H
#define TESTS_TRANSFORM_LABELLED_H

#include "data.h"
#include "supervised.h"
#include "transform/method.h"

enum { CLASS_ROWS = 45, CLASS_DIM = 5, CLASSES = 4 };

/* The rows of the fixtures, or `count` of their first ones. */
static inline vindex_fit_data labelled(size_t count) {
    vindex_fit_data data = data_of(class_rows, count, CLASS_DIM);
    data.labels = class_labels;
    return data;
}

static inline vx_fit labelled_job(const char *word, size_t dim, int threads) {
    return (vx_fit){.word = word,
                    .rows = {.count = CLASS_ROWS, .dim = CLASS_DIM, .vectors = class_rows},
                    .dim = dim,
                    .labels = class_labels,
                    .classes = CLASSES,
                    .seed = 1,
                    .threads = threads};
}

/* A transform that must stay what it is while fits fail. */
static inline vindex_transform *labelled_old(void) {
    return (vindex_transform *)(uintptr_t)&labelled_old;
}

/* The fit must fail with that status and text, and leave *transform alone. */
static inline void labelled_refuses(vindex_status status, const char *text, const char *methods,
                                    const vindex_fit_data *data, int64_t dim,
                                    const vindex_setting *setting) {
    vindex_transform *transform = labelled_old();
    ck_fails(status, text, data_fit(methods, data, dim, setting, &transform));
    ck_assert_ptr_eq(transform, labelled_old());
}

/* What every method that needs labels refuses. */
static inline void labelled_bad_input(const char *method) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    data.labels = NULL;
    labelled_refuses(VINDEX_ERR_DATA, "learns from labels and none were given", method, &data, 0,
                     NULL);
    int32_t same[CLASS_ROWS] = {0}, apart[CLASS_ROWS];
    for (int32_t i = 0; i < CLASS_ROWS; i++) apart[i] = i;
    data.labels = same;
    labelled_refuses(VINDEX_ERR_DATA, "all 45 rows have one label", method, &data, 0, NULL);
    data.labels = apart;
    labelled_refuses(VINDEX_ERR_DATA, "each of the 45 classes has a single row", method, &data, 0,
                     NULL);
    float rows[CLASS_ROWS * CLASS_DIM];
    memcpy(rows, class_rows, sizeof rows);
    rows[17] = NAN;
    data = labelled(CLASS_ROWS);
    data.rows.vectors = rows;
    labelled_refuses(VINDEX_ERR_DATA, "row 3 has NaN in dimension 2", method, &data, 0, NULL);
}

/* Failing each allocation in turn, a fit says so and leaves the old model. */
static inline void labelled_out_of_memory(const char *methods, const vindex_fit_data *data) {
    vindex_status status = VINDEX_ERR_MEMORY;
    long after = 0;
    for (; status != VINDEX_OK; after++) {
        vindex_transform *transform = labelled_old();
        vx_alloc_fail_after(after);
        status = vindex_fit(methods, data, NULL, &transform);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) {
            vindex_transform_free(transform);
            break;
        }
        ck_each(status == VINDEX_ERR_MEMORY, "%s after %ld: %s", methods, after,
                vindex_last_error());
        ck_each(transform == labelled_old(), "%s after %ld: the model changed", methods, after);
    }
    ck_assert_int_gt(after, 5);
}

/* Rows read piece by piece, and any number of threads, give the same bits. */
static inline void labelled_same_bits(const char *methods, const vindex_fit_data *data,
                                      const float *rows, size_t n) {
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    float *expected = NULL;
    for (int32_t threads = 1; threads <= 5; threads += 2) {
        vindex_fit_data seen = *data;
        vindex_rows behind = data->rows;
        if (threads == 3) seen.rows = data_streamed(&behind);
        params.threads = threads;
        vindex_transform *transform;
        ck_ok(vindex_fit(methods, &seen, &params, &transform));
        float *result = data_apply(transform, rows, n);
        size_t bytes = n * (size_t)vindex_transform_output_dim(transform) * sizeof *result;
        if (expected)
            ck_assert_msg(!memcmp(result, expected, bytes), "%s: %d threads change it", methods,
                          (int)threads);
        else
            expected = result;
        if (result != expected) free(result);
        vindex_transform_free(transform);
    }
    free(expected);
}

#endif
