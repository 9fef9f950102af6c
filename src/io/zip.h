/* Zip files as containers of arrays: libzip reads and inflates them; members that are stored as
 * they are, which is what torch.save and numpy.savez write, are found in the map and not copied. */
#ifndef VX_IO_ZIP_H
#define VX_IO_ZIP_H

#include "value.h"

typedef struct vx_zip_entry {
    const char *name;
    size_t size;                /* inflated, as declared */
    const unsigned char *bytes; /* in the map; NULL: to be inflated */
} vx_zip_entry;

typedef struct vx_zip vx_zip;

/* Opens a mapped zip file. The entries are checked: sizes that cannot be, encryption, names that
 * come twice and bombs are refused. The map must outlive it. */
vindex_status vx_zip_open(const char *path, const vx_map *map, vx_zip **zip);
void vx_zip_close(vx_zip *zip);

size_t vx_zip_count(const vx_zip *zip);
const vx_zip_entry *vx_zip_get(const vx_zip *zip, size_t entry);

/* The entry of that name; false if there is none. */
bool vx_zip_find(const vx_zip *zip, const char *name, size_t *entry);

/* Reads the first `bytes` bytes of an entry into room. When that is all of it, it must end there
 * and match its checksum. */
vindex_status vx_zip_read(vx_zip *zip, size_t entry, size_t bytes, unsigned char *room);

/* Makes the zip file the source of the tree's blobs: those not in the map are inflated when they
 * are needed. The tree closes it. */
void vx_zip_feed(vx_zip *zip, vx_tree *tree);

/* A blob of the tree for an entry. */
vindex_status vx_zip_blob(const vx_zip *zip, size_t entry, vx_tree *tree, vx_blob **blob);

#endif
