/* Files with a JSON line per query: written, and read again to compare with. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vindex/io.h>

#include "eval.h"

static json_t *id_of(const struct cli_truth *truth, int64_t recording) {
    if (truth->ids == NULL) return json_integer(recording);
    json_t *id = json_string(truth->ids[eval_first_row(truth, recording)]);
    return id != NULL ? id : json_null(); /* an id need not be UTF-8 */
}

static json_t *hits_of(const struct eval_task *task, int64_t row) {
    const vindex_eval_detail *detail = &task->detail;
    double unit = task->eval->per_dim ? (double)task->dim : 1;
    json_t *hits = json_array();
    for (int64_t i = row * detail->top; i < (row + 1) * detail->top; i++) {
        if (detail->nearest[i] < 0) break;
        json_t *hit = json_object();
        json_object_set_new(hit, "id", id_of(&task->truth, detail->nearest[i]));
        json_object_set_new(hit, "distance", cli_json_real(detail->distances[i] / unit));
        json_array_append_new(hits, hit);
    }
    return hits;
}

static json_t *line_of(const struct eval_task *task, int64_t row) {
    const vindex_eval_detail *detail = &task->detail;
    const struct cli_truth *queries = eval_query_truth(task);
    json_t *line = json_object();
    bool counted = detail->first_rank[row] > 0;
    json_object_set_new(line, "row", json_integer(row));
    json_object_set_new(line, "id", id_of(queries, row));
    json_t *clique = json_string(queries->names[eval_first_row(queries, row)]);
    json_object_set_new(line, "clique", clique != NULL ? clique : json_null());
    json_object_set_new(line, "AP",
                        counted ? cli_json_real(detail->average_precision[row]) : json_null());
    json_object_set_new(line, "first_rank",
                        counted ? json_integer(detail->first_rank[row]) : json_null());
    json_object_set_new(line, "relevant", json_integer(detail->relevant[row]));
    json_object_set_new(line, "tied", json_integer(detail->tied[row]));
    if (detail->top > 0) json_object_set_new(line, "top", hits_of(task, row));
    return line;
}

int eval_queries_write(const struct eval_task *task) {
    const char *path = task->eval->per_query;
    vindex_output *file;
    int answer = cli_status(vindex_output_create(path, &file));
    if (answer != CLI_DONE) return answer;
    for (int64_t i = 0; i < task->detail.query_rows && answer == CLI_DONE; i++) {
        json_t *line = line_of(task, i);
        char *text = json_dumps(line, JSON_REAL_PRECISION(17));
        json_decref(line);
        answer = text != NULL ? cli_status(vindex_output_write(file, text, strlen(text)))
                              : cli_fail("%s: no memory for a line of it; free some", path);
        if (answer == CLI_DONE) answer = cli_status(vindex_output_write(file, "\n", 1));
        free(text);
    }
    if (answer == CLI_DONE) return cli_status(vindex_output_finish(file));
    vindex_output_abort(file);
    return answer;
}

/* ---- reading ---- */

void eval_system_free(struct eval_system *system) {
    for (int64_t i = 0; system->ids != NULL && i < system->count; i++) free(system->ids[i]);
    free(system->ids);
    free(system->average_precision);
    free(system->first_rank);
    *system = (struct eval_system){0};
}

static bool grow(struct eval_system *system, int64_t *room) {
    if (system->count < *room) return true;
    int64_t more = *room > 0 ? *room * 2 : 1024;
    char **ids = realloc(system->ids, (size_t)more * sizeof *ids);
    if (ids != NULL) system->ids = ids;
    double *aps = realloc(system->average_precision, (size_t)more * sizeof *aps);
    if (aps != NULL) system->average_precision = aps;
    int64_t *ranks = realloc(system->first_rank, (size_t)more * sizeof *ranks);
    if (ranks != NULL) system->first_rank = ranks;
    if (ids == NULL || aps == NULL || ranks == NULL) return false;
    *room = more;
    return true;
}

/* Takes one line; false when it is none of a per-query file. */
static bool take_line(const char *text, struct eval_system *system, bool *named) {
    json_t *line = json_loads(text, 0, NULL);
    json_t *id = json_object_get(line, "id"), *ap = json_object_get(line, "AP");
    json_t *rank = json_object_get(line, "first_rank");
    bool query = json_is_number(ap) && json_is_integer(rank) && json_integer_value(rank) > 0 &&
                 json_number_value(ap) >= 0 && json_number_value(ap) <= 1;
    bool noise = json_is_null(ap) && json_is_null(rank);
    bool known = json_is_string(id) || json_is_integer(id);
    char *name = known && json_is_string(id) ? strdup(json_string_value(id)) : NULL;
    *named = *named && json_is_string(id);
    system->ids[system->count] = name;
    system->average_precision[system->count] = query ? json_number_value(ap) : NAN;
    system->first_rank[system->count] = query ? json_integer_value(rank) : 0;
    bool taken = known && (query || noise) && (name != NULL || !json_is_string(id));
    if (taken) system->count++;
    if (!taken) free(name);
    json_decref(line);
    return taken;
}

static int read_lines(FILE *file, const char *path, struct eval_system *system) {
    int64_t room = 0;
    size_t size = 0;
    char *text = NULL;
    bool named = true;
    int answer = CLI_DONE;
    while (answer == CLI_DONE && getline(&text, &size, file) >= 0) {
        if (!grow(system, &room))
            answer = cli_fail("%s: no memory for its lines; free some", path);
        else if (!take_line(text, system, &named))
            answer = cli_fail("%s: line %lld is no query with id, AP and first_rank; give a file "
                              "that --per-query wrote",
                              path, (long long)system->count + 1);
    }
    if (answer == CLI_DONE && ferror(file))
        answer = cli_fail("%s: it cannot be read; check it", path);
    if (answer == CLI_DONE && system->count == 0)
        answer = cli_fail("%s: it holds no query; give a file that --per-query wrote", path);
    if (answer == CLI_DONE && !named) { /* numbers of rows, which are their order */
        for (int64_t i = 0; i < system->count; i++) free(system->ids[i]);
        free(system->ids);
        system->ids = NULL;
    }
    free(text);
    return answer;
}

int eval_queries_read(const char *path, struct eval_system *system) {
    *system = (struct eval_system){0};
    FILE *file = fopen(path, "r");
    if (file == NULL) return cli_fail("%s: it cannot be opened; check the path", path);
    int answer = read_lines(file, path, system);
    fclose(file);
    if (answer != CLI_DONE) eval_system_free(system);
    return answer;
}

int eval_system_of(const struct eval_task *task, struct eval_system *system) {
    const vindex_eval_detail *detail = &task->detail;
    const struct cli_truth *queries = eval_query_truth(task);
    int64_t count = detail->query_rows;
    *system = (struct eval_system){
        .count = count,
        .ids = queries->ids != NULL ? cli_alloc(count, sizeof *system->ids, "queries") : NULL,
        .average_precision = cli_alloc(count, sizeof(double), "queries"),
        .first_rank = cli_alloc(count, sizeof(int64_t), "queries"),
    };
    bool memory = system->average_precision != NULL && system->first_rank != NULL &&
                  (queries->ids == NULL || system->ids != NULL);
    for (int64_t i = 0; memory && system->ids != NULL && i < count; i++)
        system->ids[i] = strdup(queries->ids[eval_first_row(queries, i)]);
    for (int64_t i = 0; memory && system->ids != NULL && i < count; i++)
        memory = system->ids[i] != NULL;
    if (!memory) {
        if (system->average_precision == NULL || system->first_rank == NULL) system->count = 0;
        eval_system_free(system);
        return cli_fail("--compare: no memory for the queries; free some");
    }
    memcpy(system->average_precision, detail->average_precision, (size_t)count * sizeof(double));
    memcpy(system->first_rank, detail->first_rank, (size_t)count * sizeof(int64_t));
    return CLI_DONE;
}
