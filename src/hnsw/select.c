/* Which of many candidates a node is linked with: the heuristic of Malkov and Yashunin (algorithm
 * 4), which takes the nearest first and leaves out what is nearer to one taken already, so that
 * links lead in several directions. Rows are unpacked to floats side by side, for a candidate is
 * compared with all that were taken. */
#include <math.h>

#include "hnsw.h"

enum { AHEAD = 6 /* candidates that memory is asked for before they are looked at */ };

void vx_met_sort(uint64_t *met, size_t count) {
    for (size_t gap = count / 2; gap; gap /= 2) /* Shell's: lists are short and nearly sorted */
        for (size_t i = gap; i < count; i++) {
            uint64_t one = met[i];
            size_t j = i;
            for (; j >= gap && met[j - gap] > one; j -= gap) met[j] = met[j - gap];
            met[j] = one;
        }
}

/* A row as floats whose squared distances (products, for inner products) are the metric's: centred
 * for Pearson, of length 1 for that and cosine. */
static void unpack(vx_walker *w, uint32_t row, float *values) {
    const vx_hnsw *hnsw = w->hnsw;
    const vx_codec *codec = hnsw->codec;
    size_t dim = hnsw->base.dim;
    codec->ops->decode(codec, (vx_coded){&hnsw->rows, row}, values);
    memset(values + dim, 0, (vx_padded(dim) - dim) * sizeof *values);
    if (hnsw->base.metric == VINDEX_L2 || hnsw->base.metric == VINDEX_INNER_PRODUCT) return;
    vx_space space = {hnsw->base.metric, VINDEX_F32, dim, NULL};
    vx_measure measure = vx_measure_row(&space, codec->kernels, values);
    double scale = measure.square > 0 ? 1 / sqrt(measure.square) : 0;
    for (size_t j = 0; j < dim; j++)
        values[j] = (float)(((double)values[j] - measure.mean) * scale);
}

/* Asks memory for what unpacking a row reads. */
static void ask(const vx_walker *w, uint32_t row) {
    const vx_codec *codec = w->hnsw->codec;
    if (codec->ops->fetch_fine)
        codec->ops->fetch_fine(codec, (vx_coded){&w->hnsw->rows, row});
    else
        codec->ops->fetch(codec, &w->hnsw->rows, &row, 1);
}

/* Keys of the unpacked row `one` and `count` unpacked rows. */
static void compare(const vx_walker *w, const float *one, const float *rows, size_t count,
                    float *keys) {
    const vx_kernels *kernels = w->hnsw->codec->kernels;
    size_t dim = w->hnsw->base.dim, stride = vx_padded(dim) * sizeof(float);
    if (w->hnsw->base.metric != VINDEX_INNER_PRODUCT) {
        kernels->scan_l2[VINDEX_F32](one, rows, stride, count, dim, keys);
        return;
    }
    kernels->scan_ip[VINDEX_F32](one, rows, stride, count, dim, keys);
    for (size_t i = 0; i < count; i++) keys[i] = -keys[i];
}

/* Whether one of those taken is nearer to the candidate than the node is, or the same. */
static bool covered(const vx_walker *w, const float *candidate, const float *taken, size_t count,
                    float key) {
    enum { STEP = 4 };
    bool l2 = w->hnsw->base.metric != VINDEX_INNER_PRODUCT;
    for (size_t i = 0; i < count; i += STEP) {
        float keys[STEP];
        size_t some = VX_MIN(count - i, (size_t)STEP);
        compare(w, candidate, taken + i * vx_padded(w->hnsw->base.dim), some, keys);
        for (size_t j = 0; j < some; j++)
            if (keys[j] < key || (l2 && keys[j] == 0)) return true;
    }
    return false;
}

/* Fills up with the nearest of those that the heuristic left out. */
static size_t fill_up(const uint64_t *left, size_t count, size_t taken, size_t most,
                      uint32_t *links) {
    for (size_t i = 0; i < count && taken < most; i++) links[taken++] = vx_met_slot(left[i]);
    return taken;
}

size_t vx_hnsw_select(vx_walker *w, const vx_layer *layer, uint32_t row, uint64_t *candidates,
                      size_t count, size_t most, uint32_t *links) {
    size_t padded = vx_padded(w->hnsw->base.dim), taken = 0, reserved = 0, left = 0;
    float *node = w->packed, *rows = w->packed + padded;
    for (size_t i = 0; i < count; i++) reserved += candidates[i] & 1;
    for (size_t i = 0; i < VX_MIN(count, (size_t)AHEAD); i++)
        ask(w, vx_layer_row(layer, vx_met_slot(candidates[i])));
    unpack(w, row, node);
    for (size_t i = 0; i < count && taken < most; i++) {
        bool tree = candidates[i] & 1;
        if (i + AHEAD < count) ask(w, vx_layer_row(layer, vx_met_slot(candidates[i + AHEAD])));
        if (!tree && taken + reserved >= most) continue;
        float *own = rows + taken * padded, key;
        uint32_t slot = vx_met_slot(candidates[i]);
        unpack(w, vx_layer_row(layer, slot), own);
        compare(w, own, node, 1, &key);
        if (tree || !covered(w, own, rows, taken, key)) {
            links[taken++] = slot | (tree ? VX_LINK_TREE : 0);
            reserved -= tree;
        } else {
            candidates[left++] = candidates[i]; /* in place: left never passes i */
        }
    }
    return w->hnsw->keep_pruned ? fill_up(candidates, left, taken, most, links) : taken;
}
