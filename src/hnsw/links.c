/* Links back to what is new, and the tree that keeps every node in reach.
 *
 * New nodes chose their neighbours alone, each looking at the same graph. Here they become part of
 * it in an order of their own: first the tree takes them in, one after the other; then every node
 * that got links prunes them where there are too many, nodes side by side, for each changes its own
 * links only. */
#include <omp.h>

#include "hnsw.h"

/* ---- taking back ---- */

/* Links of a slot as they were. */
typedef struct undo_record {
    uint32_t level, slot;
    uint8_t children;
} undo_record;

struct vx_undo {
    size_t counts[VX_HNSW_LAYERS];     /* slots before */
    uint64_t *touched[VX_HNSW_LAYERS]; /* a bit per slot that is recorded; NULL: one may be twice */
    undo_record *records;
    uint32_t *links; /* of the records, one after the other */
    size_t count, room, link_count, link_room;
};

void vx_undo_free(vx_undo *undo) {
    if (!undo) return;
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) vx_free(undo->touched[l]);
    vx_free(undo->records);
    vx_free(undo->links);
    vx_free(undo);
}

vindex_status vx_undo_create(const vx_hnsw *hnsw, bool once, vx_undo **result) {
    vx_undo *undo = vx_alloc_zero(1, sizeof *undo);
    if (!undo) return vx_fail_memory(1, sizeof *undo, "add");
    for (size_t l = 0; l < hnsw->layer_count; l++) {
        size_t words = hnsw->layers[l].count / 64 + 1;
        undo->counts[l] = hnsw->layers[l].count;
        if (once) continue;
        undo->touched[l] = vx_alloc_zero(words, sizeof *undo->touched[l]);
        if (undo->touched[l]) continue;
        vx_undo_free(undo);
        return vx_fail_memory(words, sizeof *undo->touched[l], "add");
    }
    *result = undo;
    return VINDEX_OK;
}

/* Remembers the links of a slot that was there before. */
static vindex_status touch(vx_undo *undo, const vx_hnsw *hnsw, const vx_layer *layer,
                           uint32_t slot) {
    size_t level = (size_t)(layer - hnsw->layers);
    if (!undo || slot >= undo->counts[level]) return VINDEX_OK;
    uint64_t *words = undo->touched[level], bit = (uint64_t)1 << (slot % 64);
    if (words && words[slot / 64] & bit) return VINDEX_OK;
    void *records = undo->records, *links = undo->links;
    bool grown = vx_grow(&records, &undo->room, undo->count + 1, sizeof *undo->records);
    undo->records = records;
    grown = grown &&
            vx_grow(&links, &undo->link_room, undo->link_count + layer->width, sizeof *undo->links);
    undo->links = links;
    if (!grown) return vx_fail_memory(undo->link_count, sizeof *undo->links, "add: links before");
    if (words) words[slot / 64] |= bit;
    undo->records[undo->count++] = (undo_record){(uint32_t)level, slot, layer->children[slot]};
    memcpy(undo->links + undo->link_count, vx_layer_links(layer, slot),
           layer->width * sizeof *undo->links);
    undo->link_count += layer->width;
    return VINDEX_OK;
}

void vx_undo_apply(vx_hnsw *hnsw, const vx_undo *undo) {
    size_t at = undo->link_count;
    for (size_t i = undo->count; i-- > 0;) { /* backwards: the oldest record holds */
        undo_record record = undo->records[i];
        vx_layer *layer = &hnsw->layers[record.level];
        at -= layer->width;
        memcpy(vx_layer_links(layer, record.slot), undo->links + at,
               layer->width * sizeof *undo->links);
        layer->children[record.slot] = record.children;
    }
}

/* ---- rows of links ---- */

static size_t degree(const vx_layer *layer, const uint32_t *links) {
    size_t count = 0;
    while (count < layer->width && links[count] != VX_LINK_NONE) count++;
    return count;
}

/* The place of a slot among links; width where it is not there. */
static size_t find_link(const vx_layer *layer, const uint32_t *links, uint32_t slot) {
    size_t place = 0;
    while (place < layer->width && vx_link_slot(links[place]) != slot) place++;
    return place;
}

/* Puts a link of the tree into a row; answers the link that had to go, VX_LINK_NONE where there was
 * room. There always is one that may: a parent and the children never fill a row. */
static uint32_t put_tree_link(const vx_layer *layer, uint32_t *links, uint32_t slot) {
    size_t place = find_link(layer, links, slot), count;
    uint32_t gone = VX_LINK_NONE;
    if (place == layer->width && (count = degree(layer, links)) < layer->width) place = count;
    if (place == layer->width) {
        while (links[--place] & VX_LINK_TREE) continue;
        gone = links[place];
    }
    links[place] = slot | VX_LINK_TREE;
    return gone;
}

/* ---- the tree ---- */

/* Links on their way: target << 32 | link. */
typedef struct pairs {
    uint64_t *each;
    size_t count, room;
} pairs;

static vindex_status push_pair(pairs *p, uint32_t target, uint32_t link) {
    void *each = p->each;
    if (!vx_grow(&each, &p->room, p->count + 1, sizeof *p->each))
        return vx_fail_memory(p->count + 1, sizeof *p->each, "add: links");
    p->each = each;
    p->each[p->count++] = (uint64_t)target << 32 | link;
    return VINDEX_OK;
}

/* A layer that takes nodes into its tree. What links give way to the tree's goes to `displaced`, to
 * be weighed again; NULL: it is lost. */
typedef struct planting {
    vx_hnsw *hnsw;
    vx_layer *layer;
    size_t first;      /* slots before it are in the tree */
    uint8_t *attached; /* per slot from there on */
    pairs *displaced;
    vx_undo *undo;
} planting;

static bool in_tree(const planting *p, uint32_t slot) {
    return slot < p->first || p->attached[slot - p->first];
}

static vindex_status displace(const planting *p, uint32_t target, uint32_t gone) {
    return gone == VX_LINK_NONE || !p->displaced ? VINDEX_OK
                                                 : push_pair(p->displaced, target, gone);
}

/* Makes `child` a child of `parent`, which has room for one. */
static vindex_status adopt(const planting *p, uint32_t parent, uint32_t child) {
    const vx_layer *layer = p->layer;
    VX_TRY(touch(p->undo, p->hnsw, layer, parent));
    uint32_t *own = vx_layer_links(layer, child);
    VX_TRY(displace(p, parent, put_tree_link(layer, vx_layer_links(layer, parent), child)));
    VX_TRY(displace(p, child, put_tree_link(layer, own, parent)));
    size_t place = find_link(layer, own, parent);
    uint32_t link = own[place];
    own[place] = own[0];
    own[0] = link;
    layer->children[parent]++;
    p->attached[child - p->first] = 1;
    return VINDEX_OK;
}

/* The first node below `from` in the tree, or itself, that has room for a child. */
static uint32_t with_room(const vx_layer *layer, uint32_t from) {
    while (layer->children[from] >= vx_layer_children_most(layer)) {
        const uint32_t *links = vx_layer_links(layer, from);
        size_t place = from ? 1 : 0; /* the parent is at 0, but for the root */
        while (!(links[place] & VX_LINK_TREE)) place++;
        from = vx_link_slot(links[place]);
    }
    return from;
}

/* A neighbour of a node that is in the tree, best one with room for a child; false: none is. */
static bool find_parent(const planting *p, uint32_t slot, uint32_t *parent) {
    const uint32_t *links = vx_layer_links(p->layer, slot);
    size_t count = degree(p->layer, links), most = vx_layer_children_most(p->layer);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        uint32_t next = vx_link_slot(links[i]);
        if (!in_tree(p, next)) continue;
        bool room = p->layer->children[next] < most;
        if (room || !found) *parent = next;
        found = true;
        if (room) return true;
    }
    return found;
}

/* Takes the slots first ... end-1 into the tree: under neighbours as long as that leads further,
 * then whoever is left under what the tree offers. */
static vindex_status plant(const planting *p, size_t end) {
    size_t left = end - p->first, before;
    if (!p->first) {
        p->attached[0] = 1; /* the root */
        left--;
    }
    do {
        before = left;
        for (size_t slot = p->first; slot < end; slot++) {
            uint32_t parent;
            if (in_tree(p, (uint32_t)slot) || !find_parent(p, (uint32_t)slot, &parent)) continue;
            VX_TRY(adopt(p, with_room(p->layer, parent), (uint32_t)slot));
            left--;
        }
    } while (left && left < before);
    for (size_t slot = p->first; left && slot < end; slot++) {
        uint32_t parent = 0;
        if (in_tree(p, (uint32_t)slot)) continue;
        find_parent(p, (uint32_t)slot, &parent);
        VX_TRY(adopt(p, with_room(p->layer, parent), (uint32_t)slot));
        left--;
    }
    return VINDEX_OK;
}

/* ---- links back ---- */

enum { PAIR_DIGIT = 11 /* bits that pairs are sorted by at a time */ };

/* One pass of a sort by digits: stable, from one array to another. */
static void sort_digit(const uint64_t *from, uint64_t *to, size_t count, int shift) {
    enum { DIGITS = 1 << PAIR_DIGIT };
    size_t starts[DIGITS] = {0}, start = 0;
    for (size_t i = 0; i < count; i++) starts[from[i] >> shift & (DIGITS - 1)]++;
    for (size_t d = 0; d < DIGITS; d++) {
        size_t size = starts[d];
        starts[d] = start;
        start += size;
    }
    for (size_t i = 0; i < count; i++) to[starts[from[i] >> shift & (DIGITS - 1)]++] = from[i];
}

/* Digit by digit, the lowest first; those that all numbers share are left out. A few are sorted as
 * lists are. */
static vindex_status sort_all(pairs *p) {
    enum { FEW = 512 };
    uint64_t any = 0, all = UINT64_MAX;
    if (p->count < FEW) {
        vx_met_sort(p->each, p->count);
        return VINDEX_OK;
    }
    uint64_t *other = vx_alloc(p->room, sizeof *other);
    if (!other) return vx_fail_memory(p->room, sizeof *other, "add: links");
    for (size_t i = 0; i < p->count; i++) {
        any |= p->each[i];
        all &= p->each[i];
    }
    for (int shift = 0; shift < 64; shift += PAIR_DIGIT) {
        if (!((any ^ all) >> shift & (((uint64_t)1 << PAIR_DIGIT) - 1))) continue;
        sort_digit(p->each, other, p->count, shift);
        uint64_t *sorted = other;
        other = p->each;
        p->each = sorted;
    }
    vx_free(other);
    return VINDEX_OK;
}

/* Scratch of one thread: all links that a node might have. */
typedef struct merger {
    uint64_t *candidates;
    uint32_t *slots, *rows;
    float *keys;
} merger;

static bool open_merger(merger *m, size_t room) {
    *m = (merger){vx_alloc(room, sizeof *m->candidates), vx_alloc(room, sizeof *m->slots),
                  vx_alloc(room, sizeof *m->rows), vx_alloc(room, sizeof *m->keys)};
    return m->candidates && m->slots && m->rows && m->keys;
}

static void close_merger(merger *m) {
    vx_free(m->candidates);
    vx_free(m->slots);
    vx_free(m->rows);
    vx_free(m->keys);
}

/* Gives a node its own links and `count` more; prunes them where they are too many. */
static vindex_status merge(const vx_joining *j, vx_walker *w, merger *m, const uint64_t *more,
                           size_t count) {
    const vx_layer *layer = j->layer;
    uint32_t target = (uint32_t)(more[0] >> 32), *links = vx_layer_links(layer, target);
    size_t own = degree(layer, links), all = own;
    memcpy(m->slots, links, own * sizeof *links);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = vx_link_slot((uint32_t)more[i]);
        bool twice = i && more[i] == more[i - 1];
        if (!twice && slot != target && find_link(layer, links, slot) == layer->width)
            m->slots[all++] = slot;
    }
    if (all <= layer->width) {
        memcpy(links + own, m->slots + own, (all - own) * sizeof *links);
        return VINDEX_OK;
    }
    uint32_t row = vx_layer_row(layer, target), parent = links[0];
    VX_TRY(vx_walker_load_row(w, row));
    for (size_t i = 0; i < all; i++) m->rows[i] = vx_layer_row(layer, vx_link_slot(m->slots[i]));
    vx_walker_keys(w, m->rows, all, m->keys);
    for (size_t i = 0; i < all; i++)
        m->candidates[i] = vx_met(m->keys[i], vx_link_slot(m->slots[i])) | (m->slots[i] >> 31);
    vx_met_sort(m->candidates, all);
    size_t kept = vx_hnsw_select(w, layer, row, m->candidates, all, layer->width, links);
    for (size_t i = kept; i < layer->width; i++) links[i] = VX_LINK_NONE;
    if (!target) return VINDEX_OK;
    size_t place = find_link(layer, links, vx_link_slot(parent));
    links[place] = links[0];
    links[0] = parent;
    return VINDEX_OK;
}

/* The pairs of one target after the other's, sorted; runs holds where each begins. */
static vindex_status merge_all(const vx_joining *j, const pairs *p, const size_t *runs,
                               size_t run_count, size_t longest) {
    enum { AHEAD = 8 }; /* targets whose links memory is asked for */
    int failed = VINDEX_OK;
    int threads = run_count < 64 ? 1 : j->threads;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        merger m;
        bool opened = open_merger(&m, longest + j->layer->width);
        vx_walker *w = j->walkers[threads > 1 ? VX_CREW * omp_get_thread_num() : 0];
        vindex_status status = opened ? VINDEX_OK : VINDEX_ERR_MEMORY;
#pragma omp for schedule(dynamic, 16)
        for (size_t r = 0; r < run_count; r++) {
            if (r + AHEAD < run_count) vx_layer_fetch(j->layer, p->each[runs[r + AHEAD]] >> 32);
            if (status == VINDEX_OK)
                status = merge(j, w, &m, p->each + runs[r], runs[r + 1] - runs[r]);
        }
        if (status != VINDEX_OK) {
#pragma omp critical
            failed = status;
        }
        close_merger(&m);
    }
    return failed == VINDEX_OK ? VINDEX_OK
                               : vx_fail((vindex_status)failed, "add: no memory to link vectors");
}

/* Sorts the pairs and finds where each target's begin. */
static vindex_status sort_pairs(const vx_joining *j, pairs *p, size_t **result, size_t *count,
                                size_t *longest) {
    size_t *runs = vx_alloc(p->count + 1, sizeof *runs);
    if (!runs) return vx_fail_memory(p->count + 1, sizeof *runs, "add: links");
    vindex_status status = sort_all(p);
    *count = *longest = 0;
    for (size_t i = 0; status == VINDEX_OK && i < p->count; i++) {
        if (i && p->each[i] >> 32 == p->each[i - 1] >> 32) continue;
        if (*count) *longest = VX_MAX(*longest, i - runs[*count - 1]);
        runs[(*count)++] = i;
        status = touch(j->undo, j->hnsw, j->layer, (uint32_t)(p->each[i] >> 32));
    }
    runs[*count] = p->count;
    if (*count) *longest = VX_MAX(*longest, p->count - runs[*count - 1]);
    if (status != VINDEX_OK) {
        vx_free(runs);
        return status;
    }
    *result = runs;
    return VINDEX_OK;
}

static vindex_status collect(const vx_joining *j, pairs *p) {
    for (size_t slot = j->first; slot < j->end; slot++) {
        const uint32_t *links = vx_layer_links(j->layer, slot);
        size_t count = degree(j->layer, links);
        for (size_t i = 0; i < count; i++)
            VX_TRY(push_pair(p, vx_link_slot(links[i]), (uint32_t)slot));
    }
    return VINDEX_OK;
}

vindex_status vx_hnsw_join(const vx_joining *j) {
    pairs p = {0};
    planting tree = {.hnsw = j->hnsw,
                     .layer = j->layer,
                     .first = j->first,
                     .attached = vx_alloc_zero(j->end - j->first, 1),
                     .displaced = &p,
                     .undo = j->undo};
    size_t *runs = NULL, run_count = 0, longest = 0;
    vindex_status status =
        tree.attached ? collect(j, &p) : vx_fail_memory(j->end - j->first, 1, "add: the tree");
    if (status == VINDEX_OK) status = plant(&tree, j->end);
    if (status == VINDEX_OK) status = sort_pairs(j, &p, &runs, &run_count, &longest);
    if (status == VINDEX_OK) status = merge_all(j, &p, runs, run_count, longest);
    vx_free(runs);
    vx_free(p.each);
    vx_free(tree.attached);
    return status;
}

/* ---- from the beginning ---- */

/* Drops what is no link: out of range, to itself, twice. */
static void tidy(const vx_layer *layer, size_t slot) {
    uint32_t *links = vx_layer_links(layer, slot);
    size_t kept = 0;
    for (size_t i = 0; i < layer->width; i++) {
        uint32_t next = vx_link_slot(links[i]);
        bool good = next < layer->count && next != slot;
        for (size_t k = 0; good && k < kept; k++) good = links[k] != next;
        if (good) links[kept++] = next;
    }
    for (; kept < layer->width; kept++) links[kept] = VX_LINK_NONE;
}

/* A node of the tree near a node that no link leads to. */
static vindex_status nearest_in_tree(const planting *p, vx_walker *w, uint32_t slot,
                                     uint32_t *parent) {
    enum { LOOK_AT = 32 };
    *parent = 0;
    if (find_parent(p, slot, parent)) return VINDEX_OK;
    VX_TRY(vx_walker_load_row(w, vx_layer_row(p->layer, slot)));
    VX_TRY(vx_walker_fit(w, LOOK_AT, p->layer->width));
    vx_walker_walk(w, p->layer, 0, LOOK_AT);
    for (size_t i = 0; i < w->pool_count; i++) {
        *parent = vx_met_slot(w->pool[i]);
        if (in_tree(p, *parent)) return VINDEX_OK;
    }
    *parent = 0;
    return VINDEX_OK;
}

/* Grows the tree along links, breadth first; whoever is not reached is hung up and grown from. */
static vindex_status grow_tree(const planting *p, vx_walker *w, uint32_t *queue) {
    const vx_layer *layer = p->layer;
    size_t most = vx_layer_children_most(layer), queued = 1, taken = 0;
    queue[0] = 0;
    p->attached[0] = 1;
    for (uint32_t next = 1; queued < layer->count;) {
        for (; taken < queued; taken++) {
            uint32_t from = queue[taken];
            for (size_t i = 0; i < layer->width && layer->children[from] < most; i++) {
                uint32_t to = vx_link_slot(vx_layer_links(layer, from)[i]);
                if (to >= layer->count || in_tree(p, to)) continue;
                VX_TRY(adopt(p, from, to));
                queue[queued++] = to;
            }
        }
        while (next < layer->count && in_tree(p, next)) next++;
        if (next == layer->count) break;
        uint32_t parent;
        VX_TRY(nearest_in_tree(p, w, next, &parent));
        VX_TRY(adopt(p, with_room(layer, parent), next));
        queue[queued++] = next;
    }
    return VINDEX_OK;
}

vindex_status vx_hnsw_replant(vx_hnsw *hnsw, size_t level, vx_walker *walker) {
    vx_layer *layer = &hnsw->layers[level];
    planting p = {.hnsw = hnsw, .layer = layer, .attached = vx_alloc_zero(layer->count, 1)};
    uint32_t *queue = vx_alloc(layer->count, sizeof *queue);
    vindex_status status = VINDEX_OK;
    if (!p.attached || !queue)
        status = vx_fail_memory(layer->count, 1 + sizeof *queue, "the tree of a graph");
    for (size_t slot = 0; status == VINDEX_OK && slot < layer->count; slot++) {
        tidy(layer, slot);
        layer->children[slot] = 0;
    }
    if (status == VINDEX_OK && layer->count) status = grow_tree(&p, walker, queue);
    vx_free(queue);
    vx_free(p.attached);
    return status;
}

/* Whether a row of links is one: in range, none twice or to itself, padding behind. */
static bool row_sound(const vx_layer *layer, size_t slot) {
    const uint32_t *links = vx_layer_links(layer, slot);
    size_t count = degree(layer, links);
    for (size_t i = 0; i < count; i++) {
        if (vx_link_slot(links[i]) >= layer->count || vx_link_slot(links[i]) == slot) return false;
        if (find_link(layer, links, vx_link_slot(links[i])) < i) return false;
    }
    for (size_t i = count; i < layer->width; i++)
        if (links[i] != VX_LINK_NONE) return false;
    return true;
}

/* Every slot but the root has a parent, which knows it; the others of the tree are children. */
static bool place_sound(const vx_layer *layer, uint32_t slot) {
    const uint32_t *links = vx_layer_links(layer, slot);
    size_t children = 0;
    for (size_t i = 0; i < layer->width && links[i] != VX_LINK_NONE; i++) {
        if (!(links[i] & VX_LINK_TREE)) continue;
        uint32_t other = vx_link_slot(links[i]);
        const uint32_t *theirs = vx_layer_links(layer, other);
        bool parent = slot && !i;
        size_t place = parent ? find_link(layer, theirs, slot) : 0;
        if (place == layer->width || theirs[place] != (slot | VX_LINK_TREE)) return false;
        if (parent ? other && !place : !other) return false;
        children += !parent;
    }
    return children <= vx_layer_children_most(layer) && (!slot || links[0] & VX_LINK_TREE);
}

/* From the root along children: each slot is met once or the tree is none. */
static size_t count_tree(const vx_layer *layer, uint32_t *queue) {
    size_t queued = 1;
    queue[0] = 0;
    for (size_t taken = 0; taken < queued; taken++) {
        const uint32_t *links = vx_layer_links(layer, queue[taken]);
        for (size_t i = queue[taken] ? 1 : 0; i < layer->width && links[i] != VX_LINK_NONE; i++)
            if (links[i] & VX_LINK_TREE && queued < layer->count)
                queue[queued++] = vx_link_slot(links[i]);
    }
    return queued;
}

vindex_status vx_layer_check(const vx_layer *layer, bool *sound) {
    *sound = true;
    if (!layer->count) return VINDEX_OK;
    uint32_t *queue = vx_alloc(layer->count, sizeof *queue);
    if (!queue) return vx_fail_memory(layer->count, sizeof *queue, "checking a graph");
    for (size_t slot = 0; *sound && slot < layer->count; slot++) *sound = row_sound(layer, slot);
    for (size_t slot = 0; *sound && slot < layer->count; slot++)
        *sound = place_sound(layer, (uint32_t)slot);
    *sound = *sound && count_tree(layer, queue) == layer->count;
    vx_free(queue);
    return VINDEX_OK;
}
