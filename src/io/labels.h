/* The part of labels that does not go by the ending of a path. */
#ifndef VX_IO_LABELS_H
#define VX_IO_LABELS_H

#include "core/base.h"

#include <vindex/io.h>

/* What columns and members of labels and of ids are called, the likeliest first; NULL-ended. */
extern const char *const vx_label_names[], *const vx_id_names[];

/* Reads a path as a table with that separator; 0: one label per line. */
vindex_status vx_labels_read_as(const char *path, char separator,
                                const vindex_labels_options *options, vindex_labels *labels);

#endif
