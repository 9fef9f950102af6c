/* Is one system better than another on the same queries? Efron's bootstrap of paired differences.
 */
#include <math.h>

#include "core/rng.h"
#include "measures.h"

enum { SAMPLES = 10000 };

static int compare(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The p-th quantile of sorted values, between two of them where it falls there. */
static double quantile(const double *sorted, size_t count, double p) {
    double at = p * (double)(count - 1);
    size_t below = (size_t)at, above = VX_MIN(below + 1, count - 1);
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

/* Each sample draws from a stream of its own, whatever thread makes it. */
static double draw(const double *differences, size_t count, uint64_t seed, size_t sample) {
    vx_rng rng = vx_rng_seed(seed, sample);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += differences[vx_rng_below(&rng, count)];
    return sum / (double)count;
}

static size_t pair_up(const double *first, const double *second, size_t n, double *differences,
                      vindex_eval_difference *found) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(first[i]) || isnan(second[i])) continue;
        found->first += first[i];
        found->second += second[i];
        found->better += second[i] > first[i];
        found->worse += second[i] < first[i];
        differences[count++] = second[i] - first[i];
    }
    return count;
}

vindex_status vindex_eval_compare(const double *first, const double *second, int64_t n,
                                  int64_t samples, uint64_t seed, int32_t threads,
                                  vindex_eval_difference *difference) {
    if (!first || !second || !difference || n < 1 || samples < 0 || threads < 0)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "compare: %lld queries, %lld samples, %d threads; give both systems' "
                       "average precisions, at least one, and no negative number",
                       (long long)n, (long long)samples, (int)threads);
    size_t draws = samples ? (size_t)samples : SAMPLES;
    double *differences = vx_alloc((size_t)n, sizeof *differences);
    double *means = vx_alloc(draws, sizeof *means);
    vindex_eval_difference found = {0};
    size_t count =
        differences && means ? pair_up(first, second, (size_t)n, differences, &found) : 0;
    vindex_status status = VINDEX_OK;
    if (!differences || !means) {
        status = vx_fail_memory((size_t)n + draws, sizeof *means, "compare: samples");
    } else if (!count) {
        status = vx_fail(VINDEX_ERR_ARGUMENT,
                         "compare: no query has an average precision in both systems; evaluate "
                         "both on the same labels");
    } else {
#pragma omp parallel for num_threads(vx_threads(threads)) schedule(static)
        for (size_t s = 0; s < draws; s++) means[s] = draw(differences, count, seed, s);
        qsort(means, draws, sizeof *means, compare);
        found.queries = (int64_t)count;
        found.first /= (double)count;
        found.second /= (double)count;
        found.difference = found.second - found.first;
        found.low = quantile(means, draws, 0.025);
        found.high = quantile(means, draws, 0.975);
        *difference = found;
    }
    vx_free(differences);
    vx_free(means);
    return status;
}
