/* Strings, many and small: kept in one block, and numbered by first appearance. */
#ifndef VX_IO_POOL_H
#define VX_IO_POOL_H

#include "core/base.h"

/* Zeroed is empty. Item i is the zero-ended text at text + starts[i]. */
typedef struct vx_pool {
    char *text;
    size_t length, text_capacity;
    size_t *starts;
    size_t count, capacity;
} vx_pool;

/* Appends a copy of length bytes and a zero; false when memory is out. */
bool vx_pool_add(vx_pool *pool, const char *text, size_t length);

const char *vx_pool_get(const vx_pool *pool, size_t item);
void vx_pool_free(vx_pool *pool);

/* The items as an array of pointers followed by their text, one allocation for vx_free; NULL when
 * memory is out. */
char **vx_pool_pack(const vx_pool *pool);

/* Different strings, each with the number of its first appearance. Zeroed is empty. */
typedef struct vx_names {
    vx_pool pool;
    uint32_t *slots; /* number + 1, or 0; open addressing */
    size_t slot_count;
} vx_names;

/* The number of a string, added if new; false when memory is out or 2^31-1 are taken. */
bool vx_names_number(vx_names *names, const char *text, size_t length, int32_t *number);
void vx_names_free(vx_names *names);

#endif
