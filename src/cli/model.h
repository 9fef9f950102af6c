/* Transforms as the program shows them, and what learning one needs. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include <vindex/index.h>

#include "report.h"
#include "rows.h"

/* Starts the program again with the environment variables that give OpenBLAS the kernels of this
 * processor, where it would run with slow ones, and no threads of its own. Called before learning
 * and ranking; returns if there is nothing to do. */
void cli_tune_blas(void);

/* The words the program was started with, for that. */
void cli_keep_words(char **argv);

/* Checks that a file can be made where the result shall go. */
int cli_check_output(const char *path);

/* Trains an index that needs it on all rows, read as often as that takes. */
int cli_train(vindex_index *index, const struct cli_rows *rows);

/* Projects rows in memory: *vectors (rows x the model's input dimension) is replaced by what comes
 * out, and *dim by its dimension. */
int cli_project(const char *model_path, int64_t rows, float **vectors, int64_t *dim);

/* Writes steps with what they learned into a report. */
void cli_model_steps(struct cli_report *report, const vindex_transform *transform);

#endif
