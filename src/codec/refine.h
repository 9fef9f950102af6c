/* What a pair of codecs is made of: a coarse one whose codes are filtered, and a finer form of the
 * rows in an array of their own, which settles what passes.
 *
 * The finer form is the numbers themselves, or codes of what the coarse codes leave (as of IVFPQR
 * in Jegou, Tavenard, Douze and Amsaleg, Searching in one billion vectors: re-rank with source
 * coding, 2011): a row of the second codec has what its coarse code decodes to for a centre, so
 * that it decodes to the sum of both. Either way the answer is that of a search over what rows
 * decode to, among the runs that are looked through, unless a factor says how many of them to look
 * at. */
#ifndef VX_CODEC_REFINE_H
#define VX_CODEC_REFINE_H

#include "codec.h"

typedef struct vx_refine {
    vx_codec base; /* space: of the numbers that settle, which a second codec has decoded */
    vx_codec_use use;
    size_t stride;     /* of a fine row: numbers, or codes and what these need beside them; */
    size_t fine_bytes; /* of the numbers or codes; */
    size_t aux_at;     /* under cosine and Pearson the aux of what it decodes to is here */
} vx_refine;

static inline const vx_refine *vx_refine_of(const vx_codec *codec) {
    return (const vx_refine *)codec;
}

/* The fine row, and, under cosine and Pearson, its aux. */
static inline char *vx_refine_row(const vx_refine *codec, vx_coded row) {
    return (char *)row.run->fine + row.at * codec->stride;
}
static inline bool vx_refine_has_aux(const vx_refine *codec) {
    return codec->base.space.metric == VINDEX_COSINE || codec->base.space.metric == VINDEX_PEARSON;
}

void vx_refine_decode(const vx_codec *codec, vx_coded from, float *vector);

/* The codecs of the two parts, as they are before they learn. */
vindex_status vx_refine_parts(const vx_refine_words *words, const vx_codec_use *use,
                              vx_codec **coarse, vx_codec **second);

/* refine_train.c: both parts learn, the second one from what the first one leaves of the sample. */
vindex_status vx_refine_train(vx_codec *codec, const vx_sample *sample);

/* refine_score.c */
vindex_status vx_refine_score(const vx_codec *codec, size_t capacity, vx_scorer **scorer);

#endif
