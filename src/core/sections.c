/* What parts an index file has, for those who only want to look. */
#include <vindex/index.h>

#include "base.h"
#include "container.h"

vindex_status vindex_file_sections(const char *path, vindex_file_section *sections, int64_t room,
                                   int64_t *count) {
    if (!path || !count || (room > 0 && !sections))
        return vx_fail(VINDEX_ERR_ARGUMENT, "file sections: a pointer is NULL; give all of them");
    vx_container *container;
    VX_TRY(vx_container_open(path, VX_KIND_INDEX, &container));
    *count = vx_container_sections(container);
    for (int64_t i = 0; i < VX_MIN(room, *count); i++)
        vx_container_describe(container, (uint32_t)i, sections[i].tag, &sections[i].bytes);
    vx_container_close(container);
    return VINDEX_OK;
}
