/* What a flat index can do, and its small verbs. */
#include <vindex/fields.h>
#include <vindex/flat.h>

#include <math.h>
#include <stdio.h>

#include "flat.h"

static const vindex_field flat_fields[] = {
    {"dim", VINDEX_FIELD_INT64, offsetof(vindex_flat_params, dim), 1, VX_DIM_MOST, 1,
     "numbers per vector"},
    {"metric", VINDEX_FIELD_METRIC, offsetof(vindex_flat_params, metric), VINDEX_L2, VINDEX_PEARSON,
     VINDEX_L2, "how vectors are compared: l2, ip, cosine or pearson"},
    {"dtype", VINDEX_FIELD_DTYPE, offsetof(vindex_flat_params, dtype), VINDEX_F32, VINDEX_BF16,
     VINDEX_F32, "how numbers are stored: f32, f16 or bf16"},
};
static const vindex_field_table flat_table = {"flat", sizeof(vindex_flat_params), flat_fields,
                                              VX_COUNT(flat_fields)};

const vindex_field_table *vindex_flat_fields(void) {
    return &flat_table;
}

void vindex_flat_params_init_sized(vindex_flat_params *params, size_t struct_size) {
    vindex_fields_init(&flat_table, params, struct_size);
}

vindex_status vindex_flat_create(const vindex_flat_params *params, vindex_index **index) {
    char spec[32];
    if (!params) return vx_fail(VINDEX_ERR_ARGUMENT, "flat: params is NULL");
    VX_TRY(vindex_fields_check(&flat_table, params));
    snprintf(spec, sizeof spec, "Flat,%s", vindex_dtype_name(params->dtype));
    return vindex_create(spec, params->dim, params->metric, index);
}

static vindex_status create(const vx_spec *spec, size_t dim, vindex_metric metric,
                            vindex_index **index) {
    vx_flat *flat;
    VX_TRY(vx_flat_make(spec, dim, metric, &flat));
    *index = &flat->base;
    return VINDEX_OK;
}

static size_t count(const vindex_index *index) {
    const vx_flat *flat = (const vx_flat *)index;
    return flat->ids.count - flat->ids.removed;
}

static vindex_status reconstruct(const vindex_index *index, const int64_t *ids, size_t n,
                                 float *vectors) {
    const vx_flat *flat = (const vx_flat *)index;
    for (size_t i = 0; i < n; i++) {
        size_t row;
        if (!vx_ids_find(&flat->ids, ids[i], &row))
            return vx_fail(VINDEX_ERR_NOT_FOUND,
                           "reconstruct: id %lld is not in the index; it was never added or was "
                           "removed",
                           (long long)ids[i]);
        flat->kernels->widen[flat->space.dtype](vx_flat_row(flat, row), flat->space.dim,
                                                vectors + i * flat->space.dim);
    }
    return VINDEX_OK;
}

static vindex_status drop(vindex_index *index, const int64_t *ids, size_t n, size_t *removed) {
    return vx_ids_remove(&((vx_flat *)index)->ids, ids, n, removed);
}

vindex_status vindex_flat_coding_of(const vindex_index *index, vindex_flat_coding *coding) {
    if (!index || !coding) return vx_fail(VINDEX_ERR_ARGUMENT, "codes: an argument is NULL");
    if (index->ops != &vx_flat_ops)
        return vx_fail(VINDEX_ERR_UNSUPPORTED, "codes: the index is %s; only Flat has them",
                       index->ops->word);
    const vx_flat *flat = (const vx_flat *)index;
    const vx_coder *coder = flat->space.coder;
    *coding = (vindex_flat_coding){.rotation = coder && coder->matrix ? "pca" : "signs",
                                   .vector_bytes = (double)vx_flat_stride(flat),
                                   .forecast = coder ? coder->forecast : (double)NAN};
    if (!coder) return VINDEX_OK;
    coding->dims = (int64_t)coder->head;
    coding->planes = 1 + coder->refined;
    coding->code_bytes = (double)vx_flat_codes_bytes(flat, VX_CODE_ROWS) / VX_CODE_ROWS;
    if (coder->refined) coding->code_bytes += (double)vx_plane_stride(flat->space.dim);
    return VINDEX_OK;
}

static const float *floats(const vindex_index *index, size_t row) {
    const vx_flat *flat = (const vx_flat *)index;
    return flat->space.dtype == VINDEX_F32 ? vx_flat_row(flat, row) : NULL;
}

/* Vectors go to where they stay. */
static vindex_status build_estimate(const vx_spec *spec, vx_building *building) {
    size_t bytes;
    VX_TRY(vx_flat_estimate(spec, building->dim, building->n, &bytes));
    building->train = 0;
    building->add = (double)bytes;
    return VINDEX_OK;
}

const vx_index_kind vx_flat_kind = {
    .word = "Flat",
    .help = "Flat[,f32|f16|bf16][,Certified|Certified4|Certified8|CertifiedPCA<n>]",
    .create = create,
    .estimate = vx_flat_estimate,
    .build_estimate = build_estimate,
    .load = vx_flat_load,
};

const vx_index_ops vx_flat_ops = {
    .word = "Flat",
    .free = vx_flat_free,
    .count = count,
    .memory = vx_flat_memory,
    .trained = NULL,
    .train = vx_flat_train,
    .add = vx_flat_add,
    .search = vx_flat_search,
    .range_search = vx_flat_range_search,
    .reconstruct = reconstruct,
    .remove = drop,
    .compact = vx_flat_compact,
    .describe = vx_flat_describe,
    .section_count = vx_flat_section_count,
    .save = vx_flat_save,
    .floats = floats,
    .merge = vx_flat_merge,
};
