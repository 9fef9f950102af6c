/* .csv and .tsv tables of numbers: headers, columns of ids and labels, cells that are no numbers.
 */
#include "core/base.h"
#include "files.h"

static vindex_embeddings_options with(const char *id, const char *label) {
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.id_column = id;
    options.label_column = label;
    return options;
}

START_TEST(a_table_with_a_header) {
    scratch_make();
    const float expected[] = {1, 2.5f, -3, 1e10f};
    const char *path = text_file("a.csv", "x,y\n1,2.5\n-3,1e10\n");
    expect_rows(path, NULL, 2, 2, expected);
    path =
        text_file("a.csv", "\xEF\xBB\xBF\"x\",\"the \"\"y\"\"\"\r\n\"1\",2.5\r\n\r\n -3 ,\"1e10\"");
    expect_rows(path, NULL, 2, 2, expected);
    path = text_file("a.TSV", "x\ty\n1\t2.5\n-3\t1e10\n\n\n");
    expect_rows(path, NULL, 2, 2, expected);
    expect_rows(text_file("a.csv", "x,y\n"), NULL, 0, 2, NULL);
    expect_rows(text_file("a.csv", "x,y"), NULL, 0, 2, NULL);
    scratch_remove();
}
END_TEST

START_TEST(whether_the_first_line_is_a_header) {
    scratch_make();
    const float two[] = {5, 6, 7, 8}, one[] = {7, 8}, counted[] = {0, 1, 7, 8};
    vindex_embeddings_options yes = with(NULL, NULL), no = yes;
    yes.header = VINDEX_HEADER_YES;
    no.header = VINDEX_HEADER_NO;
    expect_rows(text_file("a.csv", "5,6\n7,8\n"), NULL, 2, 2, two);
    expect_rows(text_file("a.csv", "5,6\n7,8\n"), &no, 2, 2, two);
    expect_rows(text_file("a.csv", "5,6\n7,8\n"), &yes, 1, 2, one);
    expect_rows(text_file("a.csv", "5,\n7,8\n"), NULL, 1, 2, one);
    expect_rows(text_file("a.csv", "0,1\n7,8\n"), NULL, 1, 2, one);
    expect_rows(text_file("a.csv", "0,1\n7,8\n"), &no, 2, 2, counted);
    expect_rows(text_file("a.csv", "0,1.0\n7,8\n"), NULL, 2, 2, counted);
    const float single[] = {0, 4};
    expect_rows(text_file("a.csv", "0\n4\n"), NULL, 2, 1, single);
    ck_fails(VINDEX_ERR_FORMAT, "row 0 (line 1), column 1: 'y' is not a number",
             try_all(text_file("a.csv", "5,y\n7,8\n"), &no));
    scratch_remove();
}
END_TEST

START_TEST(ids_and_labels_by_name_and_index) {
    scratch_make();
    static const struct {
        const char *id, *label;
    } words[] = {{"", "instrument"}, {"0", "3"}, {"0", "instrument"}};
    const char *path = text_file("a.csv", ",f0,mfcc,instrument\n"
                                          "a.wav,1,2,bass\n"
                                          "\"b,\"\"2\"\".wav\",3,4,\"the\nkeys\"\n"
                                          ",5,6,bass\n");
    const float expected[] = {1, 2, 3, 4, 5, 6};
    for (size_t i = 0; i < VX_COUNT(words); i++) {
        vindex_embeddings_options options = with(words[i].id, words[i].label);
        expect_rows(path, &options, 3, 2, expected);
        vindex_embeddings *file;
        vindex_embeddings_info info;
        ck_ok(vindex_embeddings_open(path, &options, &file));
        vindex_embeddings_describe(file, &info);
        ck_assert(info.has_ids && info.has_labels);
        ck_assert_int_eq(info.dtype, VINDEX_F64);
        ck_assert_str_eq(info.format, "csv");
        ck_assert_str_eq(vindex_embeddings_id(file, 0), "a.wav");
        ck_assert_str_eq(vindex_embeddings_id(file, 1), "b,\"2\".wav");
        ck_assert_str_eq(vindex_embeddings_id(file, 2), "");
        ck_assert_str_eq(vindex_embeddings_label(file, 1), "the\nkeys");
        ck_assert_ptr_null(vindex_embeddings_id(file, 3));
        ck_assert_ptr_null(vindex_embeddings_label(file, -1));
        float last[2];
        ck_ok(vindex_embeddings_read(file, 2, 1, last));
        ck_assert(last[0] == 5 && last[1] == 6);
        vindex_embeddings_close(file);
    }
    vindex_embeddings_options options = with(NULL, NULL);
    ck_fails(VINDEX_ERR_FORMAT, "column 0: 'a.wav' is not a number", try_all(path, &options));
    options = with("0", NULL);
    ck_fails(VINDEX_ERR_FORMAT, "column 3 ('instrument'): 'bass' is not a number",
             try_all(path, &options));
    options = with("title", NULL);
    ck_fails(VINDEX_ERR_NOT_FOUND, "column 'title'", try_all(path, &options));
    options = with(NULL, "4");
    ck_fails(VINDEX_ERR_NOT_FOUND, "there are 4 columns", try_all(path, &options));
    scratch_remove();
}
END_TEST

START_TEST(columns_without_a_header) {
    scratch_make();
    vindex_embeddings_options options = with("2", "0");
    const char *path = text_file("a.tsv", "bass\t1\tx\nkeys\t2\ty\n");
    const float expected[] = {1, 2};
    expect_rows(path, &options, 2, 1, expected);
    options = with("name", NULL);
    options.header = VINDEX_HEADER_NO;
    ck_fails(VINDEX_ERR_NOT_FOUND, "no header", try_all(path, &options));
    /* The index names a column of numbers, so the others decide; a name beats an index. */
    options = with("1", NULL);
    const float both[] = {1, 3, 4, 6};
    expect_rows(text_file("b.csv", "1,2,3\n4,5,6\n"), &options, 2, 2, both);
    const float named[] = {4, 5};
    options = with("1", NULL);
    expect_rows(text_file("b.csv", "x,y,1\n4,5,6\n"), &options, 1, 2, named);
    options = with("0", "0");
    expect_rows(text_file("b.csv", "a,4,5\n"), &options, 1, 2, named);
    scratch_remove();
}
END_TEST

START_TEST(cells_that_are_no_numbers_say_where) {
    scratch_make();
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"x,y\n1,2\n3,abc\n", "a.csv: row 1 (line 3), column 1 ('y'): 'abc' is not a number"},
        {"x,y\n\n\"1\",2\n\n3,\n", "row 1 (line 5), column 1 ('y'): '' is not a number"},
        {"x,y\n1,2\n3,0x10\n", "'0x10' is not a number"},
        {"x,y\n1,2\n3,4\x01\x7f\n", "'4?\?' is not a number"},
        {"x,y\n1,2\n3\n", "line 3 has 1 cells where the first line has 2"},
        {"x,y\n1,2\n3,4,\n", "line 3 has 3 cells where the first line has 2"},
        {"x,y\n1,2\n\"3,4\n", "line 3: a quote opens and is never closed"},
        {"x,y\n1,2\n\"3\" ,4\n", "line 3: text follows a closing quote"},
        {"", "it is empty"},
        {"\n\r\n\n", "it is empty"},
        {"\xEF\xBB\xBF", "it is empty"},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        const char *path = text_file("a.csv", cases[i].text);
        ck_fails(VINDEX_ERR_FORMAT, cases[i].says, try_all(path, NULL));
        ck_assert(strstr(vindex_last_error(), path) == vindex_last_error());
    }
    vindex_embeddings_options options = with("id", NULL);
    ck_fails(VINDEX_ERR_FORMAT, "beside ids and labels it has 0 columns",
             try_all(text_file("a.csv", "id\n1\n"), &options));
    scratch_write("a.csv", "x\0y,z\n1,2\n", 10);
    ck_fails(VINDEX_ERR_FORMAT, "zero byte", try_all(scratch_path("a.csv"), NULL));
    scratch_write("a.csv", "\xff\xfex\0\n\0", 6);
    ck_fails(VINDEX_ERR_FORMAT, "zero byte", try_all(scratch_path("a.csv"), NULL));
    scratch_write("a.csv", "x,y\n1,2\0\n", 9);
    ck_fails(VINDEX_ERR_FORMAT, "'2?' is not a number", try_all(scratch_path("a.csv"), NULL));
    scratch_remove();
}
END_TEST

START_TEST(wide_rows_and_huge_cells) {
    scratch_make();
    enum { WIDTH = 16384, LONG = 1 << 20 };
    char *text = malloc(16 * WIDTH + LONG + 64);
    ck_assert_ptr_nonnull(text);
    static float expected[WIDTH];
    size_t length = 0;
    for (int i = 0; i < WIDTH; i++) {
        length += (size_t)sprintf(text + length, "%d.5%c", i, i + 1 < WIDTH ? ',' : '\n');
        expected[i] = (float)i + 0.5f;
    }
    expect_rows(text_file("a.csv", text), NULL, 1, WIDTH, expected);

    length = (size_t)sprintf(text, "id,x\n\"");
    memset(text + length, 'z', LONG);
    memcpy(text + length + LONG, "\",1\n", 5);
    vindex_embeddings_options options = with("id", NULL);
    vindex_embeddings *file;
    ck_ok(vindex_embeddings_open(text_file("a.csv", text), &options, &file));
    ck_assert_uint_eq(strlen(vindex_embeddings_id(file, 0)), LONG);
    vindex_embeddings_close(file);
    ck_fails(VINDEX_ERR_FORMAT, "zzz...' is not a number", try_all(scratch_path("a.csv"), NULL));
    free(text);
    scratch_remove();
}
END_TEST

TEST_MAIN("io/csv", a_table_with_a_header, whether_the_first_line_is_a_header,
          ids_and_labels_by_name_and_index, columns_without_a_header,
          cells_that_are_no_numbers_say_where, wide_rows_and_huge_cells)
