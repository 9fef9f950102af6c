/* The header of a .npy file, which members of .npz files are too. */
#ifndef VX_IO_NPY_H
#define VX_IO_NPY_H

#include "core/file.h"

enum { VX_NPY_DESCR = 24, VX_NPY_DIMENSIONS = 8 };

/* What the dictionary says. */
typedef struct vx_npy {
    char descr[VX_NPY_DESCR]; /* "<f4"; longer ones are cut, none of them is read */
    bool structured;
    bool has_descr, has_order, has_shape;
    bool fortran;
    uint64_t shape[VX_NPY_DIMENSIONS]; /* the first of them */
    size_t dimensions;
    uint64_t data; /* where the numbers begin */
} vx_npy;

/* Reads the header at the front of what is mapped. path is for errors. */
vindex_status vx_npy_header(const char *path, const vx_map *map, vx_npy *found);

/* The dtype of its numbers; fails by name where they are none that is read. */
vindex_status vx_npy_dtype(const char *path, const vx_npy *found, vindex_dtype *dtype);

#endif
