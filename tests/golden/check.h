/* Where golden files lie, and whether this version writes one again byte for byte. */
#ifndef TESTS_GOLDEN_CHECK_H
#define TESTS_GOLDEN_CHECK_H

#include "../core/scratch.h"
#include "golden.h"

static inline const char *golden_path(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("VINDEX_GOLDEN"), name);
    return path;
}

/* The scratch file "again" has what the golden file has. */
static inline void golden_again(const char *name) {
    char content[1 << 14], again[1 << 14];
    FILE *old = fopen(golden_path(name), "rb"), *new = fopen(scratch_path("again"), "rb");
    ck_assert_ptr_nonnull(old);
    ck_assert_ptr_nonnull(new);
    size_t length = fread(content, 1, sizeof content, old);
    ck_assert_uint_eq(fread(again, 1, sizeof again, new), length);
    ck_assert_uint_lt(length, sizeof content);
    ck_assert_mem_eq(content, again, length);
    fclose(old);
    fclose(new);
}

#endif
