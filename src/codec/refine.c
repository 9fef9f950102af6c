#include "refine.h"

#include <stdio.h>

static void free_codec(vx_codec *codec) {
    vx_codec_free(codec->coarse);
    vx_codec_free(codec->second);
    vx_free(codec);
}

static size_t run_bytes(const vx_codec *codec, size_t rows) {
    return codec->coarse->ops->bytes(codec->coarse, rows);
}

static size_t fine_bytes(const vx_codec *codec, size_t rows) {
    return rows * vx_refine_of(codec)->stride;
}

/* ---- rows ---- */

/* A run of the second codec with that row alone, which has a centre of its own. */
static vx_block second_run(const vx_refine *own, vx_coded row, const float *centre) {
    char *fine = vx_refine_row(own, row);
    const float *aux = (const float *)(const void *)(fine + own->fine_bytes);
    return (vx_block){.data = fine, .aux = aux, .count = 1, .centre = centre};
}

/* Codes a vector in both parts. */
static void encode_parts(const vx_refine *own, const float *vector, vx_coded to) {
    const vx_codec *coarse = own->base.coarse, *second = own->base.second;
    float centre[VX_CODEC_DIM_MOST];
    coarse->ops->encode(coarse, vector, to);
    coarse->ops->decode(coarse, to, centre);
    vx_block alone = second_run(own, to, centre);
    second->ops->encode(second, vector, (vx_coded){&alone, 0});
}

/* The coarse code of numbers that were made narrower is made of them; that which a second one
 * follows cannot be made of the sum of both, and is told of it. */
static float encode(const vx_codec *codec, const float *vector, vx_coded to) {
    const vx_refine *own = vx_refine_of(codec);
    const vx_codec *coarse = codec->coarse;
    char *fine = vx_refine_row(own, to);
    float row[VX_CODEC_DIM_MOST];
    if (codec->second)
        encode_parts(own, vector, to);
    else
        codec->kernels->narrow[codec->space.dtype](vector, codec->space.dim, fine);
    vx_refine_decode(codec, to, row);
    if (vx_refine_has_aux(own)) {
        float aux;
        vx_aux_fill(&codec->space, codec->kernels, codec->second ? (const void *)row : fine, 1,
                    &aux);
        memcpy(fine + own->aux_at, &aux, sizeof aux);
    }
    return codec->second ? coarse->ops->restate(coarse, row, to)
                         : coarse->ops->encode(coarse, row, to);
}

void vx_refine_decode(const vx_codec *codec, vx_coded from, float *vector) {
    const vx_refine *own = vx_refine_of(codec);
    float centre[VX_CODEC_DIM_MOST];
    if (!codec->second) {
        codec->kernels->widen[codec->space.dtype](vx_refine_row(own, from), codec->space.dim,
                                                  vector);
        return;
    }
    codec->coarse->ops->decode(codec->coarse, from, centre);
    vx_block alone = second_run(own, from, centre);
    codec->second->ops->decode(codec->second, (vx_coded){&alone, 0}, vector);
}

static void move(const vx_codec *codec, vx_coded from, vx_coded to) {
    const vx_refine *own = vx_refine_of(codec);
    codec->coarse->ops->move(codec->coarse, from, to);
    memmove(vx_refine_row(own, to), vx_refine_row(own, from), own->stride);
}

static void fetch(const vx_codec *codec, const vx_block *run, const uint32_t *rows, size_t count) {
    codec->coarse->ops->fetch(codec->coarse, run, rows, count);
}

static void fetch_fine(const vx_codec *codec, vx_coded row) {
    const uint32_t at = (uint32_t)row.at;
    vx_fetch(vx_refine_row(vx_refine_of(codec), row), vx_refine_of(codec)->stride);
    if (codec->second) fetch(codec, row.run, &at, 1);
}

/* ---- files: what the coarse codec learnt, and within '+' what the second one did ---- */

enum { SECOND = '+' };

static vindex_status save(const vx_codec *codec, vx_container_writer *writer) {
    VX_TRY(codec->coarse->ops->save(codec->coarse, writer));
    if (!codec->second) return VINDEX_OK;
    vx_container_within(writer, SECOND);
    vindex_status status = codec->second->ops->save(codec->second, writer);
    vx_container_within(writer, 0);
    return status;
}

static vindex_status load(vx_codec *codec, const vx_container *file, bool verify) {
    vx_codec *coarse = codec->coarse, *second = codec->second;
    vx_container *inner;
    VX_TRY(coarse->ops->load(coarse, file, verify));
    codec->distortion = coarse->distortion;
    if (!second) return VINDEX_OK;
    VX_TRY(vx_container_inner(file, SECOND, &inner));
    vindex_status status = second->ops->load(second, inner, verify);
    codec->distortion = second->distortion;
    vx_container_close(inner);
    return status;
}

static bool alike(const vx_codec *a, const vx_codec *b) {
    return vx_codec_alike(a->coarse, b->coarse) &&
           (!a->second || vx_codec_alike(a->second, b->second));
}

/* ---- coming to be ---- */

static const vx_codec_ops refine_ops = {.free = free_codec,
                                        .train = vx_refine_train,
                                        .bytes = run_bytes,
                                        .fine_bytes = fine_bytes,
                                        .encode = encode,
                                        .decode = vx_refine_decode,
                                        .move = move,
                                        .fetch = fetch,
                                        .fetch_fine = fetch_fine,
                                        .alike = alike,
                                        .save = save,
                                        .load = load,
                                        .score = vx_refine_score};

vindex_status vx_refine_parts(const vx_refine_words *words, const vx_codec_use *use,
                              vx_codec **coarse, vx_codec **second) {
    vx_codec_use first_use = *use, second_use = *use;
    first_use.refined = true;
    second_use.second = second_use.scattered = true;
    *coarse = *second = NULL;
    VX_TRY(vx_codec_create(&words->coarse, 1, &first_use, coarse));
    if (!words->second) return VINDEX_OK;
    vindex_status status = vx_codec_create(&words->second, 1, &second_use, second);
    if (status == VINDEX_OK) return VINDEX_OK;
    vx_codec_free(*coarse);
    *coarse = NULL;
    return status;
}

static size_t own_bytes(const vx_refine *own) {
    const vx_codec *coarse = own->base.coarse, *second = own->base.second;
    size_t bytes = sizeof *own + coarse->own_bytes;
    return second ? bytes + sizeof *second + second->own_bytes : bytes;
}

/* Where things lie in a fine row. */
static void lay_out(vx_refine *own) {
    const vx_codec *second = own->base.second;
    own->fine_bytes = vx_space_stride(&own->base.space);
    if (second) own->fine_bytes = second->ops->bytes(second, 1);
    own->stride = own->fine_bytes;
    if (second) own->stride += second->aux_each * sizeof(float);
    if (!vx_refine_has_aux(own)) return;
    own->aux_at = (own->stride + 3) / 4 * 4;
    own->stride = own->aux_at + sizeof(float);
}

static void name(vx_refine *own, vindex_dtype dtype) {
    const vx_codec *second = own->base.second;
    const char *finer = second ? second->word : vindex_dtype_name(dtype);
    bool plain = !second && dtype == VINDEX_F32;
    snprintf(own->base.word, sizeof own->base.word, "%.18s,Refine%s%.18s%s", own->base.coarse->word,
             plain ? "" : "(", plain ? "" : finer, plain ? "" : ")");
}

vindex_status vx_refine_create(const vx_refine_words *words, const vx_codec_use *use,
                               vx_codec **result) {
    vx_codec *coarse, *second;
    VX_TRY(vx_refine_parts(words, use, &coarse, &second));
    vx_refine *codec = vx_alloc_zero(1, sizeof *codec);
    if (!codec) {
        vx_codec_free(coarse);
        vx_codec_free(second);
        return vx_fail_memory(1, sizeof *codec, "create");
    }
    codec->base =
        (vx_codec){.ops = &refine_ops,
                   .kernels = coarse->kernels,
                   .space = coarse->space,
                   .residual = coarse->residual,
                   .coarse = coarse,
                   .second = second,
                   .sections = coarse->sections + (second ? second->sections : 0),
                   .aux_each = coarse->aux_each,
                   .group = coarse->group,
                   .rerank = coarse->rerank,
                   .query_bytes = coarse->query_bytes + vx_padded(coarse->space.dim) *
                                                            (3 * sizeof(float) + sizeof(double)),
                   .useful = coarse->useful,
                   .learn_bytes = coarse->learn_bytes};
    codec->use = *use;
    codec->base.space.dtype = words->dtype;
    codec->base.own_bytes = own_bytes(codec);
    if (second) codec->base.useful = VX_MAX(coarse->useful, second->useful);
    lay_out(codec);
    name(codec, words->dtype);
    *result = &codec->base;
    return VINDEX_OK;
}
