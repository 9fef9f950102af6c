/* .fvecs .bvecs .ivecs: every row begins with its dimension as int32. The rows of one file agree,
 * so the first gives the size of all; each row's own number is checked when it is read, for
 * checking all of them when opening would touch the whole file. */
#include "format.h"
#include "numbers.h"

enum { PREFIX = 4 };

static vindex_status vecs_open(vindex_embeddings *file, const vindex_embeddings_options *options) {
    (void)options;
    const char *name = file->format->name;
    size_t length = file->map.length;
    if (length < PREFIX)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: it has %zu bytes, and a .%s file needs a row to say its dimension; it "
                       "was cut or is another file",
                       file->path, length, name);
    uint32_t dim = vx_load_u32(file->map.bytes);
    if (dim < 1 || dim > INT32_MAX)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: its first row says dimension %d; this is no .%s file or it is damaged",
                       file->path, (int)(int32_t)dim, name);
    vindex_dtype dtype = file->format->own_dtype;
    size_t size = vindex_dtype_size(dtype), row = PREFIX + dim * size;
    if (length % row)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: rows of dimension %u take %zu bytes, which does not divide the file's "
                       "%zu; it was cut or is another file",
                       file->path, dim, row, length);
    file->matrix = (vx_matrix){.bytes = file->map.bytes + PREFIX,
                               .rows = length / row,
                               .dim = dim,
                               .row_stride = row,
                               .column_stride = size,
                               .dtype = dtype};
    file->info.dtype = dtype;
    file->info.rows = (int64_t)(length / row);
    file->info.dim = dim;
    return VINDEX_OK;
}

static vindex_status vecs_read(const vindex_embeddings *file, size_t first, size_t count,
                               float *vectors) {
    const vx_matrix *matrix = &file->matrix;
    for (size_t i = first; i < first + count; i++) {
        uint32_t dim = vx_load_u32(file->map.bytes + i * matrix->row_stride);
        if (dim != matrix->dim)
            return vx_fail(VINDEX_ERR_FORMAT,
                           "%s: row %zu says dimension %d, the first row %zu; all rows of a file "
                           "must have the same",
                           file->path, i, (int)(int32_t)dim, matrix->dim);
    }
    vx_matrix_read(matrix, first, count, vectors);
    return VINDEX_OK;
}

const vx_reader_verbs vx_vecs_reader = {.open = vecs_open, .read = vecs_read, .close = NULL};

static vindex_status vecs_begin(vindex_embeddings_writer *writer) {
    if (writer->rows) return VINDEX_OK;
    return vx_fail(
        VINDEX_ERR_UNSUPPORTED,
        "%s: 0 rows: an empty .%s file does not say its dimension; choose .npy or a .bin "
        "format",
        writer->path, writer->format->name);
}

static vindex_status vecs_row(vindex_embeddings_writer *writer, const float *row) {
    unsigned char prefix[PREFIX];
    vx_store_u32(prefix, (uint32_t)writer->dim);
    VX_TRY(vx_writer_write(writer->file, prefix, sizeof prefix));
    return vx_write_plain_row(writer, row);
}

const vx_writer_verbs vx_vecs_writer = {.begin = vecs_begin, .row = vecs_row};
