/* All measures against a script in another language. */
#include "../harness.h"
#include "core/base.h"
#include "core/rng.h"
#include "oracle.h"

enum { N = 400, NQ = 150, DIM = 12 };
static float vectors[N * DIM], queries[NQ * DIM];
static int32_t cliques[N], query_cliques[NQ];

static void fill(uint64_t seed) {
    vx_rng rng = vx_rng_seed(seed, 0);
    for (int i = 0; i < N * DIM; i++) vectors[i] = (float)vx_rng_normal(&rng);
    for (int i = 0; i < NQ * DIM; i++) queries[i] = (float)vx_rng_normal(&rng);
    for (int i = 0; i < N; i++) {
        uint64_t c = vx_rng_below(&rng, N);
        cliques[i] = (int32_t)(c * c / N);
        for (int j = 0; j < DIM; j++) vectors[i * DIM + j] += (float)(cliques[i] * (j + 1) % 7);
    }
    for (int i = 0; i < NQ; i++) {
        query_cliques[i] = (int32_t)vx_rng_below(&rng, N / 4);
        for (int j = 0; j < DIM; j++)
            queries[i * DIM + j] += (float)(query_cliques[i] * (j + 1) % 7);
    }
}

START_TEST(square) {
    for (int metric = 0; metric < 4; metric++) {
        fill((uint64_t)metric);
        vindex_eval_params params;
        vindex_eval_params_init(&params);
        params.metric = (vindex_metric)metric;
        params.knn = metric * 3;
        vindex_eval_report report;
        ck_ok(vindex_eval(vectors, cliques, N, DIM, &params, &report, NULL));
        naive_set set = {vectors, vectors, cliques, cliques, N, N, DIM, true};
        oracle_compare(&set, &params, &report);
    }
}
END_TEST

START_TEST(split) {
    for (int metric = 0; metric < 4; metric++) {
        fill(100 + (uint64_t)metric);
        vindex_eval_params params;
        vindex_eval_params_init(&params);
        params.metric = (vindex_metric)metric;
        params.knn = 5;
        params.precision_at = 3;
        vindex_eval_sets sets = {queries, query_cliques, NQ, vectors, cliques, N, DIM};
        vindex_eval_report report;
        ck_ok(vindex_eval_split(&sets, &params, &report, NULL));
        naive_set set = {queries, vectors, query_cliques, cliques, NQ, N, DIM, false};
        oracle_compare(&set, &params, &report);
    }
}
END_TEST

int main(void) {
    if (!oracle_available()) return 77;
    const TTest *const cases[] = {square, split};
    return harness_run("eval/oracle", cases, VX_COUNT(cases));
}
