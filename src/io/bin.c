/* .fbin .u8bin .i8bin .ibin: rows and dimension as uint32, then the numbers. */
#include "format.h"
#include "numbers.h"

enum { HEADER = 8 };

static vindex_status bin_open(vindex_embeddings *file, const vindex_embeddings_options *options) {
    (void)options;
    if (file->map.length < HEADER)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: a .%s file begins with %d bytes of header but this one has %zu; it was "
                       "cut or is another file",
                       file->path, file->format->name, HEADER, file->map.length);
    uint32_t rows = vx_load_u32(file->map.bytes), dim = vx_load_u32(file->map.bytes + 4);
    vindex_dtype dtype = file->format->own_dtype;
    VX_TRY(vx_matrix_check(file->path, rows, dim, dtype, file->map.length - HEADER));
    size_t size = vindex_dtype_size(dtype);
    file->matrix = (vx_matrix){.bytes = file->map.bytes + HEADER,
                               .rows = rows,
                               .dim = dim,
                               .row_stride = dim * size,
                               .column_stride = size,
                               .dtype = dtype};
    file->info.dtype = dtype;
    file->info.rows = rows;
    file->info.dim = dim;
    return VINDEX_OK;
}

static vindex_status bin_read(const vindex_embeddings *file, size_t first, size_t count,
                              float *vectors) {
    vx_matrix_read(&file->matrix, first, count, vectors);
    return VINDEX_OK;
}

const vx_reader_verbs vx_bin_reader = {.open = bin_open, .read = bin_read, .close = NULL};

static vindex_status bin_begin(vindex_embeddings_writer *writer) {
    if (writer->rows > UINT32_MAX)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: %zu rows: a .%s file counts to %u; choose .npy or write several files",
                       writer->path, writer->rows, writer->format->name, UINT32_MAX);
    unsigned char header[HEADER];
    vx_store_u32(header, (uint32_t)writer->rows);
    vx_store_u32(header + 4, (uint32_t)writer->dim);
    return vx_writer_write(writer->file, header, sizeof header);
}

const vx_writer_verbs vx_bin_writer = {.begin = bin_begin, .row = vx_write_plain_row};
