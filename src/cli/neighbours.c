#include "neighbours.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include <vindex/io.h>

int cli_neighbours_check(const char *path) {
    if (cli_ends(path, ".csv") || cli_ends(path, ".ivecs") || cli_ends(path, ".npz"))
        return CLI_DONE;
    return cli_words("-o %s: its ending is not known; use .npz, .ivecs or .csv", path);
}

static int write_csv(vindex_output *file, const struct cli_neighbours *found) {
    char line[96] = "query,rank,id,distance\n";
    int answer = cli_status(vindex_output_write(file, line, strlen(line)));
    for (int64_t i = 0; i < found->queries * found->k && answer == CLI_DONE; i++) {
        if (found->ids[i] < 0) continue;
        int length = snprintf(line, sizeof line, "%lld,%lld,%lld,%.9g\n", (long long)(i / found->k),
                              (long long)(i % found->k + 1), (long long)found->ids[i],
                              (double)found->distances[i]);
        answer = cli_status(vindex_output_write(file, line, (size_t)length));
    }
    return answer;
}

static void store_int32(unsigned char *bytes, uint32_t value) {
    for (int i = 0; i < 4; i++) bytes[i] = (unsigned char)(value >> (8 * i));
}

/* Ids go out as they are, not through float32, which holds them only up to 2^24. */
static int write_ivecs(vindex_output *file, const struct cli_neighbours *found) {
    int64_t length = 4 * (found->k + 1);
    unsigned char *row = cli_alloc(length, 1, "row of ids");
    int answer = row != NULL ? CLI_DONE : CLI_FAILED;
    for (int64_t i = 0; i < found->queries && answer == CLI_DONE; i++) {
        store_int32(row, (uint32_t)found->k);
        for (int64_t j = 0; j < found->k && answer == CLI_DONE; j++) {
            int64_t id = found->ids[i * found->k + j];
            if (id > INT32_MAX)
                answer =
                    cli_fail("-o: id %lld does not fit the 32 bits of .ivecs; use .npz or .csv",
                             (long long)id);
            store_int32(row + 4 * (j + 1), (uint32_t)id);
        }
        if (answer == CLI_DONE) answer = cli_status(vindex_output_write(file, row, (size_t)length));
    }
    free(row);
    return answer;
}

/* A .npy file in memory: queries x k items of that type. */
static unsigned char *npy(const char *type, const void *items, size_t item,
                          const struct cli_neighbours *found, size_t *bytes) {
    enum { HEADER = 128 };
    size_t length = (size_t)(found->queries * found->k) * item;
    unsigned char *file = cli_alloc((int64_t)(HEADER + length), 1, ".npz member");
    if (file == NULL) return NULL;
    memset(file, ' ', HEADER);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = HEADER - 10;
    file[9] = 0;
    int used = snprintf((char *)file + 10, HEADER - 10,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%lld, %lld), }", type,
                        (long long)found->queries, (long long)found->k);
    file[10 + used] = ' ';
    file[HEADER - 1] = '\n';
    memcpy(file + HEADER, items, length);
    *bytes = HEADER + length;
    return file;
}

static bool add_member(zip_t *archive, const char *name, const void *bytes, size_t length) {
    zip_source_t *source = zip_source_buffer(archive, bytes, length, 0);
    if (source == NULL) return false;
    zip_int64_t index = zip_file_add(archive, name, source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
        zip_source_free(source);
        return false;
    }
    /* Stored: numpy can then map it, and random-looking numbers do not compress. The fixed time
     * makes equal results equal files. */
    return zip_set_file_compression(archive, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
           zip_file_set_dostime(archive, (zip_uint64_t)index, 0, 0x21, 0) == 0;
}

/* The archive's bytes, to be freed; made in memory so that only a complete file gets a name. */
static unsigned char *archive_bytes(zip_source_t *source, zip_uint64_t *length) {
    zip_stat_t facts;
    if (zip_source_stat(source, &facts) != 0 || zip_source_open(source) != 0) return NULL;
    *length = facts.size;
    unsigned char *bytes = malloc(facts.size ? facts.size : 1);
    if (bytes != NULL && zip_source_read(source, bytes, facts.size) != (zip_int64_t)facts.size) {
        free(bytes);
        bytes = NULL;
    }
    zip_source_close(source);
    return bytes;
}

static unsigned char *make_npz(const unsigned char *const members[2], const size_t lengths[2],
                               zip_uint64_t *length) {
    static const char *const names[2] = {"ids.npy", "distances.npy"};
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, NULL);
    if (source == NULL) return NULL;
    zip_source_keep(source);
    unsigned char *bytes = NULL;
    zip_t *archive = zip_open_from_source(source, ZIP_TRUNCATE, NULL);
    if (archive == NULL) {
        zip_source_free(source);
    } else if (!add_member(archive, names[0], members[0], lengths[0]) ||
               !add_member(archive, names[1], members[1], lengths[1]) || zip_close(archive) != 0) {
        zip_discard(archive);
    } else {
        bytes = archive_bytes(source, length);
    }
    zip_source_free(source);
    return bytes;
}

static int write_npz(vindex_output *file, const struct cli_neighbours *found) {
    size_t lengths[2] = {0, 0};
    unsigned char *ids = npy("<i8", found->ids, sizeof *found->ids, found, &lengths[0]);
    unsigned char *distances =
        npy("<f4", found->distances, sizeof *found->distances, found, &lengths[1]);
    int answer = CLI_FAILED;
    if (ids != NULL && distances != NULL) {
        zip_uint64_t length = 0;
        unsigned char *bytes =
            make_npz((const unsigned char *const[]){ids, distances}, lengths, &length);
        answer = bytes != NULL ? cli_status(vindex_output_write(file, bytes, length))
                               : cli_fail("-o: the .npz could not be made; free some memory");
        free(bytes);
    }
    free(ids);
    free(distances);
    return answer;
}

int cli_neighbours_write(const char *path, const struct cli_neighbours *found) {
    vindex_output *file;
    int answer = cli_status(vindex_output_create(path, &file));
    if (answer != CLI_DONE) return answer;
    answer = cli_ends(path, ".csv")     ? write_csv(file, found)
             : cli_ends(path, ".ivecs") ? write_ivecs(file, found)
                                        : write_npz(file, found);
    if (answer == CLI_DONE) return cli_status(vindex_output_finish(file));
    vindex_output_abort(file);
    return answer;
}
