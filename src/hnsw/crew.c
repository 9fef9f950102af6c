/* Walks for many queries at a time. One walk waits for memory more than it computes; walkers that
 * take turns wait together. What each finds is what it would find alone. */
#include "hnsw.h"

static void enter(vx_walker *w, const vx_errand *errand, size_t level, uint32_t slot) {
    w->level = level;
    vx_walker_start(w, &w->hnsw->layers[level], slot, level > w->wide ? 1 : errand->ef);
    if (!level) w->admission = errand->admission;
}

/* Sends a walker off; *busy false: there is nothing left to do. */
static vindex_status send(vx_walker *w, const vx_errand *errand, bool *busy) {
    const vx_hnsw *hnsw = w->hnsw;
    size_t top = hnsw->layer_count - 1;
    VX_TRY(errand->begin(errand->context, w, busy));
    while (top && !hnsw->layers[top].count) top--; /* not joined yet */
    if (*busy) enter(w, errand, top, 0);
    return VINDEX_OK;
}

/* After a layer was walked. */
static vindex_status go_on(vx_walker *w, const vx_errand *errand, bool *finishing) {
    if (w->level <= w->wide) VX_TRY(errand->arrive(errand->context, w));
    *finishing = !w->level;
    if (w->level) {
        const vx_layer *layer = w->layer;
        enter(w, errand, w->level - 1, layer->below[vx_met_slot(w->pool[0])]);
    }
    return VINDEX_OK;
}

vindex_status vx_crew_walk(vx_walker **crew, size_t count, const vx_errand *errand) {
    bool busy[VX_WALKERS_MOST], finishing[VX_WALKERS_MOST] = {false};
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        crew[i]->beam = errand->beam;
        VX_TRY(send(crew[i], errand, &busy[i]));
        left += busy[i];
    }
    while (left)
        for (size_t i = 0; i < count; i++) {
            vx_walker *w = crew[i];
            if (!busy[i]) continue;
            if (finishing[i]) {
                if (errand->finish) VX_TRY(errand->finish(errand->context, w));
                VX_TRY(send(w, errand, &busy[i]));
                finishing[i] = false;
                left -= !busy[i];
            } else if (!vx_walker_step(w)) {
                VX_TRY(go_on(w, errand, &finishing[i]));
            }
        }
    return VINDEX_OK;
}
