/* The ground every room stands on: failing with a sentence, checked sizes, memory, threads. */
#ifndef VX_CORE_BASE_H
#define VX_CORE_BASE_H

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vindex/status.h>
#include <vindex/types.h>

/* Exported to libvindex-mir under the version VINDEX_PRIVATE; not for applications. */
#define VX_SHARED __attribute__((visibility("default")))

#define VX_MIN(a, b) ((a) < (b) ? (a) : (b))
#define VX_MAX(a, b) ((a) > (b) ? (a) : (b))
#define VX_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The most dimensions of a vector: as far as the error bounds of exact/bound.h go. */
enum { VX_DIM_MOST = 1 << 20 };

/* Records the sentence of a failure and answers its code: return vx_fail(VINDEX_ERR_..., "..."). */
VX_SHARED vindex_status vx_fail(vindex_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the sentence recorded last; answers status. */
VX_SHARED vindex_status vx_fail_in(vindex_status status, const char *prefix);

/* Returns from the calling function when an inner call fails. */
#define VX_TRY(call)                                    \
    do {                                                \
        vindex_status vx_status_ = (call);              \
        if (vx_status_ != VINDEX_OK) return vx_status_; \
    } while (0)

/* a * b and a + b for sizes; false when the result does not fit. */
static inline bool vx_mul(size_t a, size_t b, size_t *result) {
    return !__builtin_mul_overflow(a, b, result);
}
static inline bool vx_add(size_t a, size_t b, size_t *result) {
    return !__builtin_add_overflow(a, b, result);
}

/* Memory for count items of size bytes, 64-byte aligned, not cleared; NULL when there is none or
 * the product overflows. Large blocks ask for huge pages. Never NULL for count 0. Freed with
 * vx_free. */
VX_SHARED void *vx_alloc(size_t count, size_t size);
VX_SHARED void *vx_alloc_zero(size_t count, size_t size);
VX_SHARED void vx_free(void *memory);

/* A copy of a string; NULL when memory is out. Freed with vx_free. */
VX_SHARED char *vx_strdup(const char *text);

/* Grows *array to hold at least need items of size bytes, by half again; *capacity follows. False
 * leaves both as they were. */
VX_SHARED bool vx_grow(void **array, size_t *capacity, size_t need, size_t size);

/* The failure every allocation reports. */
VX_SHARED vindex_status vx_fail_memory(size_t count, size_t size, const char *what);

/* An estimate of what n vectors take, as bytes; fails where no memory has so many. */
vindex_status vx_whole_bytes(double estimate, size_t n, size_t *bytes);

/* For tests: lets `after` more allocations succeed and fails every later one; -1 ends it. */
VX_SHARED void vx_alloc_fail_after(long after);

/* How many threads a call uses for that request: 0 means every core the process may use. */
VX_SHARED int vx_threads(int32_t requested);

/* Numbers are read and written with a point whatever the language of the process: puts this thread
 * into the C locale until vx_locale_leave. */
typedef struct vx_locale {
    void *own, *before;
} vx_locale;
VX_SHARED vindex_status vx_locale_enter(vx_locale *locale);
VX_SHARED void vx_locale_leave(vx_locale *locale);

/* VINDEX_ERR_CANCELLED when the callback (may be NULL) asks to stop. */
VX_SHARED vindex_status vx_progress(vindex_progress_fn progress, void *context, const char *phase,
                                    double fraction);

/* Starts a struct of options of which the program knows struct_size bytes: its size, then zeros. */
static inline void vx_options_init(void *options, size_t struct_size) {
    memset(options, 0, struct_size);
    if (struct_size >= sizeof struct_size) memcpy(options, &struct_size, sizeof struct_size);
}

/* The defaults where call is NULL; checks threads otherwise. */
VX_SHARED vindex_status vx_call_resolve(const vindex_call *call, vindex_call *resolved);

/* Whether all n numbers are finite; *where receives the first that is not. */
VX_SHARED bool vx_all_finite(const float *values, size_t n, size_t *where);

#endif
