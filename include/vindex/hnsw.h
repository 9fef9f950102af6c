/* The graph index: vectors are nodes, each linked with near ones in several directions, and a
 * search walks from node to node towards the query (Malkov and Yashunin, Efficient and robust
 * approximate nearest neighbor search using hierarchical navigable small world graphs, 2016).
 *
 * A search keeps the `ef` best nodes it has met (vindex_search_params): more of them find more and
 * take longer. Distances and the order of what is found are exact, ties by smaller id. Every node
 * can be reached from every other, whatever is added, removed and compacted, so that with ef at
 * least the number of vectors, removed ones included, the answer is the flat index's.
 *
 * The graph depends on the vectors, their order, how calls portion them and the seed; never on the
 * number of threads. The walk rounds as the instruction set does, so between machines two graphs
 * of the same vectors may differ in a few links.
 *
 * Searches and range searches may run while another thread adds, which no other kind of index
 * allows: they see what was there and, from batch to batch of up to 8,192, what has come. They wait
 * only while a batch is linked, not while its neighbours are looked for; an addition that fails or
 * is cancelled takes back what they may have seen. All else stays as index.h says: one addition at
 * a time, and none beside any other verb. A filter's or a progress callback must not search the
 * index that it is called for. A mapped index is copied to memory whole before its first change,
 * but for removals.
 *
 * With a filter, or after removals, a search walks on until it has met ef vectors that may be
 * answered; where these are few, it compares with each of them instead. A range search walks on as
 * long as it meets vectors within the radius, and finds those that hang together with the ef best.
 *
 * Over codes the walk reads codes, which are fewer bytes and less exact, and all nodes that it was
 * left with are compared as they are decoded; with Refine, as the vectors themselves, or as what
 * two codes decode to. Codes are learnt: vindex_train must come first.
 *
 * Factory strings: "HNSW32" (M = 32, float32), "HNSW32,f16", "HNSW16,bf16"; "HNSW32,SQ8",
 * "HNSW32,SQ8,Refine", "HNSW32,SQ4,Refine(SQ8)" and every other code that an IVF index takes. */
#ifndef VINDEX_HNSW_H
#define VINDEX_HNSW_H

#include <vindex/fields.h>
#include <vindex/index.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vindex_hnsw_params {
    size_t struct_size;   /* set by vindex_hnsw_params_init */
    int64_t dim;          /* 1 to 1,048,576 */
    vindex_metric metric; /* default VINDEX_L2 */
    int64_t m;            /* links that a new vector gets per layer, 2 to 256; default 32. A vector
                             has up to 2 m in the bottom layer, m in those above */
    int64_t ef_construction; /* candidates for these links, 1 to 65,536; default 200. They come from
                                a walk that keeps as many nodes at hand; of vectors added by the
                                thousand, from the others of their batch and the 4 m nearest of a
                                walk half as wide */
    int64_t seed;            /* of the layers that vectors reach; default 1 */
    bool keep_pruned;  /* fill up with near vectors that the heuristic leaves out; default false */
    int64_t capacity;  /* vectors to make room for; a hint, default 0 */
    const char *codec; /* how vectors are stored, as in a factory string; NULL: float32 */
} vindex_hnsw_params;

VINDEX_API void vindex_hnsw_params_init_sized(vindex_hnsw_params *params, size_t struct_size);
static inline void vindex_hnsw_params_init(vindex_hnsw_params *params) {
    vindex_hnsw_params_init_sized(params, sizeof *params);
}

/* The table behind the fields of vindex_hnsw_params that are numbers. Reentrant. */
VINDEX_API const vindex_field_table *vindex_hnsw_fields(void);

/* Creates an empty index. *index is the caller's, to be freed with vindex_free. Reentrant. */
VINDEX_API vindex_status vindex_hnsw_create(const vindex_hnsw_params *params, vindex_index **index);

/* What the graph looks like. */
typedef struct vindex_hnsw_stats {
    int64_t layers, nodes; /* nodes of the bottom layer: vectors, removed ones included */
    double degree;         /* mean number of links in the bottom layer */
    int64_t degree_most;
    double link_bytes; /* of links and what else is not vectors, per vector */
} vindex_hnsw_stats;

/* Fills *stats in one pass over the links; VINDEX_ERR_ARGUMENT for an index of another kind.
 * Shared-read. */
VINDEX_API vindex_status vindex_hnsw_stats_get(const vindex_index *index, vindex_hnsw_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
