/* .npy files: what NumPy wrote, and headers that lie, written by hand. */
#include "core/base.h"
#include "files.h"

enum { ROWS = 5, DIM = 3 };

static void expect_fixture(const char *name, vindex_dtype dtype, char kind, int rows, int dim) {
    float expected[ROWS * DIM];
    for (int k = 0; k < rows * dim; k++) expected[k] = fixture_value(kind, k);
    expect_rows(fixture(name), NULL, rows, dim, expected);
    vindex_embeddings *file;
    vindex_embeddings_info info;
    ck_ok(vindex_embeddings_open(fixture(name), NULL, &file));
    vindex_embeddings_describe(file, &info);
    ck_assert_str_eq(info.format, "npy");
    ck_assert_int_eq(info.dtype, dtype);
    ck_assert(!info.has_ids && !info.has_labels);
    for (int first = 0; first <= rows; first++) /* every range of rows */
        for (int count = 0; count <= rows - first; count++) {
            float found[ROWS * DIM + 1];
            found[count * dim] = 99;
            ck_ok(vindex_embeddings_read(file, first, count, found));
            ck_assert_mem_eq(found, expected + first * dim, sizeof *found * (size_t)(count * dim));
            ck_assert(found[count * dim] == 99);
        }
    vindex_embeddings_close(file);
}

START_TEST(every_dtype_order_and_byte_order) {
    static const struct {
        const char *name;
        vindex_dtype dtype;
    } types[] = {{"f2", VINDEX_F16}, {"f4", VINDEX_F32}, {"f8", VINDEX_F64},
                 {"i1", VINDEX_I8},  {"u1", VINDEX_U8},  {"i2", VINDEX_I16},
                 {"u2", VINDEX_U16}, {"i4", VINDEX_I32}, {"i8", VINDEX_I64}};
    static const char *const kinds[] = {"c", "fortran", "big", "big_fortran"};
    for (size_t i = 0; i < VX_COUNT(types); i++)
        for (size_t k = 0; k < VX_COUNT(kinds); k++) {
            if (k >= 2 && types[i].name[1] == '1') continue; /* one byte has no order */
            char name[64];
            snprintf(name, sizeof name, "%s_%s.npy", types[i].name, kinds[k]);
            expect_fixture(name, types[i].dtype, types[i].name[0], ROWS, DIM);
        }
}
END_TEST

START_TEST(versions_and_shapes) {
    expect_fixture("version2.npy", VINDEX_F32, 'f', ROWS, DIM);
    expect_fixture("version3.npy", VINDEX_F32, 'f', ROWS, DIM);
    expect_fixture("one_row.npy", VINDEX_F32, 'f', 1, DIM);
    expect_fixture("one_dimension.npy", VINDEX_F32, 'f', 1, ROWS * DIM);
    expect_fixture("no_rows.npy", VINDEX_F32, 'f', 0, 7);
    const float column[] = {-1.5f, -0.75f, 0, 0.75f, 1.5f};
    expect_rows(fixture("one_number.npy"), NULL, ROWS, 1, column);
    const float not_finite[] = {NAN, INFINITY, -INFINITY};
    expect_rows(fixture("not_finite.npy"), NULL, 1, 3, not_finite);
}
END_TEST

START_TEST(what_holds_no_embeddings_is_refused_by_name) {
    static const struct {
        const char *name, *text;
        vindex_status status;
    } cases[] = {
        {"scalar", "0 dimensions", VINDEX_ERR_UNSUPPORTED},
        {"three_dimensions", "3 dimensions", VINDEX_ERR_UNSUPPORTED},
        {"no_numbers", "0 numbers per row", VINDEX_ERR_FORMAT},
        {"nothing", "0 numbers per row", VINDEX_ERR_FORMAT},
        {"objects", "Python objects (dtype '|O')", VINDEX_ERR_UNSUPPORTED},
        {"bool", "dtype '|b1'", VINDEX_ERR_UNSUPPORTED},
        {"unsigned4", "dtype '<u4'", VINDEX_ERR_UNSUPPORTED},
        {"complex", "dtype '<c8'", VINDEX_ERR_UNSUPPORTED},
        {"text", "dtype '<U6'", VINDEX_ERR_UNSUPPORTED},
        {"records", "records of several fields", VINDEX_ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.npy", cases[i].name);
        ck_fails(cases[i].status, cases[i].text, try_all(fixture(name), NULL));
        ck_assert(strstr(vindex_last_error(), fixture(name)) == vindex_last_error());
    }
}
END_TEST

/* A version 1 file with that dictionary and so many bytes of zeros behind it. */
static const char *with_header(const char *dictionary, size_t data) {
    unsigned char bytes[1024] = "\x93NUMPY\x01";
    size_t length = strlen(dictionary);
    bytes[8] = (unsigned char)length;
    bytes[9] = (unsigned char)(length >> 8);
    memcpy(bytes + 10, dictionary, length);
    scratch_write("a.npy", bytes, 10 + length + data);
    return scratch_path("a.npy");
}

START_TEST(the_dictionary_may_be_written_otherwise) {
    scratch_make();
    static const char *const good[] = {
        "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
        "{\"shape\": (2L, 3L,), \"fortran_order\": True, \"descr\": \"<f4\"}\n",
        "  { 'shape' : ( 2 , 3 ) , 'descr' : '|f4' , 'fortran_order' : False , }   \n",
    };
    const float zeros[6] = {0};
    for (size_t i = 0; i < VX_COUNT(good); i++)
        expect_rows(with_header(good[i], 24), NULL, 2, 3, zeros);
    scratch_remove();
}
END_TEST

START_TEST(headers_that_lie_are_refused) {
    scratch_make();
    static const struct {
        const char *dictionary, *text;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3)}",
         "shape (5, 3) of f32 needs 60 bytes of data but the file has 12"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}", "needs 8 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808, 3)}",
         "more than any file"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775807, 1)}",
         "needs 9223372036854775807 bytes"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775808, 1)}",
         "more than any file"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952, 1)}",
         "more than any file"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (4294967296, 1073741824)}",
         "more than any file"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775808)}",
         "numbers per row"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616, 1)}",
         "not the dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}", "not the dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 3)}", "not the dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 3}", "not the dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "not the dictionary"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 3)}", "not the dictionary"},
        {"{'descr': '<f4', 'shape': (1, 3)}", "not the dictionary"},
        {"{'descr': '<f4', 'fortran_order': False}", "not the dictionary"},
        {"{'fortran_order': False, 'shape': (1, 3)}", "not the dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3)} x", "not the dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), 'x': 1}", "not the dictionary"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (1, 3)}", "not the dictionary"},
        {"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (1, 3)}", "not the dictionary"},
        {"{'descr': '<f4", "not the dictionary"},
        {"{", "not the dictionary"},
        {"", "not the dictionary"},
        {"os.system('true')", "not the dictionary"},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++)
        ck_fails(VINDEX_ERR_FORMAT, cases[i].text,
                 try_all(with_header(cases[i].dictionary, 12), NULL));
    static const char *const types[] = {
        "",     "f4", "=f4",     "<f3",
        "<f44", "<",  "<M8[ns]", "<f4, and a name much longer than any dtype has"};
    for (size_t i = 0; i < VX_COUNT(types); i++) {
        char dictionary[200];
        snprintf(dictionary, sizeof dictionary,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (1, 3)}", types[i]);
        ck_fails(VINDEX_ERR_UNSUPPORTED, "dtype", try_all(with_header(dictionary, 12), NULL));
    }
    scratch_remove();
}
END_TEST

START_TEST(other_magic_and_versions_are_refused) {
    scratch_make();
    scratch_write("a.npy", "\x93NUMPZ\x01\x00\x00\x00", 10);
    ck_fails(VINDEX_ERR_FORMAT, "does not begin", try_all(scratch_path("a.npy"), NULL));
    scratch_write("a.npy", "\x93NUMPY\x04\x00\x00\x00\x00\x00", 12);
    ck_fails(VINDEX_ERR_VERSION, "version 4.0", try_all(scratch_path("a.npy"), NULL));
    scratch_write("a.npy", "\x93NUMPY\x01\x01\x00\x00", 10);
    ck_fails(VINDEX_ERR_VERSION, "version 1.1", try_all(scratch_path("a.npy"), NULL));
    scratch_write("a.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff", 12);
    ck_fails(VINDEX_ERR_FORMAT, "header needs 4294967307 bytes",
             try_all(scratch_path("a.npy"), NULL));
    scratch_remove();
}
END_TEST

/* More rows than the block that columns are read in, and a width that is no multiple of it. */
START_TEST(a_larger_fortran_array) {
    enum { N = 200, WIDTH = 131 };
    static unsigned char data[N * WIDTH * 2];
    static float expected[N * WIDTH];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < WIDTH; j++) {
            int value = i * WIDTH + j - 13000;
            size_t place = 2 * ((size_t)j * N + (size_t)i);
            data[place] = (unsigned char)value;
            data[place + 1] = (unsigned char)(value >> 8);
            expected[i * WIDTH + j] = (float)value;
        }
    scratch_make();
    const char *path =
        with_header("{'descr': '<i2', 'fortran_order': True, 'shape': (200, 131)}", 0);
    FILE *file = fopen(path, "ab");
    ck_assert_uint_eq(fwrite(data, 1, sizeof data, file), sizeof data);
    fclose(file);
    expect_rows(path, NULL, N, WIDTH, expected);
    scratch_remove();
}
END_TEST

TEST_MAIN("io/npy", every_dtype_order_and_byte_order, versions_and_shapes,
          what_holds_no_embeddings_is_refused_by_name, the_dictionary_may_be_written_otherwise,
          headers_that_lie_are_refused, other_magic_and_versions_are_refused,
          a_larger_fortran_array)
