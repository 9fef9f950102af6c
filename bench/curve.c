#include "curve.h"

#include <math.h>

const double bench_levels[BENCH_LEVELS] = {0.80, 0.90, 0.95, 0.99};

double bench_recall(const int64_t *truth, const int64_t *found, int64_t queries, int64_t k) {
    int64_t hits = 0, wanted = 0;
    for (int64_t q = 0; q < queries; q++)
        for (int64_t i = 0; i < k; i++) {
            int64_t id = truth[q * k + i];
            if (id < 0) continue;
            wanted++;
            for (int64_t j = 0; j < k; j++)
                if (found[q * k + j] == id) {
                    hits++;
                    break;
                }
        }
    return wanted > 0 ? (double)hits / (double)wanted : 1;
}

double bench_qps_at(const bench_point *points, size_t count, double recall) {
    /* Above: the fastest that reaches the recall. Below: the best recall among faster ones. */
    const bench_point *above = NULL, *below = NULL;
    for (size_t i = 0; i < count; i++)
        if (points[i].recall >= recall && (!above || points[i].qps > above->qps))
            above = &points[i];
    if (!above) return (double)NAN;
    for (size_t i = 0; i < count; i++)
        if (points[i].qps > above->qps && (!below || points[i].recall > below->recall))
            below = &points[i];
    if (!below) return above->qps;
    double share = (recall - below->recall) / (above->recall - below->recall);
    return exp(log(below->qps) + share * (log(above->qps) - log(below->qps)));
}
