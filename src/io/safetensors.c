/* .safetensors: the length of a header, the header as JSON (a dictionary from names to dtype, shape
 * and place), the numbers. */
#include "json.h"
#include "numbers.h"
#include "text.h"
#include "tree.h"

enum { PREFIX = 8, HEADER_MOST = 100000000 }; /* the format's own limit */

static const struct {
    const char *name;
    uint8_t size;
    bool numeric;
    vindex_dtype dtype;
} types[] = {
    {"F32", 4, true, VINDEX_F32},  {"F16", 2, true, VINDEX_F16},  {"BF16", 2, true, VINDEX_BF16},
    {"F64", 8, true, VINDEX_F64},  {"I8", 1, true, VINDEX_I8},    {"U8", 1, true, VINDEX_U8},
    {"I16", 2, true, VINDEX_I16},  {"U16", 2, true, VINDEX_U16},  {"I32", 4, true, VINDEX_I32},
    {"I64", 8, true, VINDEX_I64},  {"U32", 4, false, VINDEX_F32}, {"U64", 8, false, VINDEX_F32},
    {"BOOL", 1, false, VINDEX_U8},
};

static vindex_status fail_odd(const vx_tree *tree, const vx_value *name, const char *what) {
    char shown[VX_EXCERPT];
    return vx_fail(VINDEX_ERR_FORMAT, "%s: tensor '%s': %s; the header is damaged", tree->path,
                   vx_excerpt(name->text, name->length, shown), what);
}

static const vx_value *field(vx_tree *tree, const vx_value *entry, const char *name) {
    return vx_dict_get(tree, entry, name, strlen(name));
}

/* A list of whole numbers from 0, as many as there may be; false if it is none. */
static bool read_list(const vx_value *list, size_t most, size_t *numbers, size_t *count) {
    *count = 0;
    if (!list) return false;
    if (list->kind == VX_LIST) return !list->count;
    if (list->kind != VX_ARRAY || list->array->dtype != VINDEX_I64) return false;
    *count = list->array->shape[0];
    if (*count > most) return false;
    for (size_t i = 0; i < *count; i++) {
        const unsigned char *bytes = list->array->blob->bytes + 8 * i;
        numbers[i] = vx_load_u32(bytes) | (uint64_t)vx_load_u32(bytes + 4) << 32;
        if (numbers[i] > INT64_MAX) return false;
    }
    return true;
}

/* Closely packed, the last dimension first; *bytes receives what the array takes. */
static bool pack(vx_array *array, size_t *bytes) {
    *bytes = array->size;
    for (size_t i = array->dimensions; i-- > 0;) {
        array->strides[i] = *bytes;
        if (!vx_mul(*bytes, array->shape[i], bytes)) return false;
    }
    return true;
}

/* Turns the description of a tensor into its array. */
static vindex_status make_array(vx_tree *tree, vx_blob *data, const vx_value *name,
                                const vx_value *entry, vx_value **value) {
    if (entry->kind != VX_DICT) return fail_odd(tree, name, "it is no dictionary");
    const vx_value *dtype = field(tree, entry, "dtype");
    size_t place[2], two, bytes, found = 0;
    vx_array array = {.blob = data};
    if (!dtype || dtype->kind != VX_TEXT) return fail_odd(tree, name, "it has no dtype");
    while (found < VX_COUNT(types) && (strlen(types[found].name) != dtype->length ||
                                       memcmp(types[found].name, dtype->text, dtype->length) != 0))
        found++;
    if (!read_list(field(tree, entry, "data_offsets"), 2, place, &two) || two != 2 ||
        place[0] > place[1] || place[1] > data->length)
        return fail_odd(tree, name, "its data_offsets are not within the file");
    if (found == VX_COUNT(types)) { /* one of the types of few bits */
        *value = vx_value_new(tree, VX_NONE);
        return *value ? VINDEX_OK : vx_tree_fail(tree);
    }
    array.size = types[found].size;
    array.type = types[found].numeric ? vindex_dtype_name(types[found].dtype) : types[found].name;
    array.numeric = types[found].numeric;
    array.dtype = types[found].dtype;
    array.offset = place[0];
    if (!read_list(field(tree, entry, "shape"), VX_ARRAY_DIMENSIONS, array.shape,
                   &array.dimensions) ||
        !pack(&array, &bytes) || bytes != place[1] - place[0])
        return fail_odd(tree, name, "its shape is not that of its bytes");
    return vx_tree_array(tree, &array, value);
}

static vindex_status safetensors_tree(const vindex_embeddings *file, vx_tree *tree) {
    const vx_map *map = &file->map;
    uint64_t length = 0;
    if (map->length >= PREFIX)
        length = vx_load_u32(map->bytes) | (uint64_t)vx_load_u32(map->bytes + 4) << 32;
    if (map->length < PREFIX || length > map->length - PREFIX || length > HEADER_MOST)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: its header needs %llu bytes but the file has %zu; it was cut or is "
                       "another file",
                       tree->path, (unsigned long long)length, map->length);
    vx_value *header;
    VX_TRY(vx_json_read(tree, (const char *)map->bytes + PREFIX, length, 1, &header));
    vx_blob *data = vx_tree_blob(tree);
    tree->root = vx_value_new(tree, VX_DICT);
    if (!data || !tree->root) return vx_tree_fail(tree);
    data->bytes = map->bytes + PREFIX + length;
    data->length = map->length - PREFIX - length;
    if (header->kind != VX_DICT)
        return vx_fail(VINDEX_ERR_FORMAT, "%s: its header is no dictionary; it is another file",
                       tree->path);
    for (size_t i = 0; i < header->count; i += 2) {
        static const char metadata[] = "__metadata__"; /* words about the file */
        vx_value *name = header->items[i], *value;
        if (name->length == strlen(metadata) && !memcmp(name->text, metadata, name->length))
            continue;
        VX_TRY(make_array(tree, data, name, header->items[i + 1], &value));
        if (!vx_value_append(tree, tree->root, name) || !vx_value_append(tree, tree->root, value))
            return vx_tree_fail(tree);
    }
    return vx_tree_seal(tree);
}

const vx_reader_verbs vx_safetensors_reader = {
    .open = vx_tree_open,
    .read = vx_tree_read,
    .close = vx_tree_close,
    .members = vx_tree_members,
    .labels = vx_tree_labels,
    .tree = safetensors_tree,
};
