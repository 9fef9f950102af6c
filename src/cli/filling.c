#include "filling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <vindex/tune.h>

#include "model.h"

/* What a block is added with. */
struct adding {
    vindex_index *index;
    const struct cli_rows *rows;
    int64_t *ids; /* of all rows; NULL: numbered from 0 */
};

static int add_block(void *context, int64_t first, int64_t count, const float *vectors) {
    const struct adding *adding = context;
    struct cli_span span = {"building", (double)first / (double)adding->rows->rows,
                            (double)(first + count) / (double)adding->rows->rows};
    vindex_call call = cli_call(&span);
    int answer = cli_rows_finite(adding->rows, first, count, vectors);
    if (answer != CLI_DONE) return answer;
    return cli_status(adding->ids != NULL ? vindex_add_with_ids(adding->index, vectors, count,
                                                                adding->ids + first, &call)
                                          : vindex_add(adding->index, vectors, count, &call));
}

static bool parse_id(const char *text, int64_t *id) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *id = value;
    return end != text && *end == 0 && errno == 0 && value >= 0;
}

/* The ids of the id column in *ids, or NULL there when it has none that are whole numbers. */
static int read_ids(const struct cli_rows *rows, int64_t **ids) {
    *ids = NULL;
    if (!rows->has_ids) return CLI_DONE;
    int64_t *found = cli_alloc(rows->rows, sizeof *found, "ids");
    if (found == NULL) return CLI_FAILED;
    for (int64_t i = 0; i < rows->rows; i++) {
        if (parse_id(cli_rows_id(rows, i), &found[i])) continue;
        cli_note("vindex: note: id '%s' of row %lld is no whole number; rows are numbered "
                 "from 0 instead",
                 cli_rows_id(rows, i), (long long)i);
        free(found);
        return CLI_DONE;
    }
    *ids = found;
    return CLI_DONE;
}

int cli_fill(vindex_index *index, const struct cli_rows *rows, bool *with_ids) {
    struct adding adding = {.index = index, .rows = rows};
    int answer = read_ids(rows, &adding.ids);
    if (answer == CLI_DONE) answer = cli_train(index, rows);
    if (answer == CLI_DONE) answer = cli_rows_each(rows, "building", add_block, &adding);
    if (with_ids != NULL) *with_ids = adding.ids != NULL;
    free(adding.ids);
    return answer;
}

/* "nprobe 12, ef 40" */
static void list_settings(const vindex_operating_point *point, char *text, size_t room) {
    size_t used = 0;
    for (int64_t i = 0; i < point->setting_count && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%s %lld", i ? ", " : "",
                                 point->settings[i].name, (long long)point->settings[i].value);
}

static json_t *point_json(const vindex_operating_point *point) {
    json_t *object =
        json_pack("{s:I, s:f, s:f, s:I, s:I, s:I}", "k", (json_int_t)point->k, "recall",
                  point->recall, "measured", point->measured, "queries", (json_int_t)point->queries,
                  "vectors", (json_int_t)point->vectors, "changed", (json_int_t)point->changed);
    for (int64_t i = 0; i < point->setting_count; i++)
        json_object_set_new(object, point->settings[i].name,
                            json_integer(point->settings[i].value));
    return object;
}

static void report_point(struct cli_report *report, const vindex_operating_point *point) {
    char label[32], settings[160] = "nothing to choose", text[320];
    list_settings(point, settings, sizeof settings);
    snprintf(label, sizeof label, "recall %.4f", point->recall);
    int used = snprintf(text, sizeof text, "%s (k %lld, %lld queries gave %.4f)", settings,
                        (long long)point->k, (long long)point->queries, point->measured);
    if (point->changed > 0 && used < (int)sizeof text)
        snprintf(text + used, sizeof text - (size_t)used, "; %lld of %lld vectors changed since",
                 (long long)point->changed, (long long)point->vectors);
    cli_report_text(report, NULL, label, text);
}

int cli_report_points(struct cli_report *report, const vindex_index *index) {
    int64_t count;
    int answer = cli_status(vindex_operating_points(index, NULL, 0, &count));
    if (answer != CLI_DONE || count == 0) return answer;
    vindex_operating_point *points = cli_alloc(count, sizeof *points, "operating points");
    if (points == NULL) return CLI_FAILED;
    answer = cli_status(vindex_operating_points(index, points, count, &count));
    json_t *list = json_array();
    for (int64_t i = 0; answer == CLI_DONE && i < count; i++) {
        json_array_append_new(list, point_json(&points[i]));
        report_point(report, &points[i]);
    }
    cli_report_json(report, "operating_points", list);
    free(points);
    return answer;
}
