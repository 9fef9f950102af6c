/* Labels from tables, lines, names and embedding files; and written. */
#include "core/base.h"
#include "core/file.h"
#include "files.h"

/* cliques written as digits, names and ids joined by spaces; ids NULL where none are expected. */
static void expect_labels(const vindex_labels *labels, const char *cliques, const char *names,
                          const char *ids) {
    char seen[256] = "";
    for (int64_t i = 0; i < labels->count; i++)
        snprintf(seen + i, sizeof seen - (size_t)i, "%d", (int)labels->cliques[i]);
    ck_assert_str_eq(seen, cliques);
    seen[0] = 0;
    for (int64_t i = 0; i < labels->clique_count; i++) {
        strcat(seen, labels->names[i]);
        if (i + 1 < labels->clique_count) strcat(seen, " ");
    }
    ck_assert_str_eq(seen, names);
    ck_assert_int_eq(labels->ids != NULL, ids != NULL);
    if (!ids) return;
    seen[0] = 0;
    for (int64_t i = 0; i < labels->count; i++) {
        strcat(seen, labels->ids[i]);
        if (i + 1 < labels->count) strcat(seen, " ");
    }
    ck_assert_str_eq(seen, ids);
}

static void expect_file(const char *path, const vindex_labels_options *options, const char *cliques,
                        const char *names, const char *ids) {
    vindex_labels labels;
    ck_ok(vindex_labels_read(path, options, &labels));
    expect_labels(&labels, cliques, names, ids);
    vindex_labels_free(&labels);
    ck_assert_ptr_null(labels.cliques);
    vindex_labels_free(&labels);
}

START_TEST(tables_with_known_columns) {
    scratch_make();
    expect_file(text_file("a.csv", "work_id,track_id\nW1,P1\nW2,P2\nW1,P3\n"), NULL, "010", "W1 W2",
                "P1 P2 P3");
    expect_file(text_file("a.csv", "\xEF\xBB\xBFtrack_id,length,work_id\r\n\"P1\",7,W1\r\nP2,8,W1"),
                NULL, "00", "W1", "P1 P2");
    expect_file(text_file("a.tsv", "clique\tid\nb\t1\na\t2\n"), NULL, "01", "b a", "1 2");
    expect_file(text_file("a.csv", "label,work_id\nrock,W1\njazz,W2\n"), NULL, "01", "W1 W2", NULL);
    expect_file(text_file("a.csv", ",label\n0,x\n1,x\n"), NULL, "00", "x", "0 1");
    expect_file(text_file("a.csv", "label\nx\n\ny\n"), NULL, "01", "x y", NULL);
    expect_file(text_file("a.csv", "work_id,track_id\n"), NULL, "", "", "");
    expect_file(text_file("a.csv", "work_id,id\n\"a \"\"b\"\", c\",1\n\"a \"\"b\"\", c\",\n"), NULL,
                "00", "a \"b\", c", "1 ");
    scratch_remove();
}
END_TEST

START_TEST(tables_with_named_columns) {
    scratch_make();
    vindex_labels_options options;
    vindex_labels_options_init(&options);
    const char *path = text_file("a.csv", "song,composer,label\ns1,bach,x\ns2,bach,y\n");
    options.label_column = "composer";
    expect_file(path, &options, "00", "bach", NULL);
    options.id_column = "song";
    expect_file(path, &options, "00", "bach", "s1 s2");
    options.label_column = "2";
    options.id_column = "0";
    expect_file(path, &options, "01", "x y", "s1 s2");
    options.header = VINDEX_HEADER_NO;
    expect_file(path, &options, "012", "label x y", "song s1 s2");
    vindex_labels labels;
    options.label_column = "composer";
    ck_fails(VINDEX_ERR_NOT_FOUND, "no header", vindex_labels_read(path, &options, &labels));
    options.label_column = NULL;
    ck_fails(VINDEX_ERR_ARGUMENT, "3 columns without a header",
             vindex_labels_read(path, &options, &labels));
    vindex_labels_options_init(&options);
    options.id_column = "title";
    ck_fails(VINDEX_ERR_NOT_FOUND, "'song', 'composer', 'label'",
             vindex_labels_read(path, &options, &labels));
    ck_fails(VINDEX_ERR_NOT_FOUND, "column 'work_id': the header has 'a', 'b'",
             vindex_labels_read(text_file("b.csv", "a,b\n1,2\n"), NULL, &labels));
    scratch_remove();
}
END_TEST

START_TEST(one_label_per_line) {
    scratch_make();
    const char *text = "\xEF\xBB\xBFlet it be, \"live\"\r\nyesterday\nlet it be, \"live\"\n\n\r\n";
    static const char *const names[] = {"a.txt", "labels", "a.LST", "a.labels"};
    for (size_t i = 0; i < VX_COUNT(names); i++)
        expect_file(text_file(names[i], text), NULL, "010", "let it be, \"live\" yesterday", NULL);
    expect_file(text_file("a.csv", "W1\nW2\nW1\n"), NULL, "010", "W1 W2", NULL);
    expect_file(text_file("a.txt", "x"), NULL, "0", "x", NULL);
    expect_file(text_file("a.txt", ""), NULL, "", "", NULL);
    vindex_labels labels;
    ck_fails(VINDEX_ERR_DATA, "the label of row 1 (from 0) is empty",
             vindex_labels_read(text_file("a.txt", "x\n\ny\n"), NULL, &labels));
    vindex_labels_options options;
    vindex_labels_options_init(&options);
    options.label_column = "0";
    ck_fails(VINDEX_ERR_ARGUMENT, "no columns",
             vindex_labels_read(scratch_path("a.txt"), &options, &labels));
    scratch_remove();
}
END_TEST

START_TEST(files_that_hold_no_labels) {
    scratch_make();
    vindex_labels labels;
    static const struct {
        const char *text, *says;
        vindex_status status;
    } cases[] = {
        {"", "it is empty", VINDEX_ERR_FORMAT},
        {"work_id,id\nW1\n", "line 2 has 1 cells", VINDEX_ERR_FORMAT},
        {"work_id,id\nW1,1,2\n", "line 2 has 3 cells", VINDEX_ERR_FORMAT},
        {"work_id,id\nW1,1\n,2\n", "the label of row 1 (from 0) is empty", VINDEX_ERR_DATA},
        {"work_id,id\n\"W1,1\n", "a quote opens", VINDEX_ERR_FORMAT},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        const char *path = text_file("a.csv", cases[i].text);
        ck_fails(cases[i].status, cases[i].says, vindex_labels_read(path, NULL, &labels));
        ck_assert(strstr(vindex_last_error(), path) == vindex_last_error());
    }
    scratch_write("a.txt", "x\ny\0z\n", 6);
    ck_fails(VINDEX_ERR_FORMAT, "zero byte",
             vindex_labels_read(scratch_path("a.txt"), NULL, &labels));
    ck_fails(VINDEX_ERR_NOT_FOUND, "gone.csv",
             vindex_labels_read(scratch_path("gone.csv"), NULL, &labels));
    ck_fails(VINDEX_ERR_UNSUPPORTED, ".npy is neither",
             vindex_labels_read(scratch_path("a.npy"), NULL, &labels));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_labels_read(NULL, NULL, &labels));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_labels_read("a.csv", NULL, NULL));
    vindex_labels_options options = {0};
    ck_fails(VINDEX_ERR_ARGUMENT, "struct_size",
             vindex_labels_read(scratch_path("a.csv"), &options, &labels));
    scratch_remove();
}
END_TEST

START_TEST(labels_from_names) {
    vindex_labels labels;
    const char *names[] = {"b", "a", "b", "c"}, *ids[] = {"1", "", "3", "1"};
    ck_ok(vindex_labels_from_names(names, NULL, 4, &labels));
    expect_labels(&labels, "0102", "b a c", NULL);
    vindex_labels_free(&labels);
    ck_ok(vindex_labels_from_names(names, ids, 4, &labels));
    expect_labels(&labels, "0102", "b a c", "1  3 1");
    vindex_labels_free(&labels);
    ck_ok(vindex_labels_from_names(NULL, NULL, 0, &labels));
    expect_labels(&labels, "", "", NULL);
    vindex_labels_free(&labels);
    vindex_labels_free(NULL);
    names[2] = "";
    ck_fails(VINDEX_ERR_DATA, "row 2", vindex_labels_from_names(names, NULL, 4, &labels));
    names[2] = NULL;
    ck_fails(VINDEX_ERR_ARGUMENT, "row 2", vindex_labels_from_names(names, NULL, 4, &labels));
    ck_fails(VINDEX_ERR_ARGUMENT, "n is -1", vindex_labels_from_names(names, NULL, -1, &labels));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_labels_from_names(NULL, NULL, 1, &labels));
}
END_TEST

START_TEST(labels_of_an_embedding_file) {
    scratch_make();
    const char *path = text_file("a.csv", "file,x,kind\na,1,keys\nb,2,bass\nc,3,keys\n");
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.id_column = "file";
    vindex_embeddings *file;
    vindex_labels labels;
    ck_ok(vindex_embeddings_open(path, &options, &file));
    ck_fails(VINDEX_ERR_NOT_FOUND, "no column of labels", vindex_embeddings_labels(file, &labels));
    vindex_embeddings_close(file);
    options.label_column = "kind";
    ck_ok(vindex_embeddings_open(path, &options, &file));
    ck_ok(vindex_embeddings_labels(file, &labels));
    vindex_embeddings_close(file);
    expect_labels(&labels, "010", "keys bass", "a b c");
    vindex_labels_free(&labels);
    options.id_column = NULL;
    path = text_file("a.csv", "x,kind\n1,keys\n2,\n");
    ck_ok(vindex_embeddings_open(path, &options, &file));
    ck_fails(VINDEX_ERR_DATA, "row 1", vindex_embeddings_labels(file, &labels));
    vindex_embeddings_close(file);
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_embeddings_labels(NULL, &labels));
    scratch_remove();
}
END_TEST

START_TEST(labels_are_written_and_read_back) {
    scratch_make();
    vindex_labels labels;
    const char *names[] = {"a, \"b\"", "c", "a, \"b\""}, *ids[] = {"P\n1", "", "P3"};
    ck_ok(vindex_labels_from_names(names, ids, 3, &labels));
    static const char *const files[] = {"a.csv", "a.tsv"};
    for (size_t i = 0; i < VX_COUNT(files); i++) {
        ck_ok(vindex_labels_write(scratch_path(files[i]), &labels));
        expect_file(scratch_path(files[i]), NULL, "010", "a, \"b\" c", "P\n1  P3");
    }
    ck_fails(VINDEX_ERR_UNSUPPORTED, "as .csv or .tsv",
             vindex_labels_write(scratch_path("a.txt"), &labels));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_labels_write(NULL, &labels));
    labels.cliques[1] = 2;
    ck_fails(VINDEX_ERR_ARGUMENT, "row 1 is of clique 2 of 2",
             vindex_labels_write(scratch_path("b.csv"), &labels));
    ck_assert_int_eq(scratch_entries(0), 2);
    labels.cliques[1] = 1;
    vx_write_fail_after(0);
    ck_fails(VINDEX_ERR_IO, "a.csv", vindex_labels_write(scratch_path("a.csv"), &labels));
    vx_write_fail_after(-1);
    expect_file(scratch_path("a.csv"), NULL, "010", "a, \"b\" c", "P\n1  P3");
    vindex_labels_free(&labels);
    const char *plain[] = {"W1", "W2", "W1"};
    ck_ok(vindex_labels_from_names(plain, NULL, 3, &labels));
    ck_ok(vindex_labels_write(scratch_path("a.csv"), &labels));
    ck_assert(scratch_holds("a.csv", "work_id,track_id\nW1,0\nW2,1\nW1,2\n", 32));
    vindex_labels_free(&labels);
    scratch_remove();
}
END_TEST

/* Fails each allocation in turn; what was given stays as it was until all succeed. */
START_TEST(memory_may_run_out_anywhere) {
    scratch_make();
    const struct {
        const char *name, *text;
    } cases[] = {{"a.csv", "work_id,track_id\nW1,P1\nW2,P2\nW1,P3\n"}, {"a.txt", "W1\nW2\nW1\n"}};
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        const char *path = text_file(cases[i].name, cases[i].text);
        vindex_status status = VINDEX_ERR_MEMORY;
        long after = 0;
        for (; status != VINDEX_OK; after++) {
            vindex_labels labels = {.count = 77};
            vx_alloc_fail_after(after);
            status = vindex_labels_read(path, NULL, &labels);
            vx_alloc_fail_after(-1);
            if (status == VINDEX_OK)
                vindex_labels_free(&labels);
            else
                ck_assert_msg(status == VINDEX_ERR_MEMORY && labels.count == 77, "%s",
                              vindex_last_error());
        }
        ck_assert_int_gt(after, 5);
    }
    scratch_remove();
}
END_TEST

TEST_MAIN("io/labels", tables_with_known_columns, tables_with_named_columns, one_label_per_line,
          files_that_hold_no_labels, labels_from_names, labels_of_an_embedding_file,
          labels_are_written_and_read_back, memory_may_run_out_anywhere)
