/* Shards become one index: it answers as one that was filled at once. */
#include "../core/scratch.h"
#include "cases.h"

enum { COUNT = 300, DIM = 7, QUERIES = 12 };

static const vectors all_rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 3};

/* Every third vector, from `first` on, under ids that are the rows' numbers times 2. */
static void fill(vindex_index *index, const float *numbers, int64_t first) {
    for (int64_t row = first; row < COUNT; row += 3) {
        int64_t id = 2 * row;
        ck_ok(vindex_add_with_ids(index, numbers + row * DIM, 1, &id, NULL));
    }
}

/* An index of that kind that was trained as every other of the test. */
static vindex_index *make(const char *spec, vindex_metric metric, const float *numbers) {
    vindex_index *index;
    ck_ok(vindex_create(spec, DIM, metric, &index));
    ck_ok(vindex_train(index, numbers, COUNT, NULL));
    return index;
}

static void check_same(const vindex_index *a, const vindex_index *b, const float *queries,
                       const char *what) {
    enum { K = 20 };
    int64_t ids[2][QUERIES * K];
    float distances[2][QUERIES * K];
    for (int64_t nprobe = 1; nprobe <= 16; nprobe *= 4) {
        vindex_search_params params = probe_params(K, 1, nprobe);
        ck_ok(vindex_search(a, queries, QUERIES, &params, ids[0], distances[0]));
        ck_ok(vindex_search(b, queries, QUERIES, &params, ids[1], distances[1]));
        ck_assert_msg(!memcmp(ids[0], ids[1], sizeof ids[0]), "%s: other ids", what);
        ck_assert_msg(!memcmp(distances[0], distances[1], sizeof distances[0]),
                      "%s: other distances", what);
    }
}

START_TEST(shards_are_one_index) {
    static const char *const specs[] = {"IVF9,Flat",  "IVF9,Flat,f16",  "Flat",
                                        "Flat,bf16",  "PCA4,IVF5,Flat", "Standardise,Flat",
                                        "IVF3,PQ7x4", "PQ7x8",          "IVF3,PQ7x4,Refine(SQ8)"};
    float *numbers = vectors_make(&all_rows);
    vectors other = all_rows;
    other.count = QUERIES;
    other.queries = true;
    float *queries = vectors_make(&other);
    const int64_t gone[] = {2 * 4, 2 * 7, 2 * 3}, kept = 2 * 10;
    for (size_t s = 0; s < VX_COUNT(specs); s++)
        for (int m = 0; m <= VINDEX_PEARSON; m++) {
            vindex_index *whole = make(specs[s], (vindex_metric)m, numbers);
            vindex_index *shards[3];
            for (int i = 0; i < 3; i++) {
                shards[i] = make(specs[s], (vindex_metric)m, numbers);
                fill(whole, numbers, i);
                fill(shards[i], numbers, i);
            }
            ck_ok(vindex_remove(whole, gone, 3, NULL));
            for (int i = 0; i < 3; i++) ck_ok(vindex_remove(shards[i], gone, 3, NULL));
            vindex_index *empty = make(specs[s], (vindex_metric)m, numbers);
            ck_ok(vindex_merge(empty, shards[1], NULL));
            check_same(empty, shards[1], queries, specs[s]);
            ck_ok(vindex_merge(shards[0], empty, NULL));
            ck_ok(vindex_merge(shards[0], shards[2], NULL));
            ck_assert_int_eq(vindex_count(shards[0]), COUNT - 3);
            check_same(shards[0], whole, queries, specs[s]);
            /* What is there already is refused, and nothing changed. */
            ck_fails(VINDEX_ERR_EXISTS, "id", vindex_merge(shards[0], shards[2], NULL));
            ck_fails(VINDEX_ERR_EXISTS, "itself", vindex_merge(whole, whole, NULL));
            check_same(shards[0], whole, queries, specs[s]);
            if (vindex_capabilities(whole) & VINDEX_CAN_RECONSTRUCT) {
                float a[DIM], b[DIM];
                ck_ok(vindex_reconstruct(shards[0], &kept, 1, a));
                ck_ok(vindex_reconstruct(whole, &kept, 1, b));
                ck_assert_mem_eq(a, b, sizeof a);
            }
            ck_ok(vindex_compact(shards[0], NULL));
            ck_ok(vindex_compact(whole, NULL));
            check_same(shards[0], whole, queries, specs[s]);
            vindex_free(whole);
            vindex_free(empty);
            for (int i = 0; i < 3; i++) vindex_free(shards[i]);
        }
    free(queries);
    free(numbers);
}
END_TEST

START_TEST(mapped_shards_merge) {
    float *numbers = vectors_make(&all_rows);
    scratch_make();
    for (int i = 0; i < 2; i++) {
        vindex_index *index = make("IVF9,Flat", VINDEX_L2, numbers);
        fill(index, numbers, i);
        ck_ok(vindex_save(index, scratch_path(i ? "b" : "a"), NULL));
        vindex_free(index);
    }
    vindex_index *a, *b, *whole = make("IVF9,Flat", VINDEX_L2, numbers);
    ck_ok(vindex_load(scratch_path("a"), VINDEX_LOAD_MAP, &a));
    ck_ok(vindex_load(scratch_path("b"), VINDEX_LOAD_MAP, &b));
    ck_ok(vindex_merge(a, b, NULL));
    vindex_free(b);
    fill(whole, numbers, 0);
    fill(whole, numbers, 1);
    check_same(a, whole, numbers, "mapped");
    vindex_free(a);
    vindex_free(whole);
    scratch_remove();
    free(numbers);
}
END_TEST

START_TEST(what_is_refused) {
    float *numbers = vectors_make(&all_rows);
    vindex_index *index = make("IVF9,Flat", VINDEX_L2, numbers), *other;
    fill(index, numbers, 0);
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_merge(index, NULL, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_merge(NULL, index, NULL));
    static const struct {
        const char *spec;
        vindex_metric metric;
    } unlike[] = {{"IVF8,Flat", VINDEX_L2},
                  {"IVF9,Flat,f16", VINDEX_L2},
                  {"IVF9,Flat", VINDEX_COSINE},
                  {"Flat", VINDEX_L2}};
    for (size_t i = 0; i < VX_COUNT(unlike); i++) {
        other = make(unlike[i].spec, unlike[i].metric, numbers);
        fill(other, numbers, 1);
        ck_fails(VINDEX_ERR_ARGUMENT, "must agree", vindex_merge(index, other, NULL));
        vindex_free(other);
    }
    ck_ok(vindex_create("IVF9,Flat", DIM, VINDEX_L2, &other));
    ck_fails(VINDEX_ERR_STATE, "not trained", vindex_merge(index, other, NULL));
    ck_ok(vindex_train(other, numbers, COUNT - 1, NULL));
    ck_ok(vindex_merge(index, other, NULL)); /* nothing comes */
    fill(other, numbers, 1);
    ck_fails(VINDEX_ERR_ARGUMENT, "not trained alike", vindex_merge(index, other, NULL));
    ck_assert_int_eq(vindex_count(index), COUNT / 3);
    vindex_free(other);
    vindex_free(index);
    /* One list, whose centroid is 0 in both: only the codes have learnt otherwise. */
    static const char *const codes[] = {"SQ8", "PQ7x4", "RaBitQ4,Refine", "SQ8,Refine(PQ7x4)"};
    for (size_t i = 0; i < VX_COUNT(codes); i++) {
        index = make(codes[i], VINDEX_L2, numbers);
        ck_ok(vindex_create(codes[i], DIM, VINDEX_L2, &other));
        ck_ok(vindex_train(other, numbers, COUNT / 2, NULL));
        fill(other, numbers, 1);
        ck_fails(VINDEX_ERR_ARGUMENT, "not trained alike", vindex_merge(index, other, NULL));
        ck_assert_int_eq(vindex_count(index), 0);
        vindex_free(other);
        vindex_free(index);
    }
    ck_ok(vindex_create("PCA4,Flat", DIM, VINDEX_L2, &index));
    ck_ok(vindex_create("PCA4,Flat", DIM, VINDEX_L2, &other));
    ck_ok(vindex_train(index, numbers, COUNT, NULL));
    ck_ok(vindex_train(other, numbers, COUNT - 1, NULL));
    ck_ok(vindex_add(other, numbers, 4, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "project differently", vindex_merge(index, other, NULL));
    vindex_free(other);
    vindex_free(index);
    free(numbers);
}
END_TEST

/* The largest number of all rows, which filters are bounded by, is that of both. */
START_TEST(the_largest_row_comes_along) {
    static const char *const specs[] = {"IVF9,Flat", "IVF9,SQ8", "IVF9,SQ4,Refine", "PQ7x4"};
    float *numbers = vectors_make(&all_rows);
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        vindex_index *index = make(specs[s], VINDEX_L2, numbers);
        vindex_index *other = make(specs[s], VINDEX_L2, numbers);
        float far[DIM];
        for (size_t j = 0; j < DIM; j++) far[j] = 100 * numbers[j];
        ck_ok(vindex_add(index, numbers, COUNT, NULL));
        const int64_t id = 2 * COUNT;
        ck_ok(vindex_add_with_ids(other, far, 1, &id, NULL));
        float largest = VX_MAX(((vx_ivf *)index)->largest, ((vx_ivf *)other)->largest);
        ck_ok(vindex_merge(index, other, NULL));
        ck_assert(((vx_ivf *)index)->largest == largest);
        vindex_free(other);
        vindex_free(index);
    }
    free(numbers);
}
END_TEST

/* Memory that runs out on the way, and ids that clash at the end. */
START_TEST(a_failure_changes_nothing) {
    static const char *const specs[] = {"IVF9,Flat", "Flat,f16", "Normalise,Flat"};
    float *numbers = vectors_make(&all_rows);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = 1;
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        bool merged = false;
        int failures = 0;
        vindex_index *before = make(specs[s], VINDEX_L2, numbers);
        fill(before, numbers, 0);
        for (; !merged; failures++) {
            vindex_index *index = make(specs[s], VINDEX_L2, numbers);
            vindex_index *other = make(specs[s], VINDEX_L2, numbers);
            fill(index, numbers, 0);
            fill(other, numbers, 1);
            vx_alloc_fail_after(failures);
            vindex_status status = vindex_merge(index, other, &call);
            vx_alloc_fail_after(-1);
            merged = status == VINDEX_OK;
            ck_assert(merged || status == VINDEX_ERR_MEMORY);
            if (!merged) check_same(index, before, numbers, specs[s]);
            vindex_free(index);
            vindex_free(other);
        }
        ck_assert_int_ge(failures, 3);
        vindex_free(before);
    }
    free(numbers);
}
END_TEST

TEST_MAIN("ivf/merge", shards_are_one_index, mapped_shards_merge, the_largest_row_comes_along,
          what_is_refused, a_failure_changes_nothing)
