/* Which clique each row belongs to, from label files or from a label column. */
#ifndef CLI_TRUTH_H
#define CLI_TRUTH_H

#include "rows.h"

struct cli_truth {
    int64_t count;
    const char **names; /* the label of each row */
    const char **ids;   /* the recording of each row, or NULL */
    int64_t recordings; /* of wanted->rows: consecutive rows of one id are one recording */
    int64_t *starts;    /* the first row of each, then count; NULL: every row is a recording */
    vindex_labels *files;
    int file_count;
};

/* What labels are wanted for. */
struct cli_wanted {
    const char *flag;            /* "--labels" */
    const char *const *paths;    /* of label files, or NULL: a label column of rows */
    const struct cli_rows *rows; /* what they are joined to by id, where both have ids; or NULL */
    int64_t count;               /* how many there must be; negative: any number */
    const char *things;          /* of what: "rows of songs.npy" */
    bool segments;               /* a recording may have several rows */
};

int cli_truth_read(const struct cli_wanted *wanted, struct cli_truth *truth);
void cli_truth_free(struct cli_truth *truth);

/* Numbers the cliques of one set, or of two alike: first->count, then second->count numbers (second
 * may be NULL); to be freed by the caller. */
int cli_truth_number(const struct cli_truth *first, const struct cli_truth *second,
                     int32_t **cliques);

#endif
