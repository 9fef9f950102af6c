/* A pair of codecs: a coarse one whose codes are filtered, and the numbers themselves, which settle
 * what passes, in an array of their own. The answer is that of a search over these numbers, among
 * the runs that are looked through, unless a factor says how many of them to read. */
#include <math.h>
#include <stdio.h>

#include "codec.h"
#include "exact/bound.h"

enum { AHEAD = 4 }; /* rows that are fetched while one is computed */

typedef struct refine {
    vx_codec base;            /* space: of the fine numbers */
    size_t row_bytes, stride; /* of a fine row; under cosine and Pearson its aux lies behind it */
} refine;

static const refine *refine_of(const vx_codec *codec) {
    return (const refine *)codec;
}

static bool keeps_aux(const refine *own) {
    return own->base.space.metric == VINDEX_COSINE || own->base.space.metric == VINDEX_PEARSON;
}

static char *fine_at(const refine *own, vx_coded row) {
    return (char *)row.run->fine + row.at * own->stride;
}

static void free_codec(vx_codec *codec) {
    vx_codec_free(codec->coarse);
    vx_free(codec);
}

static vindex_status train(vx_codec *codec, const vx_sample *sample) {
    vx_codec *coarse = codec->coarse;
    return coarse->ops->train ? coarse->ops->train(coarse, sample) : VINDEX_OK;
}

static size_t run_bytes(const vx_codec *codec, size_t rows) {
    const vx_codec *coarse = codec->coarse;
    return coarse->ops->bytes(coarse, rows);
}

static size_t fine_bytes(const vx_codec *codec, size_t rows) {
    return rows * refine_of(codec)->stride;
}

static float encode(const vx_codec *codec, const float *vector, vx_coded to) {
    const refine *own = refine_of(codec);
    char *fine = fine_at(own, to);
    float numbers[VX_CODEC_DIM_MOST];
    codec->kernels->narrow[codec->space.dtype](vector, codec->space.dim, fine);
    codec->kernels->widen[codec->space.dtype](fine, codec->space.dim, numbers);
    if (keeps_aux(own)) {
        float aux;
        vx_aux_fill(&codec->space, codec->kernels, fine, 1, &aux);
        memcpy(fine + own->row_bytes, &aux, sizeof aux);
    }
    return codec->coarse->ops->encode(codec->coarse, numbers, to);
}

static void decode(const vx_codec *codec, vx_coded from, float *vector) {
    codec->kernels->widen[codec->space.dtype](fine_at(refine_of(codec), from), codec->space.dim,
                                              vector);
}

static void move(const vx_codec *codec, vx_coded from, vx_coded to) {
    const refine *own = refine_of(codec);
    codec->coarse->ops->move(codec->coarse, from, to);
    memmove(fine_at(own, to), fine_at(own, from), own->stride);
}

static void fetch(const vx_codec *codec, const vx_block *run, const uint32_t *rows, size_t count) {
    codec->coarse->ops->fetch(codec->coarse, run, rows, count);
}

static void fetch_fine(const vx_codec *codec, vx_coded row) {
    vx_fetch(fine_at(refine_of(codec), row), refine_of(codec)->stride);
}

static vindex_status save(const vx_codec *codec, vx_container_writer *writer) {
    const vx_codec *coarse = codec->coarse;
    return coarse->ops->save(coarse, writer);
}

static vindex_status load(vx_codec *codec, const vx_container *file, bool verify) {
    vx_codec *coarse = codec->coarse;
    return coarse->ops->load(coarse, file, verify);
}

static bool alike(const vx_codec *a, const vx_codec *b) {
    return a->coarse->ops->alike(a->coarse, b->coarse);
}

typedef struct refine_scorer {
    vx_scorer base;
    const refine *codec;
    vx_scorer *coarse;
    vx_group group; /* of the fine numbers */
    float *forms;   /* the queries as scans multiply them */
    vx_shortlist list;
} refine_scorer;

static void free_scorer(vx_scorer *scorer) {
    refine_scorer *s = (refine_scorer *)scorer;
    if (s->coarse) s->coarse->ops->free(s->coarse);
    vx_shortlist_free(&s->list);
    vx_group_free(&s->group);
    vx_free(s->forms);
    vx_free(s);
}

/* Scans differ from the truth by a share of |q - x|^2, which is at most 2 (|q|^2 + |x|^2). */
static double slack_of(const refine_scorer *s, size_t q, float longest) {
    float aux = s->group.space.metric == VINDEX_L2 ? vx_round_up((double)longest * (double)longest)
                                                   : longest;
    return 2 * vx_group_slack(&s->group, q, aux);
}

static vindex_status load_scorer(vx_scorer *scorer, const float *queries, size_t count,
                                 float largest, vx_pools *pools) {
    refine_scorer *s = (refine_scorer *)scorer;
    VX_TRY(vx_group_load(&s->group, queries, count, 1));
    for (size_t q = 0; q < count; q++)
        vx_group_form(&s->group, VX_PASS_SCAN, q, s->forms + q * s->group.padded);
    if (pools) {
        for (size_t q = 0; q < count; q++) vx_pool_open(pools, q, 0, slack_of(s, q, largest));
        VX_TRY(vx_shortlist_begin(&s->list, pools, count));
    }
    return s->coarse->ops->load(s->coarse, queries, count, largest, pools);
}

static void choose(vx_scorer *scorer, const uint32_t *queries, size_t count) {
    refine_scorer *s = (refine_scorer *)scorer;
    s->coarse->ops->choose(s->coarse, queries, count);
}

static void scan(vx_scorer *scorer, const vx_block *run, uint64_t where, vx_pools *pools) {
    refine_scorer *s = (refine_scorer *)scorer;
    s->coarse->ops->scan(s->coarse, run, where, pools);
}

static void finish(vx_scorer *scorer, size_t query, vx_pools *pools) {
    refine_scorer *s = (refine_scorer *)scorer;
    if (s->coarse->ops->finish) s->coarse->ops->finish(s->coarse, query, pools);
    vx_shortlist_finish(&s->list, query, pools);
}

static void gather(vx_scorer *scorer, size_t query, const vx_block *run, const uint32_t *rows,
                   size_t count, float *keys) {
    refine_scorer *s = (refine_scorer *)scorer;
    s->coarse->ops->gather(s->coarse, query, run, rows, count, keys);
}

static double settle(vx_scorer *scorer, size_t query, vx_coded row) {
    const refine_scorer *s = (refine_scorer *)scorer;
    return vx_group_settle(&s->group, query, fine_at(s->codec, row));
}

static const char *row_of(const refine_scorer *s, const vx_hit *hit, const vx_pools *pools) {
    vx_coded row;
    row.run = pools->rows.find(pools->rows.context, (uint64_t)hit->id, &row.at);
    return fine_at(s->codec, row);
}

/* The key of a fine row in single precision; NaN where it has no aux. */
static float key_of(const refine_scorer *s, size_t query, const char *row) {
    const vx_space *space = &s->group.space;
    const vx_kernels *kernels = s->group.kernels;
    const uint32_t first = 0;
    const vx_listed listed = {row, &first, 1};
    float key, aux;
    (space->metric == VINDEX_L2 ? kernels->gather_l2 : kernels->gather_ip)[space->dtype](
        s->forms + query * s->group.padded, &listed, space->dim, &key);
    if (!keeps_aux(s->codec)) return key;
    memcpy(&aux, row + s->codec->row_bytes, sizeof aux);
    return key * aux;
}

static void look(void *context, size_t query, const vx_hit *rows, size_t count, vx_pools *pools) {
    const refine_scorer *s = context;
    const char *ahead[AHEAD];
    for (size_t i = 0; i < count + AHEAD; i++) {
        size_t slot = i % AHEAD;
        if (i >= AHEAD) {
            float key = key_of(s, query, ahead[slot]);
            if (!(key > pools->limits[query]))
                vx_pool_push(pools, query, key, (uint64_t)rows[i - AHEAD].id);
        }
        if (i >= count) continue;
        ahead[slot] = row_of(s, &rows[i], pools);
        for (size_t byte = 0; byte < s->codec->stride; byte += 64)
            __builtin_prefetch(ahead[slot] + byte, 0, 3);
    }
}

static const vx_scorer_ops scorer_ops = {.free = free_scorer,
                                         .load = load_scorer,
                                         .choose = choose,
                                         .scan = scan,
                                         .finish = finish,
                                         .gather = gather,
                                         .settle = settle};

static vindex_status score(const vx_codec *codec, size_t capacity, vx_scorer **scorer) {
    refine_scorer *s = vx_alloc_zero(1, sizeof *s);
    if (!s) return vx_fail_memory(1, sizeof *s, "search");
    s->base.ops = &scorer_ops;
    s->codec = refine_of(codec);
    vx_shortlist_init(&s->list, capacity, look, s);
    size_t padded = vx_padded(codec->space.dim);
    s->forms = vx_alloc(capacity, padded * sizeof(float));
    vindex_status status =
        s->forms ? VINDEX_OK : vx_fail_memory(capacity, padded * sizeof(float), "search");
    if (status == VINDEX_OK) status = vx_group_create(&codec->space, capacity, false, &s->group);
    if (status == VINDEX_OK)
        status = codec->coarse->ops->score(codec->coarse, capacity, &s->coarse);
    if (status != VINDEX_OK) {
        free_scorer(&s->base);
        return status;
    }
    s->coarse->shortlist = &s->list;
    *scorer = &s->base;
    return VINDEX_OK;
}

static const vx_codec_ops refine_ops = {.free = free_codec,
                                        .train = train,
                                        .bytes = run_bytes,
                                        .fine_bytes = fine_bytes,
                                        .encode = encode,
                                        .decode = decode,
                                        .move = move,
                                        .fetch = fetch,
                                        .fetch_fine = fetch_fine,
                                        .alike = alike,
                                        .save = save,
                                        .load = load,
                                        .score = score};

vindex_status vx_refine_create(vx_codec *coarse, vindex_dtype dtype, vx_codec **result) {
    refine *codec = vx_alloc_zero(1, sizeof *codec);
    if (!codec) {
        vx_codec_free(coarse);
        return vx_fail_memory(1, sizeof *codec, "create");
    }
    codec->base =
        (vx_codec){.ops = &refine_ops,
                   .kernels = coarse->kernels,
                   .space = coarse->space,
                   .residual = coarse->residual,
                   .coarse = coarse,
                   .aux_each = coarse->aux_each,
                   .group = coarse->group,
                   .rerank = coarse->rerank,
                   .own_bytes = sizeof *codec + coarse->own_bytes,
                   .query_bytes = coarse->query_bytes + vx_padded(coarse->space.dim) *
                                                            (3 * sizeof(float) + sizeof(double)),
                   .useful = coarse->useful,
                   .learn_bytes = coarse->learn_bytes};
    codec->base.space.dtype = dtype;
    codec->row_bytes = (vx_space_stride(&codec->base.space) + 3) / 4 * 4;
    codec->stride =
        keeps_aux(codec) ? codec->row_bytes + sizeof(float) : vx_space_stride(&codec->base.space);
    bool plain = dtype == VINDEX_F32;
    snprintf(codec->base.word, sizeof codec->base.word, "%.30s,Refine%s%s%s", coarse->word,
             plain ? "" : "(", plain ? "" : vindex_dtype_name(dtype), plain ? "" : ")");
    *result = &codec->base;
    return VINDEX_OK;
}
