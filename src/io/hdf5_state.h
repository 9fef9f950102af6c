/* What an open .h5 file is inside: shared by reading its rows and reading what they are called. */
#ifndef VX_IO_HDF5_STATE_H
#define VX_IO_HDF5_STATE_H

#include "h5.h"

/* A data set, as rows. */
typedef struct vx_hdf5_part {
    size_t first, rows;         /* the first of the file's rows that is its own */
    const unsigned char *bytes; /* its numbers in the map; NULL: in chunks */
    bool big_endian;
    size_t name; /* in vx_hdf5.names */
} vx_hdf5_part;

typedef struct vx_hdf5 {
    vx_h5 h5;
    vx_pool names;
    vx_hdf5_part *parts;
    size_t count, capacity;
    size_t recordings; /* entries of the first dimension, or members of a group */
    bool gathered;     /* parts are recordings */
    bool chunked;      /* some part is */
    hid_t set;         /* of the part read last */
    size_t set_part;
    vx_h5_array array; /* of that set */
} vx_hdf5;

/* Gives the rows at that key their ids and labels, if the file has any. */
vindex_status vx_hdf5_attach(vindex_embeddings *file, const char *key,
                             const vindex_embeddings_options *options);

/* Fills labels, and ids if there are any, of a file without rows. */
vindex_status vx_hdf5_read_labels(vindex_embeddings *file, const vindex_labels_options *options);

#endif
