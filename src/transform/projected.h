/* An index behind a transform: vectors and queries are projected on their way in. */
#ifndef VX_TRANSFORM_PROJECTED_H
#define VX_TRANSFORM_PROJECTED_H

#include <vindex/transform.h>

#include "core/index_impl.h"

extern const vx_index_kind vx_projected_kind;

/* words.c: the factory words of projections that a string begins with. */
typedef struct vx_projection {
    size_t count;       /* words; 0: there are none */
    char methods[128];  /* as vindex_fit takes them: "pca:256,normalise" */
    char words[128];    /* canonical, with a comma after each: "PCA256,Normalise," */
    char inner[128];    /* the rest: "Flat,Certified" */
    int64_t dim;        /* what comes out; -1: known after training */
    bool learns;        /* needs training vectors */
    bool given;         /* "Transform": it comes with the index */
    bool ranked;        /* "Rank" is among them */
    size_t parts, bits; /* of the product codes that "OPQ" turns for; parts 0: there is none */
} vx_projection;

/* projected.c: what its chain is fitted with; settings point into it. */
typedef struct vx_projection_fit {
    vindex_fit_params params;
    vindex_setting settings[3];
    char parts[24], bits[24];
} vx_projection_fit;
void vx_projection_params(const vx_projection *projection, vindex_metric metric,
                          vx_projection_fit *fit);

/* estimate.c */
vindex_status vx_projected_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes);
vindex_status vx_projected_build_estimate(const vx_spec *spec, vx_building *building);

bool vx_is_projection_word(const char *word);
vindex_status vx_projection_parse(const vx_spec *spec, size_t dim, vx_projection *projection);

#endif
