/* .fbin .u8bin .i8bin .ibin, byte by byte. */
#include "core/base.h"
#include "files.h"

START_TEST(rows_written_by_hand_are_read) {
    scratch_make();
    static const unsigned char f[] = {1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xff};
    const float f_values[] = {1, -INFINITY};
    scratch_write("a.fbin", f, sizeof f);
    expect_rows(scratch_path("a.fbin"), NULL, 1, 2, f_values);

    static const unsigned char bytes[] = {3, 0, 0, 0, 2, 0, 0, 0, 0, 1, 127, 128, 254, 255};
    const float u_values[] = {0, 1, 127, 128, 254, 255}, i_values[] = {0, 1, 127, -128, -2, -1};
    scratch_write("a.u8bin", bytes, sizeof bytes);
    expect_rows(scratch_path("a.u8bin"), NULL, 3, 2, u_values);
    scratch_write("a.i8bin", bytes, sizeof bytes);
    expect_rows(scratch_path("a.i8bin"), NULL, 3, 2, i_values);

    static const unsigned char i[] = {2, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x80};
    const float i32_values[] = {7, -2147483648.0f};
    scratch_write("a.ibin", i, sizeof i);
    expect_rows(scratch_path("a.ibin"), NULL, 2, 1, i32_values);

    scratch_write("a.ibin", "\0\0\0\0\x05\0\0\0", 8);
    expect_rows(scratch_path("a.ibin"), NULL, 0, 5, NULL);
    scratch_remove();
}
END_TEST

START_TEST(headers_that_lie_are_refused) {
    scratch_make();
    static const struct {
        unsigned char bytes[12];
        size_t length;
        const char *text;
    } cases[] = {
        {{0}, 0, "begins with 8 bytes of header but this one has 0"},
        {{1, 0, 0, 0, 1, 0, 0}, 7, "has 7"},
        {{1, 0, 0, 0, 0, 0, 0, 0}, 8, "0 numbers per row"},
        {{1, 0, 0, 0, 0, 0, 0, 0x80}, 8, "2147483648 numbers per row"},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 8, "more than any file holds"},
        {{0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0}, 8, "needs 8589934588 bytes"},
        {{1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 11, "needs 4 bytes of data but the file has 3"},
        {{0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, 12, "needs 0 bytes of data but the file has 4"},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        scratch_write("a.fbin", cases[i].bytes, cases[i].length);
        ck_fails(VINDEX_ERR_FORMAT, cases[i].text, try_all(scratch_path("a.fbin"), NULL));
    }
    scratch_remove();
}
END_TEST

TEST_MAIN("io/bin", rows_written_by_hand_are_read, headers_that_lie_are_refused)
