/* Transforms as the program shows them, and what learning one needs. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include <vindex/transform.h>

#include "report.h"

/* Starts the program again, with the environment variable that gives OpenBLAS the kernels of this
 * processor, where it would run with slow ones. Called before learning; returns if there is nothing
 * to do. */
void cli_tune_blas(void);

/* The words the program was started with, for that. */
void cli_keep_words(char **argv);

/* Checks that a file can be made where the result shall go. */
int cli_check_output(const char *path);

/* Writes dimensions and steps with what they learned into a report. */
void cli_model_report(struct cli_report *report, const vindex_transform *transform);

#endif
