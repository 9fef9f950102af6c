/* What an evaluation found, named. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"

static const char convention_square[] =
    "each query ranks all other items, itself left out; ties go to the smaller row; an item alone "
    "in its clique stays a candidate and is no query; means over queries, in double precision";
static const char convention_split[] =
    "each query ranks all candidates and is none of them; ties go to the smaller row; a query "
    "without a relevant candidate is not counted; means over queries, in double precision";

static void add_convention(struct cli_report *report, const struct eval *eval) {
    char text[620];
    const char *words = vindex_eval_preset_words(eval->params.preset);
    int length = snprintf(text, sizeof text, "%s",
                          eval_is_square(eval) ? convention_square : convention_split);
    if (words[0] != '\0')
        snprintf(text + length, sizeof text - (size_t)length, "; but as %s's script: %s",
                 vindex_eval_preset_name(eval->params.preset), words);
    cli_report_text(report, "convention", "convention", text);
}

/* The lines of the preset's script. */
static void add_printed(struct cli_report *report, const vindex_eval_report *found) {
    json_t *printed = json_object();
    char label[32];
    for (int64_t i = 0; i < found->printed_count; i++) {
        const vindex_eval_printed *line = &found->printed[i];
        json_object_set_new(printed, line->name, cli_json_real(line->value));
        snprintf(label, sizeof label, "printed %s", line->name);
        cli_report_text(report, NULL, label, line->text);
    }
    if (found->printed_count > 0)
        cli_report_json(report, "printed", printed);
    else
        json_decref(printed);
}

static void add_ranking(struct cli_report *report, const struct eval_task *task) {
    const vindex_eval_report *found = &task->report;
    const vindex_eval_params *params = &task->eval->params;
    char name[32];
    cli_report_real(report, "MAP", "MAP", found->map, 4, "");
    cli_report_real(report, "MR1", "MR1", found->mr1, 2, "");
    cli_report_real(report, "MRR", "MRR", found->mrr, 4, "");
    cli_report_real(report, "MDR", "MDR", found->mdr, 1, "");
    cli_report_int(report, "Top1", "Top1", found->top1);
    cli_report_int(report, "Top10", "Top10", found->top10);
    static const int depths[] = {1, 2, 4, 8};
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "R%d", depths[i]);
        cli_report_real(report, name, name, found->recall_at[i], 4, "");
    }
    /* Precision at 1 is recall at 1, the share of queries whose nearest is relevant. */
    cli_report_json(report, "P@1", cli_json_real(found->recall_at[0]));
    snprintf(name, sizeof name, "P@%lld", (long long)params->precision_at);
    cli_report_real(report, name, name, found->precision_at, 4, "");
    cli_report_real(report, "ARP", "ARP", found->arp, 4, "");
    cli_report_real(report, "ARP_interval", "ARP 95% interval", found->arp_interval, 4, "");
    if (params->knn > 0)
        cli_report_real(report, "knn_accuracy", "k-NN accuracy", found->knn_accuracy, 4, "");
    add_printed(report, found);
    cli_report_int(report, "queries", "queries", found->queries);
    cli_report_int(report, "candidates", "candidates", found->candidates);
    cli_report_int(report, "noise", "noise", found->noise);
    cli_report_int(report, "relevant", "relevant pairs", found->relevant);
    cli_report_int(report, "tied", "of them tied", found->tied);
}

struct cli_report *eval_report(const struct eval_task *task) {
    const struct eval *eval = task->eval;
    struct cli_report *report = cli_report_new();
    if (report == NULL) return NULL;
    bool ranked = task->cliques != NULL;
    if (ranked) add_ranking(report, task);
    if (ranked)
        cli_report_text(report, "preset", "preset", vindex_eval_preset_name(eval->params.preset));
    const char *metric = eval->similarity ? "similarity matrix"
                         : eval->distance ? "distance matrix"
                         : eval->per_dim  ? "l2/d"
                                          : vindex_metric_name(eval->params.metric);
    cli_report_text(report, "metric", "metric", metric);
    if (eval->segments != NULL) cli_report_text(report, "segments", "segments", eval->segments);
    if (eval->dims != NULL) cli_report_int(report, "dims", "dimensions", task->dim);
    if (task->index != NULL) cli_report_text(report, "index", "index", task->index);
    if (ranked) cli_report_real(report, "seconds", "seconds", task->report.seconds, 3, "");
    if (ranked) add_convention(report, eval);
    return report;
}
