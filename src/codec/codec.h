/* A codec turns vectors into bytes and hands out scorers, which compare queries with runs of coded
 * rows. Every index that keeps vectors in lists or graphs works with every codec.
 *
 * The key of a query and a row is that of the *decoded* row in double precision: whatever a filter
 * does with codes, only rows that it proves away are missing, so that a search over coded rows is
 * the exact search over what decode gives.
 *
 * A run may have a centre. Rows are then coded as what is left of them when the centre is taken
 * off, if the codec asks for that, and decode adds it again. */
#ifndef VX_CODEC_CODEC_H
#define VX_CODEC_CODEC_H

#include "core/container.h"
#include "exact/group.h"
#include "exact/pool.h"
#include "shortlist.h"

typedef struct vx_codec vx_codec;
typedef struct vx_scorer vx_scorer;

/* Rows per group of a codec that interleaves rows; runs of rows have room for whole groups. */
enum { VX_CODEC_ROWS = 16 };

/* Quantizers refuse vectors of more numbers, for these pass through arrays on the stack. */
enum { VX_CODEC_DIM_MOST = 1 << 14 };

/* What vectors are coded for. */
typedef struct vx_codec_use {
    size_t dim;
    vindex_metric metric;
    bool scattered; /* rows are compared a few at a time, wherever they lie: not in groups */
    bool refined;   /* a finer form settles: rows say how far they are from it, scorers feed a
                       shortlist */
    bool second;    /* of a pair the codec of what the first one leaves: rows are scattered and
                       decoded, no scorer is asked for */
} vx_codec_use;

/* One row of a run; at is its place. */
typedef struct vx_coded {
    const vx_block *run; /* data, fine, aux, centre and count */
    size_t at;
} vx_coded;

/* What a codec learns from. */
typedef struct vx_sample {
    const float *vectors; /* n x dim */
    size_t n;
    const float *centres;    /* NULL: there are none */
    const uint32_t *nearest; /* per vector the number of its centre */
    uint64_t seed;
    int threads;
    vindex_progress_fn progress;
    void *progress_context;
} vx_sample;

typedef struct vx_codec_ops {
    void (*free)(vx_codec *codec);
    /* Learns; a failure leaves the codec as it was. NULL: there is nothing to learn. */
    vindex_status (*train)(vx_codec *codec, const vx_sample *sample);
    /* Bytes of the data of a run of that many rows. */
    size_t (*bytes)(const vx_codec *codec, size_t rows);
    /* The same of its `fine` array, which only a few rows are read of. NULL: there is none. */
    size_t (*fine_bytes)(const vx_codec *codec, size_t rows);
    /* Encodes a vector into a place: data, fine and aux. Answers a number of which scorers want to
     * know the largest of all rows, never negative. */
    float (*encode)(const vx_codec *codec, const float *vector, vx_coded to);
    /* Before a finer form: a row is coded, and will be settled as that vector; says of this one, in
     * the row and in the answer, what encode said of the vector that it coded. */
    float (*restate)(const vx_codec *codec, const float *vector, vx_coded of);
    void (*decode)(const vx_codec *codec, vx_coded from, float *vector);
    /* Copies the data and fine of a row to another place, of the same centre. */
    void (*move)(const vx_codec *codec, vx_coded from, vx_coded to);
    /* Asks memory for what gathering some rows of a run reads, and for what settling a row does
     * (NULL: nothing more). Nobody waits for it. */
    void (*fetch)(const vx_codec *codec, const vx_block *run, const uint32_t *rows, size_t count);
    void (*fetch_fine)(const vx_codec *codec, vx_coded row);
    /* See vx_codec_alike; NULL: there is nothing to learn. */
    bool (*alike)(const vx_codec *a, const vx_codec *b);
    /* What was learnt, in codec->sections sections; NULL: nothing. */
    vindex_status (*save)(const vx_codec *codec, vx_container_writer *writer);
    vindex_status (*load)(vx_codec *codec, const vx_container *file, bool verify);
    /* For up to that many queries at once, for one thread. */
    vindex_status (*score)(const vx_codec *codec, size_t capacity, vx_scorer **scorer);
} vx_codec_ops;

struct vx_codec {
    const vx_codec_ops *ops;
    const vx_kernels *kernels;
    vx_space space;       /* of decoded rows */
    bool residual;        /* wants runs to have centres */
    float longest_centre; /* see vx_codec_centres */
    vx_codec *coarse;     /* of a pair: the one whose codes are filtered; else NULL */
    vx_codec *second;     /* and the one of what these leave; NULL: the numbers themselves follow */
    /* Of codes that cannot bound how far off they are: candidates per neighbour that a finer form
     * looks at where a search does not say; 0: they can. */
    size_t rerank;
    char word[48];      /* the factory words, "Flat" or "SQ8,Refine(f16)" */
    size_t sections;    /* that save writes */
    size_t aux_each;    /* floats per row of a run's aux */
    size_t group;       /* rows that are coded together: runs begin at whole groups */
    size_t own_bytes;   /* of what it has learnt */
    size_t query_bytes; /* that a scorer needs per query, beside the query itself */
    size_t useful;      /* training vectors that are of use to it */
    size_t learn_bytes; /* that it takes on the way to learn from as many */
    double distortion;  /* mean squared error of training vectors, as the metric sees them; 0: none,
                           or  not measured */
};

typedef struct vx_scorer_ops {
    void (*free)(vx_scorer *scorer);
    /* Takes count queries (count x dim) and opens their pools; pools NULL: they are for gather, not
     * for scan. largest: of what encode answered for all rows. */
    vindex_status (*load)(vx_scorer *scorer, const float *queries, size_t count, float largest,
                          vx_pools *pools);
    /* The queries that the runs to come are for, by their numbers; the list must last. */
    void (*choose)(vx_scorer *scorer, const uint32_t *queries, size_t count);
    /* Filters a run of rows, of a codec that was not made for scattered ones; row i is `where` + i
     * to the pools. */
    void (*scan)(vx_scorer *scorer, const vx_block *run, uint64_t where, vx_pools *pools);
    /* After the last run for that query: brings what waits to its pool. NULL: nothing waits. */
    void (*finish)(vx_scorer *scorer, size_t query, vx_pools *pools);
    /* The keys of a query and some rows of a run, approximately, in single precision; best
     * after codec->ops->fetch and other work. */
    void (*gather)(vx_scorer *scorer, size_t query, const vx_block *run, const uint32_t *rows,
                   size_t count, float *keys);
    /* The key of a query and a row; smaller is better. */
    double (*settle)(vx_scorer *scorer, size_t query, vx_coded row);
} vx_scorer_ops;

struct vx_scorer {
    const vx_scorer_ops *ops;
    vx_shortlist *shortlist; /* where rows go that codes do not rule out; NULL: to the pools */
};

/* The codec that count factory words ask for. */
vindex_status vx_codec_create(const char *const *words, size_t count, const vx_codec_use *use,
                              vx_codec **codec);
void vx_codec_free(vx_codec *codec); /* NULL is fine */

/* The owner of the runs says: no centre is longer than this. Before rows are coded. */
void vx_codec_centres(vx_codec *codec, float longest);

/* Whether two codecs of the same words have learnt the same, bit for bit. */
bool vx_codec_alike(const vx_codec *a, const vx_codec *b);

/* Bytes of the fine array of a run, 0 where there is none. */
size_t vx_codec_fine_bytes(const vx_codec *codec, size_t rows);

/* Estimates: bytes of a row of a long run, its aux included, and what learning from that many
 * vectors takes on the way. */
double vx_codec_row_bytes(const vx_codec *codec);
double vx_codec_learning_bytes(const vx_codec *codec, size_t vectors);

/* A vector as quantisers see it: as the metric does (of length 1 under cosine and Pearson, zero and
 * constant ones 0), less the centre (NULL: none). The same bits on every machine. */
void vx_codec_form(const vx_codec *codec, const float *vector, const float *centre, float *form);

/* Whether a factory word names codes that make an index of their own, without lists. */
bool vx_codec_stands_alone(const char *word);

/* Asks memory for `bytes` from an address on; of many the beginning, for from there on memory is
 * read forward. */
static inline void vx_fetch(const void *from, size_t bytes) {
    enum { FETCH_MOST = 2048 };
    for (size_t byte = 0; byte < VX_MIN(bytes, (size_t)FETCH_MOST); byte += 64)
        __builtin_prefetch((const char *)from + byte, 0, 3);
}

/* The factory words known, for errors and help. */
const char *vx_codec_help(void);

/* The codecs, for vx_codec_create. stored.c: the numbers themselves, as f32, f16 or bf16. */
vindex_status vx_stored_create(vindex_dtype dtype, const vx_codec_use *use, vx_codec **codec);
/* scalar.h: "SQ8" and so on. */
bool vx_scalar_knows(const char *word);
vindex_status vx_scalar_create(const char *word, const vx_codec_use *use, vx_codec **codec);
/* refine.h: codes that are filtered and, behind them, the numbers themselves or codes of what the
 * first ones leave. */
typedef struct vx_refine_words {
    const char *coarse, *second; /* second NULL: the numbers */
    vindex_dtype dtype;          /* of these */
} vx_refine_words;
vindex_status vx_refine_create(const vx_refine_words *words, const vx_codec_use *use,
                               vx_codec **codec);
/* What learning takes where there is a second codec, see vx_codec_learning_bytes. */
double vx_refine_learning_bytes(const vx_codec *codec, size_t vectors);

/* pq/codec.c: product codes, "PQ64x4". */
bool vx_pq_word(const char *word);
vindex_status vx_pq_codec_create(const char *word, const vx_codec_use *use, vx_codec **codec);

#endif
