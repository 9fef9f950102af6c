/* The reductions of CLEWS and ByteCover3. Sums run in the order of segments. */
#include "reduce.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "core/base.h"

static const struct {
    const char *name;
    vindex_eval_reduce kind;
} names[] = {
    {"min", VINDEX_EVAL_MIN},         {"max", VINDEX_EVAL_MAX},
    {"mean", VINDEX_EVAL_MEAN},       {"minmean", VINDEX_EVAL_MINMEAN},
    {"meanmin", VINDEX_EVAL_MEANMIN}, {"maxmean", VINDEX_EVAL_MEANMIN},
    {"best", VINDEX_EVAL_BEST},       {"bpwr", VINDEX_EVAL_BPWR},
};

static bool takes_count(vindex_eval_reduce kind) {
    return kind == VINDEX_EVAL_BEST || kind == VINDEX_EVAL_BPWR;
}

/* "", or "-10" after a kind that takes a number. */
static bool parse_count(const char *text, vindex_eval_reduction *reduction) {
    char *end;
    reduction->count = reduction->kind == VINDEX_EVAL_BEST ? 1 : 0;
    if (!*text) return true;
    if (!takes_count(reduction->kind) || text[0] != '-' || text[1] < '1' || text[1] > '9')
        return false;
    errno = 0;
    reduction->count = strtoll(text + 1, &end, 10);
    return !*end && !errno;
}

bool vindex_eval_reduction_parse(const char *text, vindex_eval_reduction *reduction) {
    for (int symmetric = 0; symmetric < 2; symmetric++) {
        if (symmetric && *text++ != 's') return false;
        for (size_t i = 0; i < VX_COUNT(names); i++) {
            size_t length = strlen(names[i].name);
            vindex_eval_reduction found = {.kind = names[i].kind, .symmetric = symmetric};
            if (strncmp(text, names[i].name, length) || !parse_count(text + length, &found))
                continue;
            *reduction = found;
            return true;
        }
    }
    return false;
}

vindex_status vx_reducer_create(const vindex_eval_reduction *how, size_t rows, size_t columns,
                                vx_reducer *reducer) {
    size_t pairs = rows * columns; /* the caller holds as many keys */
    size_t k = how->kind == VINDEX_EVAL_BEST ? VX_MIN((size_t)how->count, pairs) : 0;
    *reducer = (vx_reducer){
        .how = *how,
        .hits = vx_alloc(vx_topk_capacity(k), sizeof *reducer->hits),
        .row_used = vx_alloc(rows, sizeof *reducer->row_used),
        .column_used = vx_alloc(columns, sizeof *reducer->column_used),
    };
    if (reducer->hits && reducer->row_used && reducer->column_used) return VINDEX_OK;
    vx_reducer_free(reducer);
    return vx_fail_memory(k + rows + columns, sizeof(vx_hit), "eval: segments");
}

void vx_reducer_free(vx_reducer *reducer) {
    vx_free(reducer->hits);
    vx_free(reducer->row_used);
    vx_free(reducer->column_used);
    *reducer = (vx_reducer){0};
}

/* A matrix read by rows, or the same one by columns. */
typedef struct matrix {
    const double *keys;
    size_t rows, columns, row_step, column_step;
} matrix;

static double at(const matrix *m, size_t row, size_t column) {
    return m->keys[row * m->row_step + column * m->column_step];
}

static double row_least(const matrix *m, size_t row) {
    double least = INFINITY;
    for (size_t j = 0; j < m->columns; j++) least = VX_MIN(least, at(m, row, j));
    return least;
}

static double row_mean(const matrix *m, size_t row) {
    double sum = 0;
    for (size_t j = 0; j < m->columns; j++) sum += at(m, row, j);
    return sum / (double)m->columns;
}

static double largest(const matrix *m) {
    double most = -INFINITY;
    for (size_t i = 0; i < m->rows * m->columns; i++) most = VX_MAX(most, m->keys[i]);
    return most;
}

static double mean_of_best(vx_reducer *reducer, const matrix *m) {
    size_t pairs = m->rows * m->columns;
    vx_topk top;
    vx_topk_init(&top, VX_MIN((size_t)reducer->how.count, pairs), reducer->hits);
    for (size_t i = 0; i < pairs; i++) vx_topk_push(&top, (vx_hit){m->keys[i], (int64_t)i});
    size_t count = vx_topk_finish(&top);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += top.hits[i].key;
    return sum / (double)count;
}

/* Best pairs without replacement: the smallest pair, its row and column struck, n times. Of equal
 * pairs the one of the earlier segments goes first. */
static double mean_of_pairs(vx_reducer *reducer, const matrix *m) {
    size_t n = VX_MIN(m->rows, m->columns);
    if (reducer->how.count) n = VX_MIN(n, (size_t)reducer->how.count);
    memset(reducer->row_used, 0, m->rows * sizeof *reducer->row_used);
    memset(reducer->column_used, 0, m->columns * sizeof *reducer->column_used);
    double sum = 0;
    for (size_t taken = 0; taken < n; taken++) {
        double least = INFINITY;
        size_t row = m->rows, column = 0;
        for (size_t i = 0; i < m->rows; i++)
            for (size_t j = 0; j < m->columns && !reducer->row_used[i]; j++) {
                if (reducer->column_used[j] || (row < m->rows && !(at(m, i, j) < least))) continue;
                least = at(m, i, j);
                row = i;
                column = j;
            }
        reducer->row_used[row] = reducer->column_used[column] = true;
        sum += least;
    }
    return sum / (double)n;
}

static double reduce_one(vx_reducer *reducer, const matrix *m) {
    double least = INFINITY, sum = 0;
    switch (reducer->how.kind) {
    case VINDEX_EVAL_MIN:
        for (size_t i = 0; i < m->rows; i++) least = VX_MIN(least, row_least(m, i));
        return least;
    case VINDEX_EVAL_MAX:
        return largest(m);
    case VINDEX_EVAL_MEAN:
        for (size_t i = 0; i < m->rows * m->columns; i++) sum += m->keys[i];
        return sum / (double)(m->rows * m->columns);
    case VINDEX_EVAL_MINMEAN:
        for (size_t i = 0; i < m->rows; i++) least = VX_MIN(least, row_mean(m, i));
        return least;
    case VINDEX_EVAL_MEANMIN:
        for (size_t i = 0; i < m->rows; i++) sum += row_least(m, i);
        return sum / (double)m->rows;
    case VINDEX_EVAL_BEST:
        return mean_of_best(reducer, m);
    case VINDEX_EVAL_BPWR:
        return mean_of_pairs(reducer, m);
    }
    return NAN;
}

double vx_reduce(vx_reducer *reducer, const double *keys, size_t rows, size_t columns) {
    bool directed =
        reducer->how.kind == VINDEX_EVAL_MINMEAN || reducer->how.kind == VINDEX_EVAL_MEANMIN;
    matrix forth = {keys, rows, columns, columns, 1}, back = {keys, columns, rows, 1, columns};
    double there = reduce_one(reducer, &forth);
    /* The other reductions are the same in both directions. */
    return reducer->how.symmetric && directed ? 0.5 * (there + reduce_one(reducer, &back)) : there;
}
