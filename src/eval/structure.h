/* Which row of a simulated set belongs to which clique. */
#ifndef VX_EVAL_STRUCTURE_H
#define VX_EVAL_STRUCTURE_H

#include "core/base.h"
#include "core/rng.h"

/* The benchmark's structure (1,000 cliques of 13 and 2,000 singletons) or the training split's
 * (14,499 cliques of 2 to 109), times scale, songs shuffled by rng, cliques numbered in order of
 * first appearance. *cliques is the caller's, freed with vx_free. */
vindex_status vx_structure(bool training, double scale, vx_rng rng, int32_t **cliques,
                           size_t *rows);

#endif
