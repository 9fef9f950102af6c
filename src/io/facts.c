/* What the values of a tree can be read as. */
#include "labels.h"
#include "tree.h"

#include <stdio.h>

static bool is_whole(vindex_dtype dtype) {
    return dtype != VINDEX_F32 && dtype != VINDEX_F16 && dtype != VINDEX_BF16 &&
           dtype != VINDEX_F64;
}

static bool is_dim(size_t dim) {
    return dim >= 1 && dim <= INT32_MAX;
}

/* The array that a value is if it has that many dimensions and numbers that can be read. */
static const vx_array *numbers_of(const vx_value *value, size_t dimensions) {
    if (value->kind != VX_ARRAY || !value->array->numeric) return NULL;
    return value->array->dimensions == dimensions ? value->array : NULL;
}

static vx_facts embeddings(vindex_dtype dtype, size_t rows, size_t dim, size_t recordings) {
    return (vx_facts){.use = VINDEX_MEMBER_EMBEDDINGS,
                      .dtype = dtype,
                      .rows = rows,
                      .dim = dim,
                      .recordings = recordings};
}

static vx_facts array_facts(const vx_array *array) {
    const size_t *shape = array->shape;
    vx_facts facts = {0};
    if (array->words && array->dimensions == 1)
        return (vx_facts){.use = VINDEX_MEMBER_LABELS, .rows = shape[0]};
    if (!array->numeric || !array->dimensions || array->dimensions > 3) return facts;
    size_t dim = shape[array->dimensions - 1];
    if (!is_dim(dim)) return facts;
    if (array->dimensions == 3) return embeddings(array->dtype, shape[0] * shape[1], dim, shape[0]);
    if (array->dimensions == 2) return embeddings(array->dtype, shape[0], dim, shape[0]);
    facts = embeddings(array->dtype, 1, dim, 1);
    facts.vector = true;
    if (is_whole(array->dtype)) facts.use = VINDEX_MEMBER_LABELS;
    return facts;
}

bool vx_part_facts(vx_tree *tree, const vx_value *value, vx_facts *part) {
    const vx_array *vector = numbers_of(value, 1), *matrix = numbers_of(value, 2);
    if (vector) *part = embeddings(vector->dtype, 1, vector->shape[0], 1);
    if (matrix) *part = embeddings(matrix->dtype, matrix->shape[0], matrix->shape[1], 1);
    if (vector || matrix) return is_dim(part->dim);
    if (!vx_is_list(value) || !value->count || !vx_tree_spend(tree, value->count)) return false;
    for (size_t i = 0; i < value->count; i++) {
        vector = numbers_of(value->items[i], 1);
        if (!vector || (i && vector->shape[0] != part->dim)) return false;
        if (!i) *part = embeddings(vector->dtype, value->count, vector->shape[0], 1);
        if (vector->dtype != part->dtype) part->dtype = VINDEX_F64;
    }
    return is_dim(part->dim);
}

/* A list whose items are parts of one dimension. Where types of numbers are mixed, f64 stands for
 * all of them. */
static bool gather_parts(vx_tree *tree, const vx_value *list, vx_facts *facts) {
    if (!list->count || !vx_tree_spend(tree, list->count)) return false;
    *facts = (vx_facts){0};
    for (size_t i = 0; i < list->count; i++) {
        vx_facts part;
        if (!vx_part_facts(tree, list->items[i], &part)) return false;
        if (!i) *facts = embeddings(part.dtype, 0, part.dim, list->count);
        if (part.dim != facts->dim) return false;
        if (part.dtype != facts->dtype) facts->dtype = VINDEX_F64;
        facts->rows += part.rows;
        /* What is named many times may come to more than a file holds. */
        if (facts->rows > tree->numbers_most / facts->dim) return false;
    }
    return true;
}

/* A dictionary from ids to vectors of one dimension. Vectors of whole numbers are as likely to be
 * columns. */
static bool gather_named(vx_tree *tree, const vx_value *dict, vx_facts *facts) {
    if (dict->count < 4 || !vx_tree_spend(tree, dict->count)) return false;
    for (size_t i = 0; i < dict->count; i += 2) {
        const vx_array *vector = numbers_of(dict->items[i + 1], 1);
        char room[VX_KEY_ROOM];
        size_t length;
        if (!vector || is_whole(vector->dtype) || !is_dim(vector->shape[0])) return false;
        if (!vx_value_word(dict->items[i], room, &length)) return false;
        if (!i)
            *facts = embeddings(vector->dtype, dict->count / 2, vector->shape[0], dict->count / 2);
        if (vector->shape[0] != facts->dim) return false;
        if (vector->dtype != facts->dtype) facts->dtype = VINDEX_F64;
    }
    return facts->rows <= tree->numbers_most / facts->dim;
}

bool vx_is_words(vx_tree *tree, const vx_value *value, size_t *count) {
    if (value->kind == VX_ARRAY) {
        const vx_array *array = value->array;
        *count = array->shape[0];
        return array->dimensions == 1 &&
               (array->words || (array->numeric && is_whole(array->dtype)));
    }
    if (!vx_is_list(value) || !vx_tree_spend(tree, value->count)) return false;
    *count = value->count;
    for (size_t i = 0; i < value->count; i++)
        if (value->items[i]->kind != VX_TEXT && value->items[i]->kind != VX_INT) return false;
    return true;
}

/* Whether two dictionaries have a key in common, among the first of one. */
static bool share_key(vx_tree *tree, const vx_value *a, const vx_value *b) {
    enum { ENOUGH = 16 };
    for (size_t i = 0; i < b->count && i < 2 * ENOUGH; i += 2) {
        char room[VX_KEY_ROOM];
        size_t length = 0;
        const char *key = vx_value_word(b->items[i], room, &length);
        if (key && vx_dict_get(tree, a, key, length)) return true;
    }
    return false;
}

bool vx_is_table(vx_tree *tree, const vx_value *value) {
    if (!vx_is_list(value) || !value->count || !vx_tree_spend(tree, value->count)) return false;
    for (size_t i = 0; i < value->count; i++)
        if (value->items[i]->kind != VX_DICT || !share_key(tree, value->items[0], value->items[i]))
            return false;
    return true;
}

const char *vx_known_key(vx_tree *tree, const vx_value *dict, const char *const *known) {
    for (; *known; known++)
        if (vx_dict_get(tree, dict, *known, strlen(*known))) return *known;
    return NULL;
}

/* ---- labels ---- */

/* Whether no field of a record is a dictionary or an array, as the parts of a model are. */
static bool is_record(const vx_value *value) {
    if (value->kind != VX_DICT) return false;
    for (size_t i = 1; i < value->count; i += 2)
        if (value->items[i]->kind == VX_DICT || value->items[i]->kind == VX_ARRAY) return false;
    return true;
}

static vx_label_shape shape_of_entry(vx_tree *tree, const vx_value *value, const char *field) {
    size_t count;
    if (value->kind == VX_TEXT || value->kind == VX_INT) return VX_LABELS_PAIRS;
    if (value->kind == VX_DICT && value->count) {
        bool named = field ? vx_dict_get(tree, value, field, strlen(field)) != NULL
                           : vx_known_key(tree, value, vx_label_names) != NULL;
        if (named) return VX_LABELS_RECORDS;
        return is_record(value->items[1]) ? VX_LABELS_WORKS : VX_LABELS_NONE;
    }
    if (vx_is_table(tree, value)) return VX_LABELS_TABLES;
    return vx_is_words(tree, value, &count) ? VX_LABELS_LISTS : VX_LABELS_NONE;
}

/* Whether an entry is of the kind that the first one has. */
static bool fits_shape(vx_tree *tree, const vx_value *value, vx_label_shape shape) {
    size_t count;
    switch (shape) {
    case VX_LABELS_PAIRS:
        return value->kind == VX_TEXT || value->kind == VX_INT;
    case VX_LABELS_RECORDS:
    case VX_LABELS_WORKS:
        return value->kind == VX_DICT;
    case VX_LABELS_TABLES:
        return vx_is_table(tree, value);
    default:
        return vx_is_words(tree, value, &count);
    }
}

vx_label_shape vx_value_label_shape(vx_tree *tree, const vx_value *value, const char *field) {
    size_t count;
    if (vx_is_words(tree, value, &count)) return count ? VX_LABELS_WORDS : VX_LABELS_NONE;
    if (value->kind != VX_DICT || !value->count || !vx_tree_spend(tree, value->count))
        return VX_LABELS_NONE;
    vx_label_shape shape = shape_of_entry(tree, value->items[1], field);
    /* Lists under the names of columns are columns. */
    if (shape == VX_LABELS_NONE ||
        (shape == VX_LABELS_LISTS &&
         (vx_known_key(tree, value, vx_label_names) || vx_known_key(tree, value, vx_id_names))))
        return VX_LABELS_NONE;
    for (size_t i = 0; i < value->count; i += 2) {
        char room[VX_KEY_ROOM];
        if (!vx_value_word(value->items[i], room, &count)) return VX_LABELS_NONE;
        if (!fits_shape(tree, value->items[i + 1], shape)) return VX_LABELS_NONE;
    }
    return shape;
}

/* How many recordings labels of that shape are of. */
static size_t count_labels(vx_tree *tree, const vx_value *value, vx_label_shape shape) {
    size_t total = 0, count;
    if (shape == VX_LABELS_WORDS) {
        vx_is_words(tree, value, &total);
        return total;
    }
    if (shape == VX_LABELS_PAIRS || shape == VX_LABELS_RECORDS) return value->count / 2;
    for (size_t i = 1; i < value->count; i += 2) {
        const vx_value *entry = value->items[i];
        count = shape == VX_LABELS_WORKS ? entry->count / 2 : entry->count;
        if (shape == VX_LABELS_LISTS) vx_is_words(tree, entry, &count);
        total += count;
    }
    return total;
}

vx_facts vx_value_facts(vx_tree *tree, const vx_value *value) {
    vx_facts facts = {0};
    if (value->kind == VX_ARRAY) return array_facts(value->array);
    if (vx_is_list(value) && gather_parts(tree, value, &facts)) return facts;
    if (value->kind == VX_DICT && gather_named(tree, value, &facts)) return facts;
    facts = (vx_facts){0};
    vx_label_shape shape = vx_value_label_shape(tree, value, NULL);
    if (shape != VX_LABELS_NONE) {
        facts.use = VINDEX_MEMBER_LABELS;
        facts.rows = count_labels(tree, value, shape);
    }
    return facts;
}

/* ---- in words ---- */

static void array_words(const vx_array *array, char words[VX_WORDS]) {
    int used = snprintf(words, VX_WORDS, "%.24s array", array->type);
    for (size_t i = 0; i < array->dimensions && used < VX_WORDS; i++)
        used += snprintf(words + used, (size_t)(VX_WORDS - used), "%s%zu%s", i ? ", " : " (",
                         array->shape[i], i + 1 < array->dimensions ? "" : ")");
}

static void list_words(vx_tree *tree, const vx_value *value, const vx_facts *facts,
                       char words[VX_WORDS]) {
    size_t count;
    if (facts->use == VINDEX_MEMBER_EMBEDDINGS)
        snprintf(words, VX_WORDS, "list of %zu %s arrays, %zu x %zu in all", value->count,
                 vindex_dtype_name(facts->dtype), facts->rows, facts->dim);
    else if (vx_is_words(tree, value, &count))
        snprintf(words, VX_WORDS, "list of %zu words", count);
    else if (vx_is_table(tree, value))
        snprintf(words, VX_WORDS, "list of %zu dictionaries", value->count);
    else
        snprintf(words, VX_WORDS, "list of %zu values", value->count);
}

static void dict_words(const vx_value *value, const vx_facts *facts, char words[VX_WORDS]) {
    size_t entries = value->count / 2;
    if (facts->use == VINDEX_MEMBER_EMBEDDINGS)
        snprintf(words, VX_WORDS, "dictionary of %zu %s arrays (%zu)", entries,
                 vindex_dtype_name(facts->dtype), facts->dim);
    else if (facts->use == VINDEX_MEMBER_LABELS)
        snprintf(words, VX_WORDS, "dictionary of %zu entries, labels of %zu", entries, facts->rows);
    else
        snprintf(words, VX_WORDS, "dictionary of %zu entries", entries);
}

const char *vx_value_words(vx_tree *tree, const vx_value *value, char words[VX_WORDS]) {
    static const char *const plain[] = {
        [VX_NONE] = "nothing",    [VX_BOOL] = "truth value", [VX_INT] = "whole number",
        [VX_FLOAT] = "number",    [VX_TEXT] = "word",        [VX_BYTES] = "bytes",
        [VX_STORAGE] = "storage", [VX_GLOBAL] = "type",      [VX_LATIN1] = "bytes",
        [VX_DTYPE] = "type",      [VX_NDARRAY] = "array",
    };
    vx_facts facts = vx_value_facts(tree, value);
    if (value->kind == VX_ARRAY)
        array_words(value->array, words);
    else if (vx_is_list(value))
        list_words(tree, value, &facts, words);
    else if (value->kind == VX_DICT)
        dict_words(value, &facts, words);
    else
        snprintf(words, VX_WORDS, "%s", plain[value->kind]);
    return words;
}
