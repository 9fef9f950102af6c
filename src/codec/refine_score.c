/* Searching a pair: the coarse codec's scorer fills a shortlist, whose rows get a key of their
 * finer form in single precision, and what this leaves is settled. */
#include "refine.h"

#include "exact/bound.h"

enum { AHEAD = 4 }; /* rows that are fetched while one is computed */

typedef struct refine_scorer {
    vx_scorer base;
    const vx_refine *codec;
    vx_scorer *coarse;
    vx_group group; /* of the fine numbers */
    float *forms;   /* the queries as scans multiply them, and a row */
    float *decoded; /* the row */
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

/* The numbers of a row: where they lie, or decoded. */
static const void *numbers_of(const refine_scorer *s, vx_coded row) {
    if (!s->codec->base.second) return vx_refine_row(s->codec, row);
    vx_refine_decode(&s->codec->base, row, s->decoded);
    return s->decoded;
}

static double settle(vx_scorer *scorer, size_t query, vx_coded row) {
    const refine_scorer *s = (refine_scorer *)scorer;
    return vx_group_settle(&s->group, query, numbers_of(s, row));
}

static vx_coded row_of(const vx_hit *hit, const vx_pools *pools) {
    vx_coded row;
    row.run = pools->rows.find(pools->rows.context, (uint64_t)hit->id, &row.at);
    return row;
}

/* The key of a fine row in single precision; NaN where it has no aux. */
static float key_of(const refine_scorer *s, size_t query, vx_coded row) {
    const vx_space *space = &s->group.space;
    const vx_kernels *kernels = s->group.kernels;
    const uint32_t first = 0;
    const vx_listed listed = {numbers_of(s, row), &first, 1};
    float key, aux;
    (space->metric == VINDEX_L2 ? kernels->gather_l2 : kernels->gather_ip)[space->dtype](
        s->forms + query * s->group.padded, &listed, space->dim, &key);
    if (!vx_refine_has_aux(s->codec)) return key;
    memcpy(&aux, vx_refine_row(s->codec, row) + s->codec->aux_at, sizeof aux);
    return key * aux;
}

static void look(void *context, size_t query, const vx_hit *rows, size_t count, vx_pools *pools) {
    const refine_scorer *s = context;
    const vx_codec *codec = &s->codec->base;
    vx_coded ahead[AHEAD];
    for (size_t i = 0; i < count + AHEAD; i++) {
        size_t slot = i % AHEAD;
        if (i >= AHEAD) {
            float key = key_of(s, query, ahead[slot]);
            if (!(key > pools->limits[query]))
                vx_pool_push(pools, query, key, (uint64_t)rows[i - AHEAD].id);
        }
        if (i >= count) continue;
        ahead[slot] = row_of(&rows[i], pools);
        codec->ops->fetch_fine(codec, ahead[slot]);
    }
}

static const vx_scorer_ops scorer_ops = {.free = free_scorer,
                                         .load = load_scorer,
                                         .choose = choose,
                                         .scan = scan,
                                         .finish = finish,
                                         .gather = gather,
                                         .settle = settle};

vindex_status vx_refine_score(const vx_codec *codec, size_t capacity, vx_scorer **scorer) {
    refine_scorer *s = vx_alloc_zero(1, sizeof *s);
    if (!s) return vx_fail_memory(1, sizeof *s, "search");
    s->base.ops = &scorer_ops;
    s->codec = vx_refine_of(codec);
    vx_shortlist_init(&s->list, capacity, look, s);
    size_t padded = vx_padded(codec->space.dim);
    s->forms = vx_alloc(capacity + 1, padded * sizeof(float));
    vindex_status status =
        s->forms ? VINDEX_OK : vx_fail_memory(capacity + 1, padded * sizeof(float), "search");
    if (s->forms) s->decoded = s->forms + capacity * padded;
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
