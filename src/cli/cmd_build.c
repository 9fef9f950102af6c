/* vindex build: an index from a factory string and embeddings, streamed by blocks. */
#include <sys/stat.h>

#include <vindex/index.h>

#include "filling.h"
#include "model.h"

static const struct cli_usage usage = {
    .verb = "build",
    .form = "SPEC --input X [--metric l2|ip|cosine|pearson] -o INDEX",
    .does = "Builds an index (SPEC: Flat; Flat,f16 or Flat,bf16 in half the bytes; any with "
            ",Certified;\n"
            "IVF1024,Flat or so for lists, of which a search looks through some) and saves it.\n"
            "Codes take fewer bytes: IVF1024,SQ8; PQ64x4; HNSW16,SQ8,Refine with the vectors\n"
            "behind them; IVF1024,PQ32x4,Refine(SQ8) with codes of what they leave.\n"
            "Projections may go before, learned from --input where they learn: PCA256,Flat;\n"
            "Rank,Flat,Certified; GRP128,Flat. --project puts a fitted model before SPEC.\n"
            "Rows are numbered from 0, unless an id column holds whole numbers: then these are\n"
            "the ids.",
    .example = "  vindex build Flat --input songs.npy --metric cosine -o songs.vindex",
    .words = "SPEC",
    .word_count = 1,
};

struct build {
    const char **inputs;
    char *metric, *output, *project;
    const char *spec;
    int reorder;
};

static int report_result(const struct build *build, const vindex_index *index, bool with_ids,
                         double seconds) {
    struct stat file = {0};
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    stat(build->output, &file);
    cli_report_text(report, "index", "index", build->output);
    cli_report_text(report, "spec", "spec", vindex_spec(index));
    cli_report_text(report, "metric", "metric", vindex_metric_name(vindex_metric_of(index)));
    cli_report_int(report, "rows", "rows", vindex_count(index));
    cli_report_int(report, "dim", "dim", vindex_dim(index));
    cli_report_text(report, "ids", "ids", with_ids ? "from the id column" : "row numbers from 0");
    cli_report_bytes(report, "bytes", "bytes", (double)file.st_size);
    cli_report_bytes(report, "memory", "memory", (double)vindex_memory(index));
    cli_report_real(report, "seconds", "seconds", seconds, 3, "");
    return cli_report_print(report);
}

static int fill_and_save(const struct build *build, const struct cli_rows *rows,
                         vindex_index *index) {
    bool with_ids = false;
    struct cli_span span = {"saving", 0, 1};
    vindex_call call = cli_call(&span);
    double start = cli_clock();
    int answer = cli_fill(index, rows, &with_ids);
    if (answer == CLI_DONE && build->reorder)
        answer = cli_status_words(vindex_reorder(index, &call));
    if (answer == CLI_DONE) answer = cli_status(vindex_save(index, build->output, &call));
    if (answer == CLI_DONE) answer = report_result(build, index, with_ids, cli_clock() - start);
    return answer;
}

static int create_behind(const struct build *build, const struct cli_rows *rows,
                         vindex_metric metric, vindex_index **index) {
    vindex_transform *model = NULL;
    int answer = cli_status(vindex_transform_load(build->project, &model));
    if (answer != CLI_DONE) return answer;
    if (vindex_transform_input_dim(model) != rows->dim)
        answer = cli_fail("--project %s: it takes rows of %lld numbers and those of %s have %lld; "
                          "give embeddings of the kind it was fitted on",
                          build->project, (long long)vindex_transform_input_dim(model),
                          rows->paths[0], (long long)rows->dim);
    else
        answer = cli_status_words(vindex_index_with_transform(model, build->spec, metric, index));
    vindex_transform_free(model);
    return answer;
}

static int build_index(const struct build *build) {
    vindex_metric metric = VINDEX_L2;
    int answer = cli_metric(build->metric, &metric);
    if (answer != CLI_DONE) return answer;
    if (build->output == NULL) return cli_words("-o: no file was named; add -o INDEX");
    struct cli_rows rows;
    answer = cli_rows_open(build->inputs, "--input", 1, &rows);
    if (answer != CLI_DONE) return answer;
    vindex_index *index = NULL;
    answer = build->project != NULL
                 ? create_behind(build, &rows, metric, &index)
                 : cli_status_words(vindex_create(build->spec, rows.dim, metric, &index));
    if (answer == CLI_DONE) answer = fill_and_save(build, &rows, index);
    vindex_free(index);
    cli_rows_close(&rows);
    return answer;
}

int cmd_build(int argc, const char **argv) {
    struct build build = {0};
    struct poptOption options[] = {
        {"input", 0, POPT_ARG_ARGV, &build.inputs, 0,
         "embeddings; given several times, their rows are appended", "FILE"},
        {"metric", 0, POPT_ARG_STRING, &build.metric, 0, "l2 (the default), ip, cosine or pearson",
         "METRIC"},
        {"project", 0, POPT_ARG_STRING, &build.project, 0,
         "a model that `vindex fit` wrote: the index projects by it", "MODEL"},
        {"reorder", 0, POPT_ARG_NONE, &build.reorder, 0,
         "of a graph: lay vectors that are near each other side by side, which searches are faster "
         "for",
         NULL},
        {"output", 'o', POPT_ARG_STRING, &build.output, 0, "the index file to write", "INDEX"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) {
        build.spec = parsed.words[0];
        answer = build_index(&build);
    }
    cli_release(options, &parsed);
    return answer;
}
