/* Learning the codewords: k-means for every part at once, after Lloyd. Parts are too short for the
 * exact engine of core/kmeans, which would spend most of its time on preparing each point; here a
 * part is assigned by the encoder, which settles what single precision cannot tell, and sums are
 * made in double precision in the order of the points: the same bits on every machine. */
#include <math.h>
#include <omp.h>
#include <stdatomic.h>

#include "core/rng.h"
#include "pq.h"

enum { STREAM_START = 0x7071 };

/* One thread's. */
typedef struct learner {
    const vx_pq_training *training;
    vx_pq *pq;
    size_t codes, width;
    unsigned char *nearest; /* per point */
    double *sums;           /* codes x width */
    double *least;          /* per point its squared distance to the nearest word */
    size_t *sizes;          /* per code */
    void *memory;
} learner;

static vindex_status open_learner(vx_pq *pq, const vx_pq_training *training, learner *l) {
    size_t codes = vx_pq_codes(&pq->book.shape), width = vx_pq_width(&pq->book.shape);
    size_t sums = codes * width * sizeof(double), sizes = codes * sizeof(size_t);
    size_t each = sizeof(double) + 1, points;
    *l = (learner){.training = training, .pq = pq, .codes = codes, .width = width};
    size_t bytes;
    bool fits = vx_mul(training->count, each, &points) && vx_add(sums + sizes, points, &bytes);
    char *memory = fits ? vx_alloc(bytes, 1) : NULL;
    if (!memory) return vx_fail_memory(training->count, each, "train");
    l->memory = memory;
    l->sums = (double *)(void *)memory;
    l->sizes = (size_t *)(void *)(memory + sums);
    l->least = (double *)(void *)(memory + sums + sizes);
    l->nearest = (unsigned char *)(l->least + training->count);
    return VINDEX_OK;
}

static const float *point(const learner *l, size_t part, size_t i) {
    return l->training->points + i * l->pq->book.shape.dim + part * l->width;
}

static float *word(const learner *l, size_t part, size_t code) {
    return l->pq->words + (part * l->codes + code) * l->width;
}

static double distance(const learner *l, const float *x, const float *w) {
    double sum = 0;
    for (size_t j = 0; j < l->width; j++) {
        double difference = (double)x[j] - (double)w[j];
        sum += difference * difference;
    }
    return sum;
}

/* One of the first `count` points, drawn with a chance in proportion to what is least of it;
 * false where nothing is left of any. */
static bool draw(const learner *l, size_t count, vx_rng *rng, size_t *drawn) {
    double total = 0, target;
    for (size_t i = 0; i < count; i++) total += l->least[i];
    if (!(total > 0)) return false;
    target = vx_rng_uniform(rng) * total;
    for (*drawn = 0; *drawn + 1 < count && target >= l->least[*drawn]; ++*drawn)
        target -= l->least[*drawn];
    return true;
}

/* Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, 2007: each word is a
 * point drawn with a chance in proportion to its squared distance from those before. Many points
 * may share a part, that of zeros above all, and a plain sample would take it again and again. Of
 * many points some, evenly spread, are enough to begin with. */
static void start(const learner *l, size_t part, vx_rng *rng) {
    size_t n = l->training->count, seeds = VX_MIN(n, VX_MAX(32 * l->codes, (size_t)4096));
    size_t chosen = vx_rng_below(rng, seeds);
    for (size_t i = 0; i < seeds; i++) l->least[i] = INFINITY;
    for (size_t c = 0; c < l->codes; c++) {
        if (c && !draw(l, seeds, rng, &chosen)) chosen = vx_rng_below(rng, seeds);
        float *begun = word(l, part, c);
        memcpy(begun, point(l, part, chosen * n / seeds), l->width * sizeof(float));
        for (size_t i = 0; i < seeds; i++)
            l->least[i] = VX_MIN(l->least[i], distance(l, point(l, part, i * n / seeds), begun));
    }
}

static void assign(const learner *l, size_t part) {
    for (size_t i = 0; i < l->training->count; i++)
        l->nearest[i] = vx_pq_encode_part(l->pq, part, point(l, part, i));
}

/* Each word becomes the mean of its points; answers the sum of |sum|^2 / size, which the squared
 * lengths of the points exceed by their squared distances to the new words. */
static double update(const learner *l, size_t part) {
    double explained = 0;
    memset(l->sums, 0, l->codes * l->width * sizeof *l->sums);
    memset(l->sizes, 0, l->codes * sizeof *l->sizes);
    for (size_t i = 0; i < l->training->count; i++) {
        const float *x = point(l, part, i);
        double *sum = l->sums + l->nearest[i] * l->width;
        l->sizes[l->nearest[i]]++;
        for (size_t j = 0; j < l->width; j++) sum[j] += (double)x[j];
    }
    for (size_t c = 0; c < l->codes; c++)
        for (size_t j = 0; l->sizes[c] && j < l->width; j++) {
            double sum = l->sums[c * l->width + j], size = (double)l->sizes[c];
            word(l, part, c)[j] = (float)(sum / size);
            explained += sum * sum / size;
        }
    return explained;
}

/* A word without points moves to a point drawn with a chance in proportion to its squared distance
 * from the nearest word. */
static void move_empty(const learner *l, size_t part, vx_rng *rng) {
    size_t n = l->training->count, chosen;
    bool known = false;
    for (size_t c = 0; c < l->codes; c++) {
        if (l->sizes[c]) continue;
        for (size_t i = 0; !known && i < n; i++)
            l->least[i] = distance(l, point(l, part, i), word(l, part, l->nearest[i]));
        known = true;
        if (!draw(l, n, rng, &chosen)) return;
        float *moved = word(l, part, c);
        memcpy(moved, point(l, part, chosen), l->width * sizeof(float));
        for (size_t i = 0; i < n; i++)
            l->least[i] = VX_MIN(l->least[i], distance(l, point(l, part, i), moved));
    }
}

/* Answers the sum of the squared distances of the points of a part to their words. */
static double learn_part(const learner *l, size_t part) {
    const vx_pq_training *training = l->training;
    vx_rng rng = vx_rng_seed(training->seed, (uint64_t)STREAM_START << 32 | part);
    double all = 0, explained = 0;
    for (size_t i = 0; i < training->count; i++)
        for (size_t j = 0; j < l->width; j++)
            all += (double)point(l, part, i)[j] * (double)point(l, part, i)[j];
    if (!training->resume) start(l, part, &rng);
    vx_pq_refresh(l->pq, part);
    for (size_t t = 0; t < training->iterations; t++) {
        double before = explained;
        assign(l, part);
        explained = update(l, part);
        bool settled = t > 0 && !(explained > before);
        if (t + 1 < training->iterations && !settled) move_empty(l, part, &rng);
        vx_pq_refresh(l->pq, part);
        if (settled) break;
    }
    return VX_MAX(all - explained, 0.0);
}

static vindex_status check(const vx_pq *pq, const vx_pq_training *training) {
    size_t codes = vx_pq_codes(&pq->book.shape), where;
    if (training->count < codes)
        return vx_fail(VINDEX_ERR_DATA,
                       "train: %zu vectors for the %zu codewords of a product quantizer of %zu "
                       "bits; give at least %zu, better %zu",
                       training->count, codes, pq->book.shape.bits, codes, 39 * codes);
    if (!vx_all_finite(training->points, training->count * pq->book.shape.dim, &where))
        return vx_fail(VINDEX_ERR_DATA, "train: vector %zu is not finite; remove or replace it",
                       where / pq->book.shape.dim);
    return VINDEX_OK;
}

/* The thread that made the call says how many parts are done, and hears whether to go on. */
static void tell(const vx_pq_training *training, size_t done, size_t parts, atomic_int *ended) {
    if (omp_get_thread_num()) return;
    vindex_status status = vx_progress(training->progress, training->progress_context, "train",
                                       (double)done / (double)parts);
    if (status != VINDEX_OK) atomic_store(ended, (int)status);
}

vindex_status vx_pq_train(vx_pq *pq, const vx_pq_training *training, double *loss) {
    const vx_pq_shape *shape = &pq->book.shape;
    VX_TRY(check(pq, training));
    double *losses = vx_alloc_zero(shape->parts, sizeof *losses);
    atomic_size_t done = 0;
    atomic_int ended = VINDEX_OK;
    if (!losses) return vx_fail_memory(shape->parts, sizeof *losses, "train");
    int threads = (int)VX_MIN((size_t)training->threads, shape->parts), failed = VINDEX_OK;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        learner l;
        vindex_status status = open_learner(pq, training, &l);
#pragma omp for schedule(dynamic, 1)
        for (size_t part = 0; part < shape->parts; part++)
            if (status == VINDEX_OK && atomic_load(&ended) == VINDEX_OK) {
                losses[part] = learn_part(&l, part);
                tell(training, atomic_fetch_add(&done, 1) + 1, shape->parts, &ended);
            }
#pragma omp critical
        if (status != VINDEX_OK) failed = status;
        vx_free(l.memory);
    }
    double all = 0;
    for (size_t part = 0; part < shape->parts; part++) all += losses[part];
    vx_free(losses);
    if (failed != VINDEX_OK)
        return vx_fail((vindex_status)failed, "train: no memory for %zu vectors; give fewer",
                       training->count);
    if (atomic_load(&ended) != VINDEX_OK) return (vindex_status)atomic_load(&ended);
    vx_pq_refresh_all(pq);
    if (loss) *loss = all / (double)training->count;
    return VINDEX_OK;
}
