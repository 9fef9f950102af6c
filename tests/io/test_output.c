/* Files of results: complete or not there at all. */
#include "files.h"

#include "core/base.h"
#include "core/file.h"

static vindex_status write_twice(const char *path, const char *text) {
    vindex_output *output;
    VX_TRY(vindex_output_create(path, &output));
    vindex_status status = vindex_output_write(output, text, strlen(text));
    if (status == VINDEX_OK) status = vindex_output_write(output, text, strlen(text));
    if (status == VINDEX_OK) return vindex_output_finish(output);
    vindex_output_abort(output);
    return status;
}

START_TEST(a_file_appears_when_it_is_complete) {
    scratch_make();
    vindex_output *output;
    ck_ok(vindex_output_create(scratch_path("a.txt"), &output));
    ck_ok(vindex_output_write(output, "abc", 3));
    ck_assert_int_eq(scratch_entries(0), 0);
    ck_ok(vindex_output_finish(output));
    ck_assert(scratch_holds("a.txt", "abc", 3));
    ck_ok(write_twice(scratch_path("a.txt"), "de"));
    ck_assert(scratch_holds("a.txt", "dede", 4));
    scratch_remove();
}
END_TEST

START_TEST(giving_up_leaves_the_older_file) {
    scratch_make();
    scratch_write("a.txt", "old", 3);
    vindex_output *output;
    ck_ok(vindex_output_create(scratch_path("a.txt"), &output));
    ck_ok(vindex_output_write(output, "new", 3));
    vindex_output_abort(output);
    vindex_output_abort(NULL);
    vx_write_fail_after(0);
    vindex_status status = write_twice(scratch_path("a.txt"), "new");
    vx_write_fail_after(-1);
    ck_assert_int_eq(status, VINDEX_ERR_IO);
    ck_assert(scratch_holds("a.txt", "old", 3));
    ck_assert_int_eq(scratch_entries(0), 1);
    scratch_remove();
}
END_TEST

START_TEST(places_that_are_refused) {
    scratch_make();
    ck_fails(VINDEX_ERR_NOT_FOUND, "nowhere", write_twice(scratch_path("nowhere/a.txt"), "x"));
    ck_fails(VINDEX_ERR_IO, "a folder", write_twice(scratch, "x"));
    ck_fails(VINDEX_ERR_IO, "a device", write_twice("/dev/null", "x"));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", write_twice(NULL, "x"));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_output_create(scratch_path("a.txt"), NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_output_write(NULL, "x", 1));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_output_finish(NULL));
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    scratch_make();
    vindex_status status = VINDEX_ERR_MEMORY;
    for (long after = 0; status != VINDEX_OK; after++) {
        ck_assert_int_eq(scratch_entries(0), 0);
        vx_alloc_fail_after(after);
        status = write_twice(scratch_path("a.txt"), "x");
        vx_alloc_fail_after(-1);
        ck_assert_msg(status == VINDEX_OK || status == VINDEX_ERR_MEMORY, "%s",
                      vindex_last_error());
    }
    scratch_remove();
}
END_TEST

TEST_MAIN("io/output", a_file_appears_when_it_is_complete, giving_up_leaves_the_older_file,
          places_that_are_refused, memory_may_run_out_anywhere)
