#include "oracle.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval/test_paths.h"

#define PYTHON "/usr/bin/python3"

bool oracle_available(void) {
    if (system(PYTHON " -c 'import numpy' >/dev/null 2>&1") == 0) return true;
    printf("skipped: the oracle needs " PYTHON " with numpy\n");
    return false;
}

static void write_file(const char *folder, const char *name, const void *data, size_t bytes) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
}

static void remove_files(const char *folder) {
    const char *const names[] = {"vectors", "cliques", "queries", "query_cliques"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    rmdir(folder);
}

static FILE *start(const char *folder, const naive_set *set, const vindex_eval_params *params) {
    char command[2048], split[600] = "";
    write_file(folder, "vectors", set->candidates, set->candidate_count * set->dim * sizeof(float));
    write_file(folder, "cliques", set->candidate_cliques, set->candidate_count * sizeof(int32_t));
    if (!set->square) {
        write_file(folder, "queries", set->queries, set->query_count * set->dim * sizeof(float));
        write_file(folder, "query_cliques", set->query_cliques, set->query_count * sizeof(int32_t));
        snprintf(split, sizeof split, "%s/queries %s/query_cliques", folder, folder);
    }
    snprintf(command, sizeof command,
             PYTHON " '" TEST_EVAL_SOURCE "/oracle.py' %s %zu %s/vectors %s/cliques %lld %lld %s",
             vindex_metric_name(params->metric), set->dim, folder, folder,
             (long long)params->precision_at, (long long)params->knn, split);
    return popen(command, "r");
}

void oracle_compare(const naive_set *set, const vindex_eval_params *params,
                    const vindex_eval_report *report) {
    const struct {
        const char *name;
        double value;
        bool count;
    } measures[] = {
        {"queries", (double)report->queries, true},
        {"noise", (double)report->noise, true},
        {"relevant", (double)report->relevant, true},
        {"map", report->map, false},
        {"mr1", report->mr1, false},
        {"mrr", report->mrr, false},
        {"mdr", report->mdr, false},
        {"top1", (double)report->top1, true},
        {"top10", (double)report->top10, true},
        {"r1", report->recall_at[0], false},
        {"r2", report->recall_at[1], false},
        {"r4", report->recall_at[2], false},
        {"r8", report->recall_at[3], false},
        {"precision_at", report->precision_at, false},
        {"arp", report->arp, false},
        {"arp_interval", report->arp_interval, false},
        {"knn_accuracy", report->knn_accuracy, false},
    };
    char folder[] = "/tmp/vindex-oracle-XXXXXX", name[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    FILE *oracle = start(folder, set, params);
    ck_assert_ptr_nonnull(oracle);
    size_t seen = 0;
    for (double value; fscanf(oracle, "%63s %lf", name, &value) == 2; seen++) {
        ck_assert_uint_lt(seen, sizeof measures / sizeof *measures);
        ck_assert_str_eq(name, measures[seen].name);
        bool same = isnan(value)
                        ? isnan(measures[seen].value)
                        : fabs(value - measures[seen].value) <= (measures[seen].count ? 0 : 1e-6);
        ck_assert_msg(same, "%s: the oracle has %.12g, vindex %.12g", name, value,
                      measures[seen].value);
    }
    ck_assert_int_eq(pclose(oracle), 0);
    ck_assert_uint_eq(seen, sizeof measures / sizeof *measures);
    remove_files(folder);
}
