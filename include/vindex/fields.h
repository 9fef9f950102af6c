/* Parameters as data: name, range, default and one line of help for each field of a parameter
 * struct. One table drives the checks, the initialisers, the command line's flags and its help. */
#ifndef VINDEX_FIELDS_H
#define VINDEX_FIELDS_H

#include <vindex/status.h>
#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vindex_field_kind {
    VINDEX_FIELD_INT32 = 0,
    VINDEX_FIELD_INT64 = 1,
    VINDEX_FIELD_DOUBLE = 2,
    VINDEX_FIELD_BOOL = 3,
    VINDEX_FIELD_METRIC = 4, /* a vindex_metric, by name */
    VINDEX_FIELD_DTYPE = 5,  /* a vindex_dtype, by name */
    VINDEX_FIELD_CHOICE = 6  /* an int32_t, by the field's own names */
} vindex_field_kind;

typedef struct vindex_field {
    const char *name;
    vindex_field_kind kind;
    size_t offset;              /* in the struct it describes */
    double least, most;         /* the range, ends included */
    double initial;             /* the default */
    const char *help;           /* one line, no full stop */
    const char *const *choices; /* VINDEX_FIELD_CHOICE: what 0 ... most are called */
} vindex_field;

typedef struct vindex_field_table {
    const char *name; /* of the struct, as error messages call it: "search" */
    size_t struct_size;
    const vindex_field *fields;
    size_t count;
} vindex_field_table;

/* Zeroes a struct of that size, writes struct_size (its first member) and every default that it has
 * room for. Reentrant. */
VINDEX_API void vindex_fields_init(const vindex_field_table *table, void *params,
                                   size_t struct_size);

/* VINDEX_ERR_ARGUMENT naming the first field out of its range, or a struct_size that no version of
 * this library had. Reentrant. */
VINDEX_API vindex_status vindex_fields_check(const vindex_field_table *table, const void *params);

/* Sets the field of that name from text ("10", "0.5", "true", "cosine"). An unknown name lists the
 * known ones; a bad value names the range. Reentrant. */
VINDEX_API vindex_status vindex_fields_set(const vindex_field_table *table, void *params,
                                           const char *name, const char *value);

/* The tables of the library's parameter structs. */
VINDEX_API const vindex_field_table *vindex_search_fields(void);
VINDEX_API const vindex_field_table *vindex_flat_fields(void);

#ifdef __cplusplus
}
#endif
#endif
