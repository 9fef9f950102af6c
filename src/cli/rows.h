/* Embedding files given one after the other, read as one set of rows. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include <vindex/io.h>
#include <vindex/transform.h>

#include "cli.h"

/* The flags that say how files are read; the same for all files of a call. */
struct cli_columns {
    char *key;
    char *id_column;
    char *label_column;
    char *labels_key; /* the member of a label file */
};
extern struct cli_columns cli_columns;
extern struct poptOption cli_column_options[];

struct cli_rows {
    vindex_embeddings **files;
    const char *const *paths; /* as given */
    int64_t *starts;          /* the first row of each file, then rows */
    int count;
    int64_t rows, dim;
    bool has_ids, has_labels; /* every file has */
};

/* Whether a path is a text table. */
bool cli_is_table(const char *path);

/* Whether a path holds more than rows, so that flags can name columns or members of it. */
bool cli_has_columns(const char *path);

/* Opens files (NULL-ended, or NULL); flag ("--input") is for errors. Their dims must agree, and
 * they must hold that many rows together. */
int cli_rows_open(const char *const *paths, const char *flag, int64_t least, struct cli_rows *rows);
void cli_rows_close(struct cli_rows *rows);

/* Reads rows first ... first+count-1, of any value. */
int cli_rows_read(const struct cli_rows *rows, int64_t first, int64_t count, float *vectors);

/* CLI_FAILED, naming file and row, when rows just read hold NaN or infinity. */
int cli_rows_finite(const struct cli_rows *rows, int64_t first, int64_t count,
                    const float *vectors);

/* Hands all rows to visit, by blocks of some megabytes; stops when it does not answer CLI_DONE. */
typedef int (*cli_visit)(void *context, int64_t first, int64_t count, const float *vectors);
int cli_rows_each(const struct cli_rows *rows, const char *phase, cli_visit visit, void *context);

/* Rows that make a block of some megabytes, at least 1. */
int64_t cli_block_rows(int64_t dim);

/* All rows in memory and finite, to be freed by the caller; NULL when that failed. */
int cli_rows_load(const struct cli_rows *rows, float **vectors);

/* The rows as the library reads them while it learns; they must stay open. */
void cli_rows_source(const struct cli_rows *rows, vindex_rows *source);

const char *cli_rows_id(const struct cli_rows *rows, int64_t row);
const char *cli_rows_label(const struct cli_rows *rows, int64_t row);

#endif
