/* Text files: lines cut into cells, columns found by name, numbers read and written. */
#ifndef VX_IO_TEXT_H
#define VX_IO_TEXT_H

#include "core/file.h"
#include "pool.h"

#include <vindex/io.h>

/* A place in a text. With separator 0 a line is one cell and quotes mean nothing. */
typedef struct vx_text {
    const char *path; /* for errors */
    const char *at, *end;
    size_t line; /* that `at` is in, from 1 */
    char separator;
} vx_text;

typedef struct vx_cell {
    const char *text; /* inside the quotes; "" is still two */
    size_t length;
    bool quoted;
    bool last; /* in its line */
} vx_cell;

/* The start of a file, behind a byte order mark. */
vx_text vx_text_begin(const char *path, const vx_map *map, char separator);

/* Skips empty lines; false at the end. */
bool vx_text_line(vx_text *text);

/* Cuts the next cell and moves behind its separator or line end. */
vindex_status vx_text_cell(vx_text *text, vx_cell *cell);

/* Appends the cell as it is meant, quotes undone, to the pool. A zero byte is VINDEX_ERR_FORMAT. */
vindex_status vx_cell_keep(const vx_text *text, const vx_cell *cell, vx_pool *pool);

/* Cuts one line and keeps its cells. */
vindex_status vx_text_columns(vx_text *text, vx_pool *columns);

/* Whether a word is digits only, and so may be the index of a column. */
bool vx_is_index(const char *word);

/* Finds the column a user means: a name in the header (columns), if there is one, or an index. */
vindex_status vx_column_find(const char *path, const vx_pool *columns, bool has_header,
                             const char *word, size_t *column);

/* A cell as a float32, correctly rounded; false if it is no number. Wants the thread's numeric
 * locale to be C: see vx_locale_enter. */
bool vx_cell_number(const vx_cell *cell, float *value);

/* A cell for an error message: cut short, control characters replaced. */
enum { VX_EXCERPT = 48 };
const char *vx_excerpt(const char *text, size_t length, char excerpt[VX_EXCERPT]);

/* Writes one cell, in quotes if it needs them, without a separator. */
vindex_status vx_cell_write(vx_writer *file, const char *text, char separator);

/* Writes a number with as many digits as bring it back; wants the C locale likewise. */
vindex_status vx_number_write(vx_writer *file, float value);

#endif
