/* .json and .jsonl: the shapes people keep embeddings and labels in, and texts that are none. */
#include "containers.h"

static const float six[] = {1, 2, 3, 4, 5, 6};

static const char *json(const char *text) {
    write_anew("a.json", text, strlen(text));
    return scratch_path("a.json");
}

static const char *lines(const char *text) {
    write_anew("a.jsonl", text, strlen(text));
    return scratch_path("a.jsonl");
}

START_TEST(arrays_of_numbers) {
    scratch_make();
    const float halves[] = {0.5f, -2, 1e10f, 16777216, 3, 0.1f};
    expect_rows(json("[[1,2],[3,4],[5,6]]"), NULL, 3, 2, six);
    expect_rows(json("\xef\xbb\xbf [[1, 2.0],\n [3, 4], [5, 6e0]] \n"), NULL, 3, 2, six);
    expect_rows(json("[[0.5,-2],[1e10,16777217],[3,0.1]]"), NULL, 3, 2, halves);
    expect_rows(json("[1,2,3,4,5,6]"), NULL, 1, 6, six);
    expect_rows(json("{\"a\": 1, \"x\": [[1,2],[3,4],[5,6]]}"), NULL, 3, 2, six);
    expect_rows(json("{\"a\": [[9]], \"x\": {\"y\": [[1,2],[3,4],[5,6]]}}"), by_key("x.y"), 3, 2,
                six);
    expect_rows(json("[[[1,2],[3,4]],[[5,6]]]"), NULL, 3, 2, six);
    expect_names(scratch_path("a.json"), NULL, "0 0 1", "");
    expect_rows(json("{\"p\": [1.0,2], \"q\": [3.0,4], \"r\": [5.0,6]}"), NULL, 3, 2, six);
    expect_names(scratch_path("a.json"), NULL, "p q r", "");
    expect_rows(json("{\"x\": [[1,2],[3,4],[5,6]], \"labels\": [\"a\",\"b\",\"a\"], \"ids\": "
                     "[4,5,6]}"),
                NULL, 3, 2, six);
    expect_names(scratch_path("a.json"), NULL, "4 5 6", "a b a");
    vindex_embeddings *file;
    vindex_embeddings_info info;
    ck_ok(vindex_embeddings_open(scratch_path("a.json"), NULL, &file));
    vindex_embeddings_describe(file, &info);
    ck_assert_str_eq(info.format, "json");
    ck_assert_int_eq(info.dtype, VINDEX_I64);
    vindex_embeddings_close(file);
    scratch_remove();
}
END_TEST

START_TEST(lines_and_records) {
    scratch_make();
    expect_rows(lines("[1,2]\n\n[3,4]\r\n[5,6]"), NULL, 3, 2, six);
    static const char records[] =
        "{\"utt\": \"p\", \"song_id\": \"w1\", \"embed\": [1,2]}\n"
        "{\"utt\": \"q\", \"song_id\": \"w1\", \"embed\": [3,4], \"more\": null}\n"
        "{\"embed\": [5,6], \"song_id\": \"w2\", \"utt\": \"r\"}\n";
    expect_rows(lines(records), NULL, 3, 2, six);
    expect_rows(scratch_path("a.jsonl"), by_key("embed"), 3, 2, six);
    expect_names(scratch_path("a.jsonl"), NULL, "p q r", "w1 w1 w2");
    expect_labels(scratch_path("a.jsonl"), NULL, "p=w1 q=w1 r=w2");
    expect_labels(scratch_path("a.jsonl"), labels_of(NULL, "utt", "song_id"), "w1=p w1=q w2=r");
    expect_members(scratch_path("a.jsonl"), "utt:l:3:0 song_id:l:3:0 embed:e:3:2");
    expect_labels(lines("{\"clique_id\": 7, \"anchor_id\": 1}\n{\"clique_id\": 8, "
                        "\"anchor_id\": 2}\n"),
                  NULL, "1=7 2=8");
    expect_rows(json("[{\"id\": 1, \"v\": [1,2]}, {\"id\": 2, \"v\": [3,4]}]"), NULL, 2, 2, six);
    expect_names(scratch_path("a.json"), NULL, "1 2", "");
    vindex_embeddings *file;
    vindex_labels labels;
    ck_fails(VINDEX_ERR_FORMAT, "item 1 is",
             vindex_embeddings_open(lines("{\"v\": [1,2]}\n{\"v\": [3]}\n"), by_key("v"), &file));
    ck_fails(VINDEX_ERR_FORMAT, "item 1 is nothing where",
             vindex_embeddings_open(lines("{\"v\": [1,2], \"i\": 1}\n{\"i\": 2}\n"), by_key("v"),
                                    &file));
    ck_fails(VINDEX_ERR_FORMAT, "the label of item 1",
             vindex_labels_read(lines("{\"work\": \"a\", \"i\": 1}\n{\"i\": 2}\n"),
                                labels_of(NULL, "work", NULL), &labels));
    ck_fails(VINDEX_ERR_FORMAT, "line 3", try_all(lines("[1,2]\n\n[3,4\n"), NULL));
    scratch_remove();
}
END_TEST

START_TEST(shapes_of_labels) {
    scratch_make();
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"[\"a\", \"b\", \"a\"]", "=a =b =a"},
        {"[1, 2, 1]", "=1 =2 =1"},
        {"{\"labels\": [\"a\", \"b\"], \"track\": [\"p\", \"q\"], \"n\": 2}", "p=a q=b"},
        {"{\"W1\": {\"P1\": {\"title\": \"x\", \"year\": null}, \"P2\": {}}, \"W2\": {\"P3\": {}}}",
         "P1=W1 P2=W1 P3=W2"},
        {"{\"P1\": {\"work_id\": \"W1\", \"t\": 3}, \"P2\": {\"work_id\": \"W2\"}}", "P1=W1 P2=W2"},
        {"{\"W1\": [\"P1\", \"P2\"], \"W2\": [\"P3\"], \"W3\": []}", "P1=W1 P2=W1 P3=W2"},
        {"{\"W1\": [{\"id\": \"P1\"}, {\"id\": \"P2\"}], \"W2\": [{\"id\": \"P3\"}]}",
         "P1=W1 P2=W1 P3=W2"},
        {"{\"W1\": [{\"x\": \"P1\"}, {\"x\": \"P2\"}], \"W2\": [{\"x\": \"P3\"}]}", "=W1 =W1 =W2"},
        {"{\"P1\": \"W1\", \"P2\": \"W2\", \"P3\": \"W1\"}", "P1=W1 P2=W2 P3=W1"},
        {"{\"P1\": 1, \"P2\": 2}", "P1=1 P2=2"},
        {"{\"version\": 0.5, \"songs\": {\"P1\": \"W1\", \"P2\": \"W2\"}}", "P1=W1 P2=W2"},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++)
        expect_labels(json(cases[i].text), NULL, cases[i].expected);
    expect_labels(json("{\"P1\": {\"w\": \"W1\"}, \"P2\": {\"w\": \"W2\"}}"),
                  labels_of(NULL, "w", NULL), "P1=W1 P2=W2");
    expect_labels(json("{\"W1\": [{\"x\": \"P1\"}, {\"x\": 2}]}"), labels_of(NULL, NULL, "x"),
                  "P1=W1 2=W1");
    expect_labels(json("{\"a\": [\"x\"], \"b\": [\"y\"]}"), labels_of(NULL, "b", "a"), "x=y");
    expect_labels(json("{\"a\": [\"x\", \"y\"], \"b\": {\"c\": [1, 2]}}"),
                  labels_of("b.c", NULL, NULL), "=1 =2");
    scratch_remove();
}
END_TEST

START_TEST(labels_that_do_not_fit) {
    scratch_make();
    static const struct {
        const char *text, *error;
        vindex_status status;
    } cases[] = {
        {"{\"labels\": [\"a\", \"b\"], \"ids\": [\"p\"]}", "2 labels and 1 ids", VINDEX_ERR_DATA},
        {"{\"P1\": {\"work\": \"a\"}, \"P2\": {\"x\": 1}}", "the label of item 1",
         VINDEX_ERR_FORMAT},
        {"{\"P1\": {\"work\": [1]}, \"P2\": {\"work\": \"a\"}}", "the label of item 0",
         VINDEX_ERR_FORMAT},
        {"{\"W1\": [{\"id\": 1}, {\"i\": 1, \"id\": null}]}", "the id of item 1",
         VINDEX_ERR_FORMAT},
        {"{\"P1\": \"\"}", "is empty", VINDEX_ERR_DATA},
        {"[\"a\\u0000b\"]", "no JSON", VINDEX_ERR_FORMAT},
        {"{\"a\": 0.5}", "holds no labels", VINDEX_ERR_UNSUPPORTED},
        {"[]", "holds no labels", VINDEX_ERR_UNSUPPORTED},
        {"3", "holds no labels", VINDEX_ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        vindex_labels labels;
        ck_fails(cases[i].status, cases[i].error,
                 vindex_labels_read(json(cases[i].text), NULL, &labels));
    }
    vindex_labels labels;
    vindex_labels_options options = *labels_of("x", NULL, NULL);
    ck_fails(VINDEX_ERR_NOT_FOUND, "no key 'x'",
             vindex_labels_read(json("[1]"), &options, &labels));
    options = *labels_of(NULL, "x", NULL);
    ck_fails(VINDEX_ERR_NOT_FOUND, "no member 'x'",
             vindex_labels_read(json("{\"a\": [\"b\"]}"), &options, &labels));
    options.header = VINDEX_HEADER_YES;
    ck_fails(VINDEX_ERR_ARGUMENT, "only text tables",
             vindex_labels_read(json("[1]"), &options, &labels));
    vindex_embeddings *file;
    ck_fails(VINDEX_ERR_DATA, "2 labels beside 3 rows",
             vindex_embeddings_open(json("{\"x\": [[1],[2],[3]], \"labels\": [\"a\", \"b\"]}"),
                                    NULL, &file));
    expect_names(scratch_path("a.json"), by_key("x"), "", ""); /* asked for, labels are left */
    scratch_remove();
}
END_TEST

static const char *nested(size_t depth) {
    char *text = malloc(2 * depth + 1);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    write_anew("deep.json", text, 2 * depth);
    free(text);
    return scratch_path("deep.json");
}

START_TEST(texts_that_are_refused) {
    scratch_make();
    ck_fails(VINDEX_ERR_FORMAT, "nested 10000 levels deep", try_all(nested(10000), NULL));
    ck_fails(VINDEX_ERR_FORMAT, "nested 65 levels deep", try_all(nested(65), NULL));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "holds no embeddings", try_all(nested(64), NULL));
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "no JSON"},
        {"[[1,2],[3,NaN]]", "line 1, column"},
        {"[[1,2]\n,[3,]]", "line 2, column"},
        {"[[1,2]] x", "no JSON"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"[[1,2],[3,1e999]]", "no JSON"},
        {"\"\xff\xfe\"", "no JSON"},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++)
        ck_fails(VINDEX_ERR_FORMAT, cases[i].error, try_all(json(cases[i].text), NULL));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "it holds: '0' (word), '1' (number)",
             try_all(json("[\"a\", 1.5]"), NULL));
    vindex_embeddings_writer *writer;
    ck_fails(VINDEX_ERR_UNSUPPORTED, ".json files are read, not written",
             vindex_embeddings_create(scratch_path("b.json"), 1, 1, VINDEX_F32, &writer));
    scratch_remove();
}
END_TEST

START_TEST(what_parsing_would_take_is_known_before) {
    scratch_make();
    const size_t length = (size_t)48 << 20;
    char *text = malloc(length);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i + 3 <= length; i += 3) memcpy(text + i, "{},", 3);
    text[0] = '[';
    write_anew("many.json", text, length);
    free(text);
    ck_fails(VINDEX_ERR_UNSUPPORTED, "of memory", try_all(scratch_path("many.json"), NULL));
    scratch_remove();
}
END_TEST

START_TEST(damage_is_survived) {
    scratch_make();
    static const char text[] = "[{\"id\": \"a\", \"v\": [1, 2.5]}, {\"id\": \"b\", \"v\": [3, 4]}]";
    for (size_t at = 0; at < sizeof text - 1; at++)
        for (int c = 1; c < 256; c++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = (char)c;
            survive(json(changed), NULL);
        }
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    scratch_make();
    starve(json("{\"x\": [[1,2],[3,4]], \"labels\": [\"a\", \"b\"], \"ids\": [1, 2]}"), NULL);
    starve(lines("{\"work\": \"a\", \"v\": [1,2]}\n{\"work\": \"b\", \"v\": [3,4]}"), NULL);
    scratch_remove();
}
END_TEST

TEST_MAIN("io/json", arrays_of_numbers, lines_and_records, shapes_of_labels, labels_that_do_not_fit,
          texts_that_are_refused, what_parsing_would_take_is_known_before, damage_is_survived,
          memory_may_run_out_anywhere)
