/* How well classes part (Rousseeuw 1987). */
#include <math.h>
#include <omp.h>

#include "exact/group.h"
#include "job.h"

enum { ITEMS_EACH = 16 /* per thread, loaded and compared together */ };

typedef struct parting {
    vx_eval_job job;
    const float *vectors;
    size_t dim, count;  /* classes */
    size_t *class_of;   /* per row */
    size_t *sizes;      /* per class */
    double *silhouette; /* per row */
    vx_group *groups;   /* per thread */
    double *sums;       /* per thread, a class's distances to the item */
    int threads;
} parting;

static vindex_status number_classes(parting *p) {
    size_t rows = p->job.query_count;
    p->class_of = vx_alloc(rows, sizeof *p->class_of);
    p->sizes = vx_alloc(rows, sizeof *p->sizes);
    p->silhouette = vx_alloc(rows, sizeof *p->silhouette);
    if (!p->class_of || !p->sizes || !p->silhouette)
        return vx_fail_memory(rows, 3 * sizeof(double), "eval: classes");
    for (size_t i = 0; i < rows; i++) {
        if (!i || p->job.members[i].key != p->job.members[i - 1].key) p->sizes[p->count++] = 0;
        p->class_of[p->job.members[i].id] = p->count - 1;
        p->sizes[p->count - 1]++;
    }
    return VINDEX_OK;
}

/* From the sums of the item's distances to each class. */
static double silhouette_of(const parting *p, size_t own, const double *sums) {
    double apart = INFINITY;
    if (p->sizes[own] == 1) return 0;
    double within = sums[own] / (double)(p->sizes[own] - 1);
    for (size_t c = 0; c < p->count; c++)
        if (c != own) apart = VX_MIN(apart, sums[c] / (double)p->sizes[c]);
    double larger = VX_MAX(within, apart);
    return larger > 0 ? (apart - within) / larger : 0;
}

static void compare_item(const parting *p, const vx_group *group, size_t q, size_t item,
                         double *sums) {
    memset(sums, 0, p->count * sizeof *sums);
    for (size_t i = 0; i < p->job.query_count; i++) {
        if (i == item) continue;
        double key = vx_group_settle(group, q, p->vectors + i * p->dim);
        /* Distance itself, not its square; similarities count from 1 down. */
        sums[p->class_of[i]] += p->job.similarity ? 1 + key : sqrt(key);
    }
    p->silhouette[item] = silhouette_of(p, p->class_of[item], sums);
}

static bool compare_some(parting *p, size_t first, size_t count) {
    int me = omp_get_thread_num();
    vx_group *group = &p->groups[me];
    if (vx_group_load(group, p->vectors + first * p->dim, count, 1)) return false;
    for (size_t q = 0; q < count; q++)
        compare_item(p, group, q, first + q, p->sums + (size_t)me * p->count);
    return true;
}

static vindex_status compare_all(parting *p) {
    size_t rows = p->job.query_count, each = (size_t)p->threads * ITEMS_EACH;
    for (size_t first = 0; first < rows; first += each) {
        VX_TRY(vx_eval_progress(&p->job, "silhouette", first, rows));
        size_t end = VX_MIN(first + each, rows), failed = 0;
#pragma omp parallel for num_threads(p->threads) schedule(dynamic) reduction(+ : failed)
        for (size_t i = first; i < end; i += ITEMS_EACH)
            failed += !compare_some(p, i, VX_MIN(end - i, (size_t)ITEMS_EACH));
        if (failed) return vx_fail_memory(ITEMS_EACH, p->dim * sizeof(double), "eval: items");
    }
    return vx_eval_progress(&p->job, "silhouette", 1, 1);
}

static vindex_status evaluate(parting *p, int64_t n, int64_t dim) {
    vindex_eval_sets sets = {.candidates = p->vectors, .candidate_count = n, .dim = dim};
    VX_TRY(vx_eval_check_vectors(&sets, true));
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    p->dim = (size_t)dim;
    p->threads = vx_threads(p->job.params.threads);
    VX_TRY(number_classes(p));
    if (p->count < 2)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "eval: a silhouette compares classes and there is one; label at least two");
    p->groups = vx_alloc_zero((size_t)p->threads, sizeof *p->groups);
    p->sums = vx_alloc((size_t)p->threads, p->count * sizeof *p->sums);
    if (!p->groups || !p->sums)
        return vx_fail_memory((size_t)p->threads, p->count * sizeof *p->sums, "eval: silhouette");
    vx_space space = {p->job.params.metric, VINDEX_F32, p->dim, NULL};
    for (int t = 0; t < p->threads; t++)
        VX_TRY(vx_group_create(&space, ITEMS_EACH, false, &p->groups[t]));
    return compare_all(p);
}

vindex_status vindex_eval_silhouette(const float *vectors, const int32_t *cliques, int64_t n,
                                     int64_t dim, const vindex_eval_params *params,
                                     double *silhouette) {
    if (!silhouette)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the silhouette is NULL; give a place for it");
    parting p = {.vectors = vectors};
    VX_TRY(vx_eval_open(&p.job, params, (vx_side){cliques, n}, (vx_side){cliques, n}, true));
    p.job.similarity = p.job.params.metric != VINDEX_L2;
    vindex_status status =
        p.job.params.metric == VINDEX_INNER_PRODUCT
            ? vx_fail(VINDEX_ERR_UNSUPPORTED,
                      "eval: the dot product is no distance, so that it has no silhouette; use l2, "
                      "cosine or pearson")
            : evaluate(&p, n, dim);
    if (!status) {
        double sum = 0;
        for (size_t i = 0; i < (size_t)n; i++) sum += p.silhouette[i];
        *silhouette = sum / (double)n;
    }
    for (int t = 0; p.groups && t < p.threads; t++) vx_group_free(&p.groups[t]);
    vx_free(p.groups);
    vx_free(p.sums);
    vx_free(p.class_of);
    vx_free(p.sizes);
    vx_free(p.silhouette);
    vindex_eval_report unused;
    return vx_eval_close(&p.job, status, &unused, NULL);
}
