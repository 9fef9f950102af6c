/* What a container holds, as a tree of plain values: readers of .pt, .npz, .safetensors and JSON
 * build it, and one set of rules (members of a key, rows, labels) works on all of them. Numbers are
 * not copied: an array says where they lie.
 *
 * A tree lives in an arena with a limit, so that a hostile file cannot ask for more. It may share
 * values but, once sealed, holds no circle and is not deeper than VX_DEPTH_MOST. */
#ifndef VX_IO_VALUE_H
#define VX_IO_VALUE_H

#include "core/file.h"

typedef enum vx_kind {
    VX_NONE, /* also what no one reads, such as a device */
    VX_BOOL, /* as integer */
    VX_INT,
    VX_FLOAT,
    VX_TEXT,  /* UTF-8 */
    VX_BYTES, /* bytes, and integers beyond 64 bits */
    VX_LIST,
    VX_TUPLE,
    VX_DICT, /* items are key, value, key, value, ... in the file's order */
    VX_ARRAY,
    /* Only while a pickle is read: */
    VX_STORAGE, /* what tensors lie in */
    VX_GLOBAL,  /* a name of Python's */
    VX_LATIN1,  /* bytes, as the characters of a text */
    VX_DTYPE,   /* a type of NumPy's */
    VX_NDARRAY  /* an array of NumPy's that has no numbers yet */
} vx_kind;

enum { VX_DEPTH_MOST = 64, VX_ARRAY_DIMENSIONS = 8 };

/* Bytes that arrays lie in: mapped, or to be inflated by tree->load or made of a text when they are
 * needed. */
typedef struct vx_blob {
    const unsigned char *bytes; /* NULL: not loaded yet */
    size_t length;              /* as declared */
    size_t entry;               /* of the zip file */
    const char *latin1;         /* UTF-8 whose characters are the bytes; NULL: they are none */
    size_t latin1_length;
    struct vx_blob *next;
    void *owned; /* freed with the tree */
} vx_blob;

/* Evenly spaced numbers, or words of fixed width (.npy). Made by vx_tree_array, which checks that
 * they lie within the blob. */
typedef struct vx_array {
    vx_blob *blob;
    size_t offset; /* of the first, in bytes */
    size_t dimensions, shape[VX_ARRAY_DIMENSIONS], strides[VX_ARRAY_DIMENSIONS]; /* in bytes */
    size_t size;      /* of one item, in bytes */
    const char *type; /* what the file calls it; lives as long as the tree */
    bool numeric;     /* dtype holds */
    vindex_dtype dtype;
    bool big_endian;
    char words; /* 'U': UCS-4, 'S': bytes; 0: numbers */
} vx_array;

typedef struct vx_value {
    vx_kind kind;
    uint32_t height; /* for vx_tree_seal */
    union {
        int64_t integer;
        double number;
        struct {
            const char *text; /* not zero-ended */
            size_t length;
        };
        struct {
            struct vx_value **items;
            size_t count, capacity; /* items of a VX_DICT: twice its entries */
        };
        const vx_array *array;
        struct {
            vx_blob *blob;
            const void *type; /* of a VX_STORAGE */
        };
        const struct vx_pickle_name *name; /* of a VX_GLOBAL */
        struct vx_npy *npy;                /* of a VX_DTYPE */
    };
} vx_value;

typedef struct vx_tree {
    const char *path; /* for errors; must outlive the tree */
    vx_value *root;
    vx_blob *blobs;
    struct vx_chunk *chunks;
    size_t taken, limit; /* bytes of the arena */
    size_t numbers_most; /* that rows may say they have: storages can be named many times */
    uint64_t work;       /* items looked at, see vx_tree_spend */
    size_t latin1_left;  /* bytes of texts that may still stand for bytes: as many as there are */
    vindex_status (*load)(struct vx_tree *tree, vx_blob *blob);
    void (*release)(void *source); /* called once, by vx_tree_free */
    void *source;
} vx_tree;

/* An empty tree for a file of that many bytes. */
vx_tree vx_tree_begin(const char *path, size_t file_bytes);
void vx_tree_free(vx_tree *tree);

/* Memory that lives as long as the tree; NULL when there is none or the limit is reached.
 * vx_tree_fail then says which. */
void *vx_tree_take(vx_tree *tree, size_t count, size_t size);
vindex_status vx_tree_fail(const vx_tree *tree);

/* A new value of that kind, zeroed; NULL as vx_tree_take. */
vx_value *vx_value_new(vx_tree *tree, vx_kind kind);
vx_value *vx_value_integer(vx_tree *tree, vx_kind kind, int64_t integer);

/* A text: the bytes are not copied. */
vx_value *vx_value_text(vx_tree *tree, const char *text, size_t length);

/* Appends to a list, tuple or dictionary; false as vx_tree_take. */
bool vx_value_append(vx_tree *tree, vx_value *list, vx_value *item);

/* A blob that the tree frees. */
vx_blob *vx_tree_blob(vx_tree *tree);

/* The bytes of a blob, loaded if need be. */
vindex_status vx_blob_bytes(vx_tree *tree, vx_blob *blob);

/* A value for an array, copied; checks that it lies within its blob. */
vindex_status vx_tree_array(vx_tree *tree, const vx_array *array, vx_value **value);

/* A one-dimensional array of count numbers, of VINDEX_I64 or VINDEX_F64, and where to store them
 * with vx_store_number. */
vx_value *vx_tree_numbers(vx_tree *tree, vindex_dtype dtype, size_t count, unsigned char **room);
void vx_store_number(unsigned char *room, size_t place, vindex_dtype dtype, const vx_value *value);

/* Ends the building: refuses circles, too deep nesting and keys that come twice, and turns lists of
 * numbers into arrays. */
vindex_status vx_tree_seal(vx_tree *tree);

bool vx_is_list(const vx_value *value); /* VX_LIST or VX_TUPLE */

/* Counts items that are looked at, which in a tree that shares its values may be many more than
 * the file has bytes; false when it is time to give up, as vx_tree_check_work then says. */
bool vx_tree_spend(vx_tree *tree, size_t items);
vindex_status vx_tree_check_work(const vx_tree *tree);

/* The entry of a dictionary, NULL if there is none or the tree's work is spent. */
vx_value *vx_dict_get(vx_tree *tree, const vx_value *dict, const char *key, size_t length);

/* A key, or any other word or whole number, as text: in place, or written to room. NULL if the
 * value is none. */
enum { VX_KEY_ROOM = 24 };
const char *vx_value_word(const vx_value *value, char room[VX_KEY_ROOM], size_t *length);

#endif
