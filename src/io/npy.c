/* .npy, NumPy's file of one array: magic, version, a Python dictionary as text, the numbers. The
 * dictionary is read by a small strict parser; nothing in it is ever evaluated. */
#include "npy.h"

#include "format.h"
#include "numbers.h"

#include <stdio.h>

enum { MAGIC = 6, VERSION_END = 8, NAME_LENGTH = VX_NPY_DESCR };

typedef vx_npy header;

typedef struct parser {
    const char *at, *end;
} parser;

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes that character, after spaces, if it comes next. */
static bool take(parser *p, char c) {
    while (p->at < p->end && is_space(*p->at)) p->at++;
    if (p->at == p->end || *p->at != c) return false;
    p->at++;
    return true;
}

static bool take_word(parser *p, const char *word) {
    size_t length = strlen(word);
    while (p->at < p->end && is_space(*p->at)) p->at++;
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0) return false;
    p->at += length;
    return true;
}

/* A string in either kind of quotes; its text is cut to size - 1 bytes. */
static bool take_string(parser *p, char *text, size_t size) {
    char quote = take(p, '\'') ? '\'' : '"';
    if (quote == '"' && !take(p, '"')) return false;
    size_t used = 0;
    for (; p->at < p->end && *p->at != quote; p->at++) {
        if (*p->at == '\\' || (unsigned char)*p->at < 0x20) return false;
        if (used < size - 1) text[used++] = *p->at;
    }
    text[used] = 0;
    return take(p, quote);
}

/* A whole number from 0, with the L that Python 2 wrote behind large ones. */
static bool take_number(parser *p, uint64_t *number) {
    const char *start = p->at;
    for (*number = 0; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        if (__builtin_mul_overflow(*number, (uint64_t)10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*p->at - '0'), number))
            return false;
    bool any = p->at > start;
    if (any && p->at < p->end && *p->at == 'L') p->at++;
    return any;
}

static bool take_shape(parser *p, header *found) {
    if (!take(p, '(')) return false;
    found->dimensions = 0;
    for (bool more = true; !take(p, ')');) {
        uint64_t length;
        if (!more || !take_number(p, &length)) return false;
        if (found->dimensions < VX_NPY_DIMENSIONS) found->shape[found->dimensions] = length;
        found->dimensions++;
        more = take(p, ',');
    }
    return true;
}

static bool take_item(parser *p, header *found) {
    char key[NAME_LENGTH];
    if (!take_string(p, key, sizeof key) || !take(p, ':')) return false;
    if (!strcmp(key, "descr")) {
        found->has_descr = true;
        found->structured = take(p, '[');
        return found->structured || take_string(p, found->descr, sizeof found->descr);
    }
    if (!strcmp(key, "fortran_order")) {
        found->has_order = true;
        found->fortran = take_word(p, "True");
        return found->fortran || take_word(p, "False");
    }
    found->has_shape = true;
    return !strcmp(key, "shape") && take_shape(p, found);
}

/* False where the text is no dictionary of the three keys. A structured dtype ends the parsing:
 * what else is said does not matter. */
static bool parse(parser p, header *found) {
    *found = (header){0};
    if (!take(&p, '{')) return false;
    for (bool more = true; !take(&p, '}'); more = take(&p, ',')) {
        if (!more || !take_item(&p, found)) return false;
        if (found->structured) return true;
    }
    while (p.at < p.end && is_space(*p.at)) p.at++;
    return p.at == p.end && found->has_descr && found->has_order && found->has_shape;
}

/* Finds the dictionary; *data receives where the numbers begin. */
static vindex_status find_header(const char *path, const vx_map *map, parser *text,
                                 uint64_t *data) {
    static const unsigned char magic[MAGIC] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    const unsigned char *bytes = map->bytes;
    if (map->length < VERSION_END || memcmp(bytes, magic, MAGIC) != 0)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: it does not begin as a .npy file does; it was cut or is another file",
                       path);
    int major = bytes[6], minor = bytes[7];
    if (major < 1 || major > 3 || minor != 0)
        return vx_fail(VINDEX_ERR_VERSION,
                       "%s: .npy version %d.%d: versions 1.0 to 3.0 are read; save it with another "
                       "NumPy",
                       path, major, minor);
    size_t start = VERSION_END + (major == 1 ? 2 : 4);
    size_t length = 0;
    if (map->length >= start)
        length = major == 1 ? vx_load_u16(bytes + VERSION_END) : vx_load_u32(bytes + VERSION_END);
    if (map->length < start || length > map->length - start)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: its header needs %zu bytes but the file has %zu; it was cut", path,
                       start + length, map->length);
    const char *header_text = (const char *)bytes + start;
    *text = (parser){header_text, header_text + length};
    *data = start + length;
    return VINDEX_OK;
}

vindex_status vx_npy_dtype(const char *path, const vx_npy *found, vindex_dtype *dtype) {
    static const struct {
        const char *name;
        vindex_dtype dtype;
    } known[] = {
        {"f2", VINDEX_F16}, {"f4", VINDEX_F32}, {"f8", VINDEX_F64},
        {"i1", VINDEX_I8},  {"u1", VINDEX_U8},  {"i2", VINDEX_I16},
        {"u2", VINDEX_U16}, {"i4", VINDEX_I32}, {"i8", VINDEX_I64},
    };
    const char *descr = found->descr;
    if (found->structured)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: it holds records of several fields, not numbers; save the field with "
                       "the embeddings alone",
                       path);
    if (strchr(descr, 'O'))
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: it holds Python objects (dtype '%s'), not numbers; save "
                       "numpy.stack(list(array)).astype('float32') instead",
                       path, descr);
    if (*descr && strchr("<>|", *descr))
        for (size_t i = 0; i < VX_COUNT(known); i++)
            if (!strcmp(descr + 1, known[i].name)) {
                *dtype = known[i].dtype;
                return VINDEX_OK;
            }
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: dtype '%s': f2 f4 f8 i1 u1 i2 u2 i4 i8 are read; save "
                   "array.astype('float32') instead",
                   path, descr);
}

vindex_status vx_npy_header(const char *path, const vx_map *map, vx_npy *found) {
    parser text;
    uint64_t data = 0;
    VX_TRY(find_header(path, map, &text, &data));
    bool sound = parse(text, found);
    found->data = data;
    if (sound) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: its header is not the dictionary of descr, fortran_order and shape that "
                   "NumPy writes; the file is damaged",
                   path);
}

static vindex_status npy_open(vindex_embeddings *file, const vindex_embeddings_options *options) {
    (void)options;
    const char *path = file->path;
    header found;
    VX_TRY(vx_npy_header(path, &file->map, &found));
    vindex_dtype dtype = VINDEX_F32;
    VX_TRY(vx_npy_dtype(path, &found, &dtype));
    if (found.dimensions != 1 && found.dimensions != 2)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: an array of %zu dimensions: embeddings are rows x numbers; reshape it",
                       path, found.dimensions);
    bool one_row = found.dimensions == 1;
    uint64_t rows = one_row ? 1 : found.shape[0], dim = found.shape[one_row ? 0 : 1];
    VX_TRY(vx_matrix_check(path, rows, dim, dtype, file->map.length - found.data));
    size_t size = vindex_dtype_size(dtype);
    file->matrix = (vx_matrix){.bytes = file->map.bytes + found.data,
                               .rows = rows,
                               .dim = dim,
                               .row_stride = found.fortran ? size : dim * size,
                               .column_stride = found.fortran ? rows * size : size,
                               .dtype = dtype,
                               .big_endian = found.descr[0] == '>'};
    file->info.dtype = dtype;
    file->info.rows = (int64_t)rows;
    file->info.dim = (int64_t)dim;
    return VINDEX_OK;
}

static vindex_status npy_read(const vindex_embeddings *file, size_t first, size_t count,
                              float *vectors) {
    vx_matrix_read(&file->matrix, first, count, vectors);
    return VINDEX_OK;
}

const vx_reader_verbs vx_npy_reader = {.open = npy_open, .read = npy_read, .close = NULL};

static vindex_status npy_begin(vindex_embeddings_writer *writer) {
    static const char *const names[] = {
        [VINDEX_F32] = "<f4", [VINDEX_F16] = "<f2", [VINDEX_BF16] = "",   [VINDEX_F64] = "<f8",
        [VINDEX_I8] = "|i1",  [VINDEX_U8] = "|u1",  [VINDEX_I16] = "<i2", [VINDEX_U16] = "<u2",
        [VINDEX_I32] = "<i4", [VINDEX_I64] = "<i8",
    };
    enum { PREFIX = VERSION_END + 2, TOTAL = 128 }; /* a multiple of 64 keeps the numbers aligned */
    unsigned char bytes[TOTAL];
    char text[TOTAL];
    memcpy(bytes, "\x93NUMPY\x01\x00", VERSION_END);
    vx_store_u16(bytes + VERSION_END, TOTAL - PREFIX);
    memset(bytes + PREFIX, ' ', TOTAL - PREFIX);
    int length = snprintf(text, sizeof text,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %zu), }",
                          names[writer->dtype], writer->rows, writer->dim);
    memcpy(bytes + PREFIX, text, (size_t)length);
    bytes[TOTAL - 1] = '\n';
    return vx_writer_write(writer->file, bytes, sizeof bytes);
}

const vx_writer_verbs vx_npy_writer = {.begin = npy_begin, .row = vx_write_plain_row};
