/* What a call answers: a pinned status code, and one sentence about the last failure. */
#ifndef VINDEX_STATUS_H
#define VINDEX_STATUS_H

#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers are pinned: they never change meaning and new ones fill the gaps. */
typedef enum vindex_status {
    VINDEX_OK = 0,
    VINDEX_ERR_ARGUMENT = 10,    /* an argument is out of range or contradicts another */
    VINDEX_ERR_DATA = 11,        /* the numbers given hold NaN, infinity or no usable value */
    VINDEX_ERR_DIMENSION = 12,   /* two shapes that must agree do not */
    VINDEX_ERR_UNSUPPORTED = 20, /* this kind of index or file cannot do that */
    VINDEX_ERR_STATE = 21,       /* not now: train first, for instance */
    VINDEX_ERR_NOT_FOUND = 22,   /* no such id, key, column or file */
    VINDEX_ERR_EXISTS = 23,      /* the id is there already */
    VINDEX_ERR_MEMORY = 30,      /* an allocation failed; the object is as it was */
    VINDEX_ERR_IO = 31,          /* the operating system refused to read or write */
    VINDEX_ERR_FORMAT = 40,      /* the file is of another kind, cut, or its header lies */
    VINDEX_ERR_CORRUPT = 41,     /* a checksum does not match */
    VINDEX_ERR_VERSION = 42,     /* the file is newer than this library */
    VINDEX_ERR_CANCELLED = 50    /* the progress callback asked to stop */
} vindex_status;

/* A short name for a code, such as "bad argument". Never NULL. Reentrant. */
VINDEX_API const char *vindex_status_name(vindex_status status);

/* The sentence for the last call that failed on this thread: what was asked, what was found, what
 * to do. Empty when nothing failed yet. Owned by the library, valid until the next failing call
 * on the same thread. */
VINDEX_API const char *vindex_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
