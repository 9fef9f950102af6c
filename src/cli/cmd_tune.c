/* vindex tune: which parameters of an index give which recall. */
#include <stdlib.h>

#include <vindex/tune.h>

#include "filling.h"

static const struct cli_usage usage = {
    .verb = "tune",
    .form = "INDEX --queries Q [--input X] [--recall R[,R...]] [-k K] [-o INDEX]",
    .does =
        "Measures on sample queries which parameters of an index (nprobe and the like) give which\n"
        "recall of the K true neighbours, and stores these operating points in its file, so that\n"
        "`vindex search --recall` can ask for a recall. The queries should be like those to come,\n"
        "a thousand or so, and not the indexed embeddings. The truth is an exact search over\n"
        "--input, what the index was built from; without it, the index's own answer when it looks\n"
        "through everything, which sees no loss by its codes or projections.",
    .example = "  vindex tune songs.vindex --queries sample.npy --input songs.npy\n"
               "  vindex tune songs.vindex --queries sample.npy --recall 0.9,0.99 -o tuned.vindex",
    .words = "INDEX",
    .word_count = 1,
};

enum { RECALLS_MOST = 100 };

struct tune {
    const char *path;
    const char **queries, **inputs;
    char *recalls, *output;
    long long k;
    vindex_tune_params params;
    double wanted[RECALLS_MOST];
};

/* "0.8,0.95" */
static int take_recalls(struct tune *tune) {
    const char *at = tune->recalls;
    while (at != NULL && tune->params.recall_count < RECALLS_MOST) {
        char *end;
        tune->wanted[tune->params.recall_count++] = strtod(at, &end);
        if (end == at || (*end != ',' && *end != '\0')) break;
        at = *end == ',' ? end + 1 : NULL;
    }
    if (at != NULL)
        return cli_words("--recall %s: it is no list of numbers; give 1 to %d of them, with commas "
                         "between",
                         tune->recalls, RECALLS_MOST);
    if (tune->params.recall_count > 0) tune->params.recalls = tune->wanted;
    return CLI_DONE;
}

static int check_words(struct tune *tune) {
    vindex_tune_params_init(&tune->params);
    tune->params.k = tune->k;
    int answer = cli_status_words(vindex_fields_check(vindex_tune_fields(), &tune->params));
    return answer == CLI_DONE ? take_recalls(tune) : answer;
}

/* A flat index of the vectors that the index was made from. */
static int make_exact(const struct tune *tune, const vindex_index *index, vindex_index **exact) {
    struct cli_rows rows;
    if (tune->inputs == NULL) return CLI_DONE;
    int answer = cli_rows_open(tune->inputs, "--input", 1, &rows);
    if (answer != CLI_DONE) return answer;
    if (rows.dim != vindex_dim(index))
        answer =
            cli_fail("--input %s: its rows have %lld numbers and the index %lld; give what the "
                     "index was built from",
                     rows.paths[0], (long long)rows.dim, (long long)vindex_dim(index));
    else
        answer = cli_status(vindex_create("Flat", rows.dim, vindex_metric_of(index), exact));
    if (answer == CLI_DONE) answer = cli_fill(*exact, &rows, NULL);
    cli_rows_close(&rows);
    return answer;
}

static int report_result(const struct tune *tune, const vindex_index *index, int64_t queries,
                         double seconds) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_text(report, "index", "index", tune->output ? tune->output : tune->path);
    cli_report_text(report, "spec", "spec", vindex_spec(index));
    cli_report_text(report, "truth", "truth",
                    tune->inputs ? "exact search over --input" : "all that the index holds");
    cli_report_int(report, "queries", "queries", queries);
    cli_report_int(report, "k", "k", tune->k);
    cli_report_real(report, "seconds", "seconds", seconds, 3, "");
    int answer = cli_report_points(report, index);
    if (answer == CLI_DONE) return cli_report_print(report);
    cli_report_free(report);
    return answer;
}

static int tune_by(struct tune *tune, vindex_index *index, const struct cli_rows *rows) {
    vindex_index *exact = NULL;
    float *queries = NULL;
    vindex_call tuning = cli_call(&(struct cli_span){"tuning", 0, 1});
    vindex_call saving = cli_call(&(struct cli_span){"saving", 0, 1});
    double start = cli_clock();
    if (rows->dim != vindex_dim(index))
        return cli_fail("--queries %s: they have %lld numbers and the index %lld; give queries of "
                        "the index's dimension",
                        rows->paths[0], (long long)rows->dim, (long long)vindex_dim(index));
    int answer = make_exact(tune, index, &exact);
    if (answer == CLI_DONE) answer = cli_rows_load(rows, &queries);
    tune->params.exact = exact;
    if (answer == CLI_DONE)
        answer = cli_status(vindex_tune(index, queries, rows->rows, &tune->params, &tuning));
    vindex_free(exact);
    free(queries);
    if (answer == CLI_DONE)
        answer = cli_status(vindex_save(index, tune->output ? tune->output : tune->path, &saving));
    return answer == CLI_DONE ? report_result(tune, index, rows->rows, cli_clock() - start)
                              : answer;
}

static int tune_index(struct tune *tune) {
    struct cli_rows rows;
    vindex_index *index = NULL;
    int answer = check_words(tune);
    if (answer != CLI_DONE) return answer;
    answer = cli_rows_open(tune->queries, "--queries", 1, &rows);
    if (answer != CLI_DONE) return answer;
    /* Mapped: the file stays as it is until the new one takes its name. */
    answer = cli_status(vindex_load(tune->path, VINDEX_LOAD_MAP, &index));
    if (answer == CLI_DONE) answer = tune_by(tune, index, &rows);
    vindex_free(index);
    cli_rows_close(&rows);
    return answer;
}

int cmd_tune(int argc, const char **argv) {
    struct tune tune = {.k = 10};
    struct poptOption options[] = {
        {"queries", 0, POPT_ARG_ARGV, &tune.queries, 0,
         "embeddings to measure with; given several times, their rows are appended", "FILE"},
        {"input", 0, POPT_ARG_ARGV, &tune.inputs, 0,
         "what the index was built from, for the true neighbours", "FILE"},
        {NULL, 'k', POPT_ARG_LONGLONG, &tune.k, 0, "neighbours whose recall is meant (default 10)",
         "K"},
        {"recall", 0, POPT_ARG_STRING, &tune.recalls, 0,
         "the recalls wanted, above 0 and up to 1; default: a dozen from 0.5 to 1", "R[,R...]"},
        {"output", 'o', POPT_ARG_STRING, &tune.output, 0,
         "the tuned index; default: INDEX itself is replaced", "FILE"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) {
        tune.path = parsed.words[0];
        answer = tune_index(&tune);
    }
    cli_release(options, &parsed);
    return answer;
}
