/* Folders of one file per recording. */
#include "core/base.h"
#include "files.h"

#include <sys/stat.h>

/* A .npy file of rows x dim numbers first, first + 1, ...; rows 0: one dimension. Folders on the
 * way are made. */
static void put(const char *name, int rows, int dim, const char *descr, float first) {
    char header[200], path[512];
    snprintf(path, sizeof path, "%s", scratch_path(name));
    for (char *slash = path + strlen(scratch) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0777);
    }
    int length =
        rows ? snprintf(header, sizeof header,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d)}", descr, rows,
                        dim)
             : snprintf(header, sizeof header,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%d,)}", descr, dim);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fputc(length, file);
    fputc(0, file);
    fwrite(header, 1, (size_t)length, file);
    for (int i = 0; i < (rows ? rows : 1) * dim; i++) {
        double wide = (double)first + i;
        float narrow = first + (float)i;
        if (descr[2] == '8')
            fwrite(&wide, sizeof wide, 1, file);
        else
            fwrite(&narrow, sizeof narrow, 1, file);
    }
    fclose(file);
}

static int remove_below(const char *path) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command);
}

static void expect_ids(const char *path, int rows, const char *const *ids) {
    vindex_embeddings *file;
    ck_ok(vindex_embeddings_open(path, NULL, &file));
    for (int i = 0; i < rows; i++) ck_assert_str_eq(vindex_embeddings_id(file, i), ids[i]);
    ck_assert_ptr_null(vindex_embeddings_id(file, rows));
    vindex_embeddings_close(file);
}

START_TEST(shapes_paths_and_order) {
    scratch_make();
    put("b.npy", 0, 2, "<f4", 10);
    put("W_2/P_1.npy", 1, 2, "<f4", 20);
    put("W_2/P_10.NPY", 3, 2, "<f4", 30);
    put("W_10/\xc3\x9cn\xc3\xaf.c\xc3\xb6"
        "de.npy",
        0, 2, "<f4", 40);
    put("b-a/deep/er/x.npy", 2, 2, "<f4", 50);
    scratch_write(".hidden.npy", "x", 1);
    scratch_write("readme.txt", "x", 1);
    scratch_write("labels.csv", "x", 1);
    const float expected[] = {40, 41, 20, 21, 30, 31, 32, 33, 34, 35, 50, 51, 52, 53, 10, 11};
    const char *const ids[] = {("W_10/\xc3\x9cn\xc3\xaf.c\xc3\xb6"
                                "de"),
                               "W_2/P_1",
                               "W_2/P_10",
                               "W_2/P_10",
                               "W_2/P_10",
                               "b-a/deep/er/x",
                               "b-a/deep/er/x",
                               "b"};
    expect_rows(scratch, NULL, 8, 2, expected);
    expect_ids(scratch, 8, ids);
    char slash[220];
    snprintf(slash, sizeof slash, "%s/", scratch);
    expect_ids(slash, 8, ids);
    vindex_embeddings *file;
    vindex_embeddings_info info;
    ck_ok(vindex_embeddings_open(scratch, NULL, &file));
    vindex_embeddings_describe(file, &info);
    ck_assert_str_eq(info.format, "folder");
    ck_assert_int_eq(info.skipped, 3);
    ck_assert_int_eq(info.dtype, VINDEX_F32);
    ck_assert(info.has_ids && !info.has_labels);
    for (int first = 0; first < 8; first++)
        for (int count = 1; count <= 8 - first; count++) {
            float found[16];
            ck_ok(vindex_embeddings_read(file, first, count, found));
            ck_assert_mem_eq(found, expected + 2 * first, sizeof *found * 2 * (size_t)count);
        }
    vindex_embeddings_close(file);
    remove_below(scratch);
}
END_TEST

#define CHUNK "-\xe2\x96\x81start-"
START_TEST(chunks_are_segments_in_the_order_of_time) {
    scratch_make();
    put("set/song one" CHUNK "0.npy", 0, 2, "<f4", 1);
    put("set/song one" CHUNK "100.npy", 0, 2, "<f4", 5);
    put("set/song one" CHUNK "15.npy", 0, 2, "<f4", 3);
    put("set/song one" CHUNK "7.5.npy", 0, 2, "<f4", 2);
    put("set/song" CHUNK "0.npy", 0, 2, "<f4", 9);
    put("set/song" CHUNK "x.npy", 0, 2, "<f4", 8);
    const float expected[] = {1, 2, 2, 3, 3, 4, 5, 6, 9, 10, 8, 9};
    expect_rows(scratch, NULL, 6, 2, expected);
    const char *const ids[] = {"set/song one", "set/song one", "set/song one",
                               "set/song one", "set/song",     "set/song" CHUNK "x"};
    expect_ids(scratch, 6, ids);
    vindex_labels labels;
    ck_ok(vindex_labels_read(scratch, NULL, &labels));
    ck_assert_int_eq(labels.count, 3); /* of recordings */
    ck_assert_str_eq(labels.ids[0], "set/song one");
    ck_assert_str_eq(labels.names[0], "set");
    vindex_labels_free(&labels);
    put("set/song.npy", 0, 2, "<f4", 1);
    ck_fails(VINDEX_ERR_DATA, "the recording 'set/song'", try_all(scratch, NULL));
    remove_below(scratch);
}
END_TEST

START_TEST(what_does_not_fit_is_named) {
    scratch_make();
    ck_fails(VINDEX_ERR_NOT_FOUND, "holds no .npy", try_all(scratch, NULL));
    scratch_write("a.txt", "", 0);
    ck_fails(VINDEX_ERR_NOT_FOUND, "1 other files were skipped", try_all(scratch, NULL));
    put("a/one.npy", 0, 2, "<f4", 1);
    put("a/two.npy", 0, 3, "<f4", 1);
    ck_fails(VINDEX_ERR_FORMAT, "rows of 'a/two.npy' have 3 numbers", try_all(scratch, NULL));
    put("a/two.npy", 0, 2, "<f8", 1);
    ck_fails(VINDEX_ERR_FORMAT, "'a/two.npy' have 2 numbers of f64", try_all(scratch, NULL));
    scratch_write("a/two.npy", "damaged", 7);
    scratch_write("a/three.npy", "damaged", 7);
    ck_fails(VINDEX_ERR_FORMAT, "a/three.npy: it does not begin", try_all(scratch, NULL));
    remove(scratch_path("a/two.npy"));
    remove(scratch_path("a/three.npy"));
    put("a/one.h5", 0, 2, "<f4", 1);
    ck_fails(VINDEX_ERR_DATA, "the recording 'a/one'", try_all(scratch, NULL));
    remove(scratch_path("a/one.h5"));
    ck_ok(try_all(scratch, NULL));
    ck_assert_int_eq(mkfifo(scratch_path("a/pipe.npy"), 0600), 0);
    ck_fails(VINDEX_ERR_IO, "a device or a pipe", try_all(scratch, NULL));
    remove_below(scratch);
}
END_TEST

START_TEST(links_are_followed_but_not_in_circles) {
    scratch_make();
    put("a/one.npy", 0, 2, "<f4", 1);
    ck_assert_int_eq(symlink("one.npy", scratch_path("a/two.npy")), 0);
    ck_assert_int_eq(symlink("a", scratch_path("c")), 0);
    expect_ids(scratch, 4, (const char *const[]){"a/one", "a/two", "c/one", "c/two"});
    ck_assert_int_eq(symlink("..", scratch_path("a/up")), 0);
    ck_fails(VINDEX_ERR_IO, "a link to a folder that it lies in", try_all(scratch, NULL));
    remove(scratch_path("a/up"));
    ck_assert_int_eq(symlink("self.npy", scratch_path("a/self.npy")), 0);
    ck_fails(VINDEX_ERR_IO, "self.npy: cannot be read", try_all(scratch, NULL));
    remove(scratch_path("a/self.npy"));
    char deep[400] = "d";
    for (int i = 0; i < 70; i++) strcat(deep, "/d");
    strcat(deep, "/x.npy");
    put(deep, 0, 2, "<f4", 1);
    ck_fails(VINDEX_ERR_IO, "more than 64 folders deep", try_all(scratch, NULL));
    remove_below(scratch);
}
END_TEST

START_TEST(a_file_that_changes_is_noticed) {
    scratch_make();
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "%02d.npy", i);
        put(name, 2, 2, "<f4", (float)i);
    }
    vindex_embeddings *file;
    float found[160];
    ck_ok(vindex_embeddings_open(scratch, NULL, &file));
    put("17.npy", 3, 2, "<f4", 0);
    put("31.npy", 3, 2, "<f4", 0);
    ck_fails(VINDEX_ERR_FORMAT, "17.npy: it has changed",
             vindex_embeddings_read(file, 0, 80, found));
    ck_ok(vindex_embeddings_read(file, 0, 34, found));
    ck_assert(found[67] == 19);
    remove(scratch_path("17.npy"));
    ck_fails(VINDEX_ERR_NOT_FOUND, "17.npy", vindex_embeddings_read(file, 34, 1, found));
    vindex_embeddings_close(file);
    remove_below(scratch);
}
END_TEST

START_TEST(folders_name_labels) {
    scratch_make();
    put("x/W_1/a.npy", 0, 2, "<f4", 1);
    put("x/W_1/b.npy", 2, 2, "<f4", 1);
    put("y/W_2/c.npy", 0, 2, "<f4", 1);
    vindex_labels labels;
    ck_ok(vindex_labels_read(scratch, NULL, &labels));
    ck_assert_int_eq(labels.count, 3);
    ck_assert_int_eq(labels.clique_count, 2);
    ck_assert_str_eq(labels.names[1], "W_2");
    ck_assert_str_eq(labels.ids[1], "x/W_1/b");
    vindex_labels_free(&labels);
    put("y/W_1/d.npy", 0, 2, "<f4", 1);
    ck_fails(VINDEX_ERR_DATA, "'x/W_1' and 'y/W_1' have one name",
             vindex_labels_read(scratch, NULL, &labels));
    char inner[256];
    snprintf(inner, sizeof inner, "%s/y/W_1", scratch);
    ck_fails(VINDEX_ERR_DATA, "'d.npy' lies in no folder",
             vindex_labels_read(inner, NULL, &labels));
    vindex_labels_options options;
    vindex_labels_options_init(&options);
    options.key = "x";
    ck_fails(VINDEX_ERR_ARGUMENT, "leave key", vindex_labels_read(scratch, &options, &labels));
    remove_below(scratch);
}
END_TEST

/* The fixtures of .h5 as a folder: a key for all, attributes as labels. */
START_TEST(containers_take_the_key) {
    scratch_make();
    char command[1200];
    snprintf(command, sizeof command, "mkdir '%s/W' && cp '%s' '%s/W/a.h5'", scratch,
             fixture("h5/recording.h5"), scratch);
    ck_assert_int_eq(system(command), 0);
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    vindex_embeddings *file;
    ck_fails(VINDEX_ERR_FORMAT, "choose a key", vindex_embeddings_open(scratch, NULL, &file));
    options.key = "crema";
    ck_ok(vindex_embeddings_open(scratch, &options, &file));
    ck_assert_str_eq(vindex_embeddings_id(file, 3), "W/a");
    ck_assert_str_eq(vindex_embeddings_label(file, 3), "W_22");
    float found[12];
    ck_ok(vindex_embeddings_read(file, 0, 4, found));
    ck_assert(found[11] == 1.25f);
    vindex_embeddings_close(file);
    vindex_members members;
    ck_ok(vindex_embeddings_members(scratch, &members));
    ck_assert_int_eq(members.count, 3);
    ck_assert_str_eq(members.items[0].key, "crema");
    vindex_members_free(&members);
    put("W/b.npy", 0, 3, "<f4", 1);
    ck_fails(VINDEX_ERR_ARGUMENT, "leave the key out",
             vindex_embeddings_open(scratch, &options, &file));
    remove_below(scratch);
}
END_TEST

START_TEST(memory_runs_out) {
    scratch_make();
    put("W_1/a.npy", 0, 2, "<f4", 1);
    put("W_1/b.npy", 2, 2, "<f4", 1);
    put("W_2/c.npy", 0, 2, "<f4", 1);
    for (int door = 0; door < 3; door++) {
        vindex_status status = VINDEX_ERR_MEMORY;
        for (long after = 0; status != VINDEX_OK; after++) {
            vindex_labels labels;
            vindex_members members;
            vx_alloc_fail_after(after);
            status = door == 0   ? try_all(scratch, NULL)
                     : door == 1 ? vindex_labels_read(scratch, NULL, &labels)
                                 : vindex_embeddings_members(scratch, &members);
            vx_alloc_fail_after(-1);
            ck_assert(status == VINDEX_OK || status == VINDEX_ERR_MEMORY);
            if (status == VINDEX_OK && door == 1) vindex_labels_free(&labels);
            if (status == VINDEX_OK && door == 2) vindex_members_free(&members);
            ck_assert(after < 1000);
        }
    }
    remove_below(scratch);
}
END_TEST

TEST_MAIN("io/folder", shapes_paths_and_order, chunks_are_segments_in_the_order_of_time,
          what_does_not_fit_is_named, links_are_followed_but_not_in_circles,
          a_file_that_changes_is_noticed, folders_name_labels, containers_take_the_key,
          memory_runs_out)
