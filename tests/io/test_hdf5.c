/* .h5 files: what h5py wrote, and what must be refused. */
#include "core/base.h"
#include "files.h"

enum { ROWS = 5, DIM = 3 };

static const char *h5(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "h5/%s.h5", name);
    return fixture(path);
}

static vindex_embeddings *open_key(const char *name, const char *key) {
    vindex_embeddings *file;
    vindex_embeddings_options options = *by_key(key);
    ck_ok(vindex_embeddings_open(h5(name), &options, &file));
    return file;
}

/* Every range of rows. */
static void expect_ranges(const char *name, const char *key, int rows, int dim,
                          const float *expected) {
    vindex_embeddings *file = open_key(name, key);
    vindex_embeddings_info info;
    vindex_embeddings_describe(file, &info);
    ck_assert_int_eq(info.rows, rows);
    ck_assert_int_eq(info.dim, dim);
    float *found = malloc((size_t)(rows * dim + 1) * sizeof *found);
    for (int first = 0; first <= rows; first++)
        for (int count = 0; count <= rows - first; count++) {
            found[count * dim] = 99;
            ck_ok(vindex_embeddings_read(file, first, count, found));
            ck_assert(
                !memcmp(found, expected + first * dim, sizeof *found * (size_t)(count * dim)));
            ck_assert(found[count * dim] == 99);
        }
    free(found);
    vindex_embeddings_close(file);
}

START_TEST(every_dtype_layout_and_byte_order) {
    static const struct {
        const char *name;
        vindex_dtype dtype;
    } types[] = {{"f2", VINDEX_F16}, {"f4", VINDEX_F32}, {"f8", VINDEX_F64},
                 {"i1", VINDEX_I8},  {"u1", VINDEX_U8},  {"i2", VINDEX_I16},
                 {"u2", VINDEX_U16}, {"i4", VINDEX_I32}, {"i8", VINDEX_I64}};
    static const char *const folders[] = {"little/plain", "little/chunked", "big/plain",
                                          "/big/chunked"};
    for (size_t i = 0; i < VX_COUNT(types); i++)
        for (size_t k = 0; k < VX_COUNT(folders); k++) {
            char key[64];
            float expected[ROWS * DIM];
            snprintf(key, sizeof key, "%s/%s", folders[k], types[i].name);
            for (int n = 0; n < ROWS * DIM; n++) expected[n] = fixture_value(types[i].name[0], n);
            expect_ranges("types", key, ROWS, DIM, expected);
            vindex_embeddings *file = open_key("types", key);
            vindex_embeddings_info info;
            vindex_embeddings_describe(file, &info);
            ck_assert_str_eq(info.format, "h5");
            ck_assert_int_eq(info.dtype, types[i].dtype);
            ck_assert(!info.has_ids && !info.has_labels);
            vindex_embeddings_close(file);
        }
}
END_TEST

static void expect_names(const char *name, const char *key, int rows, const char *const *ids,
                         const char *const *labels) {
    vindex_embeddings *file = open_key(name, key);
    vindex_embeddings_info info;
    vindex_embeddings_describe(file, &info);
    ck_assert_int_eq(info.rows, rows);
    ck_assert_int_eq(info.has_ids, ids != NULL);
    ck_assert_int_eq(info.has_labels, labels != NULL);
    for (int i = 0; i < rows; i++) {
        if (ids) ck_assert_str_eq(vindex_embeddings_id(file, i), ids[i]);
        if (labels) ck_assert_str_eq(vindex_embeddings_label(file, i), labels[i]);
    }
    vindex_embeddings_close(file);
}

START_TEST(ids_and_labels_beside_the_rows) {
    expect_names("single", NULL, 5, (const char *[]){"t0", "t1", "t2", "t3", "t4"},
                 (const char *[]){"a", "b", "a", "Ün\u00efcode", "b"});
    expect_names("number_labels", NULL, 5, NULL, (const char *[]){"7", "-1", "7", "0", "2"});
    vindex_embeddings_options options = *by_key("embeddings");
    vindex_embeddings *file;
    options.label_column = "track_id";
    options.id_column = "/labels";
    ck_ok(vindex_embeddings_open(h5("single"), &options, &file));
    ck_assert_str_eq(vindex_embeddings_label(file, 2), "t2");
    ck_assert_str_eq(vindex_embeddings_id(file, 2), "a");
    vindex_embeddings_close(file);
    options.label_column = "embeddings";
    ck_fails(VINDEX_ERR_FORMAT, "no list of 5 texts",
             vindex_embeddings_open(h5("single"), &options, &file));
    options.label_column = "gone";
    ck_fails(VINDEX_ERR_NOT_FOUND, "'gone'", vindex_embeddings_open(h5("single"), &options, &file));
}
END_TEST

/* Attributes of the file say what its only recording is. */
START_TEST(a_recording) {
    expect_names("recording", "crema", 4, (const char *[]){"P_41", "P_41", "P_41", "P_41"},
                 (const char *[]){"W_22", "W_22", "W_22", "W_22"});
    expect_names("recording", "madmom/novelty", 1, (const char *[]){"P_41"},
                 (const char *[]){"W_22"});
    float expected[12];
    for (int k = 0; k < 12; k++) expected[k] = fixture_value('f', k);
    expect_ranges("recording", "crema", 4, 3, expected);
    expect_ranges("recording", "madmom/novelty", 1, 7, expected);
}
END_TEST

START_TEST(deepdish_lists) {
    float expected[12 * 3];
    const char *labels[12], *const names[] = {"W_0", "W_1", "W_2", "W_3", "W_4", "W_5"};
    for (int i = 0; i < 12; i++) {
        labels[i] = names[i / 2];
        for (int k = 0; k < 3; k++) expected[3 * i + k] = fixture_value('f', k) + (float)i;
    }
    expect_ranges("deepdish", "data", 12, 3, expected);
    expect_names("deepdish", "data", 12, NULL, labels);
    float ragged[6 * 3];
    const int counts[] = {2, 1, 3};
    for (int i = 0, row = 0; i < 3; row += counts[i++])
        for (int k = 0; k < 3 * counts[i]; k++)
            ragged[3 * row + k] = fixture_value('f', k) + 100 * (float)i;
    expect_ranges("deepdish", "ragged", 6, 3, ragged);
    expect_names("deepdish", "ragged", 6, (const char *[]){"0", "0", "1", "2", "2", "2"}, NULL);
    vindex_labels found;
    ck_ok(vindex_labels_read(h5("deepdish"), NULL, &found));
    ck_assert_int_eq(found.count, 12);
    ck_assert_int_eq(found.clique_count, 6);
    ck_assert_str_eq(found.names[found.cliques[11]], "W_5");
    ck_assert_ptr_null(found.ids);
    vindex_labels_free(&found);
}
END_TEST

START_TEST(segments_are_rows_with_one_id) {
    float expected[20 * 3];
    const char *ids[20], *labels[20], *const numbers[] = {"0", "1", "2", "3"};
    for (int k = 0; k < 60; k++) expected[k] = fixture_value('f', k);
    for (int i = 0; i < 20; i++) {
        ids[i] = numbers[i / 5];
        labels[i] = i < 10 ? "x" : i < 15 ? "y" : "z";
    }
    expect_ranges("segments", NULL, 20, 3, expected);
    expect_names("segments", NULL, 20, ids, labels);
}
END_TEST

START_TEST(a_group_of_recordings) {
    expect_names("recordings", "songs", 3, (const char *[]){"P_1", "P_10", "P_2"}, NULL);
    float expected[9];
    const float first[] = {1, 10, 2};
    for (int i = 0; i < 9; i++) expected[i] = fixture_value('f', i % 3) + first[i / 3];
    expect_ranges("recordings", "songs", 3, 3, expected);
    expect_ranges("recordings", "/songs/", 3, 3, expected);
}
END_TEST

START_TEST(labels_of_a_file) {
    vindex_labels labels;
    ck_ok(vindex_labels_read(h5("single"), NULL, &labels));
    ck_assert_int_eq(labels.count, 5);
    ck_assert_int_eq(labels.clique_count, 3);
    ck_assert_str_eq(labels.ids[4], "t4");
    vindex_labels_free(&labels);
    vindex_labels_options options;
    vindex_labels_options_init(&options);
    options.label_column = "clique";
    options.id_column = "clique";
    ck_ok(vindex_labels_read(h5("segments"), &options, &labels));
    ck_assert_int_eq(labels.count, 4);
    ck_assert_str_eq(labels.ids[2], "y");
    vindex_labels_free(&labels);
    options.id_column = "ids";
    ck_fails(VINDEX_ERR_FORMAT, "'ids' is no list of 4",
             vindex_labels_read(h5("segments"), &options, &labels));
    ck_fails(VINDEX_ERR_FORMAT, "'/' is no list of texts",
             vindex_labels_read(h5("ann"), NULL, &labels));
}
END_TEST

START_TEST(a_choice_is_asked_for) {
    vindex_embeddings *file;
    ck_fails(VINDEX_ERR_FORMAT, "test (2 x 4 f32), train (6 x 4 f32); choose a key",
             vindex_embeddings_open(h5("ann"), NULL, &file));
    ck_fails(VINDEX_ERR_FORMAT, "data (12 members in a list), labels (12 texts)",
             vindex_embeddings_open(h5("deepdish"), NULL, &file));
    vindex_embeddings_options options = *by_key("gone/train");
    ck_fails(VINDEX_ERR_NOT_FOUND, "'gone/train'",
             vindex_embeddings_open(h5("ann"), &options, &file));
    file = open_key("ann", "test");
    ck_assert_int_eq(file != NULL, 1);
    vindex_embeddings_close(file);
    vindex_members members;
    ck_ok(vindex_embeddings_members(h5("recording"), &members));
    ck_assert_int_eq(members.count, 3);
    ck_assert_str_eq(members.items[0].key, "crema");
    ck_assert_str_eq(members.items[0].kind, "4 x 3 f32");
    ck_assert_int_eq(members.items[1].use, VINDEX_MEMBER_EMBEDDINGS);
    ck_assert_int_eq(members.items[1].rows, 1);
    ck_assert_int_eq(members.items[1].dim, 7);
    vindex_members_free(&members);
    ck_ok(vindex_embeddings_members(h5("deepdish"), &members));
    ck_assert_int_eq(members.count, 3);
    ck_assert_int_eq(members.items[1].use, VINDEX_MEMBER_LABELS);
    ck_assert_int_eq(members.items[1].rows, 12);
    ck_assert_int_eq(members.items[2].rows, 6);
    vindex_members_free(&members);
    ck_ok(vindex_embeddings_members(h5("blosc"), &members));
    ck_assert_int_eq(members.items[0].use, VINDEX_MEMBER_OTHER);
    ck_assert(strstr(members.items[0].kind, "cannot be read") != NULL);
    vindex_members_free(&members);
    ck_ok(vindex_embeddings_members(h5("odd"), &members));
    vindex_members_free(&members);
}
END_TEST

START_TEST(what_holds_no_embeddings_is_refused_by_name) {
    static const struct {
        const char *key, *text;
    } cases[] = {
        {"number", "a single number"},
        {"records", "records of several fields"},
        {"truth", "truth values"},
        {"complex", "a compound type"},
        {"unsigned", "integers other than"},
        {"four", "more than 3 dimensions"},
        {"no_numbers", "0 numbers per row"},
        {"nothing", "(nothing)"},
        {"unwritten", "nothing was ever written"},
        {"varying", "rows of different lengths"},
        {"lzf", "compressed with LZF (HDF5 filter 32000)"},
        {"mixed", "mixed/b (4 f32): rows of 'mixed/a' have 3 numbers"},
        {"kinds", "kinds/b (3 f64): rows of 'kinds/a' have 3 numbers of f32"},
        {"empty", "'empty' is empty"},
        {"outside", "a link into another file"},
        {"around", "a link into another file"},
        {"dangling", "nothing in the file"},
        {"virtual", "in other files"},
        {"raw", "in other files"},
        {"lists", "'lists/i1'"},
        {"", "nothing in the file"},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        vindex_embeddings_options options = *by_key(cases[i].key);
        vindex_status status = try_all(h5("odd"), &options);
        ck_assert_int_ne(status, VINDEX_OK);
        ck_fails(status, cases[i].text, try_all(h5("odd"), &options));
        ck_assert(strstr(vindex_last_error(), h5("odd")) == vindex_last_error());
        ck_assert_ptr_null(strchr(vindex_last_error(), '\n'));
    }
    float soft[3];
    for (int k = 0; k < 3; k++) soft[k] = fixture_value('f', k);
    expect_ranges("odd", "soft", 1, 3, soft);
    expect_ranges("odd", "no_rows", 0, 4, soft);
    ck_fails(VINDEX_ERR_FORMAT, "more than compression does", try_all(h5("bomb"), NULL));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "compressed with Blosc (HDF5 filter 32001)",
             try_all(h5("blosc"), NULL));
}
END_TEST

/* Standard error as one file, to see that HDF5 says nothing there. */
static FILE *catch_errors(int *kept) {
    FILE *caught = tmpfile();
    ck_assert_ptr_nonnull(caught);
    fflush(stderr);
    *kept = dup(STDERR_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
    return caught;
}

static void expect_silence(FILE *caught, int kept) {
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    fseek(caught, 0, SEEK_END);
    ck_assert_int_eq(ftell(caught), 0);
    fclose(caught);
}

START_TEST(cut_and_foreign_files_are_refused_in_silence) {
    scratch_make();
    int kept;
    FILE *caught = catch_errors(&kept);
    size_t length;
    FILE *whole = fopen(h5("single"), "rb");
    static unsigned char bytes[1 << 16];
    length = fread(bytes, 1, sizeof bytes, whole);
    fclose(whole);
    for (size_t cut = 0; cut < length; cut += 61) {
        scratch_write("a.h5", bytes, cut);
        ck_fails(VINDEX_ERR_FORMAT, "HDF5 says", try_all(scratch_path("a.h5"), NULL));
    }
    scratch_write("a.hdf5", "not an HDF5 file, but long enough to be looked at", 49);
    ck_fails(VINDEX_ERR_FORMAT, "opening it as an HDF5 file",
             try_all(scratch_path("a.hdf5"), NULL));
    ck_fails(VINDEX_ERR_NOT_FOUND, "gone.h5", try_all(scratch_path("gone.h5"), NULL));
    scratch_write("a.hdf5", bytes, length);
    ck_ok(try_all(scratch_path("a.hdf5"), NULL));
    expect_silence(caught, kept);
    scratch_remove();
}
END_TEST

START_TEST(texts_of_any_length) {
    expect_names("texts", NULL, 5, (const char *[]){"", "t1", "t2t2", "t3t3t3", "t4t4t4t4"},
                 (const char *[]){"a", "b", "", "Ün\u00efcode", ""});
    expect_names("texts_latest", NULL, 5, (const char *[]){"t0", "t1", "t2", "t3", "t4"},
                 (const char *[]){"a", "b", "a", "c", "b"});
}
END_TEST

/* Texts of any length are read by their references: none of these may lead astray. `second` is
 * where the heap's second object begins. */
static void expect_no_belief(const char *name, size_t second) {
    static unsigned char whole[1 << 15], bytes[sizeof whole];
    FILE *file = fopen(h5(name), "rb");
    size_t length = fread(whole, 1, sizeof whole, file), heap = 0;
    fclose(file);
    while (memcmp(whole + heap, "GCOL", 4) != 0) heap++;
    const struct {
        size_t place; /* from the heap's start */
        unsigned char byte;
    } lies[] = {
        {0, 'X'},    {4, 2},     {9, 0},     {11, 0xff}, {15, 0xff}, /* name, version, size */
        {16, 9},     {17, 1},                                        /* the first's number */
        {24, 255},   {27, 0xff}, {31, 0xff},                         /* its size */
        {second, 0},                                                 /* the second's number */
    };
    for (size_t i = 0; i < VX_COUNT(lies); i++) {
        memcpy(bytes, whole, length);
        bytes[heap + lies[i].place] = lies[i].byte;
        scratch_write("a.h5", bytes, length);
        ck_fails(VINDEX_ERR_FORMAT, "is not where the file says",
                 try_all(scratch_path("a.h5"), NULL));
    }
}

START_TEST(heaps_of_texts_that_lie) {
    scratch_make();
    expect_no_belief("single", 48);
    expect_no_belief("texts", 40);
    expect_no_belief("texts_latest", 40);
    scratch_remove();
}
END_TEST

/* Several threads read one file in chunks, and open others meanwhile. */
START_TEST(threads_share) {
    vindex_embeddings *file = open_key("types", "big/chunked/f8");
    int failed = 0;
#pragma omp parallel for num_threads(4) reduction(+ : failed)
    for (int i = 0; i < 200; i++) {
        float row[DIM];
        failed += vindex_embeddings_read(file, i % ROWS, 1, row) != VINDEX_OK;
        for (int k = 0; k < DIM; k++) failed += row[k] != fixture_value('f', i % ROWS * DIM + k);
        vindex_embeddings *other;
        failed += vindex_embeddings_open(h5("single"), NULL, &other) != VINDEX_OK;
        vindex_embeddings_close(other);
    }
    vindex_embeddings_close(file);
    ck_assert_int_eq(failed, 0);
}
END_TEST

/* Every allocation of ours fails once. */
START_TEST(memory_runs_out) {
    static const struct {
        const char *name, *key;
    } files[] = {{"single", NULL},
                 {"deepdish", "ragged"},
                 {"recordings", "songs"},
                 {"types", "big/chunked/f2"},
                 {"segments", NULL}};
    for (size_t i = 0; i < VX_COUNT(files); i++) {
        vindex_embeddings_options options = *by_key(files[i].key);
        vindex_status status = VINDEX_ERR_MEMORY;
        for (long after = 0; status != VINDEX_OK; after++) {
            vx_alloc_fail_after(after);
            status = try_all(h5(files[i].name), &options);
            vx_alloc_fail_after(-1);
            ck_assert(status == VINDEX_OK || status == VINDEX_ERR_MEMORY);
            ck_assert(after < 1000);
        }
        status = VINDEX_ERR_MEMORY;
        for (long after = 0; status != VINDEX_OK; after++) {
            vindex_members members;
            vx_alloc_fail_after(after);
            status = vindex_embeddings_members(h5(files[i].name), &members);
            vx_alloc_fail_after(-1);
            ck_assert(status == VINDEX_OK || status == VINDEX_ERR_MEMORY);
            if (status == VINDEX_OK) vindex_members_free(&members);
            ck_assert(after < 10000);
        }
    }
}
END_TEST

TEST_MAIN("io/hdf5", every_dtype_layout_and_byte_order, ids_and_labels_beside_the_rows, a_recording,
          deepdish_lists, segments_are_rows_with_one_id, a_group_of_recordings, labels_of_a_file,
          a_choice_is_asked_for, what_holds_no_embeddings_is_refused_by_name,
          cut_and_foreign_files_are_refused_in_silence, texts_of_any_length,
          heaps_of_texts_that_lie, threads_share, memory_runs_out)
