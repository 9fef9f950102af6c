/* Certified codes: the rotation keeps lengths, the kernels count alike at every level, and no row
 * is ruled out by a limit made of its own key. */
#include <math.h>
#include <string.h>

#include "../harness.h"
#include "../vectors.h"
#include "core/rng.h"
#include "exact/bound.h"
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
    float *before = vectors_make(&set), *first = NULL, *spare = malloc(dim * sizeof *spare);
    for (size_t level = 0; vx_kernels_at(level); level++) {
        float *after = vectors_make(&set);
        for (size_t i = 0; i < 2; i++)
            vx_rotation_apply(&rotation, vx_kernels_at(level), after + i * dim, spare);
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
    free(spare);
}

START_TEST(rotations_keep_lengths_and_products) {
    for (size_t dim = 1; dim <= 257; dim++) check_rotation(dim);
    check_rotation(1000);
    check_rotation(16000);
}
END_TEST

/* Coded rows before a few queries. */
typedef struct coding {
    vx_rotation rotation;
    vx_space space;
    vectors set;
    size_t queries, groups;
    char *stored;
    unsigned char *codes;
    vx_group group;
    double *truth; /* queries x rows: settled keys */
} coding;

/* Few queries, so that their words lie one query after the other. */
enum { QUERIES = 4 };

static void coding_make(coding *c, const vectors *set, vindex_metric metric) {
    *c = (coding){.set = *set, .queries = QUERIES};
    ck_ok(vx_rotation_create(set->dim, &c->rotation));
    c->space = (vx_space){metric, set->dtype, set->dim, &c->rotation};
    const vx_kernels *kernels = vx_kernels_get();
    size_t stride = vx_space_stride(&c->space), rows = set->count;
    vectors asked = *set;
    asked.queries = true;
    asked.count = QUERIES;
    float *numbers = vectors_make(set), *queries = vectors_make(&asked);
    float *work = malloc(2 * vx_padded(set->dim) * sizeof *work);
    c->stored = malloc(rows * stride);
    c->groups = (rows + VX_CODE_ROWS - 1) / VX_CODE_ROWS;
    c->codes = vx_alloc_zero(vx_codes_bytes(&c->space, rows), 1);
    c->truth = malloc(rows * QUERIES * sizeof *c->truth);
    kernels->narrow[set->dtype](numbers, rows * set->dim, c->stored);
    for (size_t r = 0; r < rows; r++) {
        vx_measure measure = vx_measure_row(&c->space, kernels, c->stored + r * stride);
        vx_codes_encode(&c->space, kernels, c->stored + r * stride, &measure, c->codes, r, work);
    }
    ck_ok(vx_group_create(&c->space, QUERIES, false, &c->group));
    ck_ok(vx_group_load(&c->group, queries, QUERIES, 1));
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t r = 0; r < rows; r++)
            c->truth[q * rows + r] = vx_group_settle(&c->group, q, c->stored + r * stride);
    free(numbers);
    free(queries);
    free(work);
}

static void coding_free(coding *c) {
    vx_group_free(&c->group);
    vx_rotation_free(&c->rotation);
    vx_free(c->codes);
    free(c->stored);
    free(c->truth);
}

static vx_codes codes_of(const coding *c, size_t group, size_t count) {
    return (vx_codes){.groups = c->codes + vx_codes_bytes(&c->space, group * VX_CODE_ROWS),
                      .count = count,
                      .lines = vx_code_lines(c->space.dim),
                      .biased = vx_space_biased(&c->space)};
}

/* Which rows pass query q's limit, by code_select. */
static void select_rows(const coding *c, const vx_kernels *kernels, size_t q, float limit,
                        bool *passed) {
    uint32_t *positions = malloc(c->groups * VX_CODE_ROWS * sizeof *positions);
    vx_codes rows = codes_of(c, 0, c->groups);
    vx_code_queries query = vx_group_codes(&c->group, q);
    size_t found = kernels->code_select(&rows, &query, limit, positions);
    memset(passed, 0, c->groups * VX_CODE_ROWS);
    for (size_t i = 0; i < found; i++) passed[positions[i]] = true;
    free(positions);
}

/* The same by code_tile, in a panel that is query q over and over; the others' limits differ. */
static void tile_rows(const coding *c, const vx_kernels *kernels, size_t q, float limit,
                      bool *passed) {
    enum { MOST = VX_CODE_TILE_QUERIES };
    size_t width = kernels->code_tile_queries, words = 2 * vx_code_lines(c->space.dim);
    vx_code_queries one = vx_group_codes(&c->group, q);
    int32_t start[MOST], *all = malloc(words * width * sizeof *all);
    float norm[MOST], square[MOST], error[MOST], ratio[MOST], inverse[MOST], limits[MOST];
    for (size_t i = 0; i < width; i++) {
        start[i] = *one.start;
        norm[i] = *one.norm;
        square[i] = *one.square;
        error[i] = *one.error;
        ratio[i] = *one.ratio;
        inverse[i] = *one.inverse;
        limits[i] = i == width - 1 ? limit : INFINITY;
        for (size_t w = 0; w < words; w++) all[w * width + i] = one.words[w];
    }
    vx_code_queries panel = {all, start, norm, square, error, ratio, inverse};
    size_t height = kernels->code_tile_rows / VX_CODE_ROWS;
    for (size_t g = 0; g < c->groups; g += height) {
        uint32_t masks[MOST];
        vx_codes rows = codes_of(c, g, VX_MIN(height, c->groups - g));
        kernels->code_tile(&rows, &panel, limits, masks);
        for (size_t r = 0; r < rows.count * VX_CODE_ROWS; r++)
            passed[g * VX_CODE_ROWS + r] = masks[width - 1] >> r & 1;
    }
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
    static const size_t dims[] = {1, 2, 3, 7, 8, 9, 16, 33, 64, 100, 129, 256, 257, 1100};
    size_t turn = 0;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int dtype = VINDEX_F32; dtype <= VINDEX_BF16; dtype++)
            for (int kind = 0; kind < VECTORS_KINDS; kind++)
                for (size_t d = 0; d < 3; d++, turn++) {
                    coding c;
                    vectors set = {.kind = (vectors_kind)kind,
                                   .dtype = (vindex_dtype)dtype,
                                   .dim = dims[turn % VX_COUNT(dims)],
                                   .count = 60,
                                   .seed = turn};
                    coding_make(&c, &set, (vindex_metric)metric);
                    for (size_t level = 0; vx_kernels_at(level); level++)
                        ck_each(count_lost(&c, vx_kernels_at(level)) == 0,
                                "%s %s %s, dim %zu, seed %zu, level %zu (%s)",
                                vindex_metric_name((vindex_metric)metric),
                                vindex_dtype_name((vindex_dtype)dtype),
                                vectors_name((vectors_kind)kind), set.dim, turn, level,
                                vx_kernels_at(level)->name);
                    coding_free(&c);
                }
}
END_TEST

/* What a broken encoder would do, for one of a row's numbers. */
static void shrink(coding *c, size_t number, float share) {
    for (size_t r = 0; r < c->set.count; r++)
        *vx_codes_number(&c->space, c->codes, r, number) *= share;
}

/* A rest a tenth of what it is loses neighbours, so that a search with a broken bound cannot pass
 * for exact here; so does a scale that is off by a third. */
START_TEST(a_broken_bound_is_caught) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (size_t level = 0; vx_kernels_at(level); level++) {
            const vx_kernels *kernels = vx_kernels_at(level);
            vectors set = {.kind = VECTORS_NORMAL, .dim = 64, .count = 400, .seed = 3};
            coding c;
            coding_make(&c, &set, (vindex_metric)metric);
            ck_assert_uint_eq(count_lost(&c, kernels), 0);
            shrink(&c, VX_CODE_REST, 0.1f);
            ck_assert_uint_gt(count_lost(&c, kernels), 0);
            shrink(&c, VX_CODE_REST, 10.1f);
            ck_assert_uint_eq(count_lost(&c, kernels), 0);
            shrink(&c, VX_CODE_SCALE, 0.66f);
            ck_assert_uint_gt(count_lost(&c, kernels), 0);
            coding_free(&c);
        }
}
END_TEST

/* With the scale 1 and nothing else the key is the sum of products, a whole number: a limit lets it
 * pass, the next number up does not. */
START_TEST(levels_count_alike) {
    static const size_t dims[] = {1, 5, 8, 17, 64, 100, 513};
    for (size_t d = 0; d < VX_COUNT(dims); d++) {
        coding c;
        vectors set = {.kind = VECTORS_NORMAL, .dim = dims[d], .count = 32, .seed = d};
        coding_make(&c, &set, VINDEX_INNER_PRODUCT);
        vx_rng rng = vx_rng_seed(d, 1);
        int32_t *words = (int32_t *)(uintptr_t)c.group.codes.words;
        size_t lines = vx_code_lines(dims[d]);
        int8_t *z = (int8_t *)words;
        for (size_t i = 0; i < lines * VX_CODE_DIMS; i++)
            z[i] = (int8_t)((int)vx_rng_below(&rng, 255) - 127);
        *(int32_t *)(uintptr_t)c.group.codes.start = -77;
        *(float *)(uintptr_t)c.group.codes.norm = 0;
        *(float *)(uintptr_t)c.group.codes.square = 0;
        *(float *)(uintptr_t)c.group.codes.error = 0;
        *(float *)(uintptr_t)c.group.codes.ratio = 0;
        for (size_t r = 0; r < 32; r++) {
            unsigned char *group = c.codes + vx_codes_bytes(&c.space, r / 16 * 16);
            int32_t sum = -77;
            for (size_t j = 0; j < lines * VX_CODE_DIMS; j++) {
                unsigned char *byte = group + (VX_CODE_HALF + j / 8) * VX_CODE_LINE + r % 16 * 4;
                sum += z[j] * (j % 8 < 4 ? byte[j % 4] & 15 : byte[j % 4] >> 4);
            }
            for (size_t i = 0; i < 32; i++)
                *vx_codes_number(&c.space, c.codes, i, VX_CODE_SCALE) = 1;
            for (size_t level = 0; vx_kernels_at(level); level++)
                for (size_t p = 0; p < 2; p++) {
                    bool passed[64];
                    passes[p](&c, vx_kernels_at(level), 0, (float)sum, passed);
                    ck_each(passed[r], "%s, dim %zu: row %zu", vx_kernels_at(level)->name, dims[d],
                            r);
                    passes[p](&c, vx_kernels_at(level), 0, (float)sum + 1, passed);
                    ck_each(!passed[r], "%s, dim %zu: row %zu", vx_kernels_at(level)->name, dims[d],
                            r);
                }
        }
        coding_free(&c);
    }
}
END_TEST

/* Whatever a damaged file holds, a kernel reads no further and answers something. */
START_TEST(any_numbers_are_survived) {
    vectors set = {.kind = VECTORS_NORMAL, .dim = 40, .count = 48, .seed = 9};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        coding c;
        coding_make(&c, &set, (vindex_metric)metric);
        vx_rng rng = vx_rng_seed(10, (uint64_t)metric);
        size_t bytes = vx_codes_bytes(&c.space, set.count);
        for (int round = 0; round < 200; round++) {
            bool passed[64];
            for (size_t i = 0; i < bytes; i++) c.codes[i] = (unsigned char)vx_rng_next(&rng);
            for (size_t level = 0; vx_kernels_at(level); level++)
                for (size_t p = 0; p < 2; p++)
                    passes[p](&c, vx_kernels_at(level), 1, round % 2 ? 1 : -INFINITY, passed);
        }
        coding_free(&c);
    }
}
END_TEST

TEST_MAIN("exact/codes", rotations_keep_lengths_and_products, no_row_is_ruled_out_by_its_own_key,
          a_broken_bound_is_caught, levels_count_alike, any_numbers_are_survived)
