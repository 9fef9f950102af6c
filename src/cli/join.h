/* Labels found by the ids that both sides have. */
#ifndef CLI_JOIN_H
#define CLI_JOIN_H

#include "cli.h"

struct cli_join {
    const char *flag, *path; /* for errors: "--labels", "labels.csv" */
    const char *const *ids;  /* of recordings, all different */
    int64_t count;
    const char *const *label_ids; /* of labels; one may come again with the same label */
    const char *const *labels;
    int64_t label_count;
    int64_t *found; /* count: the label of each recording */
};

/* Fills found. Ids are the same text or, where that is unambiguous, the same without ending or
 * folders: W_1/P_2.npy and P_2. Says what is missing, with examples; notes labels left over. */
int cli_join(struct cli_join *join);

/* Fails where an id has two labels; for labels that are joined by their order. */
int cli_join_check(const struct cli_join *join);

#endif
