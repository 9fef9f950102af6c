/* Runs oracle.py on a set and compares. */
#ifndef TESTS_EVAL_ORACLE_H
#define TESTS_EVAL_ORACLE_H

#include "naive.h"

/* Whether Python and numpy are there; prints a line when they are not. */
bool oracle_available(void);

/* Fails the test unless the oracle's numbers for that set are the report's: counts exactly, means
 * to 1e-6. */
void oracle_compare(const naive_set *set, const vindex_eval_params *params,
                    const vindex_eval_report *report);

#endif
