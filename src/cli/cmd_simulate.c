/* vindex simulate: embeddings with the clique structure of Da-TACOS, never real data. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vindex/eval.h>

#include "report.h"
#include "rows.h"
#include "truth.h"

static const struct cli_usage usage = {
    .verb = "simulate",
    .form = "da-tacos [--model move|re-move|bytecover2] [--dim D] -o DIR",
    .does = "Makes SIMULATED embeddings with the clique structure of Da-TACOS's benchmark (1,000\n"
            "cliques of 13 and 2,000 singletons): DIR/embeddings.npy and DIR/labels.csv. They\n"
            "stand in for the real ones and are to be called simulated wherever they are shown.",
    .example = "  vindex simulate da-tacos --model move --dim 512 -o simulated",
    .words = "da-tacos",
    .word_count = 1,
};

/* Names by vindex_simulated_model. */
static const char *const models[] = {"move", "re-move", "bytecover2"};
enum { MODEL_COUNT = sizeof models / sizeof *models };

struct simulate {
    const char **labels;
    char *model, *folder;
    long long dim;
    double scale;
    int training;
    vindex_simulate_params params;
};

/* One of the two sets that are written. */
struct set {
    char embeddings[4096], labels[4096];
    int64_t rows, dim, cliques;
    vindex_metric metric; /* the model is compared by */
};

static int name_files(const struct simulate *simulate, const char *prefix, struct set *set) {
    int a = snprintf(set->embeddings, sizeof set->embeddings, "%s/%sembeddings.npy",
                     simulate->folder, prefix);
    int b = snprintf(set->labels, sizeof set->labels, "%s/%slabels.csv", simulate->folder, prefix);
    if (a >= (int)sizeof set->embeddings || b >= (int)sizeof set->labels)
        return cli_fail("-o: the path is longer than %zu bytes; choose a shorter one",
                        sizeof set->labels);
    return CLI_DONE;
}

static int write_rows(const vindex_simulator *simulator, const struct set *set) {
    int64_t block = cli_block_rows(set->dim);
    float *vectors = cli_alloc(block, set->dim * (int64_t)sizeof *vectors, "block of rows");
    vindex_embeddings_writer *writer = NULL;
    int answer = vectors == NULL ? CLI_FAILED
                                 : cli_status(vindex_embeddings_create(
                                       set->embeddings, set->rows, set->dim, VINDEX_F32, &writer));
    for (int64_t first = 0; first < set->rows && answer == CLI_DONE; first += block) {
        int64_t count = set->rows - first < block ? set->rows - first : block;
        answer =
            cli_status(vindex_simulator_read(simulator, first, count, cli_common.threads, vectors));
        if (answer == CLI_DONE)
            answer = cli_status(vindex_embeddings_append(writer, vectors, count));
        double fraction = (double)(first + count) / (double)set->rows;
        if (answer == CLI_DONE && cli_progress(NULL, "simulating", fraction) != 0)
            answer = cli_status(VINDEX_ERR_CANCELLED);
    }
    free(vectors);
    if (answer == CLI_DONE) return cli_status(vindex_embeddings_finish(writer));
    vindex_embeddings_abort(writer);
    return answer;
}

/* Labels named after clique and row, as Da-TACOS names works and performances. */
static int write_names(const vindex_simulator *simulator, struct set *set) {
    enum { LENGTH = 24 };
    const int32_t *cliques = vindex_simulator_cliques(simulator);
    char *text = cli_alloc(set->rows, 2 * LENGTH, "labels");
    const char **names = cli_alloc(set->rows, 2 * sizeof *names, "labels");
    int answer = text != NULL && names != NULL ? CLI_DONE : CLI_FAILED;
    const char **ids = names != NULL ? names + set->rows : NULL;
    for (int64_t i = 0; i < set->rows && answer == CLI_DONE; i++) {
        char *name = text + i * 2 * LENGTH, *id = name + LENGTH;
        snprintf(name, LENGTH, "W_%lld", (long long)cliques[i]);
        snprintf(id, LENGTH, "P_%lld", (long long)i);
        names[i] = name;
        ids[i] = id;
    }
    vindex_labels labels = {0};
    if (answer == CLI_DONE)
        answer = cli_status(vindex_labels_from_names(names, ids, set->rows, &labels));
    if (answer == CLI_DONE) {
        set->cliques = labels.clique_count;
        answer = cli_status(vindex_labels_write(set->labels, &labels));
        vindex_labels_free(&labels);
    }
    free(names);
    free(text);
    return answer;
}

/* The user's own structure, names and recordings. */
static int write_truth(const struct cli_truth *truth, struct set *set) {
    vindex_labels labels;
    int answer =
        cli_status(vindex_labels_from_names(truth->names, truth->ids, truth->count, &labels));
    if (answer != CLI_DONE) return answer;
    set->cliques = labels.clique_count;
    answer = cli_status(vindex_labels_write(set->labels, &labels));
    vindex_labels_free(&labels);
    return answer;
}

static int write_set(const vindex_simulate_params *params, const struct cli_truth *truth,
                     struct set *set) {
    vindex_simulator *simulator = NULL;
    int32_t *cliques = NULL;
    int answer = truth != NULL ? cli_truth_number(truth, NULL, &cliques) : CLI_DONE;
    if (answer == CLI_DONE)
        answer = cli_status_words(
            vindex_simulator_create(params, cliques, truth != NULL ? truth->count : 0, &simulator));
    if (answer == CLI_DONE) {
        set->rows = vindex_simulator_rows(simulator);
        set->dim = vindex_simulator_dim(simulator);
        set->metric = vindex_simulator_metric(simulator);
        answer = write_rows(simulator, set);
    }
    if (answer == CLI_DONE) {
        answer = truth != NULL ? write_truth(truth, set) : write_names(simulator, set);
        /* Embeddings without their labels are half a result. */
        if (answer != CLI_DONE) unlink(set->embeddings);
    }
    free(cliques);
    vindex_simulator_free(simulator);
    return answer;
}

static int report_result(const struct simulate *simulate, const struct set *set,
                         const struct set *training, double seconds) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_json(report, "simulated", json_true());
    cli_report_text(report, NULL, "data", "SIMULATED, not real embeddings");
    cli_report_text(report, "model", "model", models[simulate->params.model]);
    cli_report_text(report, "metric", "compare by", vindex_metric_name(set->metric));
    cli_report_text(report, "embeddings", "embeddings", set->embeddings);
    cli_report_text(report, "labels", "labels", set->labels);
    cli_report_int(report, "rows", "rows", set->rows);
    cli_report_int(report, "dim", "dim", set->dim);
    cli_report_int(report, "cliques", "cliques", set->cliques);
    if (training != NULL) {
        cli_report_text(report, "training_embeddings", "training", training->embeddings);
        cli_report_text(report, "training_labels", "its labels", training->labels);
        cli_report_int(report, "training_rows", "its rows", training->rows);
    }
    cli_report_int(report, "seed", "seed", cli_common.seed);
    cli_report_real(report, "seconds", "seconds", seconds, 3, "");
    return cli_report_print(report);
}

static int write_sets(struct simulate *simulate, const struct cli_truth *truth) {
    struct set set = {0}, training = {0};
    double start = cli_clock();
    bool made = mkdir(simulate->folder, 0777) == 0;
    if (!made && errno != EEXIST)
        return cli_fail("-o %s: the folder cannot be made, %s; choose another", simulate->folder,
                        strerror(errno));
    int answer = name_files(simulate, "", &set);
    if (answer == CLI_DONE) answer = name_files(simulate, "training_", &training);
    if (answer == CLI_DONE) answer = write_set(&simulate->params, truth, &set);
    if (answer == CLI_DONE && simulate->training) {
        vindex_simulate_params params = simulate->params;
        params.training = true;
        answer = write_set(&params, NULL, &training);
    }
    if (answer == CLI_DONE)
        return report_result(simulate, &set, simulate->training ? &training : NULL,
                             cli_clock() - start);
    if (made) rmdir(simulate->folder);
    return answer;
}

static int check_words(struct simulate *simulate, const char *what) {
    if (strcmp(what, "da-tacos") != 0)
        return cli_words("'%s': it is not known what to simulate; use da-tacos", what);
    if (simulate->folder == NULL) return cli_words("-o: no folder was named; add -o DIR");
    vindex_simulate_params *params = &simulate->params;
    vindex_simulate_params_init(params);
    int model = 0;
    while (simulate->model != NULL && model < MODEL_COUNT &&
           strcmp(simulate->model, models[model]) != 0)
        model++;
    if (model == MODEL_COUNT)
        return cli_words("--model: '%s' is not known; use move, re-move or bytecover2",
                         simulate->model);
    params->model = (vindex_simulated_model)model;
    if (simulate->dim < 0)
        return cli_words("--dim: %lld was given; give 1 or more, or 0 for the model's own",
                         simulate->dim);
    params->dim = simulate->dim;
    params->scale = simulate->scale;
    params->seed = (uint64_t)cli_common.seed;
    return CLI_DONE;
}

static int run_simulate(struct simulate *simulate, const char *what) {
    int answer = check_words(simulate, what);
    if (answer != CLI_DONE) return answer;
    if (simulate->labels == NULL) return write_sets(simulate, NULL);
    struct cli_truth truth;
    struct cli_wanted wanted = {.flag = "--labels", .paths = simulate->labels, .count = -1};
    answer = cli_truth_read(&wanted, &truth);
    if (answer != CLI_DONE) return answer;
    answer = write_sets(simulate, &truth);
    cli_truth_free(&truth);
    return answer;
}

int cmd_simulate(int argc, const char **argv) {
    struct simulate simulate = {.scale = 1};
    struct poptOption options[] = {
        {"model", 0, POPT_ARG_STRING, &simulate.model, 0,
         "move (the default), re-move or bytecover2", "MODEL"},
        {"dim", 0, POPT_ARG_LONGLONG, &simulate.dim, 0,
         "numbers per row (default: the model's, 16000, 256 or 1536)", "D"},
        {"scale", 0, POPT_ARG_DOUBLE, &simulate.scale, 0,
         "times as many cliques and singletons (default 1)", "F"},
        {"labels", 0, POPT_ARG_ARGV, &simulate.labels, 0, "take the cliques of this file instead",
         "FILE"},
        {"training", 0, POPT_ARG_NONE, &simulate.training, 0,
         "also training_embeddings.npy and training_labels.csv", NULL},
        {"output", 'o', POPT_ARG_STRING, &simulate.folder, 0, "the folder to write to", "DIR"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) answer = run_simulate(&simulate, parsed.words[0]);
    cli_release(options, &parsed);
    return answer;
}
