/* The flat index: every vector is compared, the answer is exact.
 *
 * A fast single-precision pass proves for most vectors that they cannot be in the answer; what is
 * left is settled in double precision. Ids and order are those of the metric computed in double
 * precision over the stored values.
 *
 * The factory word Certified ("Flat,Certified", "Flat,f16,Certified") adds four bits per dimension
 * and some numbers per vector. They prove most vectors away before these are read, so that a search
 * reads a sixth to an eighth of the bytes; the answer stays the same, id for id. Where they rule
 * out too little, and with weights, the search goes without (see vindex_search_stats). */
#ifndef VINDEX_FLAT_H
#define VINDEX_FLAT_H

#include <vindex/index.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vindex_flat_params {
    size_t struct_size;   /* set by vindex_flat_params_init */
    int64_t dim;          /* 1 to 1,048,576 */
    vindex_metric metric; /* default VINDEX_L2 */
    vindex_dtype dtype;   /* VINDEX_F32 (default), VINDEX_F16 or VINDEX_BF16 */
} vindex_flat_params;

VINDEX_API void vindex_flat_params_init_sized(vindex_flat_params *params, size_t struct_size);
static inline void vindex_flat_params_init(vindex_flat_params *params) {
    vindex_flat_params_init_sized(params, sizeof *params);
}

/* Creates an empty flat index; the same as vindex_create with "Flat", "Flat,f16" or "Flat,bf16".
 * *index is the caller's, to be freed with vindex_free. Reentrant. */
VINDEX_API vindex_status vindex_flat_create(const vindex_flat_params *params, vindex_index **index);

#ifdef __cplusplus
}
#endif
#endif
