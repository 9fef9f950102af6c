/* Optimised product quantization (Ge, He, Ke and Sun, "Optimized product quantization for
 * approximate nearest neighbor search", 2013): the rotation after which product codes lose least.
 * It alternates between learning codewords for the rotated rows and finding the rotation that
 * brings the rows nearest to what they are coded as, which is the orthogonal Procrustes problem
 * (their section 3.1). What it ends in depends on where it begins, so two beginnings are tried for
 * a while and the better one is followed: the principal axes dealt out so that the parts' variances
 * have about the same product (section 3.2), and the principal axes turned at random. */
#include <math.h>
#include <omp.h>

#include "core/blas.h"
#include "core/rng.h"
#include "pca.h"
#include "pq/pq.h"

typedef struct settings {
    size_t struct_size;
    int64_t parts, bits, iterations, rounds;
} settings;

static const vindex_field fields[] = {
    {"parts", VINDEX_FIELD_INT64, offsetof(settings, parts), 1, VX_PQ_PARTS_MOST, 8,
     "parts that a product quantizer cuts vectors into"},
    {"bits", VINDEX_FIELD_INT64, offsetof(settings, bits), 4, 8, 4,
     "of the code of a part: 4, 6 or 8"},
    {"iterations", VINDEX_FIELD_INT64, offsetof(settings, iterations), 0, 10000, 50,
     "times that codewords and rotation are improved in turn"},
    {"rounds", VINDEX_FIELD_INT64, offsetof(settings, rounds), 1, 1000, 4, "of k-means each time"},
};
static const vindex_field_table table = {"opq", sizeof(settings), fields, VX_COUNT(fields)};

typedef struct fitting {
    const vx_fit *job;
    const settings *s;
    size_t n, in, out;
    float *rows;     /* n x in, the mean taken off: it is the codewords' to follow */
    float *turned;   /* n x out */
    float *coded;    /* n x out: what codes make of it */
    float *rotation; /* out x in, orthonormal rows */
    float *axes;     /* out x in: the principal ones, dealt out */
    float *kept;     /* rotation and words of the beginning that is better so far */
    double *cross, *u, *v, *values, *product; /* of the Procrustes problem */
    double *losses;                           /* per iteration */
    vx_pq *pq;
} fitting;

static void free_fitting(fitting *f) {
    vx_free(f->rows);
    vx_free(f->turned);
    vx_free(f->coded);
    vx_free(f->rotation);
    vx_free(f->axes);
    vx_free(f->kept);
    vx_free(f->cross);
    vx_free(f->u);
    vx_free(f->v);
    vx_free(f->values);
    vx_free(f->product);
    vx_free(f->losses);
    vx_pq_free(f->pq);
}

static vindex_status make_fitting(const vx_fit *job, fitting *f) {
    const settings *s = job->settings;
    size_t in = (size_t)job->rows.dim, out = job->dim ? job->dim : in;
    vx_pq_shape shape = {out, (size_t)s->parts, (size_t)s->bits};
    if (out > in)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: %zu numbers cannot be turned into %zu; ask for at most as many",
                       job->word, in, out);
    VX_TRY(vx_pq_create(&shape, &f->pq));
    size_t least = VX_MAX(vx_pq_codes(&shape), out);
    if ((size_t)job->rows.count < least)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: %lld rows to learn %zu codewords and %zu axes from; give at least "
                       "%zu, better %zu",
                       job->word, (long long)job->rows.count, vx_pq_codes(&shape), out, least,
                       39 * vx_pq_codes(&shape));
    size_t n = VX_MIN((size_t)job->rows.count, vx_pq_useful(&shape));
    f->job = job;
    f->s = s;
    f->n = n;
    f->in = in;
    f->out = out;
    f->rows = vx_alloc(n, in * sizeof(float));
    f->turned = vx_alloc(n, out * sizeof(float));
    f->coded = vx_alloc(n, out * sizeof(float));
    f->rotation = vx_alloc(out, in * sizeof(float));
    f->axes = vx_alloc(out, in * sizeof(float));
    f->kept = vx_alloc(out, (in + vx_pq_codes(&shape)) * sizeof(float));
    f->cross = vx_alloc(in, out * sizeof(double));
    f->u = vx_alloc(in, out * sizeof(double));
    f->v = vx_alloc(out, out * sizeof(double));
    f->values = vx_alloc(out, sizeof(double));
    f->product = vx_alloc(in, out * sizeof(double));
    f->losses = vx_alloc((size_t)s->iterations + 1, sizeof(double));
    if (f->rows && f->turned && f->coded && f->rotation && f->axes && f->kept && f->cross && f->u &&
        f->v && f->values && f->product && f->losses)
        return VINDEX_OK;
    return vx_fail_memory(n, (in + 2 * out) * sizeof(float), job->word);
}

/* Keeps n of all rows, evenly spread. */
static vindex_status keep_rows(void *context, size_t first, size_t count, const float *vectors) {
    const fitting *f = context;
    size_t all = (size_t)f->job->rows.count, i = (first * f->n + all - 1) / all;
    for (; i < f->n && i * all / f->n < first + count; i++)
        memcpy(f->rows + i * f->in, vectors + (i * all / f->n - first) * f->in,
               f->in * sizeof *vectors);
    return VINDEX_OK;
}

static vindex_status load_rows(fitting *f) {
    vx_pass pass = {"reading", 0, 0.1, keep_rows, f};
    return vx_rows_each(f->job, &f->job->rows, &pass);
}

static void centre_rows(fitting *f, const double *mean) {
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = 0; j < f->in; j++)
            f->rows[i * f->in + j] = (float)((double)f->rows[i * f->in + j] - mean[j]);
}

/* Deals the axes out to the parts, the largest variance first, each to the part with room whose
 * product of variances is the smallest. */
static void deal(fitting *f, const vx_pca *pca, double *products, size_t *filled) {
    size_t parts = (size_t)f->s->parts, width = f->out / parts;
    double least = pca->values[0] * 1e-12; /* of no variance: as if it had some */
    for (size_t p = 0; p < parts; p++) products[p] = 0, filled[p] = 0;
    for (size_t i = 0; i < f->out; i++) {
        size_t best = parts;
        for (size_t p = 0; p < parts; p++)
            if (filled[p] < width && (best == parts || products[p] < products[best])) best = p;
        float *row = f->axes + (best * width + filled[best]++) * f->in;
        for (size_t j = 0; j < f->in; j++) row[j] = (float)pca->vectors[i * f->in + j];
        products[best] += log(VX_MAX(pca->values[i], least) / pca->values[0]);
    }
}

static vindex_status find_axes(fitting *f) {
    vx_pca_options options = vx_pca_defaults(f->out);
    vindex_rows rows = {(int64_t)f->n, (int64_t)f->in, f->rows, NULL, NULL};
    vx_pca pca;
    VX_TRY(vx_pca_compute(f->job, &rows, &options, &pca));
    size_t parts = (size_t)f->s->parts;
    double *products = vx_alloc(parts, sizeof *products);
    size_t *filled = vx_alloc(parts, sizeof *filled);
    vindex_status status = VINDEX_OK;
    if (products && filled) {
        deal(f, &pca, products, filled);
        centre_rows(f, pca.mean);
    } else {
        status = vx_fail_memory(parts, sizeof *products, f->job->word);
    }
    vx_free(products);
    vx_free(filled);
    vx_pca_free(&pca);
    return status;
}

static void turn(const fitting *f) {
    vx_sgemm(&(vx_sproduct){.m = f->n,
                            .n = f->out,
                            .k = f->in,
                            .alpha = 1,
                            .a = f->rows,
                            .b = f->rotation,
                            .c = f->turned,
                            .b_transposed = true},
             f->job->threads);
}

static void code(const fitting *f) {
    int threads = f->job->threads;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t i = 0; i < f->n; i++) {
        unsigned char codes[VX_PQ_PARTS_MOST];
        vx_pq_view view = {.vector = f->turned + i * f->out, .scale = 1};
        vx_pq_encode(f->pq, &view, codes);
        vx_pq_decode(f->pq, codes, f->coded + i * f->out);
    }
}

/* The orthonormal R for which the rows X R^T are nearest to what they are coded as, Y: U V^T of the
 * singular value decomposition U S V^T of Y^T X (Schonemann, "A generalized solution of the
 * orthogonal Procrustes problem", 1966). Here the transpose of it. */
static vindex_status improve(const fitting *f) {
    float *cross = vx_alloc(f->in, f->out * sizeof *cross);
    if (!cross) return vx_fail_memory(f->in, f->out * sizeof *cross, f->job->word);
    vx_sgemm(&(vx_sproduct){.m = f->in,
                            .n = f->out,
                            .k = f->n,
                            .alpha = 1,
                            .a = f->rows,
                            .b = f->coded,
                            .c = cross,
                            .a_transposed = true},
             f->job->threads);
    for (size_t i = 0; i < f->in * f->out; i++) f->cross[i] = (double)cross[i];
    vx_free(cross);
    VX_TRY(vx_svd_compute(&(vx_svd){
        .a = f->cross, .m = f->in, .n = f->out, .u = f->u, .values = f->values, .v = f->v}));
    vx_dgemm(&(vx_dproduct){.m = f->in,
                            .n = f->out,
                            .k = f->out,
                            .alpha = 1,
                            .a = f->u,
                            .b = f->v,
                            .c = f->product},
             f->job->threads);
    for (size_t i = 0; i < f->in; i++)
        for (size_t o = 0; o < f->out; o++)
            f->rotation[o * f->in + i] = (float)f->product[i * f->out + o];
    return VINDEX_OK;
}

/* Codewords for the rows as they are turned now; answers how far they are from them. */
static vindex_status learn_words(const fitting *f, size_t t) {
    vx_pq_training training = {.points = f->turned,
                               .count = f->n,
                               .seed = f->job->seed,
                               .iterations = t ? (size_t)f->s->rounds : VX_PQ_ITERATIONS,
                               .resume = t > 0,
                               .threads = f->job->threads};
    turn(f);
    return vx_pq_train(f->pq, &training, &f->losses[t]);
}

/* Iterations first ... last-1; the words for what the last one found are learnt by the next. */
static vindex_status iterate(const fitting *f, size_t first, size_t last) {
    for (size_t t = first; t < last; t++) {
        VX_TRY(learn_words(f, t));
        VX_TRY(vx_fit_progress(f->job, 0.2 + 0.8 * (double)t / (double)f->s->iterations,
                               "iteration %zu, loss %.4g", t + 1, f->losses[t]));
        code(f);
        VX_TRY(improve(f));
    }
    return VINDEX_OK;
}

/* The dealt axes, or these turned at random. */
static vindex_status begin(const fitting *f, bool random) {
    enum { STREAM_START = 0x6f7071 };
    size_t out = f->out;
    memcpy(f->rotation, f->axes, out * f->in * sizeof *f->rotation);
    if (!random) return VINDEX_OK;
    vx_rng rng = vx_rng_seed(f->job->seed, STREAM_START);
    for (size_t i = 0; i < out * out; i++) f->v[i] = vx_rng_normal(&rng);
    VX_TRY(vx_orthonormalise(f->v, out, out));
    float *turned = vx_alloc(out, out * sizeof *turned);
    if (!turned) return vx_fail_memory(out, out * sizeof *turned, f->job->word);
    for (size_t i = 0; i < out * out; i++) turned[i] = (float)f->v[i];
    vx_sgemm(&(vx_sproduct){.m = out,
                            .n = f->in,
                            .k = out,
                            .alpha = 1,
                            .a = turned,
                            .b = f->axes,
                            .c = f->rotation},
             f->job->threads);
    vx_free(turned);
    return VINDEX_OK;
}

/* Copies rotation and words to what is kept, or back. */
static void exchange(const fitting *f, bool keep) {
    size_t rotation = f->out * f->in, words = f->out * vx_pq_codes(&f->pq->book.shape);
    memcpy(keep ? f->kept : f->rotation, keep ? f->rotation : f->kept, rotation * sizeof(float));
    memcpy(keep ? f->kept + rotation : f->pq->words, keep ? f->pq->words : f->kept + rotation,
           words * sizeof(float));
}

static vindex_status search(const fitting *f) {
    size_t iterations = (size_t)f->s->iterations, tried = (iterations + 3) / 4;
    double *first = vx_alloc(tried + 1, sizeof *first);
    if (!first) return vx_fail_memory(tried, sizeof *first, f->job->word);
    vindex_status status = VINDEX_OK;
    for (int random = 0; status == VINDEX_OK && random < 2; random++) {
        status = begin(f, random);
        if (status == VINDEX_OK) status = iterate(f, 0, tried);
        if (status == VINDEX_OK) status = learn_words(f, tried);
        if (status != VINDEX_OK) break;
        if (random && !(f->losses[tried] < first[tried])) {
            memcpy(f->losses, first, (tried + 1) * sizeof *first);
            continue;
        }
        memcpy(first, f->losses, (tried + 1) * sizeof *first);
        exchange(f, true);
    }
    vx_free(first);
    if (status != VINDEX_OK) return status;
    exchange(f, false);
    vx_pq_refresh_all(f->pq);
    turn(f);
    if (tried == iterations) return VINDEX_OK;
    code(f);
    VX_TRY(improve(f));
    VX_TRY(iterate(f, tried + 1, iterations));
    return learn_words(f, iterations);
}

static vindex_status write_step(const fitting *f, vx_step *step) {
    double parts = (double)f->s->parts, bits = (double)f->s->bits;
    VX_TRY(vx_step_affine(step, f->in, f->out, false));
    memcpy(step->weights, f->rotation, f->out * f->in * sizeof *f->rotation);
    VX_TRY(vx_step_fact(step, "loss", f->losses, (size_t)f->s->iterations + 1));
    VX_TRY(vx_step_fact(step, "parts", &parts, 1));
    return vx_step_fact(step, "bits", &bits, 1);
}

static vindex_status fit(const vx_fit *job, vx_step *step) {
    fitting f = {0};
    vindex_status status = make_fitting(job, &f);
    if (status == VINDEX_OK) status = load_rows(&f);
    if (status == VINDEX_OK) status = find_axes(&f);
    if (status == VINDEX_OK) status = search(&f);
    if (status == VINDEX_OK) status = write_step(&f, step);
    free_fitting(&f);
    return status;
}

/* Rows, these turned and coded, what turns them; then what finds the first axes, or learning
 * codewords. */
static double fit_bytes(const vx_fit *job) {
    const settings *s = job->settings;
    size_t in = (size_t)job->rows.dim, out = job->dim ? job->dim : in;
    vx_pq_shape shape = {out, (size_t)s->parts, (size_t)s->bits};
    size_t n = VX_MIN((size_t)job->rows.count, vx_pq_useful(&shape));
    vx_pca_options options = vx_pca_defaults(out);
    double square = (double)(in * out), rows = (double)n;
    double kept = sizeof(float) * (rows * (double)(in + 2 * out) + 3 * square) +
                  sizeof(double) * (3 * square + (double)(out * out)) +
                  (double)vx_pq_memory(&shape);
    double axes = vx_pca_bytes(n, in, &options), words = rows * (sizeof(double) + 1);
    return kept + VX_MAX(axes, words * job->threads);
}

const vx_method vx_method_opq = {
    .shown = {.word = "opq",
              .help = "rotation after which product codes of `parts` parts lose least",
              .chooses_dim = true,
              .fields = &table},
    .fit = fit,
    .bytes = fit_bytes,
};
