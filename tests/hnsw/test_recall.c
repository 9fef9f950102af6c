/* How much a graph finds: floors on real SIFT descriptors, every vector a query, and on simulated
 * sets, the truth being the flat index's. */
#include <vindex/simulate.h>

#include "../io/files.h"
#include "cases.h"

enum { K = 10 };

typedef struct floor_at {
    int64_t ef;
    double recall;
} floor_at;

/* Builds a graph of M 16 over the rows and searches it for each of nq queries (nq x dim). */
static void check_recall(const float *rows, int64_t n, size_t dim, vindex_metric metric,
                         const floor_at *floors, size_t count) {
    vectors shape = {.dim = dim};
    vindex_index *graph = hnsw_make(16, 100, &shape, metric), *flat;
    int64_t *truth = malloc((size_t)n * K * sizeof *truth),
            *found = malloc((size_t)n * K * sizeof *found);
    ck_ok(vindex_create("Flat", (int64_t)dim, metric, &flat));
    ck_ok(vindex_add(flat, rows, n, NULL));
    ck_ok(vindex_add(graph, rows, n, NULL));
    hnsw_check(graph);
    hnsw_check_reach(graph);
    vindex_search_params params = ef_params(K, 0, 10);
    ck_ok(vindex_search(flat, rows, n, &params, truth, NULL));
    for (size_t i = 0; i < count; i++) {
        params.ef = floors[i].ef;
        ck_ok(vindex_search(graph, rows, n, &params, found, NULL));
        double recall = recall_of(found, truth, (size_t)n, K);
        ck_assert_msg(recall >= floors[i].recall, "ef %d: recall %.4f, wanted %.4f",
                      (int)floors[i].ef, recall, floors[i].recall);
    }
    vindex_free(graph);
    vindex_free(flat);
    free(truth);
    free(found);
}

START_TEST(sift) {
    static const floor_at floors[] = {{10, 0.89}, {20, 0.95}, {50, 0.985}};
    vindex_embeddings_options options;
    FILE *file = fopen(data_path("README.md"), "r");
    if (!file) {
        printf("hnsw/recall: %s is not here, so the test on real vectors is skipped\n", folder());
        return;
    }
    fclose(file);
    vindex_embeddings_options_init(&options);
    options.id_column = "128";
    float *rows = read_all(data_path("sift5k/sift-dataset-5k.tsv"), &options, 5000, 128);
    check_recall(rows, 5000, 128, VINDEX_L2, floors, VX_COUNT(floors));
    free(rows);
}
END_TEST

START_TEST(simulated_embeddings) {
    static const floor_at floors[] = {{10, 0.97}, {20, 0.99}, {50, 0.999}};
    vindex_simulate_params params;
    vindex_simulator *simulator;
    vindex_simulate_params_init(&params);
    params.model = VINDEX_SIMULATED_RE_MOVE;
    params.dim = 64;
    params.scale = 0.2;
    ck_ok(vindex_simulator_create(&params, NULL, 0, &simulator));
    int64_t n = vindex_simulator_rows(simulator);
    float *rows = malloc((size_t)n * 64 * sizeof *rows);
    ck_ok(vindex_simulator_read(simulator, 0, n, 0, rows));
    check_recall(rows, n, 64, VINDEX_COSINE, floors, VX_COUNT(floors));
    vindex_simulator_free(simulator);
    free(rows);
}
END_TEST

START_TEST(independent_numbers) {
    static const floor_at floors[] = {{10, 0.9}, {50, 0.99}, {200, 0.999}};
    vectors set = {.kind = VECTORS_NORMAL, .dim = 32, .count = 4000, .seed = 5};
    float *rows = vectors_make(&set);
    check_recall(rows, 4000, 32, VINDEX_L2, floors, VX_COUNT(floors));
    free(rows);
}
END_TEST

TEST_MAIN("hnsw/recall", sift, simulated_embeddings, independent_numbers)
