/* Walking. The plain walk keeps one sorted array of the ef best nodes met, as the fastest engines
 * do: it is short, and a new node is found its place by bisection. A wide walk, whose results are
 * not all it has met, keeps a heap beside it. */
#include <math.h>

#include "exact/bound.h"
#include "hnsw.h"

enum { MARKED = 4096 /* visited slots that are listed */ };

/* ---- walkers ---- */

size_t vx_walker_bytes(const vx_walker *w) {
    return sizeof *w + (w->pool_room + w->heap_room + w->visited_room) * sizeof(uint64_t) +
           w->listed_room * (2 * sizeof(uint32_t) + sizeof(float)) + MARKED * sizeof(uint32_t) +
           (w->packed_room + 1) * vx_padded(w->hnsw->base.dim) * sizeof(float);
}

void vx_walker_free(vx_walker *w) {
    if (w->scorer) w->scorer->ops->free(w->scorer);
    vx_free(w->pool);
    vx_free(w->heap);
    vx_free(w->visited);
    vx_free(w->slots);
    vx_free(w->listed);
    vx_free(w->keys);
    vx_free(w->packed);
    vx_free(w->decoded);
    vx_free(w);
}

/* Room for `need` items where there is less; what was there is lost. */
static bool renew(void **array, size_t need, size_t size) {
    void *fresh = vx_alloc_zero(need, size);
    if (!fresh) return false;
    vx_free(*array);
    *array = fresh;
    return true;
}

/* The links of one node at a time. */
static bool fit_lists(vx_walker *w, size_t widest) {
    if (w->listed_room >= widest) return true;
    w->listed_room = 0;
    w->marked = 0;
    w->crowded = true;
    if (!renew((void **)&w->slots, MARKED + widest, sizeof *w->slots) ||
        !renew((void **)&w->listed, widest, sizeof *w->listed) ||
        !renew((void **)&w->keys, widest, sizeof *w->keys))
        return false;
    w->listed_room = widest;
    return true;
}

vindex_status vx_walker_fit(vx_walker *w, size_t ef, size_t widest) {
    size_t words = VX_MAX(w->hnsw->capacity, w->hnsw->rows.count) / 64 + 1;
    size_t pool = ef + 1, packed = 2 * w->hnsw->m + 2;
    bool fits = fit_lists(w, VX_MAX(widest, VX_BEAM * 2 * w->hnsw->m));
    if (fits && w->pool_room < pool) {
        fits = renew((void **)&w->pool, pool, sizeof *w->pool);
        w->pool_room = fits ? pool : w->pool_room;
    }
    if (fits && w->visited_room < words) {
        fits = renew((void **)&w->visited, words, sizeof *w->visited);
        w->visited_room = fits ? words : w->visited_room;
        w->marked = 0;
    }
    if (fits && w->packed_room < packed) {
        fits = renew((void **)&w->packed, packed, vx_padded(w->hnsw->base.dim) * sizeof *w->packed);
        w->packed_room = fits ? packed : w->packed_room;
    }
    return fits ? VINDEX_OK
                : vx_fail_memory(words + pool, sizeof *w->pool, "a walk over the graph");
}

static vindex_status make(const vx_hnsw *hnsw, vx_walker **result) {
    vx_walker *w = vx_alloc_zero(1, sizeof *w);
    if (!w) return vx_fail_memory(1, sizeof *w, "a walk over the graph");
    w->hnsw = hnsw;
    size_t padded = vx_padded(hnsw->base.dim);
    vindex_status status = hnsw->codec->ops->score(hnsw->codec, 1, &w->scorer);
    if (status == VINDEX_OK) {
        w->decoded = vx_alloc_zero(padded, sizeof *w->decoded);
        if (!w->decoded) status = vx_fail_memory(padded, sizeof *w->decoded, "a walk");
    }
    if (status != VINDEX_OK) {
        vx_walker_free(w);
        return status;
    }
    *result = w;
    return VINDEX_OK;
}

vindex_status vx_walker_take(const vx_hnsw *hnsw, size_t ef, vx_walker **result) {
    _Atomic(vx_walker *) *idle = (_Atomic(vx_walker *) *)(uintptr_t)hnsw->idle;
    vx_walker *w = NULL;
    for (size_t i = 0; !w && i < VX_HNSW_WALKERS; i++)
        if (atomic_load_explicit(&idle[i], memory_order_relaxed))
            w = atomic_exchange(&idle[i], NULL);
    if (!w) VX_TRY(make(hnsw, &w));
    vindex_status status = vx_walker_fit(w, ef, 0);
    if (status != VINDEX_OK) {
        vx_walker_give(hnsw, w);
        return status;
    }
    w->compared = w->followed = 0;
    w->beam = VX_BEAM;
    *result = w;
    return VINDEX_OK;
}

void vx_walker_give(const vx_hnsw *hnsw, vx_walker *w) {
    _Atomic(vx_walker *) *idle = (_Atomic(vx_walker *) *)(uintptr_t)hnsw->idle;
    if (!w) return;
    for (size_t i = 0; i < VX_HNSW_WALKERS; i++) {
        vx_walker *none = NULL;
        if (atomic_compare_exchange_strong(&idle[i], &none, w)) return;
    }
    vx_walker_free(w);
}

/* ---- keys ---- */

vindex_status vx_walker_load(vx_walker *w, const float *vector) {
    const vx_hnsw *hnsw = w->hnsw;
    if (hnsw->base.metric == VINDEX_INNER_PRODUCT)
        w->norm = sqrt(
            hnsw->codec->kernels->settle_products[VINDEX_F32](NULL, NULL, vector, hnsw->base.dim, 0)
                .square);
    return w->scorer->ops->load(w->scorer, vector, 1, hnsw->largest, NULL);
}

void vx_walker_decode(vx_walker *w, uint32_t row) {
    const vx_codec *codec = w->hnsw->codec;
    codec->ops->decode(codec, (vx_coded){&w->hnsw->rows, row}, w->decoded);
}

vindex_status vx_walker_load_row(vx_walker *w, uint32_t row) {
    vx_walker_decode(w, row);
    return vx_walker_load(w, w->decoded);
}

double vx_walker_settle(const vx_walker *w, uint32_t row) {
    return w->scorer->ops->settle(w->scorer, 0, (vx_coded){&w->hnsw->rows, row});
}

/* What single precision cannot tell. */
static void settle_odd(const vx_walker *w, const uint32_t *rows, size_t count, float *keys) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(keys[i])) {
            double key = vx_walker_settle(w, rows[i]);
            keys[i] = isnan(key) ? INFINITY : (float)key;
        }
}

/* Keys of rows that memory was asked for. */
static void keys_of(vx_walker *w, const uint32_t *rows, size_t count, float *keys) {
    w->scorer->ops->gather(w->scorer, 0, &w->hnsw->rows, rows, count, keys);
    float sum = 0; /* is finite where all are */
    for (size_t i = 0; i < count; i++) sum += keys[i] * 0;
    if (!(sum == 0)) settle_odd(w, rows, count, keys);
    w->compared += (int64_t)count;
}

void vx_walker_keys(vx_walker *w, const uint32_t *rows, size_t count, float *keys) {
    enum { TOGETHER = 16 };
    const vx_codec *codec = w->hnsw->codec;
    for (size_t first = 0; first < count; first += TOGETHER) {
        size_t some = VX_MIN(count - first, (size_t)TOGETHER);
        codec->ops->fetch(codec, &w->hnsw->rows, rows + first, some);
        keys_of(w, rows + first, some, keys + first);
    }
}

double vx_walker_slack(const vx_walker *w, float largest_key) {
    const vx_codec *codec = w->hnsw->codec;
    size_t dim = codec->space.dim;
    double reach = INFINITY;
    if (codec->ops->train) return INFINITY; /* of codes */
    switch (codec->space.metric) {
    case VINDEX_L2: /* a sum of squares is off by a share of itself */
        reach = fabs((double)largest_key);
        break;
    case VINDEX_INNER_PRODUCT:
        reach = w->norm * (double)w->hnsw->largest;
        break;
    case VINDEX_COSINE:
        reach = 1;
        break;
    case VINDEX_PEARSON:
        reach = VX_MEAN_RATIO;
        break;
    }
    if (!(reach < VX_FILTER_LIMIT)) return INFINITY;
    return vx_gamma(vx_scan_chain(dim)) * reach + vx_underflow(dim);
}

/* ---- the plain walk ---- */

/* Marks are a bit each, for they are read all over memory and the walkers of a crew share a cache.
 * They are taken back one by one, from a list; of a walk that overran it all are. */
void vx_walker_begin(vx_walker *w) {
    size_t listed = w->marked + w->found;
    if (w->crowded)
        memset(w->visited, 0, w->visited_room * sizeof *w->visited);
    else
        for (size_t i = 0; i < listed; i++) w->visited[w->slots[i] / 64] = 0;
    w->crowded = false;
    w->pool_count = w->heap_count = w->marked = w->found = 0;
    w->admission = NULL;
    w->stuck = false;
}

/* Whether a slot was not visited yet; now it is. */
static inline bool mark(vx_walker *w, uint32_t slot) {
    uint64_t *word = &w->visited[slot / 64], bit = (uint64_t)1 << (slot % 64);
    bool fresh = !(*word & bit);
    *word |= bit;
    return fresh;
}

static const uint32_t *slots_found(const vx_walker *w) {
    return w->slots + w->marked;
}

/* What was found is done with. */
static void leave_found(vx_walker *w) {
    w->marked += w->found;
    w->found = 0;
    if (w->marked <= MARKED) return;
    w->marked = 0;
    w->crowded = true;
}

/* The rows of the slots found. */
static const uint32_t *rows_found(const vx_walker *w, const vx_layer *layer) {
    return layer->nodes ? w->listed : slots_found(w);
}

static void fetch_found(vx_walker *w, const vx_layer *layer) {
    const vx_codec *codec = w->hnsw->codec;
    for (size_t i = 0; layer->nodes && i < w->found; i++)
        w->listed[i] = layer->nodes[slots_found(w)[i]];
    codec->ops->fetch(codec, &w->hnsw->rows, rows_found(w, layer), w->found);
}

/* Adds to what was found where the links of a slot lead that was not visited yet. A file that was
 * not verified may hold links to nowhere; they end the row, as its padding does. */
static void follow(vx_walker *w, const vx_layer *layer, uint32_t slot) {
    const uint32_t *links = vx_layer_links(layer, slot);
    uint32_t count = (uint32_t)layer->count, *slots = w->slots + w->marked;
    size_t found = w->found;
    w->followed++;
    for (size_t i = 0; i < layer->width; i++) {
        uint32_t next = vx_link_slot(links[i]);
        if (next >= count) break;
        slots[found] = next;
        found += mark(w, next);
    }
    w->found = found;
}

/* The place of a node among the best `ef`, where it is put; ef where it has none. */
static inline size_t keep(vx_walker *w, uint64_t met, size_t ef) {
    const uint64_t *from = w->pool;
    if (w->pool_count == ef && met > w->pool[ef - 1]) return ef;
    for (size_t left = w->pool_count; left;) { /* no branch on a key: it cannot be foretold */
        size_t half = (left + 1) / 2;
        from += from[half - 1] < met ? half : 0;
        left -= half;
    }
    size_t low = (size_t)(from - w->pool);
    if (w->pool_count < ef) w->pool_count++;
    memmove(w->pool + low + 1, w->pool + low, (w->pool_count - 1 - low) * sizeof *w->pool);
    w->pool[low] = met;
    return low;
}

void vx_walker_keep(vx_walker *w, uint64_t met, size_t ef) {
    keep(w, met, ef);
}

/* The same where some rows are passed over: they lie in the pool beside ef others, up to the last
 * of these. */
static size_t keep_admitted(vx_walker *w, uint64_t met) {
    const vx_admission *a = w->admission;
    if (w->pool_count == w->ef && met > w->pool[w->ef - 1]) return w->ef;
    bool admitted = a->admit(a->context, vx_met_slot(met));
    if (!admitted && w->ef == a->room) {
        w->stuck = true;
        return w->ef;
    }
    w->ef += !admitted;
    size_t place = keep(w, met, w->ef + 1);
    while (w->pool_count > w->ef)
        w->ef -= !a->admit(a->context, vx_met_slot(w->pool[--w->pool_count]));
    return place;
}

/* The first node met. */
static void meet(vx_walker *w, const vx_layer *layer, uint32_t slot) {
    vx_walker_begin(w);
    mark(w, slot);
    w->slots[0] = slot;
    w->found = 1;
    fetch_found(w, layer);
}

void vx_walker_start(vx_walker *w, const vx_layer *layer, uint32_t start, size_t ef) {
    w->layer = layer;
    w->ef = ef;
    w->next = 0;
    meet(w, layer, start);
}

/* Puts what was found among the best. */
static void keep_found(vx_walker *w) {
    keys_of(w, rows_found(w, w->layer), w->found, w->keys);
    for (size_t i = 0; i < w->found; i++) {
        uint64_t met = vx_met(w->keys[i], slots_found(w)[i]);
        size_t place = w->admission ? keep_admitted(w, met) : keep(w, met, w->ef);
        w->next = VX_MIN(w->next, place);
    }
    leave_found(w);
}

/* The next node from place `from` on whose links were not followed; pool_count: there is none. */
static size_t next_open(const vx_walker *w, size_t from) {
    while (from < w->pool_count && w->pool[from] & 1) from++;
    return from;
}

/* Asks memory for the links of the best open nodes; false: none is open. */
static bool ask_links(vx_walker *w) {
    size_t place = w->next = next_open(w, w->next);
    for (size_t i = 0; i < w->beam && place < w->pool_count; i++, place = next_open(w, place + 1))
        vx_layer_fetch(w->layer, vx_met_slot(w->pool[place]));
    return w->next < w->pool_count;
}

static void follow_best(vx_walker *w) {
    for (size_t i = 0; i < w->beam && w->next < w->pool_count;
         i++, w->next = next_open(w, w->next)) {
        w->pool[w->next] |= 1;
        follow(w, w->layer, vx_met_slot(w->pool[w->next]));
    }
}

bool vx_walker_step(vx_walker *w) {
    if (w->found) {
        keep_found(w);
    } else {
        follow_best(w);
        fetch_found(w, w->layer);
    }
    return !w->stuck && (w->found || ask_links(w));
}

void vx_walker_walk(vx_walker *w, const vx_layer *layer, uint32_t start, size_t ef) {
    vx_walker_start(w, layer, start, ef);
    while (vx_walker_step(w)) continue;
}

uint32_t vx_walker_descend(vx_walker *w, size_t level) {
    const vx_hnsw *hnsw = w->hnsw;
    uint32_t slot = 0;
    size_t from = hnsw->layer_count - 1;
    while (from > level && !hnsw->layers[from].count) from--; /* not joined yet */
    for (; from > level; from--) {
        const vx_layer *layer = &hnsw->layers[from];
        vx_walker_walk(w, layer, slot, 1);
        slot = layer->below[vx_met_slot(w->pool[0])];
    }
    return slot;
}

/* ---- the wide walk ---- */

static void heap_push(vx_walker *w, uint64_t met) {
    size_t i = w->heap_count++;
    for (; i && w->heap[(i - 1) / 2] > met; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = met;
}

static uint64_t heap_pop(vx_walker *w) {
    uint64_t best = w->heap[0], last = w->heap[--w->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->heap_count; i = child) {
        if (child + 1 < w->heap_count && w->heap[child + 1] < w->heap[child]) child++;
        if (w->heap[child] >= last) break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return best;
}

/* Keeps a node where it is admitted: among the ef best, or within the radius. */
static vindex_status keep_wide(vx_walker *w, const vx_layer *layer, uint64_t met,
                               const vx_wide *wide) {
    const vx_admission *a = &wide->admission;
    if (!a->admit(a->context, vx_layer_row(layer, vx_met_slot(met)))) return VINDEX_OK;
    if ((double)vx_met_key(met) <= wide->least && w->pool_count + 1 >= w->pool_room) {
        void *pool = w->pool;
        if (!vx_grow(&pool, &w->pool_room, w->pool_count + 2, sizeof *w->pool))
            return vx_fail_memory(w->pool_count + 2, sizeof *w->pool, "search: what was met");
        w->pool = pool;
    }
    size_t most = VX_MAX(wide->ef, w->pool_count);
    keep(w, met, (double)vx_met_key(met) <= wide->least ? most + 1 : most);
    return VINDEX_OK;
}

/* Whether a node is worth following. */
static bool worth(const vx_walker *w, uint64_t met, const vx_wide *wide) {
    return w->pool_count < wide->ef || met < w->pool[w->pool_count - 1] ||
           (double)vx_met_key(met) <= wide->least;
}

static vindex_status keep_found_wide(vx_walker *w, const vx_layer *layer, const vx_wide *wide) {
    void *heap = w->heap;
    const uint32_t *slots = slots_found(w);
    size_t found = w->found;
    if (!vx_grow(&heap, &w->heap_room, w->heap_count + found, sizeof *w->heap))
        return vx_fail_memory(w->heap_count + found, sizeof *w->heap, "search: nodes to follow");
    w->heap = heap;
    if (found) keys_of(w, rows_found(w, layer), found, w->keys);
    for (size_t i = 0; i < found; i++) {
        uint64_t next = vx_met(w->keys[i], slots[i]);
        if (!worth(w, next, wide)) continue;
        heap_push(w, next);
        VX_TRY(keep_wide(w, layer, next, wide));
    }
    leave_found(w);
    return VINDEX_OK;
}

vindex_status vx_walker_walk_wide(vx_walker *w, const vx_layer *layer, uint32_t start,
                                  const vx_wide *wide) {
    meet(w, layer, start);
    VX_TRY(keep_found_wide(w, layer, wide));
    while (w->heap_count) {
        uint64_t met = heap_pop(w);
        if (!worth(w, met, wide)) break;
        if (w->heap_count) vx_layer_fetch(layer, vx_met_slot(w->heap[0]));
        follow(w, layer, vx_met_slot(met));
        fetch_found(w, layer);
        VX_TRY(keep_found_wide(w, layer, wide));
    }
    return VINDEX_OK;
}
