#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* Neumaier's compensated sum: as good as twice the precision. */
typedef struct sum {
    double high, low;
} sum;

static void sum_add(sum *s, double x) {
    double total = s->high + x;
    s->low += fabs(s->high) >= fabs(x) ? (s->high - total) + x : (x - total) + s->high;
    s->high = total;
}

static double sum_value(const sum *s) {
    return s->high + s->low;
}

static double weight_of(const float *weights, size_t j) {
    return weights ? (double)weights[j] : 1;
}

/* A vector less its weighted mean. */
typedef struct centred {
    double mean, norm;
    double error; /* how far another evaluation's mean may be off */
    bool constant;
} centred;

/* Roundings on the longest way to a sum, for eight or more partial sums. */
static double unit(size_t dim) {
    return ((double)dim / 8 + 16) * 0x1p-53;
}

static centred centre(size_t dim, const float *x, const float *weights) {
    sum total = {0}, weighted = {0}, magnitude = {0}, square = {0};
    centred c = {.constant = true};
    const float *first = NULL;
    for (size_t j = 0; j < dim; j++) {
        double w = weight_of(weights, j);
        if (w == 0) continue;
        if (!first) first = &x[j];
        c.constant &= x[j] == *first;
        sum_add(&total, w);
        sum_add(&weighted, w * (double)x[j]);
        sum_add(&magnitude, w * fabs((double)x[j]));
    }
    if (!first) return c;
    c.mean = sum_value(&weighted) / sum_value(&total);
    c.error = unit(dim) * sum_value(&magnitude) / sum_value(&total);
    for (size_t j = 0; j < dim; j++) {
        double difference = (double)x[j] - c.mean;
        sum_add(&square, weight_of(weights, j) * difference * difference);
    }
    c.norm = c.constant ? 0 : sqrt(sum_value(&square));
    return c;
}

/* Pearson: besides the sums, the two means are rounded, and what they are off by meets the sum of
 * all the other side's numbers. */
static oracle_hit pearson(size_t dim, const float *query, const float *row, const float *weights) {
    centred q = centre(dim, query, weights), x = centre(dim, row, weights);
    if (q.constant || x.constant) return (oracle_hit){0};
    sum dot = {0}, reach = {0}, query_reach = {0}, row_reach = {0}, total = {0};
    for (size_t j = 0; j < dim; j++) {
        double w = weight_of(weights, j);
        double a = (double)query[j] - q.mean, b = (double)row[j] - x.mean;
        sum_add(&dot, w * a * b);
        sum_add(&reach, w * fabs(a * b));
        sum_add(&query_reach, w * fabs(a));
        sum_add(&row_reach, w * fabs(b));
        sum_add(&total, w);
    }
    double norms = q.norm * x.norm, key = -sum_value(&dot) / norms;
    double dot_error = unit(dim) * sum_value(&reach) + q.error * sum_value(&row_reach) +
                       x.error * sum_value(&query_reach) + sum_value(&total) * q.error * x.error;
    double norm_error = 4 * unit(dim) + sum_value(&total) * pow(q.error / q.norm, 2) +
                        2 * q.error * sum_value(&query_reach) / pow(q.norm, 2) +
                        sum_value(&total) * pow(x.error / x.norm, 2) +
                        2 * x.error * sum_value(&row_reach) / pow(x.norm, 2);
    return (oracle_hit){.key = key, .slack = dot_error / norms + fabs(key) * norm_error};
}

static oracle_hit squared_distance(size_t dim, const float *query, const float *row,
                                   const float *weights) {
    sum distance = {0};
    for (size_t j = 0; j < dim; j++) {
        double difference = (double)query[j] - (double)row[j];
        sum_add(&distance, weight_of(weights, j) * difference * difference);
    }
    return (oracle_hit){.key = sum_value(&distance), .slack = unit(dim) * sum_value(&distance)};
}

static double norm(size_t dim, const float *x, const float *weights) {
    sum square = {0};
    for (size_t j = 0; j < dim; j++)
        sum_add(&square, weight_of(weights, j) * (double)x[j] * (double)x[j]);
    return sqrt(sum_value(&square));
}

oracle_hit oracle_key(vindex_metric metric, size_t dim, const float *query, const float *row,
                      const float *weights) {
    if (metric == VINDEX_PEARSON) return pearson(dim, query, row, weights);
    if (metric == VINDEX_L2) return squared_distance(dim, query, row, weights);
    sum dot = {0}, reach = {0};
    for (size_t j = 0; j < dim; j++) {
        double product = weight_of(weights, j) * (double)query[j] * (double)row[j];
        sum_add(&dot, product);
        sum_add(&reach, fabs(product));
    }
    if (metric == VINDEX_INNER_PRODUCT)
        return (oracle_hit){.key = -sum_value(&dot), .slack = unit(dim) * sum_value(&reach)};
    double norms = norm(dim, query, weights) * norm(dim, row, weights);
    if (norms == 0) return (oracle_hit){0};
    double key = -sum_value(&dot) / norms;
    return (oracle_hit){.key = key,
                        .slack = unit(dim) * (sum_value(&reach) / norms + 2 * fabs(key))};
}

/* qsort passes no context; the tests' sorts run on one thread. */
static const oracle *sorting;

static int by_bits(const void *a, const void *b) {
    size_t i = *(const size_t *)a, j = *(const size_t *)b, bytes = sorting->dim * sizeof(float);
    int order = memcmp(sorting->rows + i * sorting->dim, sorting->rows + j * sorting->dim, bytes);
    return order ? order : (i > j) - (i < j);
}

static int64_t id_of(const oracle *set, size_t row) {
    return set->ids ? set->ids[row] : (int64_t)row;
}

static int by_id(const void *a, const void *b) {
    int64_t i = id_of(sorting, *(const size_t *)a), j = id_of(sorting, *(const size_t *)b);
    return (i > j) - (i < j);
}

static int by_key(const void *a, const void *b) {
    const oracle_hit *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

void oracle_open(oracle *set) {
    set->twins = calloc(set->count + 1, sizeof *set->twins);
    set->by_id = calloc(set->count + 1, sizeof *set->by_id);
    size_t *order = calloc(set->count + 1, sizeof *order);
    for (size_t i = 0; i < set->count; i++) order[i] = set->by_id[i] = i;
    sorting = set;
    qsort(order, set->count, sizeof *order, by_bits);
    qsort(set->by_id, set->count, sizeof *order, by_id);
    for (size_t i = 0; i < set->count; i++) {
        bool same = i > 0 && !memcmp(set->rows + order[i] * set->dim,
                                     set->rows + order[i - 1] * set->dim, set->dim * sizeof(float));
        set->twins[order[i]] = same ? set->twins[order[i - 1]] : order[i];
    }
    free(order);
}

void oracle_close(oracle *set) {
    free(set->twins);
    free(set->by_id);
}

oracle_ranking oracle_rank(const oracle *set, const float *query, const float *weights) {
    oracle_ranking ranking = {calloc(set->count + 1, sizeof *ranking.hits), 0,
                              calloc(set->count + 1, sizeof *ranking.places)};
    for (size_t row = 0; row < set->count; row++) {
        ranking.places[row] = SIZE_MAX;
        if (set->hidden && set->hidden[row]) continue;
        oracle_hit hit =
            oracle_key(set->metric, set->dim, query, set->rows + row * set->dim, weights);
        hit.id = id_of(set, row);
        hit.row = row;
        if (set->exact) hit.slack = 0;
        ranking.hits[ranking.count++] = hit;
    }
    qsort(ranking.hits, ranking.count, sizeof *ranking.hits, by_key);
    for (size_t i = 0; i < ranking.count; i++) ranking.places[ranking.hits[i].row] = i;
    return ranking;
}

void oracle_ranking_free(oracle_ranking *ranking) {
    free(ranking->hits);
    free(ranking->places);
}

static size_t row_of(const oracle *set, int64_t id) {
    if (!set->ids) return id >= 0 && (uint64_t)id < set->count ? (size_t)id : SIZE_MAX;
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (id_of(set, set->by_id[middle]) < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->count && id_of(set, set->by_id[low]) == id ? set->by_id[low] : SIZE_MAX;
}

static double shown(vindex_metric metric, double key) {
    return metric == VINDEX_L2 ? key : 0 - key;
}

/* The returned float must be one that rounding a value within the slack can give. */
static void check_distance(vindex_metric metric, const oracle_hit *hit, float distance,
                           const char *what) {
    double truth = shown(metric, hit->key);
    ck_each(distance >= (float)(truth - hit->slack) && distance <= (float)(truth + hit->slack),
            "%s: id %lld has %.9g, the truth is %.17g", what, (long long)hit->id, (double)distance,
            truth);
}

/* The returned hits are rows that may be answered, each once, in order. Notes per class of twins
 * the last id returned, in `last` (-1: none), and which places were returned. */
static void check_order(const oracle *set, const oracle_ranking *ranking,
                        const oracle_answer *answer, size_t found, int64_t *last, bool *returned,
                        const char *what) {
    double certain = -INFINITY; /* what the keys so far are at least */
    for (size_t i = 0; i < found; i++) {
        size_t row = row_of(set, answer->ids[i]);
        ck_each(row != SIZE_MAX && ranking->places[row] != SIZE_MAX,
                "%s: place %zu has id %lld, which may not be returned", what, i,
                (long long)answer->ids[i]);
        size_t place = ranking->places[row];
        const oracle_hit *hit = &ranking->hits[place];
        ck_each(!returned[place], "%s: id %lld was returned twice", what, (long long)hit->id);
        returned[place] = true;
        ck_each(hit->key + hit->slack >= certain,
                "%s: place %zu has id %lld with key %.17g, and a worse one is before it", what, i,
                (long long)hit->id, hit->key);
        certain = fmax(certain, hit->key - hit->slack);
        int64_t *before = &last[set->twins[row]];
        ck_each(*before < hit->id, "%s: id %lld comes after its twin %lld", what,
                (long long)hit->id, (long long)*before);
        *before = hit->id;
        if (set->exact && i > 0) {
            const oracle_hit *left =
                &ranking->hits[ranking->places[row_of(set, answer->ids[i - 1])]];
            ck_each(by_key(left, hit) < 0, "%s: ids %lld and %lld are out of order", what,
                    (long long)left->id, (long long)hit->id);
        }
        check_distance(set->metric, hit, answer->distances[i], what);
    }
}

/* What check_order notes, for one answer. */
typedef struct notes {
    int64_t *last;
    bool *returned;
} notes;

static notes make_notes(const oracle *set) {
    notes own = {malloc((set->count + 1) * sizeof(int64_t)), calloc(set->count + 1, 1)};
    for (size_t i = 0; i < set->count; i++) own.last[i] = -1;
    return own;
}

static void free_notes(notes *own) {
    free(own->last);
    free(own->returned);
}

void oracle_check(const oracle *set, const oracle_ranking *ranking, const oracle_answer *answer,
                  const char *what) {
    size_t found = answer->count < ranking->count ? answer->count : ranking->count;
    notes own = make_notes(set);
    check_order(set, ranking, answer, found, own.last, own.returned, what);
    oracle_hit worst = {.key = -INFINITY}; /* of the returned: the one that is worst for certain */
    for (size_t p = 0; p < ranking->count; p++) {
        const oracle_hit *hit = &ranking->hits[p];
        if (own.returned[p] && hit->key - hit->slack >= worst.key - worst.slack) worst = *hit;
    }
    for (size_t p = 0; p < ranking->count && found; p++) {
        const oracle_hit *hit = &ranking->hits[p];
        if (own.returned[p]) continue;
        ck_each(hit->key + hit->slack >= worst.key - worst.slack,
                "%s: id %lld with key %.17g is missing; id %lld with key %.17g is there", what,
                (long long)hit->id, hit->key, (long long)worst.id, worst.key);
        ck_each(hit->id > own.last[set->twins[hit->row]],
                "%s: id %lld is missing, its twin %lld is there", what, (long long)hit->id,
                (long long)own.last[set->twins[hit->row]]);
        ck_each(!set->exact || by_key(&worst, hit) < 0, "%s: id %lld is missing", what,
                (long long)hit->id);
    }
    for (size_t i = found; i < answer->count; i++) {
        ck_each(answer->ids[i] == -1, "%s: id %lld where nothing is left", what,
                (long long)answer->ids[i]);
        float none = set->metric == VINDEX_L2 ? INFINITY : -INFINITY;
        ck_each(answer->distances[i] == none, "%s: %g where nothing is left", what,
                (double)answer->distances[i]);
    }
    free_notes(&own);
}

void oracle_check_range(const oracle *set, const oracle_ranking *ranking,
                        const oracle_answer *answer, float radius, const char *what) {
    notes own = make_notes(set);
    double most = shown(set->metric, (double)radius);
    check_order(set, ranking, answer, answer->count, own.last, own.returned, what);
    for (size_t p = 0; p < ranking->count; p++) {
        const oracle_hit *hit = &ranking->hits[p];
        if (own.returned[p])
            ck_each(hit->key - hit->slack <= most, "%s: id %lld with key %.17g is outside", what,
                    (long long)hit->id, hit->key);
        else
            ck_each(hit->key + hit->slack > most, "%s: id %lld with key %.17g is missing", what,
                    (long long)hit->id, hit->key);
    }
    free_notes(&own);
}
