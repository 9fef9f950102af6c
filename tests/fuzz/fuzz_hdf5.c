/* .h5 with any bytes: as rows, with and without a key, as labels, as a list of members. Bytes of
 * libhdf5's own are not looked at here: what it does with them it does in its own memory. */
#include "fuzz_input.h"

#include "io/format.h"

#include <unistd.h>

static void demand(bool holds) {
    if (!holds) abort();
}

static void list(const char *path, const vx_format *format) {
    vindex_members members;
    if (vx_members_as(path, format, &members) == VINDEX_OK) {
        for (int64_t i = 0; i < members.count; i++) {
            const vindex_member *member = &members.items[i];
            demand(*member->key && *member->kind);
            demand(member->use != VINDEX_MEMBER_EMBEDDINGS ||
                   (member->rows >= 0 && member->dim > 0));
        }
        vindex_members_free(&members);
    } else {
        demand(*vindex_last_error());
    }
}

static void read_labels(const char *path, const vx_format *format) {
    vindex_labels labels;
    if (vx_labels_as(path, format, NULL, &labels) == VINDEX_OK) {
        for (int64_t i = 0; i < labels.count; i++)
            demand(labels.cliques[i] >= 0 && labels.cliques[i] < labels.clique_count);
        vindex_labels_free(&labels);
    } else {
        demand(*vindex_last_error());
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const vx_format *format = vx_format_named("h5");
    char path[FUZZ_PATH];
    fuzz_embeddings(data, size, "h5", NULL, NULL);
    fuzz_embeddings(data, size, "h5", "ids", "labels");
    int fd = fuzz_file(data, size, path);
    list(path, format);
    read_labels(path, format);
    close(fd);
    return 0;
}
