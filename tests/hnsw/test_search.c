/* Walking a graph with ef as large as it is gives what a flat search gives; with less, nearly. Run
 * once per instruction set. */
#include <math.h>

#include "../core/scratch.h"
#include "cases.h"

enum { QUERIES = 13 };

static void check_all(const flat_case *c) {
    static const size_t counts[] = {QUERIES, 5, 1};
    static const int64_t ks[] = {1, 10, 1000};
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    for (size_t i = 0; i < 9; i++) {
        vindex_search_params params = ef_params(ks[i / 3], 1 + (int32_t)i % 4, HNSW_ALL);
        flat_case_search(c, queries, counts[i % 3], rankings, &params, "");
    }
    size_t middle = rankings[0].count / 3;
    double key = rankings[0].count ? rankings[0].hits[middle].key : 0;
    float radius = (float)(c->metric == VINDEX_L2 ? key : -key);
    vindex_search_params params = ef_params(1, 1, HNSW_ALL);
    flat_case_range(c, queries, QUERIES, rankings, &params, radius);
    params.threads = 3;
    flat_case_range(c, queries, QUERIES, rankings, &params, radius);
    rankings_free(rankings, QUERIES);
    free(queries);
}

START_TEST(all_nodes_give_the_exact_answer) {
    static const size_t dims[] = {1, 17, 64, 300};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int kind = 0; kind < VECTORS_KINDS; kind += test_stride()) {
            vectors rows = {.kind = (vectors_kind)kind,
                            .dtype = (vindex_dtype)((metric + kind) % VX_STORED_TYPES),
                            .dim = dims[kind % 4],
                            .count = 150,
                            .seed = (uint64_t)(kind + metric)};
            flat_case c = hnsw_case_make(&rows, (vindex_metric)metric, NULL);
            check_all(&c);
            flat_case_free(&c);
        }
}
END_TEST

/* More nodes than a walker lists as visited: the next walk finds them again. */
START_TEST(walks_over_thousands_of_nodes_leave_no_marks) {
    enum { MANY = 4500 };
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 3, .count = MANY, .seed = 5};
    flat_case c = hnsw_case_make(&rows, VINDEX_L2, NULL);
    float *queries = flat_case_queries(&c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(&c, queries, QUERIES, NULL, 0);
    vindex_search_params params = ef_params(MANY, 1, HNSW_ALL);
    flat_case_search(&c, queries, QUERIES, rankings, &params, "");
    rankings_free(rankings, QUERIES);
    free(queries);
    flat_case_free(&c);
}
END_TEST

/* Of coded rows the answer is that over what they decode to; behind Refine over the vectors, or
 * what two codes decode to. */
START_TEST(codes_give_the_answer_over_what_they_decode_to) {
    static const char *const specs[] = {"HNSW8,SQ8,Refine",
                                        "HNSW8,SQ8",
                                        "HNSW6,SQ4,Refine(f16)",
                                        "HNSW8,RaBitQ4,Refine",
                                        "HNSW8,SQ6v",
                                        "HNSW8,PQ5x8",
                                        "HNSW8,SQ4,Refine(SQ8)",
                                        "HNSW6,RaBitQ2,Refine(PQ10x8)",
                                        "HNSW8,PQ5x4,Refine(RaBitQ6)"};
    enum { COUNT = 400, DIM = 20, NQ = 9, K = 12, LEFT = COUNT - 37 };
    float before[LEFT * DIM];
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(specs); i++)
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
            vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = i};
            float *numbers = vectors_make(&rows), *decoded = malloc(COUNT * DIM * sizeof *decoded);
            int64_t ids[COUNT], found[3][NQ * K];
            float distances[3][NQ * K];
            vindex_index *graph, *flat, *loaded;
            for (int64_t id = 0; id < COUNT; id++) ids[id] = id;
            ck_ok(vindex_create(specs[i], DIM, (vindex_metric)metric, &graph));
            ck_fails(VINDEX_ERR_STATE, "not trained", vindex_add(graph, numbers, 1, NULL));
            ck_ok(vindex_train(graph, numbers, COUNT, NULL));
            ck_ok(vindex_add(graph, numbers, COUNT / 2, NULL));
            ck_ok(vindex_add(graph, numbers + COUNT / 2 * DIM, COUNT / 2, NULL));
            ck_ok(vindex_remove(graph, ids + 7, 30, NULL));
            ck_ok(vindex_reconstruct(graph, ids + 37, LEFT, before));
            ck_ok(vindex_compact(graph, NULL));
            ck_ok(vindex_reconstruct(graph, ids + 37, LEFT, decoded));
            ck_assert_mem_eq(before, decoded, sizeof before);
            ck_ok(vindex_add_with_ids(graph, numbers + 7 * DIM, 30, ids + 7, NULL));
            hnsw_check(graph);
            hnsw_check_reach(graph);
            ck_ok(vindex_reconstruct(graph, ids, COUNT, decoded));
            ck_ok(vindex_create("Flat", DIM, (vindex_metric)metric, &flat));
            ck_ok(vindex_add(flat, decoded, COUNT, NULL));
            ck_ok(vindex_save(graph, scratch_path("graph"), NULL));
            ck_ok(vindex_load(scratch_path("graph"), i % 2 ? VINDEX_LOAD_MAP : 0, &loaded));
            ck_assert_str_eq(vindex_spec(loaded), vindex_spec(graph));
            const vindex_index *all[] = {graph, flat, loaded};
            vindex_search_params params = ef_params(K, 1, HNSW_ALL);
            for (int j = 0; j < 3; j++)
                ck_ok(vindex_search(all[j], numbers + 3, NQ, &params, found[j], distances[j]));
            for (int j = 1; j < 3; j++) {
                ck_assert_msg(!memcmp(found[0], found[j], sizeof found[0]), "%s, %s, %d: ids",
                              specs[i], vindex_metric_name((vindex_metric)metric), j);
                ck_assert(!memcmp(distances[0], distances[j], sizeof distances[0]));
            }
            vindex_free(graph);
            vindex_free(flat);
            vindex_free(loaded);
            free(numbers);
            free(decoded);
        }
    scratch_remove();
}
END_TEST

static bool picked(void *context, int64_t id) {
    return (uint64_t)id * 2654435761u % 10000 < *(uint64_t *)context;
}

/* From hardly any vector to all of them: nothing forbidden, and recall as without. */
START_TEST(filters_hold_and_keep_recall) {
    enum { COUNT = 6000, NQ = 40, K = 10, DIM = 24 };
    static uint64_t shares[] = {1, 10, 100, 1000, 5000, 9000, 10000};
    static int64_t found[NQ * K], truth[NQ * K];
    vectors rows = {
        .kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT / (size_t)test_stride(), .seed = 2};
    flat_case c = hnsw_case_make(&rows, VINDEX_L2, NULL);
    flat_case exact = flat_case_make(&rows, VINDEX_L2, NULL);
    float *queries = flat_case_queries(&c, NQ);
    for (size_t i = 0; i < VX_COUNT(shares); i++)
        for (int set = 0; set < 2; set++) {
            uint64_t bits[COUNT / 64 + 1] = {0};
            vindex_filter call = {.allow = picked, .context = &shares[i]};
            vindex_filter list = {.bits = bits, .bit_count = COUNT};
            for (int64_t id = 0; id < COUNT; id++)
                if (picked(&shares[i], id)) bits[id / 64] |= 1ull << (id % 64);
            vindex_search_stats stats;
            vindex_search_params params = ef_params(K, 2, 100);
            params.filter = set ? &list : &call;
            params.stats = &stats;
            ck_ok(vindex_search(exact.index, queries, NQ, &params, truth, NULL));
            int64_t lacking = stats.lacking;
            ck_ok(vindex_search(c.index, queries, NQ, &params, found, NULL));
            ck_assert_int_eq(stats.lacking, lacking);
            size_t there = 0;
            for (size_t j = 0; j < NQ * K; j++) {
                ck_each(found[j] < 0 || picked(&shares[i], found[j]), "a forbidden id");
                there += truth[j] >= 0;
            }
            if (there)
                ck_assert_double_ge(recall_of(found, truth, NQ, K) * NQ * K, 0.97 * (double)there);
        }
    free(queries);
    flat_case_free(&c);
    flat_case_free(&exact);
}
END_TEST

/* Rows that were removed all over, and all rows around the queries, more than a pool has room for
 * beside those that count: as many are found as before, none of them removed. */
START_TEST(removed_rows_hide_nothing) {
    enum { COUNT = 6000, NQ = 60, K = 10, DIM = 24, EF = 20 };
    static int64_t found[NQ * K], truth[NQ * K], near[COUNT];
    int64_t count = COUNT / test_stride();
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = (size_t)count, .seed = 2};
    flat_case exact = flat_case_make(&rows, VINDEX_L2, NULL);
    float *queries = flat_case_queries(&exact, NQ);
    for (int64_t i = 1; i < NQ; i++) /* queries around the first one, as rows are around each */
        for (int64_t j = 0; j < DIM; j++)
            queries[i * DIM + j] = queries[j] + 0.3f * queries[i * DIM + j];
    vindex_search_params all = search_params(count, 1), params = ef_params(K, 1, EF);
    ck_ok(vindex_search(exact.index, queries, 1, &all, near, NULL));
    for (int way = 0; way < 3; way++) {
        flat_case c = hnsw_case_make(&rows, VINDEX_L2, NULL);
        flat_case left = flat_case_make(&rows, VINDEX_L2, NULL);
        for (int64_t i = 0; i < count; i++) {
            const int64_t id = way == 2 ? near[i] : i;
            bool gone = way == 0 ? false : way == 1 ? i % 10 < 4 : i < count * 3 / 10;
            if (gone) ck_ok(vindex_remove(c.index, &id, 1, NULL));
            if (gone) ck_ok(vindex_remove(left.index, &id, 1, NULL));
        }
        ck_ok(vindex_search(c.index, queries, NQ, &params, found, NULL));
        ck_ok(vindex_search(left.index, queries, NQ, &params, truth, NULL));
        static double before;
        double after = recall_of(found, truth, NQ, K);
        if (!way) before = after;
        ck_assert_msg(after > before - 0.02, "way %d: recall %g after %g", way, after, before);
        for (int64_t i = 0; i < NQ * K; i++) ck_assert_int_ge(found[i], 0);
        flat_case_free(&c);
        flat_case_free(&left);
    }
    ck_assert_double_ge(recall_of(found, truth, NQ, K), 0.8);
    free(queries);
    flat_case_free(&exact);
}
END_TEST

/* The same graph and the same answers, byte for byte; nor do the walkers of a thread. */
START_TEST(threads_change_nothing) {
    enum { COUNT = 5000, NQ = 100, K = 7, DIM = 20 };
    vectors rows = {
        .kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT / (size_t)test_stride(), .seed = 4};
    float *numbers = vectors_make(&rows);
    int64_t *ids[2];
    vindex_index *graphs[2];
    for (int i = 0; i < 2; i++) {
        vindex_call call;
        vindex_call_init(&call);
        call.threads = i ? 5 : 1;
        graphs[i] = hnsw_make(8, 50, &rows, VINDEX_COSINE);
        ck_ok(vindex_add(graphs[i], numbers, (int64_t)rows.count, &call));
        hnsw_check(graphs[i]);
        ids[i] = malloc(NQ * K * sizeof *ids[i]);
        vindex_search_params params = ef_params(K, i ? 3 : 1, 20);
        ck_ok(vindex_search(graphs[i], numbers, NQ, &params, ids[i], NULL));
    }
    const vx_hnsw *a = (vx_hnsw *)graphs[0], *b = (vx_hnsw *)graphs[1];
    ck_assert_uint_eq(a->layer_count, b->layer_count);
    for (size_t l = 0; l < a->layer_count; l++) {
        ck_assert_uint_eq(a->layers[l].count, b->layers[l].count);
        ck_assert(!memcmp(a->layers[l].links, b->layers[l].links,
                          a->layers[l].count * a->layers[l].width * sizeof(uint32_t)));
    }
    ck_assert(!memcmp(ids[0], ids[1], NQ * K * sizeof *ids[0]));
    vindex_search_params params = ef_params(K, 1, 20);
    for (params.walkers = 1; params.walkers <= 8; params.walkers++) {
        ck_ok(vindex_search(graphs[0], numbers, NQ, &params, ids[1], NULL));
        ck_assert_msg(!memcmp(ids[0], ids[1], NQ * K * sizeof *ids[0]), "%d walkers",
                      (int)params.walkers);
    }
    ck_fails(VINDEX_ERR_ARGUMENT, "walkers is 9",
             vindex_search(graphs[0], numbers, NQ, &params, ids[1], NULL));
    for (int i = 0; i < 2; i++) {
        vindex_free(graphs[i]);
        free(ids[i]);
    }
    free(numbers);
}
END_TEST

TEST_MAIN_PER_LEVEL("hnsw/search", all_nodes_give_the_exact_answer,
                    walks_over_thousands_of_nodes_leave_no_marks,
                    codes_give_the_answer_over_what_they_decode_to, filters_hold_and_keep_recall,
                    removed_rows_hide_nothing, threads_change_nothing)
