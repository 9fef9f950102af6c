/* .fvecs .bvecs .ivecs, byte by byte. */
#include "core/base.h"
#include "files.h"

START_TEST(rows_written_by_hand_are_read) {
    scratch_make();
    static const unsigned char f[] = {2, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0,    0xc0,
                                      2, 0, 0, 0, 0, 0, 0,    0,    0, 0, 0xc0, 0x7f};
    const float f_values[] = {1, -2, 0, NAN};
    scratch_write("a.fvecs", f, sizeof f);
    expect_rows(scratch_path("a.fvecs"), NULL, 2, 2, f_values);

    static const unsigned char b[] = {3, 0, 0, 0, 0, 128, 255, 3, 0, 0, 0, 1, 2, 3};
    const float b_values[] = {0, 128, 255, 1, 2, 3};
    scratch_write("a.BVECS", b, sizeof b);
    expect_rows(scratch_path("a.BVECS"), NULL, 2, 3, b_values);

    static const unsigned char i[] = {1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff};
    const float i_values[] = {-2};
    scratch_write("a.ivecs", i, sizeof i);
    expect_rows(scratch_path("a.ivecs"), NULL, 1, 1, i_values);
    scratch_remove();
}
END_TEST

START_TEST(a_row_of_another_dimension_is_named_when_it_is_read) {
    scratch_make();
    unsigned char b[5 * 6];
    for (unsigned row = 0; row < 5; row++)
        memcpy(b + 6 * row, (unsigned char[]){2, 0, 0, 0, (unsigned char)row, 9}, 6);
    b[3 * 6] = 1;
    scratch_write("a.bvecs", b, sizeof b);
    vindex_embeddings *file;
    ck_ok(vindex_embeddings_open(scratch_path("a.bvecs"), NULL, &file));
    float rows[10];
    ck_ok(vindex_embeddings_read(file, 0, 3, rows));
    ck_ok(vindex_embeddings_read(file, 4, 1, rows));
    ck_assert(rows[0] == 4 && rows[1] == 9);
    ck_fails(VINDEX_ERR_FORMAT, "row 3 says dimension 1, the first row 2",
             vindex_embeddings_read(file, 2, 3, rows));
    vindex_embeddings_close(file);
    scratch_remove();
}
END_TEST

START_TEST(files_that_are_no_rows_are_refused) {
    scratch_make();
    static const struct {
        unsigned char bytes[12];
        size_t length;
        const char *text;
    } cases[] = {
        {{0}, 0, "it has 0 bytes"},
        {{1, 0, 0}, 3, "it has 3 bytes"},
        {{0, 0, 0, 0}, 4, "dimension 0"},
        {{0xff, 0xff, 0xff, 0xff}, 4, "dimension -1"},
        {{0, 0, 0, 0x80}, 4, "dimension -2147483648"},
        {{0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0}, 8, "does not divide the file's 8"},
        {{2, 0, 0, 0}, 4, "does not divide"},
        {{2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7}, 11, "does not divide"},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        scratch_write("a.fvecs", cases[i].bytes, cases[i].length);
        ck_fails(VINDEX_ERR_FORMAT, cases[i].text, try_all(scratch_path("a.fvecs"), NULL));
    }
    scratch_remove();
}
END_TEST

TEST_MAIN("io/vecs", rows_written_by_hand_are_read,
          a_row_of_another_dimension_is_named_when_it_is_read, files_that_are_no_rows_are_refused)
