/* vindex fit: learn a projection, or a chain of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "rows.h"
#include "truth.h"

static const struct cli_usage usage = {
    .verb = "fit",
    .form = "METHOD[,METHOD...] --input X [--labels L] [--dim K|auto] [--set name=value ...] "
            "-o MODEL",
    .does = "Learns a projection, or a chain of them fitted one after the other. A method may say\n"
            "its dimension (pca:256,lda); --dim is that of the last one that can choose.\n"
            "`vindex fit METHOD --help` lists what --set takes.",
    .example = "  vindex fit standardise --input songs.npy -o standard.model\n"
               "  vindex apply standard.model --input songs.npy -o standardised.npy",
    .words = "METHOD",
    .word_count = 1,
};

struct fit {
    const char **inputs, **labels, **second, **validation, **validation_labels, **settings;
    char *dim, *output;
    const char *methods;
};

/* What a fit is made of. */
struct task {
    const struct fit *fit;
    struct cli_rows rows, second, validation;
    struct cli_truth truth, validation_truth;
    int32_t *cliques; /* of the rows, then of the validation rows */
    vindex_setting *settings;
    vindex_fit_data data;
    vindex_fit_params params;
};

static void close_task(struct task *task) {
    const struct vindex_setting *settings = task->settings;
    for (int64_t i = 0; i < task->params.setting_count; i++)
        free((char *)(uintptr_t)settings[i].name);
    free(task->settings);
    free(task->cliques);
    cli_truth_free(&task->truth);
    cli_truth_free(&task->validation_truth);
    cli_rows_close(&task->rows);
    cli_rows_close(&task->second);
    cli_rows_close(&task->validation);
}

/* ---- words ---- */

static int parse_dim(const char *text, int64_t *dim) {
    *dim = 0;
    if (text == NULL || strcmp(text, "auto") == 0) return CLI_DONE;
    char *end;
    errno = 0;
    *dim = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || *dim < 1)
        return cli_words("--dim: '%s' was given; give a number from 1 on, or auto", text);
    return CLI_DONE;
}

static int parse_settings(struct task *task) {
    const char **words = task->fit->settings;
    int64_t count = 0;
    while (words != NULL && words[count] != NULL) count++;
    task->settings = cli_alloc(count, sizeof *task->settings, "--set");
    if (task->settings == NULL) return CLI_FAILED;
    task->params.settings = task->settings;
    for (int64_t i = 0; i < count; i++) {
        char *name = cli_alloc((int64_t)strlen(words[i]) + 1, 1, "--set");
        if (name == NULL) return CLI_FAILED;
        strcpy(name, words[i]);
        char *equals = strchr(name, '=');
        if (equals != NULL) *equals = 0;
        task->settings[i] = (vindex_setting){name, equals != NULL ? equals + 1 : ""};
        task->params.setting_count = i + 1;
        if (equals == NULL) return cli_words("--set: '%s' was given; give name=value", words[i]);
    }
    return CLI_DONE;
}

static void print_field(const vindex_field *field) {
    printf("  %-16s %s (", field->name, field->help);
    if (field->kind == VINDEX_FIELD_BOOL)
        printf("true or false, default %s)\n", field->initial != 0 ? "true" : "false");
    else if (field->kind != VINDEX_FIELD_CHOICE)
        printf("%.15g to %.15g, default %.15g)\n", field->least, field->most, field->initial);
    for (int i = 0; field->kind == VINDEX_FIELD_CHOICE && i <= (int)field->most; i++)
        printf("%s%s", i > 0 ? ", " : "", field->choices[i]);
    if (field->kind == VINDEX_FIELD_CHOICE)
        printf("; default %s)\n", field->choices[(int)field->initial]);
}

/* One method's parameters, or a line per method. */
static int print_methods(const char *word) {
    const vindex_method *asked = word != NULL ? vindex_method_find(word) : NULL;
    printf("\n%s\n", asked != NULL ? "What --set takes:" : "Methods:");
    if (asked != NULL && asked->fields == NULL) printf("  nothing\n");
    for (size_t i = 0; asked != NULL && asked->fields != NULL && i < asked->fields->count; i++)
        print_field(&asked->fields->fields[i]);
    const vindex_method *method;
    for (int64_t i = 0; asked == NULL && (method = vindex_method_at(i)) != NULL; i++)
        printf("  %-16s %s%s%s\n", method->word, method->help,
               method->needs_labels ? " (needs --labels)" : "",
               method->needs_second ? " (needs --second)" : "");
    return CLI_DONE;
}

/* ---- data ---- */

static int read_labels(struct task *task) {
    const struct fit *fit = task->fit;
    bool labelled = fit->labels != NULL || task->rows.has_labels;
    if (!labelled) return CLI_DONE;
    struct cli_wanted wanted = {"--labels", fit->labels, &task->rows, task->rows.rows,
                                "rows of --input"};
    int answer = cli_truth_read(&wanted, &task->truth);
    bool validated = fit->validation_labels != NULL || task->validation.has_labels;
    if (answer == CLI_DONE && validated) {
        wanted =
            (struct cli_wanted){"--validation-labels", fit->validation_labels, &task->validation,
                                task->validation.rows, "rows of --validation"};
        answer = cli_truth_read(&wanted, &task->validation_truth);
    }
    if (answer == CLI_DONE)
        answer = cli_truth_number(&task->truth, validated ? &task->validation_truth : NULL,
                                  &task->cliques);
    task->data.labels = task->cliques;
    if (validated && answer == CLI_DONE)
        task->data.validation_labels = task->cliques + task->rows.rows;
    return answer;
}

static int open_data(struct task *task) {
    const struct fit *fit = task->fit;
    int answer = cli_rows_open(fit->inputs, "--input", 1, &task->rows);
    if (answer == CLI_DONE && fit->second != NULL)
        answer = cli_rows_open(fit->second, "--second", 1, &task->second);
    if (answer == CLI_DONE && fit->validation != NULL)
        answer = cli_rows_open(fit->validation, "--validation", 1, &task->validation);
    if (answer == CLI_DONE) answer = read_labels(task);
    if (answer != CLI_DONE) return answer;
    cli_rows_source(&task->rows, &task->data.rows);
    if (fit->second != NULL) cli_rows_source(&task->second, &task->data.second);
    if (fit->validation != NULL) cli_rows_source(&task->validation, &task->data.validation);
    return CLI_DONE;
}

static int report_result(const struct fit *fit, const vindex_transform *model, int64_t rows,
                         double seconds) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_text(report, "model", "model", fit->output);
    cli_report_text(report, "methods", "methods", fit->methods);
    cli_report_int(report, "rows", "rows", rows);
    cli_report_int(report, "dim", "dim", vindex_transform_input_dim(model));
    cli_model_steps(report, model);
    cli_report_real(report, "seconds", "seconds", seconds, 3, "");
    return cli_report_print(report);
}

static int run_task(struct task *task) {
    const struct fit *fit = task->fit;
    vindex_transform *model = NULL;
    int answer = parse_dim(fit->dim, &task->params.dim);
    if (answer == CLI_DONE) answer = parse_settings(task);
    if (answer == CLI_DONE) answer = cli_check_output(fit->output);
    if (answer == CLI_DONE) answer = open_data(task);
    double start = cli_clock();
    if (answer == CLI_DONE)
        answer = cli_status_words(vindex_fit(fit->methods, &task->data, &task->params, &model));
    if (answer == CLI_DONE) answer = cli_status(vindex_transform_save(model, fit->output));
    if (answer == CLI_DONE)
        answer = report_result(fit, model, task->rows.rows, cli_clock() - start);
    vindex_transform_free(model);
    return answer;
}

static int run_fit(const struct fit *fit) {
    struct task task = {.fit = fit};
    cli_tune_blas();
    vindex_fit_data_init(&task.data);
    vindex_fit_params_init(&task.params);
    task.params.seed = cli_common.seed;
    task.params.threads = cli_common.threads;
    task.params.progress = cli_progress;
    int answer = run_task(&task);
    close_task(&task);
    return answer;
}

int cmd_fit(int argc, const char **argv) {
    struct fit fit = {0};
    struct poptOption options[] = {
        {"input", 0, POPT_ARG_ARGV, &fit.inputs, 0,
         "embeddings to learn from; given several times, their rows are appended", "FILE"},
        {"labels", 0, POPT_ARG_ARGV, &fit.labels, 0, "the clique or class of each row", "FILE"},
        {"second", 0, POPT_ARG_ARGV, &fit.second, 0,
         "what belongs to each row elsewhere: another modality, a teacher's embeddings", "FILE"},
        {"validation", 0, POPT_ARG_ARGV, &fit.validation, 0, "embeddings to stop early by", "FILE"},
        {"validation-labels", 0, POPT_ARG_ARGV, &fit.validation_labels, 0, "their labels", "FILE"},
        {"dim", 0, POPT_ARG_STRING, &fit.dim, 0,
         "numbers that come out; auto (the default): as the method finds", "K"},
        {"set", 0, POPT_ARG_ARGV, &fit.settings, 0, "a parameter of a method", "NAME=VALUE"},
        {"output", 'o', POPT_ARG_STRING, &fit.output, 0, "the model file to write", "MODEL"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) {
        fit.methods = parsed.words[0];
        answer = run_fit(&fit);
    } else if (answer == CLI_DONE) {
        answer = print_methods(poptGetArg(parsed.context));
    }
    cli_release(options, &parsed);
    return answer;
}
