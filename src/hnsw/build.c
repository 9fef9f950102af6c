/* Adding. New rows come in batches: every row of a batch looks for neighbours in the graph as it
 * was before the batch, and among the rows of its batch by comparing all with all in tiles, so that
 * no neighbour is missed because it came at the same time. Then the batch is linked in one pass
 * (links.c). Rows do not wait for each other, and the graph is the same on any number of threads;
 * see Manohar et al., ParlayANN: scalable and deterministic parallel graph-based approximate
 * nearest neighbor search algorithms, 2024, whose batches begin small and double. Here the first is
 * as large as the others: true neighbours make a better graph than chance ones of a small one. */
#include <math.h>
#include <omp.h>

#include "core/rng.h"
#include "exact/nearest.h"
#include "hnsw.h"

enum {
    AT_ONCE = 32,   /* rows that a thread takes, side by side in the order of the batch */
    NEAR_LEAST = 10 /* candidates of its batch that every row has */
};

typedef struct addition {
    vx_hnsw *hnsw;
    const vx_arrivals *new;
    size_t n, first;               /* first: number of the first new row */
    const float *vectors;          /* of the rows of a batch */
    float *decoded;                /* room for them; NULL: they lie somewhere */
    size_t vectors_first;          /* number of the first of these rows */
    uint8_t *levels;               /* of the new rows */
    size_t before[VX_HNSW_LAYERS]; /* slots of each layer */
    size_t layers_before;
    float largest_before;
    int64_t largest_id;    /* before */
    bool listed;           /* the ids have the new ones */
    vx_walker **walkers;   /* per thread a crew */
    uint64_t **candidates; /* per thread */
    int threads;
    vx_undo *undo;
} addition;

/* Rows first ... first+count-1, and their slots in each layer. */
typedef struct batch {
    size_t first, count;
    size_t starts[VX_HNSW_LAYERS], ends[VX_HNSW_LAYERS];
    uint64_t *near[VX_HNSW_LAYERS]; /* per slot its nearest of the batch, near_count of them */
    size_t near_count[VX_HNSW_LAYERS];
    uint32_t *order; /* in which its rows look for neighbours: near ones one after the other */
} batch;

static const float *vector_of(const addition *a, size_t row) {
    return a->vectors + (row - a->vectors_first) * a->hnsw->base.dim;
}

/* ---- before the first batch ---- */

/* The highest layer of a row: geometric, a share of 1/m goes up (section 4.1). */
static uint8_t draw_level(const vx_hnsw *hnsw, uint64_t number) {
    vx_rng rng = vx_rng_seed(hnsw->seed, number);
    double height = -vx_log(1 - vx_rng_uniform(&rng)) / vx_log((double)hnsw->m);
    return (uint8_t)VX_MIN(height, (double)(VX_HNSW_LAYERS - 1));
}

/* Gives new rows their places in the layers, which do not count them yet. */
static vindex_status place_rows(addition *a) {
    vx_hnsw *hnsw = a->hnsw;
    size_t ends[VX_HNSW_LAYERS], top = hnsw->layer_count;
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) ends[l] = hnsw->layers[l].count;
    for (size_t i = 0; i < a->n; i++) {
        a->levels[i] = draw_level(hnsw, hnsw->drawn + i);
        for (size_t l = 0; l <= a->levels[i]; l++) ends[l]++;
        top = VX_MAX(top, (size_t)a->levels[i] + 1);
    }
    bool exactly = !a->first;
    VX_TRY(vx_hnsw_reserve_rows(hnsw, VX_MAX(ends[0], hnsw->hint), exactly));
    VX_TRY(vx_hnsw_reserve_layer(hnsw, 0, VX_MAX(ends[0], hnsw->hint), exactly));
    for (size_t l = 1; l < top; l++) VX_TRY(vx_hnsw_reserve_layer(hnsw, l, ends[l], exactly));
    for (size_t l = 0; l < top; l++) {
        vx_layer *layer = &hnsw->layers[l];
        memset(vx_layer_links(layer, layer->count), 0xff,
               (ends[l] - layer->count) * layer->width * sizeof *layer->links);
        memset(layer->children + layer->count, 0, ends[l] - layer->count);
        ends[l] = layer->count;
    }
    for (size_t i = 0; i < a->n; i++)
        for (size_t l = 0, below = 0; l <= a->levels[i]; l++) {
            if (l) hnsw->layers[l].nodes[ends[l]] = (uint32_t)(a->first + i);
            if (l) hnsw->layers[l].below[ends[l]] = (uint32_t)below;
            below = ends[l]++;
        }
    hnsw->layer_count = top;
    return VINDEX_OK;
}

/* A row of the other graph that rows come from. */
static vx_coded row_there(const addition *a, size_t i) {
    return (vx_coded){&a->new->from->rows, a->new->rows[i]};
}

/* Answers the largest of what the codec says of rows. */
static float encode_rows(const addition *a) {
    vx_hnsw *hnsw = a->hnsw;
    const vx_codec *codec = hnsw->codec;
    int threads = a->n * hnsw->base.dim < 1 << 16 ? 1 : a->threads;
    float largest = hnsw->largest;
    if (!a->new->vectors) {
        for (size_t i = 0; i < a->n; i++)
            vx_hnsw_move_row(codec, row_there(a, i), (vx_coded){&hnsw->rows, a->first + i});
        return VX_MAX(largest, a->new->from->largest);
    }
#pragma omp parallel for num_threads(threads) reduction(max : largest) if (threads > 1)
    for (size_t row = a->first; row < a->first + a->n; row++) {
        const float *vector = a->new->vectors + (row - a->first) * hnsw->base.dim;
        float said = codec->ops->encode(codec, vector, (vx_coded){&hnsw->rows, row});
        largest = VX_MAX(largest, said);
    }
    return largest;
}

static vindex_status open_walkers(addition *a) {
    size_t ef = a->hnsw->ef_construction, threads = (size_t)a->threads;
    a->walkers = vx_alloc_zero(threads * VX_CREW, sizeof *a->walkers);
    a->candidates = vx_alloc_zero(threads, sizeof *a->candidates);
    if (!a->walkers || !a->candidates) return vx_fail_memory(threads, sizeof *a->walkers, "add");
    for (size_t t = 0; t < threads; t++) {
        for (size_t i = 0; i < VX_CREW; i++)
            VX_TRY(vx_walker_take(a->hnsw, ef, &a->walkers[t * VX_CREW + i]));
        a->candidates[t] = vx_alloc(2 * ef + 1, sizeof **a->candidates);
        if (!a->candidates[t]) return vx_fail_memory(2 * ef + 1, sizeof **a->candidates, "add");
    }
    return VINDEX_OK;
}

static void close_addition(addition *a) {
    for (size_t t = 0; t < (size_t)a->threads; t++) {
        for (size_t i = 0; a->walkers && i < VX_CREW; i++)
            vx_walker_give(a->hnsw, a->walkers[t * VX_CREW + i]);
        if (a->candidates) vx_free(a->candidates[t]);
    }
    vx_free(a->walkers);
    vx_free(a->candidates);
    vx_free(a->levels);
    vx_free(a->decoded);
    vx_undo_free(a->undo);
}

/* Sees to it that the vectors of a batch are there. */
static vindex_status bring_vectors(addition *a, const batch *b) {
    const vx_hnsw *hnsw = a->hnsw;
    const vx_codec *codec = hnsw->codec;
    size_t dim = hnsw->base.dim, offset = b->first - a->first;
    a->vectors_first = b->first;
    if (a->new->vectors) {
        a->vectors = a->new->vectors + offset *dim;
        return VINDEX_OK;
    }
    size_t most = VX_MIN(a->n, (size_t)VX_HNSW_BATCH);
    if (!a->decoded) a->decoded = vx_alloc(most, dim * sizeof *a->decoded);
    if (!a->decoded) return vx_fail_memory(most, dim * sizeof *a->decoded, a->new->verb);
    for (size_t i = 0; i < b->count; i++)
        codec->ops->decode(codec, row_there(a, offset + i), a->decoded + i * dim);
    a->vectors = a->decoded;
    return VINDEX_OK;
}

/* ---- neighbours within a batch ---- */

typedef struct nearest_of {
    uint64_t *near;
    size_t count, first; /* first: slot of the first member */
} nearest_of;

static void keep_nearest(void *context, size_t query, const vx_hit *hits, size_t count) {
    const nearest_of *to = context;
    uint64_t *near = to->near + query * to->count;
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < to->count; i++)
        if (hits[i].id != (int64_t)query)
            near[kept++] = vx_met((float)hits[i].key, (uint32_t)(to->first + (size_t)hits[i].id));
    for (; kept < to->count; kept++) near[kept] = UINT64_MAX;
}

/* Of the candidates that a row wants, as many from its batch as their share of the graph lets
 * expect, and some more: in a large graph these are further away than all that a walk meets, and
 * the long links that lead out of a cluster come from them. */
static size_t near_wanted(const vx_hnsw *hnsw, size_t frozen, size_t members) {
    size_t ef = hnsw->ef_construction;
    if (members < 2) return 0;
    double share = (double)members / (double)(frozen + members);
    size_t wanted = (size_t)((double)ef * share) + NEAR_LEAST;
    return VX_MIN(VX_MIN(wanted, ef), members - 1);
}

static vindex_status find_near(const addition *a, batch *b, size_t level) {
    vx_hnsw *hnsw = a->hnsw;
    const vx_layer *layer = &hnsw->layers[level];
    size_t dim = hnsw->base.dim, members = b->ends[level] - b->starts[level];
    size_t count = near_wanted(hnsw, layer->count, members);
    b->near_count[level] = count;
    if (!count) return VINDEX_OK;
    vx_space space = {hnsw->base.metric, VINDEX_F32, dim, NULL};
    b->near[level] = vx_alloc(members, count * sizeof *b->near[level]);
    float *aux = vx_alloc(members, sizeof *aux);
    float *own = level ? vx_alloc(members, dim * sizeof *own) : NULL;
    vindex_status status = VINDEX_OK;
    if (!b->near[level] || !aux || (level && !own)) {
        status = vx_fail_memory(members, dim * sizeof *own, "add");
    } else {
        for (size_t i = 0; i < members && own; i++)
            memcpy(own + i * dim, vector_of(a, layer->nodes[b->starts[level] + i]),
                   dim * sizeof *own);
        const float *vectors = own ? own : vector_of(a, b->first);
        vx_aux_fill(&space, hnsw->codec->kernels, vectors, members, aux);
        vx_block block = {.data = vectors, .aux = aux, .count = members};
        vx_search_job job = {.space = space,
                             .blocks = &block,
                             .block_count = 1,
                             .block_rows = members,
                             .queries = vectors,
                             .query_count = members,
                             .threads = members < 256 ? 1 : a->threads};
        nearest_of to = {b->near[level], count, b->starts[level]};
        status = vx_nearest(&job, count + 1, keep_nearest, &to);
    }
    vx_free(own);
    vx_free(aux);
    return status;
}

/* Walks from near rows to near rows of the batch, depth first: those that look for neighbours one
 * after the other then meet the same nodes, while these are in the cache. What they find does not
 * depend on it. */
static vindex_status order_rows(batch *b) {
    const uint64_t *near = b->near[0];
    size_t wide = b->near_count[0], width = VX_MIN(wide, (size_t)NEAR_LEAST);
    size_t waiting = 0, placed = 0;
    uint32_t *stack = vx_alloc(b->count * (width + 1), sizeof *stack);
    uint64_t *seen = vx_alloc_zero(b->count / 64 + 1, sizeof *seen);
    b->order = vx_alloc(b->count, sizeof *b->order);
    vindex_status status = VINDEX_OK;
    if (!stack || !seen || !b->order)
        status = vx_fail_memory(b->count * (width + 2), sizeof *stack, "add");
    for (uint32_t root = 0; status == VINDEX_OK && root < b->count; root++) {
        stack[waiting++] = root;
        while (waiting) {
            uint32_t row = stack[--waiting];
            if (seen[row / 64] >> (row % 64) & 1) continue;
            seen[row / 64] |= (uint64_t)1 << (row % 64);
            b->order[placed++] = row;
            for (size_t i = width; i-- > 0;)
                if (near[row * wide + i] != UINT64_MAX)
                    stack[waiting++] = vx_met_slot(near[row * wide + i]) - (uint32_t)b->first;
        }
    }
    vx_free(stack);
    vx_free(seen);
    return status;
}

/* ---- neighbours in the graph ---- */

/* Rows that come a few at a time have hardly anybody beside them: their walks must find all. */
static bool is_crowd(const batch *b) {
    return b->count >= VX_HNSW_BATCH / 8;
}

/* Nodes that a walk for a new row keeps at hand. In a crowd half of ef_construction will do: the
 * nearest are met long before such a walk ends, and those of the batch, where all were compared
 * with all, come on top. */
static size_t walk_width(const vx_hnsw *hnsw, const batch *b) {
    size_t ef = hnsw->ef_construction;
    return is_crowd(b) ? VX_MAX((ef + 1) / 2, hnsw->m) : ef;
}

/* How many of them are candidates: behind 4 m of the nearest, which lie all around, others are
 * covered by what was taken; what the batch adds is not. */
static size_t walk_share(const vx_hnsw *hnsw, const batch *b) {
    return is_crowd(b) ? 4 * hnsw->m : hnsw->ef_construction;
}

/* The best of the first `met` of a walk's and of the row's batch, best first. */
static size_t merge_candidates(const vx_walker *w, size_t met, const uint64_t *near,
                               size_t near_count, size_t most, uint64_t *merged) {
    size_t i = 0, j = 0, count = 0;
    while (count < most && (i < met || (j < near_count && near[j] != UINT64_MAX))) {
        bool from_near = j < near_count && near[j] != UINT64_MAX &&
                         (i == met || near[j] < (w->pool[i] & ~(uint64_t)1));
        merged[count++] = from_near ? near[j++] : w->pool[i++] & ~(uint64_t)1;
    }
    return count;
}

/* One thread's part in a batch. */
typedef struct finder {
    const addition *a;
    const batch *b;
    size_t *next;    /* place of the first row not taken, all threads' */
    size_t own, end; /* places of this thread's */
    uint64_t *candidates;
    const vindex_call *call; /* of the thread that tells progress; else NULL */
} finder;

/* Chooses the neighbours of a new row in layer l, of those met (none: NULL) and its batch's. */
static void choose_links(const finder *f, vx_walker *w, size_t row, size_t l, bool met) {
    const batch *b = f->b;
    const vx_hnsw *hnsw = w->hnsw;
    const vx_layer *layer = &hnsw->layers[l];
    size_t own = l ? vx_layer_find(layer, b->starts[l], b->ends[l], (uint32_t)row) : row;
    const uint64_t *near = b->near[l];
    if (near) near += (own - b->starts[l]) * b->near_count[l];
    size_t share = met ? VX_MIN(w->pool_count, walk_share(hnsw, b)) : 0;
    size_t count =
        merge_candidates(w, share, near, b->near_count[l], hnsw->ef_construction, f->candidates);
    vx_hnsw_select(w, layer, (uint32_t)row, f->candidates, count, hnsw->m,
                   vx_layer_links(layer, own));
}

/* Rows up to that one are on their way. */
static vindex_status tell(const addition *a, const vindex_call *call, size_t row) {
    return vx_progress(call->progress, call->progress_context, a->new->verb,
                       (double)(row - a->first) / (double)a->n);
}

/* Sees to it that the thread has a row to go on with; *more: whether there is one. */
static vindex_status take_rows(finder *f, bool *more) {
    *more = f->own < f->end;
    if (*more) return VINDEX_OK;
#pragma omp atomic capture
    {
        f->own = *f->next;
        *f->next += AT_ONCE;
    }
    f->end = VX_MIN(f->own + AT_ONCE, f->b->count);
    *more = f->own < f->b->count;
    return *more && f->call ? tell(f->a, f->call, f->b->first + f->own) : VINDEX_OK;
}

/* The errand of a crew: a walker takes a new row; in layers that have no node yet, its batch is all
 * there is. */

static vindex_status begin_row(void *context, vx_walker *w, bool *more) {
    finder *f = context;
    const addition *a = f->a;
    const vx_layer *layers = a->hnsw->layers;
    for (;;) {
        VX_TRY(take_rows(f, more));
        if (!*more) return VINDEX_OK;
        w->task = f->b->first + f->b->order[f->own++];
        w->wide = a->levels[w->task - a->first];
        VX_TRY(vx_walker_load(w, vector_of(a, w->task)));
        for (; w->wide && !layers[w->wide].count; w->wide--)
            choose_links(f, w, w->task, w->wide, false);
        if (layers[w->wide].count) return VINDEX_OK;
        choose_links(f, w, w->task, 0, false);
    }
}

static vindex_status arrive_near(void *context, vx_walker *w) {
    choose_links(context, w, w->task, w->level, true);
    return VINDEX_OK;
}

/* ---- batches ---- */

static vindex_status find_all(const addition *a, const batch *b, const vindex_call *call) {
    int threads = b->count < 16 ? 1 : a->threads, failed = VINDEX_OK;
    size_t next = 0;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        size_t thread = threads > 1 ? (size_t)omp_get_thread_num() : 0;
        finder f = {a, b, &next, 0, 0, a->candidates[thread], thread ? NULL : call};
        const vx_errand errand = {.ef = walk_width(a->hnsw, b),
                                  .beam = 1,
                                  .begin = begin_row,
                                  .arrive = arrive_near,
                                  .context = &f};
        vindex_status status = vx_crew_walk(a->walkers + thread * VX_CREW, VX_CREW, &errand);
        if (status != VINDEX_OK) {
#pragma omp critical
            failed = status;
#pragma omp atomic write
            next = b->count; /* nothing is left for the others */
        }
    }
    if (failed == VINDEX_ERR_CANCELLED)
        return vx_fail(VINDEX_ERR_CANCELLED, "%s: cancelled by the caller", a->new->verb);
    return failed == VINDEX_OK ? VINDEX_OK
                               : vx_fail((vindex_status)failed, "%s: no memory", a->new->verb);
}

/* The rows of a batch become part of the graph, which searches see from now on. */
static vindex_status join_batch(const addition *a, const batch *b) {
    vx_hnsw *hnsw = a->hnsw;
    vindex_status status = VINDEX_OK;
    pthread_rwlock_wrlock(hnsw->gate);
    for (size_t l = 0; status == VINDEX_OK && l < hnsw->layer_count; l++) {
        vx_joining joining = {hnsw,    &hnsw->layers[l], b->starts[l], b->ends[l],
                              a->undo, a->walkers,       a->threads};
        if (b->starts[l] < b->ends[l]) status = vx_hnsw_join(&joining);
    }
    for (size_t l = 0; status == VINDEX_OK && l < hnsw->layer_count; l++)
        hnsw->layers[l].count = b->ends[l];
    if (status == VINDEX_OK) hnsw->rows.count = b->first + b->count;
    pthread_rwlock_unlock(hnsw->gate);
    return status;
}

static vindex_status run_batch(addition *a, batch *b, const vindex_call *call) {
    vx_hnsw *hnsw = a->hnsw;
    vindex_status status = VINDEX_OK;
    for (size_t l = 0; l < hnsw->layer_count; l++) {
        b->starts[l] = b->ends[l] = hnsw->layers[l].count;
        b->near[l] = NULL;
    }
    for (size_t i = 0; i < b->count; i++)
        for (size_t l = 0; l <= a->levels[b->first + i - a->first]; l++) b->ends[l]++;
    status = bring_vectors(a, b);
    for (size_t l = 0; status == VINDEX_OK && l < hnsw->layer_count; l++)
        status = find_near(a, b, l);
    if (status == VINDEX_OK) status = order_rows(b);
    if (status == VINDEX_OK) status = find_all(a, b, call);
    if (status == VINDEX_OK) status = join_batch(a, b);
    for (size_t l = 0; l < hnsw->layer_count; l++) vx_free(b->near[l]);
    vx_free(b->order);
    return status;
}

static vindex_status run_batches(addition *a, const vindex_call *call) {
    for (size_t done = 0; done < a->n;) {
        batch b = {.first = a->first + done, .count = VX_MIN(a->n - done, (size_t)VX_HNSW_BATCH)};
        VX_TRY(run_batch(a, &b, call));
        done += b.count;
    }
    return tell(a, call, a->first + a->n);
}

/* Makes room for the rows and for what is said of them. */
static vindex_status prepare(addition *a) {
    vx_hnsw *hnsw = a->hnsw;
    a->levels = vx_alloc(a->n, 1);
    if (!a->levels) return vx_fail_memory(a->n, 1, "add");
    VX_TRY(vx_hnsw_ready(hnsw));
    a->largest_id = hnsw->ids.largest;
    VX_TRY(vx_ids_append(&hnsw->ids, a->new->ids, a->n));
    a->listed = true;
    return place_rows(a);
}

static vindex_status add_rows(addition *a, const vindex_call *call) {
    vx_hnsw *hnsw = a->hnsw;
    pthread_rwlock_wrlock(hnsw->gate);
    vindex_status status = prepare(a);
    pthread_rwlock_unlock(hnsw->gate);
    if (status != VINDEX_OK) return status;
    if (a->first) VX_TRY(vx_undo_create(hnsw, a->n <= VX_HNSW_BATCH, &a->undo));
    VX_TRY(open_walkers(a));
    float largest = encode_rows(a);
    pthread_rwlock_wrlock(hnsw->gate);
    hnsw->largest = largest;
    pthread_rwlock_unlock(hnsw->gate);
    return run_batches(a, call);
}

/* The graph as it was. */
static void take_back(addition *a) {
    vx_hnsw *hnsw = a->hnsw;
    pthread_rwlock_wrlock(hnsw->gate);
    if (a->undo) vx_undo_apply(hnsw, a->undo);
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) hnsw->layers[l].count = a->before[l];
    hnsw->layer_count = a->layers_before;
    hnsw->rows.count = a->first;
    hnsw->largest = a->largest_before;
    if (a->listed) vx_ids_retract(&hnsw->ids, a->n, a->largest_id);
    pthread_rwlock_unlock(hnsw->gate);
}

vindex_status vx_hnsw_take(vx_hnsw *hnsw, const vx_arrivals *new, const vindex_call *call) {
    size_t n = new->n;
    if (n > VX_HNSW_NODES_MOST - hnsw->rows.count)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: %zu vectors and %zu more; a graph holds at most %u, use several",
                       new->verb, hnsw->rows.count, n, VX_HNSW_NODES_MOST);
    if (new->vectors) VX_TRY(vx_space_fits(&hnsw->codec->space, new->vectors, n));
    if (!n) return VINDEX_OK;
    addition a = {.hnsw = hnsw,
                  .new = new,
                  .n = n,
                  .first = hnsw->rows.count,
                  .layers_before = hnsw->layer_count,
                  .largest_before = hnsw->largest,
                  .threads = vx_threads(call->threads)};
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) a.before[l] = hnsw->layers[l].count;
    vindex_status status = add_rows(&a, call);
    if (status == VINDEX_OK)
        hnsw->drawn += n;
    else
        take_back(&a);
    close_addition(&a);
    return status;
}

vindex_status vx_hnsw_add(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                          const vindex_call *call) {
    const vx_arrivals new = {.verb = "add", .vectors = vectors, .n = n, .ids = ids};
    return vx_hnsw_take((vx_hnsw *)index, &new, call);
}
