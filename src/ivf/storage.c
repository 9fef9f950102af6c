/* How lists hold their rows: laid out one after the other by the first add and by compaction, moved
 * to memory of their own when they grow. */
#include <math.h>
#include <omp.h>

#include "ivf.h"

enum { PIECE_ROWS = 2048 }; /* encoded by one thread at a time */

static size_t whole_groups(size_t rows) {
    return (rows + VX_CODEC_ROWS - 1) / VX_CODEC_ROWS * VX_CODEC_ROWS;
}

/* The next `bytes` of memory, which is NULL when only the size is wanted; false on overflow. */
static bool take(char *memory, size_t *used, size_t bytes, void **taken) {
    *taken = memory ? memory + *used : NULL;
    return vx_add(bytes, 63, &bytes) && vx_add(*used, bytes / 64 * 64, used);
}

size_t vx_ivf_lay_out(const vx_codec *codec, const size_t *sizes, size_t lists, char *memory,
                      vx_list *laid) {
    size_t used = 0;
    for (size_t l = 0; l < lists; l++) {
        void *data, *aux, *rows;
        size_t room = whole_groups(sizes[l]);
        if (!take(memory, &used, codec->ops->bytes(codec, room), &data) ||
            !take(memory, &used, room * sizeof(float), &aux) ||
            !take(memory, &used, room * sizeof(uint32_t), &rows))
            return 0;
        if (memory) laid[l] = (vx_list){.run = {.data = data, .aux = aux}, .rows = rows};
    }
    for (size_t l = 0; l < lists; l++) { /* behind all that scans read */
        void *fine;
        if (!take(memory, &used, vx_codec_fine_bytes(codec, whole_groups(sizes[l])), &fine))
            return 0;
        if (memory) laid[l].run.fine = fine;
    }
    return VX_MAX(used, (size_t)64);
}

size_t vx_ivf_memory(const vindex_index *index) {
    const vx_ivf *ivf = (const vx_ivf *)index;
    size_t bytes = sizeof *ivf + sizeof *ivf->codec + vx_ids_memory(&ivf->ids) + ivf->arena_bytes;
    bytes += ivf->codec->own_bytes;
    if (ivf->centroids) bytes += ivf->list_count * ivf->base.dim * sizeof(float);
    if (!ivf->lists) return bytes;
    bytes += ivf->list_count * sizeof *ivf->lists + vindex_memory(ivf->coarse);
    for (size_t l = 0; l < ivf->list_count; l++)
        if (ivf->lists[l].capacity)
            bytes += vx_ivf_lay_out(ivf->codec, &ivf->lists[l].capacity, 1, NULL, NULL);
    return bytes;
}

void vx_ivf_copy_list(const vx_codec *codec, const vx_list *from, vx_list *to) {
    size_t count = from->run.count;
    if (count) { /* an empty list may have no arrays */
        memcpy((void *)(uintptr_t)to->run.data, from->run.data, codec->ops->bytes(codec, count));
        memcpy((float *)(uintptr_t)to->run.aux, from->run.aux, count * sizeof(float));
        if (codec->ops->fine_bytes)
            memcpy(to->run.fine, from->run.fine, codec->ops->fine_bytes(codec, count));
        memcpy(to->rows, from->rows, count * sizeof *to->rows);
    }
    to->run.count = count;
    to->run.centre = from->run.centre;
    to->radius = from->radius;
}

void vx_ivf_centre(const vx_ivf *ivf, vx_list *lists) {
    for (size_t l = 0; ivf->centroids && l < ivf->list_count; l++)
        lists[l].run.centre = ivf->centroids + l * ivf->base.dim;
}

static void free_list(vx_list *list) {
    if (list->capacity) vx_free((void *)(uintptr_t)list->run.data);
}

/* Moves a list to memory of its own with room for `need` rows and a sixteenth more. */
static vindex_status grow_list(vx_ivf *ivf, vx_list *list, size_t need) {
    size_t capacity = whole_groups(need + need / 16), bytes;
    vx_list grown;
    if (need <= list->capacity) return VINDEX_OK;
    bytes = vx_ivf_lay_out(ivf->codec, &capacity, 1, NULL, NULL);
    char *memory = bytes ? vx_alloc_zero(bytes, 1) : NULL;
    if (!memory) return vx_fail_memory(bytes, 1, "add: a list");
    vx_ivf_lay_out(ivf->codec, &capacity, 1, memory, &grown);
    vx_ivf_copy_list(ivf->codec, list, &grown);
    free_list(list);
    *list = grown;
    list->capacity = capacity;
    return VINDEX_OK;
}

vindex_status vx_ivf_lay_out_all(const vx_ivf *ivf, const size_t *sizes, vx_list *laid,
                                 void **arena, size_t *bytes) {
    *bytes = vx_ivf_lay_out(ivf->codec, sizes, ivf->list_count, NULL, NULL);
    *arena = *bytes ? vx_alloc_zero(*bytes, 1) : NULL;
    if (!*arena) return vx_fail_memory(*bytes, 1, "the lists");
    vx_ivf_lay_out(ivf->codec, sizes, ivf->list_count, *arena, laid);
    vx_ivf_centre(ivf, laid);
    return VINDEX_OK;
}

/* Vectors on their way into their lists. */
typedef struct additions {
    const float *vectors;
    size_t n, first_row;
    uint32_t *nearest, *order; /* order: the vectors list by list, as they came */
    size_t *ends;              /* of each list's share of order */
} additions;

static size_t share_of(const size_t *ends, size_t l) {
    return ends[l] - (l ? ends[l - 1] : 0);
}

static size_t share_start(const additions *new, size_t l) {
    return l ? new->ends[l - 1] : 0;
}

static void free_additions(additions *new) {
    vx_free(new->nearest);
    vx_free(new->order);
    vx_free(new->ends);
}

/* Finds the list of each vector and sorts them. */
static vindex_status sort_additions(const vx_ivf *ivf, additions *new, const vindex_call *call) {
    new->nearest = vx_alloc(new->n, sizeof *new->nearest);
    new->order = vx_alloc(new->n, sizeof *new->order);
    new->ends = vx_alloc_zero(ivf->list_count, sizeof *new->ends);
    if (!new->nearest || !new->order || !new->ends)
        return vx_fail_memory(new->n, 2 * sizeof(uint32_t), "add");
    VX_TRY(vx_ivf_assign(ivf->coarse, new->vectors, new->n, call, new->nearest));
    for (size_t i = 0; i < new->n; i++) new->ends[new->nearest[i]]++;
    for (size_t l = 0, start = 0; l < ivf->list_count; l++) {
        size_t size = new->ends[l];
        new->ends[l] = start;
        start += size;
    }
    for (size_t i = 0; i < new->n; i++) new->order[new->ends[new->nearest[i]]++] = (uint32_t)i;
    return VINDEX_OK;
}

vindex_status vx_ivf_reserve(vx_ivf *ivf, const size_t *ends, bool empty) {
    if (empty) { /* what was reserved before was not used */
        for (size_t l = 0; l < ivf->list_count; l++) free_list(&ivf->lists[l]);
        vx_free(ivf->arena);
        ivf->arena = NULL;
        ivf->arena_bytes = 0;
        memset(ivf->lists, 0, ivf->list_count * sizeof *ivf->lists);
        vx_ivf_centre(ivf, ivf->lists);
        size_t *sizes = vx_alloc(ivf->list_count, sizeof *sizes);
        if (!sizes) return vx_fail_memory(ivf->list_count, sizeof *sizes, "add");
        for (size_t l = 0; l < ivf->list_count; l++) sizes[l] = share_of(ends, l);
        vindex_status status =
            vx_ivf_lay_out_all(ivf, sizes, ivf->lists, &ivf->arena, &ivf->arena_bytes);
        vx_free(sizes);
        return status;
    }
    for (size_t l = 0; l < ivf->list_count; l++) {
        size_t more = share_of(ends, l);
        if (more) VX_TRY(grow_list(ivf, &ivf->lists[l], ivf->lists[l].run.count + more));
    }
    return VINDEX_OK;
}

/* One thread's: two vectors, and the largest number that the codec has answered. */
typedef struct encoder {
    double *centroid;
    float *decoded;
    float largest;
    char *memory;
} encoder;

static vindex_status open_encoder(const vx_ivf *ivf, encoder *e) {
    size_t padded = vx_padded(ivf->base.dim);
    *e = (encoder){.largest = ivf->largest};
    e->memory = vx_alloc_zero(padded, sizeof(double) + sizeof(float));
    if (!e->memory) return vx_fail_memory(padded, sizeof(double) + sizeof(float), "add");
    e->centroid = (double *)(void *)e->memory;
    e->decoded = (float *)(void *)(e->centroid + padded);
    return VINDEX_OK;
}

/* Encodes additions first ... end-1 in order, all of list l, behind its rows; its count stays as it
 * is for now. */
static vindex_status encode_some(vx_ivf *ivf, const additions *new, size_t first, size_t end,
                                 encoder *e) {
    size_t l = new->nearest[new->order[first]], dim = ivf->base.dim;
    vx_list *list = &ivf->lists[l];
    const vx_codec *codec = ivf->codec;
    size_t at = list->run.count + first - share_start(new, l);
    int64_t id = (int64_t)l;
    double farthest = 0;
    VX_TRY(vindex_reconstruct(ivf->coarse, &id, 1, e->decoded));
    for (size_t j = 0; j < dim; j++) e->centroid[j] = (double)e->decoded[j];
    for (size_t i = first; i < end; i++, at++) {
        vx_coded place = {&list->run, at};
        float number = codec->ops->encode(codec, new->vectors + new->order[i] * dim, place);
        e->largest = VX_MAX(e->largest, number);
        list->rows[at] = (uint32_t)(new->first_row + new->order[i]);
        codec->ops->decode(codec, place, e->decoded);
        farthest = fmax(farthest,
                        codec->kernels->settle_l2[VINDEX_F32](e->centroid, NULL, e->decoded, dim));
    }
    float radius = (float)(sqrt(farthest) * (1 + 0x1p-20));
#pragma omp critical(vx_ivf_radius)
    list->radius = VX_MAX(list->radius, radius);
    return VINDEX_OK;
}

/* Encodes additions from `first` on, list by list. */
static vindex_status encode_piece(vx_ivf *ivf, const additions *new, size_t first, encoder *e) {
    size_t last = VX_MIN(first + PIECE_ROWS, new->n);
    while (first < last) {
        size_t end = VX_MIN(new->ends[new->nearest[new->order[first]]], last);
        VX_TRY(encode_some(ivf, new, first, end, e));
        first = end;
    }
    return VINDEX_OK;
}

static vindex_status encode_all(vx_ivf *ivf, const additions *new, int threads) {
    if (new->n * ivf->base.dim < 1 << 18) threads = 1;
    int failed = VINDEX_OK;
    float largest = ivf->largest;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        encoder e;
        vindex_status status = open_encoder(ivf, &e);
#pragma omp for schedule(dynamic, 1)
        for (size_t first = 0; first < new->n; first += PIECE_ROWS)
            if (status == VINDEX_OK) status = encode_piece(ivf, new, first, &e);
#pragma omp critical
        {
            if (status != VINDEX_OK) failed = status;
            largest = VX_MAX(largest, e.largest);
        }
        vx_free(e.memory);
    }
    if (failed != VINDEX_OK)
        return vx_fail((vindex_status)failed, "add: no memory to encode vectors in; free some");
    ivf->largest = largest;
    return VINDEX_OK;
}

vindex_status vx_ivf_add(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                         const vindex_call *call) {
    vx_ivf *ivf = (vx_ivf *)index;
    int64_t largest = ivf->ids.largest;
    additions new = {.vectors = vectors, .n = n, .first_row = ivf->ids.count};
    if (n > UINT32_MAX - ivf->ids.count)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "add: %zu vectors and %zu more; an index of lists holds at most %u, use "
                       "several",
                       ivf->ids.count, n, (unsigned)UINT32_MAX);
    VX_TRY(vx_space_fits(&ivf->codec->space, vectors, n));
    if (!n) return VINDEX_OK;
    vindex_status status = vx_ids_append(&ivf->ids, ids, n);
    bool appended = status == VINDEX_OK;
    if (appended) status = sort_additions(ivf, &new, call);
    if (status == VINDEX_OK) status = vx_ivf_reserve(ivf, new.ends, !new.first_row);
    if (status == VINDEX_OK) status = encode_all(ivf, &new, vx_threads(call->threads));
    if (status == VINDEX_OK) status = vx_progress(call->progress, call->progress_context, "add", 1);
    for (size_t l = 0; status == VINDEX_OK && l < ivf->list_count; l++)
        ivf->lists[l].run.count += share_of(new.ends, l);
    if (status != VINDEX_OK && appended) vx_ids_retract(&ivf->ids, n, largest);
    free_additions(&new);
    return status;
}

/* Moves the rows that stay, under their new numbers, to the lists laid out for them. */
static void keep_rows(const vx_ivf *ivf, const uint32_t *numbers, vx_list *laid) {
    for (size_t l = 0; l < ivf->list_count; l++) {
        const vx_list *from = &ivf->lists[l];
        vx_list *to = &laid[l];
        for (size_t i = 0; i < from->run.count; i++) {
            uint32_t number = from->rows[i] < ivf->ids.count ? numbers[from->rows[i]] : UINT32_MAX;
            if (number == UINT32_MAX) continue;
            size_t at = to->run.count++;
            ivf->codec->ops->move(ivf->codec, (vx_coded){&from->run, i}, (vx_coded){&to->run, at});
            ((float *)(uintptr_t)to->run.aux)[at] = from->run.aux[i];
            to->rows[at] = number;
        }
        to->radius = from->radius;
    }
}

/* What a compaction needs, all of it allocated before anything changes. */
typedef struct compaction {
    size_t *sizes, *keep;
    uint32_t *numbers; /* of each row now; UINT32_MAX: it goes */
    vx_list *laid;
    void *arena;
    size_t bytes;
} compaction;

static vindex_status plan_compaction(vx_ivf *ivf, compaction *plan) {
    size_t kept = ivf->ids.count - ivf->ids.removed;
    plan->sizes = vx_alloc_zero(ivf->list_count, sizeof *plan->sizes);
    plan->keep = vx_alloc(kept, sizeof *plan->keep);
    plan->numbers = vx_alloc(ivf->ids.count, sizeof *plan->numbers);
    plan->laid = vx_alloc(ivf->list_count, sizeof *plan->laid);
    if (!plan->sizes || !plan->keep || !plan->numbers || !plan->laid)
        return vx_fail_memory(ivf->ids.count, sizeof(uint32_t) + sizeof(size_t), "compact");
    for (size_t row = 0, number = 0; row < ivf->ids.count; row++)
        plan->numbers[row] = vx_ids_alive(&ivf->ids, row) ? (uint32_t)number++ : UINT32_MAX;
    for (size_t l = 0; l < ivf->list_count; l++)
        for (size_t i = 0; i < ivf->lists[l].run.count; i++) {
            uint32_t row = ivf->lists[l].rows[i];
            plan->sizes[l] += row < ivf->ids.count && plan->numbers[row] != UINT32_MAX;
        }
    return vx_ivf_lay_out_all(ivf, plan->sizes, plan->laid, &plan->arena, &plan->bytes);
}

vindex_status vx_ivf_compact(vindex_index *index, const vindex_call *call) {
    vx_ivf *ivf = (vx_ivf *)index;
    compaction plan = {0};
    if (!ivf->ids.removed) return VINDEX_OK;
    VX_TRY(vx_progress(call->progress, call->progress_context, "compact", 0));
    vindex_status status = plan_compaction(ivf, &plan);
    if (status == VINDEX_OK) {
        keep_rows(ivf, plan.numbers, plan.laid);
        status = vx_ids_compact(&ivf->ids, plan.keep);
    }
    if (status == VINDEX_OK) {
        for (size_t l = 0; l < ivf->list_count; l++) free_list(&ivf->lists[l]);
        memcpy(ivf->lists, plan.laid, ivf->list_count * sizeof *ivf->lists);
        vx_free(ivf->arena);
        ivf->arena = plan.arena;
        ivf->arena_bytes = plan.bytes;
        plan.arena = NULL;
    }
    vx_free(plan.arena);
    vx_free(plan.sizes);
    vx_free(plan.keep);
    vx_free(plan.numbers);
    vx_free(plan.laid);
    return status;
}
