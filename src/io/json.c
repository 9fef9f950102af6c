/* .json and .jsonl: embeddings as arrays of numbers, ids and labels as fields. Numbers are doubles,
 * as everywhere in JSON, and arrays of them are kept as such. */
#include "json.h"

#include "text.h"
#include "tree.h"

#include <jansson.h>

/* What jansson takes for each object, array and value at most, about; and what it may take. */
enum { OBJECT_BYTES = 288, ARRAY_BYTES = 128, VALUE_BYTES = 64 };
static const uint64_t MEMORY_MOST = (uint64_t)2 << 30;

/* Looks through a text before it is parsed: how deep it is nested, what it will take. Strings are
 * left out; whether the text is sound is the parser's matter. */
static vindex_status survey(const vx_tree *tree, const char *text, size_t length) {
    uint64_t bytes = length;
    size_t depth = 0, deepest = 0;
    bool quoted = false;
    for (const char *at = text, *end = text + length; at < end; at++) {
        if (*at == '"') quoted = !quoted;
        if (quoted && *at == '\\' && at + 1 < end) at++;
        if (quoted) continue;
        if (*at == '{') bytes += OBJECT_BYTES;
        if (*at == '[') bytes += ARRAY_BYTES;
        if (*at == ',' || *at == ':') bytes += VALUE_BYTES;
        if (*at == '{' || *at == '[') depth++;
        if ((*at == '}' || *at == ']') && depth) depth--;
        deepest = VX_MAX(deepest, depth);
    }
    if (deepest > VX_DEPTH_MOST)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: it is nested %zu levels deep, %d at most are read; save the part that "
                       "is needed",
                       tree->path, deepest, VX_DEPTH_MOST);
    if (bytes <= MEMORY_MOST) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: to parse it would take about %llu MiB of memory; save one record per line "
                   "as .jsonl, or the numbers as .npy",
                   tree->path, (unsigned long long)(bytes >> 20));
}

static vindex_status convert(vx_tree *tree, const json_t *json, vx_value **value);

static vx_value *copy_text(vx_tree *tree, const char *text, size_t length) {
    char *copy = vx_tree_take(tree, length, 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    return vx_value_text(tree, copy, length);
}

static vindex_status convert_object(vx_tree *tree, const json_t *json, vx_value *dict) {
    for (void *at = json_object_iter((json_t *)(uintptr_t)json); at;
         at = json_object_iter_next((json_t *)(uintptr_t)json, at)) {
        const char *name = json_object_iter_key(at);
        vx_value *key = copy_text(tree, name, strlen(name)), *value;
        if (!key) return vx_tree_fail(tree);
        VX_TRY(convert(tree, json_object_iter_value(at), &value));
        if (!vx_value_append(tree, dict, key) || !vx_value_append(tree, dict, value))
            return vx_tree_fail(tree);
    }
    return VINDEX_OK;
}

static vx_value number_of(const json_t *json) {
    vx_value value = {.kind = json_is_integer(json) ? VX_INT : VX_FLOAT};
    if (value.kind == VX_INT)
        value.integer = json_integer_value(json);
    else
        value.number = json_real_value(json);
    return value;
}

/* An array of numbers goes without a value for each. */
static vindex_status convert_array(vx_tree *tree, const json_t *json, vx_value **value) {
    size_t count = json_array_size(json);
    bool numbers = count > 0, whole = true;
    for (size_t i = 0; i < count && numbers; i++) {
        numbers = json_is_number(json_array_get(json, i));
        whole &= json_is_integer(json_array_get(json, i));
    }
    unsigned char *room = NULL;
    vindex_dtype dtype = whole ? VINDEX_I64 : VINDEX_F64;
    *value = numbers ? vx_tree_numbers(tree, dtype, count, &room) : vx_value_new(tree, VX_LIST);
    if (!*value) return vx_tree_fail(tree);
    for (size_t i = 0; i < count; i++) {
        if (numbers) {
            vx_value number = number_of(json_array_get(json, i));
            vx_store_number(room, i, dtype, &number);
            continue;
        }
        vx_value *item;
        VX_TRY(convert(tree, json_array_get(json, i), &item));
        if (!vx_value_append(tree, *value, item)) return vx_tree_fail(tree);
    }
    return VINDEX_OK;
}

static vindex_status convert(vx_tree *tree, const json_t *json, vx_value **value) {
    switch (json_typeof(json)) {
    case JSON_ARRAY:
        return convert_array(tree, json, value);
    case JSON_OBJECT:
        *value = vx_value_new(tree, VX_DICT);
        return *value ? convert_object(tree, json, *value) : vx_tree_fail(tree);
    case JSON_STRING:
        *value = copy_text(tree, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        *value = vx_value_new(tree, VX_NONE);
        if (*value) **value = number_of(json);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        *value = vx_value_integer(tree, VX_BOOL, json_is_true(json));
        break;
    default:
        *value = vx_value_new(tree, VX_NONE);
    }
    return *value ? VINDEX_OK : vx_tree_fail(tree);
}

vindex_status vx_json_read(vx_tree *tree, const char *text, size_t length, size_t line,
                           vx_value **value) {
    VX_TRY(survey(tree, text, length));
    json_error_t error;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!json) {
        char shown[VX_EXCERPT];
        bool memory = json_error_code(&error) == json_error_out_of_memory;
        return vx_fail(memory ? VINDEX_ERR_MEMORY : VINDEX_ERR_FORMAT,
                       "%s: line %zu, column %d: no JSON, %s; mend it", tree->path,
                       line - 1 + (size_t)VX_MAX(error.line, 1), error.column,
                       vx_excerpt(error.text, strlen(error.text), shown));
    }
    vindex_status status = convert(tree, json, value);
    json_decref(json);
    return status;
}

/* The text behind a byte order mark. */
static vx_text begin(const vindex_embeddings *file) {
    return vx_text_begin(file->path, &file->map, 0);
}

static vindex_status json_tree(const vindex_embeddings *file, vx_tree *tree) {
    vx_text text = begin(file);
    VX_TRY(vx_json_read(tree, text.at, (size_t)(text.end - text.at), 1, &tree->root));
    return vx_tree_seal(tree);
}

/* A value per line. Lines of one vector each become a list of them, records a table. */
static vindex_status json_lines_tree(const vindex_embeddings *file, vx_tree *tree) {
    tree->root = vx_value_new(tree, VX_LIST);
    if (!tree->root) return vx_tree_fail(tree);
    vx_text text = begin(file);
    while (vx_text_line(&text)) {
        size_t line = text.line;
        vx_cell cell;
        vx_value *value;
        VX_TRY(vx_text_cell(&text, &cell));
        VX_TRY(vx_json_read(tree, cell.text, cell.length, line, &value));
        if (!vx_value_append(tree, tree->root, value)) return vx_tree_fail(tree);
    }
    return vx_tree_seal(tree);
}

const vx_reader_verbs vx_json_reader = {
    .open = vx_tree_open,
    .read = vx_tree_read,
    .close = vx_tree_close,
    .members = vx_tree_members,
    .labels = vx_tree_labels,
    .tree = json_tree,
};

const vx_reader_verbs vx_json_lines_reader = {
    .open = vx_tree_open,
    .read = vx_tree_read,
    .close = vx_tree_close,
    .members = vx_tree_members,
    .labels = vx_tree_labels,
    .tree = json_lines_tree,
};
