#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cli_columns cli_columns;

struct poptOption cli_column_options[] = {
    {"key", 0, POPT_ARG_STRING, &cli_columns.key, 0, "member of a container file to read", "NAME"},
    {"id-column", 0, POPT_ARG_STRING, &cli_columns.id_column, 0,
     "ids: column of .csv and .tsv, by name or 0-based number, or member of a container", "COL"},
    {"label-column", 0, POPT_ARG_STRING, &cli_columns.label_column, 0, "labels: likewise", "COL"},
    {"labels-key", 0, POPT_ARG_STRING, &cli_columns.labels_key, 0,
     "member of a container of labels to read", "NAME"},
    POPT_TABLEEND,
};

bool cli_is_table(const char *path) {
    return cli_ends(path, ".csv") || cli_ends(path, ".tsv");
}

bool cli_has_columns(const char *path) {
    static const char *const plain[] = {".npy",  ".fvecs", ".bvecs", ".ivecs",
                                        ".fbin", ".u8bin", ".i8bin", ".ibin"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (cli_ends(path, plain[i])) return false;
    return true;
}

/* A folder is read without what is no embeddings in it, which is said. */
static void note_skipped(const char *flag, const char *path, const vindex_embeddings_info *info) {
    if (info->skipped > 0)
        cli_note("note: %s %s: %lld files that are hidden or of another ending were skipped", flag,
                 path, (long long)info->skipped);
}

static int open_file(const char *flag, struct cli_rows *rows) {
    const char *path = rows->paths[rows->count];
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.key = cli_columns.key;
    if (cli_has_columns(path)) {
        options.id_column = cli_columns.id_column;
        options.label_column = cli_columns.label_column;
    }
    vindex_embeddings *file;
    int answer = cli_status(vindex_embeddings_open(path, &options, &file));
    if (answer != CLI_DONE) return answer;
    vindex_embeddings_info info;
    vindex_embeddings_describe(file, &info);
    if (rows->count > 0 && info.dim != rows->dim) {
        vindex_embeddings_close(file);
        return cli_fail("%s %s: its rows have %lld numbers and those of %s have %lld; give files "
                        "of one dimension",
                        flag, path, (long long)info.dim, rows->paths[0], (long long)rows->dim);
    }
    note_skipped(flag, path, &info);
    rows->has_ids = info.has_ids && (rows->count == 0 || rows->has_ids);
    rows->has_labels = info.has_labels && (rows->count == 0 || rows->has_labels);
    rows->files[rows->count++] = file;
    rows->dim = info.dim;
    rows->rows += info.rows;
    rows->starts[rows->count] = rows->rows;
    return CLI_DONE;
}

int cli_rows_open(const char *const *paths, const char *flag, int64_t least,
                  struct cli_rows *rows) {
    *rows = (struct cli_rows){.paths = paths};
    if (paths == NULL || paths[0] == NULL)
        return cli_words("%s: no file was given; add %s FILE", flag, flag);
    int64_t count = 0;
    while (paths[count] != NULL) count++;
    rows->files = cli_alloc(count, sizeof *rows->files, flag);
    rows->starts = cli_alloc(count + 1, sizeof *rows->starts, flag);
    int answer = rows->files != NULL && rows->starts != NULL ? CLI_DONE : CLI_FAILED;
    while (answer == CLI_DONE && rows->count < count) answer = open_file(flag, rows);
    if (answer == CLI_DONE && rows->rows < least)
        answer = cli_fail("%s %s: it holds no rows; give a file that does", flag, paths[0]);
    if (answer != CLI_DONE) cli_rows_close(rows);
    return answer;
}

void cli_rows_close(struct cli_rows *rows) {
    for (int i = 0; i < rows->count; i++) vindex_embeddings_close(rows->files[i]);
    free(rows->files);
    free(rows->starts);
    *rows = (struct cli_rows){0};
}

static int file_of(const struct cli_rows *rows, int64_t row) {
    int file = 0;
    while (row >= rows->starts[file + 1]) file++;
    return file;
}

int cli_rows_finite(const struct cli_rows *rows, int64_t first, int64_t count,
                    const float *vectors) {
    for (int64_t i = 0; i < count; i++) {
        const float *row = vectors + i * rows->dim;
        for (int64_t j = 0; j < rows->dim; j++) {
            if (isfinite(row[j])) continue;
            int file = file_of(rows, first + i);
            return cli_fail("%s: row %lld holds %s; repair it or leave the row out",
                            rows->paths[file], (long long)(first + i - rows->starts[file]),
                            isnan(row[j]) ? "NaN" : "an infinite number");
        }
    }
    return CLI_DONE;
}

static vindex_status read_rows(void *context, int64_t first, int64_t count, float *vectors) {
    const struct cli_rows *rows = context;
    vindex_status status = VINDEX_OK;
    for (int64_t done = 0; done < count && status == VINDEX_OK;) {
        int file = file_of(rows, first + done);
        int64_t here = first + done - rows->starts[file];
        int64_t left = rows->starts[file + 1] - first - done;
        int64_t take = left < count - done ? left : count - done;
        status = vindex_embeddings_read(rows->files[file], here, take, vectors + done * rows->dim);
        done += take;
    }
    return status;
}

int cli_rows_read(const struct cli_rows *rows, int64_t first, int64_t count, float *vectors) {
    return cli_status(read_rows((void *)(uintptr_t)rows, first, count, vectors));
}

void cli_rows_source(const struct cli_rows *rows, vindex_rows *source) {
    *source = (vindex_rows){
        .count = rows->rows,
        .dim = rows->dim,
        .read = read_rows,
        .context = (void *)(uintptr_t)rows,
    };
}

int64_t cli_block_rows(int64_t dim) {
    int64_t rows = ((int64_t)16 << 20) / ((int64_t)sizeof(float) * dim);
    return rows > 0 ? rows : 1;
}

int cli_rows_each(const struct cli_rows *rows, const char *phase, cli_visit visit, void *context) {
    int64_t block = cli_block_rows(rows->dim);
    if (block > rows->rows) block = rows->rows;
    float *vectors = cli_alloc(block, rows->dim * (int64_t)sizeof *vectors, "block of rows");
    int answer = vectors != NULL ? CLI_DONE : CLI_FAILED;
    for (int64_t first = 0; first < rows->rows && answer == CLI_DONE; first += block) {
        int64_t count = rows->rows - first < block ? rows->rows - first : block;
        answer = cli_rows_read(rows, first, count, vectors);
        if (answer == CLI_DONE) answer = visit(context, first, count, vectors);
        double fraction = (double)(first + count) / (double)rows->rows;
        if (answer == CLI_DONE && cli_progress(NULL, phase, fraction) != 0)
            answer = cli_status(VINDEX_ERR_CANCELLED);
    }
    free(vectors);
    return answer;
}

struct loading {
    const struct cli_rows *rows;
    float *vectors;
};

static int keep_block(void *context, int64_t first, int64_t count, const float *vectors) {
    struct loading *loading = context;
    size_t dim = (size_t)loading->rows->dim;
    memcpy(loading->vectors + (size_t)first * dim, vectors, (size_t)count * dim * sizeof *vectors);
    return cli_rows_finite(loading->rows, first, count, vectors);
}

int cli_rows_load(const struct cli_rows *rows, float **vectors) {
    struct loading loading = {rows, NULL};
    *vectors = cli_alloc(rows->rows, rows->dim * (int64_t)sizeof **vectors, rows->paths[0]);
    if (*vectors == NULL) return CLI_FAILED;
    loading.vectors = *vectors;
    int answer = cli_rows_each(rows, "reading", keep_block, &loading);
    if (answer != CLI_DONE) {
        free(*vectors);
        *vectors = NULL;
    }
    return answer;
}

const char *cli_rows_id(const struct cli_rows *rows, int64_t row) {
    int file = file_of(rows, row);
    return vindex_embeddings_id(rows->files[file], row - rows->starts[file]);
}

const char *cli_rows_label(const struct cli_rows *rows, int64_t row) {
    int file = file_of(rows, row);
    return vindex_embeddings_label(rows->files[file], row - rows->starts[file]);
}
