#include "training_set.h"

#include <math.h>

#include "moments.h"

/* ---- views ---- */

/* The mean of each dimension, and the variance all of them have on average. */
static vindex_status measure(const vx_fit *job, vx_view *view) {
    vindex_rows rows = {(int64_t)view->n, (int64_t)view->dim, view->rows, NULL, NULL};
    vx_moments moments;
    view->shift = vx_alloc(view->dim, sizeof *view->shift);
    if (!view->shift) return vx_fail_memory(view->dim, sizeof *view->shift, job->word);
    VX_TRY(vx_moments_compute(job, &rows, 0, &moments));
    double variance = 0;
    for (size_t j = 0; j < view->dim; j++) {
        view->shift[j] = (float)moments.mean[j];
        variance += moments.variance[j] / (double)view->dim;
    }
    vx_moments_free(&moments);
    view->scale = (float)(1 / sqrt(variance));
    if (isfinite(view->scale) && view->scale > 0) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA,
                   "%s: the variance of the rows is %g; it learns from rows that differ, by what "
                   "float32 can scale",
                   job->word, variance);
}

static vindex_status open_view(const vx_fit *job, const vindex_rows *rows, vx_view *view) {
    view->n = (size_t)rows->count;
    view->dim = (size_t)rows->dim;
    VX_TRY(vx_rows_all(job, rows, &view->rows, &view->owned));
    return measure(job, view);
}

static void close_view(vx_view *view) {
    vx_free(view->owned);
    vx_free(view->shift);
    *view = (vx_view){0};
}

void vx_view_apply(const vx_view *view, const float *rows, size_t count, float *seen) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < view->dim; j++)
            seen[i * view->dim + j] = (rows[i * view->dim + j] - view->shift[j]) * view->scale;
}

/* ---- classes ---- */

/* Numbers the classes of each notion one after the other: a label that two of them share is two
 * classes. */
static vindex_status number_classes(vx_training_set *set) {
    const vx_fit *job = set->job;
    size_t part = set->entries / set->notions;
    int32_t *numbers = vx_alloc(job->classes, sizeof *numbers);
    if (!numbers) return vx_fail_memory(job->classes, sizeof *numbers, job->word);
    for (size_t s = 0; s < set->notions; s++) {
        set->class_starts[s] = set->class_count;
        for (size_t c = 0; c < job->classes; c++) numbers[c] = -1;
        for (size_t i = s * part; i < (s + 1) * part; i++) {
            int32_t *number = &numbers[job->labels[i]];
            if (*number < 0) *number = (int32_t)set->class_count++;
            set->classes[i] = *number;
        }
    }
    set->class_starts[set->notions] = set->class_count;
    vx_free(numbers);
    return VINDEX_OK;
}

static void number_instances(vx_training_set *set) {
    for (size_t i = 0; i < set->entries; i++) set->classes[i] = (int32_t)(i % set->view.n);
    set->class_count = set->class_starts[1] = set->view.n;
}

static vindex_status check_parts(const vx_training_set *set) {
    const vx_fit *job = set->job;
    if (!job->labels && !job->second.count)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: it learns from labels, or from a second view of each row; give either",
                       job->word);
    if (!job->labels && job->second.dim != job->rows.dim)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "%s: rows have %lld numbers and their second view %lld; it must be another "
                       "embedding by the same model",
                       job->word, (long long)job->rows.dim, (long long)job->second.dim);
    if (set->notions > 1 && (!job->labels || set->entries % set->notions))
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: %zu rows %s labels, in %zu equal parts, one per notion of similarity; "
                       "give labels, and as many rows for each",
                       job->word, set->entries, job->labels ? "with" : "without", set->notions);
    return VINDEX_OK;
}

static vindex_status open_all(vx_training_set *set, bool taught) {
    const vx_fit *job = set->job;
    VX_TRY(check_parts(set));
    set->classes = vx_alloc(set->entries, sizeof *set->classes);
    set->class_starts = vx_alloc_zero(set->notions + 1, sizeof *set->class_starts);
    if (!set->classes || !set->class_starts)
        return vx_fail_memory(set->entries, sizeof *set->classes, job->word);
    VX_TRY(open_view(job, &job->rows, &set->view));
    if (taught) VX_TRY(open_view(job, &job->second, &set->teacher));
    if (!job->labels) {
        VX_TRY(open_view(job, &job->second, &set->second));
        number_instances(set);
    } else
        VX_TRY(number_classes(set));
    if (set->class_count > set->notions) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA,
                   "%s: all rows have one label; it learns to tell classes apart, give two or more",
                   job->word);
}

vindex_status vx_training_set_open(const vx_fit *job, size_t notions, bool taught,
                                   vx_training_set *set) {
    size_t views = job->labels ? 1 : 2;
    *set = (vx_training_set){
        .job = job, .notions = notions, .entries = views * (size_t)job->rows.count};
    vindex_status status = open_all(set, taught);
    if (status != VINDEX_OK) vx_training_set_close(set);
    return status;
}

void vx_training_set_close(vx_training_set *set) {
    close_view(&set->view);
    close_view(&set->second);
    close_view(&set->teacher);
    vx_free(set->classes);
    vx_free(set->class_starts);
    *set = (vx_training_set){0};
}

/* ---- batches ---- */

void vx_training_set_gather(const vx_training_set *set, const size_t *entries, size_t count,
                            float *rows) {
    size_t dim = set->view.dim, n = set->view.n;
    for (size_t i = 0; i < count; i++) {
        const float *from = entries[i] < n ? set->view.rows + entries[i] * dim
                                           : set->second.rows + (entries[i] - n) * dim;
        vx_view_apply(&set->view, from, 1, rows + i * dim);
    }
}

void vx_training_set_teacher(const vx_training_set *set, const size_t *entries, size_t count,
                             float *rows) {
    size_t dim = set->teacher.dim;
    for (size_t i = 0; i < count; i++)
        vx_view_apply(&set->teacher, set->teacher.rows + entries[i] * dim, 1, rows + i * dim);
}

vindex_status vx_training_set_centres(const vx_training_set *set, float **centres) {
    const vx_view *teacher = &set->teacher;
    size_t dim = teacher->dim, count;
    bool fits = vx_mul(set->class_count, dim, &count);
    double *sums = fits ? vx_alloc_zero(count, sizeof *sums) : NULL;
    size_t *sizes = vx_alloc_zero(set->class_count, sizeof *sizes);
    *centres = fits ? vx_alloc(count, sizeof **centres) : NULL;
    if (sums && sizes && *centres) {
        for (size_t i = 0; i < set->entries; i++) {
            size_t class = (size_t)set->classes[i];
            for (size_t j = 0; j < dim; j++)
                sums[class * dim + j] += (double)teacher->rows[i * dim + j];
            sizes[class]++;
        }
        for (size_t c = 0; c < set->class_count; c++)
            for (size_t j = 0; j < dim; j++)
                (*centres)[c * dim + j] = (float)(sums[c * dim + j] / (double)sizes[c]);
        for (size_t c = 0; c < set->class_count; c++) /* row by row, in place */
            vx_view_apply(teacher, *centres + c * dim, 1, *centres + c * dim);
    }
    vx_free(sums);
    vx_free(sizes);
    if (sums && sizes && *centres) return VINDEX_OK;
    vx_free(*centres);
    *centres = NULL;
    return vx_fail_memory(set->class_count, dim * sizeof(double), set->job->word);
}
