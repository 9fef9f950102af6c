/* Recall against speed: the best that measured parameters give at a recall. */
#ifndef BENCH_CURVE_H
#define BENCH_CURVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_point {
    double recall;
    double qps; /* queries per second */
} bench_point;

/* The recalls at which engines are compared. */
enum { BENCH_LEVELS = 4 };
extern const double bench_levels[BENCH_LEVELS]; /* .80 .90 .95 .99 */

/* Share of the true neighbours (queries x k ids, -1 where there are fewer) among those found. */
double bench_recall(const int64_t *truth, const int64_t *found, int64_t queries, int64_t k);

/* Queries per second at a recall: between the two points of the fastest ones that enclose it, by
 * the logarithm of the speed; at a recall below all points, the fastest; NaN above all. */
double bench_qps_at(const bench_point *points, size_t count, double recall);

#ifdef __cplusplus
}
#endif
#endif
