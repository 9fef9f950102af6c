/* vindex import: a linear layer that was trained elsewhere becomes a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vindex/io.h>

#include "model.h"

static const struct cli_usage usage = {
    .verb = "import",
    .form = "STATE --linear NAME [--no-bias] [--batch-norm NAME [--no-affine] [--epsilon E]] "
            "-o MODEL",
    .does = "Makes a model of a linear layer, and of the batch norm after it, that were trained\n"
            "elsewhere. STATE is a container file with members called as PyTorch calls them\n"
            "(NAME.weight, NAME.bias, NAME.running_mean, NAME.running_var), or a folder with a\n"
            "file NAME.weight.npy and so on.",
    .example = "  vindex import move.pt --linear lin1 --no-bias --batch-norm lin_bn --no-affine "
               "-o move.model",
    .words = "STATE",
    .word_count = 1,
};

struct import {
    char *linear, *norm, *output;
    double epsilon;
    int no_bias, no_affine;
    const char *state;
    bool folder;
};

/* A matrix or vector that was read. */
struct tensor {
    float *numbers;
    int64_t rows, dim;
};

static int open_tensor(const struct import *import, const char *layer, const char *part,
                       vindex_embeddings **file) {
    char *name =
        cli_alloc((int64_t)(strlen(import->state) + strlen(layer) + strlen(part) + 8), 1, "import");
    if (name == NULL) return CLI_FAILED;
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    if (import->folder) {
        sprintf(name, "%s/%s.%s.npy", import->state, layer, part);
    } else {
        sprintf(name, "%s.%s", layer, part);
        options.key = name;
    }
    int answer =
        cli_status(vindex_embeddings_open(import->folder ? name : import->state, &options, file));
    free(name);
    return answer;
}

static int read_tensor(const struct import *import, const char *layer, const char *part,
                       struct tensor *tensor) {
    vindex_embeddings *file;
    vindex_embeddings_info info;
    int answer = open_tensor(import, layer, part, &file);
    if (answer != CLI_DONE) return answer;
    vindex_embeddings_describe(file, &info);
    tensor->rows = info.rows;
    tensor->dim = info.dim;
    tensor->numbers = cli_alloc(info.rows, info.dim * (int64_t)sizeof(float), "import");
    answer = tensor->numbers != NULL
                 ? cli_status(vindex_embeddings_read(file, 0, info.rows, tensor->numbers))
                 : CLI_FAILED;
    vindex_embeddings_close(file);
    return answer;
}

/* A vector of as many numbers as the layer has outputs, whichever way it lies. */
static int read_vector(const struct import *import, const char *layer, const char *part,
                       int64_t count, struct tensor *tensor) {
    int answer = read_tensor(import, layer, part, tensor);
    if (answer != CLI_DONE) return answer;
    if ((tensor->rows == 1 && tensor->dim == count) || (tensor->dim == 1 && tensor->rows == count))
        return CLI_DONE;
    return cli_fail("%s: %s.%s has %lld x %lld numbers; the layer has %lld outputs, give as many",
                    import->state, layer, part, (long long)tensor->rows, (long long)tensor->dim,
                    (long long)count);
}

enum { WEIGHT, BIAS, MEAN, VARIANCE, SCALE, OFFSET, PARTS };

static int read_parts(const struct import *import, struct tensor *parts) {
    int answer = read_tensor(import, import->linear, "weight", &parts[WEIGHT]);
    int64_t out = parts[WEIGHT].rows;
    const struct {
        int part;
        bool wanted;
        const char *layer, *name;
    } rest[] = {
        {BIAS, !import->no_bias, import->linear, "bias"},
        {MEAN, import->norm != NULL, import->norm, "running_mean"},
        {VARIANCE, import->norm != NULL, import->norm, "running_var"},
        {SCALE, import->norm != NULL && !import->no_affine, import->norm, "weight"},
        {OFFSET, import->norm != NULL && !import->no_affine, import->norm, "bias"},
    };
    for (size_t i = 0; i < sizeof rest / sizeof *rest && answer == CLI_DONE; i++)
        if (rest[i].wanted)
            answer = read_vector(import, rest[i].layer, rest[i].name, out, &parts[rest[i].part]);
    return answer;
}

static int report_result(const struct import *import, const vindex_transform *model) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_text(report, "model", "model", import->output);
    cli_report_int(report, "dim", "dim", vindex_transform_input_dim(model));
    cli_report_int(report, "output_dim", "output dim", vindex_transform_output_dim(model));
    return cli_report_print(report);
}

static int make_model(const struct import *import, const struct tensor *parts) {
    vindex_layer layer;
    vindex_layer_init(&layer);
    layer.in = parts[WEIGHT].dim;
    layer.out = parts[WEIGHT].rows;
    layer.weights = parts[WEIGHT].numbers;
    layer.bias = parts[BIAS].numbers;
    layer.mean = parts[MEAN].numbers;
    layer.variance = parts[VARIANCE].numbers;
    layer.scale = parts[SCALE].numbers;
    layer.offset = parts[OFFSET].numbers;
    layer.epsilon = import->epsilon;
    vindex_transform *model = NULL;
    int answer = cli_status(vindex_transform_layer("linear", &layer, &model));
    if (answer == CLI_DONE) answer = cli_status(vindex_transform_save(model, import->output));
    if (answer == CLI_DONE) answer = report_result(import, model);
    vindex_transform_free(model);
    return answer;
}

static int run_import(struct import *import) {
    struct tensor parts[PARTS] = {{0}};
    struct stat about;
    if (import->linear == NULL) return cli_words("--linear: no layer was named; add --linear NAME");
    if (import->norm == NULL && import->no_affine)
        return cli_words("--no-affine: there is no batch norm; add --batch-norm NAME");
    import->folder = stat(import->state, &about) == 0 && S_ISDIR(about.st_mode);
    int answer = cli_check_output(import->output);
    if (answer == CLI_DONE) answer = read_parts(import, parts);
    if (answer == CLI_DONE) answer = make_model(import, parts);
    for (int i = 0; i < PARTS; i++) free(parts[i].numbers);
    return answer;
}

int cmd_import(int argc, const char **argv) {
    struct import import = {.epsilon = 1e-5};
    struct poptOption options[] = {
        {"linear", 0, POPT_ARG_STRING, &import.linear, 0, "the linear layer", "NAME"},
        {"no-bias", 0, POPT_ARG_NONE, &import.no_bias, 0, "it has no bias", NULL},
        {"batch-norm", 0, POPT_ARG_STRING, &import.norm, 0, "the batch norm after it", "NAME"},
        {"no-affine", 0, POPT_ARG_NONE, &import.no_affine, 0,
         "the batch norm has no weight and bias", NULL},
        {"epsilon", 0, POPT_ARG_DOUBLE | POPT_ARGFLAG_SHOW_DEFAULT, &import.epsilon, 0,
         "of the batch norm", "E"},
        {"output", 'o', POPT_ARG_STRING, &import.output, 0, "the model file to write", "MODEL"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) {
        import.state = parsed.words[0];
        answer = run_import(&import);
    }
    cli_release(options, &parsed);
    return answer;
}
