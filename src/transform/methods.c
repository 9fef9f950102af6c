/* The methods there are. */
#include "core/blas.h"
#include "method.h"

const vx_method *const vx_methods[] = {
    &vx_method_standardise, &vx_method_centre, &vx_method_normalise, &vx_method_pca,
    &vx_method_pca_whiten,  &vx_method_ica,    &vx_method_grp,       &vx_method_hadamard,
    &vx_method_lda,         &vx_method_wccn,   &vx_method_nca,       &vx_method_lmnn,
    &vx_method_cca,         &vx_method_fc,     &vx_method_pca_fc,    &vx_method_lsr,
    &vx_method_distill,     &vx_method_prune,  &vx_method_opq,
};
const size_t vx_method_count = VX_COUNT(vx_methods);

const vindex_method *vindex_method_at(int64_t i) {
    return i >= 0 && (size_t)i < vx_method_count ? &vx_methods[i]->shown : NULL;
}

const vindex_method *vindex_method_find(const char *word) {
    for (size_t i = 0; i < vx_method_count; i++)
        if (!strcmp(vx_methods[i]->shown.word, word)) return &vx_methods[i]->shown;
    return NULL;
}

const char *vindex_blas_advice(void) {
    return vx_blas_advice();
}
