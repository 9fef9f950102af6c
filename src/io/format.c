/* Which formats there are, and how an ending names one. */
#include "format.h"

#include "numbers.h"

#include <stdio.h>

enum {
    F32 = 1u << VINDEX_F32,
    U8 = 1u << VINDEX_U8,
    I8 = 1u << VINDEX_I8,
    I32 = 1u << VINDEX_I32,
    EVERY = (1u << (VINDEX_I64 + 1)) - 1,
    NUMPY = EVERY & ~(1u << VINDEX_BF16), /* NumPy has no name for bf16 */
};

static const vx_format formats[] = {
    {"npy", VINDEX_F32, NUMPY, 0, &vx_npy_reader, &vx_npy_writer},
    {"fvecs", VINDEX_F32, F32, 0, &vx_vecs_reader, &vx_vecs_writer},
    {"bvecs", VINDEX_U8, U8, 0, &vx_vecs_reader, &vx_vecs_writer},
    {"ivecs", VINDEX_I32, I32, 0, &vx_vecs_reader, &vx_vecs_writer},
    {"fbin", VINDEX_F32, F32, 0, &vx_bin_reader, &vx_bin_writer},
    {"u8bin", VINDEX_U8, U8, 0, &vx_bin_reader, &vx_bin_writer},
    {"i8bin", VINDEX_I8, I8, 0, &vx_bin_reader, &vx_bin_writer},
    {"ibin", VINDEX_I32, I32, 0, &vx_bin_reader, &vx_bin_writer},
    {"h5", VINDEX_F32, 0, 0, &vx_hdf5_reader, NULL},
    {"hdf5", VINDEX_F32, 0, 0, &vx_hdf5_reader, NULL},
    {"csv", VINDEX_F32, EVERY, ',', &vx_csv_reader, &vx_csv_writer},
    {"tsv", VINDEX_F32, EVERY, '\t', &vx_csv_reader, &vx_csv_writer},
    {"pt", VINDEX_F32, 0, 0, &vx_torch_reader, NULL},
    {"pth", VINDEX_F32, 0, 0, &vx_torch_reader, NULL},
    {"npz", VINDEX_F32, 0, 0, &vx_npz_reader, NULL},
    {"safetensors", VINDEX_F32, 0, 0, &vx_safetensors_reader, NULL},
    {"json", VINDEX_F64, 0, 0, &vx_json_reader, NULL},
    {"jsonl", VINDEX_F64, 0, 0, &vx_json_lines_reader, NULL},
};

const char *vx_ending(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *point = strrchr(slash ? slash : path, '.');
    return point ? point + 1 : "";
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool vx_same_ending(const char *a, const char *b) {
    while (*a && lower(*a) == lower(*b)) a++, b++;
    return lower(*a) == lower(*b);
}

const vx_format *vx_format_named(const char *name) {
    for (size_t i = 0; i < VX_COUNT(formats); i++)
        if (vx_same_ending(formats[i].name, name)) return &formats[i];
    return NULL;
}

vindex_status vx_format_find(const char *path, const vx_format **format) {
    const char *ending = vx_ending(path);
    *format = vx_folder_format(path);
    if (!*format) *format = vx_format_named(ending);
    if (*format) return VINDEX_OK;
    char known[256];
    size_t used = 0;
    for (size_t i = 0; i < VX_COUNT(formats) && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, " .%s", formats[i].name);
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: embeddings by ending: %s%.20s is none of%s; convert or rename the file",
                   path, *ending ? "." : "no ending", ending, known);
}

vindex_status vx_matrix_check(const char *path, uint64_t rows, uint64_t dim, vindex_dtype dtype,
                              size_t available) {
    unsigned long long n = rows, d = dim;
    if (dim < 1 || dim > INT32_MAX)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: its header says %llu numbers per row; 1 to %d can be read", path, d,
                       INT32_MAX);
    uint64_t numbers, needed;
    if (__builtin_mul_overflow(rows, dim, &numbers) ||
        __builtin_mul_overflow(numbers, vindex_dtype_size(dtype), &needed) || rows > INT64_MAX)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: shape (%llu, %llu) of %s is more than any file holds; the header is "
                       "damaged or of another format",
                       path, n, d, vindex_dtype_name(dtype));
    if (needed != available)
        return vx_fail(
            VINDEX_ERR_FORMAT,
            "%s: shape (%llu, %llu) of %s needs %llu bytes of data but the file has %zu; "
            "it was cut or is another file",
            path, n, d, vindex_dtype_name(dtype), (unsigned long long)needed, available);
    return VINDEX_OK;
}

/* Columns that lie one behind the other: a few rows at a time, so that each column is read in order
 * and what is written stays in the cache. */
static void read_columns(const vx_matrix *matrix, const unsigned char *bytes, size_t count,
                         float *vectors) {
    enum { BLOCK = 64 };
    size_t dim = matrix->dim;
    float column[BLOCK];
    for (size_t row = 0; row < count; row += BLOCK) {
        size_t take = VX_MIN((size_t)BLOCK, count - row);
        for (size_t j = 0; j < dim; j++) {
            vx_decode(bytes + row * matrix->row_stride + j * matrix->column_stride,
                      matrix->row_stride, matrix->dtype, matrix->big_endian, take, column);
            for (size_t i = 0; i < take; i++) vectors[(row + i) * dim + j] = column[i];
        }
    }
}

void vx_matrix_read(const vx_matrix *matrix, size_t first, size_t count, float *vectors) {
    const unsigned char *bytes = matrix->bytes + first * matrix->row_stride;
    size_t dim = matrix->dim, size = vindex_dtype_size(matrix->dtype);
    if (matrix->row_stride < matrix->column_stride) {
        read_columns(matrix, bytes, count, vectors);
    } else if (matrix->column_stride == size && matrix->row_stride == dim * size) {
        vx_decode(bytes, size, matrix->dtype, matrix->big_endian, count * dim, vectors);
    } else {
        for (size_t i = 0; i < count; i++)
            vx_decode(bytes + i * matrix->row_stride, matrix->column_stride, matrix->dtype,
                      matrix->big_endian, dim, vectors + i * dim);
    }
}
