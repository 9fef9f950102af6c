/* vindex eval: retrieval measures of embeddings, of an index over them, or of a ready matrix. */
#include "eval.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

static const struct cli_usage usage = {
    .verb = "eval",
    .form = "--input X --labels L [--metric M] [--preset P] [--queries Q --query-labels LQ]",
    .does = "Ranks all items for each query and prints MAP, MR1 and the other measures. Without\n"
            "--queries each item queries all others. --preset counts as one of the field's public\n"
            "scripts does; --index measures what an index returns; --similarity and --distance a\n"
            "ready matrix, one row per query.",
    .example = "  vindex eval --input songs.npy --labels labels.csv --metric cosine\n"
               "  vindex eval --input songs.npy --labels labels.csv --preset re-move --metric l2\n"
               "  vindex eval --input new.npy --labels labels.csv --compare old.npy\n"
               "  vindex eval --input train.csv --queries test.csv --label-column class --knn 1\n"
               "  vindex eval --input folder --labels labels.csv --segments meanmin\n"
               "  vindex eval --similarity qmax.npy --labels labels.csv --json",
    .words = "flags",
    .word_count = 0,
};

static int report_all(const struct eval_task *task) {
    const struct eval *eval = task->eval;
    int answer = CLI_DONE;
    if (eval->per_query != NULL) answer = eval_queries_write(task);
    if (answer == CLI_DONE && eval->plot != NULL) answer = eval_plot(task);
    if (answer == CLI_DONE && eval->scatter != NULL) answer = eval_scatter(task);
    if (answer != CLI_DONE) return answer;
    struct cli_report *report = eval_report(task);
    if (report == NULL) return CLI_FAILED;
    answer = eval_more(task, report);
    if (answer == CLI_DONE && eval->compare != NULL) answer = eval_compare(task, report);
    if (answer == CLI_DONE) return cli_report_print(report);
    cli_report_free(report);
    return answer;
}

/* ---- words ---- */

static int check_matrix(const struct eval *eval) {
    if (eval->similarity != NULL && eval->distance != NULL)
        return cli_words("--similarity, --distance: both were given; give one of them");
    if (eval->inputs || eval->queries || eval->spec || eval->project || eval->metric)
        return cli_words("--similarity, --distance: beside --input, --queries, --index, --project "
                         "or --metric they have no meaning; give the matrix and its labels alone");
    if (eval->segments || eval->padding || eval->dims || eval->triplets || eval->prototypes ||
        eval->silhouette || eval->scatter)
        return cli_words("--similarity, --distance: --segments, --padding, --dims, --triplets, "
                         "--prototypes, --silhouette and --scatter look at embeddings; give those "
                         "with --input");
    return CLI_DONE;
}

static int check_segments(struct eval *eval) {
    if (eval->padding != NULL && (eval->segments == NULL || (strcmp(eval->padding, "zeros") != 0 &&
                                                             strcmp(eval->padding, "nan") != 0)))
        return cli_words("--padding: '%s' was given; give zeros or nan, beside --segments",
                         eval->padding);
    if (eval->segments == NULL) return CLI_DONE;
    if (!vindex_eval_reduction_parse(eval->segments, &eval->reduction))
        return cli_words("--segments: '%s' is not known; use min, max, mean, minmean, meanmin "
                         "(maxmean), best-K or bpwr-N, with an s in front for both directions",
                         eval->segments);
    if (eval->spec || eval->triplets || eval->prototypes || eval->silhouette || eval->scatter)
        return cli_words("--segments: --index, --triplets, --prototypes, --silhouette and "
                         "--scatter look at single vectors; leave them out");
    return CLI_DONE;
}

/* The metric; l2/d is l2 with its distances shown divided by the number of dimensions. */
static int check_metric(struct eval *eval) {
    eval->per_dim = eval->metric != NULL && strcmp(eval->metric, "l2/d") == 0;
    return cli_metric(eval->per_dim ? "l2" : eval->metric, &eval->params.metric);
}

static int check_words(struct eval *eval) {
    vindex_eval_params *params = &eval->params;
    bool matrix = eval_is_matrix(eval);
    if (eval->preset != NULL && !vindex_eval_preset_parse(eval->preset, &params->preset))
        return cli_words("--preset: '%s' is not known; use default, re-move, acoss, clews, "
                         "discogs-vinet or coverhunter",
                         eval->preset);
    if (eval->query_labels != NULL && !matrix && eval->queries == NULL)
        return cli_words("--query-labels: there are no --queries; add them");
    if (eval->compare != NULL && !cli_ends(eval->compare, ".jsonl") && !eval_is_square(eval))
        return cli_words("--compare: beside --queries or --query-labels another system is known by "
                         "the .jsonl that --per-query wrote for it; give that");
    if (eval->silhouette && eval->queries != NULL)
        return cli_words("--silhouette: it is of one set; leave --queries out");
    if (eval->depth < 0)
        return cli_words("--depth: %lld was given; give 0 (all) or more", eval->depth);
    if (eval->depth > 0 && eval->spec == NULL && params->preset != VINDEX_EVAL_COVERHUNTER)
        return cli_words("--depth: it is for --index and for --preset coverhunter; the other "
                         "measures look at all candidates");
    int answer = matrix ? check_matrix(eval) : CLI_DONE;
    if (answer == CLI_DONE) answer = check_segments(eval);
    if (answer == CLI_DONE) answer = check_metric(eval);
    if (answer != CLI_DONE) return answer;
    params->threads = cli_common.threads;
    params->knn = eval->knn;
    params->precision_at = eval->precision_at;
    params->progress = cli_progress;
    params->depth = eval->depth;
    params->top = eval->per_query != NULL ? eval->top : 0;
    return cli_status_words(vindex_fields_check(vindex_eval_fields(), params));
}

static int run_eval(struct eval *eval) {
    int answer = check_words(eval);
    if (answer != CLI_DONE) return answer;
    struct eval_task task = {.eval = eval};
    cli_tune_blas();
    answer = eval_run(&task);
    bool ranked = task.cliques != NULL;
    if (answer == CLI_DONE && !ranked &&
        (eval->per_query || eval->compare || eval->plot || eval->scatter || eval->prototypes ||
         eval->silhouette))
        answer = cli_words("--labels: not given; without labels only --triplets can be measured");
    if (answer == CLI_DONE) answer = report_all(&task);
    eval_close(&task);
    return answer;
}

int cmd_eval(int argc, const char **argv) {
    struct eval eval = {.top = 10};
    vindex_eval_params_init(&eval.params);
    eval.precision_at = eval.params.precision_at;
    struct poptOption options[] = {
        {"input", 0, POPT_ARG_ARGV, &eval.inputs, 0,
         "embeddings; given several times, their rows are appended", "FILE"},
        {"labels", 0, POPT_ARG_ARGV, &eval.labels, 0, "the clique of each row", "FILE"},
        {"queries", 0, POPT_ARG_ARGV, &eval.queries, 0, "embeddings that query --input", "FILE"},
        {"query-labels", 0, POPT_ARG_ARGV, &eval.query_labels, 0, "the clique of each query",
         "FILE"},
        {"metric", 0, POPT_ARG_STRING, &eval.metric, 0,
         "l2 (the default), l2/d, ip, cosine or pearson", "METRIC"},
        {"preset", 0, POPT_ARG_STRING, &eval.preset, 0,
         "whose script's convention: default, re-move, acoss, clews, discogs-vinet, coverhunter",
         "NAME"},
        {"index", 0, POPT_ARG_STRING, &eval.spec, 0, "rank with an index, such as Flat,f16",
         "SPEC"},
        {"project", 0, POPT_ARG_STRING, &eval.project, 0,
         "measure what a model that `vindex fit` wrote makes of the embeddings", "MODEL"},
        {"depth", 0, POPT_ARG_LONGLONG, &eval.depth, 0,
         "neighbours to ask the index for, 0 (the default): all; how deep coverhunter's AP looks, "
         "0: 10,000",
         "N"},
        {"similarity", 0, POPT_ARG_STRING, &eval.similarity, 0,
         "a matrix of similarities, larger is better", "FILE"},
        {"distance", 0, POPT_ARG_STRING, &eval.distance, 0,
         "a matrix of distances, smaller is better", "FILE"},
        {"segments", 0, POPT_ARG_STRING, &eval.segments, 0,
         "rows in a row with one id are a recording; their distances become one by min, max, mean, "
         "minmean, meanmin, best-K, bpwr-N, or s and one of these",
         "HOW"},
        {"padding", 0, POPT_ARG_STRING, &eval.padding, 0, "rows of zeros or of nan are no segments",
         "zeros|nan"},
        {"dims", 0, POPT_ARG_STRING, &eval.dims, 0,
         "dimensions to compare, such as 0-63,128, or a file with a weight for each", "LIST|FILE"},
        {"knn", 0, POPT_ARG_LONGLONG, &eval.knn, 0, "also k-NN accuracy, with N neighbours", "N"},
        {"precision-at", 0, POPT_ARG_LONGLONG, &eval.precision_at, 0,
         "k of precision@k (default 10)", "K"},
        {"triplets", 0, POPT_ARG_STRING, &eval.triplets, 0,
         "also triplet accuracy: lines of anchor, positive, negative (ids, or rows from 0)",
         "FILE"},
        {"prototypes", 0, POPT_ARG_NONE, &eval.prototypes, 0,
         "also retrieval by class means, and its AUC", NULL},
        {"silhouette", 0, POPT_ARG_NONE, &eval.silhouette, 0, "also the mean silhouette", NULL},
        {"per-query", 0, POPT_ARG_STRING, &eval.per_query, 0,
         "write a JSON line per query: id, AP, first rank, nearest", "FILE"},
        {"top", 0, POPT_ARG_LONGLONG, &eval.top, 0,
         "nearest candidates in --per-query (default 10)", "N"},
        {"compare", 0, POPT_ARG_STRING, &eval.compare, 0,
         "show another system beside this one: its embeddings (or matrix), or the .jsonl that "
         "--per-query wrote",
         "FILE"},
        {"plot", 0, POPT_ARG_STRING, &eval.plot, 0,
         "draw first ranks, precision and recall, MAP by clique size (.svg or .png)", "FILE"},
        {"scatter", 0, POPT_ARG_STRING, &eval.scatter, 0,
         "draw the first two principal components, coloured by label (.svg or .png)", "FILE"},
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
