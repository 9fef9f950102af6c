/* An independent evaluator for the tests: every distance in a plain double loop, every ranking a
 * full sort, every measure read off the sorted list. It shares no code with src/eval. */
#ifndef TESTS_EVAL_NAIVE_H
#define TESTS_EVAL_NAIVE_H

#include <vindex/eval.h>

typedef struct naive_set {
    const float *queries, *candidates;
    const int32_t *query_cliques, *candidate_cliques;
    size_t query_count, candidate_count, dim;
    bool square;
} naive_set;

/* Smaller is better: squared L2, or the negated similarity. */
double naive_key(vindex_metric metric, const float *a, const float *b, size_t dim);

/* All of the report but seconds. */
void naive_eval(const naive_set *set, const vindex_eval_params *params, vindex_eval_report *report);

/* Fails the test unless all but seconds agree: counts exactly, means to that tolerance. */
void naive_compare(const vindex_eval_report *found, const vindex_eval_report *expected,
                   double tolerance);

#endif
