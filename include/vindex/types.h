/* The words every vindex header uses: metric, dtype, progress, version. Every function here is
 * reentrant, and the strings they answer live as long as the library. */
#ifndef VINDEX_TYPES_H
#define VINDEX_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VINDEX_VERSION_MAJOR 0
#define VINDEX_VERSION_MINOR 1
#define VINDEX_VERSION_PATCH 0

#if defined(__GNUC__)
#define VINDEX_API __attribute__((visibility("default")))
#else
#define VINDEX_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* How two vectors are compared. A search by L2 returns squared distances, smallest first; the
 * others return similarities, largest first. */
typedef enum vindex_metric {
    VINDEX_L2 = 0,            /* squared Euclidean distance */
    VINDEX_INNER_PRODUCT = 1, /* dot product */
    VINDEX_COSINE = 2,        /* cosine similarity; 0 where either vector is zero */
    VINDEX_PEARSON = 3        /* Pearson correlation; 0 where either vector is constant */
} vindex_metric;

/* How one number is stored. */
typedef enum vindex_dtype {
    VINDEX_F32 = 0,
    VINDEX_F16 = 1,
    VINDEX_BF16 = 2,
    VINDEX_F64 = 3,
    VINDEX_I8 = 4,
    VINDEX_U8 = 5,
    VINDEX_I16 = 6,
    VINDEX_U16 = 7,
    VINDEX_I32 = 8,
    VINDEX_I64 = 9
} vindex_dtype;

/* Called now and then by long calls with the name of the phase and how much of it is done, 0 to 1.
 * Always on the thread that made the call. A non-zero answer cancels: the call returns
 * VINDEX_ERR_CANCELLED and leaves the object as it was. */
typedef int (*vindex_progress_fn)(void *context, const char *phase, double fraction);

/* Structs of options begin with their size and are started with an _init function, which tells the
 * library how much of them the program knows (through _init_sized), so that a program built with an
 * older header runs with a newer library. Structs that the library fills change only with the
 * SOVERSION. */

/* How a long call runs. Pass NULL for the defaults: every core, no progress. */
typedef struct vindex_call {
    size_t struct_size; /* set by vindex_call_init */
    int32_t threads;    /* 0: every core the process may use; 1: none beside the caller's */
    vindex_progress_fn progress;
    void *progress_context;
} vindex_call;

VINDEX_API void vindex_call_init_sized(vindex_call *call, size_t struct_size);
static inline void vindex_call_init(vindex_call *call) {
    vindex_call_init_sized(call, sizeof *call);
}

/* The version of the library that runs, such as "0.1.0". */
VINDEX_API const char *vindex_version(void);

/* The instruction set the kernels use: "scalar", "neon", "avx2" or "avx512". The environment
 * variable VINDEX_SIMD forces one; if it names one this machine lacks, creating or loading an
 * index fails with a clear error and this returns NULL. */
VINDEX_API const char *vindex_simd_level(void);

/* "l2", "ip", "cosine" or "pearson"; NULL for another number. */
VINDEX_API const char *vindex_metric_name(vindex_metric metric);

/* The metric of that name; answers false and leaves *metric alone when there is none. */
VINDEX_API bool vindex_metric_parse(const char *name, vindex_metric *metric);

/* "f32", "f16", ...; NULL for another number. */
VINDEX_API const char *vindex_dtype_name(vindex_dtype dtype);

/* Bytes of one number of that type; 0 for another number. */
VINDEX_API size_t vindex_dtype_size(vindex_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
