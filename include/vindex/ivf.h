/* The inverted file index: vectors lie in lists around centroids, and a search looks through the
 * nprobe lists whose centroids are nearest to the query (Jegou, Douze and Schmid, Product
 * quantization for nearest neighbor search, 2011).
 *
 * What is found in these lists is exact: the answer is that of an exact search over the vectors in
 * them, as they are stored. With nprobe at least the number of lists it is the flat index's, id for
 * id. vindex_train must come first; it learns the centroids. Inner products, cosine and Pearson use
 * centroids of length 1. vindex_reconstruct looks each id up in every list, or passes over all
 * lists once where that is quicker: ask for many ids at a time.
 *
 * Factory strings: "IVF4096,Flat" (4096 lists of float32), "IVF4096,Flat,f16", "IVF4096,Flat,bf16".
 * Of very many lists a graph over their centroids (HNSW, see hnsw.h) finds the nearest, which an
 * "IVF65536_HNSW32,Flat" asks for: nearly always the same lists, for a small part of the work. A
 * search keeps `ef` nodes of the graph at hand, at least nprobe. With nprobe at least the number of
 * lists all are looked through as ever.
 *
 * Codes take fewer bytes, and answers are then those of the vectors that codes decode to:
 *   "IVF4096,SQ8", "SQ6", "SQ4"   8, 6 or 4 bits per dimension, in ranges that are learnt
 *   "IVF4096,SQ8v" and so on      in a range per vector
 *   "IVF4096,RaBitQ4"             1 to 8 bits after a random rotation
 *   "IVF4096,PQ64x4"              product codes, see below
 * Of vectors that are not compared by inner product, what is left without the centroid is coded;
 * under cosine and Pearson codes keep the direction alone. "IVF4096,SQ8,Refine" keeps the vectors,
 * too, as float32 or with "Refine(f16)" or "Refine(bf16)" in halves, in arrays that only a few are
 * read of: codes rule out what they prove cannot be an answer, and the vectors settle the rest, so
 * that the answer is that of "IVF4096,Flat" (see rerank in vindex_search_params).
 *
 * In place of the vectors a second code may follow, of what the first one leaves of a vector:
 * "IVF4096,PQ32x4,Refine(SQ8)", "IVF4096,PQ16x8,Refine(PQ16x8)", "SQ4,Refine(RaBitQ4)", any code
 * behind any other. A vector decodes to the sum of both, which is what vindex_reconstruct gives and
 * what answers are about: codes rule out, or choose, and what both decode to settles the rest. The
 * second code takes no more than its bits (4 bytes more where it has a range per vector, and 4
 * under cosine and Pearson), and learns from what the first leaves of the training vectors.
 *
 * Product codes: "IVF4096,PQ64x4" cuts what is left of a vector when its centroid is taken off into
 * 64 parts and keeps 4 bits for each; "PQ32x8" (or "PQ32") and "PQ16x6" take 8 and 6 bits. The
 * number of parts must divide the dimension. Alone ("PQ32x8") they are an index without lists,
 * whose vindex_ivf_stats has one list. A search is exact over what codes decode to, which is what
 * vindex_reconstruct gives; under cosine and Pearson that has about length 1. Training wants 16, 64
 * or 256 vectors at least, and 256 times as many are of use. "IVF4096,PQ64x4,Refine" keeps the
 * vectors, too, and settles candidates by them, "Refine(SQ8)" codes of what is left;
 * "OPQ64,IVF4096,PQ64x4" turns vectors first, by the rotation after which 64 parts lose least. */
#ifndef VINDEX_IVF_H
#define VINDEX_IVF_H

#include <vindex/fields.h>
#include <vindex/index.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vindex_ivf_params {
    size_t struct_size;   /* set by vindex_ivf_params_init */
    int64_t dim;          /* 1 to 1,048,576 */
    vindex_metric metric; /* default VINDEX_L2 */
    int64_t lists;        /* 1 to 2^24; default 1024. About 4 sqrt(n) serves n vectors well */
    int64_t seed;         /* of the training; default 1 */
    int64_t iterations;   /* of k-means; default 10 */
    int64_t points_each;  /* training vectors per list, the rest is left out; default 64 */
    double balance;       /* 0 to 1: lists smaller than this share of the mean are given up while
                             training, and large ones divided; default 0.1 */
    const char *codec;    /* how vectors are stored, as in a factory string; NULL: "Flat" */
    int64_t links;        /* 0, or 2 to 256: a graph with that many links per node finds the lists,
                             see above; default 0 */
    int64_t batch;        /* training vectors that an iteration looks at, drawn anew for each
                             (mini-batch k-means); default 0: all that are learnt from */
    bool plus_plus;       /* begin with k-means++ (Arthur and Vassilvitskii, 2007) rather than with
                             a sample: a little better, and as slow as a scan per list; default no */
} vindex_ivf_params;

VINDEX_API void vindex_ivf_params_init_sized(vindex_ivf_params *params, size_t struct_size);
static inline void vindex_ivf_params_init(vindex_ivf_params *params) {
    vindex_ivf_params_init_sized(params, sizeof *params);
}

/* The table behind the fields of vindex_ivf_params that are numbers. Reentrant. */
VINDEX_API const vindex_field_table *vindex_ivf_fields(void);

/* Creates an untrained index. *index is the caller's, to be freed with vindex_free. Reentrant. */
VINDEX_API vindex_status vindex_ivf_create(const vindex_ivf_params *params, vindex_index **index);

/* How an IVF index is filled, removed vectors included until vindex_compact. */
typedef struct vindex_ivf_stats {
    int64_t lists, empty, largest; /* lists, those without a vector, vectors of the largest */
    double unevenness; /* mean size of the list a vector is in over the mean size: 1 is even */
    double loss;       /* mean squared distance of training vectors to their centroids */
    double bytes_each; /* of a stored vector, what its list keeps beside it included */
    double distortion; /* mean squared distance of training vectors (of length 1 under cosine and
                          Pearson) to what codes of them decode to, both where there are two; 0:
                          vectors are stored as they are, or it was not measured */
    int64_t learnt_from, offered; /* training vectors that were of use, of so many given: more than
                                     points_each per list, and than codes can use, are left out; 0
                                     in a file that does not say */
} vindex_ivf_stats;

/* Fills *stats, also of lists behind a projection; VINDEX_ERR_ARGUMENT for an index of another
 * kind. Shared-read. */
VINDEX_API vindex_status vindex_ivf_stats_get(const vindex_index *index, vindex_ivf_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
