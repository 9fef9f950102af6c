/* Operating points: which search parameters give which recall. vindex_tune measures them on sample
 * queries and stores them in the index, whose file keeps them; a search then asks for `recall` in
 * vindex_search_params instead of nprobe and the like. */
#ifndef VINDEX_TUNE_H
#define VINDEX_TUNE_H

#include <vindex/fields.h>
#include <vindex/index.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is tuned for, and what the truth is: the ids `truth`, or else the answers of `exact`, or
 * else the index's own answers with every parameter at its largest. The last measures what
 * looking at a part of the index loses; what its codes lose it does not see. */
typedef struct vindex_tune_params {
    size_t struct_size;    /* set by vindex_tune_params_init */
    int64_t k;             /* neighbours whose recall is meant, 1 to 2^31-1; default 10 */
    const double *recalls; /* wanted, above 0 and up to 1; NULL: a dozen from 0.5 to 1 */
    int64_t recall_count;  /* of them, 1 to 100; 0 with NULL */
    const int64_t *truth;  /* n x truth_k ids, best first, -1 where there are fewer; NULL: none */
    int64_t truth_k;       /* at least k; what is behind the first k is not looked at */
    const vindex_index *exact; /* of the same vectors under the same ids, and exact; NULL: none */
} vindex_tune_params;

VINDEX_API void vindex_tune_params_init_sized(vindex_tune_params *params, size_t struct_size);
static inline void vindex_tune_params_init(vindex_tune_params *params) {
    vindex_tune_params_init_sized(params, sizeof *params);
}

/* The table behind the fields of vindex_tune_params that are numbers. Reentrant. */
VINDEX_API const vindex_field_table *vindex_tune_fields(void);

/* Finds, for each recall wanted, the smallest parameters that give it, and stores them as the
 * operating points for that k, in place of earlier ones for it. n queries (n x dim) like those to
 * come, not the stored vectors themselves; a thousand or so. A point gives a recall where the mean
 * over them, less 1.645 standard errors, does: so other queries of the kind reach it, too, with 95%
 * confidence. Where an index has several parameters the fastest choice is taken, by the clock; so
 * is, of a graph, the number of walkers, which is best measured on the machine that will search.
 * Else the points do not depend on time or threads.
 *
 * Of the default recalls those out of reach are left out and the best that can be had is stored
 * last; one out of reach that was asked for is VINDEX_ERR_UNSUPPORTED. An index that nothing can be
 * chosen about gets the one point it has. params NULL: the defaults. After a failure the index has
 * the points it had. Exclusive. */
VINDEX_API vindex_status vindex_tune(vindex_index *index, const float *queries, int64_t n,
                                     const vindex_tune_params *params, const vindex_call *call);

/* A parameter of an operating point. */
typedef struct vindex_point_setting {
    const char *name; /* as in vindex_search_params: "nprobe"; lives as long as the library */
    int64_t value;
} vindex_point_setting;

/* One operating point. Vectors that are added or removed later do not take it away, they are
 * counted: a promise about a few percent more vectors of the same kind still holds, one about twice
 * as many should be measured again. */
typedef struct vindex_operating_point {
    int64_t k;       /* it was measured for that many neighbours */
    double recall;   /* what it promises */
    double measured; /* the mean over the sample */
    int64_t queries; /* of the sample */
    int64_t vectors; /* that the index held */
    int64_t changed; /* added or removed since */
    vindex_point_setting settings[4];
    int64_t setting_count;
} vindex_operating_point;

/* Lists the operating points of an index, by k and then by recall: fills up to room of them, *count
 * receives how many there are, 0 for one never tuned. vindex_train takes them away. Shared-read. */
VINDEX_API vindex_status vindex_operating_points(const vindex_index *index,
                                                 vindex_operating_point *points, int64_t room,
                                                 int64_t *count);

#ifdef __cplusplus
}
#endif
#endif
