/* What a call to vindex_fit asks for: "pca:256,lda", a dimension, settings by name. */
#include <errno.h>
#include <stdio.h>

#include "chain.h"

static vindex_status unknown_method(const char *word) {
    char known[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < vx_method_count && used < sizeof known; i++)
        used +=
            (size_t)snprintf(known + used, sizeof known - used, " %s", vx_methods[i]->shown.word);
    return vx_fail(VINDEX_ERR_ARGUMENT, "fit: unknown method '%s'; known are%s", word, known);
}

/* Takes one word, "pca" or "pca:256". */
static vindex_status take_word(char *word, vx_plan *plan) {
    if (plan->count == VX_PLAN_MOST)
        return vx_fail(VINDEX_ERR_ARGUMENT, "fit: more than %d methods in a chain; give fewer",
                       VX_PLAN_MOST);
    vx_plan_step *step = &plan->steps[plan->count];
    char *dim = strchr(word, ':');
    if (dim) *dim++ = 0;
    for (size_t i = 0; i < vx_method_count; i++)
        if (!strcmp(vx_methods[i]->shown.word, word)) step->method = vx_methods[i];
    if (!step->method) return unknown_method(word);
    if (dim) {
        char *end;
        errno = 0;
        step->dim = strtoll(dim, &end, 10);
        if (errno || end == dim || *end || step->dim < 1 || step->dim > VX_DIM_MOST)
            return vx_fail(VINDEX_ERR_ARGUMENT, "fit: %s:%s: give a dimension of 1 to %d", word,
                           dim, VX_DIM_MOST);
        if (!step->method->shown.chooses_dim)
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "fit: %s:%s: this method's dimension cannot be chosen; leave it out",
                           word, dim);
    }
    plan->count++;
    const vindex_field_table *fields = step->method->shown.fields;
    if (!fields) return VINDEX_OK;
    step->settings = vx_alloc_zero(1, fields->struct_size);
    if (!step->settings) return vx_fail_memory(1, fields->struct_size, "fit");
    vindex_fields_init(fields, step->settings, fields->struct_size);
    return VINDEX_OK;
}

static vindex_status take_words(const char *methods, vx_plan *plan) {
    char *copy = vx_strdup(methods);
    if (!copy) return vx_fail_memory(1, strlen(methods), "fit");
    vindex_status status = VINDEX_OK;
    for (char *word = copy, *next; word && status == VINDEX_OK; word = next) {
        next = strchr(word, ',');
        if (next) *next++ = 0;
        status = take_word(word, plan);
    }
    vx_free(copy);
    return status;
}

/* The dimension of the whole call is the last word's that can choose one and did not. */
static vindex_status take_dim(int64_t dim, vx_plan *plan) {
    if (!dim) return VINDEX_OK;
    for (size_t i = plan->count; i-- > 0;)
        if (plan->steps[i].method->shown.chooses_dim && !plan->steps[i].dim) {
            plan->steps[i].dim = dim;
            return VINDEX_OK;
        }
    return vx_fail(VINDEX_ERR_ARGUMENT,
                   "fit: dim is %lld, and there is no method whose dimension is open; leave it out",
                   (long long)dim);
}

static bool has_field(const vindex_field_table *fields, const char *name) {
    for (size_t i = 0; fields && i < fields->count; i++)
        if (!strcmp(fields->fields[i].name, name)) return true;
    return false;
}

/* Gives a setting to the method it names ("lsr.epochs"), or to all that have it. */
static vindex_status take_setting(const vindex_setting *setting, vx_plan *plan) {
    if (!setting->name || !setting->value)
        return vx_fail(VINDEX_ERR_ARGUMENT, "fit: a setting is NULL; give a name and a value");
    const char *dot = strchr(setting->name, '.');
    const char *name = dot ? dot + 1 : setting->name;
    size_t length = dot ? (size_t)(dot - setting->name) : 0;
    bool taken = false;
    for (size_t i = 0; i < plan->count; i++) {
        const vindex_method *shown = &plan->steps[i].method->shown;
        if (dot && (strlen(shown->word) != length || strncmp(shown->word, setting->name, length)))
            continue;
        if (!has_field(shown->fields, name)) continue;
        VX_TRY(vindex_fields_set(shown->fields, plan->steps[i].settings, name, setting->value));
        taken = true;
    }
    if (taken) return VINDEX_OK;
    char known[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const vindex_field_table *fields = plan->steps[i].method->shown.fields;
        for (size_t f = 0; fields && f < fields->count && used < sizeof known; f++)
            used += (size_t)snprintf(known + used, sizeof known - used, " %s.%s",
                                     plan->steps[i].method->shown.word, fields->fields[f].name);
    }
    return vx_fail(VINDEX_ERR_ARGUMENT, "fit: no parameter '%s' here; known are%s", setting->name,
                   *known ? known : " none");
}

static vindex_status fill(const char *methods, const vindex_fit_params *params, vx_plan *plan) {
    VX_TRY(take_words(methods, plan));
    VX_TRY(take_dim(params->dim, plan));
    for (int64_t i = 0; i < params->setting_count; i++)
        VX_TRY(take_setting(&params->settings[i], plan));
    return VINDEX_OK;
}

vindex_status vx_plan_make(const char *methods, const vindex_fit_params *params, vx_plan *plan) {
    *plan = (vx_plan){0};
    vindex_status status = fill(methods, params, plan);
    if (status != VINDEX_OK) vx_plan_free(plan);
    return status;
}

void vx_plan_free(vx_plan *plan) {
    for (size_t i = 0; i < plan->count; i++) vx_free(plan->steps[i].settings);
    *plan = (vx_plan){0};
}
