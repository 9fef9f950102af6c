/* JSON into trees of values, by jansson. */
#ifndef VX_IO_JSON_H
#define VX_IO_JSON_H

#include "value.h"

/* Reads one JSON text that must outlive nothing: strings are copied. line is where it begins, for
 * errors. */
vindex_status vx_json_read(vx_tree *tree, const char *text, size_t length, size_t line,
                           vx_value **value);

#endif
