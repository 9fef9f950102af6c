/* The names of metrics and number types. */
#include "core/base.h"

#include "../harness.h"

START_TEST(metrics_have_names) {
    static const char *const names[] = {"l2", "ip", "cosine", "pearson"};
    for (int i = 0; i < 4; i++) {
        vindex_metric metric = (vindex_metric)77;
        ck_assert_str_eq(vindex_metric_name((vindex_metric)i), names[i]);
        ck_assert(vindex_metric_parse(names[i], &metric));
        ck_assert_int_eq(metric, i);
    }
    vindex_metric metric = VINDEX_COSINE;
    ck_assert(!vindex_metric_parse("euclid", &metric));
    ck_assert(!vindex_metric_parse("", &metric));
    ck_assert(!vindex_metric_parse("L2", &metric));
    ck_assert_int_eq(metric, VINDEX_COSINE);
    ck_assert_ptr_null(vindex_metric_name((vindex_metric)4));
    ck_assert_ptr_null(vindex_metric_name((vindex_metric)-1));
}
END_TEST

START_TEST(types_have_names_and_sizes) {
    static const struct {
        vindex_dtype dtype;
        const char *name;
        size_t size;
    } types[] = {{VINDEX_F32, "f32", 4}, {VINDEX_F16, "f16", 2}, {VINDEX_BF16, "bf16", 2},
                 {VINDEX_F64, "f64", 8}, {VINDEX_I8, "i8", 1},   {VINDEX_U8, "u8", 1},
                 {VINDEX_I16, "i16", 2}, {VINDEX_U16, "u16", 2}, {VINDEX_I32, "i32", 4},
                 {VINDEX_I64, "i64", 8}};
    for (size_t i = 0; i < VX_COUNT(types); i++) {
        ck_assert_str_eq(vindex_dtype_name(types[i].dtype), types[i].name);
        ck_assert_uint_eq(vindex_dtype_size(types[i].dtype), types[i].size);
    }
    ck_assert_ptr_null(vindex_dtype_name((vindex_dtype)10));
    ck_assert_ptr_null(vindex_dtype_name((vindex_dtype)-1));
    ck_assert_uint_eq(vindex_dtype_size((vindex_dtype)10), 0);
}
END_TEST

TEST_MAIN("core/names", metrics_have_names, types_have_names_and_sizes)
