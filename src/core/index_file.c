/* The section "index" that every index file begins with: what kind of index this is. */
#include <vindex/types.h>

#include "index_impl.h"

enum { SPEC = 128, HEADER = SPEC + 32 };

vindex_status vx_index_header_save(vx_container_writer *writer, const vx_index_header *header) {
    unsigned char bytes[HEADER] = {0};
    memcpy(bytes, header->spec, strlen(header->spec));
    vx_put_u64(bytes + SPEC, header->dim);
    vx_put_u64(bytes + SPEC + 8, header->rows);
    vx_put_u64(bytes + SPEC + 16, (uint64_t)header->largest_id);
    vx_put_u32(bytes + SPEC + 24, header->metric);
    return vx_container_section(writer, "index", bytes, sizeof bytes);
}

/* Printable, for errors show it, and ended. */
static bool spec_valid(const unsigned char *spec) {
    size_t length = 0;
    while (length < SPEC && spec[length] > ' ' && spec[length] <= '~') length++;
    return length < SPEC && !spec[length];
}

vindex_status vx_index_header_load(const vx_container *file, vx_index_header *header) {
    vx_section section;
    const char *path = vx_container_path(file);
    VX_TRY(vx_container_find(file, "index", true, &section));
    if (section.length != HEADER)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: its index section has %zu bytes where %d are expected; "
                       "the file is damaged",
                       path, section.length, HEADER);
    if (!spec_valid(section.bytes))
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: its index section does not begin with a factory string; the file is "
                       "damaged",
                       path);
    memcpy(header->spec, section.bytes, SPEC);
    header->dim = vx_get_u64(section.bytes + SPEC);
    header->rows = vx_get_u64(section.bytes + SPEC + 8);
    header->largest_id = (int64_t)vx_get_u64(section.bytes + SPEC + 16);
    header->metric = vx_get_u32(section.bytes + SPEC + 24);
    if (header->dim < 1 || header->dim > VX_DIM_MOST || header->rows > INT64_MAX ||
        !vindex_metric_name((vindex_metric)header->metric))
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: %llu rows of %llu dimensions under metric %u; the file is damaged",
                       path, (unsigned long long)header->rows, (unsigned long long)header->dim,
                       (unsigned)header->metric);
    return VINDEX_OK;
}
