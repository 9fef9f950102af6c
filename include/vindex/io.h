/* Embedding files and label files (libvindex-mir).
 *
 * An open file is read by row ranges, so that a file need not fit in memory. Numbers come out as
 * float32 whatever the file holds: f16, i8, u8, i16 and u16 exactly; i32, i64, f64 and text rounded
 * to the nearest float32, beyond its range to infinity. NaN and infinity pass through, the caller
 * decides. A file is mapped, not copied: it must not be shortened while it is open.
 *
 * Every function that answers VINDEX_ERR_FORMAT or VINDEX_ERR_DATA for a file names its path and
 * the place in vindex_last_error. */
#ifndef VINDEX_IO_H
#define VINDEX_IO_H

#include <vindex/status.h>
#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vindex_embeddings vindex_embeddings;

/* Whether the first line of a text table (.csv .tsv) names the columns. */
typedef enum vindex_header {
    VINDEX_HEADER_AUTO = 0, /* as the first line looks; each function says how it tells */
    VINDEX_HEADER_YES = 1,
    VINDEX_HEADER_NO = 2
} vindex_header;

typedef struct vindex_embeddings_options {
    size_t struct_size;       /* set by vindex_embeddings_options_init */
    const char *key;          /* the member of a container file; NULL: the only one */
    const char *id_column;    /* .csv, .tsv: the column of ids: its name or, if no column has that
                               name, its index from 0; NULL: none. Containers: the member or field
                               that has them; NULL: one with a name known for ids */
    const char *label_column; /* likewise for labels */
    vindex_header header;     /* .csv, .tsv */
} vindex_embeddings_options;

/* Sets the defaults: every field NULL or 0. Reentrant. */
VINDEX_API void vindex_embeddings_options_init_sized(vindex_embeddings_options *options,
                                                     size_t struct_size);
static inline void vindex_embeddings_options_init(vindex_embeddings_options *options) {
    vindex_embeddings_options_init_sized(options, sizeof *options);
}

/* What an embedding file is, read off its header. */
typedef struct vindex_embeddings_info {
    const char *format;       /* "npy", "fvecs", "csv", ...; owned by the library */
    vindex_dtype dtype;       /* of one number in the file; text counts as VINDEX_F64 */
    int64_t rows;             /* 0 or more */
    int64_t dim;              /* numbers per row, 1 to 2,147,483,647 */
    bool has_ids, has_labels; /* they are named: in columns, members beside the rows, paths */
    int64_t skipped; /* files of a folder that are hidden or not of an ending that is read */
} vindex_embeddings_info;

/* Opens an embedding file. The ending (in either case) names the format and the content must agree;
 * sizes are checked against the file's length before anything is allocated. options may be NULL.
 * *embeddings is the caller's, to be closed. Reentrant.
 *
 * - .npy: versions 1 to 3, C or Fortran order, either byte order; f2 f4 f8 i1 u1 i2 u2 i4 i8. Two
 *   dimensions are rows x numbers; one dimension is a single row of that many numbers.
 * - .fvecs .bvecs .ivecs: float32, uint8, int32. Each row begins with its dimension as int32, which
 *   must be the same in all rows (checked for each row when it is read).
 * - .fbin .u8bin .i8bin .ibin: uint32 rows, uint32 dimension, then the numbers.
 * - .csv .tsv: one row per line, cells in "quotes" (with "" for a quote) or bare, a byte order mark
 *   allowed, empty lines skipped. All columns but those of ids and labels must be numbers; this
 *   function counts the cells of every line, vindex_embeddings_read makes numbers of them. With
 *   VINDEX_HEADER_AUTO the first line is a header if a column was given by name, if a cell outside
 *   the columns of ids and labels is no number, or if the line is exactly 0,1,2,... (which is how
 *   tables are saved whose columns have no names).
 * - .h5 .hdf5: the data set at the path `key`, or without a key the only matrix or list of the
 *   file, else its only vector. f16 bf16 f32 f64 i8 u8 i16 u16 i32 i64 in either byte order; in
 *   one block (which is mapped) or in chunks, with deflate and every filter HDF5 has a plugin for.
 *   One dimension is a row, two are rows x numbers, three are recordings x segments x numbers. A
 *   group is gathered: its members (those of a deepdish list, i0, i1, ..., in that order; others
 *   by the bytes of their names, which become ids) are one recording each, of one or more rows.
 *   Ids and labels: a text or integer data set of a known name (see vindex_labels_read) beside the
 *   rows with one entry for each row or recording, or an attribute of the rows, of their group or
 *   of the file. Links into other files are refused. libhdf5 is called under one lock of the
 *   process, which an application that calls it itself on other threads does not know of: it needs
 *   a libhdf5 built thread-safe. Reading .h5 trusts libhdf5 with the file's structure: vindex
 * checks first what it can (links, filters, sizes) and follows texts of any length itself, but
 * damage in headers and trees is libhdf5's to see.
 * - A folder: all .npy .npz .pt .pth .h5 .hdf5 .safetensors in it and below, ordered by the bytes
 *   of their paths, make one matrix of one dtype and dimension; a file is a recording of one or
 *   more rows. Ids are the paths from the folder on, without ending. Files
 *   <utt>-<U+2581>start-<seconds> are chunks of one recording <utt>, in the order of time. Links
 *   are followed. Labels are those inside the files, where each has one. `key` and columns go to
 *   the files.
 * - .pt .pth (what torch.save writes, from torch 0.4 on, as zip files or not), .npz (stored or
 *   deflated), .safetensors, .json and .jsonl (a value per line) are containers: trees of
 *   dictionaries, lists and arrays. Nothing in them is ever run: a pickle may name tensors, NumPy's
 *   arrays and plain values, anything else is refused by its name. Arrays are mapped where they
 * lie; what is deflated is inflated into memory, and text parsed (NumPy's arrays are text in a
 * pickle of protocol 2), when the file is opened.
 *
 * Several rows of one recording, its segments, are consecutive rows with the same id; where nothing
 * names the recordings that is their number, from 0.
 *
 * In a container rows are a matrix; an array of three dimensions or a list of matrices (recordings
 * of several segments: consecutive rows, the id of the recording repeated, which is its index from
 * 0 where nothing names it); a list of vectors; a dictionary from ids to vectors of floating
 * numbers; or, where there is nothing else, one vector. key says which: names joined by points
 * ("model.lin1.weight"; names may have points themselves), in lists a place from 0, in lists of
 * records the name of a field. Without a key there must be one only, else VINDEX_ERR_ARGUMENT names
 * those there are. Ids and labels come from members beside the rows: those that id_column and
 * label_column name, by the same rules, or else those with a name that vindex_labels_read knows;
 * there must be one for each row or for each recording, else VINDEX_ERR_DATA (members that were
 * not named are left out instead if a key was given).
 *
 * Limits: 64 levels of nesting, 8 dimensions; 512 MiB for what a container holds beside arrays that
 * lie in it; members that inflate more than a hundredfold are refused from 256 MiB on.
 *
 * VINDEX_ERR_NOT_FOUND: no such file, column or key. VINDEX_ERR_UNSUPPORTED: an ending, a type of
 * number or something in a container that is not read. VINDEX_ERR_FORMAT, VINDEX_ERR_CORRUPT: the
 * content is not what the ending says, or damaged. */
VINDEX_API vindex_status vindex_embeddings_open(const char *path,
                                                const vindex_embeddings_options *options,
                                                vindex_embeddings **embeddings);

/* What a member of a container can be read as. */
typedef enum vindex_member_use {
    VINDEX_MEMBER_OTHER = 0,      /* neither */
    VINDEX_MEMBER_EMBEDDINGS = 1, /* rows of numbers: a key of vindex_embeddings_open */
    VINDEX_MEMBER_LABELS = 2      /* words or whole numbers: a key of vindex_labels_read */
} vindex_member_use;

typedef struct vindex_member {
    const char *key;  /* what to give as key; "" for a file's only member if it has no name */
    const char *kind; /* in words, with the shape: "tensor (300, 4, 256)", "list of 300 words" */
    vindex_member_use use;
    vindex_dtype dtype; /* of embeddings: of one number */
    int64_t rows, dim;  /* of embeddings, as vindex_embeddings_open gives them; labels have rows */
} vindex_member;

typedef struct vindex_members {
    int64_t count;
    vindex_member *items;
    char **text; /* the block that holds the strings of the items */
} vindex_members;

/* Lists what a file that vindex_embeddings_open knows holds, in the file's order; a format that is
 * no container has one member. *members is filled for vindex_members_free, and left alone by a
 * failure. Fails as vindex_embeddings_open does, though never for want of a key. Reentrant. */
VINDEX_API vindex_status vindex_embeddings_members(const char *path, vindex_members *members);

/* Frees what vindex_embeddings_members filled and zeroes it; NULL is fine. Exclusive. */
VINDEX_API void vindex_members_free(vindex_members *members);

/* Closes a file; NULL is fine. Exclusive. */
VINDEX_API void vindex_embeddings_close(vindex_embeddings *embeddings);

/* Fills *info; its format string lives as long as the library. Shared-read. */
VINDEX_API void vindex_embeddings_describe(const vindex_embeddings *embeddings,
                                           vindex_embeddings_info *info);

/* Reads rows first ... first+count-1 into vectors (count x dim); vectors may be NULL when count is
 * 0. VINDEX_ERR_ARGUMENT: rows the file does not have. VINDEX_ERR_FORMAT: a row of another
 * dimension, or a cell that is no number. Shared-read: several threads may read the same open file.
 */
VINDEX_API vindex_status vindex_embeddings_read(const vindex_embeddings *embeddings, int64_t first,
                                                int64_t count, float *vectors);

/* The id or label of a row; NULL where the file has none or no such row. Owned by the open file.
 * Shared-read. */
VINDEX_API const char *vindex_embeddings_id(const vindex_embeddings *embeddings, int64_t row);
VINDEX_API const char *vindex_embeddings_label(const vindex_embeddings *embeddings, int64_t row);

/* The dtype to create a file of that name with, for data of dtype `wanted`: wanted itself where the
 * format can hold it, else the format's own (.fvecs: VINDEX_F32, .bvecs: VINDEX_U8, ...).
 * VINDEX_ERR_UNSUPPORTED: an ending that is not written. Reentrant. */
VINDEX_API vindex_status vindex_embeddings_dtype(const char *path, vindex_dtype wanted,
                                                 vindex_dtype *dtype);

/* A file of rows being written. The name appears only when it is complete. */
typedef struct vindex_embeddings_writer vindex_embeddings_writer;

/* Starts a file of rows x dim numbers of that dtype; the ending names the format, and a dtype it
 * cannot hold is refused. *writer is the caller's, to be finished or aborted. Reentrant.
 *
 * - .npy: version 1, C order; every dtype but VINDEX_BF16.
 * - .fvecs .fbin: VINDEX_F32; .bvecs .u8bin: VINDEX_U8; .ivecs .ibin: VINDEX_I32; .i8bin:
 * VINDEX_I8. .fvecs .bvecs .ivecs cannot hold 0 rows: nothing would say the dimension.
 * - .csv .tsv: every dtype; a header x0,x1,... and the values as the dtype holds them, with as many
 *   digits as bring back the same float32. */
VINDEX_API vindex_status vindex_embeddings_create(const char *path, int64_t rows, int64_t dim,
                                                  vindex_dtype dtype,
                                                  vindex_embeddings_writer **writer);

/* Appends count rows (count x dim). VINDEX_F16 and VINDEX_BF16 round to the nearest, ties to even.
 * A value the dtype cannot hold is VINDEX_ERR_DATA: for integers one that is not whole or out of
 * range, for f16 and bf16 a finite one that would become infinite. More rows than announced are
 * VINDEX_ERR_STATE. After a failure nothing more can be appended and the file never appears.
 * Exclusive. */
VINDEX_API vindex_status vindex_embeddings_append(vindex_embeddings_writer *writer,
                                                  const float *vectors, int64_t count);

/* Completes the file on disk and frees the writer, whatever the answer. Fewer rows than announced
 * or an append that failed are VINDEX_ERR_STATE and leave no file (an older file of that name stays
 * as it was). Exclusive. */
VINDEX_API vindex_status vindex_embeddings_finish(vindex_embeddings_writer *writer);

/* Gives up: leaves no file and frees the writer; NULL is fine. Exclusive. */
VINDEX_API void vindex_embeddings_abort(vindex_embeddings_writer *writer);

/* Which clique (work, class) each row belongs to. Names and ids are UTF-8 as the file has them. */
typedef struct vindex_labels {
    int64_t count;    /* rows */
    int32_t *cliques; /* count numbers 0 ... clique_count-1, in order of first appearance */
    int64_t clique_count;
    char **names; /* clique_count names; one block with their text */
    char **ids;   /* count recording ids, likewise, or NULL where the file has none */
} vindex_labels;

typedef struct vindex_labels_options {
    size_t struct_size;       /* set by vindex_labels_options_init */
    const char *label_column; /* name or 0-based index; NULL: as vindex_labels_read finds it */
    const char *id_column;    /* likewise */
    vindex_header header;     /* .csv, .tsv */
    const char *key;          /* containers: the member to read; NULL: the only one */
} vindex_labels_options;

/* Sets the defaults: every field NULL or 0. Reentrant. */
VINDEX_API void vindex_labels_options_init_sized(vindex_labels_options *options,
                                                 size_t struct_size);
static inline void vindex_labels_options_init(vindex_labels_options *options) {
    vindex_labels_options_init_sized(options, sizeof *options);
}

/* Reads labels. *labels is filled for vindex_labels_free, and left alone by a failure. options may
 * be NULL. Reentrant.
 *
 * A .csv or .tsv is a table, its cells as in vindex_embeddings_open. The label column is the first
 * of clique, clique_id, work_id, work, label, labels, class, song_id that the header has; the id
 * column the first of track_id, track, id, recording_id, performance_id, utt, path, file, filename,
 * ids, anchor_id, or else a first column without a name; no id column is fine. With
 * VINDEX_HEADER_AUTO there is a header, except in a table of one column, when none is given, that
 * does not begin with a name of a label column: that is one label per line.
 *
 * A .txt, .lst or .labels, or a path without an ending, is one label per line, taken whole; columns
 * cannot be given. Empty lines may end it.
 *
 * A container (.json .jsonl .pt .pth .npz .safetensors; see vindex_embeddings_open) holds labels as
 * a list of words or whole numbers, one per row; as lists of labels and of ids side by side, under
 * names as above or those that are given, or as fields of a list of records; or as a dictionary
 * {label: {id: {...}}}, {label: [id, ...]}, {label: [{"id": id, ...}, ...]}, {id: label} or
 * {id: {"label": label, ...}}. key says which of several members it is.
 *
 * Of a .h5 or .hdf5 the labels are the data set of texts or whole numbers at `key` or label_column
 * (or the attributes i0, i1, ... of a group, as deepdish has lists of texts); without either, the
 * first beside the others of the known names above; ids likewise, where their number is the same.
 *
 * Of a folder the labels are the names of the folders that its files lie in, one per recording,
 * with the ids vindex_embeddings_open gives them. Two folders of one name are refused.
 *
 * VINDEX_ERR_NOT_FOUND: no such file or column. VINDEX_ERR_UNSUPPORTED: another ending.
 * VINDEX_ERR_FORMAT: not text, or lines that do not have the same number of cells.
 * VINDEX_ERR_DATA: an empty label. */
VINDEX_API vindex_status vindex_labels_read(const char *path, const vindex_labels_options *options,
                                            vindex_labels *labels);

/* The labels of an open embedding file that has a label column, with its ids if it has them;
 * VINDEX_ERR_NOT_FOUND where there is no such column. *labels as in vindex_labels_read.
 * Shared-read. */
VINDEX_API vindex_status vindex_embeddings_labels(const vindex_embeddings *embeddings,
                                                  vindex_labels *labels);

/* Builds labels from n names, copied; ids (n, or NULL) likewise. An empty name is VINDEX_ERR_DATA.
 * *labels as in vindex_labels_read. Reentrant. */
VINDEX_API vindex_status vindex_labels_from_names(const char *const *names, const char *const *ids,
                                                  int64_t n, vindex_labels *labels);

/* Frees what a labels function filled and zeroes it; NULL is fine. Exclusive. */
VINDEX_API void vindex_labels_free(vindex_labels *labels);

/* Writes a table of work_id and track_id (ids or, where there are none, row numbers from 0) as .csv
 * or .tsv, atomically. VINDEX_ERR_UNSUPPORTED: another ending. Shared-read of *labels. */
VINDEX_API vindex_status vindex_labels_write(const char *path, const vindex_labels *labels);

/* Any other file of results, bytes as the caller writes them: like the writers above it has no name
 * until it is complete, so that neither a failure nor an interrupt leaves part of one. */
typedef struct vindex_output vindex_output;

/* Starts a file; what is not a regular file (a device, a pipe) is refused. *output is the caller's,
 * to be finished or aborted. Reentrant. */
VINDEX_API vindex_status vindex_output_create(const char *path, vindex_output **output);

/* Appends bytes. After a failure every later call answers the same failure. Exclusive. */
VINDEX_API vindex_status vindex_output_write(vindex_output *output, const void *data, size_t bytes);

/* Completes the file on disk and frees output, whatever the answer. Exclusive. */
VINDEX_API vindex_status vindex_output_finish(vindex_output *output);

/* Gives up: leaves no file and frees output; NULL is fine. Exclusive. */
VINDEX_API void vindex_output_abort(vindex_output *output);

#ifdef __cplusplus
}
#endif
#endif
