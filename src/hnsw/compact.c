/* Dropping removed rows. Where many went the graph of those that stay is built anew. Where a few
 * did, a node that was linked with one of them looks for new neighbours as a new row would, by a
 * walk over the graph as it was, removed rows included; then every layer gets a new tree. */
#include <omp.h>

#include "hnsw.h"

enum {
    WALK_MOST = 512,
    HEIR_EF = 16,
    MENDED_SHARE = 16 /* up to one row in so many may go before a graph is built anew */
};

/* The graph without what goes, all of it allocated before anything changes. */
typedef struct compaction {
    const vx_hnsw *old;
    vx_hnsw *fresh;                    /* layers and rows alone */
    uint32_t *numbers[VX_HNSW_LAYERS]; /* of each slot in the new layer; VX_LINK_NONE: it goes */
    uint32_t *heirs[VX_HNSW_LAYERS];   /* of those that go, who takes over links that lead far */
    size_t *keep;
    vx_walker **walkers;
    int threads;
} compaction;

static void close_compaction(compaction *c) {
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) {
        vx_free(c->numbers[l]);
        vx_free(c->heirs[l]);
    }
    for (int t = 0; c->walkers && t < c->threads; t++) vx_walker_give(c->old, c->walkers[t]);
    vx_free(c->walkers);
    vx_free(c->keep);
    if (!c->fresh) return;
    c->fresh->codec = NULL; /* the old one's */
    vx_hnsw_free(&c->fresh->base);
}

/* Numbers what stays of a layer, and makes room for it. */
static vindex_status number_layer(compaction *c, size_t level) {
    const vx_layer *from = &c->old->layers[level];
    uint32_t *numbers = vx_alloc(from->count, sizeof *numbers), kept = 0;
    c->numbers[level] = numbers;
    if (!numbers) return vx_fail_memory(from->count, sizeof *numbers, "compact");
    for (uint32_t slot = 0; slot < from->count; slot++)
        numbers[slot] =
            vx_ids_alive(&c->old->ids, vx_layer_row(from, slot)) ? kept++ : VX_LINK_NONE;
    vx_layer *to = &c->fresh->layers[level];
    if (kept) VX_TRY(vx_hnsw_reserve_layer(c->fresh, level, kept, true));
    to->count = kept;
    if (kept) c->fresh->layer_count = level + 1;
    for (uint32_t slot = 0; level && slot < from->count; slot++) {
        if (numbers[slot] == VX_LINK_NONE) continue;
        to->nodes[numbers[slot]] = c->numbers[0][from->nodes[slot]];
        to->below[numbers[slot]] = c->numbers[level - 1][from->below[slot]];
    }
    return VINDEX_OK;
}

/* An index of the same kind without rows, and room for the numbers of those that stay. */
static vindex_status make_empty(compaction *c, size_t kept) {
    const vx_hnsw *old = c->old;
    vx_spec spec;
    const vx_index_kind *kind;
    VX_TRY(vx_spec_parse(old->base.spec, &spec, &kind));
    VX_TRY(vx_hnsw_make(&spec, old->base.dim, old->base.metric, &c->fresh));
    vx_codec_free(c->fresh->codec);
    c->fresh->codec = old->codec;
    c->fresh->largest = old->largest;
    c->fresh->ef_construction = old->ef_construction;
    c->fresh->keep_pruned = old->keep_pruned;
    c->fresh->seed = old->seed;
    c->keep = vx_alloc(kept, sizeof *c->keep);
    return c->keep ? VINDEX_OK : vx_fail_memory(kept, sizeof *c->keep, "compact");
}

static vindex_status plan(compaction *c, size_t kept) {
    const vx_hnsw *old = c->old;
    c->walkers = vx_alloc_zero((size_t)c->threads, sizeof *c->walkers);
    if (!c->walkers) return vx_fail_memory((size_t)c->threads, sizeof *c->walkers, "compact");
    for (int t = 0; t < c->threads; t++) VX_TRY(vx_walker_take(old, WALK_MOST, &c->walkers[t]));
    if (kept) VX_TRY(vx_hnsw_reserve_rows(c->fresh, kept, true));
    for (size_t l = 0; l < old->layer_count; l++) VX_TRY(number_layer(c, l));
    return VINDEX_OK;
}

/* Whether a slot stays. */
static bool stays(const compaction *c, size_t level, uint32_t slot) {
    return c->numbers[level][slot] != VX_LINK_NONE;
}

/* Of a node that goes, the nearest that stays: of its neighbours, or else of those that a short
 * walk meets; the node itself where there is none. */
static vindex_status find_heir(const compaction *c, vx_walker *w, size_t level, uint32_t slot,
                               uint32_t *heir) {
    const vx_layer *layer = &c->old->layers[level];
    const uint32_t *links = vx_layer_links(layer, slot);
    uint32_t rows[2 * VX_HNSW_M_MOST], slots[2 * VX_HNSW_M_MOST];
    float keys[2 * VX_HNSW_M_MOST];
    size_t count = 0, best = 0;
    for (size_t i = 0; i < layer->width && links[i] != VX_LINK_NONE; i++) {
        uint32_t next = vx_link_slot(links[i]);
        if (!stays(c, level, next)) continue;
        slots[count] = next;
        rows[count++] = vx_layer_row(layer, next);
    }
    *heir = slot;
    VX_TRY(vx_walker_load_row(w, vx_layer_row(layer, slot)));
    if (count) {
        vx_walker_keys(w, rows, count, keys);
        for (size_t i = 1; i < count; i++) best = keys[i] < keys[best] ? i : best;
        *heir = slots[best];
        return VINDEX_OK;
    }
    vx_walker_walk(w, layer, slot, HEIR_EF);
    for (size_t i = w->pool_count; i-- > 0;)
        if (stays(c, level, vx_met_slot(w->pool[i]))) *heir = vx_met_slot(w->pool[i]);
    return VINDEX_OK;
}

/* The place of a slot among nodes that were met; count where it is not there. */
static size_t find_met(const uint64_t *met, size_t count, uint32_t slot) {
    size_t place = 0;
    while (place < count && vx_met_slot(met[place]) != slot) place++;
    return place;
}

/* What a node can be linked with: of those that a walk from itself meets, which passes through what
 * goes, those that stay; and links that it keeps whatever the heuristic says (the last bit is set):
 * those it had that stay, and heirs of those that go and lie beyond what the walk met. For links
 * that lead far came to be when the graph was small, and nobody would choose them now. Answers how
 * many, best first. */
static vindex_status find_candidates(const compaction *c, vx_walker *w, size_t level, uint32_t slot,
                                     uint64_t *met, size_t *found) {
    const vx_layer *layer = &c->old->layers[level];
    const uint32_t *links = vx_layer_links(layer, slot);
    uint32_t rows[2 * VX_HNSW_M_MOST], slots[2 * VX_HNSW_M_MOST];
    float keys[2 * VX_HNSW_M_MOST];
    size_t count = 0, others = 0;
    VX_TRY(vx_walker_load_row(w, vx_layer_row(layer, slot)));
    vx_walker_walk(w, layer, slot, VX_MIN(c->old->ef_construction, (size_t)WALK_MOST));
    for (size_t i = 0; i < w->pool_count; i++) {
        uint32_t next = vx_met_slot(w->pool[i]);
        if (next != slot && stays(c, level, next)) met[count++] = w->pool[i] & ~(uint64_t)1;
    }
    size_t walked = count;
    for (size_t i = 0; i < layer->width && links[i] != VX_LINK_NONE; i++) {
        uint32_t next = vx_link_slot(links[i]);
        size_t place = find_met(met, walked, next), same = 0;
        if (place < walked) met[place] |= 1;
        if (find_met(w->pool, w->pool_count, next) < w->pool_count) continue;
        if (!stays(c, level, next)) next = c->heirs[level][next];
        while (same < others && slots[same] != next) same++;
        if (!stays(c, level, next) || next == slot || same < others) continue;
        if (find_met(met, walked, next) < walked) continue;
        slots[others] = next;
        rows[others++] = vx_layer_row(layer, next);
    }
    if (others) vx_walker_keys(w, rows, others, keys);
    for (size_t i = 0; i < others; i++) met[count++] = vx_met(keys[i], slots[i]) | 1;
    vx_met_sort(met, count);
    *found = count;
    return VINDEX_OK;
}

/* Writes the links that a node has from now on: as they were, where it lost none. */
static vindex_status relink(const compaction *c, vx_walker *w, size_t level, uint32_t slot) {
    const vx_layer *layer = &c->old->layers[level];
    const uint32_t *numbers = c->numbers[level], *before = vx_layer_links(layer, slot);
    uint32_t chosen[2 * VX_HNSW_M_MOST];
    size_t kept = 0;
    bool lost = false;
    if (!stays(c, level, slot)) return VINDEX_OK;
    uint32_t *links = vx_layer_links(&c->fresh->layers[level], numbers[slot]);
    for (size_t i = 0; i < layer->width && before[i] != VX_LINK_NONE; i++) {
        uint32_t next = vx_link_slot(before[i]);
        lost = lost || numbers[next] == VX_LINK_NONE;
        chosen[kept++] = next;
    }
    if (lost) {
        uint64_t met[WALK_MOST + 2 * VX_HNSW_M_MOST];
        size_t count;
        VX_TRY(find_candidates(c, w, level, slot, met, &count));
        kept =
            vx_hnsw_select(w, layer, vx_layer_row(layer, slot), met, count, layer->width, chosen);
    }
    for (size_t i = 0; i < layer->width; i++)
        links[i] = i < kept ? numbers[vx_link_slot(chosen[i])] : VX_LINK_NONE;
    return VINDEX_OK;
}

/* What is done with each slot of a layer. */
typedef vindex_status (*slot_fn)(const compaction *c, vx_walker *w, size_t level, uint32_t slot);

static vindex_status name_heir(const compaction *c, vx_walker *w, size_t level, uint32_t slot) {
    if (stays(c, level, slot)) return VINDEX_OK;
    return find_heir(c, w, level, slot, &c->heirs[level][slot]);
}

static vindex_status for_each_slot(const compaction *c, size_t level, slot_fn act) {
    size_t count = c->old->layers[level].count;
    int threads = count < 256 ? 1 : c->threads, failed = VINDEX_OK;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 32) if (threads > 1)
    for (size_t slot = 0; slot < count; slot++) {
        vx_walker *w = c->walkers[threads > 1 ? omp_get_thread_num() : 0];
        vindex_status status = act(c, w, level, (uint32_t)slot);
        if (status == VINDEX_OK) continue;
#pragma omp critical
        failed = status;
    }
    return failed == VINDEX_OK ? VINDEX_OK : vx_fail((vindex_status)failed, "compact: no memory");
}

static vindex_status relink_layer(compaction *c, size_t level) {
    size_t count = c->old->layers[level].count;
    c->heirs[level] = vx_alloc(count, sizeof *c->heirs[level]);
    if (!c->heirs[level]) return vx_fail_memory(count, sizeof *c->heirs[level], "compact");
    VX_TRY(for_each_slot(c, level, name_heir));
    return for_each_slot(c, level, relink);
}

/* Who was chosen links back where there is room: nodes that lost neighbours lost links to
 * themselves too. One node after the other, for the order decides who finds room. */
static void link_back(const vx_layer *layer) {
    for (uint32_t slot = 0; slot < layer->count; slot++)
        for (size_t i = 0; i < layer->width; i++) {
            uint32_t to = vx_layer_links(layer, slot)[i];
            if (to == VX_LINK_NONE) break;
            uint32_t *links = vx_layer_links(layer, to);
            size_t place = 0;
            while (place < layer->width && links[place] != VX_LINK_NONE && links[place] != slot)
                place++;
            if (place < layer->width) links[place] = slot;
        }
}

static void move_rows(const compaction *c) {
    vx_hnsw *fresh = c->fresh;
    fresh->rows.count = fresh->layers[0].count;
    for (size_t row = 0; row < c->old->rows.count; row++) {
        if (c->numbers[0][row] == VX_LINK_NONE) continue;
        vx_hnsw_move_row(c->old->codec, (vx_coded){&c->old->rows, row},
                         (vx_coded){&fresh->rows, c->numbers[0][row]});
    }
}

/* A few went: nodes that lost neighbours find others. */
static vindex_status mend(compaction *c, size_t kept, const vindex_call *call) {
    vx_walker *walker;
    VX_TRY(plan(c, kept));
    for (size_t l = 0; l < c->old->layer_count; l++) VX_TRY(relink_layer(c, l));
    for (size_t l = 0; l < c->fresh->layer_count; l++) link_back(&c->fresh->layers[l]);
    move_rows(c);
    VX_TRY(vx_progress(call->progress, call->progress_context, "compact", 0.9));
    VX_TRY(vx_walker_take(c->fresh, 1, &walker));
    vindex_status status = VINDEX_OK;
    for (size_t l = 0; status == VINDEX_OK && l < c->fresh->layer_count; l++)
        status = vx_hnsw_replant(c->fresh, l, walker);
    vx_walker_free(walker);
    return status;
}

/* Many went: hardly a node has all its neighbours left, and a graph that is built anew is the
 * better one, in hardly more time. */
static vindex_status rebuild(compaction *c, size_t kept, const vindex_call *call) {
    const vx_ids *ids = &c->old->ids;
    uint32_t *rows = vx_alloc(kept, sizeof *rows);
    if (!rows) return vx_fail_memory(kept, sizeof *rows, "compact");
    vx_arrivals new = {.verb = "compact", .from = c->old, .rows = rows};
    for (size_t row = 0; row < ids->count; row++)
        if (vx_ids_alive(ids, row)) rows[new.n++] = (uint32_t)row;
    vindex_status status = vx_hnsw_take(c->fresh, &new, call);
    vx_free(rows);
    return status;
}

/* The index takes over rows and layers; what it had goes with the other. */
static void exchange(vx_hnsw *hnsw, vx_hnsw *fresh) {
    vx_hnsw old = *hnsw;
    hnsw->rows = fresh->rows;
    hnsw->capacity = fresh->capacity;
    hnsw->layer_count = fresh->layer_count;
    memcpy(hnsw->layers, fresh->layers, sizeof hnsw->layers);
    fresh->rows = old.rows;
    fresh->capacity = old.capacity;
    fresh->layer_count = old.layer_count;
    memcpy(fresh->layers, old.layers, sizeof fresh->layers);
}

static vindex_status drop_removed(vx_hnsw *hnsw, const vindex_call *call) {
    compaction c = {.old = hnsw, .threads = vx_threads(call->threads)};
    size_t kept = hnsw->ids.count - hnsw->ids.removed;
    VX_TRY(vx_hnsw_ready(hnsw));
    vindex_status status = make_empty(&c, kept);
    if (status == VINDEX_OK)
        status = hnsw->ids.removed > hnsw->ids.count / MENDED_SHARE ? rebuild(&c, kept, call)
                                                                    : mend(&c, kept, call);
    if (status == VINDEX_OK) status = vx_ids_compact(&hnsw->ids, c.keep);
    if (status == VINDEX_OK) exchange(hnsw, c.fresh);
    close_compaction(&c);
    return status;
}

vindex_status vx_hnsw_compact(vindex_index *index, const vindex_call *call) {
    vx_hnsw *hnsw = (vx_hnsw *)index;
    VX_TRY(vx_progress(call->progress, call->progress_context, "compact", 0));
    if (hnsw->ids.removed) return drop_removed(hnsw, call);
    VX_TRY(vx_hnsw_trim(hnsw));
    return vx_ids_spare(&hnsw->ids) ? vx_ids_compact(&hnsw->ids, NULL) : VINDEX_OK;
}
