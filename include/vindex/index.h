/* The index: one opaque handle, its verbs, and the parameters of a search.
 *
 * Vectors are float32, row-major, one after the other (n x dim), and always the caller's: vindex
 * copies what it keeps. Ids are 0 ... 2^63-1. Every function that can fail returns a status; after
 * a failure the index is as it was and vindex_last_error() says why.
 *
 * Thread safety, named in each comment:
 *   reentrant    any number of calls together, on any objects;
 *   shared-read  any number of these together on one index, none while an exclusive call runs;
 *   exclusive    nothing else may use the same index meanwhile.
 * The threads of a call are OpenMP's, which do not survive a fork: a child of a process that has
 * used several must ask for 1, or its call waits for ever. */
#ifndef VINDEX_INDEX_H
#define VINDEX_INDEX_H

#include <vindex/status.h>
#include <vindex/transform.h>
#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vindex_index vindex_index;

/* Which ids may be returned. Give a bitset or a callback, not both. With neither, as when
 * zero-initialised, it allows all: an empty bitset that shall allow none needs bits all the same.
 */
typedef struct vindex_filter {
    const uint64_t *bits; /* id i is allowed when bit i % 64 of bits[i / 64] is set */
    int64_t bit_count;    /* ids from here on are not allowed */
    bool (*allow)(void *context, int64_t id); /* called from several threads at once */
    void *context;
} vindex_filter;

/* What a search did. A pair is a query and a stored vector; each pair is judged once. */
typedef struct vindex_search_stats {
    int64_t coded;     /* pairs judged by certified codes first */
    int64_t survivors; /* of these, not ruled out by a first plane */
    int64_t vectors;   /* of these, not by a second one either, so that the vector was read */
    int64_t plain;     /* pairs judged by the vector alone: no certified codes, or they did not pay
                          here; in lists all pairs, also those judged by a list's codes */
    int64_t settled;   /* pairs computed in double precision, those for a first limit included */
    int64_t bytes;     /* of codes and vectors read; once for a batch of queries that share them; in
                          lists of what was scanned, without what Refine looked at */
    int64_t lacking; /* queries for which fewer than k vectors were found; not of a range search */
} vindex_search_stats;

/* What one search asks. Initialise with vindex_search_params_init, then set what differs. */
typedef struct vindex_search_params {
    size_t struct_size;          /* set by vindex_search_params_init */
    int64_t k;                   /* neighbours per query, 1 to 2^31-1; default 10 */
    int32_t threads;             /* 0: every core the process may use; 1: only the caller's */
    const vindex_filter *filter; /* NULL: every id */
    /* A subspace: one non-negative finite weight per dimension, 0 to leave it out. The metric is
     * computed as if dimension j of every vector counted weights[j] times: sum w (q-x)^2, sum w q
     * x, and for cosine and Pearson the norms and means are weighted too. NULL: all 1. */
    const float *weights;
    int64_t
        weight_rows; /* 0 or 1: the same weights for all queries; nq: one row of dim per query */
    vindex_progress_fn progress; /* may cancel a long batch */
    void *progress_context;
    vindex_search_stats *stats; /* receives what the search did; NULL: not wanted */
    int64_t nprobe; /* lists that an IVF index looks through, more than it has: all of them; 0 (the
                       default): 16; up to 2^31-1; other kinds do not look at it */
    /* Instead of nprobe and the like: the recall that is wanted, 0 (the default): none, up to 1.
     * The operating point that vindex_tune stored for it, or else the next higher one, says the
     * parameters; one for a larger k serves, too. Given beside one of these parameters it is
     * refused (VINDEX_ERR_ARGUMENT), as by vindex_range_search; without points for that k it is
     * VINDEX_ERR_STATE, above the best of them VINDEX_ERR_UNSUPPORTED. An exact index always
     * agrees. */
    double recall;
    int64_t ef; /* nodes that an HNSW index keeps at hand, or the graph that finds the lists of an
                   IVF index ("IVF65536_HNSW32"): more of them find more; 0 (the default): 64; fewer
                   than k (nprobe) are as many; up to 2^31-1; other kinds do not look at it */
    /* Where an index keeps vectors in a finer form behind its codes ("SQ8,Refine",
     * "PQ32x4,Refine(SQ8)"), the candidates per neighbour that are looked at there, up to 2^31-1. 0
     * (the default): as many as a proven bound asks for, so that nothing is lost in the lists that
     * are looked through; product codes know no bound and take 10. Other kinds do not look at it,
     * nor do range searches, nor graphs, which look at all `ef` nodes that they keep at hand. */
    int64_t rerank;
    /* Queries that a thread of an HNSW index walks for in turns, so that one computes while memory
     * is read for others: 1 to 8, 0 (the default): 3. It changes no answer, only how long they
     * take; which is best depends on the machine, and vindex_tune finds out. */
    int64_t walkers;
} vindex_search_params;

VINDEX_API void vindex_search_params_init_sized(vindex_search_params *params, size_t struct_size);
static inline void vindex_search_params_init(vindex_search_params *params) {
    vindex_search_params_init_sized(params, sizeof *params);
}

/* The answer of a range search. Query i owns entries offsets[i] ... offsets[i+1]-1. */
typedef struct vindex_range_result {
    int64_t query_count;
    int64_t *offsets; /* query_count + 1 */
    int64_t *ids;     /* best first, ties by smaller id */
    float *distances; /* or similarities, as the metric says */
} vindex_range_result;

/* Frees what vindex_range_search put into *result and zeroes it; NULL is fine. Exclusive. */
VINDEX_API void vindex_range_result_free(vindex_range_result *result);

/* What an index can do, as bits of vindex_capabilities. */
enum {
    VINDEX_CAN_ADD = 1 << 0,
    VINDEX_CAN_RANGE = 1 << 1,
    VINDEX_CAN_RECONSTRUCT = 1 << 2,
    VINDEX_CAN_REMOVE = 1 << 3,
    VINDEX_CAN_FILTER = 1 << 4,
    VINDEX_CAN_WEIGHT = 1 << 5,
    VINDEX_CAN_MAP = 1 << 6, /* can be searched straight from a mapped file */
    VINDEX_IS_EXACT = 1 << 7 /* returns the true nearest neighbours */
};

/* Creates an empty index from a factory string such as "Flat" or "Flat,f16"; the words known are
 * listed by the error for an unknown one. dim is 1 to 1,048,576. *index is the caller's, to be
 * freed with vindex_free. Reentrant.
 *
 * Words of projections may go before: "PCA256,Flat", "Normalise,GRP128,Flat,f16",
 * "Rank,Flat,Certified". Those that learn (PCAn, PCAWn, ICAn, Rank, Standardise, Centre) need
 * vindex_train first; GRPn, Hadamard and Normalise do not. Distances are those of the projected
 * vectors, and among these the answer is exact as the inner index's is; weights are refused, and
 * vectors are reconstructed only where every step can be undone (Standardise, Centre, Hadamard).
 * Rank keeps L2 distances (inner products and cosines under those metrics) of data whose rank is
 * below its dimension, up to a relative error that is measured on vectors kept back from training
 * and told by the step's fact "distance_error"; Pearson is refused with it. */
VINDEX_API vindex_status vindex_create(const char *spec, int64_t dim, vindex_metric metric,
                                       vindex_index **index);

/* Frees an index; NULL is fine. Exclusive. */
VINDEX_API void vindex_free(vindex_index *index);

/* Facts about an index; all shared-read. */
VINDEX_API int64_t vindex_dim(const vindex_index *index);
VINDEX_API int64_t vindex_count(const vindex_index *index); /* vectors not removed */
VINDEX_API vindex_metric vindex_metric_of(const vindex_index *index);
VINDEX_API const char *vindex_spec(const vindex_index *index); /* canonical factory string */
VINDEX_API uint32_t vindex_capabilities(const vindex_index *index);
VINDEX_API bool vindex_is_trained(const vindex_index *index);
/* Bytes held; mapped ones are not counted, nor the scratch that a graph keeps for up to 32 walks to
 * come (for each an eighth of a byte per vector, and the room of some 2 m vectors). */
VINDEX_API size_t vindex_memory(const vindex_index *index);

/* Bytes that an index of this kind will hold once n vectors are in it, under the ids 0, 1, 2, ...
 * Others take 4 bytes each, 8 once one is above 2^32-1, and where they do not rise 5.4 to 6 more.
 * Reentrant. */
VINDEX_API vindex_status vindex_memory_estimate(const char *spec, int64_t dim, int64_t n,
                                                size_t *bytes);

/* The most bytes at once while such an index is built, by that many threads (0: every core the
 * process may use): trained on n vectors that lie in memory and filled with them in one call. The
 * index is counted, the vectors are not, nor what malloc keeps of memory that was freed (see
 * M_MMAP_THRESHOLD of mallopt). VINDEX_ERR_UNSUPPORTED behind projections of which this is not
 * known: ICA, and those whose dimension training finds. Reentrant. */
VINDEX_API vindex_status vindex_build_memory_estimate(const char *spec, int64_t dim, int64_t n,
                                                      int32_t threads, size_t *bytes);

/* Learns from n sample vectors what the index needs before the first add; kinds that need nothing
 * accept it and do nothing. Exclusive. */
VINDEX_API vindex_status vindex_train(vindex_index *index, const float *vectors, int64_t n,
                                      const vindex_call *call);

/* The same from rows in memory or read piece by piece, in one call. Exclusive. */
VINDEX_API vindex_status vindex_train_rows(vindex_index *index, const vindex_rows *rows,
                                           const vindex_call *call);

/* Creates an index that projects: vectors and queries come in the transform's input dimension, go
 * through it, and an index of kind `spec` ("Flat,Certified") holds what comes out. The transform is
 * copied, and saved and loaded with the index, whose own factory string is "Transform," and spec.
 * The metric compares projected vectors; see vindex_create for what such an index can do. *index as
 * there. Reentrant. */
VINDEX_API vindex_status vindex_index_with_transform(const vindex_transform *transform,
                                                     const char *spec, vindex_metric metric,
                                                     vindex_index **index);

/* The transform in front of an index, the index's own and as long as that lives and is not trained
 * again; NULL where there is none or it is not trained yet. Shared-read. */
VINDEX_API const vindex_transform *vindex_index_transform(const vindex_index *index);

/* Appends n vectors with ids that count up from one past the largest id so far (0 at first). NaN
 * or infinity anywhere, or a number beyond the storage type, refuses the whole call
 * (VINDEX_ERR_DATA). Exclusive. */
VINDEX_API vindex_status vindex_add(vindex_index *index, const float *vectors, int64_t n,
                                    const vindex_call *call);

/* The same with the caller's ids (n of them): non-negative, each once (else VINDEX_ERR_EXISTS). The
 * id of a removed vector may be given again. Exclusive. */
VINDEX_API vindex_status vindex_add_with_ids(vindex_index *index, const float *vectors, int64_t n,
                                             const int64_t *ids, const vindex_call *call);

/* Finds the params->k best vectors for each of nq queries (nq x dim). Writes nq x k ids and
 * distances (squared for L2; similarities otherwise), best first, ties by smaller id; where fewer
 * than k were found, id -1 and distance +infinity (L2) or -infinity. Either output may be NULL. The
 * answer does not depend on threads or on how queries are batched, nor, but for graphs (hnsw.h), on
 * the instruction set. params
 * may be NULL: the defaults. NaN or infinity in a query is VINDEX_ERR_DATA; a filter or weights
 * that this kind of index cannot take are VINDEX_ERR_UNSUPPORTED. After a failure or a cancellation
 * the outputs hold nothing to rely on. Shared-read. */
VINDEX_API vindex_status vindex_search(const vindex_index *index, const float *queries, int64_t nq,
                                       const vindex_search_params *params, int64_t *ids,
                                       float *distances);

/* Finds all vectors with distance <= radius (L2, squared) or similarity >= radius, compared in
 * double precision (a returned distance was rounded to float: as a radius it may miss its own row).
 * params->k is not used, though it must be valid. *result is filled for vindex_range_result_free; a
 * failure leaves it as it was. Otherwise as vindex_search. Shared-read. */
VINDEX_API vindex_status vindex_range_search(const vindex_index *index, const float *queries,
                                             int64_t nq, float radius,
                                             const vindex_search_params *params,
                                             vindex_range_result *result);

/* Writes the stored vectors of n ids to vectors (n x dim): what was added, rounded to the storage
 * type. An unknown or removed id is VINDEX_ERR_NOT_FOUND. Shared-read. */
VINDEX_API vindex_status vindex_reconstruct(const vindex_index *index, const int64_t *ids,
                                            int64_t n, float *vectors);

/* Removes the vectors of n ids; ids that are not there are passed over. *removed (may be NULL)
 * receives how many went. Their memory returns with vindex_compact. Exclusive. */
VINDEX_API vindex_status vindex_remove(vindex_index *index, const int64_t *ids, int64_t n,
                                       int64_t *removed);

/* Gives back the memory of removed vectors, and room for more vectors than there are. Ids stay.
 * Exclusive. */
VINDEX_API vindex_status vindex_compact(vindex_index *index, const vindex_call *call);

/* Lays the vectors of a graph out anew, so that those near each other lie side by side in memory,
 * which walks then wait less for. Ids and distances stay, and what a search finds, but for ties of
 * keys on a walk's way. Ids that counted up from 0 are stored from then on: 4 bytes per vector (8
 * once there is one above 2^32-1), and some 6 of a table to find them. Best once, when all has been
 * added: what comes later lies behind. While it runs it takes some 21 bytes per vector beside. A
 * graph that was mapped is copied first. Nothing changes on failure (VINDEX_ERR_MEMORY,
 * VINDEX_ERR_CANCELLED). Indexes that are no graphs, behind a projection or not, are
 * VINDEX_ERR_UNSUPPORTED. Exclusive. */
VINDEX_API vindex_status vindex_reorder(vindex_index *index, const vindex_call *call);

/* Copies the vectors of another index into this one, under their ids: shards that were filled apart
 * become one. Kind, dimension and metric must agree, and what training learnt, bit for bit (train
 * one index, save it, and load it once per shard); otherwise VINDEX_ERR_ARGUMENT. An id that both
 * have is VINDEX_ERR_EXISTS. After a failure the index is as it was. Exclusive, and shared-read of
 * `from`. */
VINDEX_API vindex_status vindex_merge(vindex_index *index, const vindex_index *from,
                                      const vindex_call *call);

/* Writes the index to path, atomically: the old file stays until the new one is complete and on
 * disk. A symbolic link is replaced, not followed. Shared-read. */
VINDEX_API vindex_status vindex_save(const vindex_index *index, const char *path,
                                     const vindex_call *call);

/* How vindex_load opens a file. */
enum {
    VINDEX_LOAD_MAP = 1 << 0,  /* map the file and search it where it lies; it must not change */
    VINDEX_LOAD_DEFER = 1 << 1 /* check the header now and the vectors in vindex_verify */
};

/* Opens an index file. Every byte is checked unless VINDEX_LOAD_DEFER is given. A mapped index can
 * be changed (additions live in memory); the file never is. Mapped or not, the file is held until
 * vindex_free, for vindex_verify, and must not be shortened: replace it, as vindex_save does.
 * Reentrant. */
VINDEX_API vindex_status vindex_load(const char *path, uint32_t flags, vindex_index **index);

/* Checks every checksum of the file an index was loaded from; VINDEX_OK for one never loaded.
 * Shared-read. */
VINDEX_API vindex_status vindex_verify(const vindex_index *index, const vindex_call *call);

/* One part of an index file. */
typedef struct vindex_file_section {
    char tag[9]; /* its name, at most 8 characters */
    uint64_t bytes;
} vindex_file_section;

/* Lists the parts of an index file, whose header and table are checked but not its vectors: fills
 * up to room of them, *count receives how many there are. Reentrant. */
VINDEX_API vindex_status vindex_file_sections(const char *path, vindex_file_section *sections,
                                              int64_t room, int64_t *count);

#ifdef __cplusplus
}
#endif
#endif
