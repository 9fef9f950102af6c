/* Taking over the lists of another index that was trained alike. */
#include "ivf.h"

/* What goes where, all of it allocated before anything changes. */
typedef struct merger {
    uint32_t *numbers; /* of each row of the other index here; UINT32_MAX: it was removed */
    int64_t *ids;      /* of those that come */
    size_t *ends;      /* per list, as vx_ivf_reserve takes them */
    size_t count;
} merger;

static void free_merger(merger *m) {
    vx_free(m->numbers);
    vx_free(m->ids);
    vx_free(m->ends);
}

/* Whether both have the same centroids and codes; *same answers it. */
static vindex_status compare_training(const vx_ivf *a, const vx_ivf *b, bool *same) {
    size_t bytes = a->base.dim * sizeof(float);
    float *centroids = vx_alloc(2, bytes);
    if (!centroids) return vx_fail_memory(2, bytes, "merge");
    vindex_status status = VINDEX_OK;
    *same = vx_codec_alike(a->codec, b->codec);
    for (int64_t l = 0; *same && status == VINDEX_OK && l < (int64_t)a->list_count; l++) {
        status = vindex_reconstruct(a->coarse, &l, 1, centroids);
        if (status == VINDEX_OK)
            status = vindex_reconstruct(b->coarse, &l, 1, centroids + a->base.dim);
        *same = status == VINDEX_OK && !memcmp(centroids, centroids + a->base.dim, bytes);
    }
    vx_free(centroids);
    return status;
}

static bool comes(const merger *m, const vx_ivf *from, uint32_t row) {
    return row < from->ids.count && m->numbers[row] != UINT32_MAX;
}

static vindex_status plan(const vx_ivf *ivf, const vx_ivf *from, merger *m) {
    m->numbers = vx_alloc(from->ids.count, sizeof *m->numbers);
    m->ids = vx_alloc(from->ids.count - from->ids.removed, sizeof *m->ids);
    m->ends = vx_alloc_zero(from->list_count, sizeof *m->ends);
    if (!m->numbers || !m->ids || !m->ends)
        return vx_fail_memory(from->ids.count, sizeof(uint32_t) + sizeof(int64_t), "merge");
    for (size_t row = 0; row < from->ids.count; row++) {
        m->numbers[row] = UINT32_MAX;
        if (!vx_ids_alive(&from->ids, row)) continue;
        m->ids[m->count] = vx_ids_of(&from->ids, row);
        m->numbers[row] = (uint32_t)(ivf->ids.count + m->count++);
    }
    for (size_t l = 0, end = 0; l < from->list_count; l++) {
        const vx_list *list = &from->lists[l];
        for (size_t i = list->first; i < list->run.count; i++) end += comes(m, from, list->rows[i]);
        m->ends[l] = end;
    }
    return VINDEX_OK;
}

/* Copies what comes behind the rows of a list. */
static void take_list(vx_ivf *ivf, const vx_ivf *from, const merger *m, size_t l) {
    const vx_list *source = &from->lists[l];
    vx_list *list = &ivf->lists[l];
    size_t first = list->run.count;
    for (size_t i = source->first; i < source->run.count; i++)
        if (comes(m, from, source->rows[i]))
            vx_ivf_append(ivf->codec, source, i, m->numbers[source->rows[i]], list);
    if (list->run.count == first) return;
    list->radius = VX_MAX(list->radius, source->radius);
    list->longest = VX_MAX(list->longest, source->longest);
}

vindex_status vx_ivf_merge(vindex_index *index, const vindex_index *other,
                           const vindex_call *call) {
    vx_ivf *ivf = (vx_ivf *)index;
    const vx_ivf *from = (const vx_ivf *)other;
    int64_t largest = ivf->ids.largest;
    bool same = false, appended = false;
    VX_TRY(compare_training(ivf, from, &same));
    if (!same)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "merge: the two indexes were not trained alike; train one, save it, and "
                       "fill a copy per shard");
    if (from->ids.count > UINT32_MAX - ivf->ids.count)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "merge: %zu vectors and %zu more; an index of lists holds at most %u",
                       ivf->ids.count, from->ids.count, (unsigned)UINT32_MAX);
    VX_TRY(vx_progress(call->progress, call->progress_context, "merge", 0));
    merger m = {0};
    vindex_status status = plan(ivf, from, &m);
    if (status == VINDEX_OK) status = vx_ids_append(&ivf->ids, m.ids, m.count);
    appended = status == VINDEX_OK;
    if (appended) status = vx_ivf_reserve(ivf, m.ends);
    if (status == VINDEX_OK) {
        for (size_t l = 0; l < ivf->list_count; l++) take_list(ivf, from, &m, l);
        ivf->largest = VX_MAX(ivf->largest, from->largest);
    } else if (appended) {
        vx_ids_retract(&ivf->ids, m.count, largest);
    }
    free_merger(&m);
    return status;
}
