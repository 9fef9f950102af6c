/* From a tree of values to rows and labels: the same rules for every container. */
#ifndef VX_IO_TREE_H
#define VX_IO_TREE_H

#include "format.h"
#include "value.h"

/* ---- facts.c: what values are ---- */

/* What a value can be read as. */
typedef struct vx_facts {
    vindex_member_use use;
    vindex_dtype dtype;
    size_t rows, dim;  /* of embeddings; labels have rows */
    size_t recordings; /* of embeddings: consecutive rows may belong to one */
    bool vector;       /* one array of one dimension: a row where there is nothing better */
} vx_facts;

vx_facts vx_value_facts(vx_tree *tree, const vx_value *value);

/* The same in words: "f32 array (300, 256)". */
enum { VX_WORDS = 96 };
const char *vx_value_words(vx_tree *tree, const vx_value *value, char words[VX_WORDS]);

/* The rows that an item of a list adds: a vector, a matrix or a list of vectors. */
bool vx_part_facts(vx_tree *tree, const vx_value *value, vx_facts *part);

/* How a value says which label is whose. */
typedef enum vx_label_shape {
    VX_LABELS_NONE,
    VX_LABELS_WORDS,   /* one per row */
    VX_LABELS_WORKS,   /* {label: {id: {...}}} */
    VX_LABELS_RECORDS, /* {id: {"label": label, ...}} */
    VX_LABELS_LISTS,   /* {label: [id, ...]} */
    VX_LABELS_TABLES,  /* {label: [{"id": id, ...}, ...]} */
    VX_LABELS_PAIRS    /* {id: label} */
} vx_label_shape;

/* field is the one of labels in records; NULL: one with a known name. */
vx_label_shape vx_value_label_shape(vx_tree *tree, const vx_value *value, const char *field);

/* Whether a value is a list of words and whole numbers, or an array of them; *count receives how
 * many. */
bool vx_is_words(vx_tree *tree, const vx_value *value, size_t *count);

/* Whether a value is a list of dictionaries that have keys in common with the first. */
bool vx_is_table(vx_tree *tree, const vx_value *value);

/* The first of the known names (NULL-ended) that a dictionary has a key of; NULL if none. */
const char *vx_known_key(vx_tree *tree, const vx_value *dict, const char *const *known);

/* ---- tree.c: members and keys ---- */

/* The tree of a file not looked at yet, to be freed whatever the answer. */
vindex_status vx_tree_build(const vindex_embeddings *file, vx_tree *tree);

/* What a key leads to, and what contains that; *found is NULL if there is nothing. Parts of a key
 * are joined by points; each is a key of a dictionary (which may have points itself), a place in a
 * list, or a column of a table. */
vindex_status vx_tree_find(vx_tree *tree, vx_value *from, const char *key, vx_value **found,
                           vx_value **parent);

/* A member, as vx_tree_walk visits them: in the file's order, and nothing within a member that can
 * be read as a whole. */
typedef struct vx_visit {
    const char *key;
    vx_value *value, *parent;
    vx_facts facts;
} vx_visit;

/* Stops with what visit answers if that is not VINDEX_OK. In a file with very many values only the
 * first are visited. */
vindex_status vx_tree_walk(vx_tree *tree,
                           vindex_status (*visit)(void *context, const vx_visit *member),
                           void *context);

/* Finds the member of that use that a key names or, if it is NULL, the only one. */
vindex_status vx_tree_choose(vx_tree *tree, const char *key, vindex_member_use use,
                             vx_visit *chosen);

/* ---- tree_rows.c: rows of what was chosen, and the verbs of formats that are trees ---- */

vindex_status vx_tree_open(vindex_embeddings *file, const vindex_embeddings_options *options);
vindex_status vx_tree_read(const vindex_embeddings *file, size_t first, size_t count,
                           float *vectors);
void vx_tree_close(vindex_embeddings *file);
vindex_status vx_tree_members(vindex_embeddings *file, vx_members *members);
vindex_status vx_tree_labels(vindex_embeddings *file, const vindex_labels_options *options);

/* ---- tree_labels.c: words ---- */

/* Appends the words of a list or array to a pool. what ("label", "id") is for errors. */
vindex_status vx_words_keep(vx_tree *tree, const vx_value *list, const char *what, vx_pool *pool);

/* Ids and labels of rows just opened, from the members beside them. A recording is `sizes[i]` rows;
 * NULL: one row each. */
vindex_status vx_tree_name_rows(vindex_embeddings *file, vx_tree *tree, const vx_visit *rows,
                                const size_t *sizes, const vindex_embeddings_options *options);

#endif
