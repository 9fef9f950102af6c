/* Searching product codes. Each query has a table of what the codewords contribute to its keys;
 * rows are filtered by the sums of what their codes look up, and settled decoded. Codes look up
 * bytes first, and what these cannot rule out looks up the numbers.
 *
 * A key is that of the tile form (exact/group.h): f . x + aux under L2, f . x under inner products
 * and f . x times aux under cosine and Pearson, f being the form of the query. With x = centre +
 * words, f . centre is computed once per run, and the rest is what the tables hold. */
#include "codec.h"

#include <math.h>

#include "codec/shortlist.h"
#include "exact/bound.h"

enum { PIECE_ROWS = 256 }; /* whose codes stay in the cache for all queries */

typedef struct query_table {
    float step;
    double base; /* what every sum of bytes lacks, but for the centre's share */
    double loss; /* of bytes: how far a key may be above the one that numbers give */
} query_table;

typedef struct pq_scorer {
    vx_scorer base;
    const vx_pq_codec *codec;
    vx_group group;
    size_t slots;         /* numbers of a query's table */
    float *tables;        /* per query */
    unsigned char *bytes; /* likewise, quantised */
    float *forms;         /* capacity x padded */
    query_table *each;
    float *bases;            /* of the queries at hand, for the run at hand */
    float *decoded;          /* a row */
    const uint32_t *queries; /* at hand */
    size_t count;
    vx_pq_hit *hits;
    void *memory;
} pq_scorer;

static void free_scorer(vx_scorer *scorer) {
    pq_scorer *s = (pq_scorer *)scorer;
    vx_group_free(&s->group);
    vx_free(s->memory);
    vx_free(s);
}

/* ---- queries ---- */

/* How far a key made of tables can be from the truth; docs/exactness.md derives it. */
static double slack_of(const pq_scorer *s, size_t query, float largest) {
    const vx_pq *pq = s->codec->pq;
    const vx_pq_shape *shape = &pq->book.shape;
    vindex_metric metric = s->group.space.metric;
    bool unit = metric == VINDEX_COSINE || metric == VINDEX_PEARSON;
    double norm = s->group.norms[query], form = unit ? 1 : metric == VINDEX_L2 ? 2 * norm : norm;
    double centre = (double)s->codec->base.longest_centre, words = pq->longest;
    double step = (double)s->each[query].step, parts = (double)shape->parts;
    double reach = form * (words + centre) + 255 * parts * step;
    double longest = (words + centre) * (words + centre); /* before a finer form: of what decodes */
    if (metric == VINDEX_L2) reach += s->codec->refined ? longest : (double)largest;
    if (!(reach < VX_FILTER_LIMIT)) return INFINITY;
    size_t chain = vx_pq_width(shape) + shape->parts + vx_scan_chain(shape->dim) + 32;
    double slack = vx_gamma(chain) * form * (words + centre) + vx_gamma(8) * reach;
    return slack + vx_underflow(shape->dim) + parts * 0x1p-140;
}

/* Sums of cosine and Pearson are multiplied by what is no larger than this. */
static double factor_of(const pq_scorer *s, float largest) {
    vindex_metric metric = s->group.space.metric;
    bool unit = metric == VINDEX_COSINE || metric == VINDEX_PEARSON;
    return unit ? fmin((double)largest, (double)VX_PQ_INVERSE_MOST) : 1;
}

static void make_table(pq_scorer *s, size_t query) {
    const vx_pq_book *book = &s->codec->pq->book;
    float *table = s->tables + query * s->slots;
    query_table *each = &s->each[query];
    s->group.kernels->pq_products(book, s->forms + query * s->group.padded, table);
    each->step = s->group.kernels->pq_quantise(&book->shape, table, s->bytes + query * s->slots,
                                               &each->base);
    each->loss = (double)book->shape.parts * (VX_PQ_STEP_ERROR * (double)each->step + 1e-30);
}

static vindex_status load(vx_scorer *scorer, const float *queries, size_t count, float largest,
                          vx_pools *pools) {
    pq_scorer *s = (pq_scorer *)scorer;
    VX_TRY(vx_group_load(&s->group, queries, count, 1));
    for (size_t q = 0; q < count; q++) {
        vx_group_form(&s->group, VX_PASS_TILE, q, s->forms + q * s->group.padded);
        make_table(s, q);
        double factor = factor_of(s, largest), slack = slack_of(s, q, largest) * factor;
        s->each[q].loss = s->each[q].loss * factor + 2 * slack; /* the key of numbers is off too */
        if (pools && !scorer->shortlist)
            vx_pool_open(pools, q, vx_group_offset(&s->group, q), slack);
    }
    return VINDEX_OK;
}

static void choose(vx_scorer *scorer, const uint32_t *queries, size_t count) {
    pq_scorer *s = (pq_scorer *)scorer;
    s->queries = queries;
    s->count = count;
}

/* What all keys of a query have in common, for a run of that centre; those of bytes have more. The
 * same bits on every machine where keys are estimates that choose rows. */
static float base_of(const pq_scorer *s, size_t query, const float *centre) {
    const vx_group *group = &s->group;
    const float *form = s->forms + query * group->padded;
    float product = 0;
    if (!centre) return 0;
    if (!s->base.shortlist) {
        group->kernels->scan_ip[VINDEX_F32](form, centre, 0, 1, group->space.dim, &product);
        return product;
    }
    double norm = group->norms[query], scale = -1;
    if (group->space.metric == VINDEX_L2)
        scale = -2;
    else if (group->space.metric != VINDEX_INNER_PRODUCT)
        scale = norm > 0 ? -1 / norm : 0;
    return (float)(scale * group->kernels
                               ->settle_products[VINDEX_F32](group->settle + query * group->padded,
                                                             NULL, centre, group->space.dim, 0)
                               .dot);
}

/* ---- rows ---- */

static vx_pq_rows rows_of(const pq_scorer *s, const vx_block *run) {
    vindex_metric metric = s->group.space.metric;
    return (vx_pq_rows){.groups = run->data,
                        .count = run->count,
                        .shape = s->codec->pq->book.shape,
                        .aux = metric == VINDEX_INNER_PRODUCT ? NULL : run->aux,
                        .scaled = metric != VINDEX_L2};
}

/* What a row looks up in a query's table. */
static float look_up_nibbles(const float *table, const vx_pq_rows *rows, size_t at) {
    const vx_pq_shape *shape = &rows->shape;
    const unsigned char *row = vx_pq_row(shape, rows->groups, at);
    size_t lines = vx_pq_lines(shape), step = vx_pq_step(shape);
    float sums[8] = {0};
    for (size_t l = 0; l < lines; l++, row += step, table += 8 * 16)
        for (size_t b = 0; b < 4; b++) {
            sums[b] += table[b * 16 + (row[b] & 15)];
            sums[4 + b] += table[(4 + b) * 16 + (row[b] >> 4)];
        }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static float look_up(const pq_scorer *s, size_t query, const vx_pq_rows *rows, size_t row) {
    unsigned char codes[VX_PQ_PARTS_MOST];
    const float *table = s->tables + query * s->slots;
    size_t parts = rows->shape.parts, step = vx_pq_codes(&rows->shape), part = 0;
    float sums[4] = {0};
    if (rows->shape.bits == 4) return look_up_nibbles(table, rows, row);
    vx_pq_get(&rows->shape, rows->groups, row, codes);
    for (; part + 4 <= parts; part += 4, table += 4 * step)
        for (size_t i = 0; i < 4; i++) sums[i] += table[i * step + codes[part + i]];
    for (; part < parts; part++, table += step) sums[0] += table[codes[part]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* The key of a row from what it looks up. */
static float whole_key(const vx_pq_rows *rows, size_t row, float sum) {
    if (!rows->aux) return sum;
    return rows->scaled ? sum * rows->aux[row] : sum + rows->aux[row];
}

/* The key of a row by the numbers. */
static float key_of(const pq_scorer *s, size_t query, float base, const vx_pq_rows *rows,
                    size_t row) {
    return whole_key(rows, row, base + look_up(s, query, rows, row));
}

/* The key above which rows of a query do not matter. */
static float limit_of(const pq_scorer *s, size_t query, const vx_pools *pools) {
    const vx_shortlist *list = s->base.shortlist;
    return list ? vx_shortlist_limit(list, pools, query) : pools->limits[query];
}

/* The same for what the kernel computes: bytes are not as sure as numbers. */
static float loose_limit(const pq_scorer *s, size_t query, const vx_pools *pools) {
    return vx_round_up((double)limit_of(s, query, pools) + s->each[query].loss);
}

static void push(const pq_scorer *s, size_t query, float key, uint64_t where, vx_pools *pools) {
    if (key > limit_of(s, query, pools)) return;
    if (s->base.shortlist)
        vx_shortlist_push(s->base.shortlist, query, key, where, pools);
    else
        vx_pool_push(pools, query, key, where);
}

/* A piece of a run against all queries at hand, a few at a time. */
static void scan_piece(const pq_scorer *s, const vx_pq_rows *rows, uint64_t where,
                       vx_pools *pools) {
    for (size_t first = 0; first < s->count; first += VX_PQ_QUERIES) {
        size_t here = VX_MIN(s->count - first, (size_t)VX_PQ_QUERIES);
        vx_pq_query queries[VX_PQ_QUERIES];
        for (size_t i = 0; i < here; i++) {
            size_t q = s->queries[first + i];
            double base = (double)s->bases[first + i];
            queries[i] = (vx_pq_query){.tables = s->bytes + q * s->slots,
                                       .step = s->each[q].step,
                                       .base = (float)(s->each[q].base + base),
                                       .limit = loose_limit(s, q, pools)};
        }
        size_t found = s->group.kernels->pq_scan(rows, queries, here, s->hits);
        for (size_t i = 0; i < found; i++) {
            const vx_pq_hit *hit = &s->hits[i];
            size_t q = s->queries[first + hit->query];
            if (hit->key > loose_limit(s, q, pools)) continue;
            float key = key_of(s, q, s->bases[first + hit->query], rows, hit->row);
            push(s, q, key, where + hit->row, pools);
        }
    }
}

static void scan(vx_scorer *scorer, const vx_block *run, uint64_t where, vx_pools *pools) {
    pq_scorer *s = (pq_scorer *)scorer;
    vx_pq_rows piece = rows_of(s, run);
    if (scorer->shortlist && !vx_shortlist_estimates(scorer->shortlist)) { /* no bound is known */
        for (size_t i = 0; i < s->count; i++)
            for (size_t r = 0; r < run->count; r++)
                vx_shortlist_push(scorer->shortlist, s->queries[i], -INFINITY, where + r, pools);
        return;
    }
    for (size_t i = 0; i < s->count; i++) s->bases[i] = base_of(s, s->queries[i], run->centre);
    for (size_t start = 0; start < run->count; start += PIECE_ROWS) {
        piece.groups = (const unsigned char *)run->data + vx_pq_bytes(&piece.shape, start);
        piece.count = VX_MIN(run->count - start, (size_t)PIECE_ROWS);
        if (piece.aux) piece.aux = run->aux + start;
        scan_piece(s, &piece, where + start, pools);
    }
}

static double settle(vx_scorer *scorer, size_t query, vx_coded row) {
    const pq_scorer *s = (pq_scorer *)scorer;
    vx_pq_decode_row(s->codec, row, s->decoded);
    return vx_group_settle(&s->group, query, s->decoded);
}

/* Whether rows that are alone look up bytes: these are off by their rounding, which a walk over a
 * graph does not mind. Longer codes gain nothing by it where few rows are looked up at once. */
static bool gathers_bytes(const vx_pq_shape *shape) {
    return shape->bits == 4;
}

static void gather_alone(const pq_scorer *s, size_t query, float base, const vx_pq_rows *of,
                         const uint32_t *rows, size_t count, float *keys) {
    const query_table *each = &s->each[query];
    vx_pq_query one = {.tables = s->tables + query * s->slots, .step = 1, .base = base};
    vx_pq_listed listed = {of->groups, of->shape, rows, count};
    if (gathers_bytes(&of->shape))
        one = (vx_pq_query){.tables = s->bytes + query * s->slots,
                            .step = each->step,
                            .base = (float)(each->base + (double)base)};
    s->group.kernels->pq_gather(&listed, &one, keys);
    for (size_t i = 0; i < count; i++) keys[i] = whole_key(of, rows[i], keys[i]);
}

static void gather(vx_scorer *scorer, size_t query, const vx_block *run, const uint32_t *rows,
                   size_t count, float *keys) {
    const pq_scorer *s = (pq_scorer *)scorer;
    const vx_pq_rows of = rows_of(s, run);
    float base = base_of(s, query, run->centre) + (float)vx_group_offset(&s->group, query);
    bool together = of.shape.alone && !(gathers_bytes(&of.shape) && s->each[query].step == 0);
    if (together) gather_alone(s, query, base, &of, rows, count, keys);
    for (size_t i = 0; i < count; i++) {
        if (!together) keys[i] = key_of(s, query, base, &of, rows[i]);
        if (isnan(keys[i])) keys[i] = (float)settle(scorer, query, (vx_coded){run, rows[i]});
    }
}

/* ---- coming to be ---- */

static const vx_scorer_ops scorer_ops = {.free = free_scorer,
                                         .load = load,
                                         .choose = choose,
                                         .scan = scan,
                                         .finish = NULL,
                                         .gather = gather,
                                         .settle = settle};

static void *take(char *memory, size_t *used, size_t bytes) {
    void *taken = memory ? memory + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return taken;
}

/* Places the arrays from `memory` on; NULL only measures. */
static size_t place(pq_scorer *s, char *memory) {
    size_t capacity = s->group.capacity, used = 0;
    s->tables = take(memory, &used, capacity * s->slots * sizeof(float));
    s->bytes = take(memory, &used, capacity * s->slots);
    s->forms = take(memory, &used, capacity * s->group.padded * sizeof(float));
    s->each = take(memory, &used, capacity * sizeof *s->each);
    s->bases = take(memory, &used, capacity * sizeof(float));
    s->decoded = take(memory, &used, s->group.padded * sizeof(float));
    s->hits = take(memory, &used, (size_t)VX_PQ_QUERIES * PIECE_ROWS * sizeof *s->hits);
    return used;
}

static vindex_status open_scorer(pq_scorer *s, size_t capacity) {
    s->slots = vx_pq_slots(&s->codec->pq->book.shape) * vx_pq_codes(&s->codec->pq->book.shape);
    VX_TRY(vx_group_create(&s->codec->base.space, capacity, false, &s->group));
    size_t bytes = place(s, NULL);
    s->memory = vx_alloc_zero(bytes, 1); /* tables of parts that are not there stay zero */
    if (!s->memory) return vx_fail_memory(bytes, 1, "search: preparing queries");
    place(s, s->memory);
    return VINDEX_OK;
}

vindex_status vx_pq_score(const vx_codec *codec, size_t capacity, vx_scorer **scorer) {
    pq_scorer *s = vx_alloc_zero(1, sizeof *s);
    if (!s) return vx_fail_memory(1, sizeof *s, "search");
    s->base.ops = &scorer_ops;
    s->codec = (const vx_pq_codec *)codec;
    vindex_status status = open_scorer(s, capacity);
    if (status != VINDEX_OK) {
        free_scorer(&s->base);
        return status;
    }
    *scorer = &s->base;
    return VINDEX_OK;
}
