/* .pt files: what torch 1.13 wrote in both containers, and files that mean harm. */

#include "containers.h"

static const char *const containers[] = {"zip", "legacy"};

static const char *torch_file(const char *name, size_t container) {
    static char file[128];
    snprintf(file, sizeof file, "%s_%s.pt", name, containers[container]);
    return fixture(file);
}

#define EACH_CONTAINER(c) for (size_t c = 0; (c) < VX_COUNT(containers); (c)++)

START_TEST(every_dtype) {
    static const struct {
        const char *name;
        vindex_dtype dtype;
    } types[] = {{"f16", VINDEX_F16}, {"bf16", VINDEX_BF16}, {"f32", VINDEX_F32},
                 {"f64", VINDEX_F64}, {"u8", VINDEX_U8},     {"i8", VINDEX_I8},
                 {"i16", VINDEX_I16}, {"i32", VINDEX_I32},   {"i64", VINDEX_I64}};
    EACH_CONTAINER(c)
    for (size_t i = 0; i < VX_COUNT(types); i++) {
        const char *path = torch_file(types[i].name, c);
        char kind = types[i].name[0] == 'b' ? 'f' : types[i].name[0];
        float expected[15];
        for (int k = 0; k < 15; k++) expected[k] = fixture_value(kind, k);
        expect_rows(path, NULL, 5, 3, expected);
        expect_members(path, kind == 'f' || kind == 'i' || kind == 'u' ? ":e:5:3" : "");
        vindex_embeddings *file;
        vindex_embeddings_info info;
        ck_ok(vindex_embeddings_open(path, NULL, &file));
        vindex_embeddings_describe(file, &info);
        ck_assert_int_eq(info.dtype, types[i].dtype);
        ck_assert_str_eq(info.format, "pt");
        for (int first = 0; first <= 5; first++) /* every range of rows */
            for (int count = 0; count <= 5 - first; count++) {
                float found[16];
                found[count * 3] = 99;
                ck_ok(vindex_embeddings_read(file, first, count, found));
                ck_assert_mem_eq(found, expected + 3 * first, sizeof *found * (size_t)count * 3);
                ck_assert(found[count * 3] == 99);
            }
        vindex_embeddings_close(file);
    }
}
END_TEST

START_TEST(views_and_wrappers) {
    static const char *const same[] = {"strided",  "transposed", "parameter", "attributed",
                                       "tuple",    "state",      "protocol4", "crema",
                                       "segments", "named",      "lists"};
    EACH_CONTAINER(c) {
        for (size_t i = 0; i < VX_COUNT(same); i++)
            expect_rows(torch_file(same[i], c), NULL, 5, 3, fixture_floats(0));
        expect_rows(torch_file("vector", c), NULL, 1, 15, fixture_floats(0));
        expect_rows(torch_file("no_rows", c), NULL, 0, 3, fixture_floats(0));
        const char *shared = torch_file("shared", c);
        expect_rows(shared, by_key("first"), 2, 3, fixture_floats(0));
        expect_rows(shared, by_key("second"), 3, 3, fixture_floats(6));
        expect_rows(shared, by_key("rest.1"), 1, 3, fixture_floats(12));
        float expanded[15];
        for (int k = 0; k < 15; k++) expanded[k] = fixture_value('f', k % 3);
        expect_rows(torch_file("expanded", c), NULL, 5, 3, expanded);
    }
}
END_TEST

START_TEST(segments_have_the_id_of_their_recording) {
    float both[30], mixed[30];
    for (int k = 0; k < 15; k++) {
        both[k] = fixture_value('f', k);
        both[15 + k] = both[k] + 4;
    }
    for (int row = 0; row < 10; row++) /* row r of one, then of the other */
        memcpy(mixed + 3 * row, both + 3 * (row / 2 + 5 * (row % 2)), 3 * sizeof *mixed);
    EACH_CONTAINER(c) {
        expect_names(torch_file("segments", c), NULL, "0 0 1 2 2", "");
        expect_names(torch_file("segments_labelled", c), NULL, "p p q r r", "7 7 7 8 8");
        expect_rows(torch_file("three", c), NULL, 10, 3, both);
        expect_names(torch_file("three", c), NULL, "0 0 0 0 0 1 1 1 1 1", "");
        expect_rows(torch_file("three_strided", c), NULL, 10, 3, mixed);
        expect_names(torch_file("three_strided", c), NULL, "0 0 1 1 2 2 3 3 4 4", "");
        expect_names(torch_file("named", c), NULL, "song 0 song 1 song 2 song 3 song 4", "");
        expect_names(torch_file("crema", c), NULL, "", "a a b\xc3\xa9 b\xc3\xa9 c");
        expect_names(torch_file("f32", c), NULL, "", "");
    }
}
END_TEST

START_TEST(keys) {
    float later[15];
    for (int k = 0; k < 15; k++) later[k] = fixture_value('f', k) + 4;
    EACH_CONTAINER(c) {
        expect_rows(torch_file("state", c), by_key("lin1.weight"), 5, 3, fixture_floats(0));
        const char *nested = torch_file("nested", c);
        expect_rows(nested, by_key("model.lin1.weight"), 5, 3, fixture_floats(0));
        expect_rows(nested, by_key("model.lin2.weight"), 5, 3, later);
        vindex_embeddings *file;
        ck_fails(VINDEX_ERR_ARGUMENT,
                 "choose one by its key: 'model.lin1.weight' (f32 array (5, 3))",
                 vindex_embeddings_open(nested, NULL, &file));
        ck_fails(VINDEX_ERR_NOT_FOUND, "no key 'lin3'; embeddings it has: 'model.lin1.weight'",
                 vindex_embeddings_open(nested, by_key("lin3"), &file));
        ck_fails(VINDEX_ERR_UNSUPPORTED, "key 'epoch' is a whole number, not rows",
                 vindex_embeddings_open(nested, by_key("epoch"), &file));
        const char *two = torch_file("two", c);
        ck_fails(VINDEX_ERR_ARGUMENT, "'train' (f32 array (5, 3)), 'test' (f32 array (2, 3))",
                 vindex_embeddings_open(two, NULL, &file));
        expect_rows(two, by_key("test"), 2, 3, fixture_floats(0));
        const char *lists = torch_file("lists", c);
        ck_fails(VINDEX_ERR_FORMAT, "item 1 is f64 array (1) where item 0 is f64 array (2)",
                 vindex_embeddings_open(lists, by_key("ragged"), &file));
        expect_members(torch_file("module_state", c),
                       "0.weight:e:4:3 0.bias:e:1:4 1.weight:e:1:4 1.bias:e:1:4 "
                       "1.running_mean:e:1:4 1.running_var:e:1:4 1.num_batches_tracked:o:0:0");
        expect_members(torch_file("crema", c), "data:e:5:3 labels:l:5:0");
        ck_fails(VINDEX_ERR_UNSUPPORTED, "it holds: 'epoch' (whole number), 'loss' (number)",
                 vindex_embeddings_open(torch_file("nothing", c), NULL, &file));
    }
}
END_TEST

START_TEST(labels) {
    EACH_CONTAINER(c) {
        expect_labels(torch_file("crema", c), NULL, "=a =a =b\xc3\xa9 =b\xc3\xa9 =c");
        expect_labels(torch_file("segments_labelled", c), NULL, "p=7 q=7 r=8");
        expect_labels(torch_file("tuple", c), NULL, "=a =b =a =b =c");
        expect_labels(torch_file("tuple", c), labels_of("1", NULL, NULL), "=a =b =a =b =c");
        const char *clews = torch_file("clews", c);
        expect_labels(clews, labels_of("0", NULL, NULL), "a=w1 b=w1 c=w2");
        expect_labels(clews, labels_of("0", "file", NULL), "a=x b=y c=z");
        expect_labels(clews, labels_of("1.test", NULL, NULL), "c=w2");
        vindex_labels none;
        ck_fails(VINDEX_ERR_ARGUMENT, "choose one by its key: '0' (dictionary of 3 entries",
                 vindex_labels_read(clews, NULL, &none));
        vindex_embeddings_options options = *by_key("0");
        options.label_column = "1"; /* a member from the root where none is beside the rows */
        expect_names(torch_file("tuple", c), &options, "", "a b a b c");
    }
}
END_TEST

START_TEST(what_is_no_plain_value_is_refused_by_name) {
    static const struct {
        const char *name, *text;
        vindex_status status;
    } cases[] = {
        {"module", "names torch.nn.modules.linear.Linear", VINDEX_ERR_UNSUPPORTED},
        {"object_array", "'data' (|O8 array)", VINDEX_ERR_UNSUPPORTED},
        {"bool", "BoolStorage array (2, 2)", VINDEX_ERR_UNSUPPORTED},
        {"complex", "ComplexFloatStorage array (2, 2)", VINDEX_ERR_UNSUPPORTED},
        {"scalar", "f32 array", VINDEX_ERR_UNSUPPORTED},
        {"loop", "contains itself", VINDEX_ERR_FORMAT},
        {"deep", "nested more than 64 levels", VINDEX_ERR_FORMAT},
    };
    EACH_CONTAINER(c)
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        const char *path = torch_file(cases[i].name, c);
        ck_fails(cases[i].status, cases[i].text, try_all(path, NULL));
        ck_assert(strstr(vindex_last_error(), path) == vindex_last_error());
    }
}
END_TEST

/* ('storage', torch.FloatStorage, '0', 'cpu', 6) */
#define STORAGE_OF(count)                              \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" \
    "0X\3\0\0\0cpuK" count "tQ"
#define ONE_KEY        \
    "\x80\2]X\1\0\0\0" \
    "0a."
#define SIX_FLOATS     \
    "\6\0\0\0\0\0\0\0" \
    "\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@\0\0\xc0@"
#define TENSOR(count, offset, sizes, strides) \
    "\x80\2"                                  \
    "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE_OF(count) "K" offset sizes strides "\x89}tR."

START_TEST(hand_made_files) {
    scratch_make();
    const float six[] = {1, 2, 3, 4, 5, 6}, overlap[] = {1, 2, 2, 3};
    expect_rows(LEGACY(TENSOR("\6", "\0", "K\2K\3\x86", "K\3K\1\x86"), ONE_KEY SIX_FLOATS), NULL, 2,
                3, six);
    expect_rows(LEGACY(TENSOR("\6", "\0", "K\2K\2\x86", "K\1K\1\x86"), ONE_KEY SIX_FLOATS), NULL, 2,
                2, overlap);
    static const struct {
        const char *text, *value;
        size_t length;
        vindex_status status;
    } cases[] = {
#define CASE(status, text, value) {text, value, sizeof(value) - 1, status}
        CASE(VINDEX_ERR_FORMAT, "reaches to byte 28 of the 24",
             TENSOR("\6", "\1", "K\2K\3\x86", "K\3K\1\x86")),
        CASE(VINDEX_ERR_FORMAT, "reaches to byte 36 of the 24",
             TENSOR("\6", "\0", "K\3K\3\x86", "K\3K\1\x86")),
        CASE(VINDEX_ERR_FORMAT, "storage '0' has 24 bytes where its tensors need 28",
             TENSOR("\7", "\0", "K\2K\3\x86", "K\3K\1\x86")),
        CASE(VINDEX_ERR_FORMAT, "describes a storage otherwise",
             TENSOR("\5", "\0", "K\1K\3\x86", "K\3K\1\x86")),
        CASE(VINDEX_ERR_FORMAT, "describes a tensor otherwise",
             TENSOR("\6", "\0", "K\2K\3\x86", "K\1\x85")),
        CASE(VINDEX_ERR_FORMAT, "describes a tensor otherwise", /* -1 rows */
             TENSOR("\6", "\0", "J\xff\xff\xff\xffK\3\x86", "K\3K\1\x86")),
        CASE(VINDEX_ERR_UNSUPPORTED, "repeats its numbers", /* 2^40 rows of stride 0 */
             TENSOR("\6", "\0", "\x8a\6\0\0\0\0\0\1K\3\x86", "K\0K\1\x86")),
        CASE(VINDEX_ERR_FORMAT, "reaches to byte", /* strides that overflow */
             TENSOR("\6", "\0", "\x8a\7\0\0\0\0\0\0\1K\3\x86", "\x8a\7\0\0\0\0\0\0\1K\1\x86")),
        CASE(VINDEX_ERR_FORMAT, "describes a tensor otherwise",
             TENSOR("\6", "\0", "K\2K\3\x86", "\x8a\x08\0\0\0\0\0\0\0\x40K\1\x86")),
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++)
        ck_fails(cases[i].status, cases[i].text,
                 try_all(legacy_file(cases[i].value, cases[i].length, ONE_KEY SIX_FLOATS,
                                     sizeof ONE_KEY SIX_FLOATS - 1),
                         NULL));
    ck_fails(VINDEX_ERR_FORMAT, "follow its last storage",
             try_all(LEGACY(TENSOR("\6", "\0", "K\2K\3\x86", "K\3K\1\x86"), ONE_KEY SIX_FLOATS "x"),
                     NULL));
    ck_fails(VINDEX_ERR_FORMAT, "describes its storages otherwise",
             try_all(LEGACY(TENSOR("\6", "\0", "K\2K\3\x86", "K\3K\1\x86"), NO_STORAGES), NULL));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "names os.system",
             try_all(LEGACY("\x80\2cos\nsystem\nX\4\0\0\0true\x85R.", NO_STORAGES), NULL));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "names builtins.eval",
             try_all(LEGACY("\x80\4\x8c\x08"
                            "builtins\x8c\4eval\x93\x8c\1"
                            "1\x85R.",
                            NO_STORAGES),
                     NULL));
    ck_fails(VINDEX_ERR_FORMAT, "key 'a' comes twice",
             try_all(LEGACY("\x80\2}(X\1\0\0\0aK\1X\1\0\0\0aK\2u.", NO_STORAGES), NULL));
    scratch_remove();
}
END_TEST

START_TEST(other_files_are_told_from_torch_files) {
    scratch_make();
    static const struct {
        const char *bytes, *text;
        size_t length;
        vindex_status status;
    } cases[] = {
        {"", "begins neither", 0, VINDEX_ERR_FORMAT},
        {"hello", "begins neither", 5, VINDEX_ERR_FORMAT},
        {"\x80\2K\1.", "not one that torch.save wrote", 5, VINDEX_ERR_FORMAT},
        {"\x80\2\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2K\1.", "version 1001", 20,
         VINDEX_ERR_VERSION},
        {"\x80\2\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3."
         "\x80\2}X\r\0\0\0little_endian\x89s.",
         "big-endian", 45, VINDEX_ERR_UNSUPPORTED},
        {"PK\3\4 and then no zip file at all", "as a zip file", 32, VINDEX_ERR_FORMAT},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        scratch_write("a.pth", cases[i].bytes, cases[i].length);
        ck_fails(cases[i].status, cases[i].text, try_all(scratch_path("a.pth"), NULL));
    }
    char tar[512] = "old";
    memcpy(tar + 257, "ustar", 5);
    scratch_write("a.pth", tar, sizeof tar);
    ck_fails(VINDEX_ERR_VERSION, "tar file", try_all(scratch_path("a.pth"), NULL));
    scratch_remove();
}
END_TEST

START_TEST(damage_is_survived) {
    scratch_make();
    damage("crema_zip.pt", NULL);
    damage("crema_legacy.pt", NULL);
    damage("nested_legacy.pt", by_key("model.lin1.weight"));
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    EACH_CONTAINER(c) {
        starve(torch_file("crema", c), NULL);
        starve(torch_file("segments_labelled", c), NULL);
        starve(torch_file("named", c), NULL);
    }
}
END_TEST

START_TEST(a_pickle_may_not_pile_up_memory) {
    scratch_make();
    /* A list of lists of lists ... each holding the one before many times: few bytes, and as a tree
     * without sharing 10^40 values. */
    char value[1024] = "\x80\2]q";
    size_t used = 5; /* with the number 0 of the memo */
    value[4] = 0;
    for (int level = 1; level < 40; level++) {
        value[used++] = '0';
        value[used++] = ']';
        value[used++] = '(';
        for (int i = 0; i < 10; i++) {
            value[used++] = 'h';
            value[used++] = (char)(level - 1);
        }
        value[used++] = 'e';
        value[used++] = 'q';
        value[used++] = (char)level;
        if (used > 900) break;
    }
    value[used++] = '.';
    const char *path = legacy_file(value, used, NO_STORAGES, sizeof NO_STORAGES - 1);
    ck_assert_int_ne(try_all(path, NULL), VINDEX_OK);
    vindex_members members;
    ck_ok(vindex_embeddings_members(path, &members));
    ck_assert_int_le(members.count, 10000);
    vindex_members_free(&members);
    scratch_remove();
}
END_TEST

START_TEST(words_may_not_be_shared_without_end) {
    enum { LONG = 60000, WORKS = 250 };
    scratch_make();
    /* {0: D, 1: D, ...} with D = {a long word: {}}: a label for each work, and the word for each.
     */
    static char value[LONG + 8 * WORKS];
    size_t used = 0;
    memcpy(value, "\x80\2}X\x60\xea\0\0", 8);
    memset(value + 8, 'x', LONG);
    used = 8 + LONG;
    memcpy(value + used,
           "}sq\0"
           "0}(",
           7);
    used += 7;
    for (int i = 0; i < WORKS; i++) {
        value[used++] = 'K';
        value[used++] = (char)i;
        value[used++] = 'h';
        value[used++] = 0;
    }
    memcpy(value + used, "u.", 2);
    const char *path = legacy_file(value, used + 2, NO_STORAGES, sizeof NO_STORAGES - 1);
    vindex_labels labels_read;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "words are shared",
             vindex_labels_read(path, NULL, &labels_read));
    scratch_remove();
}
END_TEST

TEST_MAIN("io/torch", words_may_not_be_shared_without_end, every_dtype, views_and_wrappers,
          segments_have_the_id_of_their_recording, keys, labels,
          what_is_no_plain_value_is_refused_by_name, hand_made_files,
          other_files_are_told_from_torch_files, damage_is_survived, memory_may_run_out_anywhere,
          a_pickle_may_not_pile_up_memory)
