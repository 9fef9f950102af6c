/* Written files: their bytes, what reads back, what a dtype cannot hold, and failures that must
 * leave nothing behind. */
#include "core/base.h"
#include "core/file.h"
#include "core/rng.h"
#include "files.h"

static vindex_status write_rows(const char *path, vindex_dtype dtype, int64_t rows, int64_t dim,
                                const float *values) {
    vindex_embeddings_writer *writer;
    VX_TRY(vindex_embeddings_create(path, rows, dim, dtype, &writer));
    vindex_status status = vindex_embeddings_append(writer, values, rows);
    if (status == VINDEX_OK) return vindex_embeddings_finish(writer);
    vindex_embeddings_abort(writer);
    return status;
}

START_TEST(bytes_are_as_the_formats_say) {
    scratch_make();
    const float values[] = {1, 2, 3, 250};
    static const struct {
        const char *name;
        vindex_dtype dtype;
        const char *bytes;
        size_t length;
    } cases[] = {
        {"a.fvecs", VINDEX_F32, "\2\0\0\0\0\0\x80\x3f\0\0\0\x40\2\0\0\0\0\0\x40\x40\0\0\x7a\x43",
         24},
        {"a.bvecs", VINDEX_U8, "\2\0\0\0\1\2\2\0\0\0\3\xfa", 12},
        {"a.ivecs", VINDEX_I32, "\2\0\0\0\1\0\0\0\2\0\0\0\2\0\0\0\3\0\0\0\xfa\0\0\0", 24},
        {"a.fbin", VINDEX_F32, "\2\0\0\0\2\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x7a\x43",
         24},
        {"a.u8bin", VINDEX_U8, "\2\0\0\0\2\0\0\0\1\2\3\xfa", 12},
        {"a.ibin", VINDEX_I32, "\2\0\0\0\2\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\xfa\0\0\0", 24},
        {"a.csv", VINDEX_F32, "x0,x1\n1,2\n3,250\n", 16},
        {"a.TSV", VINDEX_U8, "x0\tx1\n1\t2\n3\t250\n", 16},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        ck_ok(write_rows(scratch_path(cases[i].name), cases[i].dtype, 2, 2, values));
        ck_assert_msg(scratch_holds(cases[i].name, cases[i].bytes, cases[i].length), "%s",
                      cases[i].name);
    }
    const float small[] = {-1, 100};
    ck_ok(write_rows(scratch_path("a.i8bin"), VINDEX_I8, 1, 2, small));
    ck_assert(scratch_holds("a.i8bin", "\1\0\0\0\2\0\0\0\xff\x64", 10));
    scratch_remove();
}
END_TEST

START_TEST(npy_headers_are_numpy_s) {
    scratch_make();
    const float values[] = {1, 2, 3};
    static const struct {
        vindex_dtype dtype;
        const char *descr;
        size_t data;
    } cases[] = {{VINDEX_F32, "<f4", 12}, {VINDEX_F16, "<f2", 6},  {VINDEX_F64, "<f8", 24},
                 {VINDEX_I8, "|i1", 3},   {VINDEX_U8, "|u1", 3},   {VINDEX_I16, "<i2", 6},
                 {VINDEX_U16, "<u2", 6},  {VINDEX_I32, "<i4", 12}, {VINDEX_I64, "<i8", 24}};
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        ck_ok(write_rows(scratch_path("a.npy"), cases[i].dtype, 3, 1, values));
        size_t length;
        unsigned char *bytes = scratch_read("a.npy", &length);
        char expected[128];
        snprintf(expected, sizeof expected,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (3, 1), }", cases[i].descr);
        ck_assert_uint_eq(length, 128 + cases[i].data);
        ck_assert_mem_eq(bytes, "\x93NUMPY\x01\0\x76\0", 10);
        ck_assert_mem_eq(bytes + 10, expected, strlen(expected));
        ck_assert_int_eq(bytes[127], '\n');
        free(bytes);
        expect_rows(scratch_path("a.npy"), NULL, 3, 1, values);
    }
    scratch_remove();
}
END_TEST

/* Any bits a float can have come back from text, and through f16 what f16 makes of them. */
START_TEST(text_brings_back_the_same_floats) {
    enum { ROWS = 300, DIM = 17 };
    static float values[ROWS * DIM];
    vx_rng rng = vx_rng_seed(5, 0);
    for (size_t i = 0; i < ROWS * DIM; i++) {
        uint32_t bits = (uint32_t)vx_rng_next(&rng);
        memcpy(&values[i], &bits, sizeof bits);
    }
    values[0] = 0x1p-149f, values[1] = -0.0f, values[2] = INFINITY, values[3] = NAN;
    scratch_make();
    static const char *const names[] = {"a.csv", "a.tsv", "a.npy", "a.fvecs", "a.fbin"};
    for (size_t i = 0; i < VX_COUNT(names); i++) {
        ck_ok(write_rows(scratch_path(names[i]), VINDEX_F32, ROWS, DIM, values));
        expect_rows(scratch_path(names[i]), NULL, ROWS, DIM, values);
    }
    const float thirds[] = {1.0f / 3, 65504, 0x1p-24f}, halves[] = {0x1.554p-2f, 65504, 0x1p-24f};
    ck_ok(write_rows(scratch_path("h.csv"), VINDEX_F16, 1, 3, thirds));
    expect_rows(scratch_path("h.csv"), NULL, 1, 3, halves);
    ck_ok(write_rows(scratch_path("h.npy"), VINDEX_F16, 1, 3, thirds));
    expect_rows(scratch_path("h.npy"), NULL, 1, 3, halves);
    scratch_remove();
}
END_TEST

START_TEST(values_a_dtype_cannot_hold) {
    scratch_make();
    const float values[] = {1, 2, 3, 300}, fraction[] = {0.5f, 0, 0, 0}, large[] = {0, 70000, 0, 0};
    ck_fails(VINDEX_ERR_DATA, "row 1, number 1 is 300, which u8 cannot hold",
             write_rows(scratch_path("a.bvecs"), VINDEX_U8, 2, 2, values));
    ck_fails(VINDEX_ERR_DATA, "row 0, number 0 is 0.5, which i32 cannot hold",
             write_rows(scratch_path("a.ivecs"), VINDEX_I32, 2, 2, fraction));
    ck_fails(VINDEX_ERR_DATA, "row 0, number 1 is 70000, which f16 cannot hold",
             write_rows(scratch_path("a.npy"), VINDEX_F16, 2, 2, large));
    ck_fails(VINDEX_ERR_DATA, "row 0, number 1 is 70000, which f16 cannot hold",
             write_rows(scratch_path("a.csv"), VINDEX_F16, 2, 2, large));
    ck_assert_int_eq(scratch_entries(0), 0);
    scratch_remove();
}
END_TEST

START_TEST(formats_and_dtypes) {
    scratch_make();
    vindex_embeddings_writer *writer;
    static const struct {
        const char *name;
        vindex_dtype wanted, dtype;
    } cases[] = {
        {"a.npy", VINDEX_F16, VINDEX_F16},   {"a.npy", VINDEX_BF16, VINDEX_F32},
        {"a.fvecs", VINDEX_F64, VINDEX_F32}, {"a.bvecs", VINDEX_F32, VINDEX_U8},
        {"a.ivecs", VINDEX_U8, VINDEX_I32},  {"a.i8bin", VINDEX_I64, VINDEX_I8},
        {"a.csv", VINDEX_BF16, VINDEX_BF16}, {"a.tsv", VINDEX_I64, VINDEX_I64},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        vindex_dtype dtype;
        ck_ok(vindex_embeddings_dtype(cases[i].name, cases[i].wanted, &dtype));
        ck_assert_int_eq(dtype, cases[i].dtype);
        ck_ok(vindex_embeddings_create(scratch_path(cases[i].name), 1, 1, dtype, &writer));
        vindex_embeddings_abort(writer);
        if (dtype == cases[i].wanted) continue;
        ck_fails(
            VINDEX_ERR_UNSUPPORTED, "it cannot hold that; choose",
            vindex_embeddings_create(scratch_path(cases[i].name), 1, 1, cases[i].wanted, &writer));
    }
    vindex_dtype dtype;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "is none of",
             vindex_embeddings_dtype("a.xyz", VINDEX_F32, &dtype));
    ck_fails(VINDEX_ERR_ARGUMENT, "dtype",
             vindex_embeddings_dtype("a.npy", (vindex_dtype)99, &dtype));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "is none of",
             vindex_embeddings_create("a.xyz", 1, 1, VINDEX_F32, &writer));
    ck_assert_int_eq(scratch_entries(0), 0);
    scratch_remove();
}
END_TEST

START_TEST(sizes_and_arguments) {
    scratch_make();
    vindex_embeddings_writer *writer;
    const char *path = scratch_path("a.npy");
    const int64_t bad[][2] = {{-1, 2}, {1, 0}, {1, -1}, {1, INT64_C(1) << 31}, {INT64_MIN, 1}};
    for (size_t i = 0; i < VX_COUNT(bad); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "give 0 or more rows",
                 vindex_embeddings_create(path, bad[i][0], bad[i][1], VINDEX_F32, &writer));
    ck_fails(VINDEX_ERR_ARGUMENT, "dtype 77",
             vindex_embeddings_create(path, 1, 1, (vindex_dtype)77, &writer));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL",
             vindex_embeddings_create(NULL, 1, 1, VINDEX_F32, &writer));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_embeddings_create(path, 1, 1, VINDEX_F32, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_embeddings_append(NULL, NULL, 0));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_embeddings_finish(NULL));
    vindex_embeddings_abort(NULL);
    ck_fails(VINDEX_ERR_UNSUPPORTED, "0 rows",
             vindex_embeddings_create(scratch_path("a.fvecs"), 0, 3, VINDEX_F32, &writer));
    ck_fails(
        VINDEX_ERR_UNSUPPORTED, "counts to 4294967295",
        vindex_embeddings_create(scratch_path("a.fbin"), INT64_C(1) << 32, 3, VINDEX_F32, &writer));
    ck_fails(VINDEX_ERR_NOT_FOUND, "no/such",
             vindex_embeddings_create(scratch_path("no/such.npy"), 1, 3, VINDEX_F32, &writer));
    ck_assert_int_eq(scratch_entries(0), 0);
    static const char *const empty[] = {"a.npy", "a.fbin", "a.csv"};
    for (size_t i = 0; i < VX_COUNT(empty); i++) {
        ck_ok(write_rows(scratch_path(empty[i]), VINDEX_F32, 0, 3, NULL));
        expect_rows(scratch_path(empty[i]), NULL, 0, 3, NULL);
    }
    scratch_remove();
}
END_TEST

START_TEST(rows_are_counted) {
    scratch_make();
    const float values[] = {1, 2, 3};
    vindex_embeddings_writer *writer;
    const char *path = scratch_path("a.npy");
    ck_ok(vindex_embeddings_create(path, 3, 1, VINDEX_F32, &writer));
    ck_ok(vindex_embeddings_append(writer, values, 2));
    ck_ok(vindex_embeddings_append(writer, NULL, 0));
    ck_fails(VINDEX_ERR_STATE, "3 rows were announced and 2 appended",
             vindex_embeddings_finish(writer));
    ck_ok(vindex_embeddings_create(path, 2, 1, VINDEX_F32, &writer));
    ck_fails(VINDEX_ERR_STATE, "2 were announced", vindex_embeddings_append(writer, values, 3));
    ck_fails(VINDEX_ERR_STATE, "failed before", vindex_embeddings_append(writer, values, 1));
    ck_fails(VINDEX_ERR_STATE, "failed before", vindex_embeddings_finish(writer));
    ck_assert_int_eq(scratch_entries(0), 0);
    ck_ok(vindex_embeddings_create(path, 3, 1, VINDEX_F32, &writer));
    for (int i = 0; i < 3; i++) ck_ok(vindex_embeddings_append(writer, values + i, 1));
    ck_ok(vindex_embeddings_finish(writer));
    expect_rows(path, NULL, 3, 1, values);
    ck_assert_int_eq(scratch_entries(0), 1);
    scratch_remove();
}
END_TEST

/* Every format, with the disk full after any number of bytes: an older file stays. */
START_TEST(a_full_disk_leaves_the_older_file) {
    enum { ROWS = 1000, DIM = 400 };
    static float values[ROWS * DIM];
    for (size_t i = 0; i < ROWS * DIM; i++) values[i] = (float)(i % 100);
    scratch_make();
    static const struct {
        const char *name;
        vindex_dtype dtype;
    } cases[] = {{"a.npy", VINDEX_F32},
                 {"a.fvecs", VINDEX_F32},
                 {"a.fbin", VINDEX_F32},
                 {"a.csv", VINDEX_F32}};
    const int64_t limits[] = {0, 1, 1000, 1 << 20, (1 << 20) + 50000};
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        scratch_write(cases[i].name, "old", 3);
        for (size_t k = 0; k < VX_COUNT(limits); k++) {
            vx_write_fail_after(limits[k]);
            vindex_status status =
                write_rows(scratch_path(cases[i].name), cases[i].dtype, ROWS, DIM, values);
            vx_write_fail_after(-1);
            ck_assert_int_eq(status, VINDEX_ERR_IO);
            ck_assert(scratch_holds(cases[i].name, "old", 3));
            ck_assert_int_eq(scratch_entries(0), 1);
        }
        ck_ok(write_rows(scratch_path(cases[i].name), cases[i].dtype, ROWS, DIM, values));
        expect_rows(scratch_path(cases[i].name), NULL, ROWS, DIM, values);
        scratch_entries(1);
    }
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    scratch_make();
    const float values[] = {1, 2};
    static const char *const names[] = {"a.npy", "a.fvecs", "a.fbin", "a.csv"};
    for (size_t i = 0; i < VX_COUNT(names); i++) {
        vindex_status status = VINDEX_ERR_MEMORY;
        for (long after = 0; status != VINDEX_OK; after++) {
            ck_assert_int_eq(scratch_entries(0), 0);
            vx_alloc_fail_after(after);
            status = write_rows(scratch_path(names[i]), VINDEX_F32, 1, 2, values);
            vx_alloc_fail_after(-1);
            ck_assert_msg(status == VINDEX_OK || status == VINDEX_ERR_MEMORY ||
                              (status == VINDEX_ERR_IO &&
                               strstr(vindex_last_error(), "Cannot allocate memory")),
                          "%s: %s", names[i], vindex_last_error());
        }
        expect_rows(scratch_path(names[i]), NULL, 1, 2, values);
        scratch_entries(1);
    }
    scratch_remove();
}
END_TEST

TEST_MAIN("io/writer", bytes_are_as_the_formats_say, npy_headers_are_numpy_s,
          text_brings_back_the_same_floats, values_a_dtype_cannot_hold, formats_and_dtypes,
          sizes_and_arguments, rows_are_counted, a_full_disk_leaves_the_older_file,
          memory_may_run_out_anywhere)
