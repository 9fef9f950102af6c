/* What a graph index can do, how it is made, and its small verbs. */
#include <vindex/fields.h>
#include <vindex/hnsw.h>

#include <stdio.h>

#include "hnsw.h"

static const vindex_field hnsw_fields[] = {
    {"dim", VINDEX_FIELD_INT64, offsetof(vindex_hnsw_params, dim), 1, VX_DIM_MOST, 1,
     "numbers per vector"},
    {"metric", VINDEX_FIELD_METRIC, offsetof(vindex_hnsw_params, metric), VINDEX_L2, VINDEX_PEARSON,
     VINDEX_L2, "how vectors are compared: l2, ip, cosine or pearson"},
    {"m", VINDEX_FIELD_INT64, offsetof(vindex_hnsw_params, m), 2, VX_HNSW_M_MOST, 32,
     "links that a new vector gets per layer"},
    {"ef_construction", VINDEX_FIELD_INT64, offsetof(vindex_hnsw_params, ef_construction), 1,
     VX_HNSW_EF_MOST, 200, "candidates for the links of a new vector"},
    {"seed", VINDEX_FIELD_INT64, offsetof(vindex_hnsw_params, seed), 0, INT32_MAX, 1,
     "of the layers that vectors reach"},
    {"keep_pruned", VINDEX_FIELD_BOOL, offsetof(vindex_hnsw_params, keep_pruned), 0, 1, 0,
     "fill up with near vectors that the heuristic leaves out"},
    {"capacity", VINDEX_FIELD_INT64, offsetof(vindex_hnsw_params, capacity), 0, VX_HNSW_NODES_MOST,
     0, "vectors to make room for, a hint"},
};
static const vindex_field_table hnsw_table = {"hnsw", sizeof(vindex_hnsw_params), hnsw_fields,
                                              VX_COUNT(hnsw_fields)};

const vindex_field_table *vindex_hnsw_fields(void) {
    return &hnsw_table;
}

void vindex_hnsw_params_init_sized(vindex_hnsw_params *params, size_t struct_size) {
    vindex_fields_init(&hnsw_table, params, struct_size);
}

vindex_status vindex_hnsw_create(const vindex_hnsw_params *params, vindex_index **index) {
    char spec[128];
    if (!params) return vx_fail(VINDEX_ERR_ARGUMENT, "hnsw: params is NULL");
    VX_TRY(vindex_fields_check(&hnsw_table, params));
    snprintf(spec, sizeof spec, "HNSW%lld%s%.100s", (long long)params->m, params->codec ? "," : "",
             params->codec ? params->codec : "");
    VX_TRY(vindex_create(spec, params->dim, params->metric, index));
    vx_hnsw *hnsw = (vx_hnsw *)*index;
    hnsw->ef_construction = (size_t)params->ef_construction;
    hnsw->seed = (uint64_t)params->seed;
    hnsw->keep_pruned = params->keep_pruned;
    hnsw->hint = (size_t)params->capacity;
    return VINDEX_OK;
}

static vindex_status create(const vx_spec *spec, size_t dim, vindex_metric metric,
                            vindex_index **index) {
    vx_hnsw *hnsw = NULL;
    VX_TRY(vx_hnsw_make(spec, dim, metric, &hnsw));
    *index = &hnsw->base;
    return VINDEX_OK;
}

static size_t count(const vindex_index *index) {
    const vx_ids *ids = &((const vx_hnsw *)index)->ids;
    return ids->count - ids->removed;
}

/* Tuning stops at an ef by which next to all is found: all rows would take as long as a flat search
 * many times over. */
static size_t knobs(const vindex_index *index, vx_knob *knobs) {
    enum { EF_MOST = 8192 };
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    pthread_rwlock_rdlock(hnsw->gate);
    size_t rows = hnsw->rows.count;
    pthread_rwlock_unlock(hnsw->gate);
    knobs[0] = (vx_knob){.name = "ef",
                         .given = offsetof(vindex_search_params, ef),
                         .asked = offsetof(vx_request, ef),
                         .least = 1,
                         .most = (int64_t)VX_MIN(VX_MAX(rows, (size_t)1), (size_t)EF_MOST),
                         .initial = 64};
    knobs[1] = (vx_knob){.name = "walkers",
                         .given = offsetof(vindex_search_params, walkers),
                         .asked = offsetof(vx_request, walkers),
                         .least = 1,
                         .most = VX_WALKERS_MOST,
                         .initial = VX_WALKERS,
                         .pace = true};
    return 2;
}

static bool trained(const vindex_index *index) {
    return ((const vx_hnsw *)index)->trained;
}

static vindex_status reconstruct(const vindex_index *index, const int64_t *ids, size_t n,
                                 float *vectors) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    for (size_t i = 0; i < n; i++) {
        size_t row;
        if (!vx_ids_find(&hnsw->ids, ids[i], &row))
            return vx_fail(VINDEX_ERR_NOT_FOUND,
                           "reconstruct: id %lld is not in the index; it was never added or was "
                           "removed",
                           (long long)ids[i]);
        hnsw->codec->ops->decode(hnsw->codec, (vx_coded){&hnsw->rows, row},
                                 vectors + i * hnsw->base.dim);
    }
    return VINDEX_OK;
}

static vindex_status drop(vindex_index *index, const int64_t *ids, size_t n, size_t *removed) {
    return vx_ids_remove(&((vx_hnsw *)index)->ids, ids, n, removed);
}

vindex_status vindex_hnsw_stats_get(const vindex_index *index, vindex_hnsw_stats *stats) {
    if (!index || !stats)
        return vx_fail(VINDEX_ERR_ARGUMENT, "hnsw stats: %s is NULL",
                       index ? "stats" : "the index");
    if (index->ops != &vx_hnsw_ops)
        return vx_fail(VINDEX_ERR_ARGUMENT, "hnsw stats: '%s' is no HNSW index", index->spec);
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    const vx_layer *bottom = &hnsw->layers[0];
    size_t links = 0, most = 0, bytes = 0;
    for (size_t slot = 0; slot < bottom->count; slot++) {
        size_t degree = 0;
        while (degree < bottom->width && vx_layer_links(bottom, slot)[degree] != VX_LINK_NONE)
            degree++;
        links += degree;
        most = VX_MAX(most, degree);
    }
    for (size_t l = 0; l < hnsw->layer_count; l++)
        bytes += hnsw->layers[l].count *
                 (hnsw->layers[l].width * sizeof(uint32_t) + 1 + (l ? 2 * sizeof(uint32_t) : 0));
    double nodes = (double)VX_MAX(bottom->count, (size_t)1);
    *stats = (vindex_hnsw_stats){.layers = (int64_t)hnsw->layer_count,
                                 .nodes = (int64_t)bottom->count,
                                 .degree = (double)links / nodes,
                                 .degree_most = (int64_t)most,
                                 .link_bytes = (double)bytes / nodes + sizeof(float)};
    return VINDEX_OK;
}

/* Rows lie in the order in which they were added, unless they were reordered. */
static const float *floats(const vindex_index *index, size_t row) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    bool plain = !hnsw->codec->ops->train && hnsw->codec->space.dtype == VINDEX_F32;
    return plain ? (const float *)hnsw->rows.data + row * index->dim : NULL;
}

static bool begins(const char *word) {
    size_t length = strlen(vx_hnsw_kind.word);
    return !strncmp(word, vx_hnsw_kind.word, length) && word[length] >= '0' && word[length] <= '9';
}

const vx_index_kind vx_hnsw_kind = {
    .word = "HNSW",
    .help = "HNSW<m>[,f32|f16|bf16], HNSW<m>,<codes>[,Refine[(f16|bf16|<codes>)]]",
    .begins = begins,
    .create = create,
    .estimate = vx_hnsw_estimate,
    .build_estimate = vx_hnsw_build_estimate,
    .load = vx_hnsw_load,
};

const vx_index_ops vx_hnsw_ops = {
    .word = "HNSW",
    .free = vx_hnsw_free,
    .count = count,
    .memory = vx_hnsw_memory,
    .trained = trained,
    .train = vx_hnsw_train,
    .add = vx_hnsw_add,
    .search = vx_hnsw_search,
    .range_search = vx_hnsw_range_search,
    .reconstruct = reconstruct,
    .remove = drop,
    .compact = vx_hnsw_compact,
    .reorder = vx_hnsw_reorder,
    .describe = vx_hnsw_describe,
    .section_count = vx_hnsw_section_count,
    .save = vx_hnsw_save,
    .knobs = knobs,
    .floats = floats,
    .merge = vx_hnsw_merge,
};
