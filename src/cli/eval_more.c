/* Measures beside the ranking: triplet prediction, class prototypes, silhouette. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"

/* ---- triplets ---- */

struct named {
    const char *id;
    int64_t row;
};

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct named *)a)->id, ((const struct named *)b)->id);
}

/* The ids of the rows, sorted; *names is NULL where rows have none and are named by number. */
static int sort_ids(const struct eval_task *task, struct named **names) {
    const struct cli_rows *rows = &task->candidates;
    *names = NULL;
    if (!rows->has_ids && task->truth.ids == NULL) return CLI_DONE;
    *names = cli_alloc(rows->rows, sizeof **names, "--triplets");
    if (*names == NULL) return CLI_FAILED;
    for (int64_t i = 0; i < rows->rows; i++)
        (*names)[i] = (struct named){rows->has_ids ? cli_rows_id(rows, i) : task->truth.ids[i], i};
    qsort(*names, (size_t)rows->rows, sizeof **names, compare_names);
    for (int64_t i = 1; i < rows->rows; i++)
        if (strcmp((*names)[i].id, (*names)[i - 1].id) == 0)
            return cli_fail("--triplets: id '%s' names more than one row; give each its own",
                            (*names)[i].id);
    return CLI_DONE;
}

static int64_t row_of(const char *text, const struct named *names, int64_t rows) {
    char *end;
    if (names == NULL) {
        long long row = strtoll(text, &end, 10);
        return end != text && *end == '\0' && row >= 0 && row < rows ? row : -1;
    }
    struct named key = {text, 0};
    const struct named *found = bsearch(&key, names, (size_t)rows, sizeof *names, compare_names);
    return found != NULL ? found->row : -1;
}

struct triplets {
    const char *path;
    const struct named *names;
    int64_t rows, count, room, line;
    int64_t *numbers;
};

/* Anchor, positive and negative, by commas, tabs or blanks. A first line that begins with the word
 * anchor is a header. */
static int take_triplet(struct triplets *t, char *text) {
    char *state = NULL, *word = strtok_r(text, ",\t \r\n", &state);
    t->line++;
    if (word == NULL || (t->line == 1 && strcmp(word, "anchor") == 0)) return CLI_DONE;
    if (t->count == t->room) {
        int64_t room = t->room > 0 ? t->room * 2 : 1024;
        int64_t *numbers = realloc(t->numbers, (size_t)room * 3 * sizeof *numbers);
        if (numbers == NULL) return cli_fail("%s: no memory for its triplets; free some", t->path);
        t->numbers = numbers;
        t->room = room;
    }
    for (int i = 0; i < 3; i++, word = strtok_r(NULL, ",\t \r\n", &state)) {
        int64_t row = word != NULL ? row_of(word, t->names, t->rows) : -1;
        if (word == NULL)
            return cli_fail("%s: line %lld has %d names; give anchor, positive and negative",
                            t->path, (long long)t->line, i);
        if (row < 0)
            return cli_fail("%s: line %lld names '%s', which is no %s; leave the line out or name "
                            "one",
                            t->path, (long long)t->line, word,
                            t->names != NULL ? "id of --input" : "row of --input (from 0)");
        t->numbers[t->count * 3 + i] = row;
    }
    t->count++;
    return word == NULL ? CLI_DONE
                        : cli_fail("%s: line %lld goes on after three names; give no more", t->path,
                                   (long long)t->line);
}

static int read_triplets(struct triplets *t) {
    FILE *file = fopen(t->path, "r");
    if (file == NULL) return cli_fail("%s: it cannot be opened; check the path", t->path);
    char *text = NULL;
    size_t size = 0;
    int answer = CLI_DONE;
    while (answer == CLI_DONE && getline(&text, &size, file) >= 0) answer = take_triplet(t, text);
    if (answer == CLI_DONE && ferror(file))
        answer = cli_fail("%s: it cannot be read; check it", t->path);
    if (answer == CLI_DONE && t->count == 0)
        answer =
            cli_fail("%s: it holds no triplet; give lines of anchor, positive, negative", t->path);
    free(text);
    fclose(file);
    return answer;
}

static int add_triplets(const struct eval_task *task, struct cli_report *report) {
    struct named *names;
    int answer = sort_ids(task, &names);
    struct triplets t = {
        .path = task->eval->triplets, .names = names, .rows = task->candidates.rows};
    if (answer == CLI_DONE) answer = read_triplets(&t);
    vindex_eval_triplets asked = {task->vectors, t.rows, task->dim, t.numbers, t.count};
    vindex_eval_triplet_report found;
    if (answer == CLI_DONE)
        answer = cli_status(vindex_eval_triplet_accuracy(&asked, &task->eval->params, &found));
    if (answer == CLI_DONE) {
        cli_report_real(report, "triplet_accuracy", "triplet accuracy", found.accuracy, 4, "");
        cli_report_int(report, "triplets", "triplets", found.triplets);
        cli_report_int(report, "triplets_tied", "of them tied", found.tied);
    }
    free(t.numbers);
    free(names);
    return answer;
}

/* ---- classes ---- */

static int add_prototypes(const struct eval_task *task, struct cli_report *report) {
    bool square = eval_is_square(task->eval);
    int64_t rows = task->candidates.rows;
    vindex_eval_sets sets = {
        .queries = square ? task->vectors : task->query_vectors,
        .query_cliques = square ? task->cliques : task->cliques + rows,
        .query_count = square ? rows : task->queries.rows,
        .candidates = task->vectors,
        .candidate_cliques = task->cliques,
        .candidate_count = rows,
        .dim = task->dim,
    };
    vindex_eval_prototype_report found;
    int answer = cli_status(vindex_eval_prototypes(&sets, square, &task->eval->params, &found));
    if (answer != CLI_DONE) return answer;
    cli_report_real(report, "AUC", "auto-tagging AUC", found.auc, 4, "");
    cli_report_int(report, "AUC_classes", "over classes", found.auc_classes);
    cli_report_int(report, "prototype_Top1", "prototype Top1", found.top1);
    cli_report_real(report, "prototype_MRR", "prototype MRR", found.mrr, 4, "");
    cli_report_int(report, "prototype_queries", "prototype queries", found.queries);
    return CLI_DONE;
}

static int add_silhouette(const struct eval_task *task, struct cli_report *report) {
    double silhouette;
    int answer =
        cli_status(vindex_eval_silhouette(task->vectors, task->cliques, task->candidates.rows,
                                          task->dim, &task->eval->params, &silhouette));
    if (answer != CLI_DONE) return answer;
    cli_report_real(report, "silhouette", "silhouette", silhouette, 4, "");
    return CLI_DONE;
}

int eval_more(const struct eval_task *task, struct cli_report *report) {
    const struct eval *eval = task->eval;
    int answer = CLI_DONE;
    if (eval->triplets != NULL) answer = add_triplets(task, report);
    if (answer == CLI_DONE && eval->prototypes) answer = add_prototypes(task, report);
    if (answer == CLI_DONE && eval->silhouette) answer = add_silhouette(task, report);
    return answer;
}
