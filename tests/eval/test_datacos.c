/* The real clique list of Da-TACOS's benchmark subset, under simulated embeddings. */
#include <string.h>

#include <vindex/io.h>

#include "../harness.h"
#include "core/base.h"
#include "eval/test_paths.h"
#include "oracle.h"

static char list[1024];

static bool list_available(void) {
    const char *data = getenv("VINDEX_SHARED_DATA");
    snprintf(list, sizeof list, "%s/da-tacos/da-tacos_benchmark_subset.csv",
             data ? data : TEST_EVAL_SOURCE "/../../../shared/data");
    FILE *file = fopen(list, "rb");
    if (file) fclose(file);
    if (!file)
        printf("skipped: no %s; set VINDEX_SHARED_DATA to the folder of the data sets\n", list);
    return file != NULL;
}

START_TEST(benchmark_subset) {
    vindex_labels labels;
    ck_ok(vindex_labels_read(list, NULL, &labels));
    ck_assert_int_eq(labels.count, 15000);
    ck_assert_int_eq(labels.clique_count, 3000);
    vindex_simulate_params how;
    vindex_simulate_params_init(&how);
    how.dim = 64;
    vindex_simulator *simulator;
    ck_ok(vindex_simulator_create(&how, labels.cliques, labels.count, &simulator));
    float *vectors = malloc((size_t)labels.count * 64 * sizeof *vectors);
    ck_ok(vindex_simulator_read(simulator, 0, labels.count, 0, vectors));
    vindex_eval_params params;
    vindex_eval_params_init(&params);
    vindex_eval_report report;
    ck_ok(vindex_eval(vectors, labels.cliques, labels.count, 64, &params, &report, NULL));
    ck_assert_int_eq(report.queries, 13000);
    ck_assert_int_eq(report.candidates, 15000);
    ck_assert_int_eq(report.noise, 2000);
    ck_assert_int_eq(report.relevant, 13000 * 12);
    naive_set set = {vectors, vectors, labels.cliques, labels.cliques, 15000, 15000, 64, true};
    oracle_compare(&set, &params, &report);
    free(vectors);
    vindex_simulator_free(simulator);
    vindex_labels_free(&labels);
}
END_TEST

int main(void) {
    if (!oracle_available() || !list_available()) return 77;
    const TTest *const cases[] = {benchmark_subset};
    return harness_run("eval/datacos", cases, VX_COUNT(cases));
}
