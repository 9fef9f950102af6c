/* The front door of learning: words, dimensions, settings, data, streaming, cancelling. */
#include "data.h"

enum { ROWS = 50, DIM = 6 };

static vindex_transform *untouched(void) {
    return (vindex_transform *)(uintptr_t)&untouched;
}

/* The call must fail with that status and text, and leave *transform alone. */
static void refuses(vindex_status status, const char *text, const char *methods,
                    const vindex_fit_data *data, const vindex_fit_params *params) {
    vindex_transform *transform = untouched();
    ck_fails(status, text, vindex_fit(methods, data, params, &transform));
    ck_assert_ptr_eq(transform, untouched());
}

START_TEST(words_and_dimensions) {
    float *rows = data_normal(ROWS, DIM, 1);
    vindex_fit_data data = data_of(rows, ROWS, DIM);
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    refuses(VINDEX_ERR_ARGUMENT, "unknown method 'pcb'; known are standardise", "pcb", &data, NULL);
    refuses(VINDEX_ERR_ARGUMENT, "unknown method ''", "pca,", &data, NULL);
    refuses(VINDEX_ERR_ARGUMENT, "pca:0", "pca:0", &data, NULL);
    refuses(VINDEX_ERR_ARGUMENT, "pca:x", "pca:x", &data, NULL);
    refuses(VINDEX_ERR_ARGUMENT, "cannot be chosen", "normalise:3", &data, NULL);
    refuses(VINDEX_ERR_ARGUMENT, "7 components of 50 rows of 6", "pca:7", &data, NULL);
    refuses(VINDEX_ERR_ARGUMENT, "more than 16 methods",
            "centre,centre,centre,centre,centre,centre,centre,centre,centre,centre,centre,centre,"
            "centre,centre,centre,centre,centre",
            &data, NULL);
    params.dim = 2;
    refuses(VINDEX_ERR_ARGUMENT, "no method whose dimension is open", "pca:3,centre", &data,
            &params);
    vindex_transform *transform;
    ck_ok(vindex_fit("pca:4,grp,pca:1,normalise", &data, &params, &transform));
    vindex_transform_step step;
    ck_ok(vindex_transform_describe(transform, 1, &step));
    ck_assert_int_eq(step.out, 2); /* dim went to grp */
    ck_assert_int_eq(vindex_transform_output_dim(transform), 1);
    vindex_transform_free(transform);
    params.dim = -1;
    refuses(VINDEX_ERR_ARGUMENT, "dim is -1", "pca", &data, &params);
    params.dim = 0;
    params.struct_size = 3;
    refuses(VINDEX_ERR_ARGUMENT, "struct_size", "pca", &data, &params);
    refuses(VINDEX_ERR_ARGUMENT, "NULL", NULL, &data, NULL);
    free(rows);
}
END_TEST

START_TEST(settings_find_their_method) {
    float *rows = data_normal(ROWS, DIM, 1);
    vindex_fit_data data = data_of(rows, ROWS, DIM);
    vindex_transform *transform;
    vindex_setting setting = {"pca.solver", "gram"};
    ck_ok(data_fit("standardise,pca", &data, 2, &setting, &transform));
    vindex_transform_free(transform);
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    params.settings = &setting;
    params.setting_count = 1;
    setting.value = "slow";
    refuses(VINDEX_ERR_ARGUMENT, "known are auto, covariance, gram, randomized", "pca", &data,
            &params);
    setting = (vindex_setting){"grp.solver", "gram"};
    refuses(VINDEX_ERR_ARGUMENT, "no parameter 'grp.solver' here; known are pca.whiten", "pca,grp",
            &data, &params);
    setting = (vindex_setting){"rank-tolerance", "2"};
    refuses(VINDEX_ERR_ARGUMENT, "rank-tolerance is '2'", "pca", &data, &params);
    setting = (vindex_setting){"depth", "2"};
    refuses(VINDEX_ERR_ARGUMENT, "known are none", "centre", &data, &params);
    setting.value = NULL;
    refuses(VINDEX_ERR_ARGUMENT, "a setting is NULL", "centre", &data, &params);
    free(rows);
}
END_TEST

START_TEST(methods_are_listed) {
    int64_t count = 0;
    const vindex_method *method;
    while ((method = vindex_method_at(count)) != NULL) {
        ck_assert_ptr_eq(vindex_method_find(method->word), method);
        ck_assert(*method->help);
        ck_assert_uint_lt(strlen(method->word), 24); /* the room in a file */
        count++;
    }
    ck_assert_int_ge(count, 8);
    ck_assert_ptr_null(vindex_method_at(-1));
    ck_assert_ptr_null(vindex_method_find("PCA"));
}
END_TEST

START_TEST(data_are_checked) {
    float *rows = data_normal(ROWS, DIM, 1);
    vindex_fit_data data = data_of(rows, ROWS, DIM);
    refuses(VINDEX_ERR_ARGUMENT, "data is NULL", "centre", NULL, NULL);
    data.rows.count = 0;
    refuses(VINDEX_ERR_DATA, "no rows", "centre", &data, NULL);
    data.rows.count = ROWS;
    data.rows.vectors = NULL;
    refuses(VINDEX_ERR_ARGUMENT, "neither vectors nor read", "centre", &data, NULL);
    data.rows.vectors = rows;
    data.rows.dim = 0;
    refuses(VINDEX_ERR_ARGUMENT, "rows of 0 numbers", "centre", &data, NULL);
    data.rows.dim = DIM;
    data.second = data.rows;
    data.second.count--;
    refuses(VINDEX_ERR_DIMENSION, "second has 49 rows and rows 50", "centre", &data, NULL);
    data.second.count = 0;
    data.validation = data.rows;
    data.validation.dim--;
    refuses(VINDEX_ERR_DIMENSION, "validation rows have 5 numbers and rows 6", "centre", &data,
            NULL);
    data.validation.count = 0;
    int32_t labels[ROWS] = {0};
    labels[7] = -2;
    data.labels = labels;
    refuses(VINDEX_ERR_DATA, "label of row 7 is -2", "centre", &data, NULL);
    data.labels = NULL;
    static const char *const methods[] = {"standardise", "pca", "ica", "pca-whiten"};
    for (size_t m = 0; m < VX_COUNT(methods); m++) {
        rows[3 * DIM + 2] = NAN;
        refuses(VINDEX_ERR_DATA, "row 3 has NaN in dimension 2", methods[m], &data, NULL);
        rows[3 * DIM + 2] = -INFINITY;
        refuses(VINDEX_ERR_DATA, "row 3 has infinity in dimension 2", methods[m], &data, NULL);
        rows[3 * DIM + 2] = 0;
    }
    free(rows);
}
END_TEST

static vindex_status read_nothing(void *context, int64_t first, int64_t count, float *vectors) {
    (void)context, (void)first, (void)count, (void)vectors;
    return vx_fail(VINDEX_ERR_IO, "rows: the tape broke; splice it");
}

/* From memory or a callback, on one thread or three: the same bits. */
START_TEST(streamed_rows_and_threads_give_the_same) {
    enum { MANY = 3000, WIDE = 40 };
    static const char *const methods[] = {
        "standardise", "standardise,pca:7",  "pca",
        "ica:3",       "pca:5,pca-whiten:3", "grp:4,pca:2,normalise"};
    float *rows = data_ranked(MANY, WIDE, 20, 4);
    vindex_fit_data data = data_of(rows, MANY, WIDE), streamed = data;
    streamed.rows = data_streamed(&data.rows);
    for (size_t m = 0; m < VX_COUNT(methods); m++)
        for (int variant = 0; variant < 3; variant++) {
            vindex_fit_params params;
            vindex_fit_params_init(&params);
            params.threads = 1 + variant;
            vindex_transform *first, *second;
            ck_ok(vindex_fit(methods[m], &data, NULL, &first));
            ck_ok(vindex_fit(methods[m], variant ? &streamed : &data, &params, &second));
            float *a = data_apply(first, rows, 100), *b = data_apply(second, rows, 100);
            ck_assert_mem_eq(a, b, 100 * (size_t)vindex_transform_output_dim(first) * sizeof *a);
            vindex_transform_free(first);
            vindex_transform_free(second);
            free(a);
            free(b);
        }
    streamed.rows.read = read_nothing;
    refuses(VINDEX_ERR_IO, "the tape broke", "centre,pca", &streamed, NULL);
    free(rows);
}
END_TEST

typedef struct watch {
    int calls, stop_at;
    double last;
} watch;

static int look(void *context, const char *phase, double fraction) {
    watch *w = context;
    ck_assert(strchr(phase, ':') != NULL); /* "pca: covariance" */
    ck_assert(fraction >= w->last && fraction <= 1);
    w->last = fraction;
    return ++w->calls == w->stop_at;
}

START_TEST(progress_rises_and_can_stop) {
    float *rows = data_normal(400, 20, 1);
    vindex_fit_data data = data_of(rows, 400, 20);
    watch w = {0};
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    params.progress = look;
    params.progress_context = &w;
    vindex_transform *transform;
    ck_ok(vindex_fit("standardise,pca:3,ica:2", &data, &params, &transform));
    vindex_transform_free(transform);
    for (int stop = 1; stop <= w.calls; stop++) {
        watch again = {.stop_at = stop};
        params.progress_context = &again;
        refuses(VINDEX_ERR_CANCELLED, "cancelled", "standardise,pca:3,ica:2", &data, &params);
    }
    free(rows);
}
END_TEST

START_TEST(failing_allocations) {
    enum { MANY = 60, WIDE = 12 };
    static const char *const methods[] = {"standardise,normalise", "pca:3", "pca", "ica:2", "grp:3",
                                          "hadamard,pca-whiten:2"};
    static const char *const solvers[] = {"covariance", "gram", "randomized"};
    float *rows = data_ranked(MANY, WIDE, 5, 2);
    vindex_fit_data data = data_of(rows, MANY, WIDE);
    vindex_rows kept = data.rows;
    data.rows = data_streamed(&kept);
    for (size_t m = 0; m < VX_COUNT(methods) + VX_COUNT(solvers); m++) {
        bool plain = m < VX_COUNT(methods);
        vindex_setting setting = {"solver", plain ? NULL : solvers[m - VX_COUNT(methods)]};
        for (long after = 0;; after++) {
            vindex_transform *transform = untouched();
            vx_alloc_fail_after(after);
            vindex_status status =
                data_fit(plain ? methods[m] : "pca", &data, 0, plain ? NULL : &setting, &transform);
            vx_alloc_fail_after(-1);
            if (status == VINDEX_OK) {
                vindex_transform_free(transform);
                break;
            }
            ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
            ck_assert_ptr_eq(transform, untouched());
        }
    }
    free(rows);
}
END_TEST

TEST_MAIN("transform/fit", words_and_dimensions, settings_find_their_method, methods_are_listed,
          data_are_checked, streamed_rows_and_threads_give_the_same, progress_rises_and_can_stop,
          failing_allocations)
