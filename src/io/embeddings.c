/* The public side of reading: arguments are checked here once, the format does the rest. */
#include "format.h"

#include <stdatomic.h>

void vindex_embeddings_options_init_sized(vindex_embeddings_options *options, size_t struct_size) {
    vx_options_init(options, struct_size);
}

/* The caller's options, checked against what the format can answer. */
static vindex_status resolve(const char *path, const vx_format *format,
                             const vindex_embeddings_options *given,
                             vindex_embeddings_options *options) {
    vindex_embeddings_options_init(options);
    if (!given) return VINDEX_OK;
    if (given->struct_size != sizeof *given)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "options: struct_size is %zu, this library knows %zu; start with "
                       "vindex_embeddings_options_init",
                       given->struct_size, sizeof *given);
    *options = *given;
    bool container = format->reader->members != NULL;
    if (given->key && !container)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: key '%s': a .%s file holds one set of embeddings; leave the key out",
                       path, given->key, format->name);
    if (!format->separator &&
        (given->header || (!container && (given->id_column || given->label_column))))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: a .%s file has no %sline of names; leave these options out", path,
                       format->name, container ? "" : "columns of ids or labels and no ");
    if ((unsigned)given->header > VINDEX_HEADER_NO)
        return vx_fail(VINDEX_ERR_ARGUMENT, "options: header is %d; give a vindex_header",
                       (int)given->header);
    return VINDEX_OK;
}

vindex_status vx_embeddings_begin(const char *path, const vx_format *format,
                                  vindex_embeddings **embeddings) {
    vindex_embeddings *file = vx_alloc_zero(1, sizeof *file);
    if (!file) return vx_fail_memory(1, sizeof *file, path);
    file->format = format;
    file->path = vx_strdup(path);
    vindex_status status = VINDEX_OK;
    if (!file->path)
        status = vx_fail_memory(strlen(path) + 1, 1, path);
    else if (!format->reader->by_path)
        status = vx_map_open(path, &file->map);
    if (status == VINDEX_OK)
        *embeddings = file;
    else
        vindex_embeddings_close(file);
    return status;
}

vindex_status vx_embeddings_open_as(const char *path, const vx_format *format,
                                    const vindex_embeddings_options *given,
                                    vindex_embeddings **embeddings) {
    vindex_embeddings_options options;
    VX_TRY(resolve(path, format, given, &options));
    vindex_embeddings *file;
    VX_TRY(vx_embeddings_begin(path, format, &file));
    vindex_status status = format->reader->open(file, &options);
    if (status != VINDEX_OK) {
        vindex_embeddings_close(file);
        return status;
    }
    file->info.format = format->name;
    *embeddings = file;
    return VINDEX_OK;
}

vindex_status vindex_embeddings_open(const char *path, const vindex_embeddings_options *options,
                                     vindex_embeddings **embeddings) {
    if (!path || !embeddings)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "opening embeddings: path or result is NULL; give both");
    const vx_format *format;
    VX_TRY(vx_format_find(path, &format));
    return vx_embeddings_open_as(path, format, options, embeddings);
}

/* The one member of a file that is no container. */
static vindex_status add_whole(const char *path, const vx_format *format, vx_members *members) {
    vindex_embeddings *file;
    VX_TRY(vx_embeddings_open_as(path, format, NULL, &file));
    vindex_member whole = {.key = "",
                           .kind = format->name,
                           .use = VINDEX_MEMBER_EMBEDDINGS,
                           .dtype = file->info.dtype,
                           .rows = file->info.rows,
                           .dim = file->info.dim};
    vindex_status status = vx_members_add(members, path, &whole);
    vindex_embeddings_close(file);
    return status;
}

vindex_status vx_members_as(const char *path, const vx_format *format, vindex_members *result) {
    vx_members members = {0};
    vindex_status status;
    if (format->reader->members) {
        vindex_embeddings *file;
        VX_TRY(vx_embeddings_begin(path, format, &file));
        status = format->reader->members(file, &members);
        vindex_embeddings_close(file);
    } else {
        status = add_whole(path, format, &members);
    }
    return vx_members_end(&members, path, status, result);
}

vindex_status vindex_embeddings_members(const char *path, vindex_members *members) {
    if (!path || !members)
        return vx_fail(VINDEX_ERR_ARGUMENT, "members of a file: path or result is NULL; give both");
    const vx_format *format;
    VX_TRY(vx_format_find(path, &format));
    return vx_members_as(path, format, members);
}

void vindex_embeddings_close(vindex_embeddings *file) {
    if (!file) return;
    if (file->format->reader->close) file->format->reader->close(file);
    vx_pool_free(&file->ids);
    vx_pool_free(&file->labels);
    vx_map_close(&file->map);
    vx_free(file->path);
    vx_free(file);
}

void vindex_embeddings_describe(const vindex_embeddings *file, vindex_embeddings_info *info) {
    *info = file->info;
}

/* Reads a stretch of rows at a time and lets go of what it filled of the map, so that reading a
 * file takes the memory of its rows once, also where they are read one by one. Where a row's
 * numbers lie far apart (Fortran order) each row fills the whole map, which is let go at the end.
 */
static vindex_status read_stretches(vindex_embeddings *file, size_t first, size_t count,
                                    float *vectors) {
    enum { STRETCH_BYTES = 16 << 20 };
    size_t dim = (size_t)file->info.dim, bytes = dim * sizeof *vectors;
    bool scattered = file->matrix.column_stride > file->matrix.row_stride;
    size_t stretch = scattered ? count : VX_MAX(STRETCH_BYTES / bytes, (size_t)1);
    for (size_t done = 0; done < count;) {
        size_t rows = VX_MIN(count - done, stretch);
        VX_TRY(file->format->reader->read(file, first + done, rows, vectors + done * dim));
        if (atomic_fetch_add(&file->read, rows * bytes) + rows * bytes >= STRETCH_BYTES / 2) {
            atomic_store(&file->read, 0);
            vx_map_release(&file->map);
        }
        done += rows;
    }
    return VINDEX_OK;
}

vindex_status vindex_embeddings_read(const vindex_embeddings *file, int64_t first, int64_t count,
                                     float *vectors) {
    if (!file) return vx_fail(VINDEX_ERR_ARGUMENT, "reading embeddings: the file is NULL; open it");
    int64_t rows = file->info.rows;
    if (first < 0 || count < 0 || first > rows || count > rows - first)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: %lld rows from row %lld: it has %lld; ask for rows it has", file->path,
                       (long long)count, (long long)first, (long long)rows);
    if (!count) return VINDEX_OK;
    if (!vectors)
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: the room for %lld rows is NULL; give some",
                       file->path, (long long)count);
    /* To the caller a file that is read is as it was; what is counted is nothing it sees. */
    vindex_embeddings *counted = (vindex_embeddings *)(uintptr_t)file;
    return read_stretches(counted, (size_t)first, (size_t)count, vectors);
}

static const char *item(const vx_pool *pool, int64_t row) {
    if (row < 0 || (uint64_t)row >= pool->count) return NULL;
    return vx_pool_get(pool, (size_t)row);
}

const char *vindex_embeddings_id(const vindex_embeddings *file, int64_t row) {
    return item(&file->ids, row);
}

const char *vindex_embeddings_label(const vindex_embeddings *file, int64_t row) {
    return item(&file->labels, row);
}
