/* .npz, what numpy.savez and savez_compressed write: a zip file with a .npy file for each array. */
#include "numpy.h"
#include "text.h"
#include "tree.h"
#include "zip.h"

#include <stdio.h>

/* The front of a member, as a map: where it lies, or inflated into room. */
static vindex_status open_front(vx_zip *zip, size_t entry, unsigned char **room, vx_map *front) {
    enum { FRONT = 1 << 17 }; /* headers of version 1 end before 2^16 */
    const vx_zip_entry *found = vx_zip_get(zip, entry);
    *front = (vx_map){found->bytes, found->size};
    if (found->bytes) return VINDEX_OK;
    front->length = VX_MIN(found->size, (size_t)FRONT);
    *room = vx_alloc(front->length, 1);
    if (!*room) return vx_fail_memory(front->length, 1, found->name);
    front->bytes = *room;
    return vx_zip_read(zip, entry, front->length, *room);
}

static vindex_status add_array(vx_tree *tree, vx_zip *zip, size_t entry) {
    const vx_zip_entry *found = vx_zip_get(zip, entry);
    unsigned char *room = NULL;
    vx_map front;
    vx_npy header;
    vx_array array = {0};
    vx_value *value;
    vindex_status status = open_front(zip, entry, &room, &front);
    if (status == VINDEX_OK) status = vx_npy_header(tree->path, &front, &header);
    vx_free(room);
    VX_TRY(status);
    VX_TRY(vx_zip_blob(zip, entry, tree, &array.blob));
    array.offset = header.data;
    VX_TRY(vx_numpy_describe(tree, &header, &array));
    VX_TRY(vx_tree_array(tree, &array, &value));
    size_t length = strlen(found->name);
    vx_value *key = vx_value_text(tree, found->name, length - strlen(".npy"));
    if (!key || !vx_value_append(tree, tree->root, key) ||
        !vx_value_append(tree, tree->root, value))
        return vx_tree_fail(tree);
    return VINDEX_OK;
}

static vindex_status npz_tree(const vindex_embeddings *file, vx_tree *tree) {
    vx_zip *zip;
    VX_TRY(vx_zip_open(file->path, &file->map, &zip));
    vx_zip_feed(zip, tree);
    tree->root = vx_value_new(tree, VX_DICT);
    if (!tree->root) return vx_tree_fail(tree);
    for (size_t i = 0; i < vx_zip_count(zip); i++) {
        const char *name = vx_zip_get(zip, i)->name;
        size_t length = strlen(name);
        if (length < 4 || strcmp(name + length - 4, ".npy") != 0) continue;
        vindex_status status = add_array(tree, zip, i);
        if (status != VINDEX_OK) {
            char prefix[2 * VX_EXCERPT], shown[VX_EXCERPT];
            snprintf(prefix, sizeof prefix, "member '%s'", vx_excerpt(name, length, shown));
            return vx_fail_in(status, prefix);
        }
    }
    return vx_tree_seal(tree);
}

const vx_reader_verbs vx_npz_reader = {
    .open = vx_tree_open,
    .read = vx_tree_read,
    .close = vx_tree_close,
    .members = vx_tree_members,
    .labels = vx_tree_labels,
    .tree = npz_tree,
};
