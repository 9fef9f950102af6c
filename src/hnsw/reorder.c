/* Rows and links in the order in which the tree is walked, children behind their parents: nodes
 * that are near each other then lie near each other, and a walk reads pages and lines of the cache
 * that it has just read. Arrays are permuted in place, cycle by cycle, so that a large graph needs
 * little more memory than it has. */
#include "hnsw.h"

/* The new order of a layer: which slot comes to each place, and where each goes. */
typedef struct order {
    uint32_t *from, *to;
} order;

typedef struct reordering {
    vx_hnsw *hnsw;
    order layers[VX_HNSW_LAYERS];
    uint32_t *scratch; /* of the bottom layer's count */
    size_t *rows;      /* the bottom's `from`, for the ids */
    uint64_t *done;    /* a bit per place */
    vx_block spare;    /* one row, one slot of the widest layer */
    uint32_t *links;
    uint32_t node, below;
    uint8_t children;
    vx_layer *layer; /* at work */
} reordering;

static void close_reordering(reordering *r) {
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) {
        vx_free(r->layers[l].from);
        vx_free(r->layers[l].to);
    }
    vx_free(r->scratch);
    vx_free(r->rows);
    vx_free(r->done);
    vx_free(r->links);
    vx_free((void *)(uintptr_t)r->spare.data);
    vx_free((void *)(uintptr_t)r->spare.aux);
    vx_free(r->spare.fine);
}

/* All that is needed: from here on nothing can fail but the ids. */
static vindex_status open_reordering(reordering *r) {
    const vx_hnsw *hnsw = r->hnsw;
    const vx_codec *codec = hnsw->codec;
    size_t count = hnsw->rows.count, fine = vx_codec_fine_bytes(codec, 1);
    bool enough = true;
    for (size_t l = 0; l < hnsw->layer_count; l++) {
        order *o = &r->layers[l];
        o->from = vx_alloc(hnsw->layers[l].count, sizeof *o->from);
        o->to = vx_alloc(hnsw->layers[l].count, sizeof *o->to);
        enough = enough && o->from && o->to;
    }
    r->scratch = vx_alloc(count, sizeof *r->scratch);
    r->rows = vx_alloc(count, sizeof *r->rows);
    r->done = vx_alloc(count / 64 + 1, sizeof *r->done);
    r->links = vx_alloc(2 * hnsw->m, sizeof *r->links);
    r->spare.data = vx_alloc(codec->ops->bytes(codec, 1), 1);
    r->spare.aux = vx_alloc_zero(codec->aux_each, sizeof(float));
    r->spare.fine = fine ? vx_alloc(fine, 1) : NULL;
    r->spare.count = 1;
    enough = enough && r->scratch && r->rows && r->done && r->links && r->spare.data &&
             r->spare.aux && (!fine || r->spare.fine);
    return enough ? VINDEX_OK : vx_fail_memory(count, 5 * sizeof(uint32_t), "reorder");
}

/* ---- the order ---- */

/* Puts a slot of the bottom layer at the next place, if it has none yet. */
static bool put(order *o, uint32_t slot, uint32_t *next) {
    if (o->to[slot] != VX_LINK_NONE) return false;
    o->from[*next] = slot;
    o->to[slot] = (*next)++;
    return true;
}

/* The bottom layer: along the tree, depth first. The roots of all layers go before, for each must
 * stay the first of its layer. */
static void order_rows(reordering *r) {
    const vx_layer *layer = &r->hnsw->layers[0];
    order *o = &r->layers[0];
    uint32_t next = 0, *stack = r->scratch;
    size_t waiting = 0;
    memset(o->to, 0xff, layer->count * sizeof *o->to);
    for (size_t l = 0; l < r->hnsw->layer_count; l++)
        put(o, vx_layer_row(&r->hnsw->layers[l], 0), &next);
    stack[waiting++] = 0;
    while (waiting) {
        uint32_t slot = stack[--waiting];
        const uint32_t *links = vx_layer_links(layer, slot);
        put(o, slot, &next);
        for (size_t i = layer->width; i-- > (slot ? 1 : 0);) /* the first is the parent */
            if (links[i] != VX_LINK_NONE && links[i] & VX_LINK_TREE)
                stack[waiting++] = vx_link_slot(links[i]);
    }
    for (size_t i = 0; i < layer->count; i++) r->rows[i] = o->from[i];
}

/* Layers above: their rows must rise. */
static void order_layer(reordering *r, size_t level) {
    const vx_layer *layer = &r->hnsw->layers[level];
    const order *rows = &r->layers[0];
    order *o = &r->layers[level];
    uint32_t *slots = r->scratch, next = 0; /* of each row */
    memset(slots, 0xff, r->hnsw->rows.count * sizeof *slots);
    for (uint32_t slot = 0; slot < layer->count; slot++) slots[layer->nodes[slot]] = slot;
    for (size_t place = 0; place < r->hnsw->rows.count; place++) {
        uint32_t slot = slots[rows->from[place]];
        if (slot == VX_LINK_NONE) continue;
        o->from[next] = slot;
        o->to[slot] = next++;
    }
}

/* ---- carrying it out ---- */

/* Moves what is at one place to another; `count` is the spare one. */
typedef void (*carry_fn)(reordering *r, size_t from, size_t to);

static void permute(reordering *r, const uint32_t *from, size_t count, carry_fn carry) {
    memset(r->done, 0, (count / 64 + 1) * sizeof *r->done);
    for (size_t start = 0; start < count; start++) {
        if (r->done[start / 64] >> (start % 64) & 1 || from[start] == start) continue;
        carry(r, start, count);
        for (size_t at = start, next;; at = next) {
            next = from[at];
            r->done[at / 64] |= (uint64_t)1 << (at % 64);
            carry(r, next == start ? count : next, at);
            if (next == start) break;
        }
    }
}

static void carry_row(reordering *r, size_t from, size_t to) {
    const vx_block *rows = &r->hnsw->rows;
    size_t count = rows->count;
    vx_hnsw_move_row(r->hnsw->codec,
                     from < count ? (vx_coded){rows, from} : (vx_coded){&r->spare, 0},
                     to < count ? (vx_coded){rows, to} : (vx_coded){&r->spare, 0});
}

static void carry_slot(reordering *r, size_t from, size_t to) {
    const vx_layer *l = r->layer;
    vx_layer spare = {.links = r->links,
                      .nodes = &r->node,
                      .below = &r->below,
                      .children = &r->children,
                      .width = l->width};
    const vx_layer *source = from < l->count ? l : &spare, *target = to < l->count ? l : &spare;
    size_t a = from < l->count ? from : 0, b = to < l->count ? to : 0;
    memcpy(vx_layer_links(target, b), vx_layer_links(source, a), l->width * sizeof *l->links);
    target->children[b] = source->children[a];
    if (!l->nodes) return;
    target->nodes[b] = source->nodes[a];
    target->below[b] = source->below[a];
}

/* Slots under their new numbers. */
static void renumber(const reordering *r, size_t level) {
    vx_layer *layer = &r->hnsw->layers[level];
    const uint32_t *to = r->layers[level].to;
    for (size_t slot = 0; slot < layer->count; slot++) {
        uint32_t *links = vx_layer_links(layer, slot);
        for (size_t i = 0; i < layer->width && links[i] != VX_LINK_NONE; i++)
            links[i] = to[vx_link_slot(links[i])] | (links[i] & VX_LINK_TREE);
        if (!level) continue;
        layer->nodes[slot] = r->layers[0].to[layer->nodes[slot]];
        layer->below[slot] = r->layers[level - 1].to[layer->below[slot]];
    }
}

static void carry_out(reordering *r) {
    vx_hnsw *hnsw = r->hnsw;
    permute(r, r->layers[0].from, hnsw->rows.count, carry_row);
    for (size_t l = 0; l < hnsw->layer_count; l++) {
        r->layer = &hnsw->layers[l];
        renumber(r, l);
        permute(r, r->layers[l].from, r->layer->count, carry_slot);
    }
}

vindex_status vx_hnsw_reorder(vindex_index *index, const vindex_call *call) {
    reordering r = {.hnsw = (vx_hnsw *)index};
    VX_TRY(vx_progress(call->progress, call->progress_context, "reorder", 0));
    if (!r.hnsw->rows.count) return VINDEX_OK;
    VX_TRY(vx_hnsw_ready(r.hnsw));
    vindex_status status = open_reordering(&r);
    if (status == VINDEX_OK) {
        order_rows(&r);
        for (size_t l = 1; l < r.hnsw->layer_count; l++) order_layer(&r, l);
        status = vx_progress(call->progress, call->progress_context, "reorder", 0.2);
    }
    if (status == VINDEX_OK) {
        status = vx_ids_reorder(&r.hnsw->ids, r.rows);
    }
    if (status == VINDEX_OK) carry_out(&r);
    close_reordering(&r);
    return status;
}
