#include "validation.h"

#include "core/blas.h"
#include "exact/rank.h"

enum { PAIRS_MOST = 1 << 21 }; /* of a query and a relevant row, per part */

/* ---- which rows ask, and for what ---- */

typedef struct labelled {
    int32_t label;
    size_t row;        /* within its part */
    size_t first, end; /* where its label's rows are in the sorted order */
} labelled;

static int compare_labels(const void *a, const void *b) {
    const labelled *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Sorts a part by label; answers how many pairs of one label there are. */
static size_t sort_part(const int32_t *labels, size_t n, labelled *sorted) {
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++) sorted[i] = (labelled){labels[i], i, 0, 0};
    qsort(sorted, n, sizeof *sorted, compare_labels);
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first; end < n && sorted[end].label == sorted[first].label;) end++;
        for (size_t i = first; i < end; i++) sorted[i].first = first, sorted[i].end = end;
        pairs += (end - first) * (end - first - 1);
    }
    return pairs;
}

/* Every so manieth row in the order of labels asks, if it has whom to ask for. */
static vindex_status choose_queries(const vx_validation *v, const labelled *sorted, size_t stride,
                                    vx_asked *asked) {
    size_t pairs = 0, count = 0;
    for (size_t i = 0; i < v->part; i += stride) {
        size_t alike = sorted[i].end - sorted[i].first - 1;
        count += alike > 0;
        pairs += alike;
    }
    asked->rows = vx_alloc(count, sizeof *asked->rows);
    asked->offsets = vx_alloc(count + 1, sizeof *asked->offsets);
    asked->relevant = vx_alloc(pairs, sizeof *asked->relevant);
    if (!asked->rows || !asked->offsets || !asked->relevant)
        return vx_fail_memory(pairs + count, sizeof *asked->relevant, v->job->word);
    pairs = 0;
    asked->offsets[0] = 0;
    for (size_t i = 0; i < v->part; i += stride) {
        if (sorted[i].end - sorted[i].first < 2) continue;
        asked->rows[asked->count] = (int64_t)sorted[i].row;
        for (size_t j = sorted[i].first; j < sorted[i].end; j++)
            if (j != i) asked->relevant[pairs++] = (int64_t)sorted[j].row;
        asked->offsets[++asked->count] = pairs;
    }
    return VINDEX_OK;
}

static vindex_status open_queries(vx_validation *v) {
    labelled *sorted = vx_alloc(v->part, sizeof *sorted);
    if (!sorted) return vx_fail_memory(v->part, sizeof *sorted, v->job->word);
    vindex_status status = VINDEX_OK;
    size_t most = 0;
    for (size_t p = 0; status == VINDEX_OK && p < v->parts; p++) {
        size_t pairs = sort_part(v->job->validation_labels + p * v->part, v->part, sorted);
        size_t stride = (pairs + PAIRS_MOST - 1) / PAIRS_MOST;
        if (!pairs)
            status =
                vx_fail(VINDEX_ERR_DATA,
                        "%s: no two validation rows have one label; nothing can be found there",
                        v->job->word);
        else
            status = choose_queries(v, sorted, stride, &v->queries[p]);
        if (status == VINDEX_OK) most = VX_MAX(most, v->queries[p].offsets[v->queries[p].count]);
    }
    vx_free(sorted);
    if (status != VINDEX_OK) return status;
    v->before = vx_alloc(most, sizeof *v->before);
    v->tied = vx_alloc(most, sizeof *v->tied);
    if (v->before && v->tied) return VINDEX_OK;
    return vx_fail_memory(most, 2 * sizeof *v->before, v->job->word);
}

/* ---- rows ---- */

static vindex_status open_rows(vx_validation *v, const vx_view *view) {
    const float *rows;
    float *owned;
    size_t n = v->parts * v->part, numbers;
    VX_TRY(vx_rows_all(v->job, &v->job->validation, &rows, &owned));
    v->rows = vx_mul(n, v->in, &numbers) ? vx_alloc(numbers, sizeof(float)) : NULL;
    v->mapped = vx_mul(v->part, v->out, &numbers) ? vx_alloc(numbers, sizeof(float)) : NULL;
    v->asked = v->mapped ? vx_alloc(numbers, sizeof(float)) : NULL;
    vindex_status status = VINDEX_OK;
    if (v->rows && v->mapped && v->asked)
        vx_view_apply(view, rows, n, v->rows);
    else
        status = vx_fail_memory(n, (v->in + 2 * v->out) * sizeof(float), v->job->word);
    vx_free(owned);
    return status;
}

static vindex_status open_all(vx_validation *v, const vx_training_set *set) {
    size_t n = (size_t)v->job->validation.count;
    if (!v->job->validation_labels)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: validation rows were given without labels; add them or leave both out",
                       v->job->word);
    if (n % set->notions)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: %zu validation rows are no %zu equal parts, one per notion of "
                       "similarity; give as many rows for each",
                       v->job->word, n, set->notions);
    v->parts = set->notions;
    v->part = n / set->notions;
    v->queries = vx_alloc_zero(v->parts, sizeof *v->queries);
    if (!v->queries) return vx_fail_memory(v->parts, sizeof *v->queries, v->job->word);
    VX_TRY(open_queries(v));
    return open_rows(v, &set->view);
}

vindex_status vx_validation_open(const vx_training_set *set, size_t out, vindex_metric metric,
                                 vx_validation *validation) {
    *validation =
        (vx_validation){.job = set->job, .in = set->view.dim, .out = out, .metric = metric};
    if (!set->job->validation.count) return VINDEX_OK;
    vindex_status status = open_all(validation, set);
    if (status != VINDEX_OK) vx_validation_close(validation);
    return status;
}

void vx_validation_close(vx_validation *validation) {
    for (size_t p = 0; validation->queries && p < validation->parts; p++) {
        vx_free(validation->queries[p].rows);
        vx_free(validation->queries[p].offsets);
        vx_free(validation->queries[p].relevant);
    }
    vx_free(validation->queries);
    vx_free(validation->rows);
    vx_free(validation->mapped);
    vx_free(validation->asked);
    vx_free(validation->before);
    vx_free(validation->tied);
    *validation = (vx_validation){0};
}

/* ---- the measure ---- */

static int compare(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double average_precision(int64_t *before, size_t count) {
    double sum = 0;
    qsort(before, count, sizeof *before, compare);
    for (size_t i = 0; i < count; i++) sum += (double)(i + 1) / (double)(before[i] + 1);
    return sum / (double)count;
}

static void map_part(const vx_validation *v, size_t p, const float *weights, const float *bias,
                     const float *mask) {
    vx_sproduct product = {.m = v->part,
                           .n = v->out,
                           .k = v->in,
                           .alpha = 1,
                           .a = v->rows + p * v->part * v->in,
                           .b = weights,
                           .c = v->mapped,
                           .b_transposed = true};
    vx_sgemm(&product, v->job->threads);
    for (size_t i = 0; i < v->part; i++)
        for (size_t j = 0; j < v->out; j++) {
            float *number = &v->mapped[i * v->out + j];
            *number = (*number + bias[j]) * (mask ? mask[j] : 1);
        }
    const vx_asked *queries = &v->queries[p];
    for (size_t q = 0; q < queries->count; q++)
        memcpy(v->asked + q * v->out, v->mapped + (size_t)queries->rows[q] * v->out,
               v->out * sizeof *v->asked);
}

static vindex_status measure_part(const vx_validation *v, size_t p, double *map) {
    const vx_asked *queries = &v->queries[p];
    vx_rank_task task = {.metric = v->metric,
                         .dim = v->out,
                         .queries = v->asked,
                         .query_count = queries->count,
                         .candidates = v->mapped,
                         .candidate_count = v->part,
                         .self = queries->rows,
                         .offsets = queries->offsets,
                         .rows = queries->relevant,
                         .before = v->before,
                         .tied = v->tied};
    vindex_call call;
    vindex_call_init(&call);
    call.threads = v->job->threads;
    VX_TRY(vx_rank(&task, &call));
    double sum = 0;
    for (size_t q = 0; q < queries->count; q++)
        sum += average_precision(v->before + queries->offsets[q],
                                 queries->offsets[q + 1] - queries->offsets[q]);
    *map = sum / (double)queries->count;
    return VINDEX_OK;
}

vindex_status vx_validation_map(vx_validation *validation, const float *weights, const float *bias,
                                const float *masks, double *map) {
    double sum = 0;
    for (size_t p = 0; p < validation->parts; p++) {
        double part;
        map_part(validation, p, weights, bias, masks ? masks + p * validation->out : NULL);
        VX_TRY(measure_part(validation, p, &part));
        sum += part;
    }
    *map = sum / (double)validation->parts;
    return VINDEX_OK;
}
