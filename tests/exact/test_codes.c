/* Certified codes: the rotation keeps lengths, the kernels count alike at every level, and no row
 * is ruled out by a limit made of its own key. */
#include <math.h>
#include <string.h>

#include "../harness.h"
#include "../vectors.h"
#include "core/rng.h"
#include "exact/bound.h"
#include "exact/choose.h"
#include "exact/codes.h"

static double product(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t j = 0; j < dim; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

/* Two vectors rotated have the lengths and the product they had, but for counted roundings; at
 * every level the same bits. */
static void check_rotation(size_t dim) {
    vectors set = {.kind = VECTORS_NORMAL, .dim = dim, .count = 2, .seed = dim};
    vx_rotation rotation;
    ck_ok(vx_rotation_create(dim, &rotation));
    double gamma = vx_gamma(vx_rotation_chain(&rotation));
    float *before = vectors_make(&set), *first = NULL;
    for (size_t level = 0; vx_kernels_at(level); level++) {
        float *after = vectors_make(&set);
        for (size_t i = 0; i < 2; i++)
            vx_rotation_apply(&rotation, vx_kernels_at(level), after + i * dim);
        double reach =
            sqrt(product(before, before, dim)) * sqrt(product(before + dim, before + dim, dim));
        for (size_t i = 0; i < 2; i++) {
            double now = product(after, after + i * dim, dim);
            double was = product(before, before + i * dim, dim);
            double bound = i ? reach : product(before, before, dim);
            ck_each(fabs(now - was) <= 2.1 * gamma * bound + 1e-30, "dim %zu: %.17g became %.17g",
                    dim, was, now);
        }
        if (!first) first = after;
        ck_each(!memcmp(first, after, 2 * dim * sizeof *after), "dim %zu: %s rotates otherwise",
                dim, vx_kernels_at(level)->name);
        if (after != first) free(after);
    }
    vx_rotation_free(&rotation);
    free(before);
    free(first);
}

START_TEST(rotations_keep_lengths_and_products) {
    for (size_t dim = 1; dim <= 257; dim++) check_rotation(dim);
    check_rotation(1000);
    check_rotation(16000);
}
END_TEST

/* The kinds of coders, by what a test asks for. */
static const vx_coding codings[] = {VX_CODING_SIGNS, VX_CODING_REFINED, VX_CODING_PCA};
enum { CODINGS = VX_COUNT(codings) };

/* Coded rows before a few queries. */
typedef struct coding {
    vx_coder coder;
    vx_space space;
    vectors set;
    size_t queries, groups;
    char *stored;
    vx_block block;
    vx_group group;
    double *truth; /* queries x rows */
} coding;

enum { QUERIES = 3 };

static void encode_all(coding *c, const vx_kernels *kernels) {
    size_t stride = vx_space_stride(&c->space);
    float *work = malloc(vx_codes_work(&c->coder) * sizeof *work);
    for (size_t at = 0; at < c->set.count; at += VX_CODER_ROWS) {
        vx_measure measures[VX_CODER_ROWS];
        vx_code_task task = {.rows = c->stored + at * stride,
                             .measures = measures,
                             .count = VX_MIN(c->set.count - at, (size_t)VX_CODER_ROWS),
                             .codes = c->block.codes,
                             .planes = c->block.planes,
                             .at = at,
                             .work = work};
        for (size_t r = 0; r < task.count; r++)
            measures[r] = vx_measure_row(&c->space, kernels, c->stored + (at + r) * stride);
        vx_codes_encode(&c->space, kernels, &task);
    }
    free(work);
}

static void coding_make(coding *c, const vectors *set, vindex_metric metric, vx_coding kind) {
    const vx_kernels *kernels = vx_kernels_get();
    vectors asked = *set;
    asked.queries = true;
    asked.count = QUERIES;
    float *numbers = vectors_make(set), *queries = vectors_make(&asked);
    size_t rows = set->count;
    *c = (coding){.set = *set, .queries = QUERIES};
    c->space = (vx_space){metric, set->dtype, set->dim, NULL};
    size_t stride = vx_space_stride(&c->space);
    /* Learnt from some of the rows only: others may be unlike them. */
    vx_choice choice = {kind, kind == VX_CODING_PCA ? 1 + set->dim / 3 : 0};
    ck_ok(vx_coder_choose(&c->space, &choice, numbers, rows / 2, 1, &c->coder));
    c->space.coder = &c->coder;
    c->stored = malloc(rows * stride);
    c->groups = (rows + VX_CODE_ROWS - 1) / VX_CODE_ROWS;
    vx_code_shape shape = vx_coder_shape(&c->coder, metric);
    c->block = (vx_block){.data = c->stored,
                          .codes = vx_alloc_zero(vx_codes_bytes(&shape, rows), 1),
                          .planes = vx_alloc_zero(rows * vx_plane_stride(set->dim) + 64, 1),
                          .count = rows};
    c->truth = malloc(rows * QUERIES * sizeof *c->truth);
    kernels->narrow[set->dtype](numbers, rows * set->dim, c->stored);
    encode_all(c, kernels);
    ck_ok(vx_group_create(&c->space, QUERIES, false, &c->group));
    ck_ok(vx_group_load(&c->group, queries, QUERIES, 1));
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t r = 0; r < rows; r++)
            c->truth[q * rows + r] = vx_group_settle(&c->group, q, c->stored + r * stride);
    free(numbers);
    free(queries);
}

static void coding_free(coding *c) {
    vx_group_free(&c->group);
    vx_coder_free(&c->coder);
    vx_free(c->block.codes);
    vx_free(c->block.planes);
    free(c->stored);
    free(c->truth);
}

static vx_codes codes_of(const coding *c, size_t group, size_t count) {
    return vx_codes_at(&c->space, c->block.codes, group * VX_CODE_ROWS, count * VX_CODE_ROWS);
}

/* A hit stands when its second plane, too, lets it pass. */
static void take_hits(const coding *c, const vx_kernels *kernels, size_t q, float limit,
                      size_t first, const vx_code_hit *hits, size_t found, bool *passed) {
    vx_group group = c->group;
    group.kernels = kernels;
    for (size_t i = 0; i < found; i++) {
        size_t row = first + hits[i].row;
        passed[row] = row >= c->set.count || !c->coder.refined ||
                      !(vx_codes_refine(&group, q, &c->block, row, hits[i].known) < limit);
    }
}

/* Which rows pass query q's limit, by code_select. */
static void select_rows(const coding *c, const vx_kernels *kernels, size_t q, float limit,
                        bool *passed) {
    vx_code_hit *hits = malloc(c->groups * VX_CODE_ROWS * sizeof *hits);
    vx_codes rows = codes_of(c, 0, c->groups);
    vx_code_queries query = vx_group_codes(&c->group, q);
    size_t found = kernels->code_select(&rows, &query, limit, hits);
    memset(passed, 0, c->groups * VX_CODE_ROWS);
    take_hits(c, kernels, q, limit, 0, hits, found, passed);
    free(hits);
}

/* The same by code_tile, in a panel that is query q over and over; the others' limits differ. */
static void tile_rows(const coding *c, const vx_kernels *kernels, size_t q, float limit,
                      bool *passed) {
    enum { MOST = VX_CODE_TILE_QUERIES };
    size_t width = kernels->code_tile_queries, words = 2 * vx_code_lines(c->coder.head);
    vx_code_queries one = vx_group_codes(&c->group, q);
    int32_t start[MOST], *all = malloc(words * width * sizeof *all);
    float norm[MOST], square[MOST], error[MOST], ratio[MOST], tail[MOST], inverse[MOST];
    float limits[MOST];
    for (size_t i = 0; i < width; i++) {
        start[i] = *one.start;
        norm[i] = *one.norm;
        square[i] = *one.square;
        error[i] = *one.error;
        ratio[i] = *one.ratio;
        tail[i] = *one.tail;
        inverse[i] = *one.inverse;
        limits[i] = i == width - 1 ? limit : INFINITY;
        for (size_t w = 0; w < words; w++) all[w * width + i] = one.words[w];
    }
    vx_code_queries panel = {all, start, norm, square, error, ratio, tail, inverse};
    size_t height = kernels->code_tile_rows / VX_CODE_ROWS;
    vx_code_shape shape = vx_coder_shape(&c->coder, c->space.metric);
    unsigned char *opened = vx_alloc(height, vx_code_open_bytes(&shape));
    memset(passed, 0, c->groups * VX_CODE_ROWS);
    for (size_t g = 0; g < c->groups; g += height) {
        vx_code_hit hits[MOST * VX_CODE_TILE_ROWS];
        vx_codes rows = codes_of(c, g, VX_MIN(height, c->groups - g));
        vx_open_codes open = {opened, rows.count, rows.shape};
        kernels->code_open(&rows, opened);
        size_t found = kernels->code_tile(&open, &panel, limits, hits), kept = 0;
        for (size_t i = 0; i < found; i++)
            if (hits[i].query == width - 1) hits[kept++] = hits[i];
        take_hits(c, kernels, q, limit, g * VX_CODE_ROWS, hits, kept, passed);
    }
    vx_free(opened);
    free(all);
}

typedef void (*pass_fn)(const coding *, const vx_kernels *, size_t, float, bool *);
static const pass_fn passes[] = {select_rows, tile_rows};

/* How many rows are ruled out by limits made of their own keys. */
static size_t count_lost(const coding *c, const vx_kernels *kernels) {
    size_t lost = 0, rows = c->set.count;
    bool *passed = malloc(c->groups * VX_CODE_ROWS + VX_CODE_ROWS);
    for (size_t p = 0; p < 2; p++)
        for (size_t q = 0; q < c->queries && c->group.coded; q++)
            for (size_t r = 0; r < rows; r += 1 + rows / 40) {
                double key = c->truth[q * rows + r];
                float limit = vx_group_code_limit(&c->group, q, key);
                passes[p](c, kernels, q, limit, passed);
                for (size_t other = 0; other < rows; other++)
                    lost += c->truth[q * rows + other] <= key && !passed[other];
            }
    free(passed);
    return lost;
}

START_TEST(no_row_is_ruled_out_by_its_own_key) {
    static const size_t dims[] = {1, 2, 3, 7, 8, 9, 16, 33, 64, 100, 129, 256, 257, 600};
    size_t turn = 0;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int dtype = VINDEX_F32; dtype <= VINDEX_BF16; dtype++)
            for (int kind = 0; kind < VECTORS_KINDS; kind++, turn++) {
                coding c;
                size_t d = turn % CODINGS;
                vectors set = {.kind = (vectors_kind)kind,
                               .dtype = (vindex_dtype)dtype,
                               .dim = dims[turn * 5 % VX_COUNT(dims)],
                               .count = 60,
                               .seed = turn};
                coding_make(&c, &set, (vindex_metric)metric, codings[d]);
                for (size_t level = 0; vx_kernels_at(level); level++)
                    ck_each(count_lost(&c, vx_kernels_at(level)) == 0,
                            "%s %s %s, coder %zu, dim %zu, seed %zu, level %zu (%s)",
                            vindex_metric_name((vindex_metric)metric),
                            vindex_dtype_name((vindex_dtype)dtype),
                            vectors_name((vectors_kind)kind), d, set.dim, turn, level,
                            vx_kernels_at(level)->name);
                coding_free(&c);
            }
}
END_TEST

/* Numbers of a row that a broken encoder may get wrong. */
typedef enum broken { SCALE, REST, TAIL, SECOND_SCALE, SECOND_REST } broken;

static float bf16(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Multiplies that number of every row. */
static void shrink(coding *c, broken number, float share) {
    vx_code_shape shape = vx_coder_shape(&c->coder, c->space.metric);
    for (size_t r = 0; r < c->set.count; r++) {
        unsigned char *dword = c->block.codes +
                               vx_codes_bytes(&shape, r / VX_CODE_ROWS * VX_CODE_ROWS) +
                               r % VX_CODE_ROWS * 4;
        unsigned char *plane = c->block.planes + r * vx_plane_stride(c->set.dim);
        if (number == SCALE || number == REST) {
            uint16_t pair[2], *half = &pair[number == SCALE];
            memcpy(pair, dword, sizeof pair);
            float value = bf16(*half) * share;
            uint32_t wide;
            memcpy(&wide, &value, sizeof wide);
            *half = (uint16_t)(wide >> 16);
            memcpy(dword, pair, sizeof pair);
            continue;
        }
        float value;
        unsigned char *where = number == TAIL ? dword + (vx_code_numbers(&shape) - 1) * VX_CODE_LINE
                                              : plane + (number == SECOND_REST) * sizeof(float);
        memcpy(&value, where, sizeof value);
        value *= share;
        memcpy(where, &value, sizeof value);
    }
}

/* A rest a tenth of what it is loses neighbours, so that a search with a broken bound cannot pass
 * for exact here; so does a scale that is a third of it, a tail that is too short, and either
 * number of a second plane. */
START_TEST(a_broken_bound_is_caught) {
    static const struct {
        vx_coding coding;
        broken number;
        float share;
    } breaks[] = {
        {VX_CODING_SIGNS, SCALE, 0.3f},       {VX_CODING_SIGNS, REST, 0.1f},
        {VX_CODING_REFINED, SCALE, 0.3f},     {VX_CODING_REFINED, SECOND_SCALE, -1},
        {VX_CODING_REFINED, SECOND_REST, -1}, {VX_CODING_PCA, TAIL, 0.05f},
    };
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (size_t b = 0; b < VX_COUNT(breaks); b++) {
            vectors set = {.kind = VECTORS_NORMAL, .dim = 64, .count = 400, .seed = 3};
            coding c;
            coding_make(&c, &set, (vindex_metric)metric, breaks[b].coding);
            for (size_t level = 0; vx_kernels_at(level); level++)
                ck_assert_uint_eq(count_lost(&c, vx_kernels_at(level)), 0);
            shrink(&c, breaks[b].number, breaks[b].share);
            for (size_t level = 0; vx_kernels_at(level); level++)
                ck_each(count_lost(&c, vx_kernels_at(level)) > 0, "break %zu under %s goes unseen",
                        b, vindex_metric_name((vindex_metric)metric));
            coding_free(&c);
        }
}
END_TEST

/* A stored row's codes in lines of a shape with a length: with the scale 1 and nothing else the key
 * is the sum of products, a whole number: a limit lets it pass, the next number up does not. */
START_TEST(levels_count_alike) {
    static const size_t dims[] = {1, 5, 8, 17, 64, 100, 513};
    for (size_t d = 0; d < VX_COUNT(dims); d++) {
        coding c;
        vectors set = {.kind = VECTORS_NORMAL, .dim = dims[d], .count = 32, .seed = d};
        coding_make(&c, &set, VINDEX_INNER_PRODUCT, VX_CODING_SIGNS);
        vx_rng rng = vx_rng_seed(d, 1);
        int32_t *words = (int32_t *)(uintptr_t)c.group.codes.words;
        size_t lines = vx_code_lines(dims[d]);
        vx_code_shape shape = vx_coder_shape(&c.coder, VINDEX_INNER_PRODUCT);
        int8_t *z = (int8_t *)words;
        for (size_t i = 0; i < lines * VX_CODE_DIMS; i++)
            z[i] = (int8_t)((int)vx_rng_below(&rng, 255) - 127);
        *(int32_t *)(uintptr_t)c.group.codes.start = -77;
        *(float *)(uintptr_t)c.group.codes.norm = 0;
        *(float *)(uintptr_t)c.group.codes.square = 0;
        *(float *)(uintptr_t)c.group.codes.error = 0;
        *(float *)(uintptr_t)c.group.codes.ratio = 0;
        for (size_t r = 0; r < 32; r++) { /* scale 1, rest 0 */
            uint32_t pair = 0x3f800000;
            memcpy(c.block.codes + vx_codes_bytes(&shape, r / 16 * 16) + r % 16 * 4, &pair, 4);
        }
        for (size_t r = 0; r < 32; r++) {
            unsigned char *group = c.block.codes + vx_codes_bytes(&shape, r / 16 * 16);
            int32_t sum = -77;
            for (size_t j = 0; j < lines * VX_CODE_DIMS; j++) {
                unsigned char *byte =
                    group + (vx_code_numbers(&shape) + j / 8) * VX_CODE_LINE + r % 16 * 4;
                sum += z[j] * (j % 8 < 4 ? byte[j % 4] & 15 : byte[j % 4] >> 4);
            }
            /* What pays for the scale's rounding makes keys a 256th larger, and the looser test
             * does without. */
            float next = sum < 0 ? (float)sum + 1 : (float)sum * (1 + 0x1p-8f) + 1;
            for (size_t level = 0; vx_kernels_at(level); level++)
                for (size_t p = 0; p < 2; p++) {
                    bool passed[64];
                    passes[p](&c, vx_kernels_at(level), 0, (float)sum, passed);
                    ck_each(passed[r], "%s, dim %zu: row %zu", vx_kernels_at(level)->name, dims[d],
                            r);
                    passes[p](&c, vx_kernels_at(level), 0, next, passed);
                    ck_each(!passed[r], "%s, dim %zu: row %zu", vx_kernels_at(level)->name, dims[d],
                            r);
                }
        }
        coding_free(&c);
    }
}
END_TEST

/* All that the kernels which make codes answer of a row. */
typedef struct making {
    double square, left;
    vx_code_fit fit;
    float *numbers; /* v, then the rest, padded */
    unsigned char *levels;
} making;

static const float MAKING_FACTOR = 0.75f, MAKING_STEPS = 2.5f, MAKING_HALF = 0.4375f;

static making make_codes(const vx_kernels *kernels, const float *x, const float *mean, size_t dim) {
    size_t padded = vx_padded(dim);
    making made = {.numbers = malloc(2 * padded * sizeof(float)), .levels = malloc(padded)};
    float *v = made.numbers, *rest = v + padded;
    memset(v, 0xff, 2 * padded * sizeof *v);
    made.square = kernels->code_centre(x, MAKING_FACTOR, mean, dim, v);
    made.fit = kernels->code_fit(v, dim, MAKING_STEPS, made.levels);
    made.left = kernels->code_left(v, made.levels, dim, MAKING_HALF, rest);
    return made;
}

/* Against a double loop: numbers bit by bit, sums within the roundings that the bounds count. */
static void check_making(const making *made, const float *x, const float *mean, size_t dim,
                         const char *name) {
    const float *v = made->numbers, *rest = v + vx_padded(dim);
    double gamma = vx_gamma(VX_CODE_FIT_CHAIN), lost = 1e-36;
    double square = 0, dot = 0, size = 0, units = 0, left = 0;
    for (size_t j = 0; j < dim; j++) {
        float scaled = x[j] * MAKING_FACTOR, place = v[j] * MAKING_STEPS;
        int level = (int)fmaxf(fminf(place + 8, 15), 0), u = 2 * level - 15;
        ck_assert_float_eq(v[j], scaled - mean[j]);
        ck_assert_int_eq(made->levels[j], level);
        ck_assert_float_eq(rest[j], v[j] - MAKING_HALF * (float)u);
        square += (double)v[j] * (double)v[j];
        dot += (double)v[j] * u;
        size += fabs((double)v[j] * u);
        units += u * u;
        left += (double)rest[j] * (double)rest[j];
    }
    for (size_t j = dim; j < vx_padded(dim); j++) ck_assert(v[j] == 0 && rest[j] == 0);
    ck_each(fabs(made->square - square) <= gamma * square + lost, "%s, dim %zu", name, dim);
    ck_each(fabs(made->fit.dot - dot) <= gamma * size + lost, "%s, dim %zu", name, dim);
    ck_each(made->fit.units == units, "%s, dim %zu: %g", name, dim, made->fit.units);
    ck_each(fabs(made->left - left) <= gamma * left + lost, "%s, dim %zu", name, dim);
}

static void check_levels(size_t dim, vectors_kind kind) {
    vectors set = {.kind = kind, .dim = dim, .count = 2, .seed = dim};
    float *rows = vectors_make(&set);
    making first = make_codes(vx_kernels_at(0), rows, rows + dim, dim);
    for (size_t level = 0; vx_kernels_at(level); level++) {
        const vx_kernels *kernels = vx_kernels_at(level);
        making made = make_codes(kernels, rows, rows + dim, dim);
        check_making(&made, rows, rows + dim, dim, kernels->name);
        bool same = made.square == first.square && made.left == first.left &&
                    made.fit.dot == first.fit.dot && !memcmp(made.levels, first.levels, dim) &&
                    !memcmp(made.numbers, first.numbers, 2 * vx_padded(dim) * sizeof(float));
        ck_each(same, "dim %zu: %s differs", dim, kernels->name);
        free(made.numbers);
        free(made.levels);
    }
    free(first.numbers);
    free(first.levels);
    free(rows);
}

START_TEST(codes_are_made_alike) {
    static const vectors_kind kinds[] = {VECTORS_NORMAL, VECTORS_ONE_HOT, VECTORS_DENORMAL};
    for (size_t k = 0; k < VX_COUNT(kinds); k++) {
        for (size_t dim = 1; dim <= 300; dim++) check_levels(dim, kinds[k]);
        check_levels(16000, kinds[k]);
    }
}
END_TEST

/* The product of a second plane is the same at every level, whatever lies behind the row. */
START_TEST(second_planes_multiply_alike) {
    static const size_t lengths[] = {4, 12, 60, 64, 68, 132};
    unsigned char row[256 + 64];
    int8_t z[2 * 256];
    vx_rng rng = vx_rng_seed(11, 1);
    for (size_t n = 0; n < VX_COUNT(lengths); n++) {
        size_t bytes = lengths[n], padded = (bytes + 63) / 64 * 64;
        int32_t sum = 0;
        memset(z, 0, sizeof z);
        for (size_t i = 0; i < sizeof row; i++) row[i] = (unsigned char)vx_rng_next(&rng);
        for (size_t i = 0; i < bytes; i++) {
            z[i] = (int8_t)((int)vx_rng_below(&rng, 255) - 127);
            z[padded + i] = (int8_t)((int)vx_rng_below(&rng, 255) - 127);
            sum += (row[i] & 15) * z[i] + (row[i] >> 4) * z[padded + i];
        }
        for (size_t level = 0; vx_kernels_at(level); level++)
            ck_assert_int_eq(vx_kernels_at(level)->code_refine(row, bytes, z), sum);
    }
}
END_TEST

/* Whatever a damaged file holds, a kernel reads no further and answers something. */
START_TEST(any_numbers_are_survived) {
    vectors set = {.kind = VECTORS_NORMAL, .dim = 40, .count = 48, .seed = 9};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (size_t d = 0; d < CODINGS; d++) {
            coding c;
            coding_make(&c, &set, (vindex_metric)metric, codings[d]);
            vx_rng rng = vx_rng_seed(10, (uint64_t)metric);
            vx_code_shape shape = vx_coder_shape(&c.coder, (vindex_metric)metric);
            size_t bytes = vx_codes_bytes(&shape, set.count);
            for (int round = 0; round < 70; round++) {
                bool passed[64];
                for (size_t i = 0; i < bytes; i++)
                    c.block.codes[i] = (unsigned char)vx_rng_next(&rng);
                for (size_t level = 0; vx_kernels_at(level); level++)
                    for (size_t p = 0; p < 2; p++)
                        passes[p](&c, vx_kernels_at(level), 1, round % 2 ? 1 : -INFINITY, passed);
            }
            coding_free(&c);
        }
}
END_TEST

/* What a coder gives away as its error and its tails is at least what a double loop finds: heads
 * and tails of two rows bound their product. */
START_TEST(heads_and_tails_bound_products) {
    for (size_t dim = 1; dim <= 300; dim = dim * 2 + 1)
        for (size_t d = 0; d < CODINGS; d++) {
            coding c;
            vectors set = {.kind = VECTORS_CLUSTERED, .dim = dim, .count = 33, .seed = dim};
            coding_make(&c, &set, VINDEX_INNER_PRODUCT, codings[d]);
            const vx_kernels *kernels = vx_kernels_get();
            size_t padded = vx_padded(dim), head = vx_padded(c.coder.head);
            float *rows = vectors_make(&set), *v = calloc(32 * padded, sizeof *v);
            float *y = malloc(32 * head * sizeof *y);
            float *scratch = malloc(vx_coder_scratch(&c.coder) * sizeof *scratch);
            for (size_t r = 0; r < 32; r++) memcpy(v + r * padded, rows + r * dim, dim * sizeof *v);
            vx_coder_rotate(&c.coder, kernels, v, 32, y, scratch);
            for (size_t a = 0; a < 32; a += 3)
                for (size_t b = 0; b < 32; b++) {
                    const float *x = rows + a * dim, *w = rows + b * dim;
                    double xx = sqrt(product(x, x, dim)), ww = sqrt(product(w, w, dim));
                    const float *p = y + a * head, *q = y + b * head;
                    double most = vx_coder_tail(&c.coder, xx, sqrt(product(p, p, c.coder.head))) *
                                  vx_coder_tail(&c.coder, ww, sqrt(product(q, q, c.coder.head)));
                    most += vx_coder_error(&c.coder) * xx * ww;
                    double off = fabs(product(x, w, dim) - product(p, q, c.coder.head));
                    ck_each(off <= most, "coder %zu, dim %zu: off by %g, not %g", d, dim, off,
                            most);
                }
            free(rows);
            free(v);
            free(y);
            free(scratch);
            coding_free(&c);
        }
}
END_TEST

TEST_MAIN("exact/codes", rotations_keep_lengths_and_products, no_row_is_ruled_out_by_its_own_key,
          a_broken_bound_is_caught, levels_count_alike, codes_are_made_alike,
          second_planes_multiply_alike, any_numbers_are_survived, heads_and_tails_bound_products)
