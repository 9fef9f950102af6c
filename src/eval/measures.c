/* The measures of version identification, by the formulas of docs/evaluation.md. */
#include "measures.h"

#include <math.h>

vindex_status vx_measures_open(vx_measures *measures, size_t query_rows, int64_t precision_at) {
    *measures = (vx_measures){
        .query_rows = query_rows,
        .precision_at = precision_at,
        .average_precision = vx_alloc(query_rows, sizeof(double)),
        .precision = vx_alloc(query_rows, sizeof(double)),
        .percentile = vx_alloc(query_rows, sizeof(double)),
        .first_rank = vx_alloc_zero(query_rows, sizeof(int64_t)),
        .relevant = vx_alloc_zero(query_rows, sizeof(int64_t)),
        .scratch = vx_alloc(query_rows, sizeof(int64_t)),
        .votes_right = -1,
    };
    if (!measures->average_precision || !measures->precision || !measures->percentile ||
        !measures->first_rank || !measures->relevant || !measures->scratch) {
        vx_measures_close(measures, NULL);
        return vx_fail_memory(query_rows, 6 * sizeof(double), "eval: measures of each query");
    }
    for (size_t q = 0; q < query_rows; q++) measures->average_precision[q] = NAN;
    return VINDEX_OK;
}

static int compare(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

void vx_measures_add(vx_measures *measures, size_t query, int64_t *ranks, size_t count,
                     size_t candidates) {
    qsort(ranks, count, sizeof *ranks, compare);
    double precisions = 0, above = 0;
    int64_t within = 0;
    for (size_t i = 0; i < count; i++) {
        precisions += (double)(i + 1) / (double)ranks[i];
        above += (double)(ranks[i] - 1 - (int64_t)i); /* irrelevant items ranked before it */
        within += ranks[i] <= measures->precision_at;
    }
    double relevant = (double)count, irrelevant = (double)(candidates - count);
    measures->average_precision[query] = precisions / relevant;
    measures->precision[query] = (double)within / (double)measures->precision_at;
    measures->percentile[query] = irrelevant > 0 ? 100 * (above / relevant / irrelevant) : 0;
    measures->first_rank[query] = ranks[0];
    measures->relevant[query] = (int64_t)count;
}

static double median(int64_t *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return 0.5 * ((double)values[(count - 1) / 2] + (double)values[count / 2]);
}

/* Half the 95% interval of a mean, from the sample's standard deviation. */
static double interval(const vx_measures *measures, double mean, double queries) {
    double squares = 0;
    for (size_t q = 0; q < measures->query_rows; q++) {
        if (!measures->relevant[q]) continue;
        double off = measures->percentile[q] - mean;
        squares += off * off;
    }
    return queries > 1 ? 1.96 * sqrt(squares / (queries - 1)) / sqrt(queries) : NAN;
}

void vx_measures_report(const vx_measures *measures, vindex_eval_report *report) {
    static const int64_t depths[] = {1, 2, 4, 8};
    double map = 0, mr1 = 0, mrr = 0, precision = 0, percentile = 0;
    int64_t within[VX_COUNT(depths)] = {0};
    size_t queries = 0;
    *report = (vindex_eval_report){.tied = measures->tied};
    for (size_t q = 0; q < measures->query_rows; q++) {
        int64_t first = measures->first_rank[q];
        if (!measures->relevant[q]) continue;
        report->relevant += measures->relevant[q];
        report->top1 += first == 1;
        report->top10 += first <= 10;
        for (size_t i = 0; i < VX_COUNT(depths); i++) within[i] += first <= depths[i];
        map += measures->average_precision[q];
        mr1 += (double)first;
        mrr += 1 / (double)first;
        precision += measures->precision[q];
        percentile += measures->percentile[q];
        measures->scratch[queries++] = first;
    }
    double n = queries ? (double)queries : NAN; /* no query, no mean */
    report->queries = (int64_t)queries;
    report->noise = (int64_t)(measures->query_rows - queries);
    report->map = map / n;
    report->mr1 = mr1 / n;
    report->mrr = mrr / n;
    report->mdr = queries ? median(measures->scratch, queries) : NAN;
    for (size_t i = 0; i < VX_COUNT(depths); i++) report->recall_at[i] = (double)within[i] / n;
    report->precision_at = precision / n;
    report->arp = percentile / n;
    report->arp_interval = interval(measures, report->arp, n);
    report->knn_accuracy = measures->votes_right < 0
                               ? NAN
                               : (double)measures->votes_right / (double)measures->query_rows;
}

void vx_measures_close(vx_measures *measures, vindex_eval_detail *detail) {
    if (detail)
        *detail = (vindex_eval_detail){
            .query_rows = (int64_t)measures->query_rows,
            .average_precision = measures->average_precision,
            .first_rank = measures->first_rank,
            .relevant = measures->relevant,
        };
    else {
        vx_free(measures->average_precision);
        vx_free(measures->first_rank);
        vx_free(measures->relevant);
    }
    vx_free(measures->precision);
    vx_free(measures->percentile);
    vx_free(measures->scratch);
    *measures = (vx_measures){0};
}

void vindex_eval_detail_free(vindex_eval_detail *detail) {
    if (!detail) return;
    vx_free(detail->average_precision);
    vx_free(detail->first_rank);
    vx_free(detail->relevant);
    *detail = (vindex_eval_detail){0};
}
