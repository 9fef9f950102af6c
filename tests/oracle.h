/* What the answer of a search must be, worked out in the plainest way: one compensated sum in
 * double precision per pair of vectors, and a full sort.
 *
 * Two evaluations of one formula in double precision may differ in the last bits. The slack of a
 * key is how far any careful evaluation can be from this one; two rows may stand in either order
 * only when their keys are within both slacks. Rows with the same bits have the same key in every
 * evaluation, so among them the ids decide; and where every sum is exact there is no slack at all.
 */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vindex/index.h>

typedef struct oracle {
    vindex_metric metric;
    size_t dim, count;
    const float *rows;  /* as stored, count x dim */
    const int64_t *ids; /* NULL: a row's id is its number */
    const bool *hidden; /* per row: may not be answered; NULL: none */
    bool exact;         /* small whole numbers under L2 or inner product */
    size_t *twins;      /* per row the first row of the same bits; made by oracle_open */
    size_t *by_id;      /* rows in the order of their ids; likewise */
} oracle;

typedef struct oracle_hit {
    double key, slack; /* smaller is better */
    int64_t id;
    size_t row;
} oracle_hit;

/* All rows that may be answered to one query, best first. */
typedef struct oracle_ranking {
    oracle_hit *hits;
    size_t count;
    size_t *places; /* per row its place in hits; SIZE_MAX: hidden */
} oracle_ranking;

/* What a search gave for one query. */
typedef struct oracle_answer {
    const int64_t *ids;
    const float *distances;
    size_t count; /* entries, those without a neighbour included */
} oracle_answer;

/* The key of one pair, and how far another evaluation may be from it. */
oracle_hit oracle_key(vindex_metric metric, size_t dim, const float *query, const float *row,
                      const float *weights);

void oracle_open(oracle *set);
void oracle_close(oracle *set);

oracle_ranking oracle_rank(const oracle *set, const float *query, const float *weights);
void oracle_ranking_free(oracle_ranking *ranking);

/* Fails the test when an answer is not the best answer.count; `what` names the case. */
void oracle_check(const oracle *set, const oracle_ranking *ranking, const oracle_answer *answer,
                  const char *what);

/* Fails the test when an answer is not all rows up to that radius. */
void oracle_check_range(const oracle *set, const oracle_ranking *ranking,
                        const oracle_answer *answer, float radius, const char *what);

#endif
