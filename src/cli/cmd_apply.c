/* vindex apply: project embeddings by a model, streamed by blocks. */
#include <stdlib.h>

#include "model.h"
#include "rows.h"
#include "truth.h"

static const struct cli_usage usage = {
    .verb = "apply",
    .form = "MODEL --input X -o Y [--dtype f32|f16|...] [--prototypes NAMES [--labels L]]",
    .does = "Projects embeddings by what `vindex fit` learned. Rows are streamed, so that a file\n"
            "need not fit in memory. With --prototypes the mean of each class's projected rows is\n"
            "written instead, for search by class, and the classes' names to NAMES.",
    .example = "  vindex apply pca.model --input songs.npy -o small.npy",
    .words = "MODEL",
    .word_count = 1,
};

struct apply {
    const char **inputs, **labels;
    char *output, *dtype, *prototypes;
    const char *model;
};

struct applying {
    const vindex_transform *model;
    const struct cli_rows *rows;
    vindex_embeddings_writer *out;
    float *results;
};

static int apply_block(void *context, int64_t first, int64_t count, const float *vectors) {
    const struct applying *applying = context;
    vindex_call call = cli_call(&(struct cli_span){"projecting", 0, 1});
    call.progress = NULL; /* the blocks are the progress */
    int answer = cli_rows_finite(applying->rows, first, count, vectors);
    if (answer == CLI_DONE)
        answer = cli_status(
            vindex_transform_apply(applying->model, vectors, count, applying->results, &call));
    if (answer == CLI_DONE)
        answer = cli_status(vindex_embeddings_append(applying->out, applying->results, count));
    return answer;
}

static int report_result(const struct apply *apply, const struct applying *applying,
                         vindex_dtype dtype, double seconds) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_text(report, "output", "output", apply->output);
    cli_report_text(report, "dtype", "dtype", vindex_dtype_name(dtype));
    cli_report_int(report, "rows", "rows", applying->rows->rows);
    cli_report_int(report, "dim", "dim", vindex_transform_output_dim(applying->model));
    cli_report_real(report, "seconds", "seconds", seconds, 3, "");
    return cli_report_print(report);
}

static int project(const struct apply *apply, struct applying *applying) {
    const struct cli_rows *rows = applying->rows;
    int64_t dim = vindex_transform_output_dim(applying->model);
    vindex_dtype dtype = VINDEX_F32;
    double start = cli_clock();
    int answer = apply->dtype != NULL
                     ? cli_dtype(apply->dtype, &dtype)
                     : cli_status_words(vindex_embeddings_dtype(apply->output, dtype, &dtype));
    if (answer == CLI_DONE)
        answer = cli_status_words(
            vindex_embeddings_create(apply->output, rows->rows, dim, dtype, &applying->out));
    if (answer != CLI_DONE) return answer;
    applying->results = cli_alloc(cli_block_rows(rows->dim), dim * (int64_t)sizeof(float), "rows");
    answer = applying->results != NULL ? CLI_DONE : CLI_FAILED;
    if (answer == CLI_DONE) answer = cli_rows_each(rows, "projecting", apply_block, applying);
    free(applying->results);
    if (answer != CLI_DONE) {
        vindex_embeddings_abort(applying->out);
        return answer;
    }
    answer = cli_status(vindex_embeddings_finish(applying->out));
    return answer == CLI_DONE ? report_result(apply, applying, dtype, cli_clock() - start) : answer;
}

static int check_dim(const struct apply *apply, const struct cli_rows *rows,
                     const vindex_transform *model) {
    if (rows->dim != vindex_transform_input_dim(model))
        return cli_fail("--input %s: its rows have %lld numbers and %s takes %lld; give embeddings "
                        "of the kind it was fitted on",
                        rows->paths[0], (long long)rows->dim, apply->model,
                        (long long)vindex_transform_input_dim(model));
    return CLI_DONE;
}

/* ---- prototypes ---- */

/* Writes class means and, in the same order, the classes' names. */
static int write_means(const struct apply *apply, const float *means, const char *const *names,
                       int64_t classes, int64_t dim) {
    vindex_embeddings_writer *out;
    vindex_labels labels;
    vindex_dtype dtype = VINDEX_F32;
    int answer = apply->dtype != NULL
                     ? cli_dtype(apply->dtype, &dtype)
                     : cli_status_words(vindex_embeddings_dtype(apply->output, dtype, &dtype));
    if (answer == CLI_DONE)
        answer = cli_status(vindex_labels_from_names(names, NULL, classes, &labels));
    if (answer != CLI_DONE) return answer;
    answer = cli_status_words(vindex_embeddings_create(apply->output, classes, dim, dtype, &out));
    if (answer == CLI_DONE) {
        answer = cli_status(vindex_embeddings_append(out, means, classes));
        if (answer == CLI_DONE)
            answer = cli_status(vindex_labels_write(apply->prototypes, &labels));
        if (answer == CLI_DONE)
            answer = cli_status(vindex_embeddings_finish(out));
        else
            vindex_embeddings_abort(out);
    }
    vindex_labels_free(&labels);
    return answer;
}

static int average(const struct apply *apply, const struct cli_truth *truth, const float *vectors,
                   int64_t dim) {
    int32_t *cliques = NULL;
    int64_t classes = 0;
    int answer = cli_truth_number(truth, NULL, &cliques);
    for (int64_t i = 0; i < truth->count && answer == CLI_DONE; i++)
        if (cliques[i] >= classes) classes = (int64_t)cliques[i] + 1;
    float *means = cli_alloc(classes, dim * (int64_t)sizeof *means, "prototypes");
    const char **names = cli_alloc(classes, sizeof *names, "prototypes");
    if (means == NULL || names == NULL) answer = CLI_FAILED;
    for (int64_t i = truth->count; i-- > 0 && answer == CLI_DONE;)
        names[cliques[i]] = truth->names[i];
    if (answer == CLI_DONE)
        answer =
            cli_status(vindex_class_means(vectors, truth->count, dim, cliques, classes, means));
    if (answer == CLI_DONE) answer = write_means(apply, means, names, classes, dim);
    free(cliques);
    free(means);
    free(names);
    if (answer != CLI_DONE) return answer;
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_text(report, "output", "output", apply->output);
    cli_report_text(report, "names", "names", apply->prototypes);
    cli_report_int(report, "rows", "rows", truth->count);
    cli_report_int(report, "prototypes", "prototypes", classes);
    cli_report_int(report, "dim", "dim", dim);
    return cli_report_print(report);
}

static int make_prototypes(const struct apply *apply, const struct cli_rows *rows) {
    float *vectors = NULL;
    int64_t dim = rows->dim;
    struct cli_truth truth = {0};
    struct cli_wanted wanted = {"--labels", apply->labels, rows, rows->rows, "rows of --input"};
    int answer = cli_truth_read(&wanted, &truth);
    if (answer == CLI_DONE) answer = cli_rows_load(rows, &vectors);
    if (answer == CLI_DONE) answer = cli_project(apply->model, rows->rows, &vectors, &dim);
    if (answer == CLI_DONE) answer = average(apply, &truth, vectors, dim);
    free(vectors);
    cli_truth_free(&truth);
    return answer;
}

static int run_apply(const struct apply *apply) {
    vindex_transform *model = NULL;
    struct cli_rows rows;
    if (apply->output == NULL) return cli_words("-o: no file was named; add -o FILE");
    if (apply->labels != NULL && apply->prototypes == NULL)
        return cli_words("--labels: they are for prototypes; add --prototypes NAMES");
    int answer = cli_status(vindex_transform_load(apply->model, &model));
    if (answer != CLI_DONE) return answer;
    answer = cli_rows_open(apply->inputs, "--input", apply->prototypes != NULL ? 1 : 0, &rows);
    if (answer == CLI_DONE) {
        struct applying applying = {.model = model, .rows = &rows};
        answer = check_dim(apply, &rows, model);
        if (answer == CLI_DONE)
            answer = apply->prototypes != NULL ? make_prototypes(apply, &rows)
                                               : project(apply, &applying);
        cli_rows_close(&rows);
    }
    vindex_transform_free(model);
    return answer;
}

int cmd_apply(int argc, const char **argv) {
    struct apply apply = {0};
    struct poptOption options[] = {
        {"input", 0, POPT_ARG_ARGV, &apply.inputs, 0,
         "embeddings; given several times, their rows are appended", "FILE"},
        {"dtype", 0, POPT_ARG_STRING, &apply.dtype, 0,
         "how to store a number: f32, f16, ... (default f32, if the file can)", "TYPE"},
        {"prototypes", 0, POPT_ARG_STRING, &apply.prototypes, 0,
         "write class means, and the names of their classes to this .csv or .tsv", "NAMES"},
        {"labels", 0, POPT_ARG_ARGV, &apply.labels, 0, "the class of each row, for --prototypes",
         "FILE"},
        {"output", 'o', POPT_ARG_STRING, &apply.output, 0, "the embedding file to write", "FILE"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) {
        apply.model = parsed.words[0];
        answer = run_apply(&apply);
    }
    cli_release(options, &parsed);
    return answer;
}
