/* The front door of learning: every argument is checked here, then the methods of the chain are
 * fitted one after the other, each on what those before it give. */
#include <stdio.h>

#include "chain.h"

static const vindex_field fit_fields[] = {
    {"dim", VINDEX_FIELD_INT64, offsetof(vindex_fit_params, dim), 0, VX_DIM_MOST, 0,
     "numbers per row that come out; 0: the method decides"},
    {"seed", VINDEX_FIELD_INT64, offsetof(vindex_fit_params, seed), 0, 0x1p53, 1,
     "of all that is random"},
    {"threads", VINDEX_FIELD_INT32, offsetof(vindex_fit_params, threads), 0, 1024, 0,
     "threads; 0 means every core the process may use"},
};
static const vindex_field_table fit_table = {"fit", sizeof(vindex_fit_params), fit_fields,
                                             VX_COUNT(fit_fields)};

void vindex_fit_params_init_sized(vindex_fit_params *params, size_t struct_size) {
    vindex_fields_init(&fit_table, params, struct_size);
}

void vindex_fit_data_init_sized(vindex_fit_data *data, size_t struct_size) {
    vx_options_init(data, struct_size);
}

/* ---- checks ---- */

static vindex_status check_rows(const vindex_rows *rows, const char *which) {
    if (rows->count < 0 || rows->dim < 1 || rows->dim > VX_DIM_MOST)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "fit: %s: %lld rows of %lld numbers; give rows of 1 to %d numbers", which,
                       (long long)rows->count, (long long)rows->dim, VX_DIM_MOST);
    if (!rows->vectors && !rows->read)
        return vx_fail(VINDEX_ERR_ARGUMENT, "fit: %s: neither vectors nor read is set; give one",
                       which);
    return VINDEX_OK;
}

static vindex_status check_labels(const int32_t *labels, int64_t count, const char *which) {
    for (int64_t i = 0; labels && i < count; i++)
        if (labels[i] < 0)
            return vx_fail(VINDEX_ERR_DATA, "fit: the %s of row %lld is %d; give 0 or more", which,
                           (long long)i, (int)labels[i]);
    return VINDEX_OK;
}

static vindex_status check_data(const vindex_fit_data *data) {
    if (!data || data->struct_size != sizeof *data)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "fit: data is %s; start with vindex_fit_data_init of this library",
                       data ? "of another size" : "NULL");
    VX_TRY(check_rows(&data->rows, "rows"));
    if (data->rows.count < 1)
        return vx_fail(VINDEX_ERR_DATA, "fit: there are no rows; give some to learn from");
    VX_TRY(check_labels(data->labels, data->rows.count, "label"));
    if (data->second.count) {
        VX_TRY(check_rows(&data->second, "second"));
        if (data->second.count != data->rows.count)
            return vx_fail(VINDEX_ERR_DIMENSION,
                           "fit: second has %lld rows and rows %lld; they belong together one by "
                           "one",
                           (long long)data->second.count, (long long)data->rows.count);
    }
    if (!data->validation.count) return VINDEX_OK;
    VX_TRY(check_rows(&data->validation, "validation"));
    if (data->validation.dim != data->rows.dim)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "fit: validation rows have %lld numbers and rows %lld; give one dimension",
                       (long long)data->validation.dim, (long long)data->rows.dim);
    return check_labels(data->validation_labels, data->validation.count, "validation label");
}

static vindex_status check_params(const vindex_fit_params *params) {
    VX_TRY(vindex_fields_check(&fit_table, params));
    if (params->setting_count < 0 || (params->setting_count > 0 && !params->settings))
        return vx_fail(VINDEX_ERR_ARGUMENT, "fit: %lld settings at %s; give as many as it says",
                       (long long)params->setting_count, params->settings ? "an address" : "NULL");
    return VINDEX_OK;
}

static vindex_status check_method(const vindex_method *method, const vindex_fit_data *data) {
    if (method->needs_labels && !data->labels)
        return vx_fail(VINDEX_ERR_DATA, "%s: it learns from labels and none were given; add them",
                       method->word);
    if (method->needs_second && !data->second.count)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: it learns from pairs and no second view was given; add it",
                       method->word);
    return VINDEX_OK;
}

/* ---- labels as classes ---- */

typedef struct label_row {
    int32_t label;
    size_t row;
} label_row;

static int compare_labels(const void *a, const void *b) {
    const label_row *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int compare_rows(const void *a, const void *b) {
    const label_row *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Numbers the labels 0 ... classes-1 in order of first appearance; *numbered is for vx_free. */
static vindex_status number_labels(const int32_t *labels, size_t n, int32_t **numbered,
                                   size_t *classes) {
    *numbered = NULL;
    *classes = 0;
    if (!labels) return VINDEX_OK;
    int32_t *result = vx_alloc(n, sizeof *result);
    label_row *sorted = vx_alloc(2 * n, sizeof *sorted);
    if (!result || !sorted) {
        vx_free(result);
        vx_free(sorted);
        return vx_fail_memory(2 * n, sizeof *sorted, "fit: labels");
    }
    for (size_t i = 0; i < n; i++) sorted[i] = (label_row){labels[i], i};
    qsort(sorted, n, sizeof *sorted, compare_labels);
    label_row *firsts = sorted + n; /* label: the class in sorted order; row: where it appears */
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || sorted[i].label != sorted[i - 1].label) {
            firsts[*classes] = (label_row){(int32_t)*classes, sorted[i].row};
            ++*classes;
        }
        result[sorted[i].row] = (int32_t)(*classes - 1);
    }
    qsort(firsts, *classes, sizeof *firsts, compare_rows);
    int32_t *rank = (int32_t *)(void *)sorted; /* the sorted rows are done with */
    for (size_t c = 0; c < *classes; c++) rank[firsts[c].label] = (int32_t)c;
    for (size_t i = 0; i < n; i++) result[i] = rank[result[i]];
    vx_free(sorted);
    *numbered = result;
    return VINDEX_OK;
}

/* ---- the chain ---- */

/* Rows seen through the steps fitted so far. */
typedef struct mapped {
    const vindex_transform *chain;
    const vx_fit *job;
    const vindex_rows *rows;
} mapped;

static vindex_status read_mapped(void *context, int64_t first, int64_t count, float *vectors) {
    const mapped *m = context;
    size_t in = (size_t)m->rows->dim, out = (size_t)vindex_transform_output_dim(m->chain);
    size_t block = VX_MIN(vx_rows_block(VX_MAX(in, out)), (size_t)count);
    float *room = vx_alloc(block * in, sizeof *room);
    if (!room) return vx_fail_memory(block * in, sizeof *room, "fit");
    vindex_status status = VINDEX_OK;
    for (size_t done = 0; status == VINDEX_OK && done < (size_t)count; done += block) {
        size_t now = VX_MIN(block, (size_t)count - done);
        status = vx_rows_read(m->job, m->rows, (size_t)first + done, now, room);
        if (status == VINDEX_OK)
            status = vx_chain_apply(m->chain, room, now, vectors + done * out, m->job->threads);
    }
    vx_free(room);
    return status;
}

/* What a fit of several steps has in hand. */
typedef struct fitting {
    const vindex_fit_data *data;
    const vindex_fit_params *params;
    const int32_t *classes;
    size_t class_count;
    size_t step, steps; /* which of how many */
    double shown;       /* the fraction told last */
} fitting;

/* A step's progress as part of the whole. */
static int step_progress(void *context, const char *phase, double fraction) {
    fitting *f = context;
    double whole = ((double)f->step + fraction) / (double)f->steps;
    f->shown = VX_MAX(f->shown, whole); /* never back, whatever parts a method is made of */
    return f->params->progress(f->params->progress_context, phase, f->shown);
}

static vx_fit make_job(fitting *f, const vx_plan_step *planned) {
    const vindex_fit_params *params = f->params;
    return (vx_fit){
        .word = planned->method->shown.word,
        .rows = f->data->rows,
        .dim = (size_t)planned->dim,
        .labels = f->classes,
        .classes = f->class_count,
        .second = f->data->second,
        .validation = f->data->validation,
        .validation_labels = f->data->validation_labels,
        .settings = planned->settings,
        .steps_before = f->step,
        .seed = (uint64_t)params->seed,
        .threads = vx_threads(params->threads),
        .progress = params->progress ? step_progress : NULL,
        .progress_context = f,
    };
}

static vindex_status check_step(const vx_fit *job, const vx_step *step) {
    size_t where;
    bool finite = (!step->weights || vx_all_finite(step->weights, step->in * step->out, &where)) &&
                  (!step->bias || vx_all_finite(step->bias, step->out, &where)) &&
                  (!step->shift || vx_all_finite(step->shift, step->in, &where)) &&
                  (!step->scale || vx_all_finite(step->scale, step->in, &where));
    if (finite) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA,
                   "%s: what it learned is beyond float32; scale the data first, with standardise",
                   job->word);
}

static vindex_status fit_step(fitting *f, const vx_plan_step *planned, vindex_transform *chain) {
    vx_fit outer = make_job(f, planned), job = outer;
    mapped rows = {chain, &outer, &outer.rows}, validation = {chain, &outer, &outer.validation};
    if (chain->step_count) {
        int64_t dim = vindex_transform_output_dim(chain);
        job.rows = (vindex_rows){outer.rows.count, dim, NULL, read_mapped, &rows};
        job.validation = (vindex_rows){outer.validation.count, dim, NULL, read_mapped, &validation};
    }
    vx_step step = {0};
    strncpy(step.method, job.word, sizeof step.method - 1);
    vindex_status status = vx_fit_progress(&job, 0, "starting");
    if (status == VINDEX_OK) status = planned->method->fit(&job, &step);
    if (status == VINDEX_OK) status = check_step(&job, &step);
    if (status == VINDEX_OK) status = vx_chain_take(chain, &step, 1);
    vx_step_free(&step);
    return status;
}

static vindex_status fit_plan(const vx_plan *plan, fitting *f, vindex_transform *chain) {
    for (size_t i = 0; i < plan->count; i++)
        VX_TRY(check_method(&plan->steps[i].method->shown, f->data));
    int32_t *classes;
    VX_TRY(number_labels(f->data->labels, (size_t)f->data->rows.count, &classes, &f->class_count));
    f->classes = classes;
    f->steps = plan->count;
    vindex_status status = VINDEX_OK;
    for (f->step = 0; status == VINDEX_OK && f->step < plan->count; f->step++)
        status = fit_step(f, &plan->steps[f->step], chain);
    vx_free(classes);
    return status;
}

vindex_status vindex_fit(const char *methods, const vindex_fit_data *data,
                         const vindex_fit_params *params, vindex_transform **transform) {
    vindex_fit_params defaults;
    if (!methods || !transform)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "fit: NULL; give a method and a place for the transform");
    vindex_fit_params_init(&defaults);
    if (!params) params = &defaults;
    VX_TRY(check_params(params));
    VX_TRY(check_data(data));
    vx_plan plan;
    VX_TRY(vx_plan_make(methods, params, &plan));
    vindex_transform *chain = NULL;
    fitting f = {.data = data, .params = params};
    vindex_status status = vx_chain_create(&chain);
    if (status == VINDEX_OK) status = fit_plan(&plan, &f, chain);
    vx_plan_free(&plan);
    if (status == VINDEX_OK)
        *transform = chain;
    else
        vindex_transform_free(chain);
    return status;
}
