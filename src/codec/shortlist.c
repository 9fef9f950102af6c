#include "shortlist.h"

#include <math.h>

void vx_shortlist_init(vx_shortlist *list, size_t capacity, vx_look_fn look, void *context) {
    *list = (vx_shortlist){.look = look, .context = context, .capacity = capacity};
}

void vx_shortlist_free(vx_shortlist *list) {
    vx_free(list->memory);
    list->memory = NULL;
}

/* By bound there is room for the k best, and for some more than as many again. */
static size_t room_for(size_t k, size_t wanted) {
    return wanted ? 2 * wanted + 16 : 2 * k + 64;
}

vindex_status vx_shortlist_begin(vx_shortlist *list, const vx_pools *pools, size_t count) {
    size_t wanted, each, bytes;
    list->k = pools->k;
    if (!vx_mul(pools->k, pools->rerank, &wanted)) wanted = SIZE_MAX / 4;
    list->wanted = VX_MIN(wanted, VX_MAX(pools->rows_most, (size_t)1) + pools->k);
    if (!pools->rerank) list->wanted = 0;
    list->room = room_for(list->k, list->wanted);
    if (!vx_mul(list->room, sizeof(vx_hit), &each) ||
        !vx_mul(list->capacity, each + sizeof(size_t) + sizeof(float), &bytes))
        return vx_fail_memory(list->capacity, list->room, "search: candidates");
    if (bytes > list->allocated) {
        vx_free(list->memory);
        list->memory = vx_alloc(bytes, 1);
        list->allocated = list->memory ? bytes : 0;
        if (!list->memory) return vx_fail_memory(bytes, 1, "search: candidates");
    }
    list->waiting = list->memory;
    list->counts = (size_t *)(void *)(list->waiting + list->capacity * list->room);
    list->limits = (float *)(void *)(list->counts + list->capacity);
    for (size_t q = 0; q < count; q++) {
        list->counts[q] = 0;
        list->limits[q] = INFINITY;
    }
    return VINDEX_OK;
}

/* Leaves the best that are wanted, and the key of the worst of them as a limit. */
static void cut(vx_shortlist *list, size_t query) {
    vx_hit *waiting = list->waiting + query * list->room;
    if (list->counts[query] <= list->wanted) return;
    vx_hits_select(waiting, list->counts[query], list->wanted);
    list->counts[query] = list->wanted;
    double worst = waiting[0].key;
    for (size_t i = 1; i < list->wanted; i++) worst = fmax(worst, waiting[i].key);
    list->limits[query] = (float)worst; /* keys are floats */
}

/* Looks at the k best, until there is room again. */
static void look_early(vx_shortlist *list, size_t query, vx_pools *pools) {
    vx_hit *waiting = list->waiting + query * list->room;
    size_t count = list->counts[query];
    while (count > list->room / 2) {
        vx_hits_select(waiting, count, list->k);
        list->look(list->context, query, waiting, list->k, pools);
        vx_pool_tighten(pools, query);
        size_t kept = 0;
        for (size_t i = list->k; i < count; i++)
            if (!(waiting[i].key > (double)pools->limits[query])) waiting[kept++] = waiting[i];
        count = kept;
    }
    list->counts[query] = count;
}

void vx_shortlist_push(vx_shortlist *list, size_t query, float key, uint64_t where,
                       vx_pools *pools) {
    vx_hit hit = {isnan(key) ? -INFINITY : (double)key, (int64_t)where};
    if (!pools->rows.admit(pools->rows.context, query, where)) return;
    if (!list->k) {
        list->look(list->context, query, &hit, 1, pools);
        return;
    }
    list->waiting[query * list->room + list->counts[query]++] = hit;
    if (list->counts[query] < list->room) return;
    if (list->wanted)
        cut(list, query);
    else
        look_early(list, query, pools);
}

void vx_shortlist_finish(vx_shortlist *list, size_t query, vx_pools *pools) {
    vx_hit *waiting = list->waiting + query * list->room;
    if (!list->k) return;
    if (list->wanted) cut(list, query);
    size_t count = list->counts[query];
    list->counts[query] = 0;
    vx_hits_sort(waiting, count);
    for (size_t i = 0; i < count; i += list->k) {
        if (!list->wanted && waiting[i].key > (double)pools->limits[query]) break;
        list->look(list->context, query, waiting + i, VX_MIN(list->k, count - i), pools);
        vx_pool_tighten(pools, query);
    }
}
