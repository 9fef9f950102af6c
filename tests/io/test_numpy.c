/* NumPy's arrays and numbers in .pt files: what torch 1.13 and NumPy wrote by each protocol, and
 * pickles that describe what there cannot be. */
#include "containers.h"

static const char *const writings[] = {
    "zip", "legacy", "protocol4_zip", "protocol4_legacy", "protocol5_zip", "protocol5_legacy",
};

static const char *numpy_file(const char *name, size_t writing) {
    static char file[128];
    snprintf(file, sizeof file, "%s_%s.pt", name, writings[writing]);
    return fixture(file);
}

#define EACH_WRITING(w) for (size_t w = 0; (w) < VX_COUNT(writings); (w)++)

START_TEST(arrays_are_rows_and_labels) {
    EACH_WRITING(w) {
        const char *path = numpy_file("numpy", w);
        expect_rows(path, NULL, 5, 3, fixture_floats(0));
        expect_names(path, NULL, "0 1 2 3 4", "a a b\xc3\xa9 b\xc3\xa9 c");
        expect_members(path, "data:e:5:3 labels:l:5:0 ids:l:5:0");
    }
}
END_TEST

START_TEST(every_kind_of_array) {
    float bytes[15], losses[] = {0.1f, 2};
    for (int k = 0; k < 15; k++) bytes[k] = fixture_value('u', k);
    EACH_WRITING(w) {
        const char *path = numpy_file("numpy_kinds", w);
        static const char *const same[] = {"big", "half", "rows", "segments", "strided"};
        for (size_t i = 0; i < VX_COUNT(same); i++)
            expect_rows(path, by_key(same[i]), 5, 3, fixture_floats(0));
        expect_rows(path, by_key("bytes"), 5, 3, bytes);
        expect_rows(path, by_key("none"), 0, 3, bytes);
        expect_rows(path, by_key("losses"), 1, 2, losses);
        expect_names(path, by_key("segments"), "0 0 1 2 2", "");
        expect_labels(path, labels_of("classes", NULL, NULL), "=7 =-7 =1099511627776");
        expect_labels(path, labels_of("names", NULL, NULL), "=a =a =b\xc3\xa9 =b\xc3\xa9 =c");
        expect_labels(path, labels_of("objects", NULL, NULL), "=x =y");
        static const struct {
            const char *key, *text;
        } others[] = {{"flags", "|b1 array"},  {"records", "records array"},
                      {"mixed", "|O8 array"},  {"raw", "bytes"},
                      {"type", "type"},        {"loss", "number"},
                      {"single", "f64 array"}, {"done", "|b1 array"},
                      {"day", "<M8 array"}};
        for (size_t i = 0; i < VX_COUNT(others); i++) {
            vindex_embeddings *file;
            ck_fails(VINDEX_ERR_UNSUPPORTED, others[i].text,
                     vindex_embeddings_open(path, by_key(others[i].key), &file));
            ck_assert(strstr(vindex_last_error(), "not rows of numbers") != NULL);
        }
    }
}
END_TEST

#define NO_STORAGES "\x80\2]."
#define DTYPE(name, order)                                             \
    "cnumpy\ndtype\nX\2\0\0\0" name "\x89\x88\x87R(K\3X\1\0\0\0" order \
    "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
#define EMPTY                                                        \
    "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" \
    "C\1b"                                                           \
    "\x87R"
#define ARRAY(shape, dtype, data) "\x80\3" EMPTY "(K\1" shape dtype "\x89" data "tb."
#define FLOATS \
    "C\10"     \
    "\0\0\x80?\0\0\0@"
#define LATIN1(length, text, codec) "c_codecs\nencode\nX" length "\0\0\0" text codec "\x86R"
#define CODEC "X\6\0\0\0latin1"

START_TEST(hand_made_arrays) {
    scratch_make();
    const float two[] = {1, 2}, swapped[] = {2, 1};
    expect_rows(LEGACY(ARRAY("K\2\x85", DTYPE("f4", "<"), FLOATS), NO_STORAGES), NULL, 1, 2, two);
    expect_rows(LEGACY(ARRAY("K\2K\1\x86", DTYPE("f4", "="), FLOATS), NO_STORAGES), NULL, 2, 1,
                two);
    /* 00 00 80 3f 00 00 00 40, whose 0x80 takes two bytes of the text */
    expect_rows(
        LEGACY(ARRAY("K\2\x85", DTYPE("f4", "<"), LATIN1("\x9", "\0\0\xc2\x80?\0\0\0@", CODEC)),
               NO_STORAGES),
        NULL, 1, 2, two);
    expect_rows(LEGACY("\x80\5"
                       "cnumpy._core.numeric\n_frombuffer\n(\x96\x8\0\0\0\0\0\0\0"
                       "@\0\0\0?\x80\0\0" DTYPE("f4", ">") "K\2\x85X\1\0\0\0CtR.",
                       NO_STORAGES),
                NULL, 1, 2, swapped);
    scratch_remove();
}
END_TEST

START_TEST(what_numpy_does_not_write_is_refused) {
    scratch_make();
    static const struct {
        const char *text, *value;
        size_t length;
        vindex_status status;
    } cases[] = {
#define BAD(status, text, value) {text, value, sizeof(value) - 1, status}
        BAD(VINDEX_ERR_FORMAT, "an array of NumPy otherwise", /* 8 bytes for 3 floats, for 1 */
            ARRAY("K\3\x85", DTYPE("f4", "<"), FLOATS)),
        BAD(VINDEX_ERR_FORMAT, "an array of NumPy otherwise",
            ARRAY("K\1\x85", DTYPE("f4", "<"), FLOATS)),
        BAD(VINDEX_ERR_FORMAT, "an array of NumPy otherwise",
            ARRAY("J\xff\xff\xff\xff\x85", DTYPE("f4", "<"), FLOATS)),
        BAD(VINDEX_ERR_FORMAT, "an array of NumPy otherwise",
            ARRAY("K\2\x85", DTYPE("f4", "<"), "]")),
        BAD(VINDEX_ERR_FORMAT, "an array of NumPy otherwise", ARRAY("K\2\x85", "N", FLOATS)),
        BAD(VINDEX_ERR_FORMAT, "an array of NumPy otherwise", ARRAY("N", DTYPE("f4", "<"), FLOATS)),
        BAD(VINDEX_ERR_FORMAT, "more numbers than any file holds",
            ARRAY("\x8a\x7\0\0\0\0\0\0\1\x8a\x7\0\0\0\0\0\0\1\x86", DTYPE("f4", "<"), FLOATS)),
        BAD(VINDEX_ERR_FORMAT, "an array of NumPy otherwise", "\x80\3" EMPTY "]b."),
        BAD(VINDEX_ERR_UNSUPPORTED, "'x' (array)", "\x80\3}X\1\0\0\0x" EMPTY "s."),
        BAD(VINDEX_ERR_FORMAT, "a dtype of NumPy otherwise",
            ARRAY("K\2\x85", DTYPE("f4", "!"), FLOATS)),
        BAD(VINDEX_ERR_FORMAT, "a dtype of NumPy otherwise",
            "\x80\3"
            "cnumpy\ndtype\n)R."),
        BAD(VINDEX_ERR_FORMAT, "a dtype of NumPy otherwise",
            "\x80\3"
            "cnumpy\ndtype\nX\2\0\0\0f4\x85RNb."),
        BAD(VINDEX_ERR_FORMAT, "a number of NumPy otherwise",
            "\x80\3"
            "cnumpy.core.multiarray\nscalar\nN\x85R."),
        BAD(VINDEX_ERR_FORMAT, "an array of NumPy otherwise",
            "\x80\3"
            "cnumpy.core.multiarray\nscalar\nNN\x86R."),
        BAD(VINDEX_ERR_FORMAT, "the numbers of an array of NumPy otherwise", /* U+0100 */
            ARRAY("K\2\x85", DTYPE("f4", "<"), LATIN1("\x9", "\0\0\xc4\x80?\0\0\0@", CODEC))),
        BAD(VINDEX_ERR_FORMAT, "the numbers of an array of NumPy otherwise", /* cut */
            ARRAY("K\2\x85", DTYPE("f4", "<"), LATIN1("\x9", "\0\0\x80?\0\0\0@\xc2", CODEC))),
        BAD(VINDEX_ERR_FORMAT, "the numbers of an array of NumPy otherwise",
            "\x80\3" LATIN1("\1", "x", "X\5\0\0\0rot13") "."),
        BAD(VINDEX_ERR_FORMAT, "the numbers of an array of NumPy otherwise",
            "\x80\3"
            "c__builtin__\nbytes\nK\1\x85R."),
        BAD(VINDEX_ERR_UNSUPPORTED, "names _codecs.decode",
            "\x80\3"
            "c_codecs\ndecode\nX\1\0\0\0xX\6\0\0\0latin1\x86R."),
        BAD(VINDEX_ERR_FORMAT, "a value otherwise",
            "\x80\3"
            "cnumpy\nndarray\nK\1\x85R."),
        BAD(VINDEX_ERR_UNSUPPORTED, "names numpy.load",
            "\x80\3"
            "cnumpy\nload\nX\1\0\0\0x\x85R."),
        BAD(VINDEX_ERR_FORMAT, "contains itself", /* an array of objects, the only one itself */
            "\x80\3" EMPTY "q\0(K\1K\1\x85" DTYPE("O8", "|") "\x89]h\0atb."),
        BAD(VINDEX_ERR_UNSUPPORTED, "'x' (records array)", /* of a subarray */
            "\x80\3}X\1\0\0\0x" EMPTY "(K\1K\2\x85"
            "cnumpy\ndtype\nX\2\0\0\0V8\x89\x88\x87R"
            "(K\3X\1\0\0\0|K\1NNtb\x89" FLOATS "tbs."),
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++)
        ck_fails(cases[i].status, cases[i].text,
                 try_all(legacy_file(cases[i].value, cases[i].length, NO_STORAGES,
                                     sizeof NO_STORAGES - 1),
                         NULL));
    scratch_remove();
}
END_TEST

/* A text may be named any number of times, and each time it would take memory. */
START_TEST(bytes_may_not_be_shared_without_end) {
    enum { LONG = 1 << 20, TIMES = 3 };
    scratch_make();
    char *value = malloc(LONG + TIMES * 128);
    ck_assert_ptr_nonnull(value);
    size_t used = 0;
#define ADD(bytes) memcpy(value + used, bytes, sizeof(bytes) - 1), used += sizeof(bytes) - 1
    ADD("\x80\3X\0\0\x10\0"); /* of ASCII alone, 2^20 bytes */
    memset(value + used, 'x', LONG);
    used += LONG;
    ADD("q\0"
        "0" DTYPE("u1", "|") "q\1"
                             "0\x8a\4\0\0\x10\0\x85q\2"
                             "0](");
    for (int i = 0; i < TIMES; i++) {
        ADD(EMPTY "(K\1h\2h\1\x89"
                  "c_codecs\nencode\nh\0" CODEC "\x86Rtb");
    }
    ADD("e.");
    const char *path = legacy_file(value, used, NO_STORAGES, sizeof NO_STORAGES - 1);
    ck_fails(VINDEX_ERR_UNSUPPORTED, "arrays share their bytes", try_all(path, NULL));
    free(value);
    scratch_remove();
}
END_TEST

START_TEST(damage_is_survived) {
    scratch_make();
    damage("numpy_zip.pt", NULL);
    damage("numpy_kinds_legacy.pt", by_key("big"));
    damage("numpy_kinds_protocol5_legacy.pt", by_key("half"));
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    EACH_WRITING(w) starve(numpy_file("numpy", w), NULL);
}
END_TEST

TEST_MAIN("io/numpy", arrays_are_rows_and_labels, every_kind_of_array, hand_made_arrays,
          what_numpy_does_not_write_is_refused, bytes_may_not_be_shared_without_end,
          damage_is_survived, memory_may_run_out_anywhere)
