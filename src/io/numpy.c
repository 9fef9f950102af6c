#include "numpy.h"

#include "numbers.h"
#include "text.h"

#include <stdio.h>

/* ---- arrays ---- */

/* The strides of an array that lies closely packed, the last dimension first unless in Fortran's
 * order. */
static bool pack(vx_array *array, bool fortran) {
    size_t step = array->size;
    for (size_t i = 0; i < array->dimensions; i++) {
        size_t place = fortran ? i : array->dimensions - 1 - i;
        array->strides[place] = step;
        if (!vx_mul(step, VX_MAX(array->shape[place], (size_t)1), &step)) return false;
    }
    return true;
}

vindex_status vx_numpy_describe(vx_tree *tree, const vx_npy *found, vx_array *array) {
    char *type = vx_tree_take(tree, sizeof found->descr + sizeof "records", 1);
    if (!type) return vx_tree_fail(tree);
    snprintf(type, sizeof found->descr + sizeof "records", "%s",
             found->structured ? "records" : found->descr);
    const char *descr = found->descr;
    vindex_dtype dtype = VINDEX_F32;
    array->type = type;
    array->numeric = vx_npy_dtype(tree->path, found, &dtype) == VINDEX_OK;
    array->dtype = dtype;
    array->big_endian = *descr == '>';
    if (array->numeric) {
        array->type = vindex_dtype_name(dtype);
        array->size = vindex_dtype_size(dtype);
    } else if (!found->structured && *descr && (descr[1] == 'U' || descr[1] == 'S') &&
               vx_is_index(descr + 2)) {
        array->words = descr[1];
        if (!vx_mul((size_t)strtoull(descr + 2, NULL, 10), descr[1] == 'U' ? 4 : 1, &array->size))
            array->size = SIZE_MAX;
    }
    if (!array->size || found->dimensions > VX_ARRAY_DIMENSIONS) return VINDEX_OK;
    array->dimensions = found->dimensions;
    for (size_t i = 0; i < found->dimensions; i++) array->shape[i] = found->shape[i];
    if (pack(array, found->fortran)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: an array of more numbers than any file holds; its header is damaged",
                   tree->path);
}

/* ---- items ---- */

int64_t vx_numpy_whole(const vx_array *array, const unsigned char *bytes) {
    uint64_t bits = 0;
    for (size_t i = 0; i < array->size; i++) {
        size_t place = array->big_endian ? array->size - 1 - i : i;
        bits |= (uint64_t)bytes[place] << 8 * i;
    }
    bool is_signed = array->dtype != VINDEX_U8 && array->dtype != VINDEX_U16;
    if (is_signed && array->size < sizeof bits && bits >> (8 * array->size - 1) & 1)
        bits |= UINT64_MAX << 8 * array->size;
    return (int64_t)bits;
}

/* UTF-8 of a code point; 0 bytes where it is none. */
static size_t encode(uint32_t point, char utf8[4]) {
    if (point < 0x80) {
        utf8[0] = (char)point;
        return 1;
    }
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return 0;
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i; i--, point >>= 6) utf8[i] = (char)(0x80 | (point & 0x3f));
    utf8[0] = (char)(leads[length] | point);
    return length;
}

vindex_status vx_numpy_word(const vx_tree *tree, const vx_array *array, const unsigned char *bytes,
                            char *room, size_t *length) {
    size_t used = 0, zeros = 0;
    if (array->words == 'S') {
        used = array->size;
        memcpy(room, bytes, used);
        while (used && !room[used - 1]) used--;
        *length = used;
        return VINDEX_OK;
    }
    for (size_t i = 0; i < array->size / 4; i++) {
        const unsigned char *at = bytes + 4 * i;
        uint32_t point = array->big_endian ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
                                                 (uint32_t)at[2] << 8 | at[3]
                                           : vx_load_u32(at);
        size_t added = encode(point, room + used);
        if (!added)
            return vx_fail(VINDEX_ERR_FORMAT,
                           "%s: a word has the code point %#x, which there is not; it is damaged",
                           tree->path, (unsigned)point);
        zeros = point ? 0 : zeros + 1;
        used += added;
    }
    *length = used - zeros;
    return VINDEX_OK;
}

/* ---- pickles ---- */

static vindex_status fail_odd(const vx_tree *tree, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: it describes %s of NumPy otherwise than NumPy does; the file is damaged",
                   tree->path, what);
}

/* How many characters a UTF-8 text has, all of which must be below 256; false where one is not. */
static bool count_latin1(const char *text, size_t length, size_t *count) {
    const unsigned char *bytes = (const unsigned char *)text;
    *count = 0;
    for (size_t i = 0; i < length; i++, ++*count) {
        if (bytes[i] < 0x80) continue;
        if ((bytes[i] & 0xfe) != 0xc2 || i + 1 == length || (bytes[i + 1] & 0xc0) != 0x80)
            return false;
        i++;
    }
    return true;
}

/* The bytes of a value, where they lie if that can be; NULL in *blob where it holds none. */
static vindex_status blob_of(vx_tree *tree, const vx_value *bytes, vx_blob **blob) {
    *blob = NULL;
    if (bytes->kind != VX_BYTES && bytes->kind != VX_LATIN1) return VINDEX_OK;
    *blob = vx_tree_blob(tree);
    if (!*blob) return vx_tree_fail(tree);
    (*blob)->length = bytes->length;
    if (bytes->kind == VX_LATIN1) {
        if (bytes->length > tree->latin1_left)
            return vx_fail(VINDEX_ERR_UNSUPPORTED,
                           "%s: arrays share their bytes so many times over that they come to more "
                           "than the file has; save them as one array",
                           tree->path);
        tree->latin1_left -= bytes->length;
        if (!count_latin1(bytes->text, bytes->length, &(*blob)->length))
            return fail_odd(tree, "the numbers of an array");
    }
    /* Texts of ASCII alone are what they stand for. */
    if ((*blob)->length == bytes->length)
        (*blob)->bytes =
            bytes->length ? (const unsigned char *)bytes->text : (const unsigned char *)"";
    else
        (*blob)->latin1 = bytes->text;
    (*blob)->latin1_length = bytes->length;
    return VINDEX_OK;
}

static vindex_status make_bytes(vx_tree *tree, const vx_value *text, vx_value **result) {
    *result = vx_value_text(tree, text ? text->text : "", text ? text->length : 0);
    if (!*result) return vx_tree_fail(tree);
    (*result)->kind = text ? VX_LATIN1 : VX_BYTES;
    return VINDEX_OK;
}

/* dtype('f4', ...): the byte order comes with the state. */
static vindex_status make_dtype(vx_tree *tree, const vx_value *arguments, vx_value **result) {
    const vx_value *name = arguments->count ? arguments->items[0] : NULL;
    if (!name || name->kind != VX_TEXT || !name->length) return fail_odd(tree, "a dtype");
    vx_npy *npy = vx_tree_take(tree, 1, sizeof *npy);
    *result = vx_value_new(tree, VX_DTYPE);
    if (!npy || !*result) return vx_tree_fail(tree);
    *npy = (vx_npy){.descr = "|"};
    size_t length = VX_MIN(name->length, sizeof npy->descr - 2);
    for (size_t i = 0; i < length; i++) /* a type that is shown is a word on one line */
        npy->descr[1 + i] = name->text[i] > ' ' && name->text[i] < 0x7f ? name->text[i] : '?';
    (*result)->npy = npy;
    return VINDEX_OK;
}

/* (3, order, subarray, names of fields, ...) */
static vindex_status complete_dtype(vx_tree *tree, vx_value *dtype, const vx_value *state) {
    if (state->kind != VX_TUPLE || state->count < 4 || state->items[1]->kind != VX_TEXT ||
        state->items[1]->length != 1 || !strchr("<>|=", *state->items[1]->text))
        return fail_odd(tree, "a dtype");
    char order = *state->items[1]->text;
    dtype->npy->descr[0] = order == '=' ? '<' : order;
    dtype->npy->structured = state->items[2]->kind != VX_NONE || state->items[3]->kind != VX_NONE;
    return VINDEX_OK;
}

/* What an array is made of. */
typedef struct parts {
    const vx_value *shape, *dtype, *data;
    bool fortran;
} parts;

static vindex_status make_array(vx_tree *tree, const parts *of, vx_value *result) {
    if (!vx_is_list(of->shape) || of->dtype->kind != VX_DTYPE) return fail_odd(tree, "an array");
    vx_npy found = *of->dtype->npy;
    vx_array array = {0};
    vx_value *value;
    size_t bytes = 0;
    found.fortran = of->fortran;
    found.dimensions = of->shape->count;
    for (size_t i = 0; i < found.dimensions; i++) {
        const vx_value *length = of->shape->items[i];
        if (length->kind != VX_INT || length->integer < 0) return fail_odd(tree, "an array");
        if (i < VX_NPY_DIMENSIONS) found.shape[i] = (uint64_t)length->integer;
    }
    VX_TRY(vx_numpy_describe(tree, &found, &array));
    VX_TRY(blob_of(tree, of->data, &array.blob));
    /* Python objects in a row are the list that holds them. */
    if (found.descr[1] == 'O' && !found.structured && found.dimensions == 1 &&
        of->data->kind == VX_LIST && of->data->count == found.shape[0]) {
        *result = *of->data;
        return VINDEX_OK;
    }
    if (!array.blob && array.size) return fail_odd(tree, "an array");
    if (!array.blob) array.blob = vx_tree_blob(tree);
    if (!array.blob) return vx_tree_fail(tree);
    bytes = array.size;
    for (size_t i = 0; i < array.dimensions; i++)
        if (!vx_mul(bytes, array.shape[i], &bytes)) bytes = SIZE_MAX;
    if (array.dimensions && bytes != array.blob->length) return fail_odd(tree, "an array");
    VX_TRY(vx_tree_array(tree, &array, &value));
    *result = *value;
    return VINDEX_OK;
}

/* (1, shape, dtype, in Fortran's order, data) */
static vindex_status complete_array(vx_tree *tree, vx_value *array, const vx_value *state) {
    if (state->kind != VX_TUPLE || state->count != 5 || state->items[3]->kind != VX_BOOL)
        return fail_odd(tree, "an array");
    return make_array(tree,
                      &(parts){.shape = state->items[1],
                               .dtype = state->items[2],
                               .data = state->items[4],
                               .fortran = state->items[3]->integer},
                      array);
}

/* _frombuffer(data, dtype, shape, 'C') */
static vindex_status make_from_buffer(vx_tree *tree, const vx_value *arguments, vx_value **result) {
    vx_value *const *items = arguments->items;
    if (arguments->count != 4 || items[3]->kind != VX_TEXT || items[3]->length != 1)
        return fail_odd(tree, "an array");
    *result = vx_value_new(tree, VX_NONE);
    if (!*result) return vx_tree_fail(tree);
    return make_array(tree,
                      &(parts){.shape = items[2],
                               .dtype = items[1],
                               .data = items[0],
                               .fortran = *items[3]->text == 'F'},
                      *result);
}

static vindex_status read_scalar(vx_tree *tree, const vx_array *array, vx_value *result) {
    const unsigned char *bytes = array->blob->bytes + array->offset;
    if (array->words) {
        char *room = vx_tree_take(tree, array->size, 1);
        size_t length = 0;
        if (!room) return vx_tree_fail(tree);
        VX_TRY(vx_numpy_word(tree, array, bytes, room, &length));
        *result = (vx_value){.kind = VX_TEXT, .text = room, .length = length};
    } else if (array->dtype == VINDEX_F64) {
        uint64_t bits = (uint64_t)vx_numpy_whole(array, bytes);
        *result = (vx_value){.kind = VX_FLOAT};
        memcpy(&result->number, &bits, sizeof bits);
    } else if (array->dtype < VINDEX_I8) {
        float number;
        vx_decode(bytes, array->size, array->dtype, array->big_endian, 1, &number);
        *result = (vx_value){.kind = VX_FLOAT, .number = (double)number};
    } else {
        *result = (vx_value){.kind = VX_INT, .integer = vx_numpy_whole(array, bytes)};
    }
    return VINDEX_OK;
}

/* scalar(dtype, data): the number or word itself; of other types the array they are. */
static vindex_status make_scalar(vx_tree *tree, const vx_value *arguments, vx_value **result) {
    static const vx_value no_shape = {.kind = VX_TUPLE};
    if (arguments->count != 2) return fail_odd(tree, "a number");
    *result = vx_value_new(tree, VX_NONE);
    if (!*result) return vx_tree_fail(tree);
    VX_TRY(make_array(
        tree,
        &(parts){.shape = &no_shape, .dtype = arguments->items[0], .data = arguments->items[1]},
        *result));
    const vx_array *array = (*result)->array;
    if (!array->numeric && !array->words) return VINDEX_OK;
    VX_TRY(vx_blob_bytes(tree, array->blob));
    return read_scalar(tree, array, *result);
}

static bool is_word(const vx_value *value, const char *word) {
    return value->kind == VX_TEXT && value->length == strlen(word) &&
           !memcmp(value->text, word, value->length);
}

vindex_status vx_numpy_make(vx_tree *tree, vx_numpy_call call, const vx_value *arguments,
                            vx_value **result) {
    vx_value *const *items = arguments->items;
    switch (call) {
    case VX_NUMPY_DTYPE:
        return make_dtype(tree, arguments, result);
    case VX_NUMPY_RECONSTRUCT:
        *result = vx_value_new(tree, VX_NDARRAY);
        return *result ? VINDEX_OK : vx_tree_fail(tree);
    case VX_NUMPY_BUFFER:
        return make_from_buffer(tree, arguments, result);
    case VX_NUMPY_SCALAR:
        return make_scalar(tree, arguments, result);
    case VX_NUMPY_ENCODE:
        if (arguments->count != 2 || items[0]->kind != VX_TEXT || !is_word(items[1], "latin1"))
            return fail_odd(tree, "the numbers of an array");
        return make_bytes(tree, items[0], result);
    case VX_NUMPY_BYTES:
        if (arguments->count) return fail_odd(tree, "the numbers of an array");
        return make_bytes(tree, NULL, result);
    }
    return fail_odd(tree, "a value");
}

vindex_status vx_numpy_complete(vx_tree *tree, vx_value *object, const vx_value *state) {
    return object->kind == VX_DTYPE ? complete_dtype(tree, object, state)
                                    : complete_array(tree, object, state);
}
