/* Which files of a folder hold embeddings. */
#ifndef VX_IO_FOLDER_H
#define VX_IO_FOLDER_H

#include "format.h"

#include <sys/types.h>

/* A file, by its path from the folder on. A recording may be cut into chunks, each a file:
 * CoverHunter calls them <utt>-<U+2581>start-<seconds>. */
typedef struct vx_folder_file {
    const char *path;
    size_t id_length;  /* the path up to the ending, or up to what tells the chunk */
    size_t key_length; /* what files are ordered by: the whole path, of a chunk all but seconds */
    double start;      /* of a chunk, in seconds */
    ino_t inode;
    const vx_format *format;
} vx_folder_file;

typedef struct vx_folder_list {
    vx_pool paths;
    vx_folder_file *files; /* in order */
    size_t count, capacity;
    size_t skipped; /* hidden files and those of other endings */
} vx_folder_list;

/* Lists a folder and all below it; vx_folder_list_free is due in any case. */
vindex_status vx_folder_walk(const char *path, vx_folder_list *list);
void vx_folder_list_free(vx_folder_list *list);

/* Whether two files are of one recording. */
bool vx_folder_same_id(const vx_folder_file *a, const vx_folder_file *b);

#endif
