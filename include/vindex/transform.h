/* Projections: maps from vectors to (as a rule smaller) vectors, learned from data, kept in checked
 * files, chained, and put in front of an index.
 *
 * A transform is a chain of steps. A step is an affine map y = W (x - shift) + b, a shift and scale
 * per dimension, a random rotation, or L2 normalisation. Applying a chain multiplies its linear
 * neighbours into one matrix first. Vectors are float32, row-major. What a row becomes depends on
 * nothing but the row: not on its neighbours in a call, not on threads.
 *
 * Learning uses OpenBLAS. Where OpenBLAS does not know the processor (Debian 12's 0.3.21 on newer
 * Xeons) it falls back to kernels several times slower; vindex_blas_advice tells.
 *
 * Thread safety as in index.h: functions that only look at a transform are shared-read. */
#ifndef VINDEX_TRANSFORM_H
#define VINDEX_TRANSFORM_H

#include <vindex/fields.h>
#include <vindex/status.h>
#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vindex_transform vindex_transform;

/* ---- learning ---- */

/* Rows to learn from, all in memory or read piece by piece, so that a file larger than memory
 * streams. read is called on the caller's thread, for any range of rows, each as often as a method
 * wants; it fills count x dim numbers, and a failing status (whose sentence is kept) ends the fit.
 */
typedef struct vindex_rows {
    int64_t count, dim;
    const float *vectors; /* count x dim; NULL: read them */
    vindex_status (*read)(void *context, int64_t first, int64_t count, float *vectors);
    void *context;
} vindex_rows;

/* What a method may learn from. Start with vindex_fit_data_init; rows alone are obligatory. */
typedef struct vindex_fit_data {
    size_t struct_size; /* set by vindex_fit_data_init */
    vindex_rows rows;
    const int32_t *labels;  /* the clique or class of each row, 0 or more; NULL: none */
    vindex_rows second;     /* what belongs to each row elsewhere: the other modality of cca, the
                               teacher's embedding of distill; as many rows, as they are: methods
                              before in a chain do not map them. count 0: none */
    vindex_rows validation; /* rows to stop early by; count 0: none */
    const int32_t *validation_labels;
} vindex_fit_data;

VINDEX_API void vindex_fit_data_init_sized(vindex_fit_data *data, size_t struct_size);
static inline void vindex_fit_data_init(vindex_fit_data *data) {
    vindex_fit_data_init_sized(data, sizeof *data);
}

/* A parameter of a method by name, such as {"epochs", "70"}. In a chain the name may say whose it
 * is ("lsr.epochs"); without that it is every method's that has such a parameter. */
typedef struct vindex_setting {
    const char *name, *value;
} vindex_setting;

typedef struct vindex_fit_params {
    size_t struct_size; /* set by vindex_fit_params_init */
    int64_t dim;        /* numbers per row that come out; 0 (the default): the method decides */
    int64_t seed;       /* of all that is random; default 1 */
    int32_t threads;    /* 0: every core the process may use */
    vindex_progress_fn progress; /* phase names the method and what it does ("lsr: epoch 3, loss
                                    0.52, MAP 0.41"); non-zero cancels */
    void *progress_context;
    const vindex_setting *settings;
    int64_t setting_count;
} vindex_fit_params;

VINDEX_API void vindex_fit_params_init_sized(vindex_fit_params *params, size_t struct_size);
static inline void vindex_fit_params_init(vindex_fit_params *params) {
    vindex_fit_params_init_sized(params, sizeof *params);
}

/* Learns a transform. `methods` is one method word or several with commas between, fitted one after
 * the other, each on what those before it give: "standardise,lda". A word may say its own dimension
 * ("pca:256,lda"); params->dim is that of the last word that has none and can choose one. params
 * may be NULL: the defaults. The result does not depend on the number of threads. *transform is the
 * caller's, to be freed, and left alone by a failure.
 *
 * VINDEX_ERR_ARGUMENT: an unknown method or parameter, a dimension the method cannot give.
 * VINDEX_ERR_DATA: NaN or infinity in a row, too few rows, labels missing, or data the method
 * cannot learn from (each method says). VINDEX_ERR_DIMENSION: rows, second view or validation do
 * not agree. Reentrant. */
VINDEX_API vindex_status vindex_fit(const char *methods, const vindex_fit_data *data,
                                    const vindex_fit_params *params, vindex_transform **transform);

/* A way to learn a step. */
typedef struct vindex_method {
    const char *word; /* "pca" */
    const char *help; /* one line, no full stop */
    bool chooses_dim; /* gives as many numbers as asked; the others give what the data say */
    bool needs_labels, needs_second;
    const vindex_field_table *fields; /* of its parameters; NULL: it has none */
} vindex_method;

/* Method i of those there are, NULL past the last; and the one of that word, or NULL. Reentrant. */
VINDEX_API const vindex_method *vindex_method_at(int64_t i);
VINDEX_API const vindex_method *vindex_method_find(const char *word);

/* The value of the environment variable OPENBLAS_CORETYPE that would make learning several times
 * faster here: OpenBLAS does not know this processor. It must be set before the program starts (the
 * vindex program starts itself again with it). NULL: all is well, or the variable is set.
 * Reentrant.
 */
VINDEX_API const char *vindex_blas_advice(void);

/* ---- transforms from ready numbers ---- */

/* y = W x + b, W being out x in, b out numbers or NULL; both copied. `origin` (at most 23
 * characters) is what vindex_transform_describe will call the method. Reentrant. */
VINDEX_API vindex_status vindex_transform_affine(const char *origin, int64_t in, int64_t out,
                                                 const float *weights, const float *bias,
                                                 vindex_transform **transform);

/* A linear layer as PyTorch trains it, and the BatchNorm1d after it if there is one: y = scale (W x
 * + bias - mean) / sqrt(variance + epsilon) + offset, number by number. Start with
 * vindex_layer_init; in, out and weights are obligatory. */
typedef struct vindex_layer {
    size_t struct_size; /* set by vindex_layer_init */
    int64_t in, out;
    const float *weights;         /* out x in: "weight" of the Linear */
    const float *bias;            /* out: its "bias"; NULL: 0 */
    const float *mean, *variance; /* out: "running_mean", "running_var"; NULL: no batch norm */
    const float *scale, *offset;  /* out: its "weight" and "bias"; NULL: 1 and 0 */
    double epsilon;               /* of the batch norm; default 1e-5 */
} vindex_layer;

VINDEX_API void vindex_layer_init_sized(vindex_layer *layer, size_t struct_size);
static inline void vindex_layer_init(vindex_layer *layer) {
    vindex_layer_init_sized(layer, sizeof *layer);
}

/* The layer, its batch norm multiplied in, as one affine map; all numbers copied, origin as above.
 * VINDEX_ERR_DATA: NaN or infinity among them, or a variance below 0. Reentrant. */
VINDEX_API vindex_status vindex_transform_layer(const char *origin, const vindex_layer *layer,
                                                vindex_transform **transform);

/* y = x / |x|; a zero row stays zero. Reentrant. */
VINDEX_API vindex_status vindex_transform_normalise(int64_t dim, vindex_transform **transform);

/* Appends copies of next's steps. VINDEX_ERR_DIMENSION when its input is not transform's output.
 * A failure leaves *transform as it was. Exclusive for transform, shared-read for next. */
VINDEX_API vindex_status vindex_transform_append(vindex_transform *transform,
                                                 const vindex_transform *next);

VINDEX_API vindex_status vindex_transform_copy(const vindex_transform *transform,
                                               vindex_transform **copy);

/* Frees a transform; NULL is fine. Exclusive. */
VINDEX_API void vindex_transform_free(vindex_transform *transform);

/* ---- using one ---- */

VINDEX_API int64_t vindex_transform_input_dim(const vindex_transform *transform);
VINDEX_API int64_t vindex_transform_output_dim(const vindex_transform *transform);
VINDEX_API size_t vindex_transform_memory(const vindex_transform *transform);

/* Maps n rows of the input dimension to n of the output dimension; rows and result must not
 * overlap. NaN or infinity in a row, or a result beyond float32, is VINDEX_ERR_DATA, and leaves
 * nothing to rely on in result. Shared-read. */
VINDEX_API vindex_status vindex_transform_apply(const vindex_transform *transform,
                                                const float *rows, int64_t n, float *result,
                                                const vindex_call *call);

/* What was learned beside the map itself: eigenvalues, loss per epoch, ... */
typedef struct vindex_transform_fact {
    const char *name;
    const double *values;
    int64_t count;
} vindex_transform_fact;

typedef enum vindex_step_kind {
    VINDEX_STEP_AFFINE = 1,   /* y = W (x - shift) + b */
    VINDEX_STEP_SCALE = 2,    /* y = (x - shift) * scale */
    VINDEX_STEP_ROTATION = 3, /* random signs and Hadamard transforms */
    VINDEX_STEP_NORMALISE = 4
} vindex_step_kind;

/* A step as vindex_transform_describe shows it; strings and numbers are the transform's. */
typedef struct vindex_transform_step {
    const char *method; /* the word it was fitted by, or its origin */
    vindex_step_kind kind;
    int64_t in, out;
    int64_t fact_count;
    const float *weights; /* out x in; NULL but for VINDEX_STEP_AFFINE */
    const float *bias;    /* out, likewise */
    const float *shift;   /* in; NULL: 0 */
    const float *scale;   /* in; NULL: 1 */
} vindex_transform_step;

VINDEX_API int64_t vindex_transform_step_count(const vindex_transform *transform);

/* Fills *step; VINDEX_ERR_ARGUMENT when there is no step i. Shared-read. */
VINDEX_API vindex_status vindex_transform_describe(const vindex_transform *transform, int64_t i,
                                                   vindex_transform_step *step);

/* Fills *shown with fact number `fact` of a step; VINDEX_ERR_ARGUMENT when there is none.
 * Shared-read. */
VINDEX_API vindex_status vindex_transform_fact_at(const vindex_transform *transform, int64_t step,
                                                  int64_t fact, vindex_transform_fact *shown);

/* Writes a transform to path, atomically, every byte under a checksum. Shared-read. */
VINDEX_API vindex_status vindex_transform_save(const vindex_transform *transform, const char *path);

/* Reads one, checking all of it. *transform as in vindex_fit. Reentrant. */
VINDEX_API vindex_status vindex_transform_load(const char *path, vindex_transform **transform);

/* ---- prototypes ---- */

/* The mean of each class's rows, the vector that stands for a tag or a clique in search: classes x
 * dim, class c being the rows whose label is c. VINDEX_ERR_DATA: a label beyond 0 ... classes-1, a
 * class without rows, NaN or infinity. means is written only on success. Reentrant. */
VINDEX_API vindex_status vindex_class_means(const float *rows, int64_t n, int64_t dim,
                                            const int32_t *labels, int64_t classes, float *means);

#ifdef __cplusplus
}
#endif
#endif
