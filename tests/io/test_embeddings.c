/* What every format must do alike: arguments, damage of any kind, memory that runs out, threads. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "samples.h"

START_TEST(samples_are_good) {
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(samples); i++) {
        vindex_embeddings_options options = sample_options(&samples[i]);
        expect_rows(sample_file(&samples[i]), &options, 3, 2, sample_values);
    }
    scratch_remove();
}
END_TEST

START_TEST(arguments_are_checked) {
    scratch_make();
    vindex_embeddings *file;
    float row[2];
    const char *path = sample_file(&samples[0]);
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_embeddings_open(NULL, NULL, &file));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_embeddings_open(path, NULL, NULL));
    vindex_embeddings_options options = {0};
    ck_fails(VINDEX_ERR_ARGUMENT, "struct_size is 0",
             vindex_embeddings_open(path, &options, &file));
    vindex_embeddings_options_init(&options);
    options.key = "data";
    ck_fails(VINDEX_ERR_ARGUMENT, "key 'data'", vindex_embeddings_open(path, &options, &file));
    vindex_embeddings_options_init(&options);
    options.label_column = "0";
    ck_fails(VINDEX_ERR_ARGUMENT, "no columns", vindex_embeddings_open(path, &options, &file));
    vindex_embeddings_options_init(&options);
    options.header = (vindex_header)3;
    ck_fails(VINDEX_ERR_ARGUMENT, "header is 3",
             vindex_embeddings_open(sample_file(&samples[4]), &options, &file));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_embeddings_read(NULL, 0, 1, row));
    ck_ok(vindex_embeddings_open(path, NULL, &file));
    const int64_t bad[][2] = {
        {-1, 1},       {0, -1}, {0, 4}, {3, 1}, {4, 0}, {1, INT64_MAX}, {INT64_MAX, INT64_MAX},
        {INT64_MIN, 1}};
    for (size_t i = 0; i < VX_COUNT(bad); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "it has 3",
                 vindex_embeddings_read(file, bad[i][0], bad[i][1], row));
    ck_ok(vindex_embeddings_read(file, 3, 0, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_embeddings_read(file, 0, 1, NULL));
    ck_assert_ptr_null(vindex_embeddings_id(file, 0));
    ck_assert_ptr_null(vindex_embeddings_label(file, 0));
    vindex_embeddings_close(file);
    vindex_embeddings_close(NULL);
    scratch_remove();
}
END_TEST

START_TEST(what_is_no_file_is_named) {
    scratch_make();
    vindex_embeddings *file;
    ck_fails(VINDEX_ERR_NOT_FOUND,
             "missing.npy: ", vindex_embeddings_open(scratch_path("missing.npy"), NULL, &file));
    ck_assert_int_eq(mkdir(scratch_path("folder.npy"), 0777), 0);
    ck_fails(VINDEX_ERR_NOT_FOUND,
             "folder.npy: ", vindex_embeddings_open(scratch_path("folder.npy"), NULL, &file));
    static const char *const names[] = {"a.txt", "a", "a.npy/b", ".npy.gz", "fvecs", "a."};
    for (size_t i = 0; i < VX_COUNT(names); i++)
        ck_fails(VINDEX_ERR_UNSUPPORTED, "is none of .npy",
                 vindex_embeddings_open(scratch_path(names[i]), NULL, &file));
    scratch_remove();
}
END_TEST

static void expect_no_crash(const struct sample *sample, const char *bytes, size_t length) {
    vindex_embeddings_options options = sample_options(sample);
    write_anew(sample->name, bytes, length);
    vindex_status status = try_all(scratch_path(sample->name), &options);
    ck_assert(status == VINDEX_OK || status == VINDEX_ERR_FORMAT ||
              status == VINDEX_ERR_UNSUPPORTED || status == VINDEX_ERR_VERSION ||
              status == VINDEX_ERR_NOT_FOUND);
}

START_TEST(a_file_cut_anywhere) {
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(samples); i++)
        for (size_t length = 0; length < samples[i].length; length++) {
            expect_no_crash(&samples[i], samples[i].bytes, length);
            if (samples[i].bytes[0] != '\x93' && !strstr(samples[i].name, "bin")) continue;
            ck_fails(VINDEX_ERR_FORMAT, "cut", try_all(scratch_path(samples[i].name), NULL));
        }
    scratch_remove();
}
END_TEST

START_TEST(a_file_with_any_byte_changed) {
    scratch_make();
    static const unsigned char changes[] = {0x01, 0x80, 0xff, 0x20};
    for (size_t i = 0; i < VX_COUNT(samples); i++)
        for (size_t at = 0; at < samples[i].length; at++)
            for (size_t k = 0; k < VX_COUNT(changes); k++) {
                char bytes[256];
                memcpy(bytes, samples[i].bytes, samples[i].length);
                bytes[at] = (char)((unsigned char)bytes[at] ^ changes[k]);
                expect_no_crash(&samples[i], bytes, samples[i].length);
            }
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(samples); i++) {
        vindex_embeddings_options options = sample_options(&samples[i]);
        const char *path = sample_file(&samples[i]);
        vindex_status status = VINDEX_ERR_MEMORY;
        long after = 0;
        for (; status != VINDEX_OK; after++) {
            vindex_embeddings *file = NULL;
            vx_alloc_fail_after(after);
            status = vindex_embeddings_open(path, &options, &file);
            vx_alloc_fail_after(-1);
            ck_assert_msg(status == VINDEX_OK || status == VINDEX_ERR_MEMORY, "%s: %s",
                          samples[i].name, vindex_last_error());
            ck_assert((status == VINDEX_OK) == (file != NULL));
            vindex_embeddings_close(file);
        }
        ck_assert_int_gt(after, 2);
    }
    scratch_remove();
}
END_TEST

static void *read_often(void *context) {
    const vindex_embeddings *file = context;
    for (int i = 0; i < 2000; i++) {
        float rows[6];
        int64_t first = i % 3, count = 3 - first;
        if (vindex_embeddings_read(file, first, count, rows) != VINDEX_OK) return context;
        if (memcmp(rows, sample_values + 2 * first, (size_t)count * 2 * sizeof *rows) != 0)
            return context;
    }
    return NULL;
}

START_TEST(threads_share_an_open_file) {
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(samples); i++) {
        vindex_embeddings_options options = sample_options(&samples[i]);
        vindex_embeddings *file;
        ck_ok(vindex_embeddings_open(sample_file(&samples[i]), &options, &file));
        pthread_t threads[4];
        for (size_t t = 0; t < VX_COUNT(threads); t++)
            ck_assert_int_eq(pthread_create(&threads[t], NULL, read_often, file), 0);
        for (size_t t = 0; t < VX_COUNT(threads); t++) {
            void *failed;
            ck_assert_int_eq(pthread_join(threads[t], &failed), 0);
            ck_assert_ptr_null(failed);
        }
        vindex_embeddings_close(file);
    }
    scratch_remove();
}
END_TEST

/* The most memory this process has had, in bytes. */
static size_t most_memory(void) {
    struct rusage usage;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_maxrss << 10;
}

START_TEST(a_file_read_row_by_row_does_not_stay_in_memory) {
    enum { ROWS = 96, DIM = 1 << 18, HEADER = 8 }; /* 96 MB of zeros, which take no disk */
    scratch_make();
    const unsigned char header[HEADER] = {ROWS, 0, 0, 0, 0, 0, DIM >> 16, 0};
    scratch_write("big.fbin", header, HEADER);
    const char *path = scratch_path("big.fbin");
    ck_assert_int_eq(truncate(path, HEADER + (off_t)ROWS * DIM * (off_t)sizeof(float)), 0);
    float *row = malloc(DIM * sizeof *row);
    memset(row, 1, DIM * sizeof *row);
    vindex_embeddings *file;
    ck_ok(vindex_embeddings_open(path, NULL, &file));
    size_t before = most_memory();
    for (int i = 0; i < ROWS; i++) {
        ck_ok(vindex_embeddings_read(file, i, 1, row));
        ck_assert(row[0] == 0 && row[DIM - 1] == 0);
    }
    ck_assert_uint_lt(most_memory() - before, (size_t)32 << 20);
    vindex_embeddings_close(file);
    free(row);
    scratch_remove();
}
END_TEST

TEST_MAIN("io/embeddings", a_file_read_row_by_row_does_not_stay_in_memory, samples_are_good,
          arguments_are_checked, what_is_no_file_is_named, a_file_cut_anywhere,
          a_file_with_any_byte_changed, memory_may_run_out_anywhere, threads_share_an_open_file)
