#include "measures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static const char convention_square[] =
    "each query ranks all other items, itself left out; ties go to the smaller row; an item alone "
    "in its clique stays a candidate and is no query; means over queries, in double precision";
static const char convention_split[] =
    "each query ranks all candidates and is none of them; ties go to the smaller row; a query "
    "without a relevant candidate is not counted; means over queries, in double precision";

int cli_measures_print(const struct cli_measured *how, const vindex_eval_report *found) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
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
    snprintf(name, sizeof name, "P@%lld", (long long)how->precision_k);
    cli_report_real(report, name, name, found->precision_at, 4, "");
    cli_report_real(report, "ARP", "ARP", found->arp, 4, "");
    cli_report_real(report, "ARP_interval", "ARP 95% interval", found->arp_interval, 4, "");
    if (how->knn > 0)
        cli_report_real(report, "knn_accuracy", "k-NN accuracy", found->knn_accuracy, 4, "");
    cli_report_int(report, "queries", "queries", found->queries);
    cli_report_int(report, "candidates", "candidates", found->candidates);
    cli_report_int(report, "noise", "noise", found->noise);
    cli_report_int(report, "relevant", "relevant pairs", found->relevant);
    cli_report_int(report, "tied", "of them tied", found->tied);
    cli_report_text(report, "preset", "preset", "default");
    cli_report_text(report, "metric", "metric", how->metric);
    if (how->index != NULL) cli_report_text(report, "index", "index", how->index);
    cli_report_real(report, "seconds", "seconds", found->seconds, 3, "");
    cli_report_text(report, "convention", "convention",
                    how->square ? convention_square : convention_split);
    return cli_report_print(report);
}

static json_t *query_line(const vindex_eval_detail *detail, const struct cli_truth *queries,
                          int64_t row) {
    json_t *line = json_object();
    bool counted = detail->first_rank[row] > 0;
    json_object_set_new(line, "row", json_integer(row));
    json_object_set_new(line, "id",
                        queries->ids != NULL ? json_string(queries->ids[row]) : json_integer(row));
    json_object_set_new(line, "clique", json_string(queries->names[row]));
    json_object_set_new(line, "AP",
                        counted ? cli_json_real(detail->average_precision[row]) : json_null());
    json_object_set_new(line, "first_rank",
                        counted ? json_integer(detail->first_rank[row]) : json_null());
    json_object_set_new(line, "relevant", json_integer(detail->relevant[row]));
    return line;
}

int cli_measures_per_query(const char *path, const vindex_eval_detail *detail,
                           const struct cli_truth *queries) {
    vindex_output *file;
    int answer = cli_status(vindex_output_create(path, &file));
    if (answer != CLI_DONE) return answer;
    for (int64_t i = 0; i < detail->query_rows && answer == CLI_DONE; i++) {
        json_t *line = query_line(detail, queries, i);
        char *text = json_dumps(line, JSON_REAL_PRECISION(15));
        json_decref(line);
        answer = text != NULL ? cli_status(vindex_output_write(file, text, strlen(text)))
                              : cli_fail("%s: no memory for a line of it; free some", path);
        if (answer == CLI_DONE) answer = cli_status(vindex_output_write(file, "\n", 1));
        free(text);
    }
    if (answer == CLI_DONE) return cli_status(vindex_output_finish(file));
    vindex_output_abort(file);
    return answer;
}
