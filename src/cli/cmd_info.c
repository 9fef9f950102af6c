/* vindex info: what a file is and whether it is sound. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vindex/flat.h>
#include <vindex/index.h>
#include <vindex/ivf.h>

#include "filling.h"
#include "model.h"
#include "report.h"
#include "rows.h"

static const struct cli_usage usage = {
    .verb = "info",
    .form = "PATH",
    .does =
        "Says what a file is - embeddings, labels, an index or a model - and checks all of it: an\n"
        "index or a model against its checksums, embeddings for NaN and infinity. Of a container\n"
        "(.pt, .npz, .h5, .json and the like) it lists the members, and the --key that each is\n"
        "read by.",
    .example = "  vindex info embeddings.npy\n  vindex info checkpoint.pt --key lin1.weight\n"
               "  vindex info songs.vindex --json",
    .words = "PATH",
    .word_count = 1,
};

/* What a file of vindex's own holds, as its header says: 1 an index, 2 a projection; 0 for another
 * file. */
static int container_kind(const char *path) {
    static const char magic[8] = "VINDEX\r\n";
    unsigned char found[16] = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 0;
    bool same = fread(found, 1, sizeof found, file) == sizeof found &&
                memcmp(found, magic, sizeof magic) == 0;
    fclose(file);
    if (!same) return 0;
    return found[12] == 2 ? 2 : 1; /* anything odd is for the index reader to name */
}

static double file_bytes(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 ? (double)found.st_size : 0;
}

/* Of a folder, what its numbers take. */
static double path_bytes(const char *path, const vindex_embeddings_info *info) {
    if (strcmp(info->format, "folder") != 0) return file_bytes(path);
    return (double)info->rows * (double)info->dim * (double)vindex_dtype_size(info->dtype);
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
    if (stats.distortion > 0)
        cli_report_real(report, "distortion", "distortion", stats.distortion, 6, "");
    if (stats.offered > 0) {
        cli_report_int(report, "learnt_from", "learnt from", stats.learnt_from);
        cli_report_int(report, "offered", "of", stats.offered);
    }
}

/* The codes of a certified index, and what was predicted of them. */
static void report_codes(const vindex_index *index, struct cli_report *report) {
    vindex_flat_coding coding;
    if (vindex_flat_coding_of(index, &coding) != VINDEX_OK || coding.dims == 0) return;
    char text[128];
    snprintf(text, sizeof text, "%s, %lld dimensions, %lld bits each", coding.rotation,
             (long long)coding.dims, (long long)(4 * coding.planes));
    cli_report_text(report, "codes", "codes", text);
    cli_report_real(report, "code_bytes_per_vector", "code bytes per vector", coding.code_bytes, 1,
                    "");
    cli_report_real(report, "predicted_bytes_per_vector", "predicted to read", coding.forecast, 1,
                    "");
    cli_report_real(report, "vector_bytes", "bytes of a vector", coding.vector_bytes, 1, "");
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
    report_codes(index, report);
    cli_report_bytes(report, "bytes", "bytes", file_bytes(path));
    report_lists(index, report);
    answer = cli_report_points(report, index);
    if (vindex_index_transform(index) != NULL)
        cli_model_steps(report, vindex_index_transform(index));
    if (answer == CLI_DONE) answer = report_sections(path, report);
    cli_report_text(report, "checks", "checks", "every checksum matches");
    vindex_free(index);
    return answer;
}

/* Eigenvalues as a table: some of them, and the share of the variance that those up to each keep.
 */
static void report_spectrum(struct cli_report *report, const vindex_transform_fact *values,
                            double variance) {
    double sum = 0;
    int64_t next = 1;
    cli_report_text(report, NULL, "eigenvalue", "       value   variance kept so far");
    for (int64_t i = 1; i <= values->count; i++) {
        char label[32], text[64];
        sum += values->values[i - 1];
        if (i != next && i != values->count) continue;
        snprintf(label, sizeof label, "  %lld", (long long)i);
        snprintf(text, sizeof text, "%12.6g   %.4f%%", values->values[i - 1],
                 100 * (sum < variance ? sum / variance : 1));
        cli_report_text(report, NULL, label, text);
        next = i < 4 ? i + 1 : i * 2;
    }
}

static void report_spectra(struct cli_report *report, const vindex_transform *model) {
    for (int64_t s = 0; s < vindex_transform_step_count(model); s++) {
        vindex_transform_fact fact, values = {0}, variance = {0};
        for (int64_t f = 0; vindex_transform_fact_at(model, s, f, &fact) == VINDEX_OK; f++) {
            if (strcmp(fact.name, "eigenvalues") == 0) values = fact;
            if (strcmp(fact.name, "variance") == 0) variance = fact;
        }
        if (values.count > 0 && variance.count == 1)
            report_spectrum(report, &values, variance.values[0]);
    }
}

static int info_model(const char *path, struct cli_report *report) {
    vindex_transform *model = NULL;
    int answer = cli_status(vindex_transform_load(path, &model));
    if (answer != CLI_DONE) return answer;
    cli_report_text(report, "kind", "kind", "projection");
    cli_report_text(report, "format", "format", "vindex");
    cli_report_int(report, "dim", "dim", vindex_transform_input_dim(model));
    cli_model_steps(report, model);
    report_spectra(report, model);
    cli_report_bytes(report, "bytes", "bytes", file_bytes(path));
    cli_report_text(report, "checks", "checks", "every checksum matches");
    vindex_transform_free(model);
    return CLI_DONE;
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
    if (strcmp(info->format, "folder") == 0)
        cli_report_int(report, "skipped", "skipped files", info->skipped);
    cli_report_bytes(report, "bytes", "bytes", path_bytes(path, info));
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

/* What a container holds: all of it as JSON, the first of it in the table. */
static void report_members(const vindex_members *members, struct cli_report *report) {
    enum { SHOWN = 40 };
    static const char *const uses[] = {"other", "embeddings", "labels"};
    static const char *const flags[] = {"other", "--key", "--labels-key"};
    json_t *list = json_array();
    for (int64_t i = 0; i < members->count; i++) {
        const vindex_member *member = &members->items[i];
        char text[224];
        /* A key need not be UTF-8, JSON must be. */
        json_array_append_new(list,
                              json_pack("{s:s*, s:s*, s:s, s:I, s:I}", "key", member->key, "kind",
                                        member->kind, "use", uses[member->use], "rows",
                                        (json_int_t)member->rows, "dim", (json_int_t)member->dim));
        if (i >= SHOWN) continue;
        snprintf(text, sizeof text, "%.120s%s%s", member->key, *member->key ? ": " : "",
                 member->kind);
        cli_report_text(report, NULL, flags[member->use], text);
    }
    if (members->count > SHOWN)
        cli_report_int(report, NULL, "more, see --json", members->count - SHOWN);
    cli_report_json(report, "members", list);
}

/* Whether a file opens as embeddings without more being said. */
static bool opens(const char *path) {
    vindex_embeddings *file;
    if (vindex_embeddings_open(path, NULL, &file) != VINDEX_OK) return false;
    vindex_embeddings_close(file);
    return true;
}

/* A container, as what it is read as when nothing is chosen: embeddings, labels, or neither; then
 * its members. */
static int info_container(const char *path, const vindex_members *members,
                          struct cli_report *report) {
    int64_t choices = 0;
    for (int64_t i = 0; i < members->count; i++)
        choices += members->items[i].use == VINDEX_MEMBER_EMBEDDINGS;
    int answer = CLI_DONE;
    if (choices > 1 && cli_columns.key == NULL && !opens(path)) {
        cli_report_text(report, "kind", "kind", "container");
        cli_report_bytes(report, "bytes", "bytes", file_bytes(path));
        cli_report_text(report, NULL, "to read", "choose a member with --key");
    } else if (choices > 0 || !info_labels(path, report)) {
        answer = info_embeddings(path, report);
    }
    if (answer == CLI_DONE) report_members(members, report);
    return answer;
}

/* Embeddings, which may be one of several members. */
static int info_members(const char *path, struct cli_report *report) {
    vindex_members members;
    int answer = cli_status(vindex_embeddings_members(path, &members));
    if (answer != CLI_DONE) return answer;
    bool plain = members.count == 1 && *members.items[0].key == '\0' &&
                 members.items[0].use == VINDEX_MEMBER_EMBEDDINGS;
    answer = plain ? info_embeddings(path, report) : info_container(path, &members, report);
    vindex_members_free(&members);
    return answer;
}

static int info(const char *path) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_text(report, "path", "path", path);
    int answer = CLI_DONE;
    /* Before the ending is looked at, which says nothing about a file that is not there. */
    if (access(path, R_OK) != 0)
        answer = cli_fail("%s: cannot open, %s; check the path", path, strerror(errno));
    else if (container_kind(path) == 2)
        answer = info_model(path, report);
    else if (container_kind(path) == 1)
        answer = info_index(path, report);
    else if (!may_be_labels(path) || !info_labels(path, report))
        answer = cli_is_table(path) ? info_embeddings(path, report) : info_members(path, report);
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
