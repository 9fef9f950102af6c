/* .npz files: what NumPy wrote, stored and deflated. */
#include <zip.h>

#include "containers.h"

static const char *const kinds[] = {"stored", "deflated"};

static const char *npz_file(const char *end, size_t kind) {
    static char name[64];
    snprintf(name, sizeof name, "%s%s.npz", kinds[kind], end);
    return fixture(name);
}

START_TEST(arrays_ids_and_labels) {
    float both[30];
    for (int k = 0; k < 30; k++) both[k] = fixture_value('f', k % 15) + (k < 15 ? 0 : 4);
    for (size_t k = 0; k < VX_COUNT(kinds); k++) {
        const char *path = npz_file("", k);
        expect_rows(path, NULL, 5, 3, fixture_floats(0));
        expect_rows(path, by_key("data"), 5, 3, fixture_floats(0));
        expect_names(path, NULL, "p qq r s t", "a a b\xc3\xa9 b\xc3\xa9 c");
        expect_members(path, "data:e:5:3 labels:l:5:0 ids:l:5:0");
        expect_labels(path, NULL, "p=a qq=a r=b\xc3\xa9 s=b\xc3\xa9 t=c");
        expect_rows(npz_file("_fortran", k), NULL, 5, 3, fixture_floats(0));
    }
    expect_rows(fixture("segments.npz"), NULL, 10, 3, both);
    expect_names(fixture("segments.npz"), NULL, "0 0 0 0 0 1 1 1 1 1", "a a a a a b b b b b");
}
END_TEST

START_TEST(members_of_every_kind) {
    const char *path = fixture("others.npz");
    float whole[15];
    for (int k = 0; k < 15; k++) whole[k] = fixture_value('i', k);
    expect_members(path, "numbers:e:5:3 objects:o:0:0 flags:o:0:0 big:l:2:0 classes:l:2:0 "
                         "records:o:0:0 scalar:o:0:0 empty:e:0:3");
    expect_rows(path, by_key("numbers"), 5, 3, whole);
    expect_rows(path, by_key("empty"), 0, 3, whole);
    expect_labels(path, labels_of("big", NULL, NULL), "=w1 =w2");
    expect_labels(path, labels_of("classes", NULL, NULL), "=7 =-7");
    expect_labels(path, labels_of(NULL, "classes", "big"), "w1=7 w2=-7");
    vindex_embeddings *file;
    ck_fails(VINDEX_ERR_ARGUMENT, "choose one by its key: 'numbers' (i16 array (5, 3)), 'empty'",
             vindex_embeddings_open(path, NULL, &file));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "key 'objects' is a |O array",
             vindex_embeddings_open(path, by_key("objects"), &file));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "key 'flags' is a |b1 array",
             vindex_embeddings_open(path, by_key("flags"), &file));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "key 'records' is a records array",
             vindex_embeddings_open(path, by_key("records"), &file));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "key 'scalar' is a f64 array",
             vindex_embeddings_open(path, by_key("scalar"), &file));
    ck_fails(VINDEX_ERR_NOT_FOUND, "no key 'rows'",
             vindex_embeddings_open(path, by_key("rows"), &file));
    vindex_embeddings_options options = *by_key("numbers");
    options.label_column = "big";
    ck_fails(VINDEX_ERR_DATA, "2 labels beside 5 rows",
             vindex_embeddings_open(path, &options, &file));
    options.label_column = "names";
    ck_fails(VINDEX_ERR_NOT_FOUND, "no member 'names'",
             vindex_embeddings_open(path, &options, &file));
    vindex_labels labels;
    ck_fails(VINDEX_ERR_ARGUMENT, "'big' (>U2 array (2)), 'classes' (i64 array (2))",
             vindex_labels_read(path, NULL, &labels));
}
END_TEST

/* A .npz of one member with that header, and so many zeros behind it. */
static const char *own_npz(const char *dictionary, size_t zeros, bool deflate) {
    static unsigned char bytes[4096];
    size_t length = strlen(dictionary);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (unsigned char)length;
    memcpy(bytes + 10, dictionary, length);
    const char *path = scratch_path("own.npz");
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert_ptr_nonnull(zip);
    zip_file_add(zip, "x.npy", zip_source_buffer(zip, bytes, 10 + length + zeros, 0), 0);
    zip_file_add(zip, "readme.txt", zip_source_buffer(zip, "hello", 5, 0), 0);
    zip_set_file_compression(zip, 0, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
    ck_assert_int_eq(zip_close(zip), 0);
    return path;
}

START_TEST(headers_that_lie_are_refused) {
    scratch_make();
    const float zeros[6] = {0};
    for (int deflate = 0; deflate < 2; deflate++) {
        expect_rows(
            own_npz("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 24, deflate), NULL,
            2, 3, zeros);
        static const struct {
            const char *dictionary, *text;
            vindex_status status;
        } cases[] = {
            {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}", "the file was cut",
             VINDEX_ERR_FORMAT},
            {"{'descr': '<f4', 'fortran_order': True, 'shape': (1152921504606846976, 64)}",
             "more numbers than any file", VINDEX_ERR_FORMAT},
            {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3", "not the dictionary",
             VINDEX_ERR_FORMAT},
            {"{'descr': '<U4611686018427387904', 'fortran_order': False, 'shape': (2,)}",
             "any file", VINDEX_ERR_FORMAT},
            {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (2, 3)}", "<M8[ns] array",
             VINDEX_ERR_UNSUPPORTED},
        };
        for (size_t i = 0; i < VX_COUNT(cases); i++)
            ck_fails(cases[i].status, cases[i].text,
                     try_all(own_npz(cases[i].dictionary, 24, deflate), NULL));
    }
    scratch_remove();
}
END_TEST

START_TEST(damage_is_survived) {
    scratch_make();
    damage("stored.npz", NULL);
    damage("deflated.npz", NULL);
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    for (size_t k = 0; k < VX_COUNT(kinds); k++) starve(npz_file("", k), NULL);
}
END_TEST

TEST_MAIN("io/npz", arrays_ids_and_labels, members_of_every_kind, headers_that_lie_are_refused,
          damage_is_survived, memory_may_run_out_anywhere)
