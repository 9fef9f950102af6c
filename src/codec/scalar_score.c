/* Comparing queries with levels. A query is rounded to bytes, so that one instruction multiplies
 * many levels; what that leaves open is bounded, for each row or for all. What the bound does not
 * rule out is computed in single precision from the same levels, or looked at in a finer form. */
#include <math.h>

#include "exact/bound.h"
#include "exact/codes.h"
#include "scalar.h"

enum { BAND_GROUPS = 8, BAND_BYTES = 1 << 18 }; /* rows at hand while all queries pass */

/* Beyond these lengths codes judge nothing. */
#define LENGTH_LEAST 1e-12
#define LENGTH_MOST 1e12

/* w is the query as the metric sees it. */
typedef struct scalar_query {
    double norm;   /* |w| */
    double middle; /* w . middle */
    double slack;  /* of keys, for all that is rounded to single precision */
    float unit;    /* of the bytes */
    float spread;  /* what the bytes are off by, times |code| */
    int32_t start;
    bool judged;
} scalar_query;

typedef struct scalar_scorer {
    vx_scorer base;
    const vx_scalar *codec;
    vx_group group;
    size_t depth, levels_padded, spread_each;
    double reach; /* |code| of bare rows at most */
    scalar_query *each;
    float *forms;    /* w, padded */
    float *weights;  /* w in the terms of levels, zeros behind, levels_padded */
    int32_t *words;  /* depth each */
    int32_t *spread; /* of scattered rows, vx_level_words each */
    int8_t *z;
    unsigned char *levels;   /* of a row */
    float *decoded;          /* a row */
    const uint32_t *queries; /* chosen */
    size_t count;
    double *origins; /* per chosen query: w . (centre + middle) */
    vx_level_queries panels;
    int32_t *panel_words;
    size_t band; /* groups */
    unsigned char *expanded;
    vx_level_hit *hits;
    void *memory;
} scalar_scorer;

static void *take(char *memory, size_t *used, size_t bytes) {
    void *taken = memory ? memory + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return taken;
}

/* Places the arrays from `memory` on; NULL only measures. */
static size_t place(scalar_scorer *s, char *memory) {
    size_t capacity = s->group.capacity, padded = s->group.padded, used = 0;
    size_t width = s->group.kernels->code_tile_queries;
    size_t slots = (capacity + width - 1) / width * width, rows = s->band * VX_LEVEL_ROWS;
    s->each = take(memory, &used, capacity * sizeof *s->each);
    s->forms = take(memory, &used, capacity * padded * sizeof(float));
    s->weights = take(memory, &used, capacity * s->levels_padded * sizeof(float));
    s->words = take(memory, &used, capacity * s->depth * sizeof(int32_t));
    size_t spread = vx_scalar_scattered(s->codec) ? capacity * s->spread_each : 0;
    s->spread = take(memory, &used, spread * sizeof(int32_t) + VX_LEVEL_LINE);
    s->z = take(memory, &used, s->levels_padded);
    s->levels = take(memory, &used, s->levels_padded);
    s->decoded = take(memory, &used, padded * sizeof(float));
    s->origins = take(memory, &used, capacity * sizeof *s->origins);
    s->panels.start = take(memory, &used, slots * sizeof(int32_t));
    s->panels.unit = take(memory, &used, slots * sizeof(float));
    s->panels.origin = take(memory, &used, slots * sizeof(float));
    s->panels.error = take(memory, &used, slots * sizeof(float));
    s->panels.limit = take(memory, &used, slots * sizeof(float));
    s->panel_words = take(memory, &used, slots * s->depth * sizeof(int32_t));
    s->expanded =
        take(memory, &used, s->codec->shape.bits == 8 ? 0 : s->band * s->depth * VX_LEVEL_LINE);
    s->hits = take(memory, &used, rows * width * sizeof *s->hits);
    return used;
}

static void free_scorer(vx_scorer *scorer) {
    scalar_scorer *s = (scalar_scorer *)scorer;
    vx_free(s->memory);
    vx_group_free(&s->group);
    vx_free(s);
}

static bool is_unit(const scalar_scorer *s) {
    vindex_metric metric = s->group.space.metric;
    return metric == VINDEX_COSINE || metric == VINDEX_PEARSON;
}

/* Keys are made of squared distances of codes. */
static bool is_square(const scalar_scorer *s) {
    return s->group.space.metric == VINDEX_L2 || (is_unit(s) && s->codec->refined);
}

/* Every rounding to single precision, of coding and of keys, errs by a share of the lengths of what
 * is added up; docs/exactness.md. */
static double slack_of(const scalar_scorer *s, double norm, double longest) {
    const vx_scalar *codec = s->codec;
    size_t dim = codec->shape.dim, chain = vx_scan_chain(dim) + 64;
    if (codec->kind == VX_SCALAR_ROTATED) chain += 2 * vx_rotation_chain(&codec->rotation);
    double parts = (double)codec->base.longest_centre + (double)codec->middle_norm;
    double lengths = norm + longest + 2 * parts;
    double reach = is_square(s) ? 3 * lengths * lengths
                   : is_unit(s) ? 32 * lengths
                                : 2 * norm * lengths;
    return vx_gamma(chain) * reach + (double)dim * 0x1p-120;
}

/* No decoded row is longer. Of bare ones the longest code is known: that is in steps, which are
 * no longer than the widest, and levels are no further than half of all from the middle one. */
static double longest_row(const scalar_scorer *s, double largest) {
    const vx_scalar *codec = s->codec;
    if (!codec->bare) return largest;
    double half = (double)vx_scalar_half(codec);
    double code = fmin(largest * (double)codec->widest, half * (double)codec->steps_norm);
    double parts = (double)codec->base.longest_centre + (double)codec->middle_norm;
    return (code + parts) * (1 + 0x1p-20);
}

/* The bytes of a query in the order in which scattered rows are taken apart. */
static void spread_words(const vx_level_shape *shape, const int32_t *words, int32_t *spread) {
    size_t depth = vx_level_depth(shape->dim);
    if (shape->bits == 8) memcpy(spread, words, depth * sizeof *spread);
    for (size_t width = 4; shape->bits != 8 && width; width /= 2) {
        size_t each = 8 / width, lines = (depth + each - 1) / each;
        for (size_t i = 0; (size_t)shape->bits & width && i < each; i++)
            for (size_t l = i; l < lines * each; l += each) *spread++ = l < depth ? words[l] : 0;
    }
}

static void load_query(scalar_scorer *s, size_t q, double longest) {
    const vx_scalar *codec = s->codec;
    size_t dim = codec->shape.dim;
    scalar_query *query = &s->each[q];
    float *form = s->forms + q * s->group.padded, *weights = s->weights + q * s->levels_padded;
    const double *w = s->group.settle + q * s->group.padded;
    double norm = s->group.norms[q], scale = !is_unit(s) ? 1 : norm > 0 ? 1 / norm : 0;
    double parts = (double)codec->base.longest_centre + (double)codec->middle_norm;
    *query = (scalar_query){.norm = norm * scale};
    for (size_t j = 0; j < s->group.padded; j++) form[j] = (float)(w[j] * scale);
    for (size_t j = 0; j < dim; j++) query->middle += (double)form[j] * (double)codec->middle[j];
    query->judged = (query->norm == 0 || query->norm > LENGTH_LEAST) && query->norm < LENGTH_MOST &&
                    longest < LENGTH_MOST && parts < LENGTH_MOST;
    query->slack = query->judged ? slack_of(s, query->norm, longest) : INFINITY;
    memset(weights, 0, s->levels_padded * sizeof *weights);
    memcpy(weights, form, dim * sizeof *weights);
    if (codec->kind == VX_SCALAR_ROTATED)
        vx_rotation_apply(&codec->rotation, codec->base.kernels, weights);
    double largest = 0, error = 0;
    for (size_t j = 0; j < dim; j++) {
        weights[j] *= codec->steps[j];
        double size = fabs((double)weights[j]);
        if (size > largest) largest = size;
    }
    /* Also what would leave the range of single precision. */
    if (!(largest < 1e30) || (largest > 0 && largest < 1e-30)) query->judged = false;
    double inverse = query->judged && largest > 0 ? 126.99 / largest : 0;
    int32_t sum = 0;
    memset(s->z, 0, s->levels_padded);
    if (inverse > 0) sum = vx_quantise(weights, inverse, dim, s->z);
    for (size_t j = 0; inverse > 0 && j < dim; j++) {
        double off = (double)weights[j] * inverse - s->z[j];
        error += off * off;
    }
    memcpy(s->words + q * s->depth, s->z, s->depth * sizeof(int32_t));
    if (vx_scalar_scattered(codec))
        spread_words(&codec->shape, s->words + q * s->depth, s->spread + q * s->spread_each);
    query->start = -(sum / 2 * ((1 << codec->shape.bits) - 1));
    query->unit = inverse > 0 ? (float)(1 / inverse) : 0;
    query->spread = inverse > 0 ? vx_round_up(sqrt(error) / inverse * (1 + 0x1p-20)) : 0;
}

static vindex_status load(vx_scorer *scorer, const float *queries, size_t count, float largest,
                          vx_pools *pools) {
    scalar_scorer *s = (scalar_scorer *)scorer;
    VX_TRY(vx_group_load(&s->group, queries, count, 1));
    if (s->codec->bare) s->reach = (double)largest;
    for (size_t q = 0; q < count; q++) {
        load_query(s, q, longest_row(s, (double)largest));
        if (pools && !scorer->shortlist) vx_pool_open(pools, q, 0, s->each[q].slack);
    }
    return VINDEX_OK;
}

static void choose(vx_scorer *scorer, const uint32_t *queries, size_t count) {
    scalar_scorer *s = (scalar_scorer *)scorer;
    s->queries = queries;
    s->count = count;
}

/* w . (centre + middle) */
static double origin_of(const scalar_scorer *s, size_t q, const float *centre) {
    float product = 0;
    size_t dim = s->codec->shape.dim;
    if (centre)
        s->group.kernels->scan_ip[VINDEX_F32](s->forms + q * s->group.padded, centre,
                                              dim * sizeof(float), 1, dim, &product);
    return s->each[q].middle + (double)product;
}

/* From w . decoded to the key, approximately; NaN where codes judge nothing. */
static double key_of(const scalar_scorer *s, size_t q, double product, float aux) {
    const scalar_query *query = &s->each[q];
    if (!query->judged) return NAN;
    if (s->group.space.metric == VINDEX_L2)
        return query->norm * query->norm + (double)aux - 2 * product;
    if (!is_unit(s)) return -product;
    return s->codec->refined ? ((double)aux - 1) / 2 - product : -product * (double)aux;
}

/* The key of a row from its levels, in single precision. */
static double look(const scalar_scorer *s, size_t q, double origin, vx_coded row) {
    float scale, reach;
    vx_scalar_numbers(s->codec, row, &scale, &reach);
    if (!(reach < INFINITY)) return NAN;
    vx_scalar_unpack(s->codec, row, s->levels);
    float product = s->group.kernels->level_product(s->levels, s->weights + q * s->levels_padded,
                                                    s->levels_padded, vx_scalar_half(s->codec));
    return key_of(s, q, origin + (double)product * (double)scale, *vx_scalar_aux(s->codec, row));
}

/* The least that the key of a row can be whose code has that key: the row is at most `reach` from
 * its code, which is as far from w as the key says, or by `off` nearer. */
static double least_key(const scalar_scorer *s, size_t q, double key, double reach) {
    const scalar_query *query = &s->each[q];
    double off = query->slack + (double)s->codec->ratio * (double)query->spread * reach * 2;
    double base = is_unit(s) ? query->norm * query->norm + 1 : 0; /* |w|^2 + |row|^2 */
    if (!is_square(s)) return key - off - query->norm * reach;
    double square = is_unit(s) ? base + 2 * key : key;
    double nearest = fmax(sqrt(fmax(square - off, 0)) * (1 - 0x1p-40) - reach, 0);
    return is_unit(s) ? (nearest * nearest - base) / 2 : nearest * nearest;
}

/* A row that codes do not rule out: key is made of its code, or NaN. */
static void pass_on(scalar_scorer *s, size_t i, double key, vx_coded row, uint64_t where,
                    vx_pools *pools) {
    size_t q = s->queries[i];
    vx_shortlist *list = s->base.shortlist;
    if (!list) {
        float near = (float)look(s, q, s->origins[i], row);
        if (!(near > pools->limits[q])) vx_pool_push(pools, q, near, where);
        return;
    }
    float scale, reach, passed = (float)key;
    vx_scalar_numbers(s->codec, row, &scale, &reach);
    if (!vx_shortlist_estimates(list)) {
        passed = -vx_round_up(-least_key(s, q, key, (double)reach));
        if (!(reach < INFINITY)) passed = NAN;
    }
    if (!(passed > vx_shortlist_limit(list, pools, q)))
        vx_shortlist_push(list, q, passed, where, pools);
}

/* What the kernels need of chosen query i. A key of theirs is that of key_of in part: the
 * limit has the rest. */
static void set_panel(scalar_scorer *s, size_t i, const vx_pools *pools) {
    size_t q = s->queries[i];
    const scalar_query *query = &s->each[q];
    const vx_shortlist *list = s->base.shortlist;
    bool estimate = list && vx_shortlist_estimates(list), square = is_square(s);
    double limit = (double)(list ? vx_shortlist_limit(list, pools, q) : pools->limits[q]);
    double slack = estimate ? 0 : query->slack, origin = s->origins[i];
    double factor = square ? 2 : 1, error = 0, wanted = limit;
    if (square && is_unit(s)) wanted = query->norm * query->norm + 1 + 2 * limit; /* a distance */
    if (!s->codec->refined)
        error = factor * (double)query->spread;
    else if (!estimate && limit < INFINITY)
        error = (square ? 2 * sqrt(fmax(wanted, 0)) : query->norm) * (1 + 0x1p-20) +
                (double)s->codec->ratio * factor * (double)query->spread;
    double open = error * s->reach; /* by bare rows, all alike: off the key, or part of the limit */
    double rest = slack;            /* what the kernel leaves out */
    if (!is_unit(s)) rest += open;
    if (square)
        rest += 2 * origin - query->norm * query->norm;
    else if (!is_unit(s))
        rest += origin;
    ((int32_t *)(uintptr_t)s->panels.start)[i] = query->start;
    ((float *)(uintptr_t)s->panels.unit)[i] = query->judged ? (float)(-factor) * query->unit : NAN;
    ((float *)(uintptr_t)s->panels.origin)[i] = -vx_round_up(origin + open);
    ((float *)(uintptr_t)s->panels.error)[i] = vx_round_up(error);
    ((float *)(uintptr_t)s->panels.limit)[i] = vx_round_up(wanted + rest);
}

/* The key of a code from what a kernel has computed. */
static double whole_key(const scalar_scorer *s, size_t i, const vx_levels *rows, float key,
                        vx_coded row) {
    const scalar_query *query = &s->each[s->queries[i]];
    float scale, reach;
    vx_scalar_numbers(s->codec, row, &scale, &reach);
    double error = (double)s->panels.error[i] + (rows->squared ? (double)reach : 0);
    double estimate = (double)key + (double)reach * error;
    if (!is_square(s)) return estimate - s->origins[i];
    estimate -= 2 * s->origins[i];
    return is_unit(s) ? (estimate - 1) / 2 : estimate + query->norm * query->norm;
}

static void pass_hits(scalar_scorer *s, size_t first, const vx_levels *rows, size_t found,
                      vx_coded start, uint64_t where, vx_pools *pools) {
    for (size_t h = 0; h < found; h++) {
        const vx_level_hit *hit = &s->hits[h];
        size_t i = first + hit->query;
        vx_coded row = {start.run, start.at + hit->row};
        double key = s->base.shortlist ? whole_key(s, i, rows, hit->key, row) : 0;
        pass_on(s, i, key, row, where + row.at, pools);
    }
}

/* Side by side, as tiles read them. */
static void pack_panel(const scalar_scorer *s, size_t first, size_t count) {
    size_t width = s->group.kernels->code_tile_queries;
    int32_t *panel = s->panel_words + first * s->depth;
    for (size_t i = 0; i < width; i++) {
        const int32_t *words = s->words + s->queries[first + VX_MIN(i, count - 1)] * s->depth;
        for (size_t l = 0; l < s->depth; l++) panel[l * width + i] = words[l];
    }
}

static vx_level_queries panel_at(const scalar_scorer *s, size_t i, const int32_t *words) {
    const vx_level_queries *all = &s->panels;
    return (vx_level_queries){words,           all->start + i, all->unit + i,
                              all->origin + i, all->error + i, all->limit + i};
}

/* A band of rows against the chosen queries from `first` on, `count` of them. */
static void filter_band(scalar_scorer *s, const vx_levels *rows, size_t first, size_t count,
                        vx_coded start, uint64_t where, vx_pools *pools) {
    const vx_kernels *kernels = s->group.kernels;
    bool wide = s->codec->shape.bits == 8;
    for (size_t i = first; i < first + count; i++) set_panel(s, i, pools);
    if (count > 1) {
        vx_level_queries panel = panel_at(s, first, s->panel_words + first * s->depth);
        size_t found = kernels->level_tile(rows, &panel, count, wide, s->hits);
        pass_hits(s, first, rows, found, start, where, pools);
        return;
    }
    vx_level_queries one = panel_at(s, first, s->words + s->queries[first] * s->depth);
    size_t found = kernels->level_scan(rows, &one, wide, s->hits);
    pass_hits(s, first, rows, found, start, where, pools);
}

/* The rows of a band, with a byte per level. */
static vx_levels band_of(scalar_scorer *s, const vx_block *run, size_t first) {
    const vx_scalar *codec = s->codec;
    size_t bytes = vx_scalar_group_bytes(codec), group = first / VX_LEVEL_ROWS;
    const unsigned char *data = (const unsigned char *)run->data + group * bytes;
    vx_levels rows = {.lines = data + vx_scalar_head(codec),
                      .numbers = codec->bare ? NULL : data,
                      .lines_stride = bytes,
                      .numbers_stride = bytes,
                      .aux = run->aux + first,
                      .depth = s->depth,
                      .count = VX_MIN(run->count - first, s->band * VX_LEVEL_ROWS)};
    bool estimate = s->base.shortlist && vx_shortlist_estimates(s->base.shortlist);
    rows.form = is_square(s) ? VX_LEVELS_ADDED : is_unit(s) ? VX_LEVELS_SCALED : VX_LEVELS_PLAIN;
    rows.squared = codec->refined && is_square(s) && !estimate;
    if (codec->shape.bits == 8) return rows;
    rows.lines = s->expanded;
    rows.lines_stride = s->depth * VX_LEVEL_LINE;
    for (size_t g = 0; g * VX_LEVEL_ROWS < rows.count; g++)
        s->group.kernels->level_expand(&codec->shape, data + g * bytes + vx_scalar_head(codec),
                                       s->expanded + g * rows.lines_stride);
    return rows;
}

static void scan(vx_scorer *scorer, const vx_block *run, uint64_t where, vx_pools *pools) {
    scalar_scorer *s = (scalar_scorer *)scorer;
    size_t width = s->group.kernels->code_tile_queries, count = s->count;
    for (size_t i = 0; i < count; i++) s->origins[i] = origin_of(s, s->queries[i], run->centre);
    size_t step = count > width / 2 ? width : 1; /* a tile costs as much as half its queries */
    for (size_t first = 0; step > 1 && first < count; first += step)
        pack_panel(s, first, VX_MIN(step, count - first));
    for (size_t start = 0; start < run->count; start += s->band * VX_LEVEL_ROWS) {
        vx_levels rows = band_of(s, run, start);
        for (size_t first = 0; first < count; first += step)
            filter_band(s, &rows, first, VX_MIN(step, count - first), (vx_coded){run, start}, where,
                        pools);
    }
}

/* Scattered rows, by the query in bytes: that is off by its rounding, which a walk over a graph
 * does not mind. NaN where codes judge nothing. */
static void gather_scattered(const scalar_scorer *s, size_t q, const vx_block *run,
                             const uint32_t *rows, size_t count, float *keys) {
    enum { AT_ONCE = 128 };
    const scalar_query *query = &s->each[q];
    bool scaled = is_unit(s) && !s->codec->refined;
    double origin = origin_of(s, q, run->centre), zero = key_of(s, q, origin, 0);
    float base = (float)zero, slope = (float)(key_of(s, q, origin, 1) - zero);
    float unit = (float)(key_of(s, q, origin + 1, 0) - zero) * query->unit;
    if (scaled) unit = -query->unit;
    const int8_t *z = (const int8_t *)(s->spread + q * s->spread_each);
    for (size_t first = 0; first < count; first += AT_ONCE) {
        int32_t products[AT_ONCE];
        vx_level_listed listed = {run->data, s->codec->shape, rows + first,
                                  VX_MIN(count - first, (size_t)AT_ONCE)};
        s->group.kernels->level_gather(&listed, z, products);
        for (size_t i = 0; i < listed.count; i++) {
            vx_coded row = {run, rows[first + i]};
            float scale, reach, aux = *vx_scalar_aux(s->codec, row);
            vx_scalar_numbers(s->codec, row, &scale, &reach);
            float product = (float)(products[i] + query->start) * unit * scale;
            float key = scaled ? (product - (float)origin) * aux : base + slope * aux + product;
            keys[first + i] = reach < INFINITY ? key : NAN;
        }
    }
}

static void gather(vx_scorer *scorer, size_t query, const vx_block *run, const uint32_t *rows,
                   size_t count, float *keys) {
    scalar_scorer *s = (scalar_scorer *)scorer;
    if (vx_scalar_scattered(s->codec)) {
        gather_scattered(s, query, run, rows, count, keys);
        for (size_t i = 0; i < count; i++)
            if (isnan(keys[i]))
                keys[i] = (float)scorer->ops->settle(scorer, query, (vx_coded){run, rows[i]});
        return;
    }
    double origin = origin_of(s, query, run->centre);
    for (size_t i = 0; i < count; i++) {
        vx_coded row = {run, rows[i]};
        keys[i] = (float)look(s, query, origin, row);
        if (isnan(keys[i])) keys[i] = (float)scorer->ops->settle(scorer, query, row);
    }
}

static double settle(vx_scorer *scorer, size_t query, vx_coded row) {
    scalar_scorer *s = (scalar_scorer *)scorer;
    s->codec->base.ops->decode(&s->codec->base, row, s->decoded);
    return vx_group_settle(&s->group, query, s->decoded);
}

static const vx_scorer_ops scorer_ops = {.free = free_scorer,
                                         .load = load,
                                         .choose = choose,
                                         .scan = scan,
                                         .finish = NULL,
                                         .gather = gather,
                                         .settle = settle};

vindex_status vx_scalar_score(const vx_codec *codec, size_t capacity, vx_scorer **scorer) {
    scalar_scorer *s = vx_alloc_zero(1, sizeof *s);
    if (!s) return vx_fail_memory(1, sizeof *s, "search");
    s->base.ops = &scorer_ops;
    s->codec = vx_scalar_of(codec);
    s->depth = vx_level_depth(codec->space.dim);
    s->levels_padded = (codec->space.dim + 31) / 32 * 32;
    s->spread_each = vx_level_words(&s->codec->shape);
    s->band =
        VX_MAX(VX_MIN(BAND_BYTES / (s->depth * VX_LEVEL_LINE), (size_t)BAND_GROUPS), (size_t)1);
    vindex_status status = vx_group_create(&codec->space, capacity, false, &s->group);
    if (status == VINDEX_OK) {
        size_t bytes = place(s, NULL);
        s->memory = vx_alloc_zero(bytes, 1);
        if (s->memory)
            place(s, s->memory);
        else
            status = vx_fail_memory(bytes, 1, "search: preparing queries");
    }
    if (status != VINDEX_OK) {
        free_scorer(&s->base);
        return status;
    }
    *scorer = &s->base;
    return VINDEX_OK;
}
