/* What a search found, and the files it is written to. */
#ifndef CLI_NEIGHBOURS_H
#define CLI_NEIGHBOURS_H

#include "cli.h"

struct cli_neighbours {
    int64_t queries, k;
    int64_t *ids;     /* queries x k, -1 where there were fewer */
    float *distances; /* likewise, infinite there */
};

/* Whether an ending is one that cli_neighbours_write knows; checked before any work. */
int cli_neighbours_check(const char *path);

/* Writes .csv (query,rank,id,distance), .ivecs (ids) or .npz (ids, distances). */
int cli_neighbours_write(const char *path, const struct cli_neighbours *found);

#endif
