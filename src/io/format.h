/* The seam between embedding files and the formats that hold them: a new format is one file with
 * its verbs and one line in the table of format.c. */
#ifndef VX_IO_FORMAT_H
#define VX_IO_FORMAT_H

#include "core/file.h"
#include "members.h"
#include "pool.h"

#include <vindex/io.h>

struct vx_tree; /* value.h */

/* Numbers in a mapped file, evenly spaced. */
typedef struct vx_matrix {
    const unsigned char *bytes; /* of row 0, number 0 */
    size_t rows, dim;
    size_t row_stride, column_stride; /* in bytes */
    vindex_dtype dtype;
    bool big_endian;
} vx_matrix;

/* Reads count rows from first on. */
void vx_matrix_read(const vx_matrix *matrix, size_t first, size_t count, float *vectors);

/* Whether rows x dim numbers fill exactly `available` bytes; *dim* also within what is read. name
 * is what the file calls the dtype. */
vindex_status vx_matrix_check(const char *path, uint64_t rows, uint64_t dim, vindex_dtype dtype,
                              size_t available);

/* How a format is read. A format with `members` is a container: it takes a key, and id_column and
 * label_column name what is inside. */
typedef struct vx_reader_verbs {
    bool by_path; /* map is left alone: open goes to the path itself */
    /* Fills matrix or state, info.rows, info.dim, info.dtype, and ids and labels if it has them.
     * file is zeroed but for path, format and map; what is there on failure is freed by the
     * caller, through close. */
    vindex_status (*open)(vindex_embeddings *file, const vindex_embeddings_options *options);
    vindex_status (*read)(const vindex_embeddings *file, size_t first, size_t count,
                          float *vectors);
    void (*close)(vindex_embeddings *file); /* NULL: nothing to free beside the common fields */
    /* Instead of open: says what the file holds, by vx_members_add. */
    vindex_status (*members)(vindex_embeddings *file, vx_members *members);
    /* Instead of open: fills labels, ids if there are any, info.has_ids and info.rows. NULL: files
     * of this format are not read as labels. */
    vindex_status (*labels)(vindex_embeddings *file, const vindex_labels_options *options);
    /* Formats that are trees of values, whose other verbs are those of tree.h: builds and seals it
     * in a tree just begun, which the caller frees. */
    vindex_status (*tree)(const vindex_embeddings *file, struct vx_tree *tree);
} vx_reader_verbs;

/* How a format is written. */
typedef struct vx_writer_verbs {
    vindex_status (*begin)(vindex_embeddings_writer *writer);
    vindex_status (*row)(vindex_embeddings_writer *writer, const float *row);
} vx_writer_verbs;

typedef struct vx_format {
    const char *name;       /* also the ending */
    vindex_dtype own_dtype; /* what it holds if it holds one thing, else what to write by default */
    uint32_t dtypes;        /* that it can be written with: bits 1 << dtype */
    char separator;         /* of a text table; 0 elsewhere */
    const vx_reader_verbs *reader;
    const vx_writer_verbs *writer; /* NULL: read only */
} vx_format;

/* The format of a folder, or that the ending of a path names. */
vindex_status vx_format_find(const char *path, const vx_format **format);

/* The format that reads a folder of files; NULL where that path is none. */
const vx_format *vx_folder_format(const char *path);

/* The format of that name; NULL if there is none. */
const vx_format *vx_format_named(const char *name);

/* What follows the last point of the last part of a path; empty if there is none. */
const char *vx_ending(const char *path);

/* Whether two endings are the same, in either case. */
bool vx_same_ending(const char *a, const char *b);

struct vindex_embeddings {
    char *path;
    const vx_format *format;
    vx_map map;
    vindex_embeddings_info info;
    vx_matrix matrix;    /* formats that lie evenly in the file */
    vx_pool ids, labels; /* one per row, or empty */
    void *state;         /* what else the format keeps */
    _Atomic size_t read; /* bytes of rows since the map was let go */
};

struct vindex_embeddings_writer {
    char *path;
    const vx_format *format;
    vx_writer *file;
    vindex_dtype dtype;
    size_t rows, dim, written;
    bool failed;
    unsigned char *bytes; /* room for one row as the file holds it */
};

/* A file of that format that has not been looked at: zeroed but for path, format and map. */
vindex_status vx_embeddings_begin(const char *path, const vx_format *format,
                                  vindex_embeddings **embeddings);

/* Opens a path as that format whatever its ending. */
vindex_status vx_embeddings_open_as(const char *path, const vx_format *format,
                                    const vindex_embeddings_options *options,
                                    vindex_embeddings **embeddings);

/* The same for vindex_embeddings_members and, as far as the format has labels, vindex_labels_read.
 */
vindex_status vx_members_as(const char *path, const vx_format *format, vindex_members *members);
vindex_status vx_labels_as(const char *path, const vx_format *format,
                           const vindex_labels_options *options, vindex_labels *labels);

/* The row as writer->dtype holds it into writer->bytes. */
vindex_status vx_writer_encode(vindex_embeddings_writer *writer, const float *row);

/* The verb of formats that keep rows as plain numbers one behind the other. */
vindex_status vx_write_plain_row(vindex_embeddings_writer *writer, const float *row);

extern const vx_reader_verbs vx_npy_reader, vx_vecs_reader, vx_bin_reader, vx_csv_reader;
extern const vx_reader_verbs vx_hdf5_reader;
extern const vx_reader_verbs vx_torch_reader, vx_npz_reader, vx_safetensors_reader;
extern const vx_reader_verbs vx_json_reader, vx_json_lines_reader;
extern const vx_writer_verbs vx_npy_writer, vx_vecs_writer, vx_bin_writer, vx_csv_writer;

#endif
