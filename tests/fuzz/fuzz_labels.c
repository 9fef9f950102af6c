/* Label files with any bytes, as tables and as lines. */
#include "fuzz_input.h"

#include "io/labels.h"

#include <unistd.h>

static void demand(bool holds) {
    if (!holds) abort();
}

static void check(const vindex_labels *labels) {
    int32_t next = 0;
    for (int64_t i = 0; i < labels->count; i++) {
        int32_t clique = labels->cliques[i];
        demand(clique >= 0 && clique <= next); /* numbered by first appearance */
        next += clique == next;
    }
    demand(next == labels->clique_count);
    vindex_labels again;
    demand(vindex_labels_from_names((const char *const *)labels->names, NULL, labels->clique_count,
                                    &again) == VINDEX_OK);
    demand(again.clique_count == labels->clique_count); /* all different */
    vindex_labels_free(&again);
}

static void read_as(const char *path, char separator, const char *label_column) {
    vindex_labels_options options;
    vindex_labels_options_init(&options);
    options.label_column = label_column;
    vindex_labels labels;
    if (vx_labels_read_as(path, separator, &options, &labels) == VINDEX_OK) {
        check(&labels);
        vindex_labels_free(&labels);
    } else {
        demand(*vindex_last_error());
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[FUZZ_PATH];
    int file = fuzz_file(data, size, path);
    read_as(path, ',', NULL);
    read_as(path, '\t', "1");
    read_as(path, 0, NULL);
    close(file);
    return 0;
}
