/* Files: written so that they appear complete or not at all, read as a map. */
#ifndef VX_CORE_FILE_H
#define VX_CORE_FILE_H

#include "base.h"

/* A file being written. It has no name until vx_writer_commit, so that a crash or an interrupt
 * leaves nothing behind (on file systems without O_TMPFILE, a hidden file beside the target). A
 * symbolic link is replaced, not followed; a folder, a device or a pipe is refused. A file that is
 * replaced leaves its permissions to the new one. */
typedef struct vx_writer vx_writer;

VX_SHARED vindex_status vx_writer_open(const char *path, vx_writer **writer);

/* Appends bytes. After a failure every later call answers the same failure. */
VX_SHARED vindex_status vx_writer_write(vx_writer *writer, const void *data, size_t bytes);

/* Overwrites bytes already written, for a header known only at the end. */
VX_SHARED vindex_status vx_writer_patch(vx_writer *writer, uint64_t offset, const void *data,
                                        size_t bytes);

/* Bytes appended so far. */
VX_SHARED uint64_t vx_writer_length(const vx_writer *writer);

/* Flushes to disk, gives the file its name, flushes the folder; frees the writer whatever happens.
 */
VX_SHARED vindex_status vx_writer_commit(vx_writer *writer);

/* Drops the file; NULL is fine. */
VX_SHARED void vx_writer_abort(vx_writer *writer);

/* For tests: lets that many more bytes be written, then reports a full disk; -1 ends it. */
VX_SHARED void vx_write_fail_after(int64_t bytes);

/* A file's bytes, mapped read-only. */
typedef struct vx_map {
    const unsigned char *bytes; /* never NULL after vx_map_open */
    size_t length;
} vx_map;

/* Maps a whole regular file; an empty one has length 0. */
VX_SHARED vindex_status vx_map_open(const char *path, vx_map *map);
VX_SHARED void vx_map_close(vx_map *map);

/* Lets go of the memory that looking at the map has filled; the next look fills it again, as a rule
 * from the system's cache. Safe while others read. */
VX_SHARED void vx_map_release(const vx_map *map);

#endif
