/* Two systems side by side: this one, and another embedding file or an earlier per-query file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"

/* The measures that can be told from a per-query file. */
struct summary {
    int64_t queries, top1, top10;
    double map, mr1, mrr, mdr;
};

static int compare_ranks(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int summarise(const struct eval_system *system, struct summary *s) {
    *s = (struct summary){0};
    int64_t *ranks = cli_alloc(system->count, sizeof *ranks, "--compare");
    if (ranks == NULL) return CLI_FAILED;
    for (int64_t i = 0; i < system->count; i++) {
        int64_t first = system->first_rank[i];
        if (first == 0) continue;
        ranks[s->queries++] = first;
        s->map += system->average_precision[i];
        s->mr1 += (double)first;
        s->mrr += 1 / (double)first;
        s->top1 += first == 1;
        s->top10 += first <= 10;
    }
    qsort(ranks, (size_t)s->queries, sizeof *ranks, compare_ranks);
    double n = s->queries > 0 ? (double)s->queries : NAN;
    s->map /= n;
    s->mr1 /= n;
    s->mrr /= n;
    s->mdr =
        s->queries > 0 ? 0.5 * (double)(ranks[(s->queries - 1) / 2] + ranks[s->queries / 2]) : NAN;
    free(ranks);
    return CLI_DONE;
}

/* ---- whose query is whose ---- */

struct named {
    const char *id;
    int64_t row;
};

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct named *)a)->id, ((const struct named *)b)->id);
}

/* Reorders the other system's average precisions as this one's queries are. */
static int join_by_id(const struct eval_system *mine, const struct eval_system *other,
                      const char *path, double *joined) {
    struct named *names = cli_alloc(other->count, sizeof *names, "--compare");
    if (names == NULL) return CLI_FAILED;
    int answer = CLI_DONE;
    for (int64_t i = 0; i < other->count; i++) names[i] = (struct named){other->ids[i], i};
    qsort(names, (size_t)other->count, sizeof *names, compare_names);
    for (int64_t i = 1; i < other->count && answer == CLI_DONE; i++)
        if (strcmp(names[i].id, names[i - 1].id) == 0)
            answer = cli_fail("--compare %s: id '%s' appears twice; keep one", path, names[i].id);
    for (int64_t i = 0; i < mine->count && answer == CLI_DONE; i++) {
        struct named key = {mine->ids[i], 0};
        const struct named *found =
            bsearch(&key, names, (size_t)other->count, sizeof *names, compare_names);
        if (found == NULL)
            answer = cli_fail("--compare %s: it has no query '%s'; evaluate both on the same "
                              "recordings",
                              path, mine->ids[i]);
        else
            joined[i] = other->average_precision[found->row];
    }
    free(names);
    return answer;
}

static int join(const struct eval_system *mine, const struct eval_system *other, const char *path,
                double *joined) {
    if (mine->count != other->count)
        return cli_fail("--compare %s: it has %lld queries and this evaluation %lld; evaluate both "
                        "on the same recordings",
                        path, (long long)other->count, (long long)mine->count);
    if (mine->ids != NULL && other->ids != NULL) return join_by_id(mine, other, path, joined);
    memcpy(joined, other->average_precision, (size_t)mine->count * sizeof *joined);
    return CLI_DONE;
}

/* ---- the other system ---- */

/* Another file of the kind that is evaluated, under the same words. */
static int evaluate_other(const struct eval_task *task, struct eval_system *other) {
    struct eval words = *task->eval;
    const char *inputs[] = {words.compare, NULL};
    if (words.similarity != NULL) words.similarity = words.compare;
    if (words.distance != NULL) words.distance = words.compare;
    if (!eval_is_matrix(&words)) words.inputs = inputs;
    words.params.top = words.params.knn = 0;
    struct eval_task second = {.eval = &words};
    int answer = eval_run(&second);
    if (answer == CLI_DONE) answer = eval_system_of(&second, other);
    eval_close(&second);
    return answer;
}

static int read_other(const struct eval_task *task, struct eval_system *other) {
    const char *path = task->eval->compare;
    return cli_ends(path, ".jsonl") ? eval_queries_read(path, other) : evaluate_other(task, other);
}

/* ---- the table ---- */

static void pair_reals(struct cli_report *report, const char *name, double mine, double other,
                       int digits) {
    char text[64];
    snprintf(text, sizeof text, "%.*f  %.*f", digits, mine, digits, other);
    cli_report_text(report, NULL, name, text);
}

static json_t *summary_json(const struct summary *s) {
    json_t *json = json_object();
    json_object_set_new(json, "MAP", cli_json_real(s->map));
    json_object_set_new(json, "MR1", cli_json_real(s->mr1));
    json_object_set_new(json, "MRR", cli_json_real(s->mrr));
    json_object_set_new(json, "MDR", cli_json_real(s->mdr));
    json_object_set_new(json, "Top1", json_integer(s->top1));
    json_object_set_new(json, "Top10", json_integer(s->top10));
    json_object_set_new(json, "queries", json_integer(s->queries));
    return json;
}

static void show(struct cli_report *report, const char *path, const struct summary *mine,
                 const struct summary *other, const vindex_eval_difference *d) {
    char text[160];
    json_t *json = json_object();
    json_object_set_new(json, "file", json_string(path));
    json_object_set_new(json, "this", summary_json(mine));
    json_object_set_new(json, "other", summary_json(other));
    json_object_set_new(json, "queries", json_integer(d->queries));
    json_object_set_new(json, "difference", cli_json_real(d->difference));
    json_object_set_new(json, "interval",
                        json_pack("[o, o]", cli_json_real(d->low), cli_json_real(d->high)));
    json_object_set_new(json, "better", json_integer(d->better));
    json_object_set_new(json, "worse", json_integer(d->worse));
    cli_report_json(report, "compare", json);
    cli_report_text(report, NULL, "compared with", path);
    pair_reals(report, "  MAP (this, other)", mine->map, other->map, 4);
    pair_reals(report, "  MR1", mine->mr1, other->mr1, 2);
    pair_reals(report, "  MRR", mine->mrr, other->mrr, 4);
    pair_reals(report, "  MDR", mine->mdr, other->mdr, 1);
    pair_reals(report, "  Top1", (double)mine->top1, (double)other->top1, 0);
    pair_reals(report, "  Top10", (double)mine->top10, (double)other->top10, 0);
    snprintf(text, sizeof text,
             "%+.4f, 95%% interval %+.4f to %+.4f (paired bootstrap); %lld better, %lld worse",
             d->difference, d->low, d->high, (long long)d->better, (long long)d->worse);
    cli_report_text(report, NULL, "  MAP, this less other", text);
}

int eval_compare(const struct eval_task *task, struct cli_report *report) {
    struct eval_system mine = {0}, other = {0};
    struct summary of_mine, of_other;
    vindex_eval_difference difference;
    double *joined = cli_alloc(task->detail.query_rows, sizeof *joined, "--compare");
    int answer = joined != NULL ? eval_system_of(task, &mine) : CLI_FAILED;
    if (answer == CLI_DONE) answer = read_other(task, &other);
    if (answer == CLI_DONE) answer = join(&mine, &other, task->eval->compare, joined);
    if (answer == CLI_DONE)
        answer = cli_status(vindex_eval_compare(joined, mine.average_precision, mine.count, 0,
                                                (uint64_t)cli_common.seed, cli_common.threads,
                                                &difference));
    if (answer == CLI_DONE) answer = summarise(&mine, &of_mine);
    if (answer == CLI_DONE) answer = summarise(&other, &of_other);
    if (answer == CLI_DONE) show(report, task->eval->compare, &of_mine, &of_other, &difference);
    eval_system_free(&mine);
    eval_system_free(&other);
    free(joined);
    return answer;
}
