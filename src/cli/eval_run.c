/* From words to measures: files are opened, joined with their labels, loaded and ranked. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "model.h"

void eval_close(struct eval_task *task) {
    vindex_eval_detail_free(&task->detail);
    free(task->cliques);
    free(task->vectors);
    free(task->query_vectors);
    free(task->padding);
    free(task->query_padding);
    free(task->index);
    cli_truth_free(&task->truth);
    cli_truth_free(&task->query_truth);
    cli_rows_close(&task->candidates);
    cli_rows_close(&task->queries);
}

/* ---- embeddings ---- */

static int open_rows(struct eval_task *task) {
    const struct eval *eval = task->eval;
    int answer = cli_rows_open(eval->inputs, "--input", 1, &task->candidates);
    if (answer == CLI_DONE && eval->queries != NULL)
        answer = cli_rows_open(eval->queries, "--queries", 1, &task->queries);
    if (answer != CLI_DONE) return answer;
    if (eval->queries != NULL && task->queries.dim != task->candidates.dim)
        return cli_fail("--queries %s: they have %lld numbers and --input %s %lld; give both in "
                        "one dimension",
                        eval->queries[0], (long long)task->queries.dim, eval->inputs[0],
                        (long long)task->candidates.dim);
    return CLI_DONE;
}

/* Triplets need no labels: without any there is nothing to rank. */
static bool labels_wanted(const struct eval_task *task) {
    return task->eval->triplets == NULL || task->eval->labels != NULL ||
           task->candidates.has_labels;
}

static int read_labels(struct eval_task *task) {
    const struct eval *eval = task->eval;
    bool segments = eval->segments != NULL;
    struct cli_wanted wanted = {"--labels",        eval->labels,
                                &task->candidates, task->candidates.rows,
                                "rows of --input", segments};
    int answer = cli_truth_read(&wanted, &task->truth);
    if (answer == CLI_DONE && eval->queries != NULL) {
        wanted = (struct cli_wanted){"--query-labels",   eval->query_labels,  &task->queries,
                                     task->queries.rows, "rows of --queries", segments};
        answer = cli_truth_read(&wanted, &task->query_truth);
    }
    if (answer != CLI_DONE) return answer;
    return cli_truth_number(&task->truth, eval->queries != NULL ? &task->query_truth : NULL,
                            &task->cliques);
}

/* Marks rows that are padding and makes them zeros, so that they can be projected. */
static int mark_padding(const char *kind, float *vectors, int64_t rows, int64_t dim,
                        uint8_t **padding) {
    *padding = cli_alloc(rows, sizeof **padding, "--padding");
    if (*padding == NULL) return CLI_FAILED;
    bool zeros = strcmp(kind, "zeros") == 0;
    for (int64_t i = 0; i < rows; i++) {
        float *row = vectors + i * dim;
        int64_t j = 0;
        while (j < dim && (zeros ? row[j] == 0 : isnan(row[j]))) j++;
        (*padding)[i] = j == dim;
        if (j == dim) memset(row, 0, (size_t)dim * sizeof *row);
    }
    return CLI_DONE;
}

static int load_padded(const char *kind, const struct cli_rows *rows, float **vectors,
                       uint8_t **padding) {
    *vectors = cli_alloc(rows->rows, rows->dim * (int64_t)sizeof **vectors, rows->paths[0]);
    if (*vectors == NULL) return CLI_FAILED;
    int answer = cli_rows_read(rows, 0, rows->rows, *vectors);
    if (answer == CLI_DONE) answer = mark_padding(kind, *vectors, rows->rows, rows->dim, padding);
    if (answer == CLI_DONE) answer = cli_rows_finite(rows, 0, rows->rows, *vectors);
    return answer;
}

/* The rows of one set as they are compared. */
static int load_set(const struct eval *eval, const struct cli_rows *rows, float **vectors,
                    uint8_t **padding, int64_t *dim) {
    int answer = eval->padding != NULL ? load_padded(eval->padding, rows, vectors, padding)
                                       : cli_rows_load(rows, vectors);
    *dim = rows->dim;
    if (answer == CLI_DONE && eval->project != NULL)
        answer = cli_project(eval->project, rows->rows, vectors, dim);
    if (answer == CLI_DONE && eval->dims != NULL)
        answer = eval_dims_apply(eval, *vectors, rows->rows, dim);
    return answer;
}

static vindex_eval_sets sets_of(const struct eval_task *task) {
    bool square = eval_is_square(task->eval);
    int64_t rows = task->candidates.rows;
    return (vindex_eval_sets){
        .queries = square ? task->vectors : task->query_vectors,
        .query_cliques = square ? task->cliques : task->cliques + rows,
        .query_count = square ? rows : task->queries.rows,
        .candidates = task->vectors,
        .candidate_cliques = task->cliques,
        .candidate_count = rows,
        .dim = task->dim,
    };
}

static int train(vindex_index *index, const vindex_eval_sets *sets) {
    if (vindex_is_trained(index)) return CLI_DONE;
    vindex_call call = cli_call(&(struct cli_span){"training", 0, 1});
    return cli_status(vindex_train(index, sets->candidates, sets->candidate_count, &call));
}

/* Ranks with an index of the candidates, made for the purpose. */
static int run_index(struct eval_task *task) {
    const struct eval *eval = task->eval;
    vindex_eval_sets sets = sets_of(task);
    vindex_call call = cli_call(&(struct cli_span){"building", 0, 1});
    vindex_search_params search;
    vindex_search_params_init(&search);
    search.threads = cli_common.threads;
    vindex_index *index = NULL;
    int answer = cli_status_words(vindex_create(eval->spec, sets.dim, eval->params.metric, &index));
    if (answer == CLI_DONE) answer = train(index, &sets);
    if (answer == CLI_DONE)
        answer = cli_status(vindex_add(index, sets.candidates, sets.candidate_count, &call));
    if (answer == CLI_DONE)
        answer = cli_status_words(vindex_eval_index(index, &sets, eval_is_square(eval), eval->depth,
                                                    &search, &eval->params, &task->report,
                                                    &task->detail));
    if (answer == CLI_DONE) {
        task->index = strdup(vindex_spec(index));
        if (task->index == NULL) answer = cli_fail("--index: no memory for its name; free some");
    }
    vindex_free(index);
    return answer;
}

static int run_exhaustive(struct eval_task *task) {
    vindex_eval_sets sets = sets_of(task);
    const vindex_eval_params *params = &task->eval->params;
    return cli_status(eval_is_square(task->eval)
                          ? vindex_eval(sets.candidates, sets.candidate_cliques,
                                        sets.candidate_count, sets.dim, params, &task->report,
                                        &task->detail)
                          : vindex_eval_split(&sets, params, &task->report, &task->detail));
}

/* ---- recordings of several rows ---- */

struct recordings {
    vindex_eval_recordings given;
    int64_t *offsets;
    int32_t *cliques;
};

static void free_recordings(struct recordings *r) {
    free(r->offsets);
    free(r->cliques);
}

static int make_recordings(const struct cli_truth *truth, const int32_t *cliques,
                           struct recordings *r) {
    int64_t count = truth->starts != NULL ? truth->recordings : truth->count;
    *r = (struct recordings){
        .offsets = cli_alloc(count + 1, sizeof *r->offsets, "recordings"),
        .cliques = cli_alloc(count, sizeof *r->cliques, "recordings"),
    };
    if (r->offsets == NULL || r->cliques == NULL) return CLI_FAILED;
    for (int64_t i = 0; i < count; i++) {
        r->offsets[i] = eval_first_row(truth, i);
        r->cliques[i] = cliques[r->offsets[i]];
    }
    r->offsets[count] = truth->count;
    r->given.offsets = r->offsets;
    r->given.cliques = r->cliques;
    r->given.count = count;
    return CLI_DONE;
}

static int run_segments(struct eval_task *task) {
    const struct eval *eval = task->eval;
    bool square = eval_is_square(eval);
    struct recordings candidates, queries = {0};
    int answer = make_recordings(&task->truth, task->cliques, &candidates);
    if (answer == CLI_DONE && !square)
        answer = make_recordings(&task->query_truth, task->cliques + task->truth.count, &queries);
    candidates.given.vectors = task->vectors;
    candidates.given.padding = task->padding;
    queries.given.vectors = task->query_vectors;
    queries.given.padding = task->query_padding;
    candidates.given.dim = queries.given.dim = task->dim;
    if (answer == CLI_DONE)
        answer = cli_status(vindex_eval_segments(square ? NULL : &queries.given, &candidates.given,
                                                 &eval->reduction, &eval->params, &task->report,
                                                 &task->detail));
    free_recordings(&candidates);
    free_recordings(&queries);
    return answer;
}

static int eval_embeddings(struct eval_task *task) {
    int answer = open_rows(task);
    bool labelled = answer == CLI_DONE && labels_wanted(task);
    if (labelled) answer = read_labels(task);
    if (answer == CLI_DONE)
        answer =
            load_set(task->eval, &task->candidates, &task->vectors, &task->padding, &task->dim);
    if (answer == CLI_DONE && task->eval->queries != NULL)
        answer = load_set(task->eval, &task->queries, &task->query_vectors, &task->query_padding,
                          &task->dim);
    if (answer != CLI_DONE || !labelled) return answer;
    if (task->eval->segments != NULL) return run_segments(task);
    return task->eval->spec != NULL ? run_index(task) : run_exhaustive(task);
}

/* ---- a matrix: candidates.rows are its rows, candidates.dim its columns ---- */

static vindex_status read_rows(void *context, int64_t first, int64_t count, float *values) {
    return vindex_embeddings_read(context, first, count, values);
}

static int open_matrix(struct eval_task *task, const char *path) {
    const struct eval *eval = task->eval;
    const char *paths[] = {path, NULL};
    int answer = cli_rows_open(paths, eval->similarity ? "--similarity" : "--distance", 1,
                               &task->candidates);
    if (answer != CLI_DONE) return answer;
    int64_t rows = task->candidates.rows, columns = task->candidates.dim;
    if (eval->query_labels == NULL && rows != columns)
        return cli_fail("%s: it has %lld rows and %lld columns; give --query-labels for the rows "
                        "and --labels for the columns",
                        path, (long long)rows, (long long)columns);
    struct cli_wanted wanted = {"--labels", eval->labels, NULL, columns, "columns of the matrix",
                                false};
    answer = cli_truth_read(&wanted, &task->truth);
    if (answer == CLI_DONE && eval->query_labels != NULL) {
        wanted = (struct cli_wanted){
            "--query-labels", eval->query_labels, NULL, rows, "rows of the matrix", false};
        answer = cli_truth_read(&wanted, &task->query_truth);
    }
    if (answer != CLI_DONE) return answer;
    return cli_truth_number(&task->truth, eval->query_labels != NULL ? &task->query_truth : NULL,
                            &task->cliques);
}

static int eval_matrix(struct eval_task *task) {
    const struct eval *eval = task->eval;
    bool square = eval_is_square(eval);
    int answer = open_matrix(task, eval->similarity ? eval->similarity : eval->distance);
    if (answer != CLI_DONE) return answer;
    int64_t columns = task->candidates.dim;
    vindex_eval_matrix matrix = {
        .rows = read_rows,
        .context = task->candidates.files[0],
        .similarity = eval->similarity != NULL,
        .query_cliques = square ? task->cliques : task->cliques + columns,
        .query_count = task->candidates.rows,
        .candidate_cliques = task->cliques,
        .candidate_count = columns,
        .square = square,
    };
    return cli_status(
        vindex_eval_from_matrix(&matrix, &eval->params, &task->report, &task->detail));
}

int eval_run(struct eval_task *task) {
    return eval_is_matrix(task->eval) ? eval_matrix(task) : eval_embeddings(task);
}
