/* Python pickles, the part of them that plain values need: no name outside a list is accepted, and
 * nothing is ever run. The opcodes are those of protocols 2 to 5 (Python's pickletools documents
 * them). */
#ifndef VX_IO_PICKLE_H
#define VX_IO_PICKLE_H

#include "value.h"

/* A name of Python's that a pickle may say, and what it means to the reader. */
typedef struct vx_pickle_name {
    const char *module, *name;
    const void *meaning;
} vx_pickle_name;

/* What to make of names. */
typedef struct vx_pickle_rules {
    const vx_pickle_name *names;
    size_t name_count;
    /* The value that calling a name would give. */
    vindex_status (*call)(void *context, const vx_pickle_name *name, const vx_value *arguments,
                          vx_value **result);
    /* Gives what a call made its state, in place. */
    vindex_status (*build)(void *context, vx_value *object, const vx_value *state);
    /* The value that a persistent id stands for. */
    vindex_status (*persistent)(void *context, const vx_value *id, vx_value **result);
    void *context;
} vx_pickle_rules;

/* Reads one pickle from the front of bytes, which must outlive the tree: texts lie there. *used
 * receives its length. The value is not sealed. */
vindex_status vx_pickle_read(vx_tree *tree, const unsigned char *bytes, size_t length,
                             const vx_pickle_rules *rules, size_t *used, vx_value **value);

#endif
