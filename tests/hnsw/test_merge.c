/* Graphs that were filled apart become one, over numbers and over codes. */
#include "../core/scratch.h"
#include "cases.h"

enum { DIM = 9 };

START_TEST(graphs_merge) {
    enum { COUNT = 700, NQ = 6, K = 9 };
    vectors rows = {.kind = VECTORS_CLUSTERED, .dtype = VINDEX_F16, .dim = DIM, .count = COUNT};
    float *numbers = vectors_make(&rows);
    vindex_index *parts[2], *flat;
    const int64_t gone = 500;
    int64_t ids[2][NQ * K], later[COUNT];
    for (int64_t i = 0; i < COUNT; i++) later[i] = i;
    for (int i = 0; i < 2; i++) {
        parts[i] = hnsw_make(6, 30, &rows, VINDEX_L2);
        ck_ok(vindex_add_with_ids(parts[i], numbers + i * 300 * DIM, i ? 400 : 300, later + i * 300,
                                  NULL));
    }
    ck_ok(vindex_create("Flat,f16", DIM, VINDEX_L2, &flat));
    ck_ok(vindex_add(flat, numbers, COUNT, NULL));
    ck_ok(vindex_remove(flat, &gone, 1, NULL));
    ck_ok(vindex_remove(parts[1], &gone, 1, NULL));
    ck_ok(vindex_merge(parts[0], parts[1], NULL));
    hnsw_check(parts[0]);
    hnsw_check_reach(parts[0]);
    vindex_search_params params = ef_params(K, 1, HNSW_ALL);
    ck_ok(vindex_search(flat, numbers + 490 * DIM, NQ, &params, ids[0], NULL));
    ck_ok(vindex_search(parts[0], numbers + 490 * DIM, NQ, &params, ids[1], NULL));
    ck_assert_mem_eq(ids[0], ids[1], sizeof ids[0]);
    ck_fails(VINDEX_ERR_EXISTS, "in the index already", vindex_merge(parts[0], parts[1], NULL));
    vindex_free(parts[0]);
    vindex_free(parts[1]);
    vindex_free(flat);
    free(numbers);
}
END_TEST

/* What was learnt from some vectors, and no vector. */
static void save_trained(const char *spec, const float *numbers, int64_t count, const char *name) {
    vindex_index *index;
    ck_ok(vindex_create(spec, DIM, VINDEX_L2, &index));
    ck_ok(vindex_train(index, numbers, count, NULL));
    ck_ok(vindex_save(index, scratch_path(name), NULL));
    vindex_free(index);
}

static vindex_index *load_and_add(const char *name, const float *numbers, int64_t first,
                                  int64_t count) {
    vindex_index *index;
    int64_t ids[900];
    for (int64_t i = 0; i < count; i++) ids[i] = first + i;
    ck_ok(vindex_load(scratch_path(name), 0, &index));
    ck_ok(vindex_add_with_ids(index, numbers + first * DIM, count, ids, NULL));
    return index;
}

/* Codes come over as they are: what was merged decodes and answers as what took all vectors. Which
 * rows a graph is asked to look at, all of them, does not depend on its links. */
START_TEST(codes_stay_what_they_are) {
    enum { COUNT = 900, HALF = 450, K = 9, NQ = 20 };
    static const char *specs[] = {"HNSW6",         "HNSW6,f16",
                                  "HNSW6,SQ8",     "HNSW6,SQ8,Refine",
                                  "HNSW6,RaBitQ4", "HNSW6,SQ4,Refine(SQ8)",
                                  "HNSW6,PQ3x4",   "HNSW6,PQ3x8,Refine(f16)"};
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT};
    float *numbers = vectors_make(&rows), *decoded[2];
    int64_t ids[2][NQ * K], all[COUNT];
    float distances[2][NQ * K];
    for (int64_t i = 0; i < COUNT; i++) all[i] = i;
    for (int i = 0; i < 2; i++) decoded[i] = malloc(COUNT * DIM * sizeof(float));
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        save_trained(specs[s], numbers, COUNT, "trained");
        vindex_index *shards[2], *indexes[2];
        for (int i = 0; i < 2; i++) shards[i] = load_and_add("trained", numbers, i * HALF, HALF);
        indexes[0] = shards[0];
        indexes[1] = load_and_add("trained", numbers, 0, COUNT);
        ck_ok(vindex_merge(shards[0], shards[1], NULL));
        hnsw_check(shards[0]);
        hnsw_check_reach(shards[0]);
        for (int i = 0; i < 2; i++) {
            vindex_search_params params = ef_params(K, 1, HNSW_ALL);
            params.rerank = COUNT;
            ck_ok(
                vindex_search(indexes[i], numbers + 440 * DIM, NQ, &params, ids[i], distances[i]));
            ck_ok(vindex_reconstruct(indexes[i], all, COUNT, decoded[i]));
        }
        ck_assert_msg(!memcmp(decoded[0], decoded[1], COUNT * DIM * sizeof(float)),
                      "%s: other vectors", specs[s]);
        ck_assert_msg(!memcmp(ids[0], ids[1], sizeof ids[0]), "%s: other ids", specs[s]);
        ck_assert_msg(!memcmp(distances[0], distances[1], sizeof distances[0]),
                      "%s: other distances", specs[s]);
        vindex_free(shards[0]);
        vindex_free(shards[1]);
        vindex_free(indexes[1]);
    }
    scratch_remove();
    for (int i = 0; i < 2; i++) free(decoded[i]);
    free(numbers);
}
END_TEST

START_TEST(codes_that_learnt_otherwise_are_refused) {
    enum { COUNT = 600 };
    static const char *specs[] = {"HNSW6,SQ8", "HNSW6,PQ3x4,Refine", "HNSW6,SQ4,Refine(SQ8)"};
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT};
    float *numbers = vectors_make(&rows);
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        save_trained(specs[s], numbers, COUNT / 2, "a");
        save_trained(specs[s], numbers + COUNT / 2 * DIM, COUNT / 2, "b");
        vindex_index *a = load_and_add("a", numbers, 0, 50), *b = load_and_add("b", numbers, 50, 5);
        ck_fails(VINDEX_ERR_ARGUMENT, "not trained alike", vindex_merge(a, b, NULL));
        ck_assert_int_eq(vindex_count(a), 50);
        hnsw_check(a);
        vindex_free(a);
        vindex_free(b);
    }
    scratch_remove();
    free(numbers);
}
END_TEST

TEST_MAIN("hnsw/merge", graphs_merge, codes_stay_what_they_are,
          codes_that_learnt_otherwise_are_refused)
