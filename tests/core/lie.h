/* An index file that lies: one section is not what it was, and all checksums are right. */
#ifndef TESTS_CORE_LIE_H
#define TESTS_CORE_LIE_H

#include <vindex/vindex.h>

#include "../harness.h"
#include "core/container.h"
#include "scratch.h"

/* Writes the scratch file "index" as "lie", with `count` bytes of a section replaced from `offset`
 * on and `cut` bytes of its end left out. */
static inline void scratch_lie(const char *tag, size_t offset, const void *with, size_t count,
                               size_t cut) {
    vindex_file_section list[32];
    vx_container_writer *writer;
    vx_container *file;
    int64_t sections;
    bool there = false;
    ck_ok(vindex_file_sections(scratch_path("index"), list, 32, &sections));
    ck_ok(vx_container_open(scratch_path("index"), VX_KIND_INDEX, &file));
    ck_ok(vx_container_create(scratch_path("lie"), VX_KIND_INDEX, 0, (uint32_t)sections, &writer));
    for (int64_t i = 0; i < sections; i++) {
        vx_section section;
        ck_ok(vx_container_find(file, list[i].tag, true, &section));
        unsigned char *bytes = malloc(section.length + 1);
        memcpy(bytes, section.bytes, section.length);
        bool this = !strcmp(list[i].tag, tag);
        there |= this;
        if (this && count) memcpy(bytes + offset, with, count);
        ck_ok(vx_container_section(writer, list[i].tag, bytes, section.length - (this ? cut : 0)));
        free(bytes);
    }
    ck_assert(there);
    ck_ok(vx_container_commit(writer));
    vx_container_close(file);
}

#endif
