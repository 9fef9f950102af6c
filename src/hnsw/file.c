/* Saving and loading. Sections: "index"; "hnsw" (see put_facts); "vectors" ("codes" where the codec
 * has learnt what they stand for), "aux" (a float each, or two) and, where the codec has such,
 * "fine"; "links" (of the bottom layer, u32); for the layers above, one after the other, "upnodes"
 * (rows, u32) and "uplinks" (slots, u32), and "upsizes" (slots of each, u64); what the codec
 * learnt; and those of the ids. */
#include <math.h>

#include "hnsw.h"

enum { FACTS = 64, KEEP_PRUNED = 1, TRAINED = 2, FLAGS = 4 };

/* At 0 flags u32; 4 layers u32; 8 ef_construction u64; 16 seed u64; 24 levels drawn u64; 32 the
 * largest of what the codec said of rows, f32; zeros behind. */
static void put_facts(const vx_hnsw *hnsw, unsigned char *bytes) {
    uint32_t word;
    memset(bytes, 0, FACTS);
    vx_put_u32(bytes, (hnsw->keep_pruned ? KEEP_PRUNED : 0u) | (hnsw->trained ? TRAINED : 0u));
    vx_put_u32(bytes + 4, (uint32_t)hnsw->layer_count);
    vx_put_u64(bytes + 8, hnsw->ef_construction);
    vx_put_u64(bytes + 16, hnsw->seed);
    vx_put_u64(bytes + 24, hnsw->drawn);
    memcpy(&word, &hnsw->largest, sizeof word);
    vx_put_u32(bytes + 32, word);
}

/* Answers false for numbers that no index can have. */
static bool get_facts(vx_hnsw *hnsw, const unsigned char *bytes) {
    uint32_t flags = vx_get_u32(bytes), word = vx_get_u32(bytes + 32);
    hnsw->keep_pruned = flags & KEEP_PRUNED;
    hnsw->trained = flags & TRAINED;
    hnsw->layer_count = vx_get_u32(bytes + 4);
    hnsw->ef_construction = vx_get_u64(bytes + 8);
    hnsw->seed = vx_get_u64(bytes + 16);
    hnsw->drawn = vx_get_u64(bytes + 24);
    memcpy(&hnsw->largest, &word, sizeof word);
    for (size_t i = 36; i < FACTS; i++)
        if (bytes[i]) return false;
    return flags < FLAGS && hnsw->layer_count <= VX_HNSW_LAYERS && hnsw->ef_construction >= 1 &&
           hnsw->ef_construction <= VX_HNSW_EF_MOST && hnsw->largest >= 0 &&
           (hnsw->trained || hnsw->codec->ops->train);
}

void vx_hnsw_describe(const vindex_index *index, vx_index_header *header) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    header->rows = hnsw->ids.count;
    header->largest_id = hnsw->ids.largest;
}

uint32_t vx_hnsw_section_count(const vindex_index *index) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    const vx_codec_ops *codec = hnsw->codec->ops;
    uint32_t learnt = hnsw->trained ? (uint32_t)hnsw->codec->sections : 0;
    return 7 + learnt + (codec->fine_bytes != NULL) + vx_ids_section_count(&hnsw->ids);
}

static vindex_status save_upper(const vx_hnsw *hnsw, vx_container_writer *writer) {
    VX_TRY(vx_container_begin(writer, "upsizes"));
    for (size_t l = 1; l < hnsw->layer_count; l++) {
        unsigned char size[8];
        vx_put_u64(size, hnsw->layers[l].count);
        VX_TRY(vx_container_append(writer, size, sizeof size));
    }
    VX_TRY(vx_container_end(writer));
    VX_TRY(vx_container_begin(writer, "upnodes"));
    for (size_t l = 1; l < hnsw->layer_count; l++)
        VX_TRY(vx_container_append(writer, hnsw->layers[l].nodes,
                                   hnsw->layers[l].count * sizeof(uint32_t)));
    VX_TRY(vx_container_end(writer));
    VX_TRY(vx_container_begin(writer, "uplinks"));
    for (size_t l = 1; l < hnsw->layer_count; l++)
        VX_TRY(
            vx_container_append(writer, hnsw->layers[l].links,
                                hnsw->layers[l].count * hnsw->layers[l].width * sizeof(uint32_t)));
    return vx_container_end(writer);
}

/* Vectors as they are, or codes, row by row. (Before that codes lay in groups, under the first
 * tag.)
 */
static const char *data_tag(const vx_hnsw *hnsw) {
    return hnsw->codec->ops->train ? "codes" : "vectors";
}

/* The one long section, told piece by piece. */
static vindex_status save_vectors(const vx_hnsw *hnsw, vx_container_writer *writer,
                                  const vindex_call *call) {
    enum { PIECE = 64 << 20 };
    size_t bytes = hnsw->codec->ops->bytes(hnsw->codec, hnsw->rows.count);
    VX_TRY(vx_container_begin(writer, data_tag(hnsw)));
    for (size_t done = 0; done < bytes; done += PIECE) {
        VX_TRY(vx_progress(call->progress, call->progress_context, "save",
                           (double)done / (double)bytes));
        VX_TRY(vx_container_append(writer, (const char *)hnsw->rows.data + done,
                                   VX_MIN(bytes - done, (size_t)PIECE)));
    }
    VX_TRY(vx_container_end(writer));
    return vx_progress(call->progress, call->progress_context, "save", 1);
}

vindex_status vx_hnsw_save(const vindex_index *index, vx_container_writer *writer,
                           const vindex_call *call) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    const vx_layer *bottom = &hnsw->layers[0];
    unsigned char facts[FACTS];
    put_facts(hnsw, facts);
    VX_TRY(vx_container_section(writer, "hnsw", facts, sizeof facts));
    VX_TRY(save_upper(hnsw, writer));
    VX_TRY(vx_container_section(writer, "links", bottom->links,
                                bottom->count * bottom->width * sizeof(uint32_t)));
    VX_TRY(vx_container_section(writer, "aux", hnsw->rows.aux,
                                hnsw->rows.count * hnsw->codec->aux_each * sizeof(float)));
    VX_TRY(save_vectors(hnsw, writer, call));
    const vx_codec_ops *codec = hnsw->codec->ops;
    if (codec->fine_bytes)
        VX_TRY(vx_container_section(writer, "fine", hnsw->rows.fine,
                                    codec->fine_bytes(hnsw->codec, hnsw->rows.count)));
    if (hnsw->trained && codec->save) VX_TRY(codec->save(hnsw->codec, writer));
    return vx_ids_save(&hnsw->ids, writer);
}

static vindex_status damaged(const vx_container *file, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: %s; the file is damaged", vx_container_path(file), what);
}

/* A section that must hold exactly count items of size bytes. */
static vindex_status find(const vx_container *file, const char *tag, size_t count, size_t size,
                          vx_section *section) {
    size_t bytes;
    VX_TRY(vx_container_find(file, tag, false, section));
    if (vx_mul(count, size, &bytes) && bytes == section->length) return VINDEX_OK;
    return vx_fail(
        VINDEX_ERR_FORMAT,
        "%s: section '%s' has %zu bytes, which is not %zu items of %zu; the file is damaged",
        vx_container_path(file), tag, section->length, count, size);
}

/* Finds each node of an upper layer in the layer below it, both being in order. */
static bool connect(vx_hnsw *hnsw, size_t level) {
    vx_layer *layer = &hnsw->layers[level];
    const vx_layer *below = &hnsw->layers[level - 1];
    for (size_t slot = 0, at = 0; slot < layer->count; slot++, at++) {
        uint32_t row = layer->nodes[slot];
        while (at < below->count && vx_layer_row(below, (uint32_t)at) < row)
            at = below->nodes ? at + 1 : row;
        if (at >= below->count || vx_layer_row(below, (uint32_t)at) != row) return false;
        layer->below[slot] = (uint32_t)at;
    }
    return true;
}

/* Points the layers above into the map. */
static vindex_status map_upper(vx_hnsw *hnsw, const vx_container *file) {
    vx_section sizes, nodes, links;
    size_t above = hnsw->layer_count ? hnsw->layer_count - 1 : 0, total = 0;
    VX_TRY(find(file, "upsizes", above, 8, &sizes));
    for (size_t l = 0; l < above; l++) {
        uint64_t size = vx_get_u64(sizes.bytes + 8 * l);
        if (!size || size > hnsw->ids.count)
            return damaged(file, "a layer has no node, or more than there are");
        hnsw->layers[l + 1].count = size;
        total += size;
    }
    VX_TRY(find(file, "upnodes", total, sizeof(uint32_t), &nodes));
    VX_TRY(find(file, "uplinks", total, hnsw->m * sizeof(uint32_t), &links));
    for (size_t l = 1, at = 0; l <= above; l++) {
        vx_layer *layer = &hnsw->layers[l];
        layer->nodes = (uint32_t *)(uintptr_t)nodes.bytes + at;
        layer->links = (uint32_t *)(uintptr_t)links.bytes + at * layer->width;
        layer->below = vx_alloc(layer->count, sizeof *layer->below);
        if (!layer->below) return vx_fail_memory(layer->count, sizeof *layer->below, "load");
        if (!connect(hnsw, l)) return damaged(file, "a node is not in the layer below its own");
        at += layer->count;
    }
    return VINDEX_OK;
}

static vindex_status map_rows(vx_hnsw *hnsw, const vx_container *file) {
    vx_section links, aux, vectors, fine = {0};
    size_t rows = hnsw->ids.count;
    VX_TRY(find(file, "links", rows, hnsw->layers[0].width * sizeof(uint32_t), &links));
    if (!vx_container_has(file, data_tag(hnsw)) && vx_container_has(file, "vectors"))
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: it is of an earlier vindex, which laid codes out otherwise; build the "
                       "index anew",
                       vx_container_path(file));
    VX_TRY(find(file, "aux", rows, hnsw->codec->aux_each * sizeof(float), &aux));
    VX_TRY(find(file, data_tag(hnsw), hnsw->codec->ops->bytes(hnsw->codec, rows), 1, &vectors));
    if (hnsw->codec->ops->fine_bytes)
        VX_TRY(find(file, "fine", hnsw->codec->ops->fine_bytes(hnsw->codec, rows), 1, &fine));
    hnsw->rows = (vx_block){.data = vectors.bytes,
                            .fine = (void *)(uintptr_t)fine.bytes,
                            .aux = (const float *)(const void *)aux.bytes,
                            .count = rows};
    hnsw->layers[0].links = (uint32_t *)(uintptr_t)links.bytes;
    hnsw->layers[0].count = rows;
    return VINDEX_OK;
}

static vindex_status check_layers(const vx_hnsw *hnsw, const vx_container *file) {
    for (size_t l = 0; l < hnsw->layer_count; l++) {
        bool sound;
        VX_TRY(vx_layer_check(&hnsw->layers[l], &sound));
        if (!sound) return damaged(file, "its links are no graph that hangs together");
    }
    return VINDEX_OK;
}

static vindex_status load_into(vx_hnsw *hnsw, const vx_index_header *header,
                               const vx_container *file, bool map, bool verify) {
    vx_section facts;
    VX_TRY(find(file, "hnsw", FACTS, 1, &facts));
    if (!get_facts(hnsw, facts.bytes) || header->rows > VX_HNSW_NODES_MOST ||
        !header->rows != !hnsw->layer_count || (header->rows && !hnsw->trained)) {
        hnsw->layer_count = 0;
        return damaged(file, "its hnsw section holds what no index has");
    }
    VX_TRY(vx_ids_load(&hnsw->ids, file, header->rows, header->largest_id, verify));
    if (hnsw->trained && hnsw->codec->ops->load)
        VX_TRY(hnsw->codec->ops->load(hnsw->codec, file, verify));
    VX_TRY(map_rows(hnsw, file));
    VX_TRY(map_upper(hnsw, file));
    hnsw->trusted = verify;
    if (verify) VX_TRY(check_layers(hnsw, file));
    return map ? VINDEX_OK : vx_hnsw_own(hnsw);
}

vindex_status vx_hnsw_load(const vx_spec *spec, const vx_index_header *header, vx_container *file,
                           bool map, bool verify, vindex_index **index) {
    vx_hnsw *hnsw;
    VX_TRY(vx_hnsw_make(spec, header->dim, (vindex_metric)header->metric, &hnsw));
    vindex_status status = load_into(hnsw, header, file, map, verify);
    if (status != VINDEX_OK) {
        vx_hnsw_free(&hnsw->base);
        return status;
    }
    hnsw->base.file = file;
    *index = &hnsw->base;
    return VINDEX_OK;
}
