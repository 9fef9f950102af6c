/* The codec that keeps the numbers themselves, in single precision or halves. */
#include <math.h>
#include <stdio.h>

#include "codec.h"
#include "exact/sweep.h"

static size_t run_bytes(const vx_codec *codec, size_t rows) {
    return rows * vx_space_stride(&codec->space);
}

static char *row_at(const vx_codec *codec, vx_coded row) {
    return (char *)(uintptr_t)row.run->data + row.at * vx_space_stride(&codec->space);
}

static void free_codec(vx_codec *codec) {
    vx_free(codec);
}

static float encode(const vx_codec *codec, const float *vector, vx_coded to) {
    float *aux = (float *)(uintptr_t)to.run->aux + to.at;
    codec->kernels->narrow[codec->space.dtype](vector, codec->space.dim, row_at(codec, to));
    vx_aux_fill(&codec->space, codec->kernels, row_at(codec, to), 1, aux);
    return vx_aux_largest(aux, 1);
}

static void decode(const vx_codec *codec, vx_coded from, float *vector) {
    codec->kernels->widen[codec->space.dtype](row_at(codec, from), codec->space.dim, vector);
}

static void move(const vx_codec *codec, vx_coded from, vx_coded to) {
    memmove(row_at(codec, to), row_at(codec, from), vx_space_stride(&codec->space));
}

static void fetch(const vx_codec *codec, const vx_block *run, const uint32_t *rows, size_t count) {
    size_t stride = vx_space_stride(&codec->space);
    for (size_t i = 0; i < count; i++) vx_fetch((const char *)run->data + rows[i] * stride, stride);
}

typedef struct stored_scorer {
    vx_scorer base;
    vx_group group;
    vx_sweep sweep;
} stored_scorer;

static void free_scorer(vx_scorer *scorer) {
    stored_scorer *s = (stored_scorer *)scorer;
    vx_sweep_free(&s->sweep);
    vx_group_free(&s->group);
    vx_free(s);
}

static vindex_status load(vx_scorer *scorer, const float *queries, size_t count, float largest_aux,
                          vx_pools *pools) {
    stored_scorer *s = (stored_scorer *)scorer;
    VX_TRY(vx_group_load(&s->group, queries, count, 1));
    if (pools)
        vx_sweep_begin(&s->sweep, largest_aux, pools);
    else
        for (size_t q = 0; q < count; q++)
            vx_group_form(&s->group, VX_PASS_SCAN, q, s->sweep.forms + q * s->group.padded);
    return VINDEX_OK;
}

static void choose(vx_scorer *scorer, const uint32_t *queries, size_t count) {
    vx_sweep_queries(&((stored_scorer *)scorer)->sweep, queries, count);
}

static void scan(vx_scorer *scorer, const vx_block *run, uint64_t where, vx_pools *pools) {
    vx_sweep_rows(&((stored_scorer *)scorer)->sweep, run, where, pools);
}

static double settle(vx_scorer *scorer, size_t query, vx_coded row) {
    const vx_group *group = &((stored_scorer *)scorer)->group;
    return vx_group_settle(group, query,
                           (const char *)row.run->data + row.at * vx_space_stride(&group->space));
}

static void gather(vx_scorer *scorer, size_t query, const vx_block *run, const uint32_t *rows,
                   size_t count, float *keys) {
    const stored_scorer *s = (stored_scorer *)scorer;
    const vx_space *space = &s->group.space;
    const vx_listed listed = {run->data, rows, count};
    const float *form = s->sweep.forms + query * s->group.padded;
    bool l2 = space->metric == VINDEX_L2, plain = l2 || space->metric == VINDEX_INNER_PRODUCT;
    (l2 ? s->group.kernels->gather_l2
        : s->group.kernels->gather_ip)[space->dtype](form, &listed, space->dim, keys);
    for (size_t i = 0; !plain && i < count; i++) {
        float aux = run->aux[rows[i]];
        keys[i] =
            isnan(aux) ? (float)settle(scorer, query, (vx_coded){run, rows[i]}) : keys[i] * aux;
    }
}

static const vx_scorer_ops scorer_ops = {.free = free_scorer,
                                         .load = load,
                                         .choose = choose,
                                         .scan = scan,
                                         .finish = NULL,
                                         .gather = gather,
                                         .settle = settle};

static vindex_status score(const vx_codec *codec, size_t capacity, vx_scorer **scorer) {
    stored_scorer *s = vx_alloc_zero(1, sizeof *s);
    if (!s) return vx_fail_memory(1, sizeof *s, "search");
    s->base.ops = &scorer_ops;
    vindex_status status = vx_group_create(&codec->space, capacity, false, &s->group);
    if (status == VINDEX_OK) status = vx_sweep_create(&s->group, &s->sweep);
    if (status != VINDEX_OK) {
        free_scorer(&s->base);
        return status;
    }
    *scorer = &s->base;
    return VINDEX_OK;
}

static const vx_codec_ops stored_ops = {.free = free_codec,
                                        .train = NULL,
                                        .bytes = run_bytes,
                                        .fine_bytes = NULL,
                                        .encode = encode,
                                        .decode = decode,
                                        .move = move,
                                        .fetch = fetch,
                                        .save = NULL,
                                        .load = NULL,
                                        .score = score};

vindex_status vx_stored_create(vindex_dtype dtype, const vx_codec_use *use, vx_codec **result) {
    vx_codec *codec = vx_alloc_zero(1, sizeof *codec);
    if (!codec) return vx_fail_memory(1, sizeof *codec, "create");
    *codec = (vx_codec){.ops = &stored_ops,
                        .kernels = vx_kernels_get(),
                        .aux_each = 1,
                        .group = 1,
                        .space = {.metric = use->metric, .dtype = dtype, .dim = use->dim}};
    bool plain = dtype == VINDEX_F32;
    snprintf(codec->word, sizeof codec->word, "Flat%s%s", plain ? "" : ",",
             plain ? "" : vindex_dtype_name(dtype));
    *result = codec;
    return VINDEX_OK;
}
