/* The front door: what is refused, with which sentence, and what an empty index answers. */
#include <math.h>
#include <string.h>

#include <vindex/vindex.h>

#include "../harness.h"
#include "scratch.h"

enum { DIM = 4 };

static const float vectors[3 * DIM] = {1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0};

static vindex_index *make(vindex_metric metric) {
    vindex_index *index;
    ck_ok(vindex_create("Flat", DIM, metric, &index));
    ck_ok(vindex_add(index, vectors, 3, NULL));
    return index;
}

START_TEST(creating_checks_everything) {
    vindex_index *index;
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_create(NULL, 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_create("Flat", 4, VINDEX_L2, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "dim is 0", vindex_create("Flat", 0, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "dim is -1", vindex_create("Flat", -1, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "1 to 1048576",
             vindex_create("Flat", (1 << 20) + 1, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "unknown metric 4",
             vindex_create("Flat", 4, (vindex_metric)4, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "unknown word 'flat'",
             vindex_create("flat", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "Flat[,f32|f16|bf16]",
             vindex_create("NSG32", 4, VINDEX_L2, &index));
    /* All kinds are named, to the last. */
    ck_fails(VINDEX_ERR_ARGUMENT, "RaBitQ", vindex_create("NSG32", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "Refine", vindex_create("NSG32", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "Centre Normalise Hadamard)",
             vindex_create("NSG32", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "unknown word ''", vindex_create("", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "'f64'", vindex_create("Flat,f64", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "''", vindex_create("Flat,", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "'more'", vindex_create("Flat,f16,more", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "words",
             vindex_create("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", 4, VINDEX_L2, &index));
    char longest[300] = "Flat,";
    memset(longest + 5, 'x', sizeof longest - 6);
    ck_fails(VINDEX_ERR_ARGUMENT, "299 characters", vindex_create(longest, 4, VINDEX_L2, &index));
    ck_ok(vindex_create("Flat", 1 << 20, VINDEX_L2, &index));
    vindex_free(index);
}
END_TEST

START_TEST(factory_strings_have_one_form) {
    static const char *const forms[][2] = {{"Flat", "Flat"},
                                           {"Flat,f32", "Flat"},
                                           {"Flat,f16", "Flat,f16"},
                                           {"Flat,bf16", "Flat,bf16"}};
    for (size_t i = 0; i < 4; i++) {
        vindex_index *index;
        ck_ok(vindex_create(forms[i][0], 7, VINDEX_PEARSON, &index));
        ck_assert_str_eq(vindex_spec(index), forms[i][1]);
        ck_assert_int_eq(vindex_dim(index), 7);
        ck_assert_int_eq(vindex_metric_of(index), VINDEX_PEARSON);
        ck_assert_int_eq(vindex_count(index), 0);
        ck_assert(vindex_is_trained(index));
        ck_assert(vindex_capabilities(index) & VINDEX_IS_EXACT);
        vindex_free(index);
    }
    vindex_free(NULL);
    vindex_range_result_free(NULL);
}
END_TEST

START_TEST(flat_parameters_are_checked) {
    vindex_flat_params params;
    vindex_index *index;
    vindex_flat_params_init(&params);
    params.dim = 5;
    params.dtype = VINDEX_BF16;
    ck_ok(vindex_flat_create(&params, &index));
    ck_assert_str_eq(vindex_spec(index), "Flat,bf16");
    vindex_free(index);
    params.dtype = VINDEX_I8;
    ck_fails(VINDEX_ERR_ARGUMENT, "dtype", vindex_flat_create(&params, &index));
    params.dtype = VINDEX_F32;
    params.dim = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "dim", vindex_flat_create(&params, &index));
    params.struct_size = 3;
    ck_fails(VINDEX_ERR_ARGUMENT, "struct_size", vindex_flat_create(&params, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_flat_create(NULL, &index));
}
END_TEST

START_TEST(adding_checks_everything) {
    vindex_index *index = make(VINDEX_L2);
    vindex_call call;
    const int64_t ids[] = {10, 11, 12};
    float bad[2 * DIM] = {0, 1, 2, 3, 4, 5, INFINITY, 7};
    ck_fails(VINDEX_ERR_ARGUMENT, "index is NULL", vindex_add(NULL, vectors, 1, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "-1 vectors", vindex_add(index, vectors, -1, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_add(index, NULL, 1, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "fit no memory", vindex_add(index, vectors, INT64_MAX, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "ids is NULL",
             vindex_add_with_ids(index, vectors, 1, NULL, NULL));
    ck_fails(VINDEX_ERR_DATA, "add: vector 1 has infinity in dimension 2",
             vindex_add(index, bad, 2, NULL));
    ck_fails(VINDEX_ERR_DATA, "train: vector 1 has infinity in dimension 2",
             vindex_train(index, bad, 2, NULL));
    vindex_call_init(&call);
    call.threads = -1;
    ck_fails(VINDEX_ERR_ARGUMENT, "threads is -1", vindex_add(index, vectors, 1, &call));
    call.struct_size = 1;
    ck_fails(VINDEX_ERR_ARGUMENT, "struct_size is 1",
             vindex_add_with_ids(index, vectors, 3, ids, &call));
    ck_ok(vindex_add(index, NULL, 0, NULL));
    ck_ok(vindex_add_with_ids(index, NULL, 0, NULL, NULL));
    ck_ok(vindex_train(index, vectors, 3, NULL));
    ck_assert_int_eq(vindex_count(index), 3);
    vindex_free(index);
}
END_TEST

START_TEST(searching_checks_everything) {
    vindex_index *index = make(VINDEX_COSINE);
    vindex_search_params params;
    int64_t ids[30];
    const float bad[DIM] = {0, NAN, 0, 0};
    vindex_search_params_init(&params);
    ck_assert_int_eq(params.k, 10);
    ck_fails(VINDEX_ERR_ARGUMENT, "index is NULL",
             vindex_search(NULL, vectors, 1, NULL, ids, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "-2 vectors", vindex_search(index, vectors, -2, NULL, ids, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_search(index, NULL, 1, NULL, ids, NULL));
    ck_fails(VINDEX_ERR_DATA, "vector 0 has NaN in dimension 1",
             vindex_search(index, bad, 1, NULL, ids, NULL));
    params.k = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "k is 0", vindex_search(index, vectors, 1, &params, ids, NULL));
    params.k = (int64_t)INT32_MAX + 1;
    ck_fails(VINDEX_ERR_ARGUMENT, "k is 2147483648",
             vindex_search(index, vectors, 1, &params, ids, NULL));
    params.k = 1;
    params.threads = -1;
    ck_fails(VINDEX_ERR_ARGUMENT, "threads is -1",
             vindex_search(index, vectors, 1, &params, ids, NULL));
    params.threads = 0;
    params.struct_size--;
    ck_fails(VINDEX_ERR_ARGUMENT, "struct_size",
             vindex_search(index, vectors, 1, &params, ids, NULL));
    vindex_free(index);
}
END_TEST

static bool allow_all(void *context, int64_t id) {
    (void)context;
    return id >= 0;
}

START_TEST(weights_and_filters_are_checked) {
    vindex_index *index = make(VINDEX_L2);
    vindex_search_params params;
    uint64_t bits[1] = {7};
    float weights[2 * DIM] = {1, 1, 1, 1, 1, 1, 1, 1};
    int64_t ids[30];
    vindex_search_params_init(&params);
    params.weights = weights;
    params.weight_rows = -1;
    ck_fails(VINDEX_ERR_ARGUMENT, "weight_rows is -1 for 1",
             vindex_search(index, vectors, 1, &params, ids, NULL));
    params.weight_rows = 2;
    ck_fails(VINDEX_ERR_ARGUMENT, "weight_rows is 2 for 3",
             vindex_search(index, vectors, 3, &params, ids, NULL));
    weights[DIM + 1] = -1;
    ck_fails(VINDEX_ERR_DATA, "weight 1 of row 1 is -1",
             vindex_search(index, vectors, 2, &params, ids, NULL));
    weights[DIM + 1] = NAN;
    ck_fails(VINDEX_ERR_DATA, "nan", vindex_search(index, vectors, 2, &params, ids, NULL));
    weights[DIM + 1] = INFINITY;
    ck_fails(VINDEX_ERR_DATA, "inf", vindex_search(index, vectors, 2, &params, ids, NULL));
    params.weights = NULL;
    vindex_filter filter = {.bits = bits, .bit_count = 3, .allow = allow_all};
    params.filter = &filter;
    ck_fails(VINDEX_ERR_ARGUMENT, "bitset and a callback",
             vindex_search(index, vectors, 1, &params, ids, NULL));
    filter = (vindex_filter){.bits = bits, .bit_count = -1};
    ck_fails(VINDEX_ERR_ARGUMENT, "bit_count is -1",
             vindex_search(index, vectors, 1, &params, ids, NULL));
    filter = (vindex_filter){0}; /* allows all */
    ck_ok(vindex_search(index, vectors, 1, &params, ids, NULL));
    ck_assert_int_eq(ids[0], 0);
    vindex_free(index);
}
END_TEST

START_TEST(outputs_may_be_left_out) {
    vindex_index *index = make(VINDEX_L2);
    int64_t ids[10];
    float distances[10];
    ck_ok(vindex_search(index, vectors, 1, NULL, NULL, NULL));
    ck_ok(vindex_search(index, vectors, 1, NULL, ids, NULL));
    ck_ok(vindex_search(index, vectors, 1, NULL, NULL, distances));
    ck_ok(vindex_search(index, NULL, 0, NULL, NULL, NULL));
    ck_assert_int_eq(ids[0], 0);
    ck_assert_int_eq(ids[3], -1);
    ck_assert_float_eq(distances[0], 0);
    ck_assert_float_eq(distances[1], 5);
    ck_assert_float_infinite(distances[3]);
    vindex_free(index);
}
END_TEST

/* One query of (1, 2, 0, 0) against the three vectors. */
START_TEST(answers_are_shown_as_their_metric_says) {
    static const float query[DIM] = {1, 2, 0, 0};
    static const struct {
        vindex_metric metric;
        int64_t ids[3];
        float shown[4];
    } answers[] = {{VINDEX_L2, {1, 0, 2}, {1, 4, 14, INFINITY}},
                   {VINDEX_INNER_PRODUCT, {1, 0, 2}, {4, 1, 0, -INFINITY}},
                   {VINDEX_COSINE, {1, 0, 2}, {0.894427191f, 0.4472135955f, 0, -INFINITY}}};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        vindex_index *index = make(answers[i].metric);
        int64_t ids[10];
        float shown[10];
        ck_ok(vindex_search(index, query, 1, NULL, ids, shown));
        ck_assert_mem_eq(ids, answers[i].ids, sizeof answers[i].ids);
        for (size_t j = 0; j < 4; j++) ck_assert_float_eq(shown[j], answers[i].shown[j]);
        ck_assert(!signbit(shown[2])); /* a similarity of 0 is not shown as -0 */
        vindex_free(index);
    }
}
END_TEST

START_TEST(the_other_verbs_check_their_arguments) {
    vindex_index *index = make(VINDEX_L2);
    vindex_range_result result;
    const int64_t ids[] = {2, 77, 0};
    int64_t removed;
    size_t bytes;
    float out[3 * DIM];
    ck_fails(VINDEX_ERR_ARGUMENT, "radius is NaN",
             vindex_range_search(index, vectors, 1, NAN, NULL, &result));
    ck_fails(VINDEX_ERR_ARGUMENT, "result is NULL",
             vindex_range_search(index, vectors, 1, 1, NULL, NULL));
    ck_ok(vindex_range_search(index, NULL, 0, 1, NULL, &result));
    ck_assert_int_eq(result.offsets[0], 0);
    vindex_range_result_free(&result);
    ck_assert_ptr_null(result.ids);
    vindex_range_result_free(&result); /* once more does no harm */
    ck_fails(VINDEX_ERR_NOT_FOUND, "id 77", vindex_reconstruct(index, ids, 3, out));
    ck_fails(VINDEX_ERR_ARGUMENT, "vectors is NULL", vindex_reconstruct(index, ids, 1, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_reconstruct(index, NULL, 1, out));
    ck_ok(vindex_reconstruct(index, NULL, 0, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "-1 ids", vindex_remove(index, ids, -1, &removed));
    ck_fails(VINDEX_ERR_ARGUMENT, "index is NULL", vindex_remove(NULL, ids, 1, &removed));
    ck_fails(VINDEX_ERR_ARGUMENT, "index is NULL", vindex_compact(NULL, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "index is NULL", vindex_save(NULL, "x", NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "path is NULL", vindex_save(index, NULL, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "index is NULL", vindex_verify(NULL, NULL));
    ck_ok(vindex_verify(index, NULL)); /* nothing to check in one never loaded */
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_memory_estimate(NULL, 4, 1, &bytes));
    ck_fails(VINDEX_ERR_ARGUMENT, "n is -1", vindex_memory_estimate("Flat", 4, -1, &bytes));
    ck_fails(VINDEX_ERR_ARGUMENT, "dim is 0", vindex_memory_estimate("Flat", 0, 1, &bytes));
    ck_fails(VINDEX_ERR_MEMORY, "address space",
             vindex_memory_estimate("Flat", 1 << 20, INT64_MAX, &bytes));
    vindex_free(index);
}
END_TEST

START_TEST(the_parts_of_a_file_are_listed) {
    vindex_index *index = make(VINDEX_L2);
    vindex_file_section sections[8];
    int64_t count, id = 1;
    scratch_make();
    ck_ok(vindex_remove(index, &id, 1, NULL));
    ck_ok(vindex_save(index, scratch_path("file"), NULL));
    ck_ok(vindex_file_sections(scratch_path("file"), sections, 8, &count));
    ck_assert_int_eq(count, 4);
    ck_assert_str_eq(sections[0].tag, "index");
    ck_assert_str_eq(sections[1].tag, "vectors");
    ck_assert_uint_eq(sections[1].bytes, sizeof vectors);
    ck_assert_str_eq(sections[2].tag, "aux");
    ck_assert_str_eq(sections[3].tag, "dead");
    ck_ok(vindex_file_sections(scratch_path("file"), NULL, 0, &count));
    ck_assert_int_eq(count, 4);
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_file_sections(NULL, sections, 8, &count));
    ck_fails(VINDEX_ERR_NOT_FOUND, "nowhere",
             vindex_file_sections(scratch_path("nowhere"), sections, 8, &count));
    vindex_free(index);
    scratch_remove();
}
END_TEST

TEST_MAIN("core/index", creating_checks_everything, factory_strings_have_one_form,
          flat_parameters_are_checked, adding_checks_everything, searching_checks_everything,
          weights_and_filters_are_checked, outputs_may_be_left_out,
          answers_are_shown_as_their_metric_says, the_other_verbs_check_their_arguments,
          the_parts_of_a_file_are_listed)
