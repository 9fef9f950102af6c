#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vindex/io.h>
#include <vindex/ivf.h>

static char **words;

void cli_keep_words(char **argv) {
    words = argv;
}

/* OpenBLAS's own threads have nothing to do here, for vindex makes its own; but once loaded they
 * spin for a tenth of a second and take it from these. */
void cli_tune_blas(void) {
    const char *core = vindex_blas_advice();
    bool alone = getenv("OPENBLAS_NUM_THREADS") != NULL;
    if (core == NULL && alone) return;
    if ((core == NULL || setenv("OPENBLAS_CORETYPE", core, 1) == 0) &&
        (alone || setenv("OPENBLAS_NUM_THREADS", "1", 0) == 0))
        execv("/proc/self/exe", words);
    if (core == NULL) return; /* only the time that their spinning takes is lost */
    cli_note("vindex: note: OpenBLAS does not know this processor, and starting again failed, %s; "
             "set OPENBLAS_CORETYPE=%s for several times the speed",
             strerror(errno), core);
}

int cli_check_output(const char *path) {
    vindex_output *file;
    if (path == NULL) return cli_words("-o: no file was named; add -o FILE");
    int answer = cli_status(vindex_output_create(path, &file));
    if (answer == CLI_DONE) vindex_output_abort(file);
    return answer;
}

/* What was left out; and below that many vectors per list their centroids follow chance more than
 * they follow the data. */
static void note_training(const vindex_index *index, int64_t rows) {
    enum { EACH = 39 };
    vindex_ivf_stats stats;
    if (vindex_ivf_stats_get(index, &stats) != VINDEX_OK) return;
    if (stats.learnt_from < stats.offered)
        cli_note("vindex: note: trained on %lld of %lld vectors; more would hardly change it",
                 (long long)stats.learnt_from, (long long)stats.offered);
    if (stats.lists > 1 && rows / EACH < stats.lists)
        cli_note(
            "vindex: note: %lld vectors for %lld lists, fewer than %d each; fewer lists, or more "
            "vectors, would serve better",
            (long long)rows, (long long)stats.lists, EACH);
}

int cli_train(vindex_index *index, const struct cli_rows *rows) {
    vindex_rows source;
    if (vindex_is_trained(index)) return CLI_DONE;
    cli_tune_blas();
    cli_rows_source(rows, &source);
    vindex_call call = cli_call(&(struct cli_span){"training", 0, 1});
    int answer = cli_status(vindex_train_rows(index, &source, &call));
    if (answer == CLI_DONE) note_training(index, rows->rows);
    return answer;
}

int cli_project(const char *model_path, int64_t rows, float **vectors, int64_t *dim) {
    vindex_transform *model = NULL;
    int answer = cli_status(vindex_transform_load(model_path, &model));
    if (answer != CLI_DONE) return answer;
    int64_t in = vindex_transform_input_dim(model), out = vindex_transform_output_dim(model);
    float *results = NULL;
    if (in != *dim)
        answer = cli_fail("--project %s: it takes rows of %lld numbers and these have %lld; give "
                          "embeddings of the kind it was fitted on",
                          model_path, (long long)in, (long long)*dim);
    else if ((results = cli_alloc(rows, out * (int64_t)sizeof *results, "projected rows")) == NULL)
        answer = CLI_FAILED;
    vindex_call call = cli_call(&(struct cli_span){"projecting", 0, 1});
    if (answer == CLI_DONE)
        answer = cli_status(vindex_transform_apply(model, *vectors, rows, results, &call));
    vindex_transform_free(model);
    if (answer != CLI_DONE) {
        free(results);
        return answer;
    }
    free(*vectors);
    *vectors = results;
    *dim = out;
    return CLI_DONE;
}

/* One value, or the first few of many. */
static void list_values(char *text, size_t room, const vindex_transform_fact *fact) {
    enum { SHOWN = 6 };
    size_t used = 0;
    for (int64_t i = 0; i < fact->count && i < SHOWN && used < room; i++)
        used +=
            (size_t)snprintf(text + used, room - used, "%s%.6g", i ? ", " : "", fact->values[i]);
    if (fact->count > SHOWN && used < room)
        snprintf(text + used, room - used, ", ... %.6g (%lld of them)",
                 fact->values[fact->count - 1], (long long)fact->count);
}

static json_t *fact_json(const vindex_transform_fact *fact) {
    if (fact->count == 1) return cli_json_real(fact->values[0]);
    json_t *list = json_array();
    for (int64_t i = 0; i < fact->count; i++)
        json_array_append_new(list, cli_json_real(fact->values[i]));
    return list;
}

static json_t *report_step(struct cli_report *report, const vindex_transform *transform,
                           int64_t i) {
    static const char *const kinds[] = {"", "affine", "scale", "rotation", "normalise"};
    vindex_transform_step step;
    vindex_transform_fact fact;
    char label[32], text[224];
    if (vindex_transform_describe(transform, i, &step) != VINDEX_OK) return json_null();
    snprintf(label, sizeof label, "step %lld", (long long)i + 1);
    snprintf(text, sizeof text, "%s, %lld to %lld (%s)", step.method, (long long)step.in,
             (long long)step.out, kinds[step.kind]);
    cli_report_text(report, NULL, label, text);
    json_t *facts = json_object();
    for (int64_t f = 0; f < step.fact_count; f++) {
        if (vindex_transform_fact_at(transform, i, f, &fact) != VINDEX_OK) continue;
        snprintf(label, sizeof label, "- %s", fact.name);
        list_values(text, sizeof text, &fact);
        cli_report_text(report, NULL, label, text);
        json_object_set_new(facts, fact.name, fact_json(&fact));
    }
    return json_pack("{s:s, s:s, s:I, s:I, s:o}", "method", step.method, "kind", kinds[step.kind],
                     "in", (json_int_t)step.in, "out", (json_int_t)step.out, "facts", facts);
}

void cli_model_steps(struct cli_report *report, const vindex_transform *transform) {
    cli_report_int(report, "output_dim", "output dim", vindex_transform_output_dim(transform));
    json_t *steps = json_array();
    for (int64_t i = 0; i < vindex_transform_step_count(transform); i++)
        json_array_append_new(steps, report_step(report, transform, i));
    cli_report_json(report, "steps", steps);
}
