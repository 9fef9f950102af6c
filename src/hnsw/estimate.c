/* How much memory a graph will hold, and the most that building it takes at once. */
#include <math.h>

#include "exact/nearest.h"
#include "hnsw.h"

/* The share of rows that are in layer l, whatever chance does. */
static double share_of(const vx_hnsw *hnsw, size_t l) {
    return pow((double)hnsw->m, -(double)l);
}

static double index_bytes(const vx_hnsw *hnsw, size_t n) {
    const vx_codec *codec = hnsw->codec;
    double each = vx_codec_row_bytes(codec);
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++)
        each += share_of(hnsw, l) * (double)vx_layer_slot_bytes(&hnsw->layers[l], l > 0);
    return (double)(sizeof *hnsw + sizeof *codec + codec->own_bytes) + (double)n * each;
}

/* Drawn vectors, and what the codec makes of them. */
static double training_bytes(const vx_hnsw *hnsw, const vx_building *b) {
    const vx_codec *codec = hnsw->codec;
    size_t drawn = VX_MIN(b->n, (size_t)VX_HNSW_SAMPLE);
    if (!codec->ops->train) return 0;
    double bytes = index_bytes(hnsw, 0) + vx_codec_learning_bytes(codec, drawn);
    if (drawn < b->n || b->read) bytes += (double)drawn * (double)hnsw->base.dim * sizeof(float);
    return bytes;
}

/* What the walkers of every thread have, and the candidates of one row each. */
static double walkers_bytes(const vx_hnsw *hnsw, size_t n, int threads) {
    const vx_codec *codec = hnsw->codec;
    size_t ef = hnsw->ef_construction;
    const vx_walker walker = {.hnsw = hnsw,
                              .pool_room = ef + 1,
                              .visited_room = n / 64 + 1,
                              .listed_room = VX_BEAM * 2 * hnsw->m,
                              .packed_room = 2 * hnsw->m + 2};
    size_t scorer = codec->query_bytes + vx_group_bytes(&codec->space, 1);
    double each = (double)(vx_walker_bytes(&walker) + scorer);
    return threads * (VX_CREW * each + (double)((2 * ef + 1) * sizeof(uint64_t)));
}

/* The first batch wants the most neighbours of each other, and all rows are coded by then. */
static double batch_bytes(const vx_hnsw *hnsw, size_t n, int threads) {
    size_t dim = hnsw->base.dim, members = VX_MIN(n, (size_t)VX_HNSW_BATCH);
    size_t near = members < 2 ? 0 : VX_MIN(hnsw->ef_construction, members - 1);
    double bytes = (double)(members * sizeof(float));
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++)
        bytes += share_of(hnsw, l) * (double)(members * near * sizeof(uint64_t));
    return bytes + (double)vx_nearest_bytes(dim, members, near + 1, threads);
}

vindex_status vx_hnsw_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes) {
    vx_hnsw *hnsw;
    VX_TRY(vx_hnsw_make(spec, dim, VINDEX_L2, &hnsw));
    double all = index_bytes(hnsw, n);
    vx_hnsw_free(&hnsw->base);
    return vx_whole_bytes(all, n, bytes);
}

vindex_status vx_hnsw_build_estimate(const vx_spec *spec, vx_building *b) {
    vx_hnsw *hnsw;
    VX_TRY(vx_hnsw_make(spec, b->dim, VINDEX_L2, &hnsw));
    b->train = training_bytes(hnsw, b);
    b->add = index_bytes(hnsw, b->n) + (double)b->n + walkers_bytes(hnsw, b->n, b->threads) +
             batch_bytes(hnsw, b->n, b->threads);
    vx_hnsw_free(&hnsw->base);
    return VINDEX_OK;
}
