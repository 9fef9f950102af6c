/* The graph. Rows lie in one run, coded by a codec; over them lie layers of links. The bottom layer
 * has a slot per row, a layer above one for about every m-th node of the layer below it.
 *
 * Every layer carries a tree whose links are never pruned: a node but the first has its parent at
 * place 0, and is among its parent's links. So each node can be reached from each, and that needs
 * no search of the graph to know. The heuristic would keep most of these links anyway: the parent
 * is the nearest neighbour that has few children. */
#ifndef VX_HNSW_HNSW_H
#define VX_HNSW_HNSW_H

#include <pthread.h>
#include <stdatomic.h>

#include "codec/codec.h"
#include "core/ids.h"
#include "core/index_impl.h"

enum {
    VX_HNSW_LAYERS = 16,
    VX_HNSW_M_MOST = 256,
    VX_HNSW_EF_MOST = 1 << 16,
    VX_HNSW_WALKERS = 32,    /* idle ones that an index keeps */
    VX_HNSW_BATCH = 8192,    /* new rows that search the same graph */
    VX_HNSW_SAMPLE = 1 << 16 /* vectors that a codec learns from */
};

/* A link is a slot, with the top bit where it belongs to the tree. Rows of links are filled up with
 * VX_LINK_NONE, whose slot is beyond every layer. */
#define VX_LINK_NONE UINT32_MAX
#define VX_LINK_TREE 0x80000000u
#define VX_HNSW_NODES_MOST 0x7ffffffeu

static inline uint32_t vx_link_slot(uint32_t link) {
    return link & ~VX_LINK_TREE;
}

typedef struct vx_layer {
    size_t width, count;
    size_t capacity;   /* slots of memory of its own; 0: the links are a map's */
    uint32_t *links;   /* count x width */
    uint32_t *nodes;   /* the row of each slot, rising; NULL at the bottom: slot = row */
    uint32_t *below;   /* its slot in the layer below; NULL at the bottom */
    uint8_t *children; /* in the tree; NULL while capacity is 0 */
} vx_layer;

typedef struct vx_walker vx_walker;

typedef struct vx_hnsw {
    vindex_index base;
    vx_codec *codec;
    size_t m, ef_construction;
    uint64_t seed, drawn; /* drawn: levels so far */
    bool keep_pruned;
    bool trusted; /* the graph is ours or was checked; false after a load that was not verified */
    vx_ids ids;
    bool trained;    /* the codec has learnt what it wants to */
    vx_block rows;   /* data, fine and aux; count is the bottom layer's */
    size_t capacity; /* rows of memory of its own; 0: a map's */
    size_t hint;     /* rows to make room for when the first come */
    float largest;   /* of what the codec answered when it encoded */
    vx_layer layers[VX_HNSW_LAYERS];
    size_t layer_count;
    _Atomic(vx_walker *) idle[VX_HNSW_WALKERS];
    /* Searches hold the gate together; an addition holds it alone while it changes what they read,
     * which is not while it looks for neighbours. */
    pthread_rwlock_t *gate;
} vx_hnsw;

extern const vx_index_kind vx_hnsw_kind;
extern const vx_index_ops vx_hnsw_ops;

static inline uint32_t *vx_layer_links(const vx_layer *layer, size_t slot) {
    return layer->links + slot * layer->width;
}
/* Asks memory for the links of a slot. */
static inline void vx_layer_fetch(const vx_layer *layer, size_t slot) {
    vx_fetch(vx_layer_links(layer, slot), layer->width * sizeof *layer->links);
}
static inline uint32_t vx_layer_row(const vx_layer *layer, uint32_t slot) {
    return layer->nodes ? layer->nodes[slot] : slot;
}
/* Children that a node may have in the tree: the rest of its links is free. */
static inline size_t vx_layer_children_most(const vx_layer *layer) {
    return VX_MAX(layer->width / 4, (size_t)1);
}

/* A node met, as one number that sorts by key, then by slot. The last bit is the owner's. */
static inline uint64_t vx_met(float key, uint32_t slot) {
    uint32_t bits;
    memcpy(&bits, &key, sizeof bits);
    bits = bits >> 31 ? ~bits : bits | 0x80000000u;
    return (uint64_t)bits << 32 | (uint64_t)slot << 1;
}
static inline uint32_t vx_met_slot(uint64_t met) {
    return (uint32_t)met >> 1;
}
static inline float vx_met_key(uint64_t met) {
    uint32_t bits = (uint32_t)(met >> 32);
    float key;
    bits = bits >> 31 ? bits & 0x7fffffffu : ~bits;
    memcpy(&key, &bits, sizeof key);
    return key;
}

/* Which rows a walk is for; others are passed over, but it goes on from them, too. */
typedef struct vx_admission {
    bool (*admit)(void *context, uint32_t row);
    void *context;
    size_t room; /* in the pool of a plain walk, with those that are passed over */
} vx_admission;

/* One thread's: a query, what it has met, and scratch. */
struct vx_walker {
    const vx_hnsw *hnsw;
    vx_scorer *scorer; /* of one query */
    double norm;       /* of the query, for the slack of inner products */
    uint64_t *pool;    /* the best met, sorted; last bit: its links were followed */
    size_t pool_count, pool_room;
    uint64_t *heap; /* wide walks: met and to be followed, the best first */
    size_t heap_count, heap_room;
    uint64_t *visited; /* a bit per slot */
    size_t visited_room;
    const vx_layer *layer;         /* that is walked */
    size_t ef, next;               /* next: no node of the pool before it is still to be followed */
    const vx_admission *admission; /* NULL: all rows are admitted; else ef counts up and down with
                                      those in the pool that are not */
    bool stuck;                    /* there were more of these than there is room for */
    size_t beam;                   /* nodes whose links are followed at once */
    size_t found;                  /* slots whose rows memory was asked for */
    size_t marked;                 /* slots visited before these that are listed */
    bool crowded;                  /* some are listed no more */
    size_t level, wide; /* of a crew's: the layer, and from which one down the walk is wide */
    size_t task;        /* the errand's own number */
    uint32_t *slots;    /* those that were visited: `marked`, then `found` of them */
    uint32_t *listed;   /* rows of these */
    float *keys;
    size_t listed_room;
    float *packed; /* width + 2 rows as select.c unpacks them */
    float *decoded;
    size_t packed_room;
    int64_t compared, followed;
};

/* What a wide walk asks: which slots count, and what becomes of them. */
typedef struct vx_wide {
    size_t ef;
    double least; /* keys up to this one are followed whatever ef says */
    vx_admission admission;
} vx_wide;

/* walk.c: walkers are borrowed from the index, made where none is idle. */
vindex_status vx_walker_take(const vx_hnsw *hnsw, size_t ef, vx_walker **walker);
void vx_walker_give(const vx_hnsw *hnsw, vx_walker *walker); /* NULL is fine */
void vx_walker_free(vx_walker *walker);
size_t vx_walker_bytes(const vx_walker *walker);
/* Room for a pool of ef; widest: the most links that come at once. */
vindex_status vx_walker_fit(vx_walker *walker, size_t ef, size_t widest);
/* Makes a vector of dim numbers the query. */
vindex_status vx_walker_load(vx_walker *walker, const float *vector);
/* Keys of listed rows: smaller is better. Up to the largest of some, they are off by
 * vx_walker_slack at most, which for coded rows is infinite. */
void vx_walker_keys(vx_walker *walker, const uint32_t *rows, size_t count, float *keys);
double vx_walker_slack(const vx_walker *walker, float largest_key);
double vx_walker_settle(const vx_walker *walker, uint32_t row);
/* The row itself, as its codec decodes it, in walker->decoded; and as the query. */
void vx_walker_decode(vx_walker *walker, uint32_t row);
vindex_status vx_walker_load_row(vx_walker *walker, uint32_t row);
/* Forgets what was met; puts a node among the best `ef`, where it belongs there. */
void vx_walker_begin(vx_walker *walker);
void vx_walker_keep(vx_walker *walker, uint64_t met, size_t ef);
/* Down to layer `level`, which has nodes: the slot there to begin with. */
uint32_t vx_walker_descend(vx_walker *walker, size_t level);
enum { VX_BEAM = 2 /* nodes followed at once, at most: a walk waits half as often */ };

/* The ef best near `start`, in walker->pool. A walk is a chain of waits for memory: for links, then
 * for the rows they lead to. So it goes in steps, each of which ends by asking for what the next
 * one reads; false: the walk is over. */
void vx_walker_start(vx_walker *walker, const vx_layer *layer, uint32_t start, size_t ef);
bool vx_walker_step(vx_walker *walker);
void vx_walker_walk(vx_walker *walker, const vx_layer *layer, uint32_t start, size_t ef);
/* The same among rows that are admitted; the pool has those. */
vindex_status vx_walker_walk_wide(vx_walker *walker, const vx_layer *layer, uint32_t start,
                                  const vx_wide *wide);

/* crew.c: a thread's walkers, which take turns, so that each computes while memory is asked for
 * what the others need. Building has that many; a search up to VX_WALKERS_MOST. */
enum { VX_CREW = 4 };

/* What a crew is sent for. */
typedef struct vx_errand {
    size_t ef;
    size_t beam;                   /* 1 compares less, VX_BEAM waits less where few take turns */
    const vx_admission *admission; /* in the bottom layer; NULL: every row is admitted */
    /* Loads the next query, sets task and wide; *more false: there is none. */
    vindex_status (*begin)(void *context, vx_walker *walker, bool *more);
    /* A wide walk of layer walker->level is over; then the next layer's begins where it ended. */
    vindex_status (*arrive)(void *context, vx_walker *walker);
    /* After the bottom layer's, when others had a turn; NULL: nothing is left to do. */
    vindex_status (*finish)(void *context, vx_walker *walker);
    void *context;
} vx_errand;
vindex_status vx_crew_walk(vx_walker **crew, size_t count, const vx_errand *errand);

/* select.c: of candidates (sorted; last bit: of the tree) those that row `row` is linked with, at
 * most `most`; answers how many went to links. */
size_t vx_hnsw_select(vx_walker *walker, const vx_layer *layer, uint32_t row, uint64_t *candidates,
                      size_t count, size_t most, uint32_t *links);
/* Sorts met nodes. */
void vx_met_sort(uint64_t *met, size_t count);

/* links.c: what came into a layer is linked from its neighbours. */
typedef struct vx_undo vx_undo;
typedef struct vx_joining {
    vx_hnsw *hnsw;
    vx_layer *layer;
    size_t first, end; /* new slots; layer->count is still first */
    vx_undo *undo;     /* NULL: nothing will be taken back */
    vx_walker **walkers;
    int threads;
} vx_joining;
vindex_status vx_hnsw_join(const vx_joining *joining);
/* Makes a new tree over a layer, whatever its links are; the rows of links stay near to what they
 * were. */
vindex_status vx_hnsw_replant(vx_hnsw *hnsw, size_t level, vx_walker *walker);
/* Whether links are in range and the tree is one: *sound. */
vindex_status vx_layer_check(const vx_layer *layer, bool *sound);
/* Links before an addition, to go back to; once: vx_hnsw_join is called once per layer. */
vindex_status vx_undo_create(const vx_hnsw *hnsw, bool once, vx_undo **undo);
void vx_undo_apply(vx_hnsw *hnsw, const vx_undo *undo);
void vx_undo_free(vx_undo *undo); /* NULL is fine */

/* storage.c */
vindex_status vx_hnsw_make(const vx_spec *spec, size_t dim, vindex_metric metric, vx_hnsw **hnsw);
void vx_hnsw_free(vindex_index *index);
/* Without the walkers that searches left idle. */
size_t vx_hnsw_memory(const vindex_index *index);
/* Bytes of a slot: its links, its children, and in upper layers where it is. */
size_t vx_layer_slot_bytes(const vx_layer *layer, bool upper);
vindex_status vx_hnsw_train(vindex_index *index, const vindex_rows *rows, const vindex_call *call);
/* Memory of its own for that many rows, and slots of a layer. */
vindex_status vx_hnsw_reserve_rows(vx_hnsw *hnsw, size_t rows, bool exactly);
vindex_status vx_hnsw_reserve_layer(vx_hnsw *hnsw, size_t level, size_t slots, bool exactly);
/* Gives back room for more rows and slots than there are; a failure may leave some of it. */
vindex_status vx_hnsw_trim(vx_hnsw *hnsw);
/* Copies a row, its aux with it, to another place, of another block maybe. */
void vx_hnsw_move_row(const vx_codec *codec, vx_coded from, vx_coded to);
/* Copies what lies in a map; before a change, what was never checked is mended too. */
vindex_status vx_hnsw_own(vx_hnsw *hnsw);
vindex_status vx_hnsw_ready(vx_hnsw *hnsw);
void vx_layer_free(vx_layer *layer);
/* Where a row is among the slots first ... end-1 of an upper layer; end where it is not. */
size_t vx_layer_find(const vx_layer *layer, size_t first, size_t end, uint32_t row);

/* build.c */
/* Rows that come into a graph: vectors, or rows of another one, whose codec learnt the same. */
typedef struct vx_arrivals {
    const char *verb; /* that progress and errors name */
    size_t n;
    const int64_t *ids;   /* NULL: they count up */
    const float *vectors; /* n x dim; NULL: codes are copied, and decoded a batch at a time */
    const vx_hnsw *from;
    const uint32_t *rows;
} vx_arrivals;
vindex_status vx_hnsw_take(vx_hnsw *hnsw, const vx_arrivals *new, const vindex_call *call);
vindex_status vx_hnsw_add(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                          const vindex_call *call);

/* merge.c */
vindex_status vx_hnsw_merge(vindex_index *index, const vindex_index *from, const vindex_call *call);

/* estimate.c */
vindex_status vx_hnsw_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes);
vindex_status vx_hnsw_build_estimate(const vx_spec *spec, vx_building *building);

/* compact.c */
vindex_status vx_hnsw_compact(vindex_index *index, const vindex_call *call);

/* reorder.c */
vindex_status vx_hnsw_reorder(vindex_index *index, const vindex_call *call);

/* search.c */
vindex_status vx_hnsw_search(const vindex_index *index, const vx_request *request);
vindex_status vx_hnsw_range_search(const vindex_index *index, const vx_request *request);

/* file.c */
void vx_hnsw_describe(const vindex_index *index, vx_index_header *header);
uint32_t vx_hnsw_section_count(const vindex_index *index);
vindex_status vx_hnsw_save(const vindex_index *index, vx_container_writer *writer,
                           const vindex_call *call);
vindex_status vx_hnsw_load(const vx_spec *spec, const vx_index_header *header, vx_container *file,
                           bool map, bool verify, vindex_index **index);

#endif
