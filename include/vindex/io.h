/* Embedding files and label files (libvindex-mir).
 *
 * An open file is read by row ranges, so that a file need not fit in memory. Numbers come out as
 * float32 whatever the file holds; NaN and infinity pass through, the caller decides. */
#ifndef VINDEX_IO_H
#define VINDEX_IO_H

#include <vindex/status.h>
#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vindex_embeddings vindex_embeddings;

typedef struct vindex_embeddings_options {
    size_t struct_size;    /* set by vindex_embeddings_options_init */
    const char *key;       /* the member of a container file; NULL: the only one */
    const char *id_column; /* .csv, .tsv: name or 0-based index of the column of ids; NULL: none */
    const char *label_column; /* .csv, .tsv: likewise for labels */
} vindex_embeddings_options;

VINDEX_API void vindex_embeddings_options_init(vindex_embeddings_options *options);

/* What an embedding file is, read off its header. */
typedef struct vindex_embeddings_info {
    const char *format; /* "npy", "fvecs", "csv", ...; owned by the library */
    vindex_dtype dtype; /* of one number in the file; text counts as VINDEX_F64 */
    int64_t rows, dim;
    bool has_ids, has_labels; /* a text file with such columns */
} vindex_embeddings_info;

/* Opens an embedding file: .npy (C or Fortran order), .fvecs .bvecs .ivecs, .fbin .u8bin .i8bin
 * .ibin, .csv .tsv. The ending names the format and the content must agree. The header is checked
 * against the file's length before anything is allocated. options may be NULL. *embeddings is the
 * caller's, to be closed. Reentrant. */
VINDEX_API vindex_status vindex_embeddings_open(const char *path,
                                                const vindex_embeddings_options *options,
                                                vindex_embeddings **embeddings);

/* Closes a file; NULL is fine. Exclusive. */
VINDEX_API void vindex_embeddings_close(vindex_embeddings *embeddings);

/* Fills *info; its format string lives as long as the library. Shared-read. */
VINDEX_API void vindex_embeddings_describe(const vindex_embeddings *embeddings,
                                           vindex_embeddings_info *info);

/* Reads rows first ... first+count-1 into vectors (count x dim). Shared-read: several threads may
 * read the same open file. */
VINDEX_API vindex_status vindex_embeddings_read(const vindex_embeddings *embeddings, int64_t first,
                                                int64_t count, float *vectors);

/* The id or label of a row; NULL where the file has none. Owned by the open file. Shared-read. */
VINDEX_API const char *vindex_embeddings_id(const vindex_embeddings *embeddings, int64_t row);
VINDEX_API const char *vindex_embeddings_label(const vindex_embeddings *embeddings, int64_t row);

/* A file of rows being written. The name appears only when it is complete. */
typedef struct vindex_embeddings_writer vindex_embeddings_writer;

/* Starts a file of rows x dim numbers of that dtype; the ending (.npy .fvecs .bvecs .ivecs .fbin
 * .u8bin .i8bin .ibin .csv .tsv) names the format, and a dtype it cannot hold is refused. *writer
 * is the caller's, to be finished or aborted. Reentrant. */
VINDEX_API vindex_status vindex_embeddings_create(const char *path, int64_t rows, int64_t dim,
                                                  vindex_dtype dtype,
                                                  vindex_embeddings_writer **writer);

/* Appends count rows (count x dim). A value the dtype cannot hold is VINDEX_ERR_DATA. Exclusive. */
VINDEX_API vindex_status vindex_embeddings_append(vindex_embeddings_writer *writer,
                                                  const float *vectors, int64_t count);

/* Completes the file on disk and frees the writer, whatever the answer. Fewer rows than announced
 * are VINDEX_ERR_STATE and leave no file. Exclusive. */
VINDEX_API vindex_status vindex_embeddings_finish(vindex_embeddings_writer *writer);

/* Gives up: leaves no file and frees the writer; NULL is fine. Exclusive. */
VINDEX_API void vindex_embeddings_abort(vindex_embeddings_writer *writer);

/* Which clique (work, class) each row belongs to. */
typedef struct vindex_labels {
    int64_t count;    /* rows */
    int32_t *cliques; /* count numbers 0 ... clique_count-1, in order of first appearance */
    int64_t clique_count;
    char **names; /* clique_count names */
    char **ids;   /* count recording ids, or NULL where the file has none */
} vindex_labels;

typedef struct vindex_labels_options {
    size_t struct_size; /* set by vindex_labels_options_init */
    const char
        *label_column;     /* name or 0-based index; NULL: clique, work_id, label, ... as found */
    const char *id_column; /* likewise; NULL: track_id, id, ... as found */
} vindex_labels_options;

VINDEX_API void vindex_labels_options_init(vindex_labels_options *options);

/* Reads labels from a CSV or TSV with a header (such as work_id,track_id) or from a text file with
 * one label per line. *labels is filled for vindex_labels_free. Reentrant. */
VINDEX_API vindex_status vindex_labels_read(const char *path, const vindex_labels_options *options,
                                            vindex_labels *labels);

/* The labels of an open embedding file that has a label column. Shared-read. */
VINDEX_API vindex_status vindex_embeddings_labels(const vindex_embeddings *embeddings,
                                                  vindex_labels *labels);

/* Builds labels from n names, copied; ids (n, or NULL) likewise. Reentrant. */
VINDEX_API vindex_status vindex_labels_from_names(const char *const *names, const char *const *ids,
                                                  int64_t n, vindex_labels *labels);

/* Frees what a labels function filled and zeroes it. */
VINDEX_API void vindex_labels_free(vindex_labels *labels);

/* Writes work_id,track_id (ids or, where there are none, row numbers), atomically. Reentrant. */
VINDEX_API vindex_status vindex_labels_write(const char *path, const vindex_labels *labels);

#ifdef __cplusplus
}
#endif
#endif
