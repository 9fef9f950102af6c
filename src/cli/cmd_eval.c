/* vindex eval: retrieval measures of embeddings, of an index over them, or of a ready matrix. */
#include <stdlib.h>
#include <string.h>

#include <vindex/eval.h>

#include "measures.h"
#include "model.h"
#include "rows.h"
#include "truth.h"

static const struct cli_usage usage = {
    .verb = "eval",
    .form = "--input X --labels L [--metric M] [--queries Q --query-labels LQ] [--index SPEC]",
    .does = "Ranks all items for each query and prints MAP, MR1 and the other measures. Without\n"
            "--queries each item queries all others. --index measures what an index returns;\n"
            "--similarity and --distance a ready matrix, one row per query.",
    .example = "  vindex eval --input songs.npy --labels labels.csv --metric cosine\n"
               "  vindex eval --input train.csv --queries test.csv --label-column class --knn 1\n"
               "  vindex eval --similarity qmax.npy --labels labels.csv --json",
    .words = "flags",
    .word_count = 0,
};

struct eval {
    const char **inputs, **labels, **queries, **query_labels;
    char *metric, *preset, *spec, *project, *similarity, *distance, *per_query;
    long long knn, precision_at, depth;
    vindex_eval_params params;
};

/* What the library is asked about and what it answered. */
struct task {
    const struct eval *eval;
    struct cli_rows candidates, queries; /* queries.rows is 0: the candidates query each other */
    struct cli_truth truth, query_truth;
    int32_t *cliques; /* of the candidates, then of the queries */
    vindex_eval_report report;
    vindex_eval_detail detail;
};

static void close_task(struct task *task) {
    vindex_eval_detail_free(&task->detail);
    free(task->cliques);
    cli_truth_free(&task->truth);
    cli_truth_free(&task->query_truth);
    cli_rows_close(&task->candidates);
    cli_rows_close(&task->queries);
}

static int finish(const struct task *task, const char *metric, const char *index, bool square) {
    const struct eval *eval = task->eval;
    int answer = CLI_DONE;
    if (eval->per_query != NULL)
        answer =
            cli_measures_per_query(eval->per_query, &task->detail,
                                   task->query_truth.count > 0 ? &task->query_truth : &task->truth);
    struct cli_measured how = {metric, index, square, eval->params.precision_at, eval->params.knn};
    return answer == CLI_DONE ? cli_measures_print(&how, &task->report) : answer;
}

static vindex_eval_detail *wanted_detail(struct task *task) {
    return task->eval->per_query != NULL ? &task->detail : NULL;
}

/* ---- embeddings ---- */

static int open_sets(struct task *task) {
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
    struct cli_wanted wanted = {"--labels", eval->labels, &task->candidates, task->candidates.rows,
                                "rows of --input"};
    answer = cli_truth_read(&wanted, &task->truth);
    if (answer == CLI_DONE && eval->queries != NULL) {
        wanted = (struct cli_wanted){"--query-labels", eval->query_labels, &task->queries,
                                     task->queries.rows, "rows of --queries"};
        answer = cli_truth_read(&wanted, &task->query_truth);
    }
    if (answer != CLI_DONE) return answer;
    return cli_truth_number(&task->truth, eval->queries != NULL ? &task->query_truth : NULL,
                            &task->cliques);
}

static int train(vindex_index *index, const vindex_eval_sets *sets) {
    if (vindex_is_trained(index)) return CLI_DONE;
    vindex_call call = cli_call(&(struct cli_span){"training", 0, 1});
    return cli_status(vindex_train(index, sets->candidates, sets->candidate_count, &call));
}

/* Ranks with an index of the candidates, made for the purpose. */
static int run_index(struct task *task, const vindex_eval_sets *sets) {
    const struct eval *eval = task->eval;
    bool square = eval->queries == NULL;
    vindex_call call = cli_call(&(struct cli_span){"building", 0, 1});
    vindex_search_params search;
    vindex_search_params_init(&search);
    search.threads = cli_common.threads;
    vindex_index *index = NULL;
    int answer =
        cli_status_words(vindex_create(eval->spec, sets->dim, eval->params.metric, &index));
    if (answer == CLI_DONE) answer = train(index, sets);
    if (answer == CLI_DONE)
        answer = cli_status(vindex_add(index, sets->candidates, sets->candidate_count, &call));
    if (answer == CLI_DONE)
        answer =
            cli_status_words(vindex_eval_index(index, sets, square, eval->depth, &search,
                                               &eval->params, &task->report, wanted_detail(task)));
    if (answer == CLI_DONE)
        answer = finish(task, vindex_metric_name(eval->params.metric), vindex_spec(index), square);
    vindex_free(index);
    return answer;
}

static int run_exhaustive(struct task *task, const vindex_eval_sets *sets) {
    const vindex_eval_params *params = &task->eval->params;
    bool square = task->eval->queries == NULL;
    int answer = cli_status(
        square ? vindex_eval(sets->candidates, sets->candidate_cliques, sets->candidate_count,
                             sets->dim, params, &task->report, wanted_detail(task))
               : vindex_eval_split(sets, params, &task->report, wanted_detail(task)));
    if (answer != CLI_DONE) return answer;
    return finish(task, vindex_metric_name(params->metric), NULL, square);
}

/* Both sets in memory, projected where that was asked. */
static int load_sets(struct task *task, float **candidates, float **queries, int64_t *dim) {
    const char *project = task->eval->project;
    int64_t query_dim = *dim = task->candidates.dim;
    bool square = task->eval->queries == NULL;
    int answer = cli_rows_load(&task->candidates, candidates);
    if (answer == CLI_DONE && project != NULL)
        answer = cli_project(project, task->candidates.rows, candidates, dim);
    if (answer == CLI_DONE && !square) answer = cli_rows_load(&task->queries, queries);
    if (answer == CLI_DONE && !square && project != NULL)
        answer = cli_project(project, task->queries.rows, queries, &query_dim);
    return answer;
}

static int eval_embeddings(struct task *task) {
    int64_t dim = 0;
    bool square = task->eval->queries == NULL;
    float *candidates = NULL, *queries = NULL;
    int answer = open_sets(task);
    if (answer == CLI_DONE) answer = load_sets(task, &candidates, &queries, &dim);
    if (answer == CLI_DONE) {
        int64_t rows = task->candidates.rows;
        vindex_eval_sets sets = {
            .queries = square ? candidates : queries,
            .query_cliques = square ? task->cliques : task->cliques + rows,
            .query_count = square ? rows : task->queries.rows,
            .candidates = candidates,
            .candidate_cliques = task->cliques,
            .candidate_count = rows,
            .dim = dim,
        };
        answer = task->eval->spec != NULL ? run_index(task, &sets) : run_exhaustive(task, &sets);
    }
    free(candidates);
    free(queries);
    return answer;
}

/* ---- a matrix: candidates.rows are its rows, candidates.dim its columns ---- */

static vindex_status read_row(void *context, int64_t query, float *values) {
    return vindex_embeddings_read(context, query, 1, values);
}

static int open_matrix(struct task *task, const char *path) {
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
    struct cli_wanted wanted = {"--labels", eval->labels, NULL, columns, "columns of the matrix"};
    answer = cli_truth_read(&wanted, &task->truth);
    if (answer == CLI_DONE && eval->query_labels != NULL) {
        wanted = (struct cli_wanted){"--query-labels", eval->query_labels, NULL, rows,
                                     "rows of the matrix"};
        answer = cli_truth_read(&wanted, &task->query_truth);
    }
    if (answer != CLI_DONE) return answer;
    return cli_truth_number(&task->truth, eval->query_labels != NULL ? &task->query_truth : NULL,
                            &task->cliques);
}

static int eval_matrix(struct task *task) {
    const struct eval *eval = task->eval;
    bool square = eval->query_labels == NULL;
    int answer = open_matrix(task, eval->similarity ? eval->similarity : eval->distance);
    if (answer != CLI_DONE) return answer;
    int64_t columns = task->candidates.dim;
    vindex_eval_matrix matrix = {
        .row = read_row,
        .context = task->candidates.files[0],
        .similarity = eval->similarity != NULL,
        .query_cliques = square ? task->cliques : task->cliques + columns,
        .query_count = task->candidates.rows,
        .candidate_cliques = task->cliques,
        .candidate_count = columns,
        .square = square,
    };
    answer = cli_status(
        vindex_eval_from_matrix(&matrix, &eval->params, &task->report, wanted_detail(task)));
    if (answer != CLI_DONE) return answer;
    return finish(task, eval->similarity ? "similarity matrix" : "distance matrix", NULL, square);
}

/* ---- words ---- */

static int check_words(struct eval *eval) {
    bool matrix = eval->similarity != NULL || eval->distance != NULL;
    if (eval->preset != NULL && strcmp(eval->preset, "default") != 0)
        return cli_words("--preset: '%s' is not known; use default", eval->preset);
    if (eval->similarity != NULL && eval->distance != NULL)
        return cli_words("--similarity, --distance: both were given; give one of them");
    if (matrix && (eval->inputs || eval->queries || eval->spec || eval->project || eval->metric))
        return cli_words("--similarity, --distance: beside --input, --queries, --index, --project "
                         "or --metric they have no meaning; give the matrix and its labels alone");
    if (eval->query_labels != NULL && !matrix && eval->queries == NULL)
        return cli_words("--query-labels: there are no --queries; add them");
    if (eval->depth < 0)
        return cli_words("--depth: %lld was given; give 0 (all) or more", eval->depth);
    vindex_eval_params *params = &eval->params;
    params->threads = cli_common.threads;
    params->knn = eval->knn;
    params->precision_at = eval->precision_at;
    params->progress = cli_progress;
    int answer = cli_metric(eval->metric, &params->metric);
    if (answer != CLI_DONE) return answer;
    return cli_status_words(vindex_fields_check(vindex_eval_fields(), params));
}

static int run_eval(struct eval *eval) {
    int answer = check_words(eval);
    if (answer != CLI_DONE) return answer;
    struct task task = {.eval = eval};
    if (eval->spec != NULL) cli_tune_blas(); /* its index may learn */
    bool matrix = eval->similarity != NULL || eval->distance != NULL;
    answer = matrix ? eval_matrix(&task) : eval_embeddings(&task);
    close_task(&task);
    return answer;
}

int cmd_eval(int argc, const char **argv) {
    struct eval eval = {0};
    vindex_eval_params_init(&eval.params);
    eval.precision_at = eval.params.precision_at;
    struct poptOption options[] = {
        {"input", 0, POPT_ARG_ARGV, &eval.inputs, 0,
         "embeddings; given several times, their rows are appended", "FILE"},
        {"labels", 0, POPT_ARG_ARGV, &eval.labels, 0, "the clique of each row", "FILE"},
        {"queries", 0, POPT_ARG_ARGV, &eval.queries, 0, "embeddings that query --input", "FILE"},
        {"query-labels", 0, POPT_ARG_ARGV, &eval.query_labels, 0, "the clique of each query",
         "FILE"},
        {"metric", 0, POPT_ARG_STRING, &eval.metric, 0, "l2 (the default), ip, cosine or pearson",
         "METRIC"},
        {"preset", 0, POPT_ARG_STRING, &eval.preset, 0, "how to count: default", "NAME"},
        {"index", 0, POPT_ARG_STRING, &eval.spec, 0, "rank with an index, such as Flat,f16",
         "SPEC"},
        {"project", 0, POPT_ARG_STRING, &eval.project, 0,
         "measure what a model that `vindex fit` wrote makes of the embeddings", "MODEL"},
        {"depth", 0, POPT_ARG_LONGLONG, &eval.depth, 0,
         "neighbours to ask the index for; 0 (the default): all", "N"},
        {"similarity", 0, POPT_ARG_STRING, &eval.similarity, 0,
         "a matrix of similarities, larger is better", "FILE"},
        {"distance", 0, POPT_ARG_STRING, &eval.distance, 0,
         "a matrix of distances, smaller is better", "FILE"},
        {"knn", 0, POPT_ARG_LONGLONG, &eval.knn, 0, "also k-NN accuracy, with N neighbours", "N"},
        {"precision-at", 0, POPT_ARG_LONGLONG, &eval.precision_at, 0,
         "k of precision@k (default 10)", "K"},
        {"per-query", 0, POPT_ARG_STRING, &eval.per_query, 0,
         "write a JSON line per query: id, AP, first rank, relevant", "FILE"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) answer = run_eval(&eval);
    cli_release(options, &parsed);
    return answer;
}
