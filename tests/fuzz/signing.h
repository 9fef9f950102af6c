/* A fuzzer cannot guess hashes: what makes a container's right again, so that the checks behind
 * them get their turn. */
#ifndef TESTS_FUZZ_SIGNING_H
#define TESTS_FUZZ_SIGNING_H

#include <xxhash.h>

#include "core/container.h"

enum { SIGN = 1, SIGN_SECTIONS = 2, TRUE_LENGTH = 4 };
enum { SIGNING_HEADER = 64, SIGNING_LINE = 32 };

static inline uint64_t signing_lines(const unsigned char *file, size_t size) {
    uint64_t lines = vx_get_u32(file + 32), room = (size - SIGNING_HEADER) / SIGNING_LINE;
    return lines < room ? lines : room;
}

/* Brings the hash of every section that lies in the file into its line of the table. */
static inline void sign_sections(unsigned char *file, size_t size) {
    for (uint64_t i = 0; i < signing_lines(file, size); i++) {
        unsigned char *line = file + SIGNING_HEADER + i * SIGNING_LINE;
        uint64_t offset = vx_get_u64(line + 8), length = vx_get_u64(line + 16);
        if (offset > size || length > size - offset) continue;
        vx_put_u64(line + 24, XXH3_64bits(file + offset, (size_t)length));
    }
}

/* Signs header and table as those of that kind of container; more as the options say. */
static inline void sign_container(int options, uint32_t kind, unsigned char *file, size_t size) {
    if (!(options & SIGN) || size < SIGNING_HEADER) return;
    memcpy(file, "VINDEX\r\n\1\0\0\0", 12);
    vx_put_u32(file + 12, kind);
    if (options & TRUE_LENGTH) vx_put_u64(file + 24, size);
    if (options & SIGN_SECTIONS) sign_sections(file, size);
    vx_put_u64(file + 48, XXH3_64bits(file + SIGNING_HEADER,
                                      (size_t)signing_lines(file, size) * SIGNING_LINE));
    vx_put_u64(file + 56, XXH3_64bits(file, 56));
}

#endif
