/* A method: how a step is learned. One file and one line in methods.c each.
 *
 * A method's fit gets a job whose arguments were all checked, and fills a step. It reads rows
 * through vx_rows_read (or vx_rows_all), reports through vx_fit_progress, takes its parameters from
 * job->settings (the struct its field table describes, checked), and draws random numbers from
 * vx_rng_seed(job->seed, stream). What it puts into the step by vx_step_affine and its like is
 * freed by the caller when it fails. Its answer must not depend on job->threads. */
#ifndef VX_TRANSFORM_METHOD_H
#define VX_TRANSFORM_METHOD_H

#include <vindex/transform.h>

#include "core/base.h"

enum { VX_METHOD_NAME = 24, VX_FACT_NAME = 24 };

/* What was learned beside the map. */
typedef struct vx_fact {
    char name[VX_FACT_NAME];
    double *values;
    size_t count;
} vx_fact;

/* A step of a chain; see vindex_step_kind. Owns its memory. */
typedef struct vx_step {
    vindex_step_kind kind;
    char method[VX_METHOD_NAME];
    size_t in, out;
    float *weights; /* affine: out x in */
    float *bias;    /* affine: out */
    float *shift;   /* affine, scale: in; NULL: 0 */
    float *scale;   /* scale: in */
    uint64_t seed;  /* rotation */
    vx_fact *facts;
    size_t fact_count;
} vx_step;

/* Makes *step an affine map with zeroed weights and bias, and with a zeroed shift if asked. A shift
 * is for data far from the origin, where W x + b would cancel: W (x - shift) + b does not. */
vindex_status vx_step_affine(vx_step *step, size_t in, size_t out, bool shifted);

/* Makes *step a scale: shift 0, scale 1. */
vindex_status vx_step_scale(vx_step *step, size_t dim);

/* Adds a fact, its values copied. */
vindex_status vx_step_fact(vx_step *step, const char *name, const double *values, size_t count);

/* A step of its own with the same content. */
vindex_status vx_step_copy(const vx_step *from, vx_step *to);

/* Frees what a step holds and zeroes it. */
void vx_step_free(vx_step *step);

/* What a method gets to learn from. */
typedef struct vx_fit {
    const char *word;
    vindex_rows rows;       /* at least one; dim up to VX_DIM_MOST */
    size_t dim;             /* numbers to come out; 0: the method decides */
    const int32_t *labels;  /* rows.count, each 0 ... classes - 1 and every class in use; or NULL */
    size_t classes;         /* renumbered in order of first appearance */
    vindex_rows second;     /* rows.count rows, or count 0 */
    vindex_rows validation; /* of rows.dim, or count 0 */
    const int32_t *validation_labels; /* as the caller gave them, not those of labels */
    const void *settings;             /* the struct that the method's field table describes */
    size_t steps_before;              /* of the chain, fitted already and applied to rows */
    uint64_t seed;
    int threads; /* resolved */
    vindex_progress_fn progress;
    void *progress_context;
} vx_fit;

typedef struct vx_method {
    vindex_method shown;
    vindex_status (*fit)(const vx_fit *job, vx_step *step);
    /* About the most bytes that it takes at once while it learns from that many rows, which lie in
     * memory and are not counted; labels and validation are not asked for. NULL: nobody knows. */
    double (*bytes)(const vx_fit *job);
} vx_method;

/* Reads rows and refuses NaN and infinity. */
vindex_status vx_rows_read(const vx_fit *job, const vindex_rows *rows, size_t first, size_t count,
                           float *vectors);

/* All rows, finite: *vectors is the data itself where they lie in memory, and *owned NULL; or
 * *owned, read, to be freed by vx_free. */
vindex_status vx_rows_all(const vx_fit *job, const vindex_rows *rows, const float **vectors,
                          float **owned);

/* How many rows to read at a time: some megabytes, a number that depends on dim alone. */
size_t vx_rows_block(size_t dim);

/* Calls visit with every block of rows in turn, finite; the phase is what progress says meanwhile,
 * from and to the part of the whole fit that this pass is. */
typedef vindex_status (*vx_visit)(void *context, size_t first, size_t count, const float *vectors);
typedef struct vx_pass {
    const char *phase;
    double from, to;
    vx_visit visit;
    void *context;
} vx_pass;
vindex_status vx_rows_each(const vx_fit *job, const vindex_rows *rows, const vx_pass *pass);

/* Reports "word: phase" and a fraction of the whole fit; VINDEX_ERR_CANCELLED when asked to stop.
 */
vindex_status vx_fit_progress(const vx_fit *job, double fraction, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The methods there are, by methods.c. */
extern const vx_method *const vx_methods[];
extern const size_t vx_method_count;

/* One line each: the file that defines it is named after it. */
extern const vx_method vx_method_standardise, vx_method_centre, vx_method_normalise, vx_method_pca,
    vx_method_pca_whiten, vx_method_ica, vx_method_grp, vx_method_hadamard;
extern const vx_method vx_method_opq;
extern const vx_method vx_method_lda, vx_method_wccn, vx_method_nca, vx_method_lmnn, vx_method_cca;
extern const vx_method vx_method_fc, vx_method_pca_fc, vx_method_lsr, vx_method_distill,
    vx_method_prune;

#endif
