/* Files that earlier versions wrote, or this one on another machine: each opens and answers as it
 * always did. The answers were worked out apart from the library. */
#include <stdlib.h>
#include <string.h>

#include "../golden/check.h"
#include "../harness.h"

enum { K = 4 };

static const struct {
    int64_t ids[K];
    float shown[K];
} answers[] = {
    {{25, 40, 80, 95}, {29, 29, 29, 29}},
    {{40, 95, 25, 80}, {48, 48, 44, 44}},
    {{40, 95, 25, 80}, {0.7962487726f, 0.7962487726f, 0.7699182005f, 0.7699182005f}},
    {{40, 95, 25, 80}, {0.8127500509f, 0.8127500509f, 0.7502977236f, 0.7502977236f}},
    {{25, 40, 80, 95}, {29, 29, 29, 29}}, /* all lists: as flat */
    {{40, 95, 25, 80}, {0.7962487726f, 0.7962487726f, 0.7699182005f, 0.7699182005f}},
    {{25, 40, 80, 95}, {29, 29, 29, 29}}, /* all nodes: as flat */
    {{40, 95, 25, 80}, {0.7962487726f, 0.7962487726f, 0.7699182005f, 0.7699182005f}},
    {{40, 95, 25, 80}, {0.7962487726f, 0.7962487726f, 0.7699182005f, 0.7699182005f}},
    {{25, 40, 80, 95}, {29, 29, 29, 29}},
    {{25, 40, 80, 95}, {29, 29, 29, 29}}, /* codewords enough for every number */
    {{25, 40, 80, 95}, {29, 29, 29, 29}},
    {{25, 40, 80, 95}, {29, 29, 29, 29}},
    {{25, 40, 80, 95}, {29, 29, 29, 29}}, /* what codes leave has few values, too */
};

static void check_file(size_t i, uint32_t flags) {
    static const float query[GOLDEN_DIM] = {2, 5, 1, -4, 0};
    vindex_index *index;
    int64_t ids[K], id, gone = GOLDEN_GONE;
    float shown[K], vector[GOLDEN_DIM];
    ck_ok(vindex_load(golden_path(golden_files[i].name), flags, &index));
    ck_ok(vindex_verify(index, NULL));
    ck_assert_str_eq(vindex_spec(index), golden_files[i].spec);
    ck_assert_int_eq(vindex_metric_of(index), golden_files[i].metric);
    ck_assert_int_eq(vindex_count(index), GOLDEN_ROWS - 1);
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    ck_ok(vindex_search(index, query, 1, &params, ids, shown));
    for (size_t j = 0; j < K; j++) {
        ck_assert_int_eq(ids[j], answers[i].ids[j]);
        ck_assert_float_eq(shown[j], answers[i].shown[j]);
    }
    for (int row = 0; row < GOLDEN_ROWS; row++) {
        id = golden_id(row);
        if (id == gone) continue;
        ck_ok(vindex_reconstruct(index, &id, 1, vector));
        for (int j = 0; j < GOLDEN_DIM; j++) ck_assert_float_eq(vector[j], golden_number(row, j));
    }
    ck_fails(VINDEX_ERR_NOT_FOUND, "id 60", vindex_reconstruct(index, &gone, 1, vector));
    vindex_free(index);
}

START_TEST(golden_files_answer_as_ever) {
    for (size_t i = 0; i < sizeof golden_files / sizeof *golden_files; i++)
        for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++)
            check_file(i, flags);
}
END_TEST

/* Every row is nearest to itself; a turn and its way back round a little. */
START_TEST(turned_vectors_come_back) {
    for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++) {
        vindex_index *index;
        vindex_search_params params;
        ck_ok(vindex_load(golden_path(golden_turned.name), flags, &index));
        ck_ok(vindex_verify(index, NULL));
        ck_assert_str_eq(vindex_spec(index), golden_turned.spec);
        vindex_search_params_init(&params);
        params.k = 1;
        for (int row = 0; row < GOLDEN_ROWS; row++) {
            float given[GOLDEN_DIM], back[GOLDEN_DIM], shown;
            int64_t id = golden_id(row), found;
            if (id == GOLDEN_GONE) continue;
            for (int j = 0; j < GOLDEN_DIM; j++) given[j] = golden_number(row, j);
            ck_ok(vindex_search(index, given, 1, &params, &found, &shown));
            ck_assert_float_eq_tol(shown, 0, 1e-8f);
            ck_ok(vindex_reconstruct(index, &found, 1, back));
            for (int j = 0; j < GOLDEN_DIM; j++) ck_assert_float_eq_tol(back[j], given[j], 1e-5f);
        }
        vindex_free(index);
    }
}
END_TEST

static void check_saved(const char *name) {
    vindex_index *index;
    ck_ok(vindex_load(golden_path(name), 0, &index));
    ck_ok(vindex_save(index, scratch_path("again"), NULL));
    vindex_free(index);
    golden_again(name);
}

/* What is written today is the same file, byte for byte. */
START_TEST(saving_writes_the_same_bytes) {
    scratch_make();
    for (size_t i = 0; i < sizeof golden_files / sizeof *golden_files; i++)
        check_saved(golden_files[i].name);
    check_saved(golden_turned.name);
    scratch_remove();
}
END_TEST

TEST_MAIN("flat/golden", golden_files_answer_as_ever, turned_vectors_come_back,
          saving_writes_the_same_bytes)
