/* The measures of version identification, by the formulas of docs/evaluation.md. */
#include "measures.h"

#include <math.h>

enum { LEVELS = VINDEX_EVAL_RECALL_LEVELS };

vindex_status vx_measures_open(vx_measures *measures, size_t query_rows, bool square,
                               const vindex_eval_params *params) {
    const vx_preset *preset = vx_preset_get(params->preset);
    *measures = (vx_measures){
        .preset = preset,
        .query_rows = query_rows,
        .precision_at = params->precision_at,
        .depth = preset->depth && params->depth ? params->depth : preset->depth,
        .own = square && preset->self_counts ? 1 : 0,
        .average_precision = vx_alloc(query_rows, sizeof(double)),
        .precision = vx_alloc(query_rows, sizeof(double)),
        .percentile = vx_alloc(query_rows, sizeof(double)),
        .curve = vx_alloc(query_rows, LEVELS * sizeof(double)),
        .first_rank = vx_alloc_zero(query_rows, sizeof(int64_t)),
        .relevant = vx_alloc_zero(query_rows, sizeof(int64_t)),
        .tied = vx_alloc_zero(query_rows, sizeof(int64_t)),
        .items = vx_alloc_zero(query_rows, sizeof(int64_t)),
        .scratch = vx_alloc(query_rows, sizeof(int64_t)),
        .votes_right = -1,
    };
    if (!measures->average_precision || !measures->precision || !measures->percentile ||
        !measures->curve || !measures->first_rank || !measures->relevant || !measures->tied ||
        !measures->items || !measures->scratch) {
        vx_measures_close(measures, NULL);
        return vx_fail_memory(query_rows, (8 + LEVELS) * sizeof(double),
                              "eval: measures of each query");
    }
    for (size_t q = 0; q < query_rows; q++) measures->average_precision[q] = NAN;
    for (size_t i = 0; i < query_rows * LEVELS; i++) measures->curve[i] = NAN;
    return VINDEX_OK;
}

/* Interpolated precision as TREC has it: the highest at that recall or beyond. */
static void fill_curve(double *curve, const int64_t *ranks, size_t count) {
    double best = 0;
    int level = LEVELS - 1;
    for (size_t i = count; i > 0; i--) {
        best = VX_MAX(best, (double)i / (double)ranks[i - 1]);
        /* the next item's recall, (i - 1) / count, no longer reaches these levels */
        for (; level > 0 && (i - 1) * (LEVELS - 1) < (size_t)level * count; level--)
            curve[level] = best;
    }
    curve[0] = best;
}

void vx_measures_add(vx_measures *measures, size_t query, const int64_t *ranks, size_t count,
                     size_t candidates, int64_t tied) {
    const vx_preset *preset = measures->preset;
    double precisions = 0, above = 0;
    size_t found = 0; /* within the depth of AP */
    int64_t within = 0, items = 0;
    for (size_t i = 0; i < count; i++) {
        if (!measures->depth || ranks[i] <= measures->depth) {
            precisions += vx_preset_keep(preset, (double)(i + 1) / (double)ranks[i]);
            found++;
        }
        above += (double)(ranks[i] - 1 - (int64_t)i); /* irrelevant items ranked before it */
        within += ranks[i] <= measures->precision_at;
        items += ranks[i] <= (measures->depth ? VX_MIN(measures->depth, 10) : 10);
    }
    double relevant = (double)count, irrelevant = (double)(candidates - count + measures->own);
    double percentile = irrelevant > 0 ? 100 * (above / relevant / irrelevant) : 0;
    measures->average_precision[query] =
        found ? vx_preset_keep(preset, precisions / (measures->depth ? (double)found : relevant))
              : 0;
    measures->precision[query] = (double)within / (double)measures->precision_at;
    measures->percentile[query] = vx_preset_keep(preset, percentile);
    measures->first_rank[query] = ranks[0];
    measures->relevant[query] = (int64_t)count;
    measures->items[query] = items;
    measures->tied[query] = tied;
    fill_curve(measures->curve + query * LEVELS, ranks, count);
}

static int compare(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(int64_t *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return 0.5 * ((double)values[(count - 1) / 2] + (double)values[count / 2]);
}

/* What a mean is taken of. */
static double value_of(const vx_measures *measures, vx_quantity quantity, size_t query) {
    if (quantity == VX_MAP_INTERVAL) return measures->average_precision[query];
    if (quantity == VX_MR1_INTERVAL) return (double)measures->first_rank[query];
    return measures->percentile[query];
}

/* Half the 95% interval of a mean, from the sample's standard deviation. */
static double interval(const vx_measures *measures, vx_quantity quantity, double queries) {
    double mean = 0, squares = 0;
    for (size_t q = 0; q < measures->query_rows; q++)
        if (measures->relevant[q]) mean += value_of(measures, quantity, q) / queries;
    for (size_t q = 0; q < measures->query_rows; q++) {
        if (!measures->relevant[q]) continue;
        double off = value_of(measures, quantity, q) - mean;
        squares += off * off;
    }
    return queries > 1 ? 1.96 * sqrt(squares / (queries - 1)) / sqrt(queries) : NAN;
}

/* What all means and counts are made of. */
typedef struct sums {
    double map, mr1, mrr, precision, percentile;
    int64_t within[4], items;
    size_t queries;
} sums;

static const int64_t depths[] = {1, 2, 4, 8};

static sums sum_up(const vx_measures *measures, vindex_eval_report *report) {
    sums sum = {0};
    for (size_t q = 0; q < measures->query_rows; q++) {
        int64_t first = measures->first_rank[q];
        if (!measures->relevant[q]) continue;
        report->relevant += measures->relevant[q];
        report->tied += measures->tied[q];
        report->top1 += first == 1;
        report->top10 += first <= 10;
        sum.items += measures->items[q];
        for (size_t i = 0; i < VX_COUNT(depths); i++) sum.within[i] += first <= depths[i];
        sum.map += measures->average_precision[q];
        sum.mr1 += (double)first;
        sum.mrr += vx_preset_keep(measures->preset, 1 / (double)first);
        sum.precision += measures->precision[q];
        sum.percentile += measures->percentile[q];
        measures->scratch[sum.queries++] = first;
    }
    return sum;
}

static double quantity(const vx_measures *measures, const vx_line *line, const sums *sum,
                       const vindex_eval_report *report) {
    double rows = (double)measures->query_rows, queries = (double)sum->queries;
    int64_t within = 0;
    switch (line->quantity) {
    case VX_MAP:
        return report->map;
    case VX_MR1:
        return report->mr1;
    case VX_MRR:
        return report->mrr;
    case VX_MDR:
        return report->mdr;
    case VX_ARP:
        return report->arp;
    case VX_MAP_INTERVAL:
    case VX_MR1_INTERVAL:
    case VX_ARP_INTERVAL:
        return vx_preset_keep(measures->preset, interval(measures, line->quantity, queries));
    case VX_FIRST_WITHIN:
    case VX_FIRST_SHARE:
        for (size_t q = 0; q < measures->query_rows; q++)
            within += measures->relevant[q] && measures->first_rank[q] <= line->within;
        return line->quantity == VX_FIRST_WITHIN ? (double)within : (double)within / rows;
    case VX_ITEMS_WITHIN:
        return (double)sum->items;
    case VX_ITEMS_SHARE:
        return (double)sum->items / rows / 10;
    }
    return NAN;
}

void vx_measures_report(const vx_measures *measures, vindex_eval_report *report) {
    const vx_preset *preset = measures->preset;
    *report = (vindex_eval_report){0};
    sums sum = sum_up(measures, report);
    double n = sum.queries ? (double)sum.queries : NAN; /* no query, no mean */
    double rows = (double)measures->query_rows, noise = rows - (double)sum.queries;
    double first = preset->noise_first ? noise : 0; /* what noise rows add to ranks */
    double map_rows = preset->misses_count ? rows : n;
    double rank_rows = preset->misses_count || preset->noise_first ? rows : n;
    double mrr_rows = preset->mrr_over_rows ? rows : rank_rows;
    report->queries = (int64_t)sum.queries;
    report->noise = (int64_t)(measures->query_rows - sum.queries);
    report->map = vx_preset_keep(preset, sum.map / map_rows);
    report->mr1 = vx_preset_keep(preset, (sum.mr1 + first) / rank_rows);
    report->mrr = vx_preset_keep(preset, (sum.mrr + first) / mrr_rows);
    report->mdr = sum.queries ? median(measures->scratch, sum.queries) : NAN;
    if (preset->items) report->top10 = sum.items;
    for (size_t i = 0; i < VX_COUNT(depths); i++) report->recall_at[i] = (double)sum.within[i] / n;
    report->precision_at = sum.precision / n;
    report->arp = vx_preset_keep(preset, sum.percentile / n);
    report->arp_interval = interval(measures, VX_ARP_INTERVAL, n);
    report->knn_accuracy = measures->votes_right < 0 ? NAN : (double)measures->votes_right / rows;
    for (const vx_line *line = preset->lines; line->name; line++)
        vx_line_print(line, quantity(measures, line, &sum, report),
                      &report->printed[report->printed_count++]);
}

void vx_measures_close(vx_measures *measures, vindex_eval_detail *detail) {
    vindex_eval_detail all = {
        .query_rows = (int64_t)measures->query_rows,
        .average_precision = measures->average_precision,
        .first_rank = measures->first_rank,
        .relevant = measures->relevant,
        .tied = measures->tied,
        .precision_at_recall = measures->curve,
    };
    if (detail)
        *detail = all;
    else
        vindex_eval_detail_free(&all);
    vx_free(measures->precision);
    vx_free(measures->percentile);
    vx_free(measures->items);
    vx_free(measures->scratch);
    *measures = (vx_measures){0};
}

void vindex_eval_detail_free(vindex_eval_detail *detail) {
    if (!detail) return;
    vx_free(detail->average_precision);
    vx_free(detail->first_rank);
    vx_free(detail->relevant);
    vx_free(detail->tied);
    vx_free(detail->precision_at_recall);
    vx_free(detail->nearest);
    vx_free(detail->distances);
    *detail = (vindex_eval_detail){0};
}
