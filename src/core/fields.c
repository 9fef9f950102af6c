/* Parameter structs handled through their field tables. */
#include <vindex/fields.h>

#include <errno.h>
#include <stdio.h>

#include "base.h"

static void store(const vindex_field *field, void *params, double value) {
    char *where = (char *)params + field->offset;
    switch (field->kind) {
    case VINDEX_FIELD_INT32:
    case VINDEX_FIELD_CHOICE:
        *(int32_t *)where = (int32_t)value;
        break;
    case VINDEX_FIELD_INT64:
        *(int64_t *)where = (int64_t)value;
        break;
    case VINDEX_FIELD_DOUBLE:
        *(double *)where = value;
        break;
    case VINDEX_FIELD_BOOL:
        *(bool *)where = value != 0;
        break;
    case VINDEX_FIELD_METRIC:
        *(vindex_metric *)where = (vindex_metric)value;
        break;
    case VINDEX_FIELD_DTYPE:
        *(vindex_dtype *)where = (vindex_dtype)value;
        break;
    }
}

static double fetch(const vindex_field *field, const void *params) {
    const char *where = (const char *)params + field->offset;
    switch (field->kind) {
    case VINDEX_FIELD_INT32:
    case VINDEX_FIELD_CHOICE:
        return *(const int32_t *)where;
    case VINDEX_FIELD_INT64:
        return (double)*(const int64_t *)where;
    case VINDEX_FIELD_DOUBLE:
        return *(const double *)where;
    case VINDEX_FIELD_BOOL:
        return *(const bool *)where;
    case VINDEX_FIELD_METRIC:
        return *(const vindex_metric *)where;
    case VINDEX_FIELD_DTYPE:
        return *(const vindex_dtype *)where;
    }
    return 0;
}

static size_t width(vindex_field_kind kind) {
    switch (kind) {
    case VINDEX_FIELD_INT32:
    case VINDEX_FIELD_CHOICE:
        return sizeof(int32_t);
    case VINDEX_FIELD_INT64:
        return sizeof(int64_t);
    case VINDEX_FIELD_DOUBLE:
        return sizeof(double);
    case VINDEX_FIELD_BOOL:
        return sizeof(bool);
    case VINDEX_FIELD_METRIC:
        return sizeof(vindex_metric);
    case VINDEX_FIELD_DTYPE:
        return sizeof(vindex_dtype);
    }
    return 0;
}

void vindex_fields_init(const vindex_field_table *table, void *params, size_t struct_size) {
    vx_options_init(params, struct_size);
    for (size_t i = 0; i < table->count; i++)
        if (table->fields[i].offset + width(table->fields[i].kind) <= struct_size)
            store(&table->fields[i], params, table->fields[i].initial);
}

/* What value i of a field is called; NULL for a field of numbers and past the last name. */
static const char *name_of(const vindex_field *field, int i) {
    switch (field->kind) {
    case VINDEX_FIELD_BOOL:
        return i == 0 ? "false" : i == 1 ? "true" : NULL;
    case VINDEX_FIELD_METRIC:
        return vindex_metric_name((vindex_metric)i);
    case VINDEX_FIELD_DTYPE:
        return vindex_dtype_name((vindex_dtype)i);
    case VINDEX_FIELD_CHOICE:
        return i <= (int)field->most ? field->choices[i] : NULL;
    default:
        return NULL;
    }
}

static vindex_status out_of_range(const vindex_field_table *table, const vindex_field *field,
                                  const char *found) {
    if (!name_of(field, 0))
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: %s is %s; give %.15g to %.15g", table->name,
                       field->name, found, field->least, field->most);
    char names[256] = "";
    size_t used = 0;
    for (int i = (int)field->least; i <= (int)field->most && name_of(field, i); i++)
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                                     name_of(field, i));
    return vx_fail(VINDEX_ERR_ARGUMENT, "%s: %s is %s; known are %s", table->name, field->name,
                   found, names);
}

vindex_status vindex_fields_check(const vindex_field_table *table, const void *params) {
    size_t struct_size;
    memcpy(&struct_size, params, sizeof struct_size);
    if (struct_size != table->struct_size)
        return vx_fail(
            VINDEX_ERR_ARGUMENT,
            "%s: struct_size is %zu, this library knows %zu; start with its _init function",
            table->name, struct_size, table->struct_size);
    for (size_t i = 0; i < table->count; i++) {
        const vindex_field *field = &table->fields[i];
        double value = fetch(field, params);
        if (value >= field->least && value <= field->most) continue;
        char text[32];
        snprintf(text, sizeof text, "%.15g", value);
        return out_of_range(table, field, text);
    }
    return VINDEX_OK;
}

static const vindex_field *find(const vindex_field_table *table, const char *name) {
    for (size_t i = 0; i < table->count; i++)
        if (!strcmp(table->fields[i].name, name)) return &table->fields[i];
    return NULL;
}

static vindex_status unknown(const vindex_field_table *table, const char *name) {
    char known[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < table->count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", table->fields[i].name);
    return vx_fail(VINDEX_ERR_ARGUMENT, "%s: no parameter %s; known are%s", table->name, name,
                   known);
}

/* Whether values have names, and nothing else will do. */
static bool named(vindex_field_kind kind) {
    return kind == VINDEX_FIELD_METRIC || kind == VINDEX_FIELD_DTYPE || kind == VINDEX_FIELD_CHOICE;
}

/* A number, or the name of a metric, a type, a choice or a truth value. */
static bool parse(const vindex_field *field, const char *text, double *value) {
    for (int i = 0; name_of(field, i); i++)
        if (!strcmp(text, name_of(field, i))) {
            *value = i;
            return true;
        }
    if (named(field->kind)) return false;
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    if (end == text || *end || errno) return false;
    if (field->kind == VINDEX_FIELD_DOUBLE) return true;
    return *value >= -0x1p53 && *value <= 0x1p53 && *value == (double)(int64_t)*value;
}

vindex_status vindex_fields_set(const vindex_field_table *table, void *params, const char *name,
                                const char *value) {
    const vindex_field *field = find(table, name);
    if (!field) return unknown(table, name);
    double number;
    vx_locale locale;
    VX_TRY(vx_locale_enter(&locale));
    bool parsed = parse(field, value, &number);
    vx_locale_leave(&locale);
    if (!parsed || !(number >= field->least && number <= field->most)) {
        char found[64];
        snprintf(found, sizeof found, "'%.50s'", value);
        return out_of_range(table, field, found);
    }
    store(field, params, number);
    return VINDEX_OK;
}
