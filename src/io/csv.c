/* .csv .tsv: a row per line. Opening walks the file once: it counts the cells of every line, notes
 * where each row begins and keeps ids and labels. Cells become numbers when they are read. */
#include "format.h"
#include "text.h"

#include "numbers.h"

#include <stdio.h>

enum { NONE = -1 };

typedef struct table {
    vx_pool columns; /* the cells of the first line */
    bool has_header;
    int64_t id_column, label_column; /* or NONE */
    size_t *starts;                  /* offset of each row */
    size_t capacity;
} table;

static bool is_role(const table *t, size_t column) {
    return (int64_t)column == t->id_column || (int64_t)column == t->label_column;
}

/* Whether the first line is exactly 0,1,2,...: names, not numbers. */
static bool counts_up(const vx_pool *columns) {
    for (size_t i = 0; i < columns->count; i++) {
        char expected[24];
        snprintf(expected, sizeof expected, "%zu", i);
        if (strcmp(vx_pool_get(columns, i), expected) != 0) return false;
    }
    return columns->count > 1;
}

static bool by_name(const char *word) {
    return word && !vx_is_index(word);
}

/* Whether column i is the one that a word names by its index. */
static bool by_index(const char *word, size_t i) {
    return word && vx_is_index(word) && strtoull(word, NULL, 10) == i;
}

static vindex_status guess_header(const vx_pool *columns, const vindex_embeddings_options *options,
                                  bool *header) {
    *header = true;
    if (by_name(options->id_column) || by_name(options->label_column) || counts_up(columns))
        return VINDEX_OK;
    vx_locale locale;
    VX_TRY(vx_locale_enter(&locale));
    bool numbers = true;
    for (size_t i = 0; i < columns->count && numbers; i++) {
        if (by_index(options->id_column, i) || by_index(options->label_column, i)) continue;
        const char *text = vx_pool_get(columns, i);
        float value;
        numbers = vx_cell_number(&(vx_cell){.text = text, .length = strlen(text)}, &value);
    }
    vx_locale_leave(&locale);
    *header = !numbers;
    return VINDEX_OK;
}

static vindex_status find_role(const vindex_embeddings *file, const char *word, int64_t *column) {
    const table *t = file->state;
    size_t found;
    *column = NONE;
    if (!word) return VINDEX_OK;
    VX_TRY(vx_column_find(file->path, &t->columns, t->has_header, word, &found));
    *column = (int64_t)found;
    return VINDEX_OK;
}

/* Reads the first line and finds out what the columns are; text is then at the first row. */
static vindex_status read_columns(vindex_embeddings *file, const vindex_embeddings_options *options,
                                  vx_text *text) {
    table *t = file->state;
    if (!vx_text_line(text))
        return vx_fail(
            VINDEX_ERR_FORMAT,
            "%s: it is empty, nothing says how many numbers a row has; give a file with rows",
            file->path);
    vx_text first = *text;
    VX_TRY(vx_text_columns(text, &t->columns));
    t->has_header = options->header == VINDEX_HEADER_YES;
    if (options->header == VINDEX_HEADER_AUTO)
        VX_TRY(guess_header(&t->columns, options, &t->has_header));
    if (!t->has_header) *text = first;
    VX_TRY(find_role(file, options->id_column, &t->id_column));
    VX_TRY(find_role(file, options->label_column, &t->label_column));
    size_t dim = 0;
    for (size_t i = 0; i < t->columns.count; i++) dim += !is_role(t, i);
    if (dim < 1 || dim > INT32_MAX)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: beside ids and labels it has %zu columns; 1 to %d can be read",
                       file->path, dim, INT32_MAX);
    file->info.dim = (int64_t)dim;
    return VINDEX_OK;
}

/* Walks over one row: counts its cells, keeps id and label. */
static vindex_status scan_row(vindex_embeddings *file, vx_text *text) {
    const table *t = file->state;
    size_t count = 0, line = text->line;
    vx_cell cell;
    do {
        VX_TRY(vx_text_cell(text, &cell));
        if ((int64_t)count == t->id_column) VX_TRY(vx_cell_keep(text, &cell, &file->ids));
        if ((int64_t)count == t->label_column) VX_TRY(vx_cell_keep(text, &cell, &file->labels));
        count++;
    } while (!cell.last);
    if (count == t->columns.count) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: line %zu has %zu cells where the first line has %zu; mend the line",
                   file->path, line, count, t->columns.count);
}

static vindex_status csv_open(vindex_embeddings *file, const vindex_embeddings_options *options) {
    table *t = file->state = vx_alloc_zero(1, sizeof *t);
    if (!t) return vx_fail_memory(1, sizeof *t, file->path);
    vx_text text = vx_text_begin(file->path, &file->map, file->format->separator);
    VX_TRY(read_columns(file, options, &text));
    size_t rows = 0;
    for (; vx_text_line(&text); rows++) {
        if (!vx_grow((void **)&t->starts, &t->capacity, rows + 1, sizeof *t->starts))
            return vx_fail_memory(rows + 1, sizeof *t->starts, file->path);
        t->starts[rows] = (size_t)(text.at - (const char *)file->map.bytes);
        VX_TRY(scan_row(file, &text));
    }
    file->info.rows = (int64_t)rows;
    file->info.dtype = VINDEX_F64;
    file->info.has_ids = t->id_column != NONE;
    file->info.has_labels = t->label_column != NONE;
    return VINDEX_OK;
}

static void csv_close(vindex_embeddings *file) {
    table *t = file->state;
    if (!t) return;
    vx_pool_free(&t->columns);
    vx_free(t->starts);
    vx_free(t);
}

static vindex_status fail_number(const vindex_embeddings *file, size_t row, size_t column,
                                 const vx_cell *cell) {
    const table *t = file->state;
    char name[VX_EXCERPT] = "", shown[VX_EXCERPT];
    if (t->has_header) {
        const char *text = vx_pool_get(&t->columns, column);
        vx_excerpt(text, strlen(text), name);
    }
    size_t line = 1;
    for (size_t i = 0; i < t->starts[row]; i++) line += file->map.bytes[i] == '\n';
    return vx_fail(
        VINDEX_ERR_FORMAT,
        "%s: row %zu (line %zu), column %zu%s%s%s: '%s' is not a number; mend it, or say "
        "which columns hold ids and labels",
        file->path, row, line, column, *name ? " ('" : "", name, *name ? "')" : "",
        vx_excerpt(cell->text, cell->length, shown));
}

static vindex_status read_row(const vindex_embeddings *file, size_t row, float *vector) {
    const table *t = file->state;
    vx_text text = vx_text_begin(file->path, &file->map, file->format->separator);
    text.at = (const char *)file->map.bytes + t->starts[row];
    for (size_t i = 0; i < t->columns.count; i++) {
        vx_cell cell;
        VX_TRY(vx_text_cell(&text, &cell));
        if (is_role(t, i)) continue;
        if (!vx_cell_number(&cell, vector++)) return fail_number(file, row, i, &cell);
    }
    return VINDEX_OK;
}

static vindex_status csv_read(const vindex_embeddings *file, size_t first, size_t count,
                              float *vectors) {
    vx_locale locale;
    VX_TRY(vx_locale_enter(&locale));
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; i < count && status == VINDEX_OK; i++)
        status = read_row(file, first + i, vectors + i * (size_t)file->info.dim);
    vx_locale_leave(&locale);
    return status;
}

const vx_reader_verbs vx_csv_reader = {.open = csv_open, .read = csv_read, .close = csv_close};

static vindex_status csv_begin(vindex_embeddings_writer *writer) {
    for (size_t i = 0; i < writer->dim; i++) {
        char name[32];
        int length = snprintf(name, sizeof name, "x%zu%c", i,
                              i + 1 < writer->dim ? writer->format->separator : '\n');
        VX_TRY(vx_writer_write(writer->file, name, (size_t)length));
    }
    return VINDEX_OK;
}

/* Writes the numbers as the dtype holds them, which for f16 and the like is not as they came. */
static vindex_status write_cells(vindex_embeddings_writer *writer) {
    size_t size = vindex_dtype_size(writer->dtype);
    for (size_t i = 0; i < writer->dim; i++) {
        float value;
        vx_decode(writer->bytes + i * size, size, writer->dtype, false, 1, &value);
        VX_TRY(vx_number_write(writer->file, value));
        char after = i + 1 < writer->dim ? writer->format->separator : '\n';
        VX_TRY(vx_writer_write(writer->file, &after, 1));
    }
    return VINDEX_OK;
}

static vindex_status csv_row(vindex_embeddings_writer *writer, const float *row) {
    VX_TRY(vx_writer_encode(writer, row));
    vx_locale locale;
    VX_TRY(vx_locale_enter(&locale));
    vindex_status status = write_cells(writer);
    vx_locale_leave(&locale);
    return status;
}

const vx_writer_verbs vx_csv_writer = {.begin = csv_begin, .row = csv_row};
