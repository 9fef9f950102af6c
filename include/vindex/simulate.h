/* Simulated embeddings (libvindex-mir). */
#ifndef VINDEX_SIMULATE_H
#define VINDEX_SIMULATE_H

#include <vindex/status.h>
#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Simulated embeddings with the clique structure of Da-TACOS: never real data, and to be called
 * simulated wherever they are shown. The same seed gives the same bits on every machine. The
 * constants of each model and the accuracy measured on them are in src/eval/simulate.c. */
typedef enum vindex_simulated_model {
    VINDEX_SIMULATED_MOVE = 0,      /* x = BN(W h), h in R^256: rank 256 at any d; compare by L2 */
    VINDEX_SIMULATED_RE_MOVE = 1,   /* the same form, less noise, compact; compare by cosine */
    VINDEX_SIMULATED_BYTECOVER2 = 2 /* the same form, more accurate still; compare by cosine */
} vindex_simulated_model;

typedef struct vindex_simulate_params {
    size_t struct_size; /* set by vindex_simulate_params_init */
    vindex_simulated_model model;
    int64_t dim;   /* 0 (default): the model's own (16,000; 256; 1,536); up to 1,048,576 */
    double scale;  /* times as many cliques and singletons; 0.001 to 1,000, default 1 */
    uint64_t seed; /* default 1 */
    bool training; /* the training split (83,904 songs in 14,499 cliques of 2 to 109): the same
                      model as the benchmark of that seed, other cliques; default false */
} vindex_simulate_params;

VINDEX_API void vindex_simulate_params_init_sized(vindex_simulate_params *params,
                                                  size_t struct_size);
static inline void vindex_simulate_params_init(vindex_simulate_params *params) {
    vindex_simulate_params_init_sized(params, sizeof *params);
}

typedef struct vindex_simulator vindex_simulator;

/* A simulated set whose rows are made on demand; holds 1 KB per dimension, made on every core.
 * cliques (n numbers, not negative, copied) fixes the structure; NULL with n = 0 gives the
 * benchmark's own (1,000 cliques of 13 and 2,000 singletons, times scale) or the training split's,
 * songs shuffled, cliques numbered in order of first appearance. params NULL: the defaults. The
 * first d dimensions of a larger dim are the same bits. *simulator is the caller's, to be freed
 * with vindex_simulator_free. */
VINDEX_API vindex_status vindex_simulator_create(const vindex_simulate_params *params,
                                                 const int32_t *cliques, int64_t n,
                                                 vindex_simulator **simulator);

/* Frees a simulator; NULL is fine. Exclusive. */
VINDEX_API void vindex_simulator_free(vindex_simulator *simulator);

/* Shape, and the metric the model is compared by. Shared-read. */
VINDEX_API int64_t vindex_simulator_rows(const vindex_simulator *simulator);
VINDEX_API int64_t vindex_simulator_dim(const vindex_simulator *simulator);
VINDEX_API vindex_metric vindex_simulator_metric(const vindex_simulator *simulator);

/* The clique of each row; owned by the simulator. Shared-read. */
VINDEX_API const int32_t *vindex_simulator_cliques(const vindex_simulator *simulator);

/* Makes rows first ... first+count-1 into vectors (count x dim), the same bits in whatever ranges
 * and on however many threads (0: every core). Shared-read. */
VINDEX_API vindex_status vindex_simulator_read(const vindex_simulator *simulator, int64_t first,
                                               int64_t count, int32_t threads, float *vectors);

#ifdef __cplusplus
}
#endif
#endif
