/* vindex search: the nearest neighbours of queries. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vindex/fields.h>
#include <vindex/index.h>

#include "neighbours.h"
#include "report.h"
#include "rows.h"

static const struct cli_usage usage = {
    .verb = "search",
    .form = "INDEX --queries Q -k K [-o OUT.npz|.ivecs|.csv]",
    .does = "Finds the K best of an index for each query, best first: squared distances for l2,\n"
            "similarities for the other metrics.",
    .example = "  vindex search songs.vindex --queries queries.npy -k 10 -o found.npz\n"
               "  vindex search songs.vindex --queries queries.npy -k 10 --batch 1 --json\n"
               "  vindex search tuned.vindex --queries queries.npy -k 10 --recall 0.95",
    .words = "INDEX",
    .word_count = 1,
};

enum { FIELDS_MOST = 32 };

struct search {
    const char *path;
    const char **queries;
    char *output;
    int mapped, unverified;
    long long batch, show, first;
    char *values[FIELDS_MOST]; /* per search field, as given */
};

/* Fields of the table that flags of their own set, or that no flag can. */
static bool is_offered(const vindex_field *field) {
    return strcmp(field->name, "threads") != 0 && strcmp(field->name, "weight_rows") != 0;
}

/* A flag per field of the table, with its range and default in the help. */
static void field_options(const vindex_field_table *table, struct search *search, char help[][128],
                          struct poptOption *options) {
    size_t used = 0;
    for (size_t i = 0; i < table->count && i < FIELDS_MOST; i++) {
        const vindex_field *field = &table->fields[i];
        if (!is_offered(field)) continue;
        snprintf(help[i], sizeof help[i], "%s, %.15g to %.15g (default %.15g)", field->help,
                 field->least, field->most, field->initial);
        bool letter = field->name[1] == 0;
        options[used++] = (struct poptOption){letter ? NULL : field->name,
                                              letter ? field->name[0] : 0,
                                              POPT_ARG_STRING,
                                              &search->values[i],
                                              0,
                                              help[i],
                                              "N"};
    }
    options[used] = (struct poptOption)POPT_TABLEEND;
}

static int search_params(const struct search *search, vindex_search_params *params) {
    const vindex_field_table *table = vindex_search_fields();
    vindex_search_params_init(params);
    params->threads = cli_common.threads;
    params->progress = cli_progress;
    for (size_t i = 0; i < table->count && i < FIELDS_MOST; i++) {
        const char *value = search->values[i];
        if (value == NULL) continue;
        int answer =
            cli_status_words(vindex_fields_set(table, params, table->fields[i].name, value));
        if (answer != CLI_DONE) return answer;
    }
    return cli_status_words(vindex_fields_check(table, params));
}

/* What the calls took: seconds each, for the median, and what was read in all. */
struct timing {
    double total;
    double *calls;
    int64_t count;
    vindex_search_stats stats;
};

static void add_stats(vindex_search_stats *sum, const vindex_search_stats *call) {
    sum->coded += call->coded;
    sum->survivors += call->survivors;
    sum->vectors += call->vectors;
    sum->plain += call->plain;
    sum->settled += call->settled;
    sum->bytes += call->bytes;
}

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(const struct timing *timing, double part) {
    return timing->count > 0 ? timing->calls[(int64_t)(part * (double)(timing->count - 1))] * 1e3
                             : (double)NAN;
}

/* Runs all queries, `batch` to a call, so that the time of a call means what was asked. */
static int run(const struct search *search, const vindex_index *index, const float *queries,
               struct cli_neighbours *found, struct timing *timing) {
    vindex_search_params params;
    vindex_search_stats stats = {0};
    int answer = search_params(search, &params);
    params.stats = &stats;
    int64_t batch = search->batch > 0 ? search->batch : found->queries, dim = vindex_dim(index);
    for (int64_t first = 0; first < found->queries && answer == CLI_DONE; first += batch) {
        int64_t count = found->queries - first < batch ? found->queries - first : batch;
        struct cli_span span = {"searching", (double)first / (double)found->queries,
                                (double)(first + count) / (double)found->queries};
        params.progress_context = &span;
        double start = cli_clock();
        answer = cli_status(vindex_search(index, queries + first * dim, count, &params,
                                          found->ids + first * found->k,
                                          found->distances + first * found->k));
        double seconds = cli_clock() - start;
        add_stats(&timing->stats, &stats);
        timing->total += seconds;
        timing->calls[timing->count++] = seconds;
        if (answer == CLI_DONE && cli_signal() != 0) answer = cli_status(VINDEX_ERR_CANCELLED);
    }
    qsort(timing->calls, (size_t)timing->count, sizeof *timing->calls, compare_seconds);
    return answer;
}

/* The first queries' neighbours as two lists of lists. */
static void report_found(struct cli_report *report, const struct cli_neighbours *found,
                         int64_t show) {
    json_t *all_ids = json_array(), *all_distances = json_array();
    for (int64_t i = 0; i < found->queries && i < show; i++) {
        json_t *ids = json_array(), *distances = json_array();
        for (int64_t j = i * found->k; j < (i + 1) * found->k; j++) {
            json_array_append_new(ids, json_integer(found->ids[j]));
            json_array_append_new(distances, cli_json_real((double)found->distances[j]));
        }
        json_array_append_new(all_ids, ids);
        json_array_append_new(all_distances, distances);
    }
    cli_report_json(report, "ids", all_ids);
    cli_report_json(report, "distances", all_distances);
}

/* One line per query: id (distance), as many as fit. */
static void print_found(const struct cli_neighbours *found, int64_t show) {
    enum { ACROSS = 5 };
    if (show > found->queries) show = found->queries;
    if (show > 0) printf("query  neighbours: id (distance)\n");
    for (int64_t i = 0; i < show; i++) {
        printf("%5lld ", (long long)i);
        for (int64_t j = 0; j < found->k && j < ACROSS; j++) {
            int64_t id = found->ids[i * found->k + j];
            if (id >= 0)
                printf(" %lld (%.6g)", (long long)id, (double)found->distances[i * found->k + j]);
        }
        printf("%s\n", found->k > ACROSS ? " ..." : "");
    }
    if (show > 0) putchar('\n');
}

/* How far the search got by codes; without codes only what it settled is worth a line. */
static void report_stats(struct cli_report *report, const vindex_search_stats *stats) {
    bool coded = stats->coded > 0;
    cli_report_int(report, "pairs_by_codes", coded ? "pairs by codes" : NULL, stats->coded);
    cli_report_int(report, "codes_survivors", coded ? "not ruled out" : NULL, stats->survivors);
    cli_report_int(report, "vectors_read", coded ? "vectors read" : NULL, stats->vectors);
    cli_report_int(report, "pairs_by_vectors", coded ? "pairs by vectors" : NULL, stats->plain);
    cli_report_int(report, "pairs_settled", NULL, stats->settled);
    cli_report_int(report, "bytes_read", NULL, stats->bytes);
}

static int report_result(const struct search *search, const vindex_index *index,
                         const struct cli_neighbours *found, const struct timing *timing) {
    if (!cli_common.json) print_found(found, search->show);
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    bool alone = search->batch == 1;
    cli_report_text(report, "index", "index", search->path);
    cli_report_text(report, "spec", "spec", vindex_spec(index));
    cli_report_text(report, "metric", "metric", vindex_metric_name(vindex_metric_of(index)));
    cli_report_int(report, "rows", "rows", vindex_count(index));
    cli_report_int(report, "dim", "dim", vindex_dim(index));
    cli_report_int(report, "queries", "queries", found->queries);
    cli_report_int(report, "k", "k", found->k);
    bool all = cli_common.threads == 0;
    cli_report_int(report, "threads", all ? NULL : "threads", cli_common.threads);
    if (all) cli_report_text(report, NULL, "threads", "every core");
    cli_report_text(report, "simd", "simd", vindex_simd_level());
    cli_report_real(report, "seconds", "seconds", timing->total, 4, "");
    cli_report_real(report, "ms_per_query", "per query",
                    timing->total / (double)found->queries * 1e3, 4, " ms");
    cli_report_real(report, "median_ms", alone ? "median" : NULL,
                    alone ? quantile_ms(timing, 0.5) : (double)NAN, 4, " ms");
    cli_report_real(report, "p95_ms", alone ? "95th percentile" : NULL,
                    alone ? quantile_ms(timing, 0.95) : (double)NAN, 4, " ms");
    report_stats(report, &timing->stats);
    if (search->output != NULL) cli_report_text(report, "output", "output", search->output);
    report_found(report, found, search->show);
    return cli_report_print(report);
}

static int search_rows(const struct search *search, const vindex_index *index,
                       const struct cli_rows *rows) {
    if (rows->dim != vindex_dim(index))
        return cli_fail("--queries %s: they have %lld numbers and the index %lld; project or "
                        "choose queries of the index's dimension",
                        rows->paths[0], (long long)rows->dim, (long long)vindex_dim(index));
    vindex_search_params params;
    int answer = search_params(search, &params);
    if (answer != CLI_DONE) return answer;
    struct cli_neighbours found = {.queries = rows->rows, .k = params.k};
    struct timing timing = {0};
    float *queries = NULL;
    answer = cli_rows_load(rows, &queries);
    if (answer == CLI_DONE) {
        found.ids = cli_alloc(found.queries * (int64_t)sizeof *found.ids, found.k, "ids found");
        found.distances =
            cli_alloc(found.queries * (int64_t)sizeof *found.distances, found.k, "distances found");
        timing.calls = cli_alloc(found.queries, sizeof *timing.calls, "times");
        bool got = found.ids != NULL && found.distances != NULL && timing.calls != NULL;
        answer = got ? run(search, index, queries, &found, &timing) : CLI_FAILED;
    }
    if (answer == CLI_DONE && search->output != NULL)
        answer = cli_neighbours_write(search->output, &found);
    if (answer == CLI_DONE) answer = report_result(search, index, &found, &timing);
    free(queries);
    free(found.ids);
    free(found.distances);
    free(timing.calls);
    return answer;
}

static int check_words(const struct search *search) {
    vindex_search_params params;
    if (search->batch < 0)
        return cli_words("--batch: %lld was given; give 0 (all) or more", search->batch);
    if (search->first < 0)
        return cli_words("--first: %lld was given; give 0 (all) or more", search->first);
    if (search->show < 0) return cli_words("--show: %lld was given; give 0 or more", search->show);
    int answer = search->output != NULL ? cli_neighbours_check(search->output) : CLI_DONE;
    return answer == CLI_DONE ? search_params(search, &params) : answer;
}

static int search_index(const struct search *search) {
    int answer = check_words(search);
    if (answer != CLI_DONE) return answer;
    struct cli_rows rows;
    answer = cli_rows_open(search->queries, "--queries", 1, &rows);
    if (answer != CLI_DONE) return answer;
    if (search->first > 0 && search->first < rows.rows) rows.rows = search->first;
    uint32_t flags =
        (search->mapped ? VINDEX_LOAD_MAP : 0u) | (search->unverified ? VINDEX_LOAD_DEFER : 0u);
    vindex_index *index = NULL;
    answer = cli_status(vindex_load(search->path, flags, &index));
    if (answer == CLI_DONE) answer = search_rows(search, index, &rows);
    vindex_free(index);
    cli_rows_close(&rows);
    return answer;
}

int cmd_search(int argc, const char **argv) {
    struct search search = {.show = 10};
    struct poptOption fields[FIELDS_MOST + 1];
    char help[FIELDS_MOST][128];
    field_options(vindex_search_fields(), &search, help, fields);
    struct poptOption options[] = {
        {"queries", 0, POPT_ARG_ARGV, &search.queries, 0,
         "embeddings to search for; given several times, their rows are appended", "FILE"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, fields, 0, NULL, NULL},
        {"output", 'o', POPT_ARG_STRING, &search.output, 0,
         "write all neighbours: .npz, .ivecs or .csv", "OUT"},
        {"first", 0, POPT_ARG_LONGLONG, &search.first, 0,
         "search for the first N queries only; 0 (the default): all", "N"},
        {"batch", 0, POPT_ARG_LONGLONG, &search.batch, 0,
         "queries per call; 1 also gives the median time; 0 (the default): all", "N"},
        {"show", 0, POPT_ARG_LONGLONG, &search.show, 0,
         "how many queries' neighbours to print (default 10)", "N"},
        {"mmap", 0, POPT_ARG_NONE, &search.mapped, 0, "search the file where it lies", NULL},
        {"no-verify", 0, POPT_ARG_NONE, &search.unverified, 0,
         "open without checking the vectors' checksums", NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) {
        search.path = parsed.words[0];
        answer = search_index(&search);
    }
    cli_release(options, &parsed);
    return answer;
}
