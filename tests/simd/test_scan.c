/* The kernels of a search with few queries: scans, selection by a limit, counting. */
#include <float.h>
#include <math.h>

#include "../harness.h"
#include "exact/bound.h"
#include "stored.h"

/* The error of a scan against one in double precision stays within the bound that the search relies
 * on. */
static void check_scan(const vx_kernels *kernels, vindex_dtype type, size_t dim, double scale,
                       vx_rng *rng) {
    enum { ROWS = 5 };
    float *query = random_numbers(VINDEX_F32, vx_padded(dim), rng), l2[ROWS], ip[ROWS];
    float *rows = random_numbers(type, ROWS * dim, rng);
    for (size_t j = 0; j < vx_padded(dim); j++) query[j] = j < dim ? query[j] * (float)scale : 0;
    size_t gap = dim % 3 * 2, stride = dim * vindex_dtype_size(type) + gap;
    char *stored = store_rows(type, rows, ROWS, dim, gap);
    kernels->scan_l2[type](query, stored, stride, ROWS, dim, l2);
    kernels->scan_ip[type](query, stored, stride, ROWS, dim, ip);
    for (size_t r = 0; r < ROWS; r++) {
        double distance = 0, dot = 0, reach = 0;
        for (size_t j = 0; j < dim; j++) {
            double q = (double)query[j], x = (double)rows[r * dim + j];
            distance += (q - x) * (q - x);
            dot += q * x;
            reach += fabs(q * x);
        }
        double gamma = vx_gamma(vx_scan_chain(dim)), under = vx_underflow(dim);
        ck_each(fabs((double)l2[r] - distance) <= gamma * distance + under,
                "%s, %s, dim %zu, row %zu: L2 %.9g, the truth is %.17g", kernels->name,
                vindex_dtype_name(type), dim, r, (double)l2[r], distance);
        ck_each(fabs((double)ip[r] - dot) <= gamma * reach + under,
                "%s, %s, dim %zu, row %zu: product %.9g, the truth is %.17g", kernels->name,
                vindex_dtype_name(type), dim, r, (double)ip[r], dot);
    }
    free(query);
    free(rows);
    free(stored);
}

START_TEST(scans_stay_within_their_bound) {
    static const size_t large[] = {512, 513, 1000, 4096};
    static const double scales[] = {1, 1e15, 1e-40};
    vx_rng rng = vx_rng_seed(1, 0);
    for (size_t i = 0; level_at(i); i++)
        for (size_t t = 0; t < VX_COUNT(stored_types); t++)
            for (size_t dim = 1; dim <= 257 + VX_COUNT(large); dim++)
                for (size_t s = 0; s < VX_COUNT(scales); s++)
                    check_scan(level_at(i), stored_types[t], dim <= 257 ? dim : large[dim - 258],
                               scales[s], &rng);
}
END_TEST

/* Keys among which a limit has many ties, and all that is not a number. */
static float awkward_key(vx_rng *rng) {
    static const float keys[] = {NAN, INFINITY, -INFINITY, 0,        -0.0f,
                                 1,   FLT_MAX,  -FLT_MAX,  0x1p-149f};
    uint64_t which = vx_rng_below(rng, VX_COUNT(keys) + 9);
    return which < VX_COUNT(keys) ? keys[which] : (float)vx_rng_below(rng, 5) - 2;
}

static void check_select(const vx_kernels *kernels, const float *keys, const float *scale,
                         size_t count, float limit) {
    uint32_t *positions = malloc(count * sizeof *positions + 1);
    size_t found = kernels->select(keys, scale, count, limit, positions), at = 0;
    for (size_t i = 0; i < count; i++) {
        float key = scale ? keys[i] * scale[i] : keys[i];
        if (key > limit) continue;
        ck_each(at < found && positions[at++] == i, "position %zu is missing", i);
    }
    ck_assert_uint_eq(at, found);
    free(positions);
}

static void check_count(const vx_kernels *kernels, const float *keys, size_t count, float low,
                        float high) {
    uint32_t *positions = malloc(count * sizeof *positions + 1);
    size_t within, expected = 0, at = 0;
    size_t below = kernels->count(keys, count, low, high, positions, &within);
    for (size_t i = 0; i < count; i++) {
        expected += keys[i] < low;
        if (keys[i] < low || keys[i] > high) continue;
        ck_each(at < within && positions[at++] == i, "position %zu is missing", i);
    }
    ck_assert_uint_eq(below, expected);
    ck_assert_uint_eq(at, within);
    free(positions);
}

/* The keys as their own bounds, sorted: as many ties as there can be. */
static int compare_floats(const void *a, const void *b) {
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void check_place(const vx_kernels *kernels, const float *keys, size_t count) {
    float *bounds = malloc(count * sizeof *bounds + 1);
    uint32_t *places = malloc(count * sizeof *places + 1);
    size_t bound_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(keys[i]) && i % 3) bounds[bound_count++] = keys[i];
    qsort(bounds, bound_count, sizeof *bounds, compare_floats);
    kernels->place(bounds, bound_count, keys, count, places);
    for (size_t i = 0; i < count; i++) {
        size_t above = 0;
        for (size_t j = 0; j < bound_count; j++) above += keys[i] > bounds[j];
        ck_each(places[i] == above, "key %g lies above %u of %zu bounds, not %zu", (double)keys[i],
                places[i], bound_count, above);
    }
    free(bounds);
    free(places);
}

START_TEST(selection_and_counting_treat_every_key_right) {
    static const float limits[] = {-INFINITY, -FLT_MAX, -1, -0.0f, 0, 1, 2, FLT_MAX, INFINITY};
    vx_rng rng = vx_rng_seed(2, 0);
    for (size_t count = 0; count <= 100; count++) {
        float *keys = malloc(count * sizeof *keys + 1), *scale = malloc(count * sizeof *scale + 1);
        for (size_t j = 0; j < count; j++)
            keys[j] = awkward_key(&rng), scale[j] = awkward_key(&rng);
        for (size_t i = 0; level_at(i); i++) check_place(level_at(i), keys, count);
        for (size_t i = 0; level_at(i); i++)
            for (size_t l = 0; l < VX_COUNT(limits); l++) {
                check_select(level_at(i), keys, NULL, count, limits[l]);
                check_select(level_at(i), keys, scale, count, limits[l]);
                for (size_t h = l; h < VX_COUNT(limits); h++)
                    check_count(level_at(i), keys, count, limits[l], limits[h]);
            }
        free(keys);
        free(scale);
    }
}
END_TEST

START_TEST(tables_are_complete_and_slowest_first) {
    ck_assert_str_eq(level_at(0)->name, "scalar");
    for (size_t i = 0; level_at(i); i++) {
        const vx_kernels *kernels = level_at(i);
        ck_assert_uint_le(kernels->tile_rows, VX_TILE_ROWS);
        ck_assert_uint_le(kernels->tile_queries, VX_TILE_QUERIES);
        ck_assert_uint_eq(VX_TILE_ROWS % kernels->tile_rows, 0);
        for (size_t t = 0; t < VX_STORED_TYPES; t++)
            ck_assert(kernels->scan_l2[t] && kernels->scan_ip[t] && kernels->pack[t] &&
                      kernels->settle_l2[t] && kernels->settle_products[t] &&
                      kernels->settle_sum[t] && kernels->narrow[t] && kernels->widen[t]);
    }
}
END_TEST

TEST_MAIN("simd/scan", scans_stay_within_their_bound, selection_and_counting_treat_every_key_right,
          tables_are_complete_and_slowest_first)
