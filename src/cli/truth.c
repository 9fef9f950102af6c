#include "truth.h"

#include <stdlib.h>
#include <string.h>

/* Column flags name columns of the embedding tables; of the label file where there are none. */
static bool columns_are_of_labels(const struct cli_rows *rows) {
    for (int i = 0; rows != NULL && i < rows->count; i++)
        if (cli_is_table(rows->paths[i])) return false;
    return true;
}

static int read_files(const struct cli_wanted *wanted, struct cli_truth *truth) {
    int count = 0;
    while (wanted->paths[count] != NULL) count++;
    truth->files = cli_alloc(count, sizeof *truth->files, wanted->flag);
    if (truth->files == NULL) return CLI_FAILED;
    for (int i = 0; i < count; i++) {
        vindex_labels_options options;
        vindex_labels_options_init(&options);
        if (columns_are_of_labels(wanted->rows) && cli_is_table(wanted->paths[i])) {
            options.label_column = cli_columns.label_column;
            options.id_column = cli_columns.id_column;
        }
        int answer = cli_status(
            vindex_labels_read(wanted->paths[i], &options, &truth->files[truth->file_count]));
        if (answer != CLI_DONE) return answer;
        truth->count += truth->files[truth->file_count++].count;
    }
    return CLI_DONE;
}

static bool files_have_ids(const struct cli_truth *truth) {
    for (int i = 0; i < truth->file_count; i++)
        if (truth->files[i].ids == NULL) return false;
    return true;
}

/* Names and ids of all files, one after the other. */
static int collect_files(struct cli_truth *truth) {
    bool ids = files_have_ids(truth);
    truth->names = cli_alloc(truth->count, sizeof *truth->names, "labels");
    if (ids) truth->ids = cli_alloc(truth->count, sizeof *truth->ids, "labels");
    if (truth->names == NULL || (ids && truth->ids == NULL)) return CLI_FAILED;
    int64_t used = 0;
    for (int f = 0; f < truth->file_count; f++) {
        const vindex_labels *labels = &truth->files[f];
        for (int64_t i = 0; i < labels->count; i++, used++) {
            truth->names[used] = labels->names[labels->cliques[i]];
            if (ids) truth->ids[used] = labels->ids[i];
        }
    }
    return CLI_DONE;
}

struct entry {
    const char *id, *name;
};

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->id, ((const struct entry *)b)->id);
}

/* Finds each row's label by its id among the sorted entries of the files. */
static int look_up(const struct cli_wanted *wanted, const struct entry *entries, int64_t count,
                   struct cli_truth *joined) {
    for (int64_t i = 1; i < count; i++)
        if (strcmp(entries[i].id, entries[i - 1].id) == 0)
            return cli_fail("%s %s: id '%s' has two labels; keep one", wanted->flag,
                            wanted->paths[0], entries[i].id);
    for (int64_t i = 0; i < joined->count; i++) {
        struct entry key = {cli_rows_id(wanted->rows, i), NULL};
        const struct entry *found =
            bsearch(&key, entries, (size_t)count, sizeof *entries, compare_entries);
        if (found == NULL)
            return cli_fail("%s %s: it has no label for id '%s'; add one, or leave the ids away "
                            "to join by row order",
                            wanted->flag, wanted->paths[0], key.id);
        joined->ids[i] = found->id;
        joined->names[i] = found->name;
    }
    return CLI_DONE;
}

static int join_by_id(const struct cli_wanted *wanted, struct cli_truth *truth) {
    struct cli_truth joined = {.count = wanted->rows->rows};
    struct entry *entries = cli_alloc(truth->count, sizeof *entries, "labels");
    joined.names = cli_alloc(joined.count, sizeof *joined.names, "labels");
    joined.ids = cli_alloc(joined.count, sizeof *joined.ids, "labels");
    int answer = CLI_FAILED;
    if (entries != NULL && joined.names != NULL && joined.ids != NULL) {
        for (int64_t i = 0; i < truth->count; i++)
            entries[i] = (struct entry){truth->ids[i], truth->names[i]};
        qsort(entries, (size_t)truth->count, sizeof *entries, compare_entries);
        answer = look_up(wanted, entries, truth->count, &joined);
    }
    free(entries);
    free(truth->names);
    free(truth->ids);
    truth->count = joined.count;
    truth->names = joined.names;
    truth->ids = joined.ids;
    return answer;
}

/* The label column of the rows themselves. */
static int collect_rows(const struct cli_wanted *wanted, struct cli_truth *truth) {
    const struct cli_rows *rows = wanted->rows;
    if (rows == NULL || !rows->has_labels)
        return cli_words("%s: not given, and there is no label column; add %s FILE, or "
                         "--label-column COL for a table that has one",
                         wanted->flag, wanted->flag);
    truth->count = rows->rows;
    truth->names = cli_alloc(truth->count, sizeof *truth->names, "labels");
    if (rows->has_ids) truth->ids = cli_alloc(truth->count, sizeof *truth->ids, "labels");
    if (truth->names == NULL || (rows->has_ids && truth->ids == NULL)) return CLI_FAILED;
    for (int64_t i = 0; i < truth->count; i++) {
        truth->names[i] = cli_rows_label(rows, i);
        if (rows->has_ids) truth->ids[i] = cli_rows_id(rows, i);
    }
    return CLI_DONE;
}

int cli_truth_read(const struct cli_wanted *wanted, struct cli_truth *truth) {
    *truth = (struct cli_truth){0};
    int answer;
    if (wanted->paths == NULL || wanted->paths[0] == NULL) {
        answer = collect_rows(wanted, truth);
    } else {
        answer = read_files(wanted, truth);
        if (answer == CLI_DONE) answer = collect_files(truth);
        bool by_id = wanted->rows != NULL && wanted->rows->has_ids && truth->ids != NULL;
        if (answer == CLI_DONE && by_id) answer = join_by_id(wanted, truth);
        if (answer == CLI_DONE && wanted->count >= 0 && truth->count != wanted->count)
            answer = cli_fail("%s %s: it has %lld labels for %lld %s; give one label for each",
                              wanted->flag, wanted->paths[0], (long long)truth->count,
                              (long long)wanted->count, wanted->things);
    }
    if (answer != CLI_DONE) cli_truth_free(truth);
    return answer;
}

void cli_truth_free(struct cli_truth *truth) {
    for (int i = 0; i < truth->file_count; i++) vindex_labels_free(&truth->files[i]);
    free(truth->files);
    free(truth->names);
    free(truth->ids);
    *truth = (struct cli_truth){0};
}

int cli_truth_number(const struct cli_truth *first, const struct cli_truth *second,
                     int32_t **cliques) {
    int64_t more = second != NULL ? second->count : 0, count = first->count + more;
    *cliques = cli_alloc(count, sizeof **cliques, "labels");
    const char **names = cli_alloc(count, sizeof *names, "labels");
    int answer = *cliques != NULL && names != NULL ? CLI_DONE : CLI_FAILED;
    if (answer == CLI_DONE) {
        memcpy(names, first->names, (size_t)first->count * sizeof *names);
        if (more > 0) memcpy(names + first->count, second->names, (size_t)more * sizeof *names);
        vindex_labels labels;
        answer = cli_status(vindex_labels_from_names(names, NULL, count, &labels));
        if (answer == CLI_DONE) {
            memcpy(*cliques, labels.cliques, (size_t)count * sizeof **cliques);
            vindex_labels_free(&labels);
        }
    }
    free(names);
    if (answer != CLI_DONE) {
        free(*cliques);
        *cliques = NULL;
    }
    return answer;
}
