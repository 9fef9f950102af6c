#include "truth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "join.h"

/* Column flags are for the embeddings; for the label file where those have no columns. */
static bool columns_are_of_labels(const struct cli_rows *rows) {
    for (int i = 0; rows != NULL && i < rows->count; i++)
        if (cli_has_columns(rows->paths[i])) return false;
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
        bool columns = columns_are_of_labels(wanted->rows) && cli_has_columns(wanted->paths[i]);
        if (columns) options.label_column = cli_columns.label_column;
        if (columns) options.id_column = cli_columns.id_column;
        options.key = cli_columns.labels_key;
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

/* ---- recordings: consecutive rows of one id ---- */

/* Rows of two files are of two recordings, whatever they are called. */
static bool begins_recording(const struct cli_rows *rows, int64_t row) {
    for (int file = 0; file < rows->count; file++)
        if (row == rows->starts[file]) return true;
    return strcmp(cli_rows_id(rows, row), cli_rows_id(rows, row - 1)) != 0;
}

static int find_recordings(const struct cli_rows *rows, struct cli_truth *truth) {
    truth->starts = cli_alloc(rows->rows + 1, sizeof *truth->starts, "recordings");
    if (truth->starts == NULL) return CLI_FAILED;
    for (int64_t row = 0; row < rows->rows; row++)
        if (begins_recording(rows, row)) truth->starts[truth->recordings++] = row;
    truth->starts[truth->recordings] = rows->rows;
    return CLI_DONE;
}

/* Whether ids only count the recordings of each file, as those do that a file of segments without
 * names is given. */
static bool ids_only_count(const struct cli_rows *rows, const struct cli_truth *truth) {
    int64_t number = 0;
    int file = 0;
    for (int64_t i = 0; i < truth->recordings; i++, number++) {
        int64_t row = truth->starts[i];
        for (; row >= rows->starts[file + 1]; file++) number = 0;
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)number);
        if (strcmp(cli_rows_id(rows, row), text) != 0) return false;
    }
    return true;
}

/* Whether labels are of such numbers, so that they are ids after all. */
static bool labels_count_too(const struct cli_truth *truth) {
    for (int64_t i = 0; truth->ids != NULL && i < truth->count; i++) {
        char *end;
        const char *id = truth->ids[i];
        long long number = strtoll(id, &end, 10);
        if (*id >= '0' && *id <= '9' && *end == 0 && number < truth->recordings) return true;
    }
    return false;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

/* An id that comes again later is a mistake; in consecutive rows, unless segments are wanted. */
static int check_ids(const struct cli_wanted *wanted, const struct cli_truth *truth) {
    const struct cli_rows *rows = wanted->rows;
    for (int64_t i = 0; i < truth->recordings && !wanted->segments; i++)
        if (truth->starts[i + 1] - truth->starts[i] > 1)
            return cli_fail("%s: rows %lld and %lld have one id, '%s', and %lld rows are of %lld "
                            "recordings; give one row for each, or say --segments",
                            rows->paths[0], (long long)truth->starts[i],
                            (long long)truth->starts[i] + 1, cli_rows_id(rows, truth->starts[i]),
                            (long long)rows->rows, (long long)truth->recordings);
    if (ids_only_count(rows, truth)) return CLI_DONE;
    const char **ids = cli_alloc(truth->recordings, sizeof *ids, "recordings");
    const char ***order = cli_alloc(truth->recordings, sizeof *order, "recordings");
    int answer = ids != NULL && order != NULL ? CLI_DONE : CLI_FAILED;
    for (int64_t i = 0; i < truth->recordings && answer == CLI_DONE; i++) {
        ids[i] = cli_rows_id(rows, truth->starts[i]);
        order[i] = &ids[i];
    }
    if (answer == CLI_DONE) qsort(order, (size_t)truth->recordings, sizeof *order, compare_ids);
    for (int64_t i = 1; i < truth->recordings && answer == CLI_DONE; i++)
        if (strcmp(*order[i], *order[i - 1]) == 0)
            answer =
                cli_fail("%s: two recordings have one id, '%s', at rows %lld and %lld; give "
                         "each an id of its own",
                         rows->paths[0], *order[i], (long long)truth->starts[order[i - 1] - ids],
                         (long long)truth->starts[order[i] - ids]);
    free(ids);
    free(order);
    return answer;
}

/* ---- joining ---- */

/* Gives each row the label that is number which[recording] of the files; NULL: those in order. */
static int spread(const struct cli_wanted *wanted, struct cli_truth *truth, const int64_t *which) {
    int64_t rows = wanted->rows->rows;
    const char **names = cli_alloc(rows, sizeof *names, "labels");
    const char **ids = cli_alloc(rows, sizeof *ids, "labels");
    if (names == NULL || ids == NULL) {
        free(names);
        free(ids);
        return CLI_FAILED;
    }
    for (int64_t i = 0; i < truth->recordings; i++)
        for (int64_t row = truth->starts[i]; row < truth->starts[i + 1]; row++) {
            names[row] = truth->names[which != NULL ? which[i] : i];
            ids[row] = cli_rows_id(wanted->rows, row);
        }
    free(truth->names);
    free(truth->ids);
    truth->count = rows;
    truth->names = names;
    truth->ids = ids;
    return CLI_DONE;
}

static int join_by_id(const struct cli_wanted *wanted, struct cli_truth *truth) {
    const char **ids = cli_alloc(truth->recordings, sizeof *ids, "labels");
    int64_t *found = cli_alloc(truth->recordings, sizeof *found, "labels");
    int answer = ids != NULL && found != NULL ? CLI_DONE : CLI_FAILED;
    for (int64_t i = 0; i < truth->recordings && answer == CLI_DONE; i++)
        ids[i] = cli_rows_id(wanted->rows, truth->starts[i]);
    struct cli_join join = {wanted->flag, wanted->paths[0], ids,          truth->recordings,
                            truth->ids,   truth->names,     truth->count, found};
    if (answer == CLI_DONE) answer = cli_join(&join);
    if (answer == CLI_DONE) answer = spread(wanted, truth, found);
    free(ids);
    free(found);
    return answer;
}

/* Labels of files to the rows that are wanted: by id where both have one, else by order of rows or
 * of recordings. */
static int join(const struct cli_wanted *wanted, struct cli_truth *truth) {
    bool by_id = truth->starts != NULL && truth->ids != NULL &&
                 (!ids_only_count(wanted->rows, truth) || labels_count_too(truth));
    if (by_id) return join_by_id(wanted, truth);
    struct cli_join given = {.flag = wanted->flag,
                             .path = wanted->paths[0],
                             .label_ids = truth->ids,
                             .labels = truth->names,
                             .label_count = truth->count};
    if (truth->ids != NULL && cli_join_check(&given) != CLI_DONE) return CLI_FAILED;
    if (truth->starts != NULL && truth->count == truth->recordings)
        return spread(wanted, truth, NULL);
    return CLI_DONE;
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
    int answer = CLI_DONE;
    if (wanted->rows != NULL && wanted->rows->has_ids)
        answer = find_recordings(wanted->rows, truth);
    if (answer == CLI_DONE && truth->starts != NULL) answer = check_ids(wanted, truth);
    if (answer == CLI_DONE && (wanted->paths == NULL || wanted->paths[0] == NULL)) {
        answer = collect_rows(wanted, truth);
    } else if (answer == CLI_DONE) {
        answer = read_files(wanted, truth);
        if (answer == CLI_DONE) answer = collect_files(truth);
        if (answer == CLI_DONE) answer = join(wanted, truth);
        if (answer == CLI_DONE && wanted->count >= 0 && truth->count != wanted->count)
            answer = cli_fail("%s %s: it has %lld labels for %lld %s; give one label for each",
                              wanted->flag, wanted->paths[0], (long long)truth->count,
                              (long long)wanted->count, wanted->things);
    }
    if (answer == CLI_DONE && truth->starts == NULL) truth->recordings = truth->count;
    if (answer != CLI_DONE) cli_truth_free(truth);
    return answer;
}

void cli_truth_free(struct cli_truth *truth) {
    for (int i = 0; i < truth->file_count; i++) vindex_labels_free(&truth->files[i]);
    free(truth->files);
    free(truth->names);
    free(truth->ids);
    free(truth->starts);
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
