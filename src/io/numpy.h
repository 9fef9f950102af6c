/* NumPy's arrays as values: as the header of a .npy file describes them, and as pickles do. */
#ifndef VX_IO_NUMPY_H
#define VX_IO_NUMPY_H

#include "npy.h"
#include "value.h"

/* What a header says, as an array: type, numbers or words, shape and strides. Records, objects and
 * the like have a type alone. */
vindex_status vx_numpy_describe(vx_tree *tree, const vx_npy *found, vx_array *array);

/* A whole number of an array, at any alignment and in either order. */
int64_t vx_numpy_whole(const vx_array *array, const unsigned char *bytes);

/* A word of fixed width as NumPy pads it with zeros, bytes or code points of four bytes, as UTF-8:
 * at most array->size bytes. */
vindex_status vx_numpy_word(const vx_tree *tree, const vx_array *array, const unsigned char *bytes,
                            char *room, size_t *length);

/* ---- in pickles, where an array is made by calls and then given its state ---- */

typedef enum vx_numpy_call {
    VX_NUMPY_DTYPE,       /* dtype(name, ...) */
    VX_NUMPY_RECONSTRUCT, /* _reconstruct(ndarray, ...): an array without anything yet */
    VX_NUMPY_BUFFER,      /* _frombuffer(bytes, dtype, shape, order) */
    VX_NUMPY_SCALAR,      /* scalar(dtype, bytes) */
    VX_NUMPY_ENCODE,      /* _codecs.encode(text, 'latin1'), bytes in pickles of protocol 2 */
    VX_NUMPY_BYTES        /* bytes(), the same for none */
} vx_numpy_call;

/* The value that a call would give; nothing is called. */
vindex_status vx_numpy_make(vx_tree *tree, vx_numpy_call call, const vx_value *arguments,
                            vx_value **result);

/* Gives a VX_DTYPE or VX_NDARRAY its state. */
vindex_status vx_numpy_complete(vx_tree *tree, vx_value *object, const vx_value *state);

#endif
