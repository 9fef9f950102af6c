/* What a container holds, being listed. */
#ifndef VX_IO_MEMBERS_H
#define VX_IO_MEMBERS_H

#include "pool.h"

#include <vindex/io.h>

/* Zeroed is empty. */
typedef struct vx_members {
    vx_pool text; /* key and kind of each item */
    vindex_member *items;
    size_t count, capacity;
} vx_members;

/* Appends a member; its strings are copied. path is for errors. */
vindex_status vx_members_add(vx_members *members, const char *path, const vindex_member *member);

/* Hands what was added to *result, if `status` is still good, and frees the rest. */
vindex_status vx_members_end(vx_members *members, const char *path, vindex_status status,
                             vindex_members *result);

#endif
