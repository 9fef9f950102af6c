/* The rotation of optimised product quantization against a derivation in NumPy. */
#include "data.h"
#include "opq.h"
#include "pq/pq.h"

/* Mean squared distance of rows to their codes, from words learnt for them. */
static double loss_of(const float *rows, size_t n, size_t dim, size_t parts) {
    vx_pq_shape shape = {dim, parts, 4};
    vx_pq_training training = {
        .points = rows, .count = n, .seed = 1, .iterations = 25, .threads = 1};
    vx_pq *pq;
    double loss = 0, told;
    float *decoded = malloc(dim * sizeof *decoded);
    ck_ok(vx_pq_create(&shape, &pq));
    ck_ok(vx_pq_train(pq, &training, &told));
    for (size_t i = 0; i < n; i++) {
        unsigned char codes[64];
        vx_pq_view view = {.vector = rows + i * dim, .scale = 1};
        vx_pq_encode(pq, &view, codes);
        vx_pq_decode(pq, codes, decoded);
        for (size_t j = 0; j < dim; j++)
            loss += pow((double)rows[i * dim + j] - (double)decoded[j], 2);
    }
    loss /= (double)n;
    ck_assert_double_le(loss, told * (1 + 1e-6)); /* told before the points chose anew */
    vx_pq_free(pq);
    free(decoded);
    return loss;
}

static vindex_status fit_opq(int64_t dim, const char *parts, vindex_transform **t) {
    vindex_fit_data data = data_of(opq_rows, OPQ_ROWS, OPQ_DIM);
    return data_fit("opq", &data, dim, &(vindex_setting){"parts", parts}, t);
}

START_TEST(loses_as_little_as_by_numpy) {
    vindex_transform *t;
    int64_t count;
    double plain = loss_of(opq_rows, OPQ_ROWS, OPQ_DIM, OPQ_PARTS);
    ck_assert_double_le(plain, plain_losses[1] * 1.05);
    ck_assert_double_ge(plain, plain_losses[0] * 0.95);
    ck_ok(fit_opq(0, "4", &t));
    float *turned = data_apply(t, opq_rows, OPQ_ROWS);
    double loss = loss_of(turned, OPQ_ROWS, OPQ_DIM, OPQ_PARTS);
    ck_assert_double_le(loss, plain);
    ck_assert_double_le(loss, opq_losses[1] * 1.05);
    ck_assert_double_ge(loss, opq_losses[0] * 0.9);
    const double *losses = data_fact(t, 0, "loss", &count);
    ck_assert_int_eq(count, 51);
    for (int64_t i = 1; i < count; i++) ck_assert_double_le(losses[i], losses[i - 1] * (1 + 1e-6));
    free(turned);
    vindex_transform_free(t);
}
END_TEST

static const vindex_setting few_iterations = {"iterations", "6"};

START_TEST(it_is_a_rotation) {
    for (int64_t dim = OPQ_DIM; dim >= 8; dim -= 8) {
        vindex_transform *t;
        vindex_transform_step step;
        vindex_fit_data data = data_of(opq_rows, OPQ_ROWS, OPQ_DIM);
        ck_ok(data_fit("opq", &data, dim, &few_iterations, &t));
        ck_ok(vindex_transform_describe(t, 0, &step));
        for (int64_t a = 0; a < dim; a++)
            for (int64_t b = 0; b <= a; b++) {
                double sum = 0;
                for (int64_t j = 0; j < OPQ_DIM; j++)
                    sum += (double)step.weights[a * OPQ_DIM + j] *
                           (double)step.weights[b * OPQ_DIM + j];
                ck_near(sum, a == b, 1e-5);
            }
        vindex_transform_free(t);
    }
}
END_TEST

START_TEST(threads_change_nothing) {
    float *all[2];
    for (int32_t threads = 1; threads <= 2; threads++) {
        vindex_fit_data data = data_of(opq_rows, OPQ_ROWS, OPQ_DIM);
        vindex_fit_params params;
        vindex_transform *t;
        vindex_fit_params_init(&params);
        params.threads = threads;
        params.settings = &few_iterations;
        params.setting_count = 1;
        ck_ok(vindex_fit("opq", &data, &params, &t));
        all[threads - 1] = data_apply(t, opq_rows, OPQ_ROWS);
        vindex_transform_free(t);
    }
    ck_assert_mem_eq(all[0], all[1], sizeof opq_rows);
    free(all[0]);
    free(all[1]);
}
END_TEST

START_TEST(what_cannot_be_is_refused) {
    vindex_transform *t = NULL;
    vindex_fit_data few = data_of(opq_rows, 15, OPQ_DIM);
    ck_fails(VINDEX_ERR_ARGUMENT, "numbers of parts that fit: 1, 2, 4, 8, 16", fit_opq(0, "5", &t));
    ck_fails(VINDEX_ERR_ARGUMENT, "ask for at most as many", fit_opq(20, "4", &t));
    ck_fails(VINDEX_ERR_DATA, "15 rows to learn 16 codewords",
             data_fit("opq", &few, 0, &(vindex_setting){"parts", "4"}, &t));
}
END_TEST

/* In front of an index: what comes back is turned back. */
START_TEST(an_index_behind_it_gives_vectors_back) {
    vindex_index *index, *plain;
    const int64_t ids[] = {0, 1, 2};
    float back[3 * OPQ_DIM];
    ck_ok(vindex_create("OPQ4,PQ4x4", OPQ_DIM, VINDEX_L2, &index));
    ck_assert_str_eq(vindex_spec(index), "OPQ4,PQ4x4");
    ck_ok(vindex_train(index, opq_rows, OPQ_ROWS, NULL));
    ck_ok(vindex_add(index, opq_rows, OPQ_ROWS, NULL));
    ck_ok(vindex_create("PQ4x4", OPQ_DIM, VINDEX_L2, &plain));
    ck_ok(vindex_train(plain, opq_rows, OPQ_ROWS, NULL));
    ck_ok(vindex_add(plain, opq_rows, OPQ_ROWS, NULL));
    double losses[2] = {0};
    for (int64_t i = 0; i + 3 <= OPQ_ROWS; i += 3) {
        const int64_t some[] = {i + ids[0], i + ids[1], i + ids[2]};
        ck_ok(vindex_reconstruct(index, some, 3, back));
        for (int j = 0; j < 3 * OPQ_DIM; j++)
            losses[0] += pow((double)back[j] - (double)opq_rows[i * OPQ_DIM + j], 2);
        ck_ok(vindex_reconstruct(plain, some, 3, back));
        for (int j = 0; j < 3 * OPQ_DIM; j++)
            losses[1] += pow((double)back[j] - (double)opq_rows[i * OPQ_DIM + j], 2);
    }
    ck_assert_double_lt(losses[0], losses[1]);
    vindex_free(index);
    vindex_free(plain);
    ck_ok(vindex_create("OPQ4_8,IVF3,PQ4x8", OPQ_DIM, VINDEX_L2, &index));
    ck_ok(vindex_train(index, opq_rows, OPQ_ROWS, NULL));
    ck_assert_double_eq(*data_fact(vindex_index_transform(index), 0, "bits", NULL), 8);
    vindex_free(index);
    ck_fails(VINDEX_ERR_ARGUMENT, "", vindex_create("OPQ,PQ4", OPQ_DIM, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "", vindex_create("OPQ4_,PQ4", OPQ_DIM, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "", vindex_create("OPQ4_99,PQ4", OPQ_DIM, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "parts that fit",
             vindex_create("OPQ5,PQ4x4", OPQ_DIM, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "parts that fit",
             vindex_create("OPQ3_8,PQ4x4", OPQ_DIM, VINDEX_L2, &index));
}
END_TEST

TEST_MAIN("transform/opq", loses_as_little_as_by_numpy, it_is_a_rotation, threads_change_nothing,
          what_cannot_be_is_refused, an_index_behind_it_gives_vectors_back)
