/* HDF5 as the readers see it. What the library calls hid_t is kept in here and in the two files
 * that include this; every function wants vx_h5_enter before it.
 *
 * libhdf5 keeps global state and may be built without locks of its own, so everything that calls it
 * runs under one mutex of the process. Its habit of printing errors is off inside. */
#ifndef VX_IO_H5_H
#define VX_IO_H5_H

/* The names as of 1.10 in later versions too. */
#define H5_USE_110_API
#include <hdf5.h>

#include "format.h"

/* An open file. */
typedef struct vx_h5 {
    const char *path;
    const unsigned char *bytes; /* of the file */
    size_t length;
    hid_t file;
    hid_t access;       /* how links are followed: never out of the file */
    bool external_link; /* one was met, and refused */
    H5E_auto2_t print;  /* how the thread printed errors before vx_h5_enter */
    void *print_context;
} vx_h5;

void vx_h5_enter(vx_h5 *h5);
void vx_h5_leave(vx_h5 *h5);

/* Opens the file at h5->path; vx_h5_close is due in any case. */
vindex_status vx_h5_open(vx_h5 *h5);
void vx_h5_close(vx_h5 *h5);

/* What a data set, an attribute or a group holds. */
typedef enum vx_h5_kind {
    VX_H5_NUMBERS,
    VX_H5_TEXT,
    VX_H5_LIST, /* a group with the children i0, i1, ..., as deepdish writes lists */
    VX_H5_OTHER
} vx_h5_kind;

typedef struct vx_h5_array {
    vx_h5_kind kind;
    const char *what; /* in words, where it is VX_H5_OTHER */
    int rank;         /* 0 to 3 */
    hsize_t shape[3];
    hsize_t count; /* numbers or texts in all */
    size_t size;   /* bytes of one */
    vindex_dtype dtype;
    bool big_endian;
} vx_h5_array;

/* Reads off the header of a data set, an attribute, or (VX_H5_LIST or other) a group. */
void vx_h5_describe(hid_t object, vx_h5_array *array);

/* Opens what is at that path inside the file, from the given group on. */
vindex_status vx_h5_find(vx_h5 *h5, hid_t from, const char *key, hid_t *object);

/* Whether all of a data set can be read: known filters, sizes that its stored bytes can unfold to,
 * all of it in this file. *place receives where its numbers lie in the file one behind the other,
 * HADDR_UNDEF when they are in chunks. */
vindex_status vx_h5_check(vx_h5 *h5, hid_t set, const char *key, const vx_h5_array *array,
                          haddr_t *place);

/* Opens a data set again so that chunks are kept that several reads of rows share. */
vindex_status vx_h5_set_cache(vx_h5 *h5, const char *key, const vx_h5_array *array, hid_t *set);

/* Whether it is a single text or whole number, or a list of them. */
bool vx_h5_is_texts(const vx_h5_array *array);

/* Appends the texts or whole numbers (as text) that a data set, an attribute or a list holds. */
vindex_status vx_h5_texts(vx_h5 *h5, hid_t object, const char *key, vx_pool *texts);

/* Fails for a data set or the file, with what HDF5 says itself. */
vindex_status vx_h5_fail(const vx_h5 *h5, const char *key, const char *asked);

/* Everything below a file's root, in order of path. */
typedef struct vx_h5_member {
    size_t name; /* in names */
    vx_h5_array array;
} vx_h5_member;

typedef struct vx_h5_members {
    vx_pool names;
    vx_h5_member *items;
    size_t count, capacity;
    bool more; /* there are others */
} vx_h5_members;

/* Lists data sets and deepdish lists (not what is in those); vx_h5_members_free in any case. */
vindex_status vx_h5_list(vx_h5 *h5, vx_h5_members *members);
void vx_h5_members_free(vx_h5_members *members);

/* A member in words: "train (60000 x 784 f32)"; without the name where that is NULL. */
enum { VX_H5_WORDS = 160 };
const char *vx_h5_words(const char *name, const vx_h5_array *array, char words[VX_H5_WORDS]);

#endif
