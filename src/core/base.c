/* Errors, memory and threads: what every other file is built on. */
#include "base.h"

#include <locale.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

enum {
    ALIGNMENT = 64,
    HUGE_PAGE = 2 << 20,
    ERROR_LENGTH = 1024,
    THREADS_MOST = 1024 /* OpenMP ends the process when the system refuses a thread */
};

static _Thread_local char last_error[ERROR_LENGTH];

/* -1: allocations are left alone (the only state outside tests). */
static atomic_long allocations_left = -1;

const char *vindex_last_error(void) {
    return last_error;
}

vindex_status vx_fail(vindex_status status, const char *format, ...) {
    char sentence[ERROR_LENGTH]; /* apart, for the arguments may include the last one */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    memcpy(last_error, sentence, strlen(sentence) + 1);
    return status;
}

vindex_status vx_fail_in(vindex_status status, const char *prefix) {
    return vx_fail(status, "%.500s: %s", prefix, last_error);
}

const char *vindex_status_name(vindex_status status) {
    switch (status) {
    case VINDEX_OK:
        return "ok";
    case VINDEX_ERR_ARGUMENT:
        return "bad argument";
    case VINDEX_ERR_DATA:
        return "bad data";
    case VINDEX_ERR_DIMENSION:
        return "dimensions disagree";
    case VINDEX_ERR_UNSUPPORTED:
        return "not supported";
    case VINDEX_ERR_STATE:
        return "wrong state";
    case VINDEX_ERR_NOT_FOUND:
        return "not found";
    case VINDEX_ERR_EXISTS:
        return "exists already";
    case VINDEX_ERR_MEMORY:
        return "out of memory";
    case VINDEX_ERR_IO:
        return "input or output failed";
    case VINDEX_ERR_FORMAT:
        return "bad format";
    case VINDEX_ERR_CORRUPT:
        return "corrupt";
    case VINDEX_ERR_VERSION:
        return "newer version";
    case VINDEX_ERR_CANCELLED:
        return "cancelled";
    }
    return "unknown status";
}

static bool allocation_allowed(void) {
    long left = atomic_load_explicit(&allocations_left, memory_order_relaxed);
    while (left > 0 && !atomic_compare_exchange_weak(&allocations_left, &left, left - 1)) continue;
    return left != 0;
}

void vx_alloc_fail_after(long after) {
    atomic_store(&allocations_left, after);
}

void *vx_alloc(size_t count, size_t size) {
    size_t bytes, padded;
    if (!vx_mul(count, size, &bytes) || !vx_add(bytes, ALIGNMENT - 1, &padded)) return NULL;
    if (padded > PTRDIFF_MAX || !allocation_allowed()) return NULL;
    padded = VX_MAX(padded / ALIGNMENT * ALIGNMENT, (size_t)ALIGNMENT);
    bool large = padded >= HUGE_PAGE;
    void *memory;
    if (posix_memalign(&memory, large ? HUGE_PAGE : ALIGNMENT, padded)) return NULL;
    if (large) madvise(memory, padded, MADV_HUGEPAGE); /* a hint: refusal costs only speed */
    return memory;
}

void *vx_alloc_zero(size_t count, size_t size) {
    void *memory = vx_alloc(count, size);
    if (memory) memset(memory, 0, count * size);
    return memory;
}

void vx_free(void *memory) {
    free(memory);
}

char *vx_strdup(const char *text) {
    size_t length = strlen(text) + 1;
    char *copy = vx_alloc(length, 1);
    if (copy) memcpy(copy, text, length);
    return copy;
}

bool vx_grow(void **array, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity) return true;
    size_t wanted = VX_MAX(need, *capacity + *capacity / 2);
    void *larger = vx_alloc(wanted, size);
    if (!larger) return false;
    if (*capacity) memcpy(larger, *array, *capacity * size);
    vx_free(*array);
    *array = larger;
    *capacity = wanted;
    return true;
}

vindex_status vx_whole_bytes(double estimate, size_t n, size_t *bytes) {
    if (!(estimate < (double)(SIZE_MAX / 2)))
        return vx_fail(VINDEX_ERR_ARGUMENT, "memory estimate: %zu vectors fit no memory", n);
    *bytes = (size_t)estimate;
    return VINDEX_OK;
}

vindex_status vx_fail_memory(size_t count, size_t size, const char *what) {
    size_t bytes;
    if (!vx_mul(count, size, &bytes))
        return vx_fail(VINDEX_ERR_MEMORY,
                       "%s: %zu items of %zu bytes do not fit an address space; use less data",
                       what, count, size);
    return vx_fail(VINDEX_ERR_MEMORY, "%s: no memory for %zu bytes; free some or use less data",
                   what, bytes);
}

int vx_threads(int32_t requested) {
    if (requested > 0) return VX_MIN(requested, (int32_t)THREADS_MOST);
    return VX_MAX(omp_get_num_procs(), 1); /* honours the process's CPU affinity */
}

vindex_status vx_locale_enter(vx_locale *locale) {
    locale_t own = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!own) return vx_fail(VINDEX_ERR_MEMORY, "numbers: no memory for the C locale; free some");
    *locale = (vx_locale){own, uselocale(own)};
    return VINDEX_OK;
}

void vx_locale_leave(vx_locale *locale) {
    uselocale((locale_t)locale->before);
    freelocale((locale_t)locale->own);
}

vindex_status vx_progress(vindex_progress_fn progress, void *context, const char *phase,
                          double fraction) {
    if (progress && progress(context, phase, fraction))
        return vx_fail(VINDEX_ERR_CANCELLED, "%s: cancelled by the caller", phase);
    return VINDEX_OK;
}

void vindex_call_init_sized(vindex_call *call, size_t struct_size) {
    vx_options_init(call, struct_size);
}

vindex_status vx_call_resolve(const vindex_call *call, vindex_call *resolved) {
    vindex_call_init(resolved);
    if (!call) return VINDEX_OK;
    if (call->struct_size != sizeof *call)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "call: struct_size is %zu, this library knows %zu; start with "
                       "vindex_call_init",
                       call->struct_size, sizeof *call);
    if (call->threads < 0)
        return vx_fail(VINDEX_ERR_ARGUMENT, "call: threads is %d; give 0 for all cores or more",
                       (int)call->threads);
    *resolved = *call;
    return VINDEX_OK;
}

static bool is_finite(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x7f800000u) != 0x7f800000u; /* exponent all ones: infinity or NaN */
}

/* At the speed of memory: whole lines without a branch, asked for across the borders of pages. */
static bool lines_finite(const float *values, size_t lines) {
    typedef uint32_t four __attribute__((vector_size(16)));
    enum { LINE = 16, AHEAD = 1024 };
    const four exponent = {0x7f800000u, 0x7f800000u, 0x7f800000u, 0x7f800000u};
    four bad = {0};
    for (size_t l = 0; l < lines; l++, values += LINE) {
        four part[LINE / 4];
        __builtin_prefetch(values + AHEAD, 0, 2);
        memcpy(part, values, sizeof part);
        for (size_t i = 0; i < LINE / 4; i++) bad |= (four)((part[i] & exponent) == exponent);
    }
    return !(bad[0] | bad[1] | bad[2] | bad[3]);
}

bool vx_all_finite(const float *values, size_t n, size_t *where) {
    enum { CHUNK = 4096, LINE = 16 };
    for (size_t start = 0; start < n; start += CHUNK) {
        size_t end = VX_MIN(start + CHUNK, n), lines = (end - start) / LINE;
        size_t first = lines_finite(values + start, lines) ? start + lines * LINE : start;
        for (size_t i = first; i < end; i++)
            if (!is_finite(values[i])) {
                *where = i;
                return false;
            }
    }
    return true;
}

#define VX_TEXT_(x) #x
#define VX_TEXT(x) VX_TEXT_(x)

const char *vindex_version(void) {
    return VX_TEXT(VINDEX_VERSION_MAJOR) "." VX_TEXT(VINDEX_VERSION_MINOR) "." VX_TEXT(
        VINDEX_VERSION_PATCH);
}
