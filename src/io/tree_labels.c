/* Words in a tree: ids and labels beside rows, and labels alone in the shapes people keep them in.
 */
#include "labels.h"
#include "numpy.h"
#include "text.h"
#include "tree.h"

/* ---- words ---- */

static vindex_status keep(const vx_tree *tree, vx_pool *pool, const char *text, size_t length) {
    if (length && memchr(text, 0, length))
        return vx_fail(VINDEX_ERR_FORMAT, "%s: a word of %zu bytes has a zero in it; mend it",
                       tree->path, length);
    /* A word that a pickle shares can come up any number of times. */
    if (pool->length > tree->numbers_most - VX_MIN(length, tree->numbers_most))
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: its words are shared so many times over that they come to more than "
                       "%zu bytes; save them as lists",
                       tree->path, tree->numbers_most);
    return vx_pool_add(pool, text, length) ? VINDEX_OK : vx_fail_memory(length, 1, tree->path);
}

/* A word or whole number; what and the row are for errors. */
static vindex_status keep_value(const vx_tree *tree, const vx_value *value, const char *what,
                                size_t row, vx_pool *pool) {
    char room[VX_KEY_ROOM];
    size_t length = 0;
    const char *text = value ? vx_value_word(value, room, &length) : NULL;
    if (text) return keep(tree, pool, text, length);
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: the %s of item %zu (from 0) is %s; give a word or a whole number",
                   tree->path, what, row, value ? "something else" : "missing");
}

/* A word of fixed width. */
static vindex_status keep_fixed(const vx_tree *tree, const unsigned char *bytes,
                                const vx_array *array, vx_pool *pool) {
    size_t length = 0;
    char *text = vx_alloc(array->size, 1);
    if (!text) return vx_fail_memory(array->size, 1, tree->path);
    vindex_status status = vx_numpy_word(tree, array, bytes, text, &length);
    if (status == VINDEX_OK) status = keep(tree, pool, text, length);
    vx_free(text);
    return status;
}

static vindex_status keep_array(vx_tree *tree, const vx_array *array, vx_pool *pool) {
    VX_TRY(vx_blob_bytes(tree, array->blob));
    const unsigned char *bytes = array->blob->bytes + array->offset;
    for (size_t i = 0; i < array->shape[0]; i++, bytes += array->strides[0]) {
        if (array->words) {
            VX_TRY(keep_fixed(tree, bytes, array, pool));
            continue;
        }
        char room[VX_KEY_ROOM];
        size_t length = 0;
        vx_value number = {.kind = VX_INT, .integer = vx_numpy_whole(array, bytes)};
        vx_value_word(&number, room, &length);
        VX_TRY(keep(tree, pool, room, length));
    }
    return VINDEX_OK;
}

vindex_status vx_words_keep(vx_tree *tree, const vx_value *list, const char *what, vx_pool *pool) {
    size_t count;
    if (list->kind == VX_ARRAY && vx_is_words(tree, list, &count))
        return keep_array(tree, list->array, pool);
    char words[VX_WORDS];
    if (!vx_is_list(list))
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: as %ss: a %s; give a list of words or of whole numbers", tree->path,
                       what, vx_value_words(tree, list, words));
    for (size_t i = 0; i < list->count; i++)
        VX_TRY(keep_value(tree, list->items[i], what, i, pool));
    return VINDEX_OK;
}

/* ---- beside rows ---- */

/* The words that a name leads to, beside the rows or from the root; NULL where no name is given and
 * none is known. */
static vindex_status find_words(vx_tree *tree, vx_value *beside, const char *name,
                                const char *const *known, vx_value **found) {
    vx_value *parent;
    bool table = beside && vx_is_table(tree, beside);
    bool named = beside && (beside->kind == VX_DICT || table);
    const char *wanted = name;
    *found = NULL;
    if (!wanted && named) wanted = vx_known_key(tree, table ? beside->items[0] : beside, known);
    if (wanted && beside) VX_TRY(vx_tree_find(tree, beside, wanted, found, &parent));
    if (name && !*found) VX_TRY(vx_tree_find(tree, tree->root, name, found, &parent));
    if (name && !*found)
        return vx_fail(VINDEX_ERR_NOT_FOUND,
                       "%s: it has no member '%s'; list what it has and name one", tree->path,
                       name);
    size_t count;
    if (!name && *found && !vx_is_words(tree, *found, &count)) *found = NULL;
    return VINDEX_OK;
}

/* What the rows just opened are. */
typedef struct sides {
    vindex_embeddings *file;
    vx_tree *tree;
    size_t rows, recordings;
    const size_t *sizes; /* rows of each recording; NULL: one each */
    bool exact;          /* the rows were chosen by a key: what is beside them may be of others */
} sides;

/* Words of every recording, for each of its rows. */
static vindex_status repeat(const sides *s, const vx_pool *words, vx_pool *pool) {
    for (size_t i = 0; i < s->recordings; i++)
        for (size_t k = 0; k < (s->sizes ? s->sizes[i] : 1); k++)
            VX_TRY(keep(s->tree, pool, vx_pool_get(words, i), strlen(vx_pool_get(words, i))));
    return VINDEX_OK;
}

/* Puts the words into the pool, one per row; *has tells whether they were as many. */
static vindex_status attach(const sides *s, const vx_value *list, const char *what, bool named,
                            vx_pool *pool, bool *has) {
    vx_pool words = {0};
    vindex_status status = vx_words_keep(s->tree, list, what, &words);
    size_t count = words.count;
    *has = status == VINDEX_OK && (count == s->rows || count == s->recordings);
    if (*has && count == s->recordings)
        status = repeat(s, &words, pool);
    else if (*has) {
        *pool = words;
        words = (vx_pool){0};
    }
    vx_pool_free(&words);
    if (status != VINDEX_OK || *has || (s->exact && !named)) return status;
    return vx_fail(VINDEX_ERR_DATA,
                   "%s: %zu %ss beside %zu rows of %zu recordings; give one for each, or choose "
                   "the rows by their key to leave the %ss out",
                   s->tree->path, count, what, s->rows, s->recordings, what);
}

/* Where nothing else names recordings: keys of a dictionary, or for those of several rows their
 * number. */
static vindex_status name_recordings(const sides *s, const vx_value *value) {
    bool dict = value->kind == VX_DICT;
    if (!dict && !s->sizes) return VINDEX_OK;
    vx_pool words = {0};
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; i < s->recordings && status == VINDEX_OK; i++) {
        vx_value number = {.kind = VX_INT, .integer = (int64_t)i};
        status = keep_value(s->tree, dict ? value->items[2 * i] : &number, "id", i, &words);
    }
    if (status == VINDEX_OK) status = repeat(s, &words, &s->file->ids);
    s->file->info.has_ids = status == VINDEX_OK;
    vx_pool_free(&words);
    return status;
}

vindex_status vx_tree_name_rows(vindex_embeddings *file, vx_tree *tree, const vx_visit *rows,
                                const size_t *sizes, const vindex_embeddings_options *options) {
    sides s = {.file = file,
               .tree = tree,
               .rows = rows->facts.rows,
               .recordings = rows->facts.recordings,
               .sizes = sizes,
               .exact = rows->key != NULL};
    vx_value *ids, *labels, *beside = rows->parent;
    VX_TRY(find_words(tree, beside, options->id_column, vx_id_names, &ids));
    VX_TRY(find_words(tree, beside, options->label_column, vx_label_names, &labels));
    if (ids)
        VX_TRY(attach(&s, ids, "id", options->id_column != NULL, &file->ids, &file->info.has_ids));
    if (!file->info.has_ids) VX_TRY(name_recordings(&s, rows->value));
    if (labels)
        VX_TRY(attach(&s, labels, "label", options->label_column != NULL, &file->labels,
                      &file->info.has_labels));
    return VINDEX_OK;
}

/* ---- labels alone ---- */

/* The labels of one work and the ids under it. */
static vindex_status keep_work(vindex_embeddings *file, vx_tree *tree, const vx_value *label,
                               const vx_value *entry, vx_label_shape shape, const char *id_field) {
    size_t before = file->ids.count, count = 0;
    if (shape == VX_LABELS_LISTS) {
        VX_TRY(vx_words_keep(tree, entry, "id", &file->ids));
        count = file->ids.count - before;
    } else if (shape == VX_LABELS_WORKS) {
        for (; count < entry->count / 2; count++)
            VX_TRY(keep_value(tree, entry->items[2 * count], "id", count, &file->ids));
    } else {
        for (; count < entry->count; count++) {
            const vx_value *id =
                id_field ? vx_dict_get(tree, entry->items[count], id_field, strlen(id_field))
                         : NULL;
            if (id_field) VX_TRY(keep_value(tree, id, "id", count, &file->ids));
        }
    }
    for (size_t i = 0; i < count; i++) VX_TRY(keep_value(tree, label, "label", i, &file->labels));
    return VINDEX_OK;
}

/* Dictionaries from labels to ids. */
static vindex_status keep_works(vindex_embeddings *file, vx_tree *tree, const vx_value *dict,
                                vx_label_shape shape, const vindex_labels_options *options) {
    const char *id_field = options->id_column;
    if (shape == VX_LABELS_TABLES && !id_field)
        id_field = vx_known_key(tree, dict->items[1]->items[0], vx_id_names);
    for (size_t i = 0; i < dict->count; i += 2)
        VX_TRY(keep_work(file, tree, dict->items[i], dict->items[i + 1], shape, id_field));
    file->info.has_ids = shape != VX_LABELS_TABLES || id_field;
    return VINDEX_OK;
}

/* Dictionaries from ids to labels, or to records with a field of labels. */
static vindex_status keep_recordings(vindex_embeddings *file, vx_tree *tree, const vx_value *dict,
                                     vx_label_shape shape, const vindex_labels_options *options) {
    const char *field = options->label_column;
    if (shape == VX_LABELS_RECORDS && !field)
        field = vx_known_key(tree, dict->items[1], vx_label_names);
    for (size_t i = 0; i < dict->count; i += 2) {
        const vx_value *label = dict->items[i + 1];
        if (field && shape == VX_LABELS_RECORDS)
            label = vx_dict_get(tree, label, field, strlen(field));
        VX_TRY(keep_value(tree, label, "label", i / 2, &file->labels));
        VX_TRY(keep_value(tree, dict->items[i], "id", i / 2, &file->ids));
    }
    file->info.has_ids = true;
    return VINDEX_OK;
}

/* Lists of labels and ids side by side. */
static vindex_status keep_columns(vindex_embeddings *file, vx_tree *tree, vx_value *beside,
                                  const vx_value *labels, const vindex_labels_options *options) {
    vx_value *ids;
    VX_TRY(vx_words_keep(tree, labels, "label", &file->labels));
    VX_TRY(find_words(tree, beside, options->id_column, vx_id_names, &ids));
    if (!ids || ids == labels) return VINDEX_OK;
    VX_TRY(vx_words_keep(tree, ids, "id", &file->ids));
    if (file->ids.count != file->labels.count)
        return vx_fail(VINDEX_ERR_DATA, "%s: %zu labels and %zu ids; give one id for each label",
                       tree->path, file->labels.count, file->ids.count);
    file->info.has_ids = true;
    return VINDEX_OK;
}

static vindex_status keep_labels(vindex_embeddings *file, vx_tree *tree,
                                 const vindex_labels_options *options) {
    vx_visit chosen = {.value = tree->root};
    vx_value *labels;
    if (options->key) VX_TRY(vx_tree_choose(tree, options->key, VINDEX_MEMBER_LABELS, &chosen));
    vx_label_shape shape = vx_value_label_shape(tree, chosen.value, options->label_column);
    bool column = options->label_column && shape != VX_LABELS_RECORDS;
    if (column || shape == VX_LABELS_NONE) {
        VX_TRY(find_words(tree, chosen.value, options->label_column, vx_label_names, &labels));
        if (labels) return keep_columns(file, tree, chosen.value, labels, options);
        VX_TRY(vx_tree_choose(tree, options->key, VINDEX_MEMBER_LABELS, &chosen));
        shape = vx_value_label_shape(tree, chosen.value, options->label_column);
    }
    switch (shape) {
    case VX_LABELS_WORDS:
        return keep_columns(file, tree, chosen.parent, chosen.value, options);
    case VX_LABELS_WORKS:
    case VX_LABELS_LISTS:
    case VX_LABELS_TABLES:
        return keep_works(file, tree, chosen.value, shape, options);
    case VX_LABELS_PAIRS:
    case VX_LABELS_RECORDS:
        return keep_recordings(file, tree, chosen.value, shape, options);
    default:
        return vx_words_keep(tree, chosen.value, "label", &file->labels);
    }
}

vindex_status vx_tree_labels(vindex_embeddings *file, const vindex_labels_options *options) {
    vx_tree tree;
    vindex_status status = vx_tree_build(file, &tree);
    if (status == VINDEX_OK) status = keep_labels(file, &tree, options);
    if (status == VINDEX_OK) status = vx_tree_check_work(&tree);
    file->info.rows = (int64_t)file->labels.count;
    vx_tree_free(&tree);
    return status;
}
