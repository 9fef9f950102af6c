/* Transforms from ready numbers, chained, multiplied together, applied. */
#include "data.h"

/* y = W (x) + b in double precision. */
static double naive(const float *w, const float *b, const float *x, size_t in, size_t o) {
    double sum = b ? (double)b[o] : 0;
    for (size_t j = 0; j < in; j++) sum += (double)w[o * in + j] * (double)x[j];
    return sum;
}

START_TEST(affine_maps_of_all_shapes) {
    static const size_t shapes[][3] = {{1, 1, 1},   {3, 2, 5},    {513, 33, 14}, {1024, 64, 400},
                                       {7, 100, 3}, {2000, 1, 2}, {1, 70, 500}};
    for (size_t s = 0; s < VX_COUNT(shapes); s++) {
        size_t in = shapes[s][0], out = shapes[s][1], n = shapes[s][2];
        float *w = data_normal(out, in, 1), *b = data_normal(1, out, 2), *x = data_normal(n, in, 3);
        vindex_transform *t;
        ck_ok(vindex_transform_affine("test", (int64_t)in, (int64_t)out, w, s % 2 ? b : NULL, &t));
        float *y = data_apply(t, x, n);
        for (size_t i = 0; i < n; i++)
            for (size_t o = 0; o < out; o++)
                ck_each(fabs((double)y[i * out + o] - naive(w, s % 2 ? b : NULL, x + i * in, in,
                                                            o)) < 1e-6 * (double)(in + 4),
                        "shape %zu: number %zu of row %zu is off", s, o, i);
        vindex_transform_free(t);
        free(w);
        free(b);
        free(x);
        free(y);
    }
}
END_TEST

START_TEST(a_row_alone_is_the_same_as_among_others) {
    enum { IN = 700, OUT = 90, N = 850 };
    float *w = data_normal(OUT, IN, 1), *x = data_normal(N, IN, 3), alone[OUT];
    vindex_transform *t, *more;
    ck_ok(vindex_transform_affine("test", IN, OUT, w, NULL, &t));
    ck_ok(vindex_transform_normalise(OUT, &more));
    ck_ok(vindex_transform_append(t, more));
    float *y = data_apply(t, x, N), *again = malloc(sizeof(float) * N * OUT);
    for (int threads = 1; threads <= 3; threads++) {
        vindex_call call;
        vindex_call_init(&call);
        call.threads = threads;
        ck_ok(vindex_transform_apply(t, x, N, again, &call));
        ck_assert_mem_eq(y, again, sizeof(float) * N * OUT);
    }
    for (size_t i = 0; i < N; i += 13) {
        ck_ok(vindex_transform_apply(t, x + i * IN, 1, alone, NULL));
        ck_assert_mem_eq(alone, y + i * OUT, sizeof alone);
    }
    vindex_transform_free(t);
    vindex_transform_free(more);
    free(w);
    free(x);
    free(y);
    free(again);
}
END_TEST

/* What the methods of a chain make of rows, fitted and applied one by one; to be freed. */
static float *step_by_step(const char *methods, const float *rows, size_t n, size_t dim) {
    char words[64];
    float *now = malloc(sizeof(float) * n * dim);
    memcpy(now, rows, sizeof(float) * n * dim);
    strcpy(words, methods);
    for (char *word = words, *next; word; word = next) {
        next = strchr(word, ',');
        if (next) *next++ = 0;
        vindex_fit_data data = data_of(now, n, dim);
        vindex_transform *step;
        ck_ok(data_fit(word, &data, 0, NULL, &step));
        float *result = data_apply(step, now, n);
        dim = (size_t)vindex_transform_output_dim(step);
        vindex_transform_free(step);
        free(now);
        now = result;
    }
    return now;
}

/* Linear neighbours in every order are multiplied together; the result is the same. */
START_TEST(chains_equal_their_steps) {
    enum { N = 40, DIM = 12 };
    static const char *const chains[] = {"standardise,centre",
                                         "pca:5,standardise",
                                         "standardise,pca:5",
                                         "pca:5,pca:3",
                                         "pca:5,grp:12",
                                         "hadamard,pca:5",
                                         "centre,normalise,standardise",
                                         "standardise,pca:5,centre,grp:3",
                                         "pca-whiten:4,hadamard,standardise"};
    float *x = data_ranked(N, DIM, DIM, 3);
    vindex_fit_data data = data_of(x, N, DIM);
    for (size_t c = 0; c < VX_COUNT(chains); c++) {
        vindex_transform *chain;
        ck_ok(data_fit(chains[c], &data, 0, NULL, &chain));
        float *whole = data_apply(chain, x, N), *steps = step_by_step(chains[c], x, N, DIM);
        size_t count = N * (size_t)vindex_transform_output_dim(chain);
        for (size_t i = 0; i < count; i++)
            ck_each(fabs((double)whole[i] - (double)steps[i]) < 1e-4,
                    "%s: number %zu is %g, not %g", chains[c], i, (double)whole[i],
                    (double)steps[i]);
        free(whole);
        free(steps);
        vindex_transform_free(chain);
    }
    free(x);
}
END_TEST

START_TEST(appended_and_copied) {
    static const float down[2] = {1, 2}, up[2] = {3, -1}, bias[2] = {10, 20};
    const float x[4] = {1, 1, 2, 0};
    float y[4];
    vindex_transform *t, *next, *copy;
    ck_ok(vindex_transform_affine("down", 2, 1, down, NULL, &t));
    ck_ok(vindex_transform_affine("up", 1, 2, up, bias, &next));
    ck_fails(VINDEX_ERR_DIMENSION, "gives 1 numbers and the next takes 2",
             vindex_transform_append(t, t));
    ck_ok(vindex_transform_append(t, next));
    ck_ok(vindex_transform_copy(t, &copy));
    vindex_transform_free(t);
    vindex_transform_free(next);
    ck_assert_int_eq(vindex_transform_step_count(copy), 2);
    ck_assert_int_eq(vindex_transform_input_dim(copy), 2);
    ck_assert_int_eq(vindex_transform_output_dim(copy), 2);
    vindex_transform_step step;
    ck_ok(vindex_transform_describe(copy, 1, &step));
    ck_assert_str_eq(step.method, "up");
    ck_assert_int_eq(step.kind, VINDEX_STEP_AFFINE);
    ck_assert_float_eq(step.weights[1], -1);
    ck_assert_float_eq(step.bias[1], 20);
    ck_fails(VINDEX_ERR_ARGUMENT, "no step 2", vindex_transform_describe(copy, 2, &step));
    ck_ok(vindex_transform_apply(copy, x, 2, y, NULL));
    ck_assert_float_eq(y[0], 19);
    ck_assert_float_eq(y[1], 17);
    ck_assert_float_eq(y[2], 16);
    ck_assert_float_eq(y[3], 18);
    ck_assert_uint_gt(vindex_transform_memory(copy), 40);
    vindex_transform_free(copy);
    vindex_transform_free(NULL);
}
END_TEST

START_TEST(bad_numbers_and_arguments) {
    const float w[2] = {2, NAN}, fine[2] = {1e38f, 1};
    float x[4] = {1, INFINITY, 1, 1}, y[4];
    vindex_transform *t = NULL;
    ck_fails(VINDEX_ERR_DATA, "NaN or infinity",
             vindex_transform_affine("test", 2, 1, w, NULL, &t));
    ck_fails(VINDEX_ERR_ARGUMENT, "0 numbers to 1",
             vindex_transform_affine("test", 0, 1, w, NULL, &t));
    ck_fails(VINDEX_ERR_ARGUMENT, "origin",
             vindex_transform_affine("a name of far too many characters", 2, 1, fine, NULL, &t));
    ck_fails(VINDEX_ERR_ARGUMENT, "2000000 numbers", vindex_transform_normalise(2000000, &t));
    ck_assert_ptr_null(t);
    ck_ok(vindex_transform_affine("test", 2, 1, fine, NULL, &t));
    ck_fails(VINDEX_ERR_DATA, "row 0 has infinity in dimension 1",
             vindex_transform_apply(t, x, 2, y, NULL));
    x[1] = 1;
    x[2] = 1e30f;
    ck_fails(VINDEX_ERR_DATA, "became of row 1", vindex_transform_apply(t, x, 2, y, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "n >= 0", vindex_transform_apply(t, x, -1, y, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "transform is NULL", vindex_transform_apply(NULL, x, 1, y, NULL));
    ck_ok(vindex_transform_apply(t, NULL, 0, NULL, NULL));
    vindex_transform_free(t);
}
END_TEST

START_TEST(failing_allocations) {
    float *x = data_normal(30, 6, 1), y[180], again[180];
    vindex_fit_data data = data_of(x, 30, 6);
    vindex_transform *t, *other = NULL;
    ck_ok(data_fit("standardise,hadamard", &data, 0, NULL, &t));
    ck_ok(vindex_transform_apply(t, x, 30, y, NULL));
    for (long after = 0;; after++) {
        vx_alloc_fail_after(after);
        vindex_status copied = vindex_transform_copy(t, &other);
        vindex_status appended = copied ? VINDEX_OK : vindex_transform_append(other, t);
        vx_alloc_fail_after(-1);
        if (!copied) vindex_transform_free(other);
        if (!copied && !appended) break;
        ck_assert_int_eq(copied ? copied : appended, VINDEX_ERR_MEMORY);
    }
    vx_alloc_fail_after(0);
    ck_fails(VINDEX_ERR_MEMORY, "no memory", vindex_transform_apply(t, x, 30, again, NULL));
    vx_alloc_fail_after(-1);
    ck_ok(vindex_transform_apply(t, x, 30, again, NULL));
    ck_assert_mem_eq(y, again, sizeof y);
    vindex_transform_free(t);
    free(x);
}
END_TEST

TEST_MAIN("transform/chain", affine_maps_of_all_shapes, a_row_alone_is_the_same_as_among_others,
          chains_equal_their_steps, appended_and_copied, bad_numbers_and_arguments,
          failing_allocations)
