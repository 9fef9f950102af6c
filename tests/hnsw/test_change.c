/* Adding, removing, compacting, in any order; and what a graph refuses. */
#include "../core/scratch.h"
#include "cases.h"

enum { DIM = 9 };

/* A graph and a flat index that went through the same. */
typedef struct twins {
    vindex_index *graph, *flat;
    const float *numbers;
    int64_t next, count;
} twins;

static void check_twins(const twins *t, const char *what) {
    enum { NQ = 5, K = 12 };
    int64_t ids[2][NQ * K];
    float distances[2][NQ * K];
    vindex_search_params params = ef_params(K, 1, HNSW_ALL);
    hnsw_check(t->graph);
    hnsw_check_reach(t->graph);
    ck_assert_int_eq(vindex_count(t->graph), vindex_count(t->flat));
    ck_ok(vindex_search(t->graph, t->numbers + 3, NQ, &params, ids[0], distances[0]));
    ck_ok(vindex_search(t->flat, t->numbers + 3, NQ, &params, ids[1], distances[1]));
    ck_assert_msg(!memcmp(ids[0], ids[1], sizeof ids[0]), "%s: other ids", what);
    ck_assert_msg(!memcmp(distances[0], distances[1], sizeof distances[0]), "%s: other distances",
                  what);
}

static void save_and_load(twins *t, uint32_t flags) {
    ck_ok(vindex_save(t->graph, scratch_path("graph"), NULL));
    vindex_free(t->graph);
    ck_ok(vindex_load(scratch_path("graph"), flags, &t->graph));
}

static void step(twins *t, uint64_t random) {
    vindex_index *both[] = {t->graph, t->flat};
    int64_t some = 1 + (int64_t)(random >> 8) % 60, first = (int64_t)(random >> 20) % 700;
    for (size_t i = 0; i < 2; i++) {
        int64_t ids[60], kept = 0;
        if (random % 4 < 2 && t->next + some < 900) {
            for (int64_t j = 0; j < some; j++) ids[j] = (t->next + j) * 3 + 1 - (t->next + j) % 2;
            ck_ok(vindex_add_with_ids(both[i], t->numbers + t->next * DIM, some, ids, NULL));
        } else if (random % 4 == 2) {
            for (int64_t j = 0; j < some; j++) ids[kept++] = (first + j) * 3 + 1 - (first + j) % 2;
            ck_ok(vindex_remove(both[i], ids, kept, NULL));
        } else if (random % 16 == 3) {
            ck_ok(vindex_compact(both[i], NULL));
        } else if (random % 16 == 11 && both[i] == t->graph) {
            ck_ok(vindex_reorder(both[i], NULL));
        }
    }
    if (random % 4 < 2 && t->next + some < 900) t->next += some;
    if (random % 16 == 7) save_and_load(t, (uint32_t)(random >> 30) % 4);
}

START_TEST(whatever_happens_a_graph_is_sound) {
    scratch_make();
    for (int kind = 0; kind < 3; kind++) {
        static const vectors_kind kinds[] = {VECTORS_CLUSTERED, VECTORS_TIED, VECTORS_NORMAL};
        vectors rows = {.kind = kinds[kind], .dim = DIM, .count = 1000, .seed = (uint64_t)kind};
        float *numbers = vectors_make(&rows);
        twins t = {.graph = hnsw_make(2 + kind * 3, 20, &rows, VINDEX_L2), .numbers = numbers};
        ck_ok(vindex_create("Flat", DIM, VINDEX_L2, &t.flat));
        uint64_t random = 88172645463325252u + (uint64_t)kind;
        for (int i = 0; i < 60 / test_stride(); i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            step(&t, random >> 3);
            char what[60];
            snprintf(what, sizeof what, "kind %d, step %d", kind, i);
            check_twins(&t, what);
        }
        vindex_free(t.graph);
        vindex_free(t.flat);
        free(numbers);
    }
    scratch_remove();
}
END_TEST

/* Thousands of one vector among others: those can be found, and so can the others. */
START_TEST(duplicates_do_not_break_a_graph) {
    enum { COUNT = 3000, EACH = 3, K = 50 };
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 3};
    float *numbers = vectors_make(&rows);
    for (int i = 0; i < COUNT; i++) /* every third row is itself */
        if (i % EACH) memcpy(numbers + i * DIM, numbers + DIM, DIM * sizeof *numbers);
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vindex_index *index = hnsw_make(8, 60, &rows, (vindex_metric)metric);
        ck_ok(vindex_add(index, numbers, COUNT, NULL));
        hnsw_check(index);
        hnsw_check_reach(index);
        int64_t ids[K], found = 0, others = 0;
        vindex_search_params params = ef_params(K, 1, K);
        ck_ok(vindex_search(index, numbers + DIM, 1, &params, ids, NULL));
        for (int i = 0; i < K; i++) found += ids[i] % EACH != 0;
        if (metric != VINDEX_INNER_PRODUCT) ck_assert_int_eq(found, K);
        for (int64_t i = 0; i < COUNT && metric == VINDEX_L2; i += EACH) {
            ck_ok(vindex_search(index, numbers + i * DIM, 1, &params, ids, NULL));
            others += ids[0] == i;
        }
        if (metric == VINDEX_L2) ck_assert_int_ge(others * 100, COUNT / EACH * 99);
        vindex_free(index);
    }
    free(numbers);
}
END_TEST

/* The mean distance of what links join, in rows. */
static double mean_reach(const vindex_index *index) {
    const vx_layer *layer = &((const vx_hnsw *)index)->layers[0];
    double sum = 0, links = 0;
    for (size_t slot = 0; slot < layer->count; slot++)
        for (size_t i = 0; i < layer->width; i++) {
            uint32_t next = vx_link_slot(vx_layer_links(layer, slot)[i]);
            if (next >= layer->count) break;
            sum += next > slot ? next - (double)slot : (double)slot - next;
            links++;
        }
    return sum / links;
}

/* Walks go as before, but for ties, which rough codes have plenty of; ids are those that rows came
 * with, and near nodes lie nearer to each other. */
START_TEST(reordering_changes_no_answer) {
    enum { COUNT = 2500, NQ = 40, K = 10, GONE = 9 };
    static const struct {
        const char *spec;
        int64_t ef;
    } cases[] = {{"HNSW4", 12},
                 {"HNSW8,bf16", 12},
                 {"HNSW8,SQ8,Refine(f16)", 12},
                 {"HNSW8,RaBitQ3", HNSW_ALL},
                 {"HNSW8,PQ3x4,Refine", HNSW_ALL},
                 {"PCA6,HNSW8", 12}};
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 5};
    float *numbers = vectors_make(&rows);
    int64_t ids[2][NQ * K], own[COUNT], gone[GONE];
    float distances[2][NQ * K], found[2][DIM];
    for (int64_t i = 0; i < COUNT; i++) own[i] = i % 2 ? INT64_MAX - i : i * 3;
    for (size_t s = 0; s < VX_COUNT(cases); s++)
        for (int removed = 0; removed < 2; removed++) {
            vindex_index *index;
            ck_ok(vindex_create(cases[s].spec, DIM, VINDEX_L2, &index));
            ck_ok(vindex_train(index, numbers, COUNT, NULL));
            ck_ok(s % 2 ? vindex_add_with_ids(index, numbers, COUNT, own, NULL)
                        : vindex_add(index, numbers, COUNT, NULL));
            for (int64_t i = 0; i < GONE; i++) gone[i] = s % 2 ? own[i * 200] : i * 200;
            if (removed) ck_ok(vindex_remove(index, gone, GONE, NULL));
            vindex_search_params params = ef_params(K, 1, cases[s].ef);
            int64_t one = s % 2 ? own[1234] : 1234;
            bool graph = strncmp(cases[s].spec, "PCA", 3) != 0;
            double reach = graph ? mean_reach(index) : 0;
            for (int after = 0; after < 2; after++) {
                ck_ok(vindex_search(index, numbers + 77 * DIM, NQ, &params, ids[after],
                                    distances[after]));
                if (graph) ck_ok(vindex_reconstruct(index, &one, 1, found[after]));
                if (!after) ck_ok(vindex_reorder(index, NULL));
            }
            ck_assert_msg(!memcmp(ids[0], ids[1], sizeof ids[0]), "%s: other ids", cases[s].spec);
            ck_assert_mem_eq(distances[0], distances[1], sizeof distances[0]);
            if (graph) ck_assert_mem_eq(found[0], found[1], sizeof found[0]);
            if (graph) hnsw_check(index);
            if (graph) hnsw_check_reach(index);
            if (graph) ck_assert_double_le(mean_reach(index), reach * 0.8);
            if (removed && graph)
                ck_fails(VINDEX_ERR_NOT_FOUND, "", vindex_reconstruct(index, gone, 1, found[0]));
            vindex_free(index);
        }
    free(numbers);
}
END_TEST

/* Recall at 10 with ef 40 against a flat index of the same vectors. */
static double recall(const vindex_index *index, const float *queries, size_t nq,
                     const vindex_index *flat) {
    enum { K = 10 };
    int64_t *found = malloc(nq * K * sizeof *found), *truth = malloc(nq * K * sizeof *truth);
    vindex_search_params params = ef_params(K, 0, 40);
    ck_ok(vindex_search(index, queries, (int64_t)nq, &params, found, NULL));
    ck_ok(vindex_search(flat, queries, (int64_t)nq, &params, truth, NULL));
    double share = recall_of(found, truth, nq, K);
    free(found);
    free(truth);
    return share;
}

/* Half of the vectors leave and come back: no worse than a graph made at once. */
/* Rows in crowds that lie far apart: what leads from one to another is links that came to be when
 * the graph was small. After some of the rows went, or half of them, others must lead there. */
START_TEST(crowds_stay_within_reach_of_each_other) {
    enum { CROWDS = 60, EACH = 120, COUNT = CROWDS * EACH, WIDE = 12, NQ = 600 };
    static const int64_t gone_of[] = {30, 17, 2}; /* one in so many */
    static int64_t ids[COUNT];
    vectors near = {.kind = VECTORS_NORMAL, .dim = WIDE, .count = COUNT + NQ, .seed = 3};
    vectors far = {.kind = VECTORS_NORMAL, .dim = WIDE, .count = CROWDS, .seed = 4};
    float *numbers = vectors_make(&near), *centres = vectors_make(&far), *kept;
    for (size_t i = 0; i < COUNT + NQ; i++)
        for (size_t j = 0; j < WIDE; j++)
            numbers[i * WIDE + j] += 30 * centres[i * 7 % CROWDS * WIDE + j];
    near.count = COUNT;
    kept = malloc(COUNT * WIDE * sizeof *kept);
    for (size_t g = 0; g < VX_COUNT(gone_of); g++) {
        vindex_index *worn = hnsw_make(8, 60, &near, VINDEX_L2), *flat;
        vindex_index *fresh = hnsw_make(8, 60, &near, VINDEX_L2);
        int64_t left = 0;
        ck_ok(vindex_create("Flat", WIDE, VINDEX_L2, &flat));
        ck_ok(vindex_add(worn, numbers, COUNT, NULL));
        for (int64_t id = 0; id < COUNT; id++) {
            bool gone = id / CROWDS % gone_of[g] == 0;
            if (gone) ck_ok(vindex_remove(worn, &id, 1, NULL));
            if (gone) continue;
            memcpy(kept + left * WIDE, numbers + id * WIDE, WIDE * sizeof *kept);
            ids[left++] = id;
        }
        ck_ok(vindex_add_with_ids(fresh, kept, left, ids, NULL));
        ck_ok(vindex_add_with_ids(flat, kept, left, ids, NULL));
        ck_ok(vindex_compact(worn, NULL));
        hnsw_check(worn);
        double due = recall(fresh, numbers + COUNT * WIDE, NQ, flat);
        double after = recall(worn, numbers + COUNT * WIDE, NQ, flat);
        ck_assert_double_ge(due, 0.9);
        ck_assert_msg(after >= due - 0.01, "one in %d gone: recall %g where %g is due",
                      (int)gone_of[g], after, due);
        vindex_free(worn);
        vindex_free(fresh);
        vindex_free(flat);
    }
    free(numbers);
    free(centres);
    free(kept);
}
END_TEST

START_TEST(recall_survives_removal_and_return) {
    enum { NQ = 1000, WIDE = 24 };
    size_t count = 3000 / (size_t)test_stride();
    vectors rows = {.kind = VECTORS_NORMAL, .dim = WIDE, .count = count, .seed = 8}, wanted = rows;
    wanted.queries = true;
    wanted.count = NQ;
    float *numbers = vectors_make(&rows), *queries = vectors_make(&wanted);
    vindex_index *fresh = hnsw_make(12, 80, &rows, VINDEX_L2), *worn, *flat;
    worn = hnsw_make(12, 80, &rows, VINDEX_L2);
    ck_ok(vindex_create("Flat", WIDE, VINDEX_L2, &flat));
    ck_ok(vindex_add(flat, numbers, (int64_t)count, NULL));
    ck_ok(vindex_add(fresh, numbers, (int64_t)count, NULL));
    ck_ok(vindex_add(worn, numbers, (int64_t)count, NULL));
    for (int64_t id = 0; id < (int64_t)count; id++)
        if (id * 7 % 10 < 5) ck_ok(vindex_remove(worn, &id, 1, NULL));
    ck_ok(vindex_compact(worn, NULL));
    hnsw_check(worn);
    for (int64_t id = 0; id < (int64_t)count; id++)
        if (id * 7 % 10 < 5) ck_ok(vindex_add_with_ids(worn, numbers + id * WIDE, 1, &id, NULL));
    hnsw_check(worn);
    double before = recall(fresh, queries, NQ, flat), after = recall(worn, queries, NQ, flat);
    ck_assert_double_ge(before, 0.93);
    ck_assert_double_ge(after, before - 0.01);
    vindex_free(fresh);
    vindex_free(worn);
    vindex_free(flat);
    free(numbers);
    free(queries);
}
END_TEST

START_TEST(the_memory_estimate_is_close) {
    vectors rows = {.kind = VECTORS_UNIFORM, .dim = 32, .count = 6000, .seed = 1};
    float *numbers = vectors_make(&rows);
    static const char *const specs[] = {"HNSW4", "HNSW32,f16"};
    for (size_t i = 0; i < VX_COUNT(specs); i++) {
        vindex_index *index;
        size_t bytes;
        ck_ok(vindex_create(specs[i], 32, VINDEX_L2, &index));
        ck_ok(vindex_add(index, numbers, 6000, NULL));
        ck_ok(vindex_memory_estimate(specs[i], 32, 6000, &bytes));
        ck_assert_double_eq_tol((double)bytes, (double)vindex_memory(index),
                                0.05 * (double)vindex_memory(index));
        vindex_hnsw_stats stats;
        ck_ok(vindex_hnsw_stats_get(index, &stats));
        ck_assert_int_eq(stats.nodes, 6000);
        ck_assert_int_le(stats.degree_most, i ? 64 : 8);
        ck_assert_double_ge(stats.degree, 2);
        ck_assert_double_ge(stats.link_bytes, i ? 256 : 32);
        ck_assert_int_ge(stats.layers, 2);
        vindex_free(index);
    }
    free(numbers);
}
END_TEST

START_TEST(what_is_refused) {
    vindex_index *index;
    float numbers[20 * DIM] = {0};
    static const char *const bad[] = {
        "HNSW",      "HNSW1",         "HNSWx",      "HNSW300",
        "HNSW8,f64", "HNSW8,f16,f16", "HNSW8,Flut", "HNSW8,Flat,f16,f16"};
    for (size_t i = 0; i < VX_COUNT(bad); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "factory string",
                 vindex_create(bad[i], DIM, VINDEX_L2, &index));
    vindex_hnsw_params params;
    vindex_hnsw_params_init(&params);
    params.m = 1;
    ck_fails(VINDEX_ERR_ARGUMENT, "m is 1", vindex_hnsw_create(&params, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_hnsw_create(NULL, &index));
    ck_ok(vindex_create("HNSW8,Flat,f16", DIM, VINDEX_L2, &index));
    ck_assert_str_eq(vindex_spec(index), "HNSW8,f16");
    ck_ok(vindex_train(index, numbers, 20, NULL));
    int64_t ids[10];
    ck_ok(vindex_search(index, numbers, 1, NULL, ids, NULL)); /* nothing to find */
    ck_assert_int_eq(ids[0], -1);
    ck_ok(vindex_add(index, numbers, 0, NULL));
    ck_ok(vindex_compact(index, NULL));
    ck_ok(vindex_reorder(index, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "index is NULL", vindex_reorder(NULL, NULL));
    numbers[3] = 1e6f;
    ck_fails(VINDEX_ERR_DATA, "more than f16 can hold", vindex_add(index, numbers, 1, NULL));
    vindex_search_params search = ef_params(1, 1, -1);
    ck_fails(VINDEX_ERR_ARGUMENT, "ef is -1",
             vindex_search(index, numbers, 1, &search, NULL, NULL));
    float weights[DIM] = {0};
    search = ef_params(1, 1, 1);
    search.weights = weights;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "subspace",
             vindex_search(index, numbers, 1, &search, NULL, NULL));
    vindex_hnsw_stats stats;
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_hnsw_stats_get(index, NULL));
    vindex_free(index);
    ck_ok(vindex_create("Flat", DIM, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "no HNSW index", vindex_hnsw_stats_get(index, &stats));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "reorder", vindex_reorder(index, NULL));
    vindex_free(index);
}
END_TEST

TEST_MAIN("hnsw/change", whatever_happens_a_graph_is_sound, duplicates_do_not_break_a_graph,
          reordering_changes_no_answer, crowds_stay_within_reach_of_each_other,
          recall_survives_removal_and_return, the_memory_estimate_is_close, what_is_refused)
