/* Indexes behind a projection: what they answer is what the inner index answers about projected
 * vectors; and how they train, save, load and refuse. */
#include "data.h"

#include "../core/scratch.h"

enum { ROWS = 300, DIM = 40, RANK = 9, QUERIES = 7, K = 12 };

static vindex_index *filled(const char *spec, vindex_metric metric, const float *rows) {
    vindex_index *index;
    ck_ok(vindex_create(spec, DIM, metric, &index));
    if (!vindex_is_trained(index)) ck_ok(vindex_train(index, rows, ROWS, NULL));
    ck_ok(vindex_add(index, rows, ROWS, NULL));
    return index;
}

static void search(const vindex_index *index, const float *queries, int64_t ids[QUERIES * K],
                   float distances[QUERIES * K]) {
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    ck_ok(vindex_search(index, queries, QUERIES, &params, ids, distances));
}

/* The same answers, bit for bit. */
static void check_same(const vindex_index *a, const float *qa, const vindex_index *b,
                       const float *qb) {
    int64_t ids[2][QUERIES * K];
    float distances[2][QUERIES * K];
    search(a, qa, ids[0], distances[0]);
    search(b, qb, ids[1], distances[1]);
    ck_assert_mem_eq(ids[0], ids[1], sizeof ids[0]);
    ck_assert_mem_eq(distances[0], distances[1], sizeof distances[0]);
}

START_TEST(answers_are_those_of_projected_vectors) {
    static const char *const specs[][2] = {
        {"PCA5,Flat", "Flat"},           {"Rank,Flat,Certified", "Flat,Certified"},
        {"GRP20,Flat,f16", "Flat,f16"},  {"Normalise,PCAW4,Flat", "Flat"},
        {"Standardise,Flat", "Flat"},    {"Centre,Hadamard,Flat", "Flat"},
        {"ICA3,Normalise,Flat", "Flat"},
    };
    float *rows = data_ranked(ROWS, DIM, RANK, 3);
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++)
        for (int m = VINDEX_L2; m <= VINDEX_COSINE; m++) {
            vindex_index *index = filled(specs[s][0], (vindex_metric)m, rows), *plain, *loaded;
            const vindex_transform *t = vindex_index_transform(index);
            float *projected = data_apply(t, rows, ROWS);
            ck_ok(vindex_create(specs[s][1], vindex_transform_output_dim(t), (vindex_metric)m,
                                &plain));
            ck_ok(vindex_add(plain, projected, ROWS, NULL));
            check_same(index, rows, plain, projected);
            ck_assert_str_eq(vindex_spec(index), specs[s][0]);
            ck_assert_int_eq(vindex_dim(index), DIM);
            ck_assert_int_eq(vindex_count(index), ROWS);
            ck_assert(!(vindex_capabilities(index) & (VINDEX_IS_EXACT | VINDEX_CAN_WEIGHT)));
            ck_assert(vindex_capabilities(index) & VINDEX_CAN_FILTER);
            ck_ok(vindex_save(index, scratch_path("index"), NULL));
            for (uint32_t flags = 0; flags < 4; flags++) {
                ck_ok(vindex_load(scratch_path("index"), flags, &loaded));
                check_same(index, rows, loaded, rows);
                ck_assert_str_eq(vindex_spec(loaded), specs[s][0]);
                ck_assert_uint_eq(vindex_capabilities(loaded), vindex_capabilities(index));
                ck_ok(vindex_verify(loaded, NULL));
                ck_ok(vindex_add(loaded, rows, 3, NULL)); /* it goes on from where it was */
                ck_assert_int_eq(vindex_count(loaded), ROWS + 3);
                vindex_free(loaded);
            }
            free(projected);
            vindex_free(index);
            vindex_free(plain);
        }
    free(rows);
    scratch_remove();
}
END_TEST

/* Rank keeps what the metric compares: ids and order are those of the vectors themselves. */
START_TEST(rank_answers_as_the_vectors_do) {
    float *rows = data_ranked(ROWS, DIM, RANK, 3);
    for (int m = VINDEX_L2; m <= VINDEX_COSINE; m++) {
        vindex_index *ranked = filled("Rank,Flat", (vindex_metric)m, rows);
        vindex_index *plain = filled("Flat", (vindex_metric)m, rows);
        int64_t ids[2][QUERIES * K];
        float distances[2][QUERIES * K];
        search(ranked, rows, ids[0], distances[0]);
        search(plain, rows, ids[1], distances[1]);
        ck_assert_mem_eq(ids[0], ids[1], sizeof ids[0]);
        for (size_t i = 0; i < (size_t)QUERIES * K; i++)
            ck_near((double)distances[0][i], (double)distances[1][i],
                    1e-5 * fabs((double)distances[1][i]) + 1e-3);
        ck_assert_int_le(vindex_transform_output_dim(vindex_index_transform(ranked)), RANK + 1);
        vindex_free(ranked);
        vindex_free(plain);
    }
    vindex_index *index = NULL;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "not Pearson",
             vindex_create("Rank,Flat", DIM, VINDEX_PEARSON, &index));
    free(rows);
}
END_TEST

START_TEST(verbs_pass_through) {
    float *rows = data_ranked(ROWS, DIM, RANK, 3), vector[DIM];
    vindex_index *index = filled("PCA4,Flat", VINDEX_L2, rows);
    vindex_search_params params;
    vindex_search_params_init(&params);
    uint64_t bits[5] = {1u << 6};
    vindex_filter filter = {.bits = bits, .bit_count = 300};
    params.k = 2;
    params.filter = &filter;
    int64_t ids[2], removed;
    ck_ok(vindex_search(index, rows, 1, &params, ids, NULL));
    ck_assert_int_eq(ids[0], 6);
    ck_assert_int_eq(ids[1], -1);
    vindex_range_result result;
    ck_ok(vindex_range_search(index, rows, 2, 1e-6f, NULL, &result));
    ck_assert_int_eq(result.ids[result.offsets[1]], 1);
    vindex_range_result_free(&result);
    ck_ok(vindex_remove(index, (const int64_t[]){0, 5}, 2, &removed));
    ck_assert_int_eq(removed, 2);
    ck_ok(vindex_compact(index, NULL));
    ck_assert_int_eq(vindex_count(index), ROWS - 2);
    ck_ok(vindex_add_with_ids(index, rows, 1, (const int64_t[]){1000}, NULL));
    ck_ok(vindex_search(index, rows, 1, NULL, (int64_t[10]){0}, NULL));
    float weights[DIM] = {1};
    params.filter = NULL;
    params.weights = weights;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "subspace", vindex_search(index, rows, 1, &params, ids, NULL));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "cannot be undone", vindex_reconstruct(index, ids, 1, vector));
    ck_assert_uint_gt(vindex_memory(index), ROWS * 4 * sizeof(float));
    vindex_free(index);
    index = filled("Standardise,Hadamard,Flat", VINDEX_L2, rows);
    ck_assert(vindex_capabilities(index) & VINDEX_CAN_RECONSTRUCT);
    for (int64_t id = 0; id < 3; id++) {
        ck_ok(vindex_reconstruct(index, &id, 1, vector));
        for (int j = 0; j < DIM; j++) ck_near((double)vector[j], (double)rows[id * DIM + j], 1e-4);
    }
    vindex_free(index);
    free(rows);
}
END_TEST

START_TEST(training_comes_first) {
    float *rows = data_ranked(ROWS, DIM, RANK, 3);
    vindex_index *index;
    int64_t id = 0;
    vindex_rows memory = {.count = ROWS, .dim = DIM, .vectors = rows};
    vindex_rows streamed = data_streamed(&memory);
    ck_ok(vindex_create("Rank,Flat", DIM, VINDEX_L2, &index));
    ck_assert(!vindex_is_trained(index));
    ck_assert_int_eq(vindex_count(index), 0);
    ck_assert_ptr_null(vindex_index_transform(index));
    ck_fails(VINDEX_ERR_STATE, "not trained", vindex_add(index, rows, 1, NULL));
    ck_fails(VINDEX_ERR_STATE, "not trained", vindex_search(index, rows, 1, NULL, &id, NULL));
    ck_fails(VINDEX_ERR_STATE, "not trained", vindex_save(index, "never", NULL));
    ck_fails(VINDEX_ERR_DATA, "no rows", vindex_train(index, rows, 0, NULL));
    streamed.dim--;
    ck_fails(VINDEX_ERR_DIMENSION, "39 numbers", vindex_train_rows(index, &streamed, NULL));
    streamed.dim++;
    ck_assert(!vindex_is_trained(index));
    for (long after = 0;; after++) { /* failing leaves it untrained */
        vx_alloc_fail_after(after);
        vindex_status status = vindex_train_rows(index, &streamed, NULL);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) break;
        ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
        ck_assert(!vindex_is_trained(index));
    }
    ck_assert(vindex_is_trained(index));
    ck_ok(vindex_train(index, rows, ROWS / 2, NULL)); /* again, while it is empty */
    for (long after = 0;; after++) {
        vx_alloc_fail_after(after);
        vindex_status status = vindex_add(index, rows, ROWS, NULL);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) break;
        ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
        ck_assert_int_eq(vindex_count(index), 0);
    }
    ck_fails(VINDEX_ERR_STATE, "holds 300 vectors", vindex_train(index, rows, ROWS, NULL));
    vindex_free(index);
    free(rows);
}
END_TEST

START_TEST(a_transform_that_is_given) {
    float *rows = data_ranked(ROWS, DIM, RANK, 3);
    vindex_fit_data data = data_of(rows, ROWS, DIM);
    vindex_transform *t;
    vindex_index *index = NULL, *plain, *loaded;
    scratch_make();
    ck_ok(data_fit("standardise,pca:6", &data, 0, NULL, &t));
    ck_fails(VINDEX_ERR_ARGUMENT, "unknown word 'Flot'",
             vindex_index_with_transform(t, "Flot", VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "beside other projections",
             vindex_index_with_transform(t, "PCA2,Flat", VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "unknown metric",
             vindex_index_with_transform(t, "Flat", (vindex_metric)9, &index));
    ck_ok(vindex_index_with_transform(t, "Flat", VINDEX_COSINE, &index));
    ck_ok(vindex_create("Flat", 6, VINDEX_COSINE, &plain));
    float *projected = data_apply(t, rows, ROWS);
    vindex_transform_free(t);
    ck_ok(vindex_add(index, rows, ROWS, NULL));
    ck_ok(vindex_add(plain, projected, ROWS, NULL));
    check_same(index, rows, plain, projected);
    ck_ok(vindex_save(index, scratch_path("index"), NULL));
    ck_ok(vindex_load(scratch_path("index"), VINDEX_LOAD_MAP, &loaded));
    ck_assert_str_eq(vindex_spec(loaded), "Transform,Flat");
    check_same(loaded, rows, plain, projected);
    vindex_free(loaded);
    vindex_free(index);
    vindex_free(plain);
    free(projected);
    free(rows);
    scratch_remove();
}
END_TEST

START_TEST(factory_words) {
    static const struct {
        const char *spec, *text;
    } bad[] = {
        {"PCA", "unknown word 'PCA'"},
        {"PCA0,Flat", "unknown word 'PCA0'"},
        {"PCA9999999999,Flat", "unknown word"},
        {"PCA41,Flat", "PCA41 of vectors of 40"},
        {"GRP8,PCA9,Flat", "PCA9 of vectors of 8"},
        {"Rank", "names no index"},
        {"PCA4,", "unknown word ''"},
        {"PCA4,Flat,f13", "unknown word 'f13'"},
        {"Rank7,Flat", "unknown word 'Rank7'"},
        {"Transform,Flat", "vindex_index_with_transform"},
        {"Flat,PCA4", "unknown word 'PCA4' after Flat"},
    };
    vindex_index *index = NULL;
    for (size_t i = 0; i < VX_COUNT(bad); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, bad[i].text,
                 vindex_create(bad[i].spec, DIM, VINDEX_L2, &index));
    ck_assert_ptr_null(index);
    size_t flat, behind;
    ck_ok(vindex_memory_estimate("Flat", 10, 1000, &flat));
    ck_ok(vindex_memory_estimate("PCA10,Flat", DIM, 1000, &behind));
    ck_assert_uint_ge(behind, flat + DIM * 10 * sizeof(float));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "known after training",
             vindex_memory_estimate("Rank,Flat", DIM, 1000, &behind));
}
END_TEST

/* Numbers that leave float32 on their way are refused, and the index stays as it was. */
START_TEST(beyond_float32) {
    static const float double_it[1] = {2};
    float rows[2] = {1, 3e38f};
    vindex_transform *t;
    vindex_index *index;
    ck_ok(vindex_transform_affine("double", 1, 1, double_it, NULL, &t));
    ck_ok(vindex_index_with_transform(t, "Flat", VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_DATA, "vector 1 are too large", vindex_add(index, rows, 2, NULL));
    ck_assert_int_eq(vindex_count(index), 0);
    ck_fails(VINDEX_ERR_DATA, "too large",
             vindex_search(index, rows + 1, 1, NULL, (int64_t[10]){0}, NULL));
    vindex_transform_free(t);
    vindex_free(index);
}
END_TEST

TEST_MAIN("transform/projected", answers_are_those_of_projected_vectors,
          rank_answers_as_the_vectors_do, verbs_pass_through, training_comes_first,
          a_transform_that_is_given, factory_words, beyond_float32)
