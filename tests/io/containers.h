/* What the tests of containers share: files whose members, names and damage are looked at. */
#ifndef TESTS_IO_CONTAINERS_H
#define TESTS_IO_CONTAINERS_H

#include "core/base.h"
#include "files.h"

/* The 5 x 3 numbers of the fixtures, from number first on. */
static inline const float *fixture_floats(int first) {
    static float values[15];
    for (int k = 0; k < 15; k++) values[k] = fixture_value('f', k);
    return values + first;
}

/* The ids or labels of the rows of a file, joined by spaces; "" where it has none. */
static inline const char *names_of(const char *path, const vindex_embeddings_options *options,
                                   bool ids) {
    static char text[2][512];
    vindex_embeddings *file;
    vindex_embeddings_info info;
    ck_ok(vindex_embeddings_open(path, options, &file));
    vindex_embeddings_describe(file, &info);
    char *joined = text[ids];
    size_t length = 0;
    joined[0] = 0;
    for (int64_t i = 0; i < info.rows && (ids ? info.has_ids : info.has_labels); i++)
        length += (size_t)snprintf(joined + length, sizeof text[0] - length, "%s%s", i ? " " : "",
                                   ids ? vindex_embeddings_id(file, i)
                                       : vindex_embeddings_label(file, i));
    ck_assert(ids ? info.has_ids == (vindex_embeddings_id(file, 0) != NULL)
                  : info.has_labels == (vindex_embeddings_label(file, 0) != NULL));
    vindex_embeddings_close(file);
    return joined;
}

static inline void expect_names(const char *path, const vindex_embeddings_options *options,
                                const char *ids, const char *labels) {
    ck_assert_str_eq(names_of(path, options, true), ids);
    ck_assert_str_eq(names_of(path, options, false), labels);
}

/* Labels of a file as "id=label" joined by spaces, "=label" without ids. */
static inline void expect_labels(const char *path, const vindex_labels_options *options,
                                 const char *expected) {
    vindex_labels labels;
    char text[512] = "";
    size_t length = 0;
    ck_ok(vindex_labels_read(path, options, &labels));
    for (int64_t i = 0; i < labels.count; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s%s=%s", i ? " " : "",
                             labels.ids ? labels.ids[i] : "", labels.names[labels.cliques[i]]);
    ck_assert_str_eq(text, expected);
    vindex_labels_free(&labels);
}

static inline const vindex_labels_options *labels_of(const char *key, const char *label,
                                                     const char *id) {
    static vindex_labels_options options;
    vindex_labels_options_init(&options);
    options.key = key;
    options.label_column = label;
    options.id_column = id;
    return &options;
}

/* Members as "key:use:rows:dim" joined by spaces, use being one of o, e, l. */
static inline void expect_members(const char *path, const char *expected) {
    vindex_members members;
    char text[1024] = "";
    size_t length = 0;
    ck_ok(vindex_embeddings_members(path, &members));
    for (int64_t i = 0; i < members.count; i++) {
        const vindex_member *item = &members.items[i];
        ck_assert(*item->kind);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s:%c:%lld:%lld",
                                   i ? " " : "", item->key, "oel"[item->use],
                                   (long long)item -> rows, (long long)item -> dim);
    }
    ck_assert_str_eq(text, expected);
    vindex_members_free(&members);
    ck_assert_ptr_null(members.items);
}

/* Everything that reads a file, which must do or fail by a sentence that begins with the path. */
static inline void survive(const char *path, const vindex_embeddings_options *options) {
    vindex_members members;
    vindex_labels labels;
    if (try_all(path, options) != VINDEX_OK)
        ck_each(!strncmp(vindex_last_error(), path, strlen(path)) ||
                    strstr(vindex_last_error(), "member '") == vindex_last_error(),
                "%s: %s", path, vindex_last_error());
    if (vindex_embeddings_members(path, &members) == VINDEX_OK) vindex_members_free(&members);
    if (vindex_labels_read(path, NULL, &labels) == VINDEX_OK) vindex_labels_free(&labels);
}

/* A whole file, to be freed. */
static inline unsigned char *load_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s cannot be read", path);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*length + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, *length, file), *length);
    fclose(file);
    return bytes;
}

/* A fixture cut at every length, and with every byte changed; under that name in the scratch
 * folder. */
static inline void damage(const char *name, const vindex_embeddings_options *options) {
    size_t length;
    unsigned char *bytes = load_file(fixture(name), &length);
    for (size_t cut = 0; cut < length; cut++) {
        write_anew(name, bytes, cut);
        survive(scratch_path(name), options);
    }
    static const unsigned char changes[] = {0x01, 0x80, 0xff};
    for (size_t at = 0; at < length; at++)
        for (size_t k = 0; k < sizeof changes; k++) {
            bytes[at] ^= changes[k];
            write_anew(name, bytes, length);
            survive(scratch_path(name), options);
            bytes[at] ^= changes[k];
        }
    free(bytes);
}

/* torch's old container with a pickle of one's own: magic, protocol, system, value, keys of
 * storages. */
static inline const char *legacy_file(const char *value, size_t length, const char *rest,
                                      size_t rest_length) {
    static const char head[] = "\x80\2\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                               "\x80\2M\xe9\3."
                               "\x80\2}X\r\0\0\0little_endian\x88s.";
    size_t used = sizeof head - 1;
    char *bytes = malloc(used + length + rest_length);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, head, used);
    memcpy(bytes + used, value, length);
    memcpy(bytes + used + length, rest, rest_length);
    write_anew("own.pt", bytes, used + length + rest_length);
    free(bytes);
    return scratch_path("own.pt");
}

#define LEGACY(value, rest) legacy_file(value, sizeof(value) - 1, rest, sizeof(rest) - 1)
#define NO_STORAGES "\x80\2]."
/* Opens, lists and reads labels with memory for n allocations, for every n until all succeed. */
static inline void starve(const char *path, const vindex_embeddings_options *options) {
    for (int verb = 0; verb < 3; verb++) {
        vindex_status status = VINDEX_ERR_MEMORY;
        for (long after = 0; status == VINDEX_ERR_MEMORY; after++) {
            vindex_embeddings *file = NULL;
            vindex_members members;
            vindex_labels labels;
            vx_alloc_fail_after(after);
            status = verb == 0   ? vindex_embeddings_open(path, options, &file)
                     : verb == 1 ? vindex_embeddings_members(path, &members)
                                 : vindex_labels_read(path, NULL, &labels);
            vx_alloc_fail_after(-1);
            if (status == VINDEX_OK && verb == 1) vindex_members_free(&members);
            if (status == VINDEX_OK && verb == 2) vindex_labels_free(&labels);
            vindex_embeddings_close(file);
        }
        ck_assert_msg(status == VINDEX_OK || (verb == 2 && status == VINDEX_ERR_UNSUPPORTED),
                      "%s: %s", path, vindex_last_error());
    }
}

#endif
