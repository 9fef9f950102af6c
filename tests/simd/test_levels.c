/* Levels that are looked up: on every instruction set what a plain loop gives, bit for bit. */
#include "simd/kernels.h"

#include "../harness.h"

enum { ROWS = 37, DIM_MOST = 270 };

static const uint32_t which[] = {3, 36, 0, 0, 17, 5, 9, 11, 30, 2, 8, 1, 35, 33, 4, 6, 7, 10, 12};

/* Dimension j in the lines of a row: bits `width` wide at *shift of byte *at, as kernels.h says. */
static void line_place(size_t j, size_t width, size_t *at, size_t *shift) {
    size_t four = j / 4, each = 8 / width;
    *at = four / each * 4 + j % 4;
    *shift = four % each * width;
}

/* Levels into a row that is all zero; answers its bytes. And z into what goes with such a row. */
static size_t lay(const vx_level_shape *shape, const unsigned char *levels, unsigned char *row) {
    size_t done = 0, low = 0, depth = (shape->dim + 3) / 4, at, shift;
    static const size_t widths[] = {8, 4, 2, 1};
    for (size_t w = 0; w < VX_COUNT(widths); w++) {
        size_t width = widths[w], each = 8 / width;
        if (!((size_t)shape->bits & width)) continue;
        for (size_t j = 0; j < shape->dim; j++) {
            line_place(j, width, &at, &shift);
            row[done + at] |= (unsigned char)((levels[j] >> low & ((1 << width) - 1)) << shift);
        }
        low += width;
        done += (depth + each - 1) / each * 4;
    }
    return done;
}

static size_t spread(const vx_level_shape *shape, const int8_t *z, int8_t *to) {
    size_t done = 0, depth = (shape->dim + 3) / 4, at, shift;
    static const size_t widths[] = {8, 4, 2, 1};
    for (size_t w = 0; w < VX_COUNT(widths); w++) {
        size_t width = widths[w], each = 8 / width, bytes = (depth + each - 1) / each * 4;
        if (!((size_t)shape->bits & width)) continue;
        for (size_t j = 0; j < shape->dim; j++) {
            line_place(j, width, &at, &shift);
            to[done + shift / width * bytes + at] = z[j];
        }
        done += bytes * each;
    }
    return done;
}

static void multiply(const vx_level_shape *shape, const unsigned char *levels, const int8_t *z,
                     int32_t *sums) {
    for (size_t i = 0; i < VX_COUNT(which); i++) {
        const unsigned char *row = levels + which[i] * DIM_MOST;
        sums[i] = 0;
        for (size_t j = 0; j < shape->dim; j++)
            sums[i] += (row[j] & ((1 << shape->bits) - 1)) * z[j];
    }
}

static void check_gather(const vx_level_shape *shape, const unsigned char *levels,
                         const int8_t *z) {
    size_t stride = vx_level_lines(shape) * 4, words = vx_level_words(shape);
    unsigned char *rows = vx_alloc_zero(ROWS, stride); /* not a byte more */
    int8_t *query = vx_alloc_zero(words * 4 + 63, 1);
    int32_t sums[VX_COUNT(which)];
    multiply(shape, levels, z, sums);
    for (size_t r = 0; r < ROWS; r++)
        ck_assert_uint_eq(lay(shape, levels + r * DIM_MOST, rows + r * stride), stride);
    ck_assert_uint_eq(spread(shape, z, query), words * 4);
    memset(query + words * 4, 0x55, 63); /* is not to count */
    for (size_t t = 0; vx_kernels_at(t); t++)
        for (size_t count = 0; count <= VX_COUNT(which); count += 1 + count / 3) {
            int32_t products[VX_COUNT(which)];
            vx_level_listed listed = {rows, *shape, which, count};
            vx_kernels_at(t)->level_gather(&listed, query, products);
            ck_assert_msg(!memcmp(products, sums, count * sizeof *sums),
                          "%s: %zu rows of %zu levels of %d bits", vx_kernels_at(t)->name, count,
                          shape->dim, shape->bits);
        }
    vx_free(rows);
    vx_free(query);
}

START_TEST(listed_levels_are_multiplied_exactly) {
    unsigned char *levels = vx_alloc(ROWS, DIM_MOST);
    int8_t z[DIM_MOST];
    for (size_t i = 0; i < (size_t)ROWS * DIM_MOST; i++)
        levels[i] = (unsigned char)(i % 13 ? i * 2654435761u >> 24 : 255);
    for (size_t i = 0; i < DIM_MOST; i++)
        z[i] = (int8_t)(i % 7 ? (int)(i * 40503u % 255) - 127 : i % 2 ? 127 : -127);
    for (int bits = 1; bits <= 8; bits++)
        for (size_t dim = 1; dim <= DIM_MOST; dim += dim < 70 ? 1 : 13) {
            vx_level_shape shape = {dim, bits};
            check_gather(&shape, levels, z);
        }
    vx_free(levels);
}
END_TEST

TEST_MAIN("simd/levels", listed_levels_are_multiplied_exactly)
