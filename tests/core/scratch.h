/* A folder of its own for each test that writes files. */
#ifndef TESTS_CORE_SCRATCH_H
#define TESTS_CORE_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

static char scratch[200];

static inline void scratch_make(void) {
    const char *parent = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%.150s/vindex-XXXXXX", parent ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

/* The path of a file in the folder; valid until four more were asked. */
static inline const char *scratch_path(const char *name) {
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

/* How many entries the folder has, hidden ones included; removes them when asked. */
static inline int scratch_entries(int remove_them) {
    int count = 0;
    DIR *folder = opendir(scratch);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        count++;
        if (remove_them) remove(scratch_path(entry->d_name));
    }
    closedir(folder);
    return count;
}

static inline void scratch_remove(void) {
    scratch_entries(1);
    ck_assert_int_eq(rmdir(scratch), 0);
}

static inline void scratch_write(const char *name, const void *bytes, size_t length) {
    FILE *file = fopen(scratch_path(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

/* A whole file, to be freed. */
static inline unsigned char *scratch_read(const char *name, size_t *length) {
    FILE *file = fopen(scratch_path(name), "rb");
    ck_assert_ptr_nonnull(file);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*length + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, *length, file), *length);
    fclose(file);
    return bytes;
}

static inline int scratch_holds(const char *name, const void *bytes, size_t length) {
    size_t found;
    unsigned char *content = scratch_read(name, &found);
    int same = found == length && !memcmp(content, bytes, length);
    free(content);
    return same;
}

#endif
