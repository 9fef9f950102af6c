#include "naive.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

typedef struct entry {
    double key;
    size_t row;
    bool relevant;
} entry;

static double dot(const float *a, const float *b, size_t dim, double mean_a, double mean_b) {
    double sum = 0;
    for (size_t j = 0; j < dim; j++) sum += (a[j] - mean_a) * (b[j] - mean_b);
    return sum;
}

static double mean(const float *a, size_t dim) {
    double sum = 0;
    for (size_t j = 0; j < dim; j++) sum += a[j];
    return sum / (double)dim;
}

double naive_key(vindex_metric metric, const float *a, const float *b, size_t dim) {
    if (metric == VINDEX_L2) {
        double sum = 0;
        for (size_t j = 0; j < dim; j++) sum += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
        return sum;
    }
    if (metric == VINDEX_INNER_PRODUCT) return -dot(a, b, dim, 0, 0);
    double ma = metric == VINDEX_PEARSON ? mean(a, dim) : 0;
    double mb = metric == VINDEX_PEARSON ? mean(b, dim) : 0;
    double norms = sqrt(dot(a, a, dim, ma, ma)) * sqrt(dot(b, b, dim, mb, mb));
    return norms > 0 ? -dot(a, b, dim, ma, mb) / norms : 0;
}

static int compare(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Counts each class's votes anew for every voter. */
static bool vote(const naive_set *set, const entry *list, size_t count, size_t k, size_t query) {
    k = k < count ? k : count;
    size_t most = 0;
    int32_t winner = -1;
    for (size_t i = 0; i < k; i++) {
        int32_t clique = set->candidate_cliques[list[i].row];
        size_t votes = 0;
        for (size_t j = 0; j < k; j++) votes += set->candidate_cliques[list[j].row] == clique;
        if (votes > most) most = votes, winner = clique; /* the nearer member came first */
    }
    return winner == set->query_cliques[query];
}

static size_t rank_all(const naive_set *set, vindex_metric metric, size_t q, entry *list) {
    size_t count = 0;
    for (size_t c = 0; c < set->candidate_count; c++) {
        if (set->square && c == q) continue;
        const float *a = set->queries + q * set->dim, *b = set->candidates + c * set->dim;
        list[count++] = (entry){naive_key(metric, a, b, set->dim), c,
                                set->query_cliques[q] == set->candidate_cliques[c]};
    }
    qsort(list, count, sizeof *list, compare);
    return count;
}

void naive_eval(const naive_set *set, const vindex_eval_params *params,
                vindex_eval_report *report) {
    entry *list = malloc(set->candidate_count * sizeof *list);
    double *firsts = malloc(set->query_count * sizeof *firsts);
    double *percentiles = malloc(set->query_count * sizeof *percentiles);
    size_t queries = 0, right = 0;
    *report = (vindex_eval_report){.candidates = (int64_t)set->candidate_count};
    for (size_t q = 0; q < set->query_count; q++) {
        size_t count = rank_all(set, params->metric, q, list);
        right += vote(set, list, count, (size_t)params->knn, q);
        double hits = 0, precisions = 0, above = 0, first = 0, within = 0;
        for (size_t i = 0; i < count; i++) {
            if (!list[i].relevant) continue;
            hits++;
            precisions += hits / (double)(i + 1);
            if (hits == 1) first = (double)(i + 1);
            within += (int64_t)i < params->precision_at;
            for (size_t j = 0; j < i; j++) above += !list[j].relevant;
            report->tied += (i > 0 && list[i - 1].key == list[i].key) ||
                            (i + 1 < count && list[i + 1].key == list[i].key);
        }
        if (hits == 0) {
            report->noise++;
            continue;
        }
        double irrelevant = (double)count - hits;
        percentiles[queries] = irrelevant > 0 ? 100 * above / hits / irrelevant : 0;
        firsts[queries++] = first;
        report->relevant += (int64_t)hits;
        report->map += precisions / hits;
        report->mr1 += first;
        report->mrr += 1 / first;
        report->top1 += first <= 1;
        report->top10 += first <= 10;
        for (int i = 0; i < 4; i++) report->recall_at[i] += first <= (1 << i);
        report->precision_at += within / (double)params->precision_at;
        report->arp += percentiles[queries - 1];
    }
    double n = queries ? (double)queries : NAN;
    report->queries = (int64_t)queries;
    report->map /= n;
    report->mr1 /= n;
    report->mrr /= n;
    report->precision_at /= n;
    report->arp /= n;
    for (int i = 0; i < 4; i++) report->recall_at[i] /= n;
    qsort(firsts, queries, sizeof *firsts, compare_numbers);
    report->mdr = !queries      ? NAN
                  : queries % 2 ? firsts[queries / 2]
                                : (firsts[queries / 2 - 1] + firsts[queries / 2]) / 2;
    double squares = 0;
    for (size_t i = 0; i < queries; i++) squares += pow(percentiles[i] - report->arp, 2);
    report->arp_interval = queries > 1 ? 1.96 * sqrt(squares / (n - 1) / n) : NAN;
    report->knn_accuracy = params->knn ? (double)right / (double)set->query_count : NAN;
    free(list);
    free(firsts);
    free(percentiles);
}

static void same_count(const char *name, int64_t found, int64_t expected) {
    ck_assert_msg(found == expected, "%s: found %lld, expected %lld", name, (long long)found,
                  (long long)expected);
}

static void near(const char *name, double found, double expected, double tolerance) {
    bool same = isnan(expected) ? isnan(found) : fabs(found - expected) <= tolerance;
    ck_assert_msg(same, "%s: found %.12g, expected %.12g", name, found, expected);
}

void naive_compare(const vindex_eval_report *found, const vindex_eval_report *expected,
                   double tolerance) {
    same_count("queries", found->queries, expected->queries);
    same_count("candidates", found->candidates, expected->candidates);
    same_count("noise", found->noise, expected->noise);
    same_count("relevant", found->relevant, expected->relevant);
    same_count("tied", found->tied, expected->tied);
    same_count("top1", found->top1, expected->top1);
    same_count("top10", found->top10, expected->top10);
    near("map", found->map, expected->map, tolerance);
    near("mr1", found->mr1, expected->mr1, tolerance);
    near("mrr", found->mrr, expected->mrr, tolerance);
    near("mdr", found->mdr, expected->mdr, tolerance);
    for (int i = 0; i < 4; i++)
        near("recall_at", found->recall_at[i], expected->recall_at[i], tolerance);
    near("precision_at", found->precision_at, expected->precision_at, tolerance);
    near("arp", found->arp, expected->arp, tolerance);
    near("arp_interval", found->arp_interval, expected->arp_interval, tolerance);
    near("knn_accuracy", found->knn_accuracy, expected->knn_accuracy, tolerance);
}
