/* What the codec of product codes and its scorer share. */
#ifndef VX_PQ_CODEC_H
#define VX_PQ_CODEC_H

#include "codec/codec.h"
#include "pq.h"

typedef struct vx_pq_codec {
    vx_codec base;
    vx_pq *pq;
    bool refined; /* a finer form settles */
} vx_pq_codec;

/* Cosine and Pearson: rows whose decoded vector is shorter than the inverse of this are always
 * settled, so that no such row makes the filter's bound useless for the others. */
static const float VX_PQ_INVERSE_MOST = 16;

/* Decodes a row of a run, its centre included. */
void vx_pq_decode_row(const vx_pq_codec *codec, vx_coded from, float *vector);

/* scorer.c */
vindex_status vx_pq_score(const vx_codec *codec, size_t capacity, vx_scorer **scorer);

#endif
