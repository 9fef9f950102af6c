/* Any bytes as a container, and as the id map inside one. The first byte of the input says what to
 * make right before opening. */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/container.h"
#include "core/ids.h"
#include "fuzz_input.h"
#include "signing.h"

enum { DEFER = 8 }; /* beside the options of signing.h */
enum { MOST = 1 << 16 };

static unsigned char file[MOST];

static void demand(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "fuzz_container: %s\n", what);
    abort();
}

/* A map that was accepted must behave. */
static void use_ids(vx_ids *ids) {
    size_t *keep = vx_alloc(ids->count, sizeof *keep), row, removed, alive = 0;
    for (size_t i = 0; i < ids->count; i++) {
        bool found = vx_ids_find(ids, vx_ids_of(ids, i), &row);
        if (!vx_ids_alive(ids, i)) continue;
        demand(found && row == i, "a living row is not found by its id");
        alive++;
    }
    demand(alive == ids->count - ids->removed, "the number of removed rows is wrong");
    const int64_t more[] = {5, 3, 4};
    vx_ids_append(ids, more, 3);
    vx_ids_remove(ids, more + 1, 1, &removed);
    vx_free(keep);
    keep = vx_alloc(ids->count, sizeof *keep);
    alive = ids->count - ids->removed;
    demand(vx_ids_compact(ids, keep) == VINDEX_OK && ids->count == alive, "compacting loses rows");
    vx_free(keep);
}

static void use_container(const vx_container *container, bool verify) {
    uint32_t count = vx_container_sections(container);
    size_t rows = 100;
    for (uint32_t i = 0; i < count; i++) {
        char tag[9];
        uint64_t length;
        vx_section section;
        vx_container_describe(container, i, tag, &length);
        demand(vx_container_has(container, tag), "a section listed is not there");
        demand(vx_container_find(container, tag, false, &section) == VINDEX_OK &&
                   section.length == length,
               "a section listed is not found");
        demand((uintptr_t)section.bytes % 64 == 0, "a section is not aligned");
        volatile unsigned char last = section.length ? section.bytes[section.length - 1] : 0;
        (void)last;
        if (!strcmp(tag, "ids")) rows = section.length / 8;
    }
    vx_ids ids;
    if (vx_ids_load(&ids, container, rows, INT64_MAX - 100, verify) == VINDEX_OK) use_ids(&ids);
    vx_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("container", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (size < 1 || size > MOST) return 0;
    int options = data[0];
    size--;
    memcpy(file, data + 1, size);
    sign_container(options, VX_KIND_INDEX, file, size);
    if (fd < 0 || ftruncate(fd, (off_t)size) || pwrite(fd, file, size, 0) != (ssize_t)size)
        return 0;
    vx_container *container;
    if (vx_container_open(path, VX_KIND_INDEX, &container) != VINDEX_OK) {
        demand(*vindex_last_error(), "a failure without a sentence");
        return 0;
    }
    bool whole = vx_container_verify(container, NULL) == VINDEX_OK;
    if (whole || options & DEFER) use_container(container, !(options & DEFER));
    vx_container_close(container);
    return 0;
}
