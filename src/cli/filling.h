/* Rows of files in an index, and the operating points that were found for it. */
#ifndef CLI_FILLING_H
#define CLI_FILLING_H

#include <vindex/index.h>

#include "report.h"
#include "rows.h"

/* Trains an index that needs it and adds all rows: under the whole numbers of the id column, or
 * else numbered from 0. *with_ids (may be NULL) says which. */
int cli_fill(vindex_index *index, const struct cli_rows *rows, bool *with_ids);

/* Writes the operating points of an index, where it has some, into a report. */
int cli_report_points(struct cli_report *report, const vindex_index *index);

#endif
