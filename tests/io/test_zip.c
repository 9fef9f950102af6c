/* Zip files: written by libzip, then made to lie. */
#include "io/zip.h"

#include <zip.h>

#include "containers.h"

enum { SIZE = 3000 };

/* Writes a.zip with two members, the first stored or deflated; answers its path. */
static const char *make_zip(bool deflate, const char *second) {
    static unsigned char first[SIZE];
    for (int i = 0; i < SIZE; i++) first[i] = (unsigned char)(i * 7 % 251 * (i / 100 % 2));
    const char *path = scratch_path("a.zip");
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert_ptr_nonnull(zip);
    zip_file_add(zip, "dir/first", zip_source_buffer(zip, first, SIZE, 0), 0);
    zip_file_add(zip, second, zip_source_buffer(zip, "second", 6, 0), 0);
    zip_set_file_compression(zip, 0, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
    zip_set_file_compression(zip, 1, ZIP_CM_STORE, 0);
    ck_assert_int_eq(zip_close(zip), 0);
    return path;
}

static vindex_status try_zip(const char *path) {
    vx_map map;
    vx_zip *zip;
    ck_ok(vx_map_open(path, &map));
    vindex_status status = vx_zip_open(path, &map, &zip);
    if (status == VINDEX_OK) {
        for (size_t i = 0; i < vx_zip_count(zip); i++) {
            const vx_zip_entry *entry = vx_zip_get(zip, i);
            unsigned char *room = malloc(entry->size + 1);
            if (status == VINDEX_OK) status = vx_zip_read(zip, i, entry->size, room);
            if (status == VINDEX_OK && entry->bytes && memcmp(entry->bytes, room, entry->size))
                status = VINDEX_ERR_CORRUPT;
            free(room);
        }
        vx_zip_close(zip);
    }
    vx_map_close(&map);
    return status;
}

START_TEST(members_are_found_and_read) {
    scratch_make();
    for (int deflate = 0; deflate < 2; deflate++) {
        const char *path = make_zip(deflate, "second");
        vx_map map;
        vx_zip *zip;
        ck_ok(vx_map_open(path, &map));
        ck_ok(vx_zip_open(path, &map, &zip));
        ck_assert_uint_eq(vx_zip_count(zip), 2);
        size_t first = 9, second = 9;
        ck_assert(vx_zip_find(zip, "dir/first", &first) && vx_zip_find(zip, "second", &second));
        ck_assert(!vx_zip_find(zip, "dir", &first) && !vx_zip_find(zip, "third", &first));
        ck_assert_uint_eq(first, 0);
        ck_assert_uint_eq(second, 1);
        const vx_zip_entry *entry = vx_zip_get(zip, 0);
        ck_assert_uint_eq(entry->size, SIZE);
        ck_assert_str_eq(entry->name, "dir/first");
        ck_assert((entry->bytes == NULL) == (deflate == 1));
        ck_assert_mem_eq(vx_zip_get(zip, 1)->bytes, "second", 6);
        unsigned char room[SIZE];
        ck_ok(vx_zip_read(zip, 0, SIZE, room));
        for (int i = 0; i < SIZE; i++) ck_each(room[i] == i * 7 % 251 * (i / 100 % 2), "%d", i);
        if (entry->bytes) ck_assert_mem_eq(entry->bytes, room, SIZE);
        memset(room, 0, sizeof room);
        ck_ok(vx_zip_read(zip, 0, 110, room)); /* the front of it */
        ck_assert(room[109] == 109 * 7 % 251 && !room[110]);
        vx_zip_close(zip);
        vx_map_close(&map);
        ck_ok(try_zip(path));
    }
    vx_zip_close(NULL);
    scratch_remove();
}
END_TEST

/* Where a signature stands in the file for the nth time from the end, counted from 1. */
static size_t find_last(const unsigned char *bytes, size_t length, const char *signature, int nth) {
    for (size_t at = length - 4;; at--)
        if (!memcmp(bytes + at, signature, 4) && --nth == 0) return at;
}

/* Makes the file with `count` bytes changed at an offset behind a record of the directory. */
static const char *lie(bool deflate, const char *signature, int nth, size_t offset,
                       const char *change, size_t count) {
    make_zip(deflate, "second");
    size_t length;
    unsigned char *bytes = load_file(scratch_path("a.zip"), &length);
    memcpy(bytes + find_last(bytes, length, signature, nth) + offset, change, count);
    write_anew("lie.zip", bytes, length);
    free(bytes);
    return scratch_path("lie.zip");
}

START_TEST(archives_that_lie_are_refused) {
    scratch_make();
    static const char central[] = "PK\1\2", end[] = "PK\5\6";
    /* The directory's entry of the first member is the last but one. Packed bytes at 20, size at
     * 24, flags at 8, method at 10, local header at 42. */
    ck_fails(VINDEX_ERR_FORMAT, "which cannot be",
             try_zip(lie(false, central, 2, 24, "\xb9\x0b", 2)));
    ck_fails(VINDEX_ERR_FORMAT, "which cannot be",
             try_zip(lie(true, central, 2, 24, "\0\0\0\x40", 4)));
    ck_fails(VINDEX_ERR_FORMAT, "of the", try_zip(lie(true, central, 2, 20, "\0\0\0\x40", 4)));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "method 12", try_zip(lie(true, central, 2, 10, "\x0c", 1)));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "is encrypted", try_zip(lie(true, central, 2, 8, "\1", 1)));
    ck_fails(VINDEX_ERR_FORMAT, "not where its directory says",
             try_zip(lie(true, central, 2, 42, "\1", 1)));
    ck_fails(VINDEX_ERR_FORMAT, "not where its directory says",
             try_zip(lie(true, central, 2, 42, "\0\0\0\x7f", 4)));
    /* Sizes that are possible but wrong: found when the member is read. */
    ck_fails(VINDEX_ERR_CORRUPT, "does not inflate to the 2999 bytes",
             try_zip(lie(true, central, 2, 24, "\xb7\x0b", 2)));
    ck_fails(VINDEX_ERR_CORRUPT, "does not inflate to the 3001 bytes",
             try_zip(lie(true, central, 2, 24, "\xb9\x0b", 2)));
    ck_assert_int_ne(try_zip(lie(true, end, 1, 16, "\1", 1)), VINDEX_OK);
    ck_assert_int_ne(try_zip(lie(true, end, 1, 10, "\3", 1)), VINDEX_OK);
    scratch_remove();
}
END_TEST

START_TEST(names_come_once) {
    scratch_make();
    make_zip(false, "dir/firsu");
    size_t length;
    unsigned char *bytes = load_file(scratch_path("a.zip"), &length);
    for (size_t at = 0; at + 9 <= length; at++)
        if (!memcmp(bytes + at, "dir/firsu", 9)) bytes[at + 8] = 't';
    write_anew("twice.zip", bytes, length);
    free(bytes);
    ck_fails(VINDEX_ERR_FORMAT, "'dir/first' comes twice", try_zip(scratch_path("twice.zip")));
    scratch_remove();
}
END_TEST

START_TEST(bombs_are_refused) {
    scratch_make();
    const size_t zeros = (size_t)300 << 20;
    unsigned char *nothing = calloc(zeros, 1);
    const char *path = scratch_path("bomb.zip");
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert_ptr_nonnull(nothing);
    ck_assert_ptr_nonnull(zip);
    zip_file_add(zip, "zeros", zip_source_buffer(zip, nothing, zeros, 0), 0);
    zip_set_file_compression(zip, 0, ZIP_CM_DEFLATE, 1);
    ck_assert_int_eq(zip_close(zip), 0);
    free(nothing);
    ck_fails(VINDEX_ERR_UNSUPPORTED, "as zip bombs do", try_zip(path));
    scratch_remove();
}
END_TEST

START_TEST(damage_is_survived) {
    scratch_make();
    for (int deflate = 0; deflate < 2; deflate++) {
        make_zip(deflate, "second");
        size_t length;
        unsigned char *bytes = load_file(scratch_path("a.zip"), &length);
        for (size_t cut = 0; cut < length; cut += 1 + (cut < length - 300) * 50) {
            write_anew("b.zip", bytes, cut);
            ck_assert_int_ne(try_zip(scratch_path("b.zip")), VINDEX_OK);
        }
        for (size_t at = 0; at < length; at += 1 + (at > 50 && at < length - 300) * 20) {
            bytes[at] ^= 0xff;
            write_anew("b.zip", bytes, length);
            vindex_status status = try_zip(scratch_path("b.zip"));
            /* What is stored has no checksum of ours; libzip has, and sees it. */
            ck_assert(status != VINDEX_OK || at < 50 || at > length - 300);
            bytes[at] ^= 0xff;
        }
        free(bytes);
    }
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    scratch_make();
    const char *path = make_zip(true, "second");
    vx_map map;
    ck_ok(vx_map_open(path, &map));
    vindex_status status = VINDEX_ERR_MEMORY;
    for (long after = 0; status != VINDEX_OK; after++) {
        vx_zip *zip = NULL;
        vx_alloc_fail_after(after);
        status = vx_zip_open(path, &map, &zip);
        vx_alloc_fail_after(-1);
        ck_assert(status == VINDEX_OK || status == VINDEX_ERR_MEMORY);
        vx_zip_close(zip);
    }
    vx_map_close(&map);
    scratch_remove();
}
END_TEST

TEST_MAIN("io/zip", members_are_found_and_read, archives_that_lie_are_refused, names_come_once,
          bombs_are_refused, damage_is_survived, memory_may_run_out_anywhere)
