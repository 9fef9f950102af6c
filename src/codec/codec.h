/* A codec turns vectors into bytes and hands out scorers, which compare queries with runs of coded
 * rows. Every index that keeps vectors in lists or graphs works with every codec.
 *
 * The key of a query and a row is that of the *decoded* row in double precision: whatever a filter
 * does with codes, only rows that it proves away are missing, so that a search over coded rows is
 * the exact search over what decode gives. */
#ifndef VX_CODEC_CODEC_H
#define VX_CODEC_CODEC_H

#include "core/container.h"
#include "exact/group.h"
#include "exact/pool.h"

typedef struct vx_codec vx_codec;
typedef struct vx_scorer vx_scorer;

/* Rows per group of a codec that interleaves rows; runs of rows have room for whole groups. */
enum { VX_CODEC_ROWS = 16 };

/* One row of a run; at is its place. */
typedef struct vx_coded {
    const vx_block *run; /* data, aux and count */
    size_t at;
} vx_coded;

typedef struct vx_codec_ops {
    void (*free)(vx_codec *codec);
    /* Learns from n vectors; NULL: there is nothing to learn. */
    vindex_status (*train)(vx_codec *codec, const float *vectors, size_t n, int threads);
    /* Bytes of the data of a run of that many rows. */
    size_t (*bytes)(const vx_codec *codec, size_t rows);
    /* Encodes a vector into a place, data and aux. */
    void (*encode)(const vx_codec *codec, const float *vector, vx_coded to);
    void (*decode)(const vx_codec *codec, vx_coded from, float *vector);
    /* Copies the data of a row to another place. */
    void (*move)(const vx_codec *codec, vx_coded from, vx_coded to);
    /* Whether two codecs of the same words have learnt the same, bit for bit; NULL: nobody knows.
     */
    bool (*alike)(const vx_codec *a, const vx_codec *b);
    /* What was learnt, in a section of its own; NULL: nothing. */
    vindex_status (*save)(const vx_codec *codec, vx_container_writer *writer);
    vindex_status (*load)(vx_codec *codec, const vx_container *file, bool verify);
    /* For up to that many queries at once, for one thread. */
    vindex_status (*score)(const vx_codec *codec, size_t capacity, vx_scorer **scorer);
} vx_codec_ops;

struct vx_codec {
    const vx_codec_ops *ops;
    const vx_kernels *kernels;
    vx_space space; /* of decoded rows */
    char word[32];  /* the factory words, "Flat" or "Flat,f16" */
};

typedef struct vx_scorer_ops {
    void (*free)(vx_scorer *scorer);
    /* Takes count queries (count x dim) and opens their pools. largest_aux: of all rows. */
    vindex_status (*load)(vx_scorer *scorer, const float *queries, size_t count, float largest_aux,
                          vx_pools *pools);
    /* The queries that the runs to come are for, by their numbers; the list must last. */
    void (*choose)(vx_scorer *scorer, const uint32_t *queries, size_t count);
    /* Filters a run of rows; row i is `where` + i to the pools. */
    void (*scan)(vx_scorer *scorer, const vx_block *run, uint64_t where, vx_pools *pools);
    /* The key of a query and a row; smaller is better. */
    double (*settle)(vx_scorer *scorer, size_t query, vx_coded row);
} vx_scorer_ops;

struct vx_scorer {
    const vx_scorer_ops *ops;
};

/* The codec that count factory words ask for. */
vindex_status vx_codec_create(const char *const *words, size_t count, size_t dim,
                              vindex_metric metric, vx_codec **codec);
void vx_codec_free(vx_codec *codec); /* NULL is fine */

/* The factory words known, for errors and help. */
const char *vx_codec_help(void);

/* The codecs, for vx_codec_create. stored.c: the numbers themselves, as f32, f16 or bf16. */
vindex_status vx_stored_create(vindex_dtype dtype, size_t dim, vindex_metric metric,
                               vx_codec **codec);

#endif
