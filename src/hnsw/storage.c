/* How a graph holds its rows and links: memory that grows, or a map that is copied before it
 * changes. */
#include <stdio.h>

#include <vindex/hnsw.h>

#include "core/kmeans.h"
#include "hnsw.h"

/* ---- making ---- */

/* The words of the codec: none, or a storage type alone, mean the numbers themselves. */
static vindex_status make_codec(const vx_spec *spec, const vx_codec_use *use, vx_codec **codec) {
    const char *words[VX_SPEC_WORDS + 1] = {"Flat"};
    size_t count = 1;
    bool stored = spec->count == 1;
    for (int i = 0; spec->count == 2 && i < VX_STORED_TYPES; i++)
        stored = stored || !strcmp(spec->words[1], vindex_dtype_name((vindex_dtype)i));
    for (size_t i = 1; i < spec->count; i++) words[count++] = spec->words[i];
    return stored ? vx_codec_create(words, count, use, codec)
                  : vx_codec_create(words + 1, count - 1, use, codec);
}

/* "HNSW32,f16" rather than "HNSW32,Flat,f16". */
static void name(vx_hnsw *hnsw) {
    const char *word = hnsw->codec->word;
    if (!strncmp(word, "Flat", 4)) word += word[4] ? 5 : 4;
    snprintf(hnsw->base.spec, sizeof hnsw->base.spec, "HNSW%zu%s%s", hnsw->m, *word ? "," : "",
             word);
}

/* Who waits to change the graph goes before who comes to search it, or would wait for ever. */
static vindex_status make_gate(pthread_rwlock_t **gate) {
    pthread_rwlockattr_t attributes;
    pthread_rwlock_t *made = vx_alloc(1, sizeof *made);
    if (!made || pthread_rwlockattr_init(&attributes)) {
        vx_free(made);
        return vx_fail_memory(1, sizeof *made, "create");
    }
#ifdef __GLIBC__
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    int failed = pthread_rwlock_init(made, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    if (failed) {
        vx_free(made);
        return vx_fail_memory(1, sizeof *made, "create");
    }
    *gate = made;
    return VINDEX_OK;
}

vindex_status vx_hnsw_make(const vx_spec *spec, size_t dim, vindex_metric metric,
                           vx_hnsw **result) {
    size_t m;
    VX_TRY(vx_spec_number(spec, vx_hnsw_kind.word, 2, VX_HNSW_M_MOST, &m));
    vx_hnsw *hnsw = vx_alloc_zero(1, sizeof *hnsw);
    if (!hnsw) return vx_fail_memory(1, sizeof *hnsw, "create");
    vindex_hnsw_params defaults;
    vindex_hnsw_params_init(&defaults);
    hnsw->base.ops = &vx_hnsw_ops;
    hnsw->base.capabilities = VINDEX_CAN_ADD | VINDEX_CAN_RANGE | VINDEX_CAN_RECONSTRUCT |
                              VINDEX_CAN_REMOVE | VINDEX_CAN_FILTER | VINDEX_CAN_MAP;
    hnsw->base.dim = dim;
    hnsw->base.metric = metric;
    hnsw->m = m;
    hnsw->ef_construction = (size_t)defaults.ef_construction;
    hnsw->seed = (uint64_t)defaults.seed;
    hnsw->trusted = true;
    vx_ids_init(&hnsw->ids);
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) hnsw->layers[l].width = l ? m : 2 * m;
    vx_codec_use use = {.dim = dim, .metric = metric, .scattered = true};
    vindex_status status = make_gate(&hnsw->gate);
    if (status == VINDEX_OK) status = make_codec(spec, &use, &hnsw->codec);
    if (status != VINDEX_OK) {
        vx_hnsw_free(&hnsw->base);
        return status;
    }
    hnsw->trained = !hnsw->codec->ops->train;
    name(hnsw);
    *result = hnsw;
    return VINDEX_OK;
}

static void free_rows(vx_hnsw *hnsw) {
    if (!hnsw->capacity) return;
    vx_free((void *)(uintptr_t)hnsw->rows.data);
    vx_free((void *)(uintptr_t)hnsw->rows.aux);
    vx_free(hnsw->rows.fine);
}

void vx_layer_free(vx_layer *layer) {
    if (layer->capacity) {
        vx_free(layer->links);
        vx_free(layer->nodes);
        vx_free(layer->children);
    }
    vx_free(layer->below);
    *layer = (vx_layer){.width = layer->width};
}

void vx_hnsw_free(vindex_index *index) {
    vx_hnsw *hnsw = (vx_hnsw *)index;
    for (size_t i = 0; i < VX_HNSW_WALKERS; i++) {
        vx_walker *walker = atomic_load(&hnsw->idle[i]);
        if (walker) vx_walker_free(walker);
    }
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) vx_layer_free(&hnsw->layers[l]);
    free_rows(hnsw);
    vx_ids_free(&hnsw->ids);
    vx_codec_free(hnsw->codec);
    if (hnsw->gate) pthread_rwlock_destroy(hnsw->gate);
    vx_free(hnsw->gate);
    vx_free(hnsw);
}

/* ---- how much ---- */

size_t vx_layer_slot_bytes(const vx_layer *layer, bool upper) {
    return layer->width * sizeof(uint32_t) + 1 + (upper ? 2 * sizeof(uint32_t) : 0);
}

size_t vx_hnsw_memory(const vindex_index *index) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    size_t bytes =
        sizeof *hnsw + sizeof *hnsw->codec + hnsw->codec->own_bytes + vx_ids_memory(&hnsw->ids);
    if (hnsw->capacity)
        bytes += hnsw->codec->ops->bytes(hnsw->codec, hnsw->capacity) +
                 vx_codec_fine_bytes(hnsw->codec, hnsw->capacity) +
                 hnsw->capacity * hnsw->codec->aux_each * sizeof(float);
    for (size_t l = 0; l < hnsw->layer_count; l++) {
        const vx_layer *layer = &hnsw->layers[l];
        if (layer->capacity) bytes += layer->capacity * vx_layer_slot_bytes(layer, l > 0);
        if (!layer->capacity && l) bytes += layer->count * sizeof *layer->below;
    }
    return bytes;
}

/* ---- growing ---- */

/* What an array gets when it needs room for that many: a quarter more than it had at least. */
static size_t grown(size_t capacity, size_t need, bool exactly) {
    return exactly ? need : VX_MAX(need, capacity + capacity / 4);
}

static size_t whole_groups(size_t rows) {
    return (rows + VX_CODEC_ROWS - 1) / VX_CODEC_ROWS * VX_CODEC_ROWS;
}

/* Moves the rows to memory for that many, whole groups. */
static vindex_status move_rows(vx_hnsw *hnsw, size_t capacity) {
    const vx_codec *codec = hnsw->codec;
    size_t count = hnsw->rows.count;
    bool some = capacity <= VX_HNSW_NODES_MOST + (size_t)VX_CODEC_ROWS;
    bool fine = codec->ops->fine_bytes != NULL;
    size_t aux_bytes = codec->aux_each * sizeof(float);
    vx_hnsw to = {.capacity = capacity};
    to.rows.data = some ? vx_alloc(codec->ops->bytes(codec, capacity), 1) : NULL;
    to.rows.aux = some ? vx_alloc_zero(capacity, aux_bytes) : NULL;
    to.rows.fine = some && fine ? vx_alloc(vx_codec_fine_bytes(codec, capacity), 1) : NULL;
    if (!to.rows.data || !to.rows.aux || (fine && !to.rows.fine)) {
        free_rows(&to);
        return vx_fail_memory(capacity, vx_space_stride(&codec->space), "vectors");
    }
    if (count) {
        memcpy((void *)(uintptr_t)to.rows.data, hnsw->rows.data, codec->ops->bytes(codec, count));
        memcpy((float *)(uintptr_t)to.rows.aux, hnsw->rows.aux, count * aux_bytes);
        if (fine) memcpy(to.rows.fine, hnsw->rows.fine, vx_codec_fine_bytes(codec, count));
    }
    to.rows.count = count;
    free_rows(hnsw);
    hnsw->rows = to.rows;
    hnsw->capacity = capacity;
    return VINDEX_OK;
}

vindex_status vx_hnsw_reserve_rows(vx_hnsw *hnsw, size_t rows, bool exactly) {
    if (rows <= hnsw->capacity) return VINDEX_OK;
    return move_rows(hnsw, whole_groups(grown(hnsw->capacity, rows, exactly)));
}

void vx_hnsw_move_row(const vx_codec *codec, vx_coded from, vx_coded to) {
    size_t each = codec->aux_each;
    codec->ops->move(codec, from, to);
    memcpy((float *)(uintptr_t)to.run->aux + to.at * each, from.run->aux + from.at * each,
           each * sizeof(float));
}

/* Copies the slots that a layer has to other arrays. */
static void copy_layer(vx_layer *layer, const vx_layer *to) {
    size_t count = layer->count;
    if (count) {
        memcpy(to->links, layer->links, count * layer->width * sizeof *to->links);
        if (to->nodes) memcpy(to->nodes, layer->nodes, count * sizeof *to->nodes);
        if (to->nodes) memcpy(to->below, layer->below, count * sizeof *to->below);
        if (layer->children) memcpy(to->children, layer->children, count);
    }
    vx_layer_free(layer);
    *layer = *to;
    layer->count = count;
}

/* Counts the children that each slot has in a tree that was checked. */
static void count_children(vx_layer *layer) {
    for (size_t slot = 0; slot < layer->count; slot++) {
        const uint32_t *links = vx_layer_links(layer, slot);
        size_t tree = 0;
        for (size_t i = 0; i < layer->width && links[i] != VX_LINK_NONE; i++)
            tree += links[i] >> 31;
        layer->children[slot] = (uint8_t)(tree - (slot != 0));
    }
}

/* Moves a layer to memory for that many slots. */
static vindex_status move_layer(vx_hnsw *hnsw, size_t level, size_t capacity) {
    vx_layer *layer = &hnsw->layers[level];
    vx_layer to = {.width = layer->width, .capacity = capacity};
    to.links = vx_alloc(capacity, layer->width * sizeof *to.links);
    to.children = vx_alloc_zero(capacity, 1);
    if (level) to.nodes = vx_alloc(capacity, sizeof *to.nodes);
    if (level) to.below = vx_alloc(capacity, sizeof *to.below);
    if (!to.links || !to.children || (level && (!to.nodes || !to.below))) {
        vx_layer_free(&to);
        return vx_fail_memory(capacity, vx_layer_slot_bytes(layer, level > 0), "links");
    }
    bool mapped = layer->count && !layer->capacity;
    copy_layer(layer, &to);
    if (mapped && hnsw->trusted) count_children(layer);
    return VINDEX_OK;
}

vindex_status vx_hnsw_reserve_layer(vx_hnsw *hnsw, size_t level, size_t slots, bool exactly) {
    size_t capacity = hnsw->layers[level].capacity;
    return slots <= capacity ? VINDEX_OK : move_layer(hnsw, level, grown(capacity, slots, exactly));
}

vindex_status vx_hnsw_trim(vx_hnsw *hnsw) {
    if (!hnsw->rows.count) {
        free_rows(hnsw);
        hnsw->rows = (vx_block){0};
        hnsw->capacity = 0;
    } else if (hnsw->capacity > whole_groups(hnsw->rows.count)) {
        VX_TRY(move_rows(hnsw, whole_groups(hnsw->rows.count)));
    }
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) {
        vx_layer *layer = &hnsw->layers[l];
        if (!layer->count)
            vx_layer_free(layer);
        else if (layer->capacity > layer->count)
            VX_TRY(move_layer(hnsw, l, layer->count));
    }
    return VINDEX_OK;
}

vindex_status vx_hnsw_own(vx_hnsw *hnsw) {
    if (hnsw->rows.count) VX_TRY(vx_hnsw_reserve_rows(hnsw, hnsw->rows.count, true));
    for (size_t l = 0; l < hnsw->layer_count; l++)
        VX_TRY(vx_hnsw_reserve_layer(hnsw, l, hnsw->layers[l].count, true));
    return VINDEX_OK;
}

vindex_status vx_hnsw_ready(vx_hnsw *hnsw) {
    VX_TRY(vx_hnsw_own(hnsw));
    if (hnsw->trusted) return VINDEX_OK;
    vx_walker *walker;
    VX_TRY(vx_walker_take(hnsw, 1, &walker));
    vindex_status status = VINDEX_OK;
    for (size_t l = 0; status == VINDEX_OK && l < hnsw->layer_count; l++)
        status = vx_hnsw_replant(hnsw, l, walker);
    vx_walker_give(hnsw, walker);
    if (status == VINDEX_OK) hnsw->trusted = true;
    return status;
}

size_t vx_layer_find(const vx_layer *layer, size_t first, size_t end, uint32_t row) {
    size_t low = first, high = end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (layer->nodes[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && layer->nodes[low] == row ? low : end;
}

/* A codec learns without centres; without a codec that learns there is nothing to do. */
vindex_status vx_hnsw_train(vindex_index *index, const vindex_rows *rows, const vindex_call *call) {
    vx_hnsw *hnsw = (vx_hnsw *)index;
    vx_kmeans_params params;
    const float *vectors;
    float *owned;
    size_t count;
    if (!hnsw->codec->ops->train) return VINDEX_OK;
    if (hnsw->rows.count)
        return vx_fail(VINDEX_ERR_STATE,
                       "train: the index holds %zu vectors already; train an empty one",
                       hnsw->rows.count);
    vx_kmeans_init(&params, 1);
    params.points_each = VX_HNSW_SAMPLE;
    params.seed = hnsw->seed;
    params.threads = vx_threads(call->threads);
    params.progress = call->progress;
    params.progress_context = call->progress_context;
    VX_TRY(vx_kmeans_sample(rows, &params, &vectors, &owned, &count));
    vx_sample sample = {.vectors = vectors,
                        .n = count,
                        .seed = hnsw->seed,
                        .threads = params.threads,
                        .progress = call->progress,
                        .progress_context = call->progress_context};
    vindex_status status = hnsw->codec->ops->train(hnsw->codec, &sample);
    vx_free(owned);
    if (status != VINDEX_OK) return status;
    for (size_t i = 0; i < VX_HNSW_WALKERS; i++) { /* their scorers knew the codec untrained */
        vx_walker *walker = atomic_exchange(&hnsw->idle[i], NULL);
        if (walker) vx_walker_free(walker);
    }
    hnsw->trained = true;
    return VINDEX_OK;
}
