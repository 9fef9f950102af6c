/* vindex info: what a file is and whether it is sound. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vindex/index.h>
#include <vindex/ivf.h>

#include "report.h"
#include "rows.h"

static const struct cli_usage usage = {
    .verb = "info",
    .form = "PATH",
    .does =
        "Says what a file is - embeddings, labels or an index - and checks all of it: an index\n"
        "against its checksums, embeddings for NaN and infinity.",
    .example = "  vindex info embeddings.npy\n  vindex info songs.vindex --json",
    .words = "PATH",
    .word_count = 1,
};

static bool has_index_magic(const char *path) {
    static const char magic[8] = "VINDEX\r\n";
    char found[sizeof magic];
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    bool same = fread(found, 1, sizeof found, file) == sizeof found &&
                memcmp(found, magic, sizeof magic) == 0;
    fclose(file);
    return same;
}

static double file_bytes(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 ? (double)found.st_size : 0;
}

/* The parts of an index file and their bytes. */
static int report_sections(const char *path, struct cli_report *report) {
    enum { MOST = 64 };
    vindex_file_section sections[MOST];
    int64_t count;
    int answer = cli_status(vindex_file_sections(path, sections, MOST, &count));
    if (answer != CLI_DONE) return answer;
    json_t *list = json_array();
    for (int64_t i = 0; i < count && i < MOST; i++) {
        char label[32];
        snprintf(label, sizeof label, "- %.8s", sections[i].tag);
        cli_report_bytes(report, NULL, label, (double)sections[i].bytes);
        json_array_append_new(list, json_pack("{s:s, s:I}", "tag", sections[i].tag, "bytes",
                                              (json_int_t)sections[i].bytes));
    }
    cli_report_json(report, "sections", list);
    return CLI_DONE;
}

/* How the lists are filled, where the index has some. */
static void report_lists(const vindex_index *index, struct cli_report *report) {
    vindex_ivf_stats stats;
    if (vindex_ivf_stats_get(index, &stats) != VINDEX_OK) return;
    cli_report_int(report, "lists", "lists", stats.lists);
    cli_report_int(report, "empty_lists", stats.empty > 0 ? "empty lists" : NULL, stats.empty);
    cli_report_int(report, "largest_list", "largest", stats.largest);
    cli_report_real(report, "unevenness", "unevenness", stats.unevenness, 3, "");
    cli_report_real(report, "bytes_per_vector", "per vector", stats.bytes_each, 1, " bytes");
    cli_report_real(report, "training_loss", "loss", stats.loss, 6, "");
}

static int info_index(const char *path, struct cli_report *report) {
    vindex_index *index;
    /* Mapped, so that an index larger than memory can be checked; the load verifies every byte. */
    int answer = cli_status(vindex_load(path, VINDEX_LOAD_MAP, &index));
    if (answer != CLI_DONE) return answer;
    cli_report_text(report, "kind", "kind", "index");
    cli_report_text(report, "format", "format", "vindex");
    cli_report_text(report, "spec", "spec", vindex_spec(index));
    cli_report_int(report, "rows", "rows", vindex_count(index));
    cli_report_int(report, "dim", "dim", vindex_dim(index));
    cli_report_text(report, "metric", "metric", vindex_metric_name(vindex_metric_of(index)));
    cli_report_bytes(report, "bytes", "bytes", file_bytes(path));
    report_lists(index, report);
    answer = report_sections(path, report);
    cli_report_text(report, "checks", "checks", "every checksum matches");
    vindex_free(index);
    return answer;
}

/* What a pass over all numbers finds. */
struct scan {
    int64_t dim;
    int64_t nonfinite_rows, zero_rows;
};

static int scan_block(void *context, int64_t first, int64_t count, const float *vectors) {
    struct scan *scan = context;
    (void)first;
    for (int64_t i = 0; i < count; i++) {
        bool finite = true, zero = true;
        for (const float *x = vectors + i * scan->dim, *end = x + scan->dim; x < end; x++) {
            finite &= isfinite(*x) != 0;
            zero &= *x == 0;
        }
        scan->nonfinite_rows += !finite;
        scan->zero_rows += zero;
    }
    return CLI_DONE;
}

static void report_embeddings(const char *path, const vindex_embeddings_info *info,
                              const struct scan *scan, struct cli_report *report) {
    char checks[96] = "all rows are finite";
    if (scan->nonfinite_rows > 0)
        snprintf(checks, sizeof checks, "%lld rows hold NaN or infinity",
                 (long long)scan->nonfinite_rows);
    cli_report_text(report, "kind", "kind", "embeddings");
    cli_report_text(report, "format", "format", info->format);
    cli_report_text(report, "dtype", "dtype",
                    cli_is_table(path) ? "text" : vindex_dtype_name(info->dtype));
    cli_report_int(report, "rows", "rows", info->rows);
    cli_report_int(report, "dim", "dim", info->dim);
    cli_report_json(report, "metric", json_null());
    cli_report_bytes(report, "bytes", "bytes", file_bytes(path));
    cli_report_int(report, "nonfinite_rows", NULL, scan->nonfinite_rows);
    cli_report_int(report, "zero_rows", scan->zero_rows > 0 ? "zero rows" : NULL, scan->zero_rows);
    cli_report_text(report, "checks", "checks", checks);
}

static int info_embeddings(const char *path, struct cli_report *report) {
    const char *paths[] = {path, NULL};
    struct cli_rows rows;
    int answer = cli_rows_open(paths, "PATH", 0, &rows);
    if (answer != CLI_DONE) return answer;
    vindex_embeddings_info info;
    vindex_embeddings_describe(rows.files[0], &info);
    struct scan scan = {.dim = info.dim};
    answer = cli_rows_each(&rows, "checking", scan_block, &scan);
    if (answer == CLI_DONE) report_embeddings(path, &info, &scan, report);
    cli_rows_close(&rows);
    return answer;
}

/* Whether path reads as labels; if so the report is written. */
static bool info_labels(const char *path, struct cli_report *report) {
    vindex_labels labels;
    if (vindex_labels_read(path, NULL, &labels) != VINDEX_OK) return false;
    cli_report_text(report, "kind", "kind", "labels");
    cli_report_int(report, "rows", "rows", labels.count);
    cli_report_int(report, "cliques", "cliques", labels.clique_count);
    cli_report_json(report, "ids", json_boolean(labels.ids != NULL));
    cli_report_bytes(report, "bytes", "bytes", file_bytes(path));
    cli_report_text(report, "checks", "checks", "every row has a label");
    vindex_labels_free(&labels);
    return true;
}

/* A text table can be either; one with a column of a label's name, not asked for as embeddings, is
 * a list of labels. */
static bool may_be_labels(const char *path) {
    bool list = cli_ends(path, ".txt") || cli_ends(path, ".lst") || cli_ends(path, ".labels");
    return list || (cli_is_table(path) && cli_columns.label_column == NULL &&
                    cli_columns.id_column == NULL);
}

static int info(const char *path) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_text(report, "path", "path", path);
    int answer = CLI_DONE;
    /* Before the ending is looked at, which says nothing about a file that is not there. */
    if (access(path, R_OK) != 0)
        answer = cli_fail("%s: cannot open, %s; check the path", path, strerror(errno));
    else if (has_index_magic(path))
        answer = info_index(path, report);
    else if (!may_be_labels(path) || !info_labels(path, report))
        answer = info_embeddings(path, report);
    if (answer == CLI_DONE) return cli_report_print(report);
    cli_report_free(report);
    return answer;
}

int cmd_info(int argc, const char **argv) {
    struct poptOption options[] = {
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) answer = info(parsed.words[0]);
    cli_release(options, &parsed);
    return answer;
}
