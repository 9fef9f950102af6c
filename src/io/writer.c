/* The public side of writing: counts the rows, so that a file says what it holds or does not
 * appear. */
#include "format.h"
#include "numbers.h"

/* The format that the ending of a path names, if it can be written. */
static vindex_status find_written(const char *path, const vx_format **format) {
    VX_TRY(vx_format_find(path, format));
    if ((*format)->writer) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: .%s files are read, not written; choose another ending, such as .npy", path,
                   (*format)->name);
}

vindex_status vindex_embeddings_dtype(const char *path, vindex_dtype wanted, vindex_dtype *dtype) {
    if (!path || !dtype || !vindex_dtype_size(wanted))
        return vx_fail(
            VINDEX_ERR_ARGUMENT,
            "dtype of a new file: path or result is NULL or the dtype is none; give all");
    const vx_format *format;
    VX_TRY(find_written(path, &format));
    *dtype = format->dtypes >> wanted & 1 ? wanted : format->own_dtype;
    return VINDEX_OK;
}

static vindex_status check_request(const char *path, const vx_format *format, int64_t rows,
                                   int64_t dim, vindex_dtype dtype) {
    if (rows < 0 || dim < 1 || dim > INT32_MAX)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: %lld rows of %lld numbers; give 0 or more rows and 1 to %d numbers",
                       path, (long long)rows, (long long)dim, INT32_MAX);
    if (!vindex_dtype_size(dtype))
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: dtype %d; give a vindex_dtype", path, (int)dtype);
    if (!(format->dtypes >> dtype & 1))
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: a .%s file of %s: it cannot hold that; choose %s or another ending",
                       path, format->name, vindex_dtype_name(dtype),
                       vindex_dtype_name(format->own_dtype));
    return VINDEX_OK;
}

vindex_status vindex_embeddings_create(const char *path, int64_t rows, int64_t dim,
                                       vindex_dtype dtype, vindex_embeddings_writer **result) {
    if (!path || !result)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "creating embeddings: path or result is NULL; give both");
    const vx_format *format;
    VX_TRY(find_written(path, &format));
    VX_TRY(check_request(path, format, rows, dim, dtype));
    vindex_embeddings_writer *writer = vx_alloc_zero(1, sizeof *writer);
    if (!writer) return vx_fail_memory(1, sizeof *writer, path);
    writer->format = format;
    writer->dtype = dtype;
    writer->rows = (size_t)rows;
    writer->dim = (size_t)dim;
    writer->path = vx_strdup(path);
    writer->bytes = vx_alloc(writer->dim, vindex_dtype_size(dtype));
    vindex_status status = VINDEX_OK;
    if (!writer->path || !writer->bytes)
        status = vx_fail_memory(writer->dim, vindex_dtype_size(dtype), path);
    if (status == VINDEX_OK) status = vx_writer_open(path, &writer->file);
    if (status == VINDEX_OK) status = format->writer->begin(writer);
    if (status != VINDEX_OK) {
        vindex_embeddings_abort(writer);
        return status;
    }
    *result = writer;
    return VINDEX_OK;
}

static vindex_status append(vindex_embeddings_writer *writer, const float *vectors, size_t count) {
    for (size_t i = 0; i < count; i++) {
        VX_TRY(writer->format->writer->row(writer, vectors + i * writer->dim));
        writer->written++;
    }
    return VINDEX_OK;
}

vindex_status vindex_embeddings_append(vindex_embeddings_writer *writer, const float *vectors,
                                       int64_t count) {
    if (!writer || count < 0 || (count && !vectors))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "appending %lld rows: the writer or the rows are NULL or the count is "
                       "negative; give all",
                       (long long)count);
    if (writer->failed)
        return vx_fail(VINDEX_ERR_STATE, "%s: an append failed before; start the file again",
                       writer->path);
    if ((uint64_t)count > writer->rows - writer->written) {
        writer->failed = true;
        return vx_fail(VINDEX_ERR_STATE,
                       "%s: %lld rows after %zu: %zu were announced; announce what will be written",
                       writer->path, (long long)count, writer->written, writer->rows);
    }
    vindex_status status = append(writer, vectors, (size_t)count);
    writer->failed = status != VINDEX_OK;
    return status;
}

vindex_status vindex_embeddings_finish(vindex_embeddings_writer *writer) {
    if (!writer)
        return vx_fail(VINDEX_ERR_ARGUMENT, "finishing embeddings: the writer is NULL; create it");
    vindex_status status = VINDEX_OK;
    if (writer->failed)
        status = vx_fail(VINDEX_ERR_STATE, "%s: an append failed before; start the file again",
                         writer->path);
    else if (writer->written < writer->rows)
        status = vx_fail(VINDEX_ERR_STATE,
                         "%s: %zu rows were announced and %zu appended; append them all",
                         writer->path, writer->rows, writer->written);
    if (status == VINDEX_OK) {
        status = vx_writer_commit(writer->file);
        writer->file = NULL;
    }
    vindex_embeddings_abort(writer);
    return status;
}

void vindex_embeddings_abort(vindex_embeddings_writer *writer) {
    if (!writer) return;
    vx_writer_abort(writer->file);
    vx_free(writer->path);
    vx_free(writer->bytes);
    vx_free(writer);
}

vindex_status vx_writer_encode(vindex_embeddings_writer *writer, const float *row) {
    size_t place = vx_encode(row, writer->dim, writer->dtype, writer->bytes);
    if (place == writer->dim) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA,
                   "%s: row %zu, number %zu is %.9g, which %s cannot hold; choose another dtype or "
                   "scale the numbers",
                   writer->path, writer->written, place, (double)row[place],
                   vindex_dtype_name(writer->dtype));
}

vindex_status vx_write_plain_row(vindex_embeddings_writer *writer, const float *row) {
    VX_TRY(vx_writer_encode(writer, row));
    return vx_writer_write(writer->file, writer->bytes,
                           writer->dim * vindex_dtype_size(writer->dtype));
}
