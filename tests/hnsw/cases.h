/* A graph beside an oracle that knows what is in it, and what must hold of every graph. */
#ifndef TESTS_HNSW_CASES_H
#define TESTS_HNSW_CASES_H

#include "../flat/cases.h"
#include "hnsw/hnsw.h"

enum { HNSW_ALL = 1 << 20 /* ef beyond every test's rows: the answer is exact */ };

/* Links in range, none twice, rows within their width, and a tree that reaches every node and that
 * every node knows its place in; nodes of a layer are in the one below. */
static inline void hnsw_check(const vindex_index *index) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    ck_assert_uint_eq(hnsw->layers[0].count, hnsw->rows.count);
    ck_assert_uint_eq(hnsw->ids.count, hnsw->rows.count);
    for (size_t l = 0; l < VX_HNSW_LAYERS; l++) {
        const vx_layer *layer = &hnsw->layers[l];
        ck_each((layer->count > 0) == (l < hnsw->layer_count), "layer %zu has %zu nodes", l,
                layer->count);
        if (!layer->count) continue;
        bool sound;
        ck_ok(vx_layer_check(layer, &sound));
        ck_each(sound, "layer %zu is no sound graph", l);
        for (size_t slot = 0; l && slot < layer->count; slot++) {
            const vx_layer *below = &hnsw->layers[l - 1];
            ck_each(layer->below[slot] < below->count, "layer %zu leads to nowhere", l);
            ck_each(vx_layer_row(below, layer->below[slot]) == layer->nodes[slot],
                    "layer %zu leads to another row", l);
            ck_each(!slot || layer->nodes[slot] > layer->nodes[slot - 1], "rows out of order");
        }
        for (size_t slot = 0; hnsw->trusted && layer->children && slot < layer->count; slot++) {
            size_t tree = 0;
            for (size_t i = 0; i < layer->width; i++) {
                uint32_t link = vx_layer_links(layer, slot)[i];
                tree += link != VX_LINK_NONE && link & VX_LINK_TREE;
            }
            ck_each(tree == layer->children[slot] + (size_t)(slot != 0), "miscounted children");
        }
    }
}

/* Every node can be reached from the start, by plain links, whatever the tree says. */
static inline void hnsw_check_reach(const vindex_index *index) {
    const vx_layer *layer = &((const vx_hnsw *)index)->layers[0];
    size_t queued = 0;
    if (!layer->count) return;
    uint32_t *queue = malloc(layer->count * sizeof *queue);
    bool *seen = calloc(layer->count, sizeof *seen);
    queue[queued++] = (uint32_t)layer->count / 2;
    seen[layer->count / 2] = true;
    for (size_t i = 0; i < queued; i++)
        for (size_t j = 0; j < layer->width; j++) {
            uint32_t next = vx_link_slot(vx_layer_links(layer, queue[i])[j]);
            if (next >= layer->count || seen[next]) continue;
            seen[next] = true;
            queue[queued++] = next;
        }
    ck_assert_uint_eq(queued, layer->count);
    free(seen);
    free(queue);
}

static inline vindex_index *hnsw_make(int64_t m, int64_t ef_construction, const vectors *rows,
                                      vindex_metric metric) {
    vindex_hnsw_params params;
    vindex_index *index;
    vindex_hnsw_params_init(&params);
    params.dim = (int64_t)rows->dim;
    params.metric = metric;
    params.m = m;
    params.ef_construction = ef_construction;
    params.codec = vindex_dtype_name(rows->dtype);
    params.keep_pruned = rows->seed % 2;
    ck_ok(vindex_hnsw_create(&params, &index));
    return index;
}

/* The same rows in a graph; parameters by the seed. */
static inline flat_case hnsw_case_make(const vectors *rows, vindex_metric metric,
                                       const int64_t *ids) {
    static const int64_t ms[] = {8, 2, 16, 5};
    vindex_index *index = hnsw_make(ms[rows->seed % 4], 40, rows, metric);
    flat_case c = flat_case_fill(index, rows, metric, ids);
    hnsw_check(c.index);
    hnsw_check_reach(c.index);
    return c;
}

static inline vindex_search_params ef_params(int64_t k, int32_t threads, int64_t ef) {
    vindex_search_params params = search_params(k, threads);
    params.ef = ef;
    return params;
}

/* How many of the k best ids of each of nq answers are among those of the other, per wanted one. */
static inline double recall_of(const int64_t *found, const int64_t *truth, size_t nq, size_t k) {
    size_t hits = 0;
    for (size_t q = 0; q < nq; q++)
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < k; j++)
                hits += found[q * k + i] == truth[q * k + j] && truth[q * k + j] >= 0;
    return (double)hits / (double)(nq * k);
}

#endif
