/* The kernels of a search with many queries: packing, and tiles over one slice or several. */
#include <math.h>

#include "../harness.h"
#include "exact/bound.h"
#include "stored.h"

static void check_pack(const vx_kernels *kernels, vindex_dtype type, size_t count, size_t first,
                       size_t depth, size_t width) {
    vx_rng rng = vx_rng_seed(count, depth);
    size_t dim = first + depth, stride = dim * vindex_dtype_size(type);
    float *rows = random_numbers(type, count * dim, &rng);
    char *stored = store_rows(type, rows, count, dim, 0);
    float *packed = malloc(depth * width * sizeof *packed);
    kernels->pack[type](stored, stride, count, first, depth, width, packed);
    for (size_t i = 0; i < depth; i++)
        for (size_t r = 0; r < width; r++) {
            float expected = r < count ? rows[r * dim + first + i] : 0;
            ck_each(packed[i * width + r] == expected, "%s, %s: row %zu of %zu, dimension %zu",
                    kernels->name, vindex_dtype_name(type), r, count, i);
        }
    free(rows);
    free(stored);
    free(packed);
}

START_TEST(packing_transposes) {
    static const size_t depths[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100, 512};
    for (size_t i = 0; level_at(i); i++)
        for (size_t t = 0; t < VX_COUNT(stored_types); t++)
            for (size_t d = 0; d < VX_COUNT(depths); d++) {
                const vx_kernels *kernels = level_at(i);
                for (size_t count = 0; count <= kernels->tile_rows; count++)
                    check_pack(kernels, stored_types[t], count, d % 3 * 5, depths[d],
                               kernels->tile_rows);
                for (size_t count = 0; count <= kernels->tile_queries; count++)
                    check_pack(kernels, stored_types[t], count, 0, depths[d],
                               kernels->tile_queries);
            }
}
END_TEST

/* One tile's operands, and what the kernels made of them. */
typedef struct bench {
    const vx_kernels *kernels;
    size_t dim, rows, queries;
    float *row_numbers, *query_numbers;
    float scale[VX_TILE_ROWS], bias[VX_TILE_ROWS];
    float sums[VX_TILE_QUERIES * VX_TILE_ROWS], keys[VX_TILE_QUERIES * VX_TILE_ROWS];
} bench;

typedef void (*last_slice_fn)(const vx_tile *tile, bench *b);

/* Goes through the slices as a search does, and hands the last one to `last`. */
static void run_slices(bench *b, last_slice_fn last) {
    const vx_kernels *kernels = b->kernels;
    size_t height = kernels->tile_rows, width = kernels->tile_queries;
    float *rows = malloc(VX_SLICE * height * sizeof *rows);
    float *queries = malloc(VX_SLICE * width * sizeof *queries);
    for (size_t first = 0; first < b->dim; first += VX_SLICE) {
        size_t depth = VX_MIN(b->dim - first, (size_t)VX_SLICE);
        kernels->pack[VINDEX_F32](b->row_numbers, b->dim * sizeof(float), b->rows, first, depth,
                                  height, rows);
        kernels->pack[VINDEX_F32](b->query_numbers, b->dim * sizeof(float), b->queries, first,
                                  depth, width, queries);
        vx_tile tile = {rows, queries, depth, first ? b->sums : NULL, VX_TILE_ROWS};
        if (first + depth < b->dim)
            kernels->tile_sums(&tile, b->sums);
        else
            last(&tile, b);
    }
    free(rows);
    free(queries);
}

static void take_sums(const vx_tile *tile, bench *b) {
    b->kernels->tile_sums(tile, b->sums);
}

static void take_keys(const vx_tile *tile, bench *b) {
    b->kernels->tile_keys(tile, b->scale, b->bias, b->keys);
}

/* What passes a limit is what has a key that is not above it; limits that are keys, and others. */
static void take_masks(const vx_tile *tile, bench *b) {
    uint32_t masks[VX_TILE_QUERIES];
    float limits[VX_TILE_QUERIES];
    for (size_t round = 0; round < b->kernels->tile_rows + 2; round++) {
        bool any = false;
        for (size_t q = 0; q < b->kernels->tile_queries; q++) {
            limits[q] = round < b->kernels->tile_rows    ? b->keys[q * VX_TILE_ROWS + round]
                        : round == b->kernels->tile_rows ? -INFINITY
                                                         : INFINITY;
            if (isnan(limits[q])) limits[q] = 0;
        }
        bool answer = b->kernels->tile_select(tile, b->scale, b->bias, limits, masks);
        uint32_t collected[VX_TILE_QUERIES];
        float keys[VX_TILE_QUERIES * VX_TILE_ROWS];
        vx_tile_limits all = {b->scale, b->bias, limits};
        ck_assert_int_eq(b->kernels->tile_collect(tile, &all, collected, keys), answer);
        for (size_t q = 0; q < b->kernels->tile_queries; q++) {
            uint32_t expected = 0;
            for (size_t r = 0; r < b->kernels->tile_rows; r++)
                expected |= (uint32_t) !(b->keys[q * VX_TILE_ROWS + r] > limits[q]) << r;
            ck_each(masks[q] == expected, "%s, dim %zu, query %zu: mask %x, not %x",
                    b->kernels->name, b->dim, q, (unsigned)masks[q], (unsigned)expected);
            any |= expected != 0;
            ck_each(collected[q] == expected, "%s, dim %zu: another mask with keys",
                    b->kernels->name, b->dim);
            for (size_t r = 0; r < b->kernels->tile_rows && expected; r++)
                ck_each(!memcmp(&keys[q * b->kernels->tile_rows + r],
                                &b->keys[q * VX_TILE_ROWS + r], sizeof *keys),
                        "%s, dim %zu: another key", b->kernels->name, b->dim);
        }
        ck_assert_int_eq(answer, any);
    }
}

static void check_numbers(const bench *b) {
    for (size_t q = 0; q < b->queries; q++)
        for (size_t r = 0; r < b->rows; r++) {
            double dot = 0, reach = 0, scale = (double)b->scale[r], bias = (double)b->bias[r];
            for (size_t j = 0; j < b->dim; j++) {
                double product = (double)b->query_numbers[q * b->dim + j] *
                                 (double)b->row_numbers[r * b->dim + j];
                dot += product;
                reach += fabs(product);
            }
            double bound = vx_gamma(vx_tile_chain(b->dim)) * reach + vx_underflow(b->dim);
            float sum = b->sums[q * VX_TILE_ROWS + r], key = b->keys[q * VX_TILE_ROWS + r];
            ck_each(fabs((double)sum - dot) <= bound, "%s, dim %zu: sum %.9g, truth %.17g",
                    b->kernels->name, b->dim, (double)sum, dot);
            if (isnan(scale)) {
                ck_assert_float_nan(key);
                continue;
            }
            double truth = dot * scale + bias;
            bound = bound * fabs(scale) + (fabs(truth) + fabs(dot * scale)) * 0x1p-23;
            ck_each(fabs((double)key - truth) <= bound, "%s, dim %zu: key %.9g, truth %.17g",
                    b->kernels->name, b->dim, (double)key, truth);
        }
}

static void check_tile(const vx_kernels *kernels, size_t dim, size_t rows, size_t queries) {
    vx_rng rng = vx_rng_seed(dim, rows);
    bench b = {.kernels = kernels, .dim = dim, .rows = rows, .queries = queries};
    b.row_numbers = random_numbers(VINDEX_F32, rows * dim, &rng);
    b.query_numbers = random_numbers(VINDEX_F32, queries * dim, &rng);
    for (size_t r = 0; r < VX_TILE_ROWS; r++) {
        b.scale[r] = r == 3 ? NAN : r == 4 ? 0 : random_number(&rng);
        b.bias[r] = random_number(&rng);
    }
    run_slices(&b, take_keys);
    run_slices(&b, take_masks);
    run_slices(&b, take_sums);
    check_numbers(&b);
    free(b.row_numbers);
    free(b.query_numbers);
}

START_TEST(tiles_stay_within_their_bound) {
    static const size_t dims[] = {1,   2,   3,   15,   16,   17,   64,  257,
                                  511, 512, 513, 1000, 1024, 1537, 4096};
    for (size_t i = 0; level_at(i); i++)
        for (size_t d = 0; d < VX_COUNT(dims); d++) {
            const vx_kernels *kernels = level_at(i);
            check_tile(kernels, dims[d], kernels->tile_rows, kernels->tile_queries);
            check_tile(kernels, dims[d], kernels->tile_rows - 1, kernels->tile_queries - 1);
            check_tile(kernels, dims[d], 1, 1);
        }
}
END_TEST

TEST_MAIN("simd/tiles", packing_transposes, tiles_stay_within_their_bound)
