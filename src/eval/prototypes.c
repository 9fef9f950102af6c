/* Classes by their prototypes, the means of their members (Snell et al. 2017; auto-tagging by the
 * distance to class centroids, Lee et al. 2020). */
#include <math.h>
#include <omp.h>

#include "exact/group.h"
#include "job.h"

/* Keys of a block of classes to all items that are held at a time. */
enum { BLOCK_KEYS = 1 << 21 };

typedef struct classes {
    vx_eval_job job;
    const vindex_eval_sets *sets;
    vx_group group;
    size_t dim, count; /* classes */
    size_t *starts;    /* count + 1, into job.members */
    size_t *class_of;  /* per item; count: a class that no candidate is in */
    double *own;       /* per item, the key of its own prototype; NaN: it has none */
    size_t *before;    /* per item, prototypes that rank before its own */
    size_t block;      /* classes that are looked at together */
    float *prototypes; /* block x dim */
    double *keys;      /* block x items */
    double *areas;     /* per class, the area under its curve; NaN: none */
    vx_hit *positives; /* per thread, the items of a class */
    double *sums;      /* per thread, a class's */
    int threads;
} classes;

static const float *item_of(const classes *c, size_t item) {
    return c->sets->queries + item * c->dim;
}

/* The sum of a class in double precision, in the order of rows. */
static void sum_class(const classes *c, size_t class, double *sum) {
    memset(sum, 0, c->dim * sizeof *sum);
    for (size_t i = c->starts[class]; i < c->starts[class + 1]; i++) {
        const float *row = c->sets->candidates + (size_t)c->job.members[i].id * c->dim;
        for (size_t j = 0; j < c->dim; j++) sum[j] += (double)row[j];
    }
}

/* Prototypes are kept in single precision, as every vector is. */
static vindex_status load_block(classes *c, size_t first, size_t count) {
#pragma omp parallel for num_threads(c->threads) schedule(dynamic)
    for (size_t k = 0; k < count; k++) {
        double *sum = c->sums + (size_t)omp_get_thread_num() * c->dim;
        double members = (double)(c->starts[first + k + 1] - c->starts[first + k]);
        sum_class(c, first + k, sum);
        for (size_t j = 0; j < c->dim; j++)
            c->prototypes[k * c->dim + j] = (float)(sum[j] / members);
    }
    return vx_group_load(&c->group, c->prototypes, count, c->threads);
}

/* The keys of the members of a class to its prototype, each without a part of its own in it. */
static vindex_status own_without(classes *c, size_t class) {
    size_t start = c->starts[class], end = c->starts[class + 1];
    double others = (double)(end - start - 1);
    if (end - start < 2) return VINDEX_OK;
    sum_class(c, class, c->sums);
    for (size_t first = start; first < end; first += c->block) {
        size_t count = VX_MIN(c->block, end - first);
        const vx_hit *members = c->job.members + first;
        for (size_t k = 0; k < count; k++)
            for (size_t j = 0; j < c->dim; j++)
                c->prototypes[k * c->dim + j] =
                    (float)((c->sums[j] - (double)item_of(c, (size_t)members[k].id)[j]) / others);
        VX_TRY(vx_group_load(&c->group, c->prototypes, count, c->threads));
        for (size_t k = 0; k < count; k++)
            c->own[members[k].id] =
                vx_group_settle(&c->group, k, item_of(c, (size_t)members[k].id));
    }
    return VINDEX_OK;
}

static vindex_status find_own(classes *c) {
    for (size_t i = 0; i < c->job.query_count; i++) {
        c->own[i] = NAN;
        c->before[i] = 0;
    }
    for (size_t class = 0; c->job.square && class < c->count; class ++)
        VX_TRY(own_without(c, class));
    for (size_t first = 0; !c->job.square && first < c->count; first += c->block) {
        size_t end = VX_MIN(first + c->block, c->count);
        VX_TRY(load_block(c, first, end - first));
        for (size_t i = 0; i < c->job.query_count; i++)
            if (c->class_of[i] >= first && c->class_of[i] < end)
                c->own[i] = vx_group_settle(&c->group, c->class_of[i] - first, item_of(c, i));
    }
    return VINDEX_OK;
}

static vindex_status compare_block(classes *c, size_t first, size_t count) {
    size_t items = c->job.query_count;
    VX_TRY(load_block(c, first, count));
#pragma omp parallel for num_threads(c->threads) schedule(dynamic, 64)
    for (size_t i = 0; i < items; i++)
        for (size_t k = 0; k < count; k++) {
            double key = vx_group_settle(&c->group, k, item_of(c, i));
            c->keys[k * items + i] = key;
            if (first + k == c->class_of[i]) continue;
            c->before[i] += key < c->own[i] || (key == c->own[i] && first + k < c->class_of[i]);
        }
    return VINDEX_OK;
}

/* The area under the receiver operating characteristic: how often an item of the class is nearer to
 * its prototype than one of another class, a tie counting half. */
static double area_of(const classes *c, size_t class, const double *keys) {
    size_t items = c->job.query_count, positives = 0, negatives = 0;
    vx_hit *hits = c->positives + (size_t)omp_get_thread_num() * items;
    double wins = 0;
    for (size_t i = 0; i < items; i++)
        if (c->class_of[i] == class && !isnan(c->own[i]))
            hits[positives++] = (vx_hit){c->own[i], (int64_t)i};
    vx_hits_sort(hits, positives);
    for (size_t i = 0; i < items; i++) {
        if (c->class_of[i] == class) continue;
        size_t low = 0, tied = 0, high = positives;
        while (low < high) { /* positives that are nearer */
            size_t middle = low + (high - low) / 2;
            if (hits[middle].key < keys[i])
                low = middle + 1;
            else
                high = middle;
        }
        while (low + tied < positives && hits[low + tied].key == keys[i]) tied++;
        wins += (double)low + 0.5 * (double)tied;
        negatives++;
    }
    return positives && negatives ? wins / ((double)positives * (double)negatives) : NAN;
}

static vindex_status compare_all(classes *c) {
    VX_TRY(find_own(c));
    for (size_t first = 0; first < c->count; first += c->block) {
        VX_TRY(vx_eval_progress(&c->job, "prototypes", first, c->count));
        size_t count = VX_MIN(c->block, c->count - first);
        VX_TRY(compare_block(c, first, count));
#pragma omp parallel for num_threads(c->threads) schedule(dynamic)
        for (size_t k = 0; k < count; k++)
            c->areas[first + k] = area_of(c, first + k, c->keys + k * c->job.query_count);
    }
    return vx_eval_progress(&c->job, "prototypes", 1, 1);
}

/* Numbers the classes that candidates are in, by clique. */
static vindex_status number_classes(classes *c) {
    vx_eval_job *job = &c->job;
    size_t items = job->query_count, candidates = job->candidate_count;
    c->starts = vx_alloc(candidates + 1, sizeof *c->starts);
    c->class_of = vx_alloc(items, sizeof *c->class_of);
    if (!c->starts || !c->class_of)
        return vx_fail_memory(candidates + items, sizeof(size_t), "eval: classes");
    for (size_t i = 0; i < candidates; i++)
        if (!i || job->members[i].key != job->members[i - 1].key) c->starts[c->count++] = i;
    c->starts[c->count] = candidates;
    for (size_t i = 0; i < items; i++) {
        double clique = job->query_cliques[i];
        size_t low = 0, high = c->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (job->members[c->starts[middle]].key < clique)
                low = middle + 1;
            else
                high = middle;
        }
        bool known = low < c->count && job->members[c->starts[low]].key == clique;
        c->class_of[i] = known ? low : c->count;
    }
    return VINDEX_OK;
}

static vindex_status allocate(classes *c) {
    size_t items = c->job.query_count, each = VX_MAX(items, c->dim);
    c->block = VX_MIN(c->count, VX_MAX(BLOCK_KEYS / each, (size_t)1));
    c->own = vx_alloc(items, sizeof *c->own);
    c->before = vx_alloc(items, sizeof *c->before);
    c->prototypes = vx_alloc(c->block, c->dim * sizeof *c->prototypes);
    c->keys = vx_alloc(c->block, items * sizeof *c->keys);
    c->areas = vx_alloc(c->count, sizeof *c->areas);
    c->positives = vx_alloc((size_t)c->threads, items * sizeof *c->positives);
    c->sums = vx_alloc((size_t)c->threads, c->dim * sizeof *c->sums);
    if (!c->own || !c->before || !c->prototypes || !c->keys || !c->areas || !c->positives ||
        !c->sums)
        return vx_fail_memory(c->block, each * sizeof *c->keys, "eval: prototypes");
    vx_space space = {c->job.params.metric, VINDEX_F32, c->dim, NULL};
    return vx_group_create(&space, c->block, false, &c->group);
}

static void release(classes *c) {
    vx_group_free(&c->group);
    vx_free(c->starts);
    vx_free(c->class_of);
    vx_free(c->own);
    vx_free(c->before);
    vx_free(c->prototypes);
    vx_free(c->keys);
    vx_free(c->areas);
    vx_free(c->positives);
    vx_free(c->sums);
}

static void report_classes(const classes *c, vindex_eval_prototype_report *report) {
    double areas = 0, reciprocal = 0;
    *report = (vindex_eval_prototype_report){.classes = (int64_t)c->count};
    for (size_t k = 0; k < c->count; k++) {
        if (isnan(c->areas[k])) continue;
        areas += c->areas[k];
        report->auc_classes++;
    }
    for (size_t i = 0; i < c->job.query_count; i++) {
        if (isnan(c->own[i])) continue;
        report->queries++;
        report->top1 += c->before[i] == 0;
        reciprocal += 1 / ((double)c->before[i] + 1);
    }
    report->noise = (int64_t)c->job.query_count - report->queries;
    report->mrr = report->queries ? reciprocal / (double)report->queries : NAN;
    report->auc = report->auc_classes ? areas / (double)report->auc_classes : NAN;
}

static vindex_status evaluate(classes *c) {
    VX_TRY(vx_eval_check_vectors(c->sets, c->job.square));
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    c->dim = (size_t)c->sets->dim;
    c->threads = vx_threads(c->job.params.threads);
    VX_TRY(number_classes(c));
    VX_TRY(allocate(c));
    return compare_all(c);
}

vindex_status vindex_eval_prototypes(const vindex_eval_sets *sets, bool square,
                                     const vindex_eval_params *params,
                                     vindex_eval_prototype_report *report) {
    if (!sets || !report)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the sets or the report is NULL; give both");
    classes c = {.sets = sets};
    VX_TRY(vx_eval_open(&c.job, params, (vx_side){sets->query_cliques, sets->query_count},
                        (vx_side){sets->candidate_cliques, sets->candidate_count}, square));
    vindex_status status = evaluate(&c);
    if (!status) report_classes(&c, report);
    release(&c);
    vindex_eval_report unused;
    return vx_eval_close(&c.job, status, &unused, NULL);
}
