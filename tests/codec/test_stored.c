/* The codec that keeps the numbers themselves, where rows are looked up one by one. (Searching runs
 * of them is what tests/ivf looks at.) */
#include "cases.h"

START_TEST(rows_are_looked_up) {
    static const char *const specs[] = {"Flat", "Flat,f16", "Flat,bf16"};
    static const size_t dims[] = {1, 15, 64, 133, 700};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int kind = 0; kind < VECTORS_KINDS; kind += test_stride()) {
            int type = (metric + kind) % VX_STORED_TYPES;
            vectors rows = {.kind = (vectors_kind)kind,
                            .dtype = (vindex_dtype)type,
                            .dim = dims[kind % 5],
                            .count = 33,
                            .seed = 3};
            codec_case c = codec_case_make(specs[type], &rows, (vindex_metric)metric, NULL);
            ck_assert_mem_eq(c.decoded, c.rows, rows.count * rows.dim * sizeof(float));
            codec_case_gather(&c, 1e-6 * (double)(rows.dim + 20), vectors_name(rows.kind));
            codec_case_free(&c);
        }
}
END_TEST

TEST_MAIN_PER_LEVEL("codec/stored", rows_are_looked_up)
