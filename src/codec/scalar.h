/* Scalar quantizers: each dimension becomes one of 2^bits levels.
 *
 *   SQ8, SQ6, SQ4        ranges per dimension, learnt
 *   SQ8v, SQ6v, SQ4v     a range per vector
 *   RaBitQ1 ... RaBitQ8  a range per vector after a random rotation, which makes the numbers of any
 *                        vector alike (Gao and Long, RaBitQ, 2024; Gao et al., 2025)
 *
 * A row is coded as what is left of it (as the metric sees it) without its run's centre and the
 * mean of the training set, `middle`. With levels n in 0 ... 2^bits - 1 it decodes to
 *
 *   centre + middle + R' (scale (n - (2^bits - 1) / 2) steps)
 *
 * with R' the way back from the rotation, or nothing; the steps are learnt, or 1; the scale is kept
 * with the row as bf16, or 1. */
#ifndef VX_CODEC_SCALAR_H
#define VX_CODEC_SCALAR_H

#include "codec.h"
#include "exact/bound.h"
#include "exact/rotation.h"

typedef enum vx_scalar_kind {
    VX_SCALAR_DIMENSION, /* ranges per dimension */
    VX_SCALAR_VECTOR,
    VX_SCALAR_ROTATED
} vx_scalar_kind;

typedef struct vx_scalar {
    vx_codec base;
    vx_scalar_kind kind;
    bool refined; /* rows are settled in a finer form */
    bool second;  /* rows are what another codec leaves, and are only decoded */
    bool bare;    /* a row is its levels alone: its scale is 1, and what a rounded query leaves open
                     is bounded for all rows at once */
    size_t group; /* rows of a group: VX_LEVEL_ROWS, or 1 */
    vx_level_shape shape;
    size_t lines; /* of a group's levels */
    vx_rotation rotation;
    float *middle, *steps;                 /* dim */
    float middle_norm, steps_norm, widest; /* |middle|, |steps| and the largest step, rounded up */
    float ratio;                           /* see vx_scalar_reach */
} vx_scalar;

/* Training vectors that are of use: a range has few parameters. */
enum { VX_SCALAR_USEFUL = 1 << 15 };

/* Room for one vector, in numbers and in levels. */
enum { VX_SCALAR_NUMBERS = VX_CODEC_DIM_MOST + VX_PAD };

/* What is known of a row once it is coded. */
typedef struct vx_scalar_row {
    float scale;
    double code;   /* |scale (n - middle level)| */
    double square; /* |row - what it decodes to|^2, both as the metric sees them */
    double error;  /* its root, and what rounding may add */
    double length; /* of the longer one */
} vx_scalar_row;

static inline const vx_scalar *vx_scalar_of(const vx_codec *codec) {
    return (const vx_scalar *)codec;
}
static inline float vx_scalar_half(const vx_scalar *codec) {
    return (float)((1 << codec->shape.bits) - 1) / 2;
}
/* Rows have a dword of numbers, their scale and reach, unless they are bare. Those of a group are
 * the line before its levels; a scattered row has it behind its aux, so that levels fill whole
 * lines of the cache. Rows of a second codec have no aux. */
static inline bool vx_scalar_scattered(const vx_scalar *codec) {
    return codec->group == 1;
}
/* Bytes of a line, of those before the levels, and of a group. */
static inline size_t vx_scalar_line(const vx_scalar *codec) {
    return codec->group * VX_LEVEL_DIMS;
}
static inline size_t vx_scalar_head(const vx_scalar *codec) {
    return vx_scalar_scattered(codec) || codec->bare ? 0 : vx_scalar_line(codec);
}
static inline size_t vx_scalar_group_bytes(const vx_scalar *codec) {
    return vx_scalar_head(codec) + codec->lines * vx_scalar_line(codec);
}
/* A row's aux. */
static inline float *vx_scalar_aux(const vx_scalar *codec, vx_coded row) {
    return (float *)(uintptr_t)row.run->aux + row.at * codec->base.aux_each;
}
/* Where a row's dword of the group's first line is. */
static inline unsigned char *vx_scalar_at(const vx_scalar *codec, vx_coded row) {
    return (unsigned char *)(uintptr_t)row.run->data +
           row.at / codec->group * vx_scalar_group_bytes(codec) +
           row.at % codec->group * VX_LEVEL_DIMS;
}

/* Where its numbers are, and its first dword of levels. */
static inline unsigned char *vx_scalar_pair(const vx_scalar *codec, vx_coded row) {
    return vx_scalar_scattered(codec)
               ? (unsigned char *)(vx_scalar_aux(codec, row) + !codec->second)
               : vx_scalar_at(codec, row);
}
static inline unsigned char *vx_scalar_levels(const vx_scalar *codec, vx_coded row) {
    return vx_scalar_at(codec, row) + vx_scalar_head(codec);
}

/* Levels (dim of them, room for VX_SCALAR_NUMBERS) and scale of a vector that is to lie in a run of
 * that centre, and what they lead to. */
vx_scalar_row vx_scalar_quantise(const vx_scalar *codec, const float *vector, const float *centre,
                                 unsigned char *levels, float *decoded);

/* Works out what follows from middle and steps. */
void vx_scalar_measure(vx_scalar *codec);

/* What a coded row leaves open. Without a finer form keys are those of the decoded row and only the
 * query is off, by its rounding times |code|. Otherwise the row is off by its error, and one number
 * serves for both where it is at least |code| / ratio. */
double vx_scalar_reach(const vx_scalar *codec, const vx_scalar_row *row);

/* The levels of a row, zeros behind them up to a multiple of 32; its scale and reach, 1 and 0 where
 * it is bare. */
void vx_scalar_unpack(const vx_scalar *codec, vx_coded row, unsigned char *levels);
static inline void vx_scalar_numbers(const vx_scalar *codec, vx_coded row, float *scale,
                                     float *reach) {
    uint32_t pair;
    *scale = 1;
    *reach = 0;
    if (codec->bare) return;
    memcpy(&pair, vx_scalar_pair(codec, row), sizeof pair);
    *scale = vx_bf16_value(pair >> 16);
    *reach = vx_bf16_value(pair & 0xffff);
}

/* scalar_train.c; the bytes are those that learning takes from that many vectors. */
size_t vx_scalar_learn_bytes(size_t dim, size_t vectors);
vindex_status vx_scalar_train(vx_codec *codec, const vx_sample *sample);

/* scalar_score.c */
vindex_status vx_scalar_score(const vx_codec *codec, size_t capacity, vx_scorer **scorer);

#endif
