/* Files that are neither embeddings nor labels, written as safely as those. */
#include <vindex/io.h>

#include "core/base.h"
#include "core/file.h"

struct vindex_output {
    vx_writer *writer;
};

vindex_status vindex_output_create(const char *path, vindex_output **output) {
    if (!path || !output)
        return vx_fail(VINDEX_ERR_ARGUMENT, "output: path or output is NULL; give both");
    vindex_output *made = vx_alloc(1, sizeof *made);
    if (!made) return vx_fail_memory(1, sizeof *made, path);
    vindex_status status = vx_writer_open(path, &made->writer);
    if (status == VINDEX_OK)
        *output = made;
    else
        vx_free(made);
    return status;
}

vindex_status vindex_output_write(vindex_output *output, const void *data, size_t bytes) {
    return vx_writer_write(output->writer, data, bytes);
}

vindex_status vindex_output_finish(vindex_output *output) {
    vindex_status status = vx_writer_commit(output->writer);
    vx_free(output);
    return status;
}

void vindex_output_abort(vindex_output *output) {
    if (!output) return;
    vx_writer_abort(output->writer);
    vx_free(output);
}
