/* Which row belongs to which clique, from wherever people keep it. All sources go through one
 * builder, which numbers names by first appearance. */
#include "labels.h"

#include "format.h"
#include "text.h"

#include <stdio.h>

void vindex_labels_options_init_sized(vindex_labels_options *options, size_t struct_size) {
    vx_options_init(options, struct_size);
}

void vindex_labels_free(vindex_labels *labels) {
    if (!labels) return;
    vx_free(labels->cliques);
    vx_free(labels->names);
    vx_free(labels->ids);
    *labels = (vindex_labels){0};
}

/* Labels being collected. Zeroed is empty. */
typedef struct builder {
    const char *source; /* for errors */
    vx_names names;
    vx_pool ids;
    int32_t *cliques;
    size_t count, capacity;
} builder;

static void builder_free(builder *b) {
    vx_names_free(&b->names);
    vx_pool_free(&b->ids);
    vx_free(b->cliques);
}

static vindex_status builder_add(builder *b, const char *name) {
    if (!*name)
        return vx_fail(
            VINDEX_ERR_DATA,
            "%s: the label of row %zu (from 0) is empty; give each song without a clique "
            "a label of its own",
            b->source, b->count);
    if (!vx_grow((void **)&b->cliques, &b->capacity, b->count + 1, sizeof *b->cliques) ||
        !vx_names_number(&b->names, name, strlen(name), &b->cliques[b->count]))
        return vx_fail_memory(b->count + 1, sizeof *b->cliques, b->source);
    b->count++;
    return VINDEX_OK;
}

static vindex_status builder_add_id(builder *b, const char *id) {
    if (vx_pool_add(&b->ids, id, strlen(id))) return VINDEX_OK;
    return vx_fail_memory(strlen(id) + 1, 1, b->source);
}

/* Hands what was collected to *labels, if `status` is still good, and frees the rest. */
static vindex_status builder_end(builder *b, vindex_status status, bool has_ids,
                                 vindex_labels *labels) {
    if (status == VINDEX_OK) {
        vindex_labels built = {.count = (int64_t)b->count,
                               .cliques = b->cliques ? b->cliques : vx_alloc(0, 1),
                               .clique_count = (int64_t)b->names.pool.count,
                               .names = vx_pool_pack(&b->names.pool),
                               .ids = has_ids ? vx_pool_pack(&b->ids) : NULL};
        b->cliques = NULL;
        if (built.cliques && built.names && (built.ids || !has_ids)) {
            *labels = built;
        } else {
            vindex_labels_free(&built);
            status = vx_fail_memory(b->count, sizeof(char *), b->source);
        }
    }
    builder_free(b);
    return status;
}

static vindex_status add_rows(builder *b, const char *const *names, const char *const *ids,
                              int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (!names[i] || (ids && !ids[i]))
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "labels from names: the name or id of row %lld is NULL; give all",
                           (long long)i);
        VX_TRY(builder_add(b, names[i]));
        if (ids) VX_TRY(builder_add_id(b, ids[i]));
    }
    return VINDEX_OK;
}

vindex_status vindex_labels_from_names(const char *const *names, const char *const *ids, int64_t n,
                                       vindex_labels *labels) {
    if (n < 0 || (n && !names) || !labels)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "labels from names: names or result are NULL or n is %lld; give all",
                       (long long)n);
    builder b = {.source = "labels from names"};
    return builder_end(&b, add_rows(&b, names, ids, n), ids != NULL, labels);
}

/* What a format has put into labels and ids. */
static vindex_status build_labels(const vindex_embeddings *file, vindex_labels *labels) {
    builder b = {.source = file->path};
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; i < file->labels.count && status == VINDEX_OK; i++) {
        status = builder_add(&b, vx_pool_get(&file->labels, i));
        if (status == VINDEX_OK && file->info.has_ids)
            status = builder_add_id(&b, vx_pool_get(&file->ids, i));
    }
    return builder_end(&b, status, file->info.has_ids, labels);
}

vindex_status vindex_embeddings_labels(const vindex_embeddings *file, vindex_labels *labels) {
    if (!file || !labels)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "labels of embeddings: file or result is NULL; give both");
    if (!file->info.has_labels)
        return vx_fail(
            VINDEX_ERR_NOT_FOUND,
            "%s: labels: no column of labels was named; name one or give a file of labels",
            file->path);
    return build_labels(file, labels);
}

/* The columns of a table of labels. */
typedef struct roles {
    size_t label, id, count;
    bool has_id;
} roles;

/* The first of the known names that the header has. */
static bool find_known(const vx_pool *columns, const char *const *known, size_t *column) {
    for (size_t k = 0; known[k]; k++)
        for (size_t i = 0; i < columns->count; i++)
            if (!strcmp(vx_pool_get(columns, i), known[k])) {
                *column = i;
                return true;
            }
    return false;
}

const char *const vx_label_names[] = {"clique", "clique_id", "work_id", "work", "label",
                                      "labels", "class",     "song_id", NULL};
const char *const vx_id_names[] = {"track_id",       "track", "id",        "recording_id",
                                   "performance_id", "utt",   "path",      "file",
                                   "filename",       "ids",   "anchor_id", NULL};

static vindex_status find_roles(const char *path, const vx_pool *columns, bool has_header,
                                const vindex_labels_options *options, roles *found) {
    size_t count = found->count = columns->count;
    if (options->label_column)
        VX_TRY(vx_column_find(path, columns, has_header, options->label_column, &found->label));
    else if (!has_header && count == 1)
        found->label = 0;
    else if (!has_header)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: labels: %zu columns without a header; give the label column's index",
                       path, count);
    else if (!find_known(columns, vx_label_names, &found->label))
        return vx_column_find(path, columns, true, "work_id", &found->label);
    found->has_id = true;
    if (options->id_column)
        return vx_column_find(path, columns, has_header, options->id_column, &found->id);
    found->has_id = has_header && find_known(columns, vx_id_names, &found->id);
    if (has_header && !found->has_id && found->label != 0 && !*vx_pool_get(columns, 0)) {
        found->has_id = true;
        found->id = 0;
    }
    return VINDEX_OK;
}

/* One label per line is what a single column without a known name is taken for. */
static bool guess_header(const vx_pool *columns, const vindex_labels_options *options) {
    size_t column;
    return columns->count > 1 || options->label_column || options->id_column ||
           find_known(columns, vx_label_names, &column);
}

static vindex_status add_table_row(builder *b, vx_text *text, const roles *columns, vx_pool *kept) {
    vx_cell cell;
    size_t count = 0, line = text->line;
    do {
        VX_TRY(vx_text_cell(text, &cell));
        bool label = count == columns->label, id = columns->has_id && count == columns->id;
        count++;
        if (!label && !id) continue;
        kept->count = kept->length = 0;
        VX_TRY(vx_cell_keep(text, &cell, kept));
        if (label) VX_TRY(builder_add(b, vx_pool_get(kept, 0)));
        if (id) VX_TRY(builder_add_id(b, vx_pool_get(kept, 0)));
    } while (!cell.last);
    if (count == columns->count) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: line %zu has %zu cells where the first line has %zu; mend the line",
                   b->source, line, count, columns->count);
}

static vindex_status read_table(builder *b, vx_text text, const vindex_labels_options *options,
                                bool *has_ids) {
    if (!vx_text_line(&text))
        return vx_fail(VINDEX_ERR_FORMAT, "%s: it is empty; give a table of labels", b->source);
    vx_text first = text;
    vx_pool columns = {0}, kept = {0};
    roles found = {0};
    vindex_status status = vx_text_columns(&text, &columns);
    bool has_header = options->header == VINDEX_HEADER_YES;
    if (status == VINDEX_OK && options->header == VINDEX_HEADER_AUTO)
        has_header = guess_header(&columns, options);
    if (status == VINDEX_OK) status = find_roles(b->source, &columns, has_header, options, &found);
    if (!has_header) text = first;
    while (status == VINDEX_OK && vx_text_line(&text))
        status = add_table_row(b, &text, &found, &kept);
    vx_pool_free(&columns);
    vx_pool_free(&kept);
    *has_ids = found.has_id;
    return status;
}

/* Empty lines may end the file; before a label they would shift the rows. */
static vindex_status read_lines(builder *b, vx_text text) {
    vx_pool kept = {0};
    vindex_status status = VINDEX_OK;
    while (status == VINDEX_OK && text.at < text.end) {
        vx_text rest = text;
        vx_cell cell;
        if (!vx_text_line(&rest)) break;
        status = vx_text_cell(&text, &cell);
        kept.count = kept.length = 0;
        if (status == VINDEX_OK) status = vx_cell_keep(&text, &cell, &kept);
        if (status == VINDEX_OK) status = builder_add(b, vx_pool_get(&kept, 0));
    }
    vx_pool_free(&kept);
    return status;
}

static vindex_status resolve(const char *path, char separator, const vindex_labels_options *given,
                             vindex_labels_options *options) {
    vindex_labels_options_init(options);
    if (!given) return VINDEX_OK;
    if (given->struct_size != sizeof *given || (unsigned)given->header > VINDEX_HEADER_NO)
        return vx_fail(
            VINDEX_ERR_ARGUMENT,
            "options: struct_size is %zu (this library knows %zu), header %d; start with "
            "vindex_labels_options_init",
            given->struct_size, sizeof *given, (int)given->header);
    if (given->key)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: key '%s': a text file holds one set of labels; leave the key out", path,
                       given->key);
    if (!separator && (given->label_column || given->id_column || given->header))
        return vx_fail(
            VINDEX_ERR_ARGUMENT,
            "%s: a file of one label per line has no columns and no line of names; leave "
            "these options out, or give a .csv or .tsv",
            path);
    *options = *given;
    return VINDEX_OK;
}

vindex_status vx_labels_read_as(const char *path, char separator,
                                const vindex_labels_options *given, vindex_labels *labels) {
    vindex_labels_options options;
    VX_TRY(resolve(path, separator, given, &options));
    vx_map map;
    VX_TRY(vx_map_open(path, &map));
    vx_text text = vx_text_begin(path, &map, separator);
    builder b = {.source = path};
    bool has_ids = false;
    vindex_status status =
        separator ? read_table(&b, text, &options, &has_ids) : read_lines(&b, text);
    status = builder_end(&b, status, has_ids, labels);
    vx_map_close(&map);
    return status;
}

/* The endings labels are kept under and what separates cells there; 0: nothing, lines are labels.
 */
static const struct {
    const char *ending;
    char separator;
} endings[] = {{"csv", ','}, {"tsv", '\t'}, {"txt", 0}, {"lst", 0}, {"labels", 0}, {"", 0}};

static bool find_separator(const char *path, char *separator) {
    for (size_t i = 0; i < VX_COUNT(endings); i++)
        if (vx_same_ending(vx_ending(path), endings[i].ending)) {
            *separator = endings[i].separator;
            return true;
        }
    return false;
}

/* Options for a container: those of text tables do not apply. */
static vindex_status resolve_container(const char *path, const vindex_labels_options *given,
                                       vindex_labels_options *options) {
    vindex_labels_options_init(options);
    if (!given) return VINDEX_OK;
    if (given->struct_size != sizeof *given || given->header)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: options: struct_size is %zu (this library knows %zu), header %d, which "
                       "only text tables have; start with vindex_labels_options_init",
                       path, given->struct_size, sizeof *given, (int)given->header);
    *options = *given;
    return VINDEX_OK;
}

vindex_status vx_labels_as(const char *path, const vx_format *format,
                           const vindex_labels_options *given, vindex_labels *labels) {
    vindex_labels_options options;
    VX_TRY(resolve_container(path, given, &options));
    vindex_embeddings *file;
    VX_TRY(vx_embeddings_begin(path, format, &file));
    vindex_status status = format->reader->labels(file, &options);
    if (status == VINDEX_OK) status = build_labels(file, labels);
    vindex_embeddings_close(file);
    return status;
}

vindex_status vindex_labels_read(const char *path, const vindex_labels_options *options,
                                 vindex_labels *labels) {
    if (!path || !labels)
        return vx_fail(VINDEX_ERR_ARGUMENT, "reading labels: path or result is NULL; give both");
    char separator;
    const vx_format *folder = vx_folder_format(path);
    if (folder) return vx_labels_as(path, folder, options, labels);
    if (!find_separator(path, &separator)) {
        const vx_format *format = vx_format_named(vx_ending(path));
        if (format && format->reader->labels) return vx_labels_as(path, format, options, labels);
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: labels by ending: .%.20s is neither a text file (.csv .tsv .txt .lst "
                       ".labels) nor a container that has labels; convert or rename the file",
                       path, vx_ending(path));
    }
    return vx_labels_read_as(path, separator, options, labels);
}

static vindex_status write_row(vx_writer *file, const vindex_labels *labels, int64_t row,
                               char separator) {
    int32_t clique = labels->cliques[row];
    char number[24];
    const char *id = labels->ids ? labels->ids[row] : number;
    if (clique < 0 || clique >= labels->clique_count)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "writing labels: row %lld is of clique %d of %lld; give cliques there are",
                       (long long)row, (int)clique, (long long)labels->clique_count);
    snprintf(number, sizeof number, "%lld", (long long)row);
    VX_TRY(vx_cell_write(file, labels->names[clique], separator));
    VX_TRY(vx_writer_write(file, &separator, 1));
    VX_TRY(vx_cell_write(file, id, separator));
    return vx_writer_write(file, "\n", 1);
}

vindex_status vindex_labels_write(const char *path, const vindex_labels *labels) {
    if (!path || !labels)
        return vx_fail(VINDEX_ERR_ARGUMENT, "writing labels: path or labels are NULL; give both");
    char separator;
    if (!find_separator(path, &separator) || !separator)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: labels are written as .csv or .tsv; choose one of these endings", path);
    vx_writer *file;
    VX_TRY(vx_writer_open(path, &file));
    vindex_status status = vx_cell_write(file, "work_id", separator);
    if (status == VINDEX_OK) status = vx_writer_write(file, &separator, 1);
    if (status == VINDEX_OK) status = vx_writer_write(file, "track_id\n", 9);
    for (int64_t i = 0; i < labels->count && status == VINDEX_OK; i++)
        status = write_row(file, labels, i, separator);
    if (status == VINDEX_OK) return vx_writer_commit(file);
    vx_writer_abort(file);
    return status;
}
