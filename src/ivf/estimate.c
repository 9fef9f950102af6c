/* How much memory an index of lists will hold, and the most that building it takes at once. */
#include <math.h>

#include "exact/nearest.h"
#include "ivf.h"

double vx_ivf_bytes_each(const vx_codec *codec) {
    return vx_codec_row_bytes(codec) + sizeof(uint32_t);
}

/* What an index takes before the first vector, what it has learnt included. */
static vindex_status empty_bytes(const vx_ivf *ivf, double *bytes) {
    char spec[VX_IVF_COARSE_SPEC];
    size_t coarse, lists = ivf->list_count, dim = ivf->base.dim;
    vx_ivf_coarse_spec(ivf, spec);
    VX_TRY(vindex_memory_estimate(spec, (int64_t)dim, (int64_t)lists, &coarse));
    *bytes = (double)coarse + (double)ivf->codec->own_bytes +
             (double)(sizeof *ivf + sizeof(vx_codec) + lists * sizeof(vx_list));
    return VINDEX_OK;
}

vindex_status vx_ivf_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes) {
    vx_ivf *ivf;
    double empty = 0;
    VX_TRY(vx_ivf_make(spec, dim, VINDEX_L2, &ivf));
    vindex_status status = empty_bytes(ivf, &empty);
    double each = vx_ivf_bytes_each(ivf->codec);
    vx_ivf_free(&ivf->base);
    return status == VINDEX_OK ? vx_whole_bytes(empty + (double)n * each, n, bytes) : status;
}

/* Building as it goes: vectors are drawn, lists learnt from them, then codes, and the vectors found
 * their lists before these are laid out. */
typedef struct building {
    const vx_ivf *ivf;
    size_t n;
    int threads;
    bool read;
    double empty;
} building;

static double floats(const building *b, size_t vectors) {
    return (double)vectors * (double)b->ivf->base.dim * sizeof(float);
}

/* What finding the nearest centroids of so many vectors takes. */
static double search_bytes(const building *b, size_t vectors) {
    if (b->ivf->alone) return 0;
    return (double)vx_nearest_bytes(b->ivf->base.dim, vectors, 1, b->threads);
}

/* Points that are clustered: beside themselves, where they were drawn from others, per point two
 * numbers and a cost; in two levels sorted by cell, too. */
static double lists_bytes(const building *b, size_t drawn) {
    const vx_ivf *ivf = b->ivf;
    size_t lists = ivf->list_count, points = VX_MIN(drawn, lists * ivf->training.points_each);
    double bytes = floats(b, lists) + (double)lists * (sizeof(float) + 2 * sizeof(size_t));
    bytes += (double)points * (2 * sizeof(uint32_t) + sizeof(double)) + search_bytes(b, points);
    if (points < drawn) bytes += floats(b, points);
    if (lists > VX_KMEANS_FLAT_MOST) bytes += floats(b, points);
    return ivf->alone ? floats(b, lists) : bytes;
}

/* Vectors that a codec learns from: their lists are found, then it learns. */
static double codes_bytes(const building *b, size_t drawn) {
    const vx_codec *codec = b->ivf->codec;
    size_t used = codec->useful ? VX_MIN(drawn, codec->useful) : 0;
    if (!codec->ops->train) return 0;
    double learning = vx_codec_learning_bytes(codec, used);
    double bytes = b->empty + floats(b, b->ivf->list_count);
    if (codec->residual) {
        bytes += (double)used * sizeof(uint32_t);
        learning = fmax(learning, search_bytes(b, used));
    }
    bool callers = drawn == b->n && !b->read; /* these are not moved */
    if (callers && used < drawn) bytes += floats(b, used);
    return bytes + learning;
}

static double training_bytes(const building *b) {
    const vx_ivf *ivf = b->ivf;
    size_t each = VX_MAX(ivf->training.points_each,
                         (ivf->codec->useful + ivf->list_count - 1) / ivf->list_count);
    size_t drawn = VX_MIN(b->n, each * ivf->list_count);
    double sample = drawn < b->n || b->read ? floats(b, drawn) : 0;
    return sample + fmax(lists_bytes(b, drawn), codes_bytes(b, drawn));
}

static double adding_bytes(const building *b) {
    double lists = (double)b->ivf->list_count * 2 * sizeof(size_t);
    double numbers = b->empty + lists + (double)b->n * sizeof(uint32_t);
    double rows = (double)b->n * vx_ivf_bytes_each(b->ivf->codec);
    return numbers + fmax(rows, search_bytes(b, b->n));
}

vindex_status vx_ivf_build_estimate(const vx_spec *spec, vx_building *asked) {
    vx_ivf *ivf;
    VX_TRY(vx_ivf_make(spec, asked->dim, VINDEX_L2, &ivf));
    building b = {.ivf = ivf, .n = asked->n, .threads = asked->threads, .read = asked->read};
    vindex_status status = empty_bytes(ivf, &b.empty);
    asked->train = training_bytes(&b);
    asked->add = adding_bytes(&b);
    vx_ivf_free(&ivf->base);
    return status;
}
