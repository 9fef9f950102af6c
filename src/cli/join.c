#include "join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An id, or the part of it that is compared. */
struct entry {
    const char *text;
    size_t length;
    int64_t index;
};

/* What is left out of ids, from exact to loose. */
enum { WITHOUT_ENDING = 1, WITHOUT_FOLDERS = 2, STAGES = 4 };

static int compare(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    size_t shared = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->text, y->text, shared);
    if (order != 0) return order;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static bool same(const struct entry *x, const struct entry *y) {
    return x->length == y->length && memcmp(x->text, y->text, x->length) == 0;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* An ending begins with a letter and is short: ".npy", not the rest of "vol. 2" or of "1.5". */
static struct entry reduce(const char *id, int64_t index, int stage) {
    enum { ENDING_MOST = 11 };
    struct entry entry = {id, strlen(id), index};
    const char *slash = strrchr(id, '/');
    if (stage & WITHOUT_FOLDERS && slash != NULL && slash[1] != 0) {
        entry.length -= (size_t)(slash + 1 - id);
        entry.text = slash + 1;
    }
    const char *point = strrchr(entry.text, '.');
    if (stage & WITHOUT_ENDING && point != NULL && point > entry.text && point[-1] != '/' &&
        (slash == NULL || point > slash) && is_letter(point[1]) && strlen(point + 1) <= ENDING_MOST)
        entry.length = (size_t)(point - entry.text);
    return entry;
}

static void reduce_all(const char *const *ids, int64_t count, int stage, struct entry *entries) {
    for (int64_t i = 0; i < count; i++) entries[i] = reduce(ids[i], i, stage);
    qsort(entries, (size_t)count, sizeof *entries, compare);
}

/* The same id with two labels is refused; with one label it counts once. */
static int drop_repeated(const struct cli_join *join, struct entry *entries, int64_t *count) {
    int64_t kept = 0, clashes = 0, clash = 0;
    for (int64_t i = 0; i < *count; i++) {
        bool again = kept > 0 && same(&entries[i], &entries[kept - 1]);
        if (!again) {
            entries[kept++] = entries[i];
        } else if (strcmp(join->labels[entries[i].index], join->labels[entries[kept - 1].index]) !=
                   0) {
            if (clashes++ == 0) clash = entries[i].index;
        }
    }
    *count = kept;
    if (clashes == 0) return CLI_DONE;
    return cli_fail("%s %s: id '%s' has two labels, and so have %lld in all; keep one of each",
                    join->flag, join->path, join->label_ids[clash], (long long)clashes);
}

/* Walks both sorted sides; an id that is one of a kind on both is found. */
static int64_t match(struct cli_join *join, const struct entry *ids, const struct entry *labels,
                     int64_t label_count) {
    int64_t matched = 0, at = 0;
    for (int64_t i = 0, next; i < join->count; i = next) {
        for (next = i + 1; next < join->count && same(&ids[next], &ids[i]);) next++;
        while (at < label_count && compare(&(struct entry){labels[at].text, labels[at].length, 0},
                                           &(struct entry){ids[i].text, ids[i].length, 0}) < 0)
            at++;
        bool there = at < label_count && same(&labels[at], &ids[i]);
        bool alone = at + 1 >= label_count || !same(&labels[at + 1], &ids[i]);
        if (!there || !alone || next > i + 1 || join->found[ids[i].index] >= 0) continue;
        join->found[ids[i].index] = labels[at].index;
        matched++;
    }
    return matched;
}

/* Up to three ids for which which[i] is negative, "'a', 'b', 'c'". */
static const char *examples(const char *const *ids, const int64_t *which, int64_t count,
                            char list[256]) {
    int shown = 0, used = 0;
    for (int64_t i = 0; i < count && shown < 3; i++)
        if (which[i] < 0)
            used +=
                snprintf(list + used, 256 - (size_t)used, "%s'%.60s'", shown++ ? ", " : "", ids[i]);
    return list;
}

/* What is missing on either side, told with examples. */
static int report(const struct cli_join *join, int64_t matched, const int64_t *used,
                  int64_t unused) {
    char missing[256], left[256];
    examples(join->label_ids, used, join->label_count, left);
    if (matched < join->count)
        return cli_fail(
            "%s %s: it has no label for %lld of %lld ids, such as %s%s%s; add them, or "
            "give labels without ids to join them by row",
            join->flag, join->path, (long long)(join->count - matched), (long long)join->count,
            examples(join->ids, join->found, join->count, missing),
            unused > 0 ? ", and labels left over, such as of " : "", unused > 0 ? left : "");
    if (unused > 0)
        cli_note("note: %s %s: %lld of its %lld labels are of ids that are not asked for, such as "
                 "%s",
                 join->flag, join->path, (long long)unused, (long long)join->label_count, left);
    return CLI_DONE;
}

/* Marks labels that were used; one id may have several. */
static int64_t count_unused(const struct cli_join *join, int64_t *used, const struct entry *sorted,
                            int64_t *first_of) {
    for (int64_t i = 0; i < join->label_count; i++) {
        bool again = i > 0 && same(&sorted[i], &sorted[i - 1]);
        first_of[sorted[i].index] = again ? first_of[sorted[i - 1].index] : sorted[i].index;
        used[i] = -1;
    }
    for (int64_t i = 0; i < join->count; i++)
        if (join->found[i] >= 0) used[join->found[i]] = 0;
    int64_t unused = 0;
    for (int64_t i = 0; i < join->label_count; i++) {
        if (used[first_of[i]] == 0) used[i] = 0;
        unused += used[i] < 0;
    }
    return unused;
}

int cli_join_check(const struct cli_join *join) {
    int64_t count = join->label_count;
    struct entry *labels = cli_alloc(count, sizeof *labels, "labels");
    if (labels == NULL) return CLI_FAILED;
    reduce_all(join->label_ids, count, 0, labels);
    int answer = drop_repeated(join, labels, &count);
    free(labels);
    return answer;
}

int cli_join(struct cli_join *join) {
    int64_t count = join->label_count, matched = 0, loose = 0;
    struct entry *labels = cli_alloc(count, sizeof *labels, "labels");
    struct entry *ids = cli_alloc(join->count, sizeof *ids, "labels");
    int64_t *used = cli_alloc(count, sizeof *used, "labels");
    int64_t *first_of = cli_alloc(count, sizeof *first_of, "labels");
    int answer = labels && ids && used && first_of ? CLI_DONE : CLI_FAILED;
    for (int64_t i = 0; i < join->count; i++) join->found[i] = -1;
    for (int stage = 0; stage < STAGES && answer == CLI_DONE && matched < join->count; stage++) {
        /* Labels of one id count once; what they are is known from the exact stage on. */
        int64_t distinct = join->label_count;
        reduce_all(join->label_ids, join->label_count, 0, labels);
        answer = drop_repeated(join, labels, &distinct);
        for (int64_t i = 0; i < distinct; i++)
            labels[i] = reduce(join->label_ids[labels[i].index], labels[i].index, stage);
        qsort(labels, (size_t)distinct, sizeof *labels, compare);
        reduce_all(join->ids, join->count, stage, ids);
        int64_t now = answer == CLI_DONE ? match(join, ids, labels, distinct) : 0;
        matched += now;
        if (stage > 0) loose += now;
    }
    if (answer == CLI_DONE) {
        reduce_all(join->label_ids, join->label_count, 0, labels);
        answer = report(join, matched, used, count_unused(join, used, labels, first_of));
    }
    if (answer == CLI_DONE && loose > 0)
        cli_note("note: %s %s: %lld of %lld ids are found without their folders or ending",
                 join->flag, join->path, (long long)loose, (long long)join->count);
    free(labels);
    free(ids);
    free(used);
    free(first_of);
    return answer;
}
