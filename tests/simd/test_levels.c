/* Levels that are looked up: on every instruction set what a plain loop gives, bit for bit. */
#include "simd/kernels.h"

#include "../harness.h"

START_TEST(listed_levels_are_multiplied_exactly) {
    enum { ROWS = 37, DIM_MOST = 260 };
    static const uint32_t which[] = {3, 36, 0,  0,  17, 5, 9, 11, 30, 2,
                                     8, 1,  35, 33, 4,  6, 7, 10, 12};
    unsigned char *rows = vx_alloc(ROWS, DIM_MOST);
    int8_t z[DIM_MOST];
    for (size_t i = 0; i < (size_t)ROWS * DIM_MOST; i++)
        rows[i] = (unsigned char)(i % 13 ? i * 2654435761u >> 24 : 255);
    for (size_t i = 0; i < DIM_MOST; i++)
        z[i] = (int8_t)(i % 7 ? (int)(i * 40503u % 255) - 127 : i % 2 ? 127 : -127);
    for (size_t t = 0; vx_kernels_at(t); t++)
        for (size_t dim = 4; dim <= DIM_MOST; dim += 4)
            for (size_t count = 0; count <= VX_COUNT(which); count += 1 + count / 3) {
                int32_t products[VX_COUNT(which)];
                vx_level_listed listed = {rows, dim, which, count};
                vx_kernels_at(t)->level_gather(&listed, z, products);
                for (size_t i = 0; i < count; i++) {
                    const unsigned char *row = rows + which[i] * listed.stride;
                    int32_t sum = 0;
                    for (size_t j = 0; j < dim; j++) sum += row[j] * z[j];
                    ck_each(products[i] == sum, "%s, %zu levels: row %zu has %d for %d",
                            vx_kernels_at(t)->name, dim, i, (int)products[i], (int)sum);
                }
            }
    vx_free(rows);
}
END_TEST

TEST_MAIN("simd/levels", listed_levels_are_multiplied_exactly)
