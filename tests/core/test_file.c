/* Files appear complete or not at all, whatever goes wrong on the way. */
#include "core/file.h"

#include "../harness.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "scratch.h"

enum { LARGE = 5 << 20 };

static unsigned char *pattern(size_t length) {
    unsigned char *bytes = vx_alloc(length, 1);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < length; i++) bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    return bytes;
}

static vindex_status write_file(const char *path, const void *bytes, size_t length) {
    vx_writer *writer;
    VX_TRY(vx_writer_open(path, &writer));
    vx_writer_write(writer, bytes, length); /* commit answers its failure again */
    return vx_writer_commit(writer);
}

START_TEST(pieces_of_any_size_arrive) {
    scratch_make();
    unsigned char *bytes = pattern(LARGE);
    const size_t steps[] = {1, 0, 1000, 1 << 20, 3, (1 << 20) - 1, (1 << 20) + 1, 777};
    vx_writer *writer;
    ck_ok(vx_writer_open(scratch_path("a"), &writer));
    size_t at = 0;
    for (size_t i = 0; at < LARGE; i++) {
        size_t step = VX_MIN(steps[i % VX_COUNT(steps)], LARGE - at);
        ck_ok(vx_writer_write(writer, bytes + at, step));
        at += step;
        ck_assert_uint_eq(vx_writer_length(writer), at);
    }
    ck_assert_int_eq(scratch_entries(0), 0); /* no name before commit */
    ck_ok(vx_writer_commit(writer));
    ck_assert(scratch_holds("a", bytes, LARGE));
    ck_assert_int_eq(scratch_entries(0), 1);
    vx_free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(patches_overwrite) {
    scratch_make();
    vx_writer *writer;
    ck_ok(vx_writer_open(scratch_path("a"), &writer));
    ck_ok(vx_writer_write(writer, "........", 8));
    ck_ok(vx_writer_patch(writer, 2, "ab", 2));
    ck_ok(vx_writer_write(writer, "tail", 4));
    ck_ok(vx_writer_patch(writer, 0, "X", 1));
    ck_assert_uint_eq(vx_writer_length(writer), 12);
    ck_ok(vx_writer_commit(writer));
    ck_assert(scratch_holds("a", "X.ab....tail", 12));
    scratch_remove();
}
END_TEST

START_TEST(a_commit_replaces_an_abort_does_not) {
    scratch_make();
    ck_ok(write_file(scratch_path("a"), "first", 5));
    vx_writer *writer;
    ck_ok(vx_writer_open(scratch_path("a"), &writer));
    ck_ok(vx_writer_write(writer, "second", 6));
    ck_assert(scratch_holds("a", "first", 5));
    vx_writer_abort(writer);
    vx_writer_abort(NULL);
    ck_assert(scratch_holds("a", "first", 5));
    ck_ok(write_file(scratch_path("a"), "third", 5));
    ck_assert(scratch_holds("a", "third", 5));
    ck_ok(write_file(scratch_path("a"), "", 0));
    ck_assert(scratch_holds("a", "", 0));
    ck_assert_int_eq(scratch_entries(0), 1);
    scratch_remove();
}
END_TEST

START_TEST(permissions_outlive_a_replacement) {
    scratch_make();
    ck_ok(write_file(scratch_path("a"), "old", 3));
    ck_assert_int_eq(chmod(scratch_path("a"), 0600), 0);
    ck_ok(write_file(scratch_path("a"), "new", 3));
    struct stat facts;
    ck_assert_int_eq(stat(scratch_path("a"), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777, 0600);
    ck_assert(scratch_holds("a", "new", 3));
    scratch_remove();
}
END_TEST

START_TEST(bare_names_go_to_the_working_folder) {
    scratch_make();
    ck_assert_int_eq(chdir(scratch), 0);
    ck_ok(write_file("bare", "x", 1));
    ck_ok(write_file("./dotted", "y", 1));
    ck_assert(scratch_holds("bare", "x", 1));
    ck_assert(scratch_holds("dotted", "y", 1));
    ck_assert_int_eq(chdir("/"), 0);
    scratch_remove();
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_file) {
    scratch_make();
    unsigned char *bytes = pattern(LARGE);
    const int64_t fill[] = {0, 1, 1000, 1 << 20, LARGE - 1};
    ck_ok(write_file(scratch_path("a"), "old", 3));
    for (size_t i = 0; i < VX_COUNT(fill); i++) {
        vx_write_fail_after(fill[i]);
        ck_fails(VINDEX_ERR_IO, "No space left", write_file(scratch_path("a"), bytes, LARGE));
        ck_fails(VINDEX_ERR_IO, "No space left", write_file(scratch_path("new"), bytes, LARGE));
        vx_write_fail_after(-1);
        ck_assert(scratch_holds("a", "old", 3));
        ck_assert_int_eq(scratch_entries(0), 1);
    }
    vx_write_fail_after(LARGE);
    ck_ok(write_file(scratch_path("a"), bytes, LARGE));
    vx_write_fail_after(-1);
    ck_assert(scratch_holds("a", bytes, LARGE));
    vx_free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(a_failure_stays) {
    scratch_make();
    vx_writer *writer;
    ck_ok(vx_writer_open(scratch_path("a"), &writer));
    ck_ok(vx_writer_write(writer, "12345678", 8));
    vx_write_fail_after(7);
    ck_fails(VINDEX_ERR_IO, "No space left", vx_writer_patch(writer, 0, "x", 1));
    vx_write_fail_after(-1);
    ck_fails(VINDEX_ERR_IO, "No space left", vx_writer_write(writer, "x", 1));
    ck_fails(VINDEX_ERR_IO, "No space left", vx_writer_patch(writer, 0, "x", 1));
    ck_fails(VINDEX_ERR_IO, scratch, vx_writer_commit(writer));
    ck_assert_int_eq(scratch_entries(0), 0);
    scratch_remove();
}
END_TEST

START_TEST(the_system_s_limit_leaves_the_old_file) {
    scratch_make();
    unsigned char *bytes = pattern(LARGE);
    ck_ok(write_file(scratch_path("a"), "old", 3));
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 3 << 20;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    vindex_status status = write_file(scratch_path("a"), bytes, LARGE);
    setrlimit(RLIMIT_FSIZE, &before); /* Check itself writes files */
    ck_assert_int_eq(status, VINDEX_ERR_IO);
    ck_assert_ptr_nonnull(strstr(vindex_last_error(), "File too large"));
    ck_assert(scratch_holds("a", "old", 3));
    ck_assert_int_eq(scratch_entries(0), 1);
    vx_free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(impossible_targets_fail_at_once) {
    scratch_make();
    vx_writer *writer = NULL;
    ck_fails(VINDEX_ERR_IO, "is a folder", vx_writer_open(scratch, &writer));
    ck_fails(VINDEX_ERR_IO, "Is a directory", vx_writer_open(scratch_path("new/"), &writer));
    ck_fails(VINDEX_ERR_NOT_FOUND, "missing/a", vx_writer_open(scratch_path("missing/a"), &writer));
    ck_fails(VINDEX_ERR_NOT_FOUND, "", vx_writer_open("", &writer));
    ck_fails(VINDEX_ERR_IO, "is a device", vx_writer_open("/dev/null", &writer));
    ck_assert_int_eq(mkfifo(scratch_path("pipe"), 0600), 0);
    ck_fails(VINDEX_ERR_IO, "or a pipe", vx_writer_open(scratch_path("pipe"), &writer));
    ck_ok(write_file(scratch_path("a"), "x", 1));
    ck_fails(VINDEX_ERR_IO, "Not a directory", vx_writer_open(scratch_path("a/b"), &writer));
    char lengthy[300];
    memset(lengthy, 'n', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = 0;
    ck_fails(VINDEX_ERR_IO, "too long", vx_writer_open(scratch_path(lengthy), &writer));
    ck_assert_ptr_null(writer);
    ck_assert_int_eq(scratch_entries(0), 2);
    scratch_remove();
}
END_TEST

START_TEST(long_names_leave_room_for_the_hidden_one) {
    scratch_make();
    char lengthy[256];
    memset(lengthy, 'n', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = 0;
    ck_ok(write_file(scratch_path(lengthy), "x", 1));
    ck_assert(scratch_holds(lengthy, "x", 1));
    scratch_remove();
}
END_TEST

START_TEST(a_folder_in_the_way_at_the_end) {
    scratch_make();
    vx_writer *writer;
    ck_ok(vx_writer_open(scratch_path("a"), &writer));
    ck_assert_int_eq(mkdir(scratch_path("a"), 0700), 0);
    ck_fails(VINDEX_ERR_IO, "directory", vx_writer_commit(writer));
    ck_assert_int_eq(scratch_entries(0), 1);
    scratch_remove();
}
END_TEST

/* What a crashed process of the same number leaves behind must not stand in the way. */
START_TEST(leftovers_are_passed_over) {
    scratch_make();
    char name[100];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, ".a.%ld-%d.tmp", (long)getpid(), i);
        scratch_write(name, "left", 4);
    }
    ck_ok(write_file(scratch_path("a"), "x", 1));
    ck_assert(scratch_holds("a", "x", 1));
    ck_assert_int_eq(scratch_entries(0), 21);
    scratch_remove();
}
END_TEST

START_TEST(every_failed_allocation_is_survived) {
    scratch_make();
    ck_ok(write_file(scratch_path("a"), "old", 3));
    long after = 0;
    for (;; after++) {
        vx_alloc_fail_after(after);
        vindex_status status = write_file(scratch_path("a"), "new", 3);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) break;
        ck_assert(status == VINDEX_ERR_MEMORY || status == VINDEX_ERR_IO);
        ck_assert(scratch_holds("a", "old", 3));
        ck_assert_int_eq(scratch_entries(0), 1);
    }
    ck_assert_int_ge(after, 4);
    ck_assert(scratch_holds("a", "new", 3));
    scratch_remove();
}
END_TEST

static void *write_often(void *letter) {
    unsigned char *bytes = vx_alloc(100000, 1);
    memset(bytes, *(char *)letter, 100000);
    for (int i = 0; i < 20; i++)
        if (write_file(scratch_path("shared"), bytes, 100000) != VINDEX_OK) *(char *)letter = '!';
    vx_free(bytes);
    return NULL;
}

START_TEST(writers_of_one_path_do_not_mix) {
    scratch_make();
    char letters[] = "abcd";
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, write_often, &letters[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    ck_assert_str_eq(letters, "abcd");
    size_t length;
    unsigned char *bytes = scratch_read("shared", &length);
    ck_assert_uint_eq(length, 100000);
    for (size_t i = 1; i < length; i++) ck_assert_uint_eq(bytes[i], bytes[0]);
    free(bytes);
    ck_assert_int_eq(scratch_entries(0), 1);
    scratch_remove();
}
END_TEST

START_TEST(maps_show_whole_files) {
    scratch_make();
    unsigned char *bytes = pattern(LARGE);
    scratch_write("a", bytes, LARGE);
    scratch_write("empty", "", 0);
    vx_map map;
    ck_ok(vx_map_open(scratch_path("a"), &map));
    ck_assert_uint_eq(map.length, LARGE);
    ck_assert_mem_eq(map.bytes, bytes, LARGE);
    ck_ok(write_file(scratch_path("a"), "replaced", 8)); /* the map keeps the old file */
    ck_assert_mem_eq(map.bytes, bytes, LARGE);
    vx_map_close(&map);
    vx_map_close(&map);
    ck_ok(vx_map_open(scratch_path("empty"), &map));
    ck_assert_uint_eq(map.length, 0);
    ck_assert_ptr_nonnull(map.bytes);
    vx_map_close(&map);
    ck_fails(VINDEX_ERR_NOT_FOUND, "missing", vx_map_open(scratch_path("missing"), &map));
    ck_fails(VINDEX_ERR_IO, "is a folder", vx_map_open(scratch, &map));
    ck_assert_int_eq(mkfifo(scratch_path("pipe"), 0600), 0);
    ck_fails(VINDEX_ERR_IO, "or a pipe", vx_map_open(scratch_path("pipe"), &map));
    vx_free(bytes);
    scratch_remove();
}
END_TEST

TEST_MAIN("core/file", pieces_of_any_size_arrive, patches_overwrite,
          a_commit_replaces_an_abort_does_not, permissions_outlive_a_replacement,
          bare_names_go_to_the_working_folder, a_full_disk_leaves_the_old_file, a_failure_stays,
          the_system_s_limit_leaves_the_old_file, impossible_targets_fail_at_once,
          long_names_leave_room_for_the_hidden_one, a_folder_in_the_way_at_the_end,
          leftovers_are_passed_over, every_failed_allocation_is_survived,
          writers_of_one_path_do_not_mix, maps_show_whole_files)
