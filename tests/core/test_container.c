/* Containers: what was written comes back; whatever a file holds instead is a clear error. */
#include "core/container.h"

#include "../harness.h"

#include <time.h>
#include <xxhash.h>

#include "core/file.h"
#include "core/rng.h"
#include "scratch.h"

enum { KIND = VX_KIND_INDEX, HEAD = 64, LINE = 32 };

/* Three sections: of odd length, empty, of whole blocks. The table is 96 bytes long, so that it has
 * padding too. */
static vindex_status write_sample(const char *path) {
    unsigned char blocks[128];
    vx_container_writer *writer;
    for (int i = 0; i < 128; i++) blocks[i] = (unsigned char)(255 - i);
    VX_TRY(vx_container_create(path, KIND, 0, 3, &writer));
    vx_container_begin(writer, "odd");
    vx_container_append(writer, "hel", 3);
    vx_container_append(writer, NULL, 0);
    vx_container_append(writer, "lo", 2);
    vx_container_end(writer);
    vx_container_section(writer, "empty", NULL, 0);
    vx_container_section(writer, "8letters", blocks, sizeof blocks);
    return vx_container_commit(writer); /* answers any failure above */
}

/* Opens and verifies a file of these bytes. */
static vindex_status open_and_verify(const void *bytes, size_t length) {
    scratch_write("t", bytes, length);
    vx_container *container;
    VX_TRY(vx_container_open(scratch_path("t"), KIND, &container));
    vindex_status status = vx_container_verify(container, NULL);
    vx_container_close(container);
    return status;
}

static unsigned char *sample(size_t *length) {
    ck_ok(write_sample(scratch_path("sample")));
    unsigned char *bytes = scratch_read("sample", length);
    ck_assert_uint_eq(*length, 64 + 128 + 64 + 128);
    return bytes;
}

/* Makes all hashes of header and table right again. */
static void sign(unsigned char *bytes) {
    vx_put_u64(bytes + 48, XXH3_64bits(bytes + HEAD, (size_t)vx_get_u32(bytes + 32) * LINE));
    vx_put_u64(bytes + 56, XXH3_64bits(bytes, 56));
}

START_TEST(sections_come_back) {
    scratch_make();
    const char *path = scratch_path("sample");
    ck_ok(write_sample(path));
    vx_container *container;
    vx_section section;
    ck_ok(vx_container_open(path, KIND, &container));
    ck_assert_str_eq(vx_container_path(container), path);
    ck_assert_uint_eq(vx_container_length(container), 384);
    ck_assert_uint_eq(vx_container_sections(container), 3);
    ck_assert(vx_container_has(container, "odd"));
    ck_assert(!vx_container_has(container, "od"));
    ck_assert(!vx_container_has(container, ""));
    for (int verify = 0; verify < 2; verify++) {
        ck_ok(vx_container_find(container, "odd", verify, &section));
        ck_assert_uint_eq(section.length, 5);
        ck_assert_mem_eq(section.bytes, "hello", 5);
        ck_assert_uint_eq((uintptr_t)section.bytes % 64, 0);
        ck_ok(vx_container_find(container, "empty", verify, &section));
        ck_assert_uint_eq(section.length, 0);
        ck_ok(vx_container_find(container, "8letters", verify, &section));
        ck_assert_uint_eq(section.length, 128);
        ck_assert_uint_eq(section.bytes[127], 128);
        ck_fails(VINDEX_ERR_FORMAT, "no section 'ids'",
                 vx_container_find(container, "ids", verify, &section));
    }
    char tag[9];
    uint64_t length;
    vx_container_describe(container, 2, tag, &length);
    ck_assert_str_eq(tag, "8letters");
    ck_assert_uint_eq(length, 128);
    ck_ok(vx_container_verify(container, NULL));
    vx_container_close(container);
    vx_container_close(NULL);
    scratch_remove();
}
END_TEST

START_TEST(the_layout_is_pinned) {
    scratch_make();
    size_t length;
    unsigned char *bytes = sample(&length);
    static const unsigned char head[48] = {
        'V',  'I', 'N', 'D', 'E', 'X', '\r', '\n', 1, 0, 0, 0, 1, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0,
        0x80, 1,   0,   0,   0,   0,   0,    0,    3, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0};
    ck_assert_mem_eq(bytes, head, sizeof head);
    ck_assert_uint_eq(vx_get_u64(bytes + 48), XXH3_64bits(bytes + 64, 96));
    ck_assert_uint_eq(vx_get_u64(bytes + 56), XXH3_64bits(bytes, 56));
    ck_assert_mem_eq(bytes + 64, "odd\0\0\0\0\0", 8);
    ck_assert_uint_eq(vx_get_u64(bytes + 72), 192);
    ck_assert_uint_eq(vx_get_u64(bytes + 80), 5);
    ck_assert_uint_eq(vx_get_u64(bytes + 88), XXH3_64bits("hello", 5));
    ck_assert_mem_eq(bytes + 128, "8letters", 8);
    ck_assert_uint_eq(vx_get_u64(bytes + 136), 256);
    ck_assert_uint_eq(vx_get_u64(bytes + 144), 128);
    free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(every_flipped_bit_is_seen) {
    scratch_make();
    size_t length;
    unsigned char *bytes = sample(&length);
    ck_ok(open_and_verify(bytes, length));
    for (size_t bit = 0; bit < 8 * length; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        vindex_status status = open_and_verify(bytes, length);
        ck_assert_msg(status == VINDEX_ERR_FORMAT || status == VINDEX_ERR_CORRUPT ||
                          status == VINDEX_ERR_VERSION,
                      "bit %zu: %s", bit, vindex_status_name(status));
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(every_cut_and_every_addition_is_seen) {
    scratch_make();
    size_t length;
    unsigned char *bytes = sample(&length);
    bytes = realloc(bytes, length + 128);
    memset(bytes + length, 0, 128);
    for (size_t cut = 0; cut < length + 128; cut++)
        if (cut != length)
            ck_fails(VINDEX_ERR_FORMAT,
                     cut < 64       ? "not a vindex file"
                     : cut < length ? "was cut"
                                    : "after its",
                     open_and_verify(bytes, cut));
    free(bytes);
    scratch_remove();
}
END_TEST

/* Header and table that lie although their hashes are right. */
START_TEST(signed_lies_are_seen) {
    static const struct {
        size_t offset;
        int width; /* 4 or 8 bytes */
        uint64_t value;
        vindex_status status;
        const char *mentions;
    } lies[] = {
        {8, 4, 2, VINDEX_ERR_VERSION, "format version 2"},
        {8, 4, UINT32_MAX, VINDEX_ERR_VERSION, "format version 4294967295"},
        {8, 4, 0, VINDEX_ERR_FORMAT, "format version 0"},
        {12, 4, VX_KIND_TRANSFORM, VINDEX_ERR_FORMAT, "kind 2"},
        {12, 4, 0, VINDEX_ERR_FORMAT, "kind 0"},
        {16, 8, 1, VINDEX_ERR_VERSION, "bits 0x1"},
        {16, 8, UINT64_C(1) << 63, VINDEX_ERR_VERSION, "bits 0x8000000000000000"},
        {24, 8, 0, VINDEX_ERR_FORMAT, "header says 0"},
        {24, 8, 383, VINDEX_ERR_FORMAT, "after its end"},
        {24, 8, 385, VINDEX_ERR_FORMAT, "was cut"},
        {24, 8, UINT64_MAX, VINDEX_ERR_FORMAT, "was cut"},
        {32, 4, 2, VINDEX_ERR_FORMAT, "section 'odd'"},
        {32, 4, 4, VINDEX_ERR_FORMAT, "impossible tag"},
        {32, 4, 11, VINDEX_ERR_FORMAT, "more sections than fit"},
        {32, 4, 1024, VINDEX_ERR_FORMAT, "more sections than fit"},
        {32, 4, UINT32_MAX, VINDEX_ERR_FORMAT, "more sections than fit"},
        {36, 4, 1, VINDEX_ERR_FORMAT, "elsewhere"},
        {40, 8, 0, VINDEX_ERR_FORMAT, "elsewhere"},
        {40, 8, 128, VINDEX_ERR_FORMAT, "elsewhere"},
        {40, 8, UINT64_MAX, VINDEX_ERR_FORMAT, "elsewhere"},
        {64, 8, 0, VINDEX_ERR_FORMAT, "impossible tag"},
        {64, 8, 0x0061000000000000, VINDEX_ERR_FORMAT, "impossible tag"}, /* begins with a zero */
        {64, 8, 0x0000610062646f, VINDEX_ERR_FORMAT, "impossible tag"},   /* a letter after it */
        {64, 8, 0x1b5b324a, VINDEX_ERR_FORMAT, "impossible tag"}, /* what clears a terminal */
        {64, 8, 0xe4, VINDEX_ERR_FORMAT, "impossible tag"},
        {72, 8, 0, VINDEX_ERR_FORMAT, "section 'odd'"},
        {72, 8, 191, VINDEX_ERR_FORMAT, "section 'odd'"},
        {72, 8, 193, VINDEX_ERR_FORMAT, "section 'odd'"},
        {72, 8, 256, VINDEX_ERR_FORMAT, "section 'odd'"},
        {72, 8, UINT64_MAX, VINDEX_ERR_FORMAT, "section 'odd'"},
        {80, 8, 65, VINDEX_ERR_FORMAT, "section 'empty'"},
        {80, 8, 193, VINDEX_ERR_FORMAT, "section 'odd'"},
        {80, 8, UINT64_MAX, VINDEX_ERR_FORMAT, "section 'odd'"},
        {80, 8, UINT64_MAX - 191, VINDEX_ERR_FORMAT, "section 'odd'"},
        {80, 8, UINT64_MAX - 62, VINDEX_ERR_FORMAT, "section 'odd'"},
        {80, 8, 6, VINDEX_ERR_CORRUPT, "section 'odd'"},
        {80, 8, 4, VINDEX_ERR_CORRUPT, "section 'odd'"},
        {88, 8, 0, VINDEX_ERR_CORRUPT, "section 'odd'"},
        {104, 8, 192, VINDEX_ERR_FORMAT, "section 'empty'"}, /* overlaps the one before */
        {112, 8, 1, VINDEX_ERR_FORMAT, "section '8letters'"},
        {136, 8, 192, VINDEX_ERR_FORMAT, "section '8letters'"},
        {144, 8, 64, VINDEX_ERR_FORMAT, "follows the last section"},
        {144, 8, 129, VINDEX_ERR_FORMAT, "section '8letters'"},
        {96, 8, 0x64646f, VINDEX_ERR_FORMAT, "two sections 'odd'"},
    };
    scratch_make();
    size_t length;
    unsigned char *bytes = sample(&length), *copy = malloc(length);
    for (size_t i = 0; i < VX_COUNT(lies); i++) {
        memcpy(copy, bytes, length);
        if (lies[i].width == 4)
            vx_put_u32(copy + lies[i].offset, (uint32_t)lies[i].value);
        else
            vx_put_u64(copy + lies[i].offset, lies[i].value);
        if (vx_get_u32(copy + 32) <= 10)
            sign(copy);
        else
            vx_put_u64(copy + 56, XXH3_64bits(copy, 56));
        ck_fails(lies[i].status, lies[i].mentions, open_and_verify(copy, length));
        ck_assert_ptr_nonnull(strstr(vindex_last_error(), scratch));
    }
    free(copy);
    free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(padding_must_be_zero) {
    scratch_make();
    size_t length;
    unsigned char *bytes = sample(&length);
    bytes[160] = 1; /* after the table: no hash covers it, so only the check can see it */
    ck_fails(VINDEX_ERR_CORRUPT, "padding of the table", open_and_verify(bytes, length));
    bytes[160] = 0;
    bytes[192 + 63] = 1;
    ck_fails(VINDEX_ERR_CORRUPT, "section 'odd'", open_and_verify(bytes, length));
    free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(other_files_are_refused) {
    scratch_make();
    vx_container *container = NULL;
    ck_fails(VINDEX_ERR_FORMAT, "not a vindex file", open_and_verify("", 0));
    ck_fails(VINDEX_ERR_FORMAT, "not a vindex file", open_and_verify("VINDEX\r\n", 8));
    char text[200];
    memset(text, 'a', sizeof text);
    ck_fails(VINDEX_ERR_FORMAT, "not a vindex file", open_and_verify(text, sizeof text));
    memcpy(text, "VINDEX\n\n", 8); /* what a transfer as text does to the magic */
    ck_fails(VINDEX_ERR_FORMAT, "not a vindex file", open_and_verify(text, sizeof text));
    ck_fails(VINDEX_ERR_NOT_FOUND, "missing",
             vx_container_open(scratch_path("missing"), KIND, &container));
    ck_fails(VINDEX_ERR_IO, "folder", vx_container_open(scratch, KIND, &container));
    ck_ok(write_sample(scratch_path("sample")));
    ck_fails(VINDEX_ERR_FORMAT, "kind 1 where kind 2",
             vx_container_open(scratch_path("sample"), VX_KIND_TRANSFORM, &container));
    ck_assert_ptr_null(container);
    scratch_remove();
}
END_TEST

START_TEST(a_container_may_be_empty_or_full) {
    scratch_make();
    const uint32_t counts[] = {0, 1, 2, 3, 1023, VX_SECTIONS_MAX};
    vx_container_writer *writer = NULL;
    vx_container *container;
    for (size_t i = 0; i < VX_COUNT(counts); i++) {
        ck_ok(vx_container_create(scratch_path("a"), KIND, 0, counts[i], &writer));
        for (uint32_t j = 0; j < counts[i]; j++) {
            char tag[16];
            snprintf(tag, sizeof tag, "%u", (unsigned)j);
            ck_ok(vx_container_section(writer, tag, tag, strlen(tag)));
        }
        ck_ok(vx_container_commit(writer));
        ck_ok(vx_container_open(scratch_path("a"), KIND, &container));
        ck_assert_uint_eq(vx_container_sections(container), counts[i]);
        ck_ok(vx_container_verify(container, NULL));
        vx_container_close(container);
    }
    ck_fails(VINDEX_ERR_ARGUMENT, "at most 1024",
             vx_container_create(scratch_path("a"), KIND, 0, VX_SECTIONS_MAX + 1, &writer));
    scratch_remove();
}
END_TEST

START_TEST(misuse_of_a_writer_is_told_and_kept) {
    scratch_make();
    vx_container_writer *writer;
    const char *path = scratch_path("a");
    ck_ok(vx_container_create(path, KIND, 0, 1, &writer));
    ck_fails(VINDEX_ERR_STATE, "outside a section", vx_container_append(writer, "x", 1));
    ck_fails(VINDEX_ERR_STATE, "outside a section", vx_container_section(writer, "b", "x", 1));
    ck_fails(VINDEX_ERR_STATE, "outside a section", vx_container_commit(writer));

    const char *const tags[] = {"", "ninechars", "white ", "\x1b[2J", "\xc3\xa4"};
    for (size_t i = 0; i < VX_COUNT(tags); i++) {
        ck_ok(vx_container_create(path, KIND, 0, 1, &writer));
        ck_fails(VINDEX_ERR_ARGUMENT, "1 to 8", vx_container_begin(writer, tags[i]));
        ck_fails(VINDEX_ERR_ARGUMENT, "1 to 8", vx_container_commit(writer));
    }
    ck_ok(vx_container_create(path, KIND, 0, 2, &writer));
    ck_ok(vx_container_section(writer, "b", "x", 1));
    ck_fails(VINDEX_ERR_ARGUMENT, "twice", vx_container_begin(writer, "b"));
    vx_container_abort(writer);
    ck_ok(vx_container_create(path, KIND, 0, 2, &writer));
    ck_ok(vx_container_begin(writer, "b"));
    ck_fails(VINDEX_ERR_STATE, "inside another", vx_container_begin(writer, "c"));
    vx_container_abort(writer);
    ck_ok(vx_container_create(path, KIND, 0, 1, &writer));
    ck_fails(VINDEX_ERR_STATE, "no section to end", vx_container_end(writer));
    vx_container_abort(writer);
    ck_ok(vx_container_create(path, KIND, 0, 1, &writer));
    ck_ok(vx_container_begin(writer, "b"));
    ck_fails(VINDEX_ERR_STATE, "without its end", vx_container_commit(writer));
    ck_ok(vx_container_create(path, KIND, 0, 2, &writer));
    ck_ok(vx_container_section(writer, "b", "x", 1));
    ck_fails(VINDEX_ERR_STATE, "1 of 2 sections", vx_container_commit(writer));
    ck_ok(vx_container_create(path, KIND, 0, 1, &writer));
    ck_ok(vx_container_section(writer, "b", "x", 1));
    ck_fails(VINDEX_ERR_STATE, "one more than the 1", vx_container_section(writer, "c", "x", 1));
    vx_container_abort(writer);
    vx_container_abort(NULL);
    ck_assert_int_eq(scratch_entries(0), 0);
    scratch_remove();
}
END_TEST

START_TEST(a_failed_save_leaves_the_old_file) {
    scratch_make();
    size_t length;
    unsigned char *bytes = sample(&length);
    long after = 0;
    for (;; after++) {
        vx_alloc_fail_after(after);
        vindex_status status = write_sample(scratch_path("sample"));
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) break;
        ck_assert(scratch_holds("sample", bytes, length));
    }
    ck_assert_int_ge(after, 6);
    /* The header is written twice: as zeros at first. */
    for (int64_t left = 0; left < (int64_t)length + 192; left += 16) {
        vx_write_fail_after(left);
        ck_fails(VINDEX_ERR_IO, "No space left", write_sample(scratch_path("sample")));
        vx_write_fail_after(-1);
        ck_assert(scratch_holds("sample", bytes, length));
        ck_assert_int_eq(scratch_entries(0), 1);
    }
    vx_container *container;
    for (after = 0;; after++) {
        vx_alloc_fail_after(after);
        vindex_status status = vx_container_open(scratch_path("sample"), KIND, &container);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) break;
        ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
    }
    ck_assert_int_ge(after, 3);
    vx_container_close(container);
    free(bytes);
    scratch_remove();
}
END_TEST

typedef struct watch {
    int calls;
    double last, cancel_at;
} watch;

static int look(void *context, const char *phase, double fraction) {
    watch *seen = context;
    ck_assert_str_eq(phase, "verify");
    ck_assert(fraction >= seen->last && fraction <= 1);
    seen->last = fraction;
    seen->calls++;
    return fraction >= seen->cancel_at;
}

START_TEST(verifying_tells_how_far_and_stops) {
    enum { BYTES = 33 << 20 };
    scratch_make();
    unsigned char *bytes = vx_alloc_zero(BYTES, 1);
    vx_container_writer *writer;
    vx_container *container;
    ck_ok(vx_container_create(scratch_path("a"), KIND, 0, 2, &writer));
    ck_ok(vx_container_section(writer, "small", "x", 1));
    ck_ok(vx_container_section(writer, "large", bytes, BYTES));
    ck_ok(vx_container_commit(writer));
    ck_ok(vx_container_open(scratch_path("a"), KIND, &container));
    watch seen = {.cancel_at = 2};
    vindex_call call;
    vindex_call_init(&call);
    call.progress = look;
    call.progress_context = &seen;
    ck_ok(vx_container_verify(container, &call));
    ck_assert_int_ge(seen.calls, 8);
    ck_assert_double_eq(seen.last, 1);
    seen = (watch){.cancel_at = 0.5};
    ck_fails(VINDEX_ERR_CANCELLED, "cancelled", vx_container_verify(container, &call));
    ck_assert_double_lt(seen.last, 0.7);
    call.threads = -1;
    ck_fails(VINDEX_ERR_ARGUMENT, "threads", vx_container_verify(container, &call));
    vx_container_close(container);
    vx_free(bytes);
    scratch_remove();
}
END_TEST

/* A sparse file of 16 GiB: what opening it reads cannot depend on its size. */
START_TEST(opening_does_not_touch_sections) {
    const uint64_t huge = UINT64_C(16) << 30;
    scratch_make();
    size_t length;
    unsigned char *bytes = sample(&length);
    vx_put_u64(bytes + 24, 256 + huge);
    vx_put_u64(bytes + 144, huge);
    sign(bytes);
    scratch_write("huge", bytes, 256);
    free(bytes);
    if (!truncate(scratch_path("huge"), (off_t)(256 + huge))) {
        struct timespec start, end;
        vx_container *container;
        vx_section section;
        clock_gettime(CLOCK_MONOTONIC, &start);
        ck_ok(vx_container_open(scratch_path("huge"), KIND, &container));
        ck_ok(vx_container_find(container, "8letters", false, &section));
        vx_container_close(container);
        clock_gettime(CLOCK_MONOTONIC, &end);
        ck_assert_uint_eq(section.length, huge);
        ck_assert_int_le(end.tv_sec - start.tv_sec, 1);
    }
    scratch_remove();
}
END_TEST

START_TEST(numbers_are_little_endian) {
    unsigned char bytes[9] = {0};
    vx_put_u32(bytes + 1, 0x81020304u);
    ck_assert_mem_eq(bytes + 1, "\x04\x03\x02\x81", 4);
    ck_assert_uint_eq(vx_get_u32(bytes + 1), 0x81020304u);
    vx_put_u64(bytes + 1, 0xf102030405060708u);
    ck_assert_mem_eq(bytes + 1, "\x08\x07\x06\x05\x04\x03\x02\xf1", 8);
    ck_assert_uint_eq(vx_get_u64(bytes + 1), 0xf102030405060708u);
}
END_TEST

TEST_MAIN("core/container", sections_come_back, the_layout_is_pinned, every_flipped_bit_is_seen,
          every_cut_and_every_addition_is_seen, signed_lies_are_seen, padding_must_be_zero,
          other_files_are_refused, a_container_may_be_empty_or_full,
          misuse_of_a_writer_is_told_and_kept, a_failed_save_leaves_the_old_file,
          verifying_tells_how_far_and_stops, opening_does_not_touch_sections,
          numbers_are_little_endian)
