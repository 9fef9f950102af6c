/* The flat index: every vector is compared, the answer is exact.
 *
 * A fast single-precision pass proves for most vectors that they cannot be in the answer; what is
 * left is settled in double precision. Ids and order are those of the metric computed in double
 * precision over the stored values.
 *
 * The factory word Certified ("Flat,Certified", "Flat,f16,Certified") adds codes: a few bits per
 * dimension and some numbers per vector, at most three tenths of the vectors' memory (as float32; a
 * plane is an eighth of float32, a quarter of the 16-bit types). They prove most vectors away
 * before these are read, so that a search reads a sixth of the bytes or less; the answer stays the
 * same, id for id. Where they rule out too little, and with weights, the search goes without (see
 * vindex_search_stats).
 *
 * Which codes suit the data is learnt from the first vectors added (1,024 to 8,192 of them; before
 * that there are none) or from those given to vindex_train, and may be forced: Certified4, four
 * bits per dimension after a random rotation; Certified8, four more in a second plane that is read
 * for what the first leaves; CertifiedPCA<n>, four bits for each of the n leading principal
 * directions and the norm of the rest (vectors of up to 2,048 dimensions). Vectors added later need
 * not be like the first: they make codes less useful, never wrong. */
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

/* Which codes a certified index has. */
typedef struct vindex_flat_coding {
    const char *rotation; /* "signs" or "pca" */
    int64_t dims;        /* rotated dimensions with codes; 0: none learnt (yet), or not certified */
    int64_t planes;      /* of four bits each, 1 or 2 */
    double code_bytes;   /* per vector */
    double vector_bytes; /* per vector, without codes */
    double forecast;     /* bytes that one query reads per vector, predicted when the codes were
                            learnt, on vectors held out; NaN: there were too few */
} vindex_flat_coding;

/* Says which. VINDEX_ERR_UNSUPPORTED for an index of another kind. Shared-read. */
VINDEX_API vindex_status vindex_flat_coding_of(const vindex_index *index,
                                               vindex_flat_coding *coding);

#ifdef __cplusplus
}
#endif
#endif
