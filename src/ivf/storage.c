/* How lists hold their rows: side by side in segments of lists, without a gap. A segment is laid
 * out anew when one of its lists must grow. */
#include <math.h>
#include <omp.h>

#include "ivf.h"

enum {
    PIECE_ROWS = 2048, /* encoded by one thread at a time */
    SEGMENT_BYTES = 4 << 20,
    SPARE_SHARE = 32, /* of a list's rows as many again in one part of so many, */
    SPARE_LEAST = 2   /* and that many, when few rows are added at a time */
};

static size_t whole_groups(size_t rows) {
    return (rows + VX_CODEC_ROWS - 1) / VX_CODEC_ROWS * VX_CODEC_ROWS;
}

/* The next `bytes` of memory, which is NULL when only the size is wanted; false on overflow. */
static bool take(char *memory, size_t *used, size_t bytes, void **taken) {
    *taken = memory ? memory + *used : NULL;
    return vx_add(bytes, 63, &bytes) && vx_add(*used, bytes / 64 * 64, used);
}

/* Lays out lists with room for so many rows each, one behind the other from memory on (NULL only
 * measures), with no row in them; answers the bytes, 0 where they overflow. */
static size_t lay_out(const vx_codec *codec, const size_t *rooms, size_t lists, char *memory,
                      vx_list *laid) {
    size_t used = 0, total = 0, start = 0;
    void *data, *aux, *rows, *fine;
    for (size_t l = 0; l < lists; l++)
        if (!vx_add(total, rooms[l], &total)) return 0;
    if (total > UINT32_MAX) return 0;
    size_t all = whole_groups(total), fine_bytes = vx_codec_fine_bytes(codec, all);
    if (!take(memory, &used, codec->ops->bytes(codec, all), &data) ||
        !take(memory, &used, all * sizeof(float), &aux) ||
        !take(memory, &used, all * sizeof(uint32_t), &rows) ||
        !take(memory, &used, fine_bytes, &fine))
        return 0;
    for (size_t l = 0; memory && l < lists; start += rooms[l++]) {
        size_t first = start % codec->group, at = start - first;
        vx_block run = {.data = (char *)data + codec->ops->bytes(codec, at),
                        .aux = (float *)aux + at,
                        .count = first};
        if (fine_bytes) run.fine = (char *)fine + vx_codec_fine_bytes(codec, at);
        laid[l] = (vx_list){
            .run = run, .rows = (uint32_t *)rows + at, .first = first, .room = first + rooms[l]};
    }
    return VX_MAX(used, (size_t)64);
}

static size_t share_of(const size_t *ends, size_t l) {
    return ends[l] - (l ? ends[l - 1] : 0);
}

/* The first list of a slot. */
static size_t slot_start(const vx_ivf *ivf, size_t slot) {
    return slot * ivf->list_count / VX_MIN(ivf->list_count, (size_t)VX_IVF_SLOTS);
}

/* The lists of `slots` slots from `slot` on. */
typedef struct stretch {
    size_t slot, slots, first, end;
} stretch;

static stretch stretch_at(const vx_ivf *ivf, size_t slot, size_t slots) {
    return (stretch){slot, slots, slot_start(ivf, slot), slot_start(ivf, slot + slots)};
}

static stretch all_lists(const vx_ivf *ivf) {
    return stretch_at(ivf, 0, VX_MIN(ivf->list_count, (size_t)VX_IVF_SLOTS));
}

/* The stretch of the segment that begins there. */
static stretch segment_at(const vx_ivf *ivf, size_t slot) {
    return stretch_at(ivf, slot, ivf->segments[slot].slots);
}

size_t vx_ivf_memory(const vindex_index *index) {
    const vx_ivf *ivf = (const vx_ivf *)index;
    size_t bytes = sizeof *ivf + sizeof *ivf->codec + vx_ids_memory(&ivf->ids);
    bytes += ivf->codec->own_bytes;
    if (ivf->lists) bytes += ivf->list_count * sizeof *ivf->lists + vindex_memory(ivf->coarse);
    for (size_t s = 0; s < VX_IVF_SLOTS; s++) bytes += ivf->segments[s].bytes;
    return bytes;
}

void vx_ivf_append(const vx_codec *codec, const vx_list *from, size_t at, uint32_t number,
                   vx_list *to) {
    size_t place = to->run.count++;
    codec->ops->move(codec, (vx_coded){&from->run, at}, (vx_coded){&to->run, place});
    ((float *)(uintptr_t)to->run.aux)[place] = from->run.aux[at];
    to->rows[place] = number;
}

void vx_ivf_centre(const vx_ivf *ivf, vx_list *lists) {
    for (size_t l = 0; ivf->codec->residual && l < ivf->list_count; l++)
        lists[l].run.centre = ivf->coarse->ops->floats(ivf->coarse, l);
}

/* Memory for lists that are to have so much room (of all lists), with no row in them. */
static vindex_status make_segment(const vx_ivf *ivf, stretch at, const size_t *rooms,
                                  vx_segment *made, vx_list *laid) {
    size_t lists = at.end - at.first;
    made->slots = at.slots;
    made->bytes = lay_out(ivf->codec, rooms + at.first, lists, NULL, NULL);
    made->memory = made->bytes ? vx_alloc_zero(made->bytes, 1) : NULL;
    if (!made->memory) return vx_fail_memory(made->bytes, 1, "the lists");
    lay_out(ivf->codec, rooms + at.first, lists, made->memory, laid);
    for (size_t l = 0; l < lists; l++) {
        laid[l].run.centre = ivf->lists[at.first + l].run.centre;
        laid[l].radius = ivf->lists[at.first + l].radius;
        laid[l].longest = ivf->lists[at.first + l].longest;
    }
    return VINDEX_OK;
}

/* Puts a segment where another one, or several begin; what the last of them has more of slots is
 * still in it. */
static void replace_segments(vx_ivf *ivf, stretch at, vx_segment made, const vx_list *laid) {
    size_t end = at.slot + at.slots;
    memcpy(ivf->lists + at.first, laid, (at.end - at.first) * sizeof *laid);
    for (size_t slot = at.slot; slot < end;) {
        vx_segment before = ivf->segments[slot];
        ivf->segments[slot] = (vx_segment){0};
        slot += before.slots;
        if (slot > end) {
            before.slots = slot - end;
            ivf->segments[end] = before;
        } else {
            vx_free(before.memory);
        }
    }
    ivf->segments[at.slot] = made;
}

/* Moves lists to a new segment; laid has room for them. */
static vindex_status move_lists(vx_ivf *ivf, stretch at, const size_t *rooms, vx_list *laid) {
    vx_segment made;
    VX_TRY(make_segment(ivf, at, rooms, &made, laid));
    for (size_t l = at.first; l < at.end; l++) {
        const vx_list *from = &ivf->lists[l];
        for (size_t i = from->first; i < from->run.count; i++)
            vx_ivf_append(ivf->codec, from, i, from->rows[i], &laid[l - at.first]);
    }
    replace_segments(ivf, at, made, laid);
    return VINDEX_OK;
}

/* How many segments lists get with so much room: several where one would be large. */
static size_t pieces_for(const vx_ivf *ivf, stretch at, const size_t *rooms) {
    size_t bytes = lay_out(ivf->codec, rooms + at.first, at.end - at.first, NULL, NULL);
    return VX_MIN(VX_MAX(bytes / SEGMENT_BYTES, (size_t)1), at.slots);
}

/* The i-th of them. */
static stretch piece_at(const vx_ivf *ivf, stretch at, size_t pieces, size_t i) {
    size_t slot = at.slot + i * at.slots / pieces;
    return stretch_at(ivf, slot, at.slot + (i + 1) * at.slots / pieces - slot);
}

/* Moves the lists of a stretch that begins with a segment. */
static vindex_status move_stretch(vx_ivf *ivf, stretch at, const size_t *rooms, vx_list *laid) {
    size_t pieces = pieces_for(ivf, at, rooms);
    for (size_t i = 0; i < pieces; i++)
        VX_TRY(move_lists(ivf, piece_at(ivf, at, pieces, i), rooms, laid));
    return VINDEX_OK;
}

/* Room for what is there and what comes (ends NULL: nothing) to lists; answers whether some have
 * less. Few new rows bring some room for more with them, many do not. */
static bool wants_room(const vx_ivf *ivf, stretch at, const size_t *ends, size_t *rooms) {
    size_t total = 0, coming = 0;
    bool wants = false;
    for (size_t l = at.first; l < at.end; l++) {
        const vx_list *list = &ivf->lists[l];
        size_t more = ends ? share_of(ends, l) : 0;
        rooms[l] = vx_list_size(list) + more;
        wants |= more && list->first + rooms[l] > list->room;
        total += rooms[l];
        coming += more;
    }
    if (coming && coming < total / SPARE_SHARE)
        for (size_t l = at.first; l < at.end; l++) rooms[l] += rooms[l] / SPARE_SHARE + SPARE_LEAST;
    return wants;
}

/* Moves the segments that want room; all: whatever they want, as if they were one. */
static vindex_status move_segments(vx_ivf *ivf, const size_t *ends, bool all) {
    size_t *rooms = vx_alloc(ivf->list_count, sizeof *rooms);
    vx_list *laid = vx_alloc(ivf->list_count, sizeof *laid);
    vindex_status status = VINDEX_OK;
    if (!rooms || !laid)
        status = vx_fail_memory(ivf->list_count, sizeof *rooms + sizeof *laid, "the lists");
    for (size_t slot = 0; status == VINDEX_OK && slot_start(ivf, slot) < ivf->list_count;) {
        stretch at = all ? all_lists(ivf) : segment_at(ivf, slot);
        slot += at.slots;
        if (wants_room(ivf, at, ends, rooms) || all) status = move_stretch(ivf, at, rooms, laid);
    }
    vx_free(rooms);
    vx_free(laid);
    return status;
}

vindex_status vx_ivf_reserve(vx_ivf *ivf, const size_t *ends) {
    return move_segments(ivf, ends, false);
}

vindex_status vx_ivf_own(vx_ivf *ivf) {
    return move_segments(ivf, NULL, true);
}

/* Vectors on their way into their lists. */
typedef struct additions {
    const float *vectors;
    size_t n, first_row;
    uint32_t *nearest; /* the list of each, until the lists have their numbers */
    size_t *ends;      /* list by list, as they came, the end of each list's share */
    size_t *numbered;  /* of each list's share */
} additions;

static size_t share_start(const additions *new, size_t l) {
    return l ? new->ends[l - 1] : 0;
}

static void free_additions(additions *new) {
    vx_free(new->nearest);
    vx_free(new->ends);
    vx_free(new->numbered);
}

/* Finds the list of each vector. */
static vindex_status assign_additions(const vx_ivf *ivf, additions *new, const vindex_call *call) {
    new->nearest = vx_alloc(new->n, sizeof *new->nearest);
    new->ends = vx_alloc_zero(ivf->list_count, sizeof *new->ends);
    new->numbered = vx_alloc_zero(ivf->list_count, sizeof *new->numbered);
    if (!new->nearest || !new->ends || !new->numbered)
        return vx_fail_memory(new->n, sizeof(uint32_t), "add");
    VX_TRY(vx_ivf_assign(ivf->coarse, new->vectors, new->n, call, new->nearest));
    for (size_t i = 0; i < new->n; i++) new->ends[new->nearest[i]]++;
    for (size_t l = 1; l < ivf->list_count; l++) new->ends[l] += new->ends[l - 1];
    return VINDEX_OK;
}

/* Writes behind the rows of each list, which has room, the numbers of those to come. */
static void number_additions(const vx_ivf *ivf, additions *new) {
    for (size_t i = 0; i < new->n; i++) {
        size_t l = new->nearest[i];
        const vx_list *list = &ivf->lists[l];
        list->rows[list->run.count + new->numbered[l]++] = (uint32_t)(new->first_row + i);
    }
    vx_free(new->nearest);
    new->nearest = NULL;
}

/* One thread's: the centroid of the list at hand as a query, a vector, and the largest number that
 * the codec has answered. */
typedef struct encoder {
    vx_group centroid;
    float *vector;
    float largest;
} encoder;

static vindex_status open_encoder(const vx_ivf *ivf, encoder *e) {
    vx_space space = {.metric = ivf->base.metric, .dtype = VINDEX_F32, .dim = ivf->base.dim};
    if (space.metric == VINDEX_INNER_PRODUCT) space.metric = VINDEX_COSINE; /* for angles */
    *e = (encoder){.largest = ivf->largest};
    e->vector = vx_alloc(ivf->base.dim, sizeof *e->vector);
    if (!e->vector) return vx_fail_memory(ivf->base.dim, sizeof *e->vector, "add");
    return vx_group_create(&space, 1, false, &e->centroid);
}

static void close_encoder(encoder *e) {
    vx_group_free(&e->centroid);
    vx_free(e->vector);
}

/* How far the rows of a list are that have that key to its centroid; more than what is rounded. */
static float radius_of(vindex_metric metric, double key) {
    double radius = metric == VINDEX_L2 ? sqrt(key) : 1 + key + VX_IVF_ANGLE_SLACK;
    return (float)(radius * (1 + 0x1p-20));
}

/* Encodes additions first ... end-1 in order, all of list l, behind its rows; its count stays as it
 * is for now. */
static vindex_status encode_some(vx_ivf *ivf, const additions *new, size_t l, size_t first,
                                 size_t end, encoder *e) {
    size_t dim = ivf->base.dim;
    vx_list *list = &ivf->lists[l];
    const vx_codec *codec = ivf->codec;
    size_t at = list->run.count + first - share_start(new, l);
    int64_t id = (int64_t)l;
    vindex_metric metric = ivf->base.metric;
    double farthest = metric == VINDEX_L2 ? 0 : -1, square = 0;
    VX_TRY(vindex_reconstruct(ivf->coarse, &id, 1, e->vector));
    VX_TRY(vx_group_load(&e->centroid, e->vector, 1, 1));
    for (size_t i = first; i < end; i++, at++) {
        vx_coded place = {&list->run, at};
        const float *vector = new->vectors + (list->rows[at] - new->first_row) * dim;
        float number = codec->ops->encode(codec, vector, place);
        e->largest = VX_MAX(e->largest, number);
        codec->ops->decode(codec, place, e->vector);
        farthest = fmax(farthest, vx_group_settle(&e->centroid, 0, e->vector));
        if (metric == VINDEX_INNER_PRODUCT)
            square =
                fmax(square, vx_measure_row(&e->centroid.space, codec->kernels, e->vector).square);
    }
    float radius = radius_of(metric, farthest), longest = (float)(sqrt(square) * (1 + 0x1p-20));
#pragma omp critical(vx_ivf_radius)
    {
        list->radius = VX_MAX(list->radius, radius);
        list->longest = VX_MAX(list->longest, longest);
    }
    return VINDEX_OK;
}

/* The list whose share has that addition. */
static size_t list_at(const additions *new, size_t i, size_t lists) {
    size_t low = 0, high = lists;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (new->ends[middle] <= i)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Encodes additions from `first` on, list by list. */
static vindex_status encode_piece(vx_ivf *ivf, const additions *new, size_t first, encoder *e) {
    size_t last = VX_MIN(first + PIECE_ROWS, new->n);
    for (size_t l = list_at(new, first, ivf->list_count); first < last; l++) {
        size_t end = VX_MIN(new->ends[l], last);
        if (first < end) VX_TRY(encode_some(ivf, new, l, first, end, e));
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
        close_encoder(&e);
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
    if (appended) status = assign_additions(ivf, &new, call);
    if (status == VINDEX_OK) status = vx_ivf_reserve(ivf, new.ends);
    if (status == VINDEX_OK) number_additions(ivf, &new);
    if (status == VINDEX_OK) status = encode_all(ivf, &new, vx_threads(call->threads));
    if (status == VINDEX_OK) status = vx_progress(call->progress, call->progress_context, "add", 1);
    for (size_t l = 0; status == VINDEX_OK && l < ivf->list_count; l++)
        ivf->lists[l].run.count += share_of(new.ends, l);
    if (status != VINDEX_OK && appended) vx_ids_retract(&ivf->ids, n, largest);
    free_additions(&new);
    return status;
}

/* What a compaction needs, all of it allocated before anything changes. */
typedef struct compaction {
    size_t *sizes, *keep;
    uint32_t *numbers; /* of each row now; UINT32_MAX: it goes */
    vx_list *laid;
    vx_segment segments[VX_IVF_SLOTS];
} compaction;

static bool stays(const vx_ivf *ivf, const compaction *plan, uint32_t row) {
    return row < ivf->ids.count && plan->numbers[row] != UINT32_MAX;
}

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
    for (size_t l = 0; l < ivf->list_count; l++) {
        const vx_list *list = &ivf->lists[l];
        for (size_t i = list->first; i < list->run.count; i++)
            plan->sizes[l] += stays(ivf, plan, list->rows[i]);
    }
    size_t pieces = pieces_for(ivf, all_lists(ivf), plan->sizes);
    for (size_t i = 0; i < pieces; i++) {
        stretch at = piece_at(ivf, all_lists(ivf), pieces, i);
        vx_segment *made = &plan->segments[at.slot];
        VX_TRY(make_segment(ivf, at, plan->sizes, made, plan->laid + at.first));
    }
    return VINDEX_OK;
}

/* Moves the rows that stay, under their new numbers, to the lists laid out for them. */
static void keep_rows(const vx_ivf *ivf, const compaction *plan) {
    for (size_t l = 0; l < ivf->list_count; l++) {
        const vx_list *from = &ivf->lists[l];
        for (size_t i = from->first; i < from->run.count; i++)
            if (stays(ivf, plan, from->rows[i]))
                vx_ivf_append(ivf->codec, from, i, plan->numbers[from->rows[i]], &plan->laid[l]);
    }
}

static vindex_status drop_removed(vx_ivf *ivf) {
    compaction plan = {0};
    vindex_status status = plan_compaction(ivf, &plan);
    if (status == VINDEX_OK) {
        keep_rows(ivf, &plan);
        status = vx_ids_compact(&ivf->ids, plan.keep);
    }
    for (size_t slot = 0; slot < VX_IVF_SLOTS; slot++)
        if (status != VINDEX_OK)
            vx_free(plan.segments[slot].memory);
        else if (plan.segments[slot].slots)
            replace_segments(ivf, stretch_at(ivf, slot, plan.segments[slot].slots),
                             plan.segments[slot], plan.laid + slot_start(ivf, slot));
    vx_free(plan.sizes);
    vx_free(plan.keep);
    vx_free(plan.numbers);
    vx_free(plan.laid);
    return status;
}

/* Whether the lists' memory is more than they would take if they were moved. */
static vindex_status have_spare(const vx_ivf *ivf, bool *spare) {
    size_t *sizes = vx_alloc(ivf->list_count, sizeof *sizes), held = 0, needed = 0;
    if (!sizes) return vx_fail_memory(ivf->list_count, sizeof *sizes, "compact");
    wants_room(ivf, all_lists(ivf), NULL, sizes);
    size_t pieces = pieces_for(ivf, all_lists(ivf), sizes);
    for (size_t i = 0; i < pieces; i++) {
        stretch at = piece_at(ivf, all_lists(ivf), pieces, i);
        needed += lay_out(ivf->codec, sizes + at.first, at.end - at.first, NULL, NULL);
    }
    for (size_t slot = 0; slot < VX_IVF_SLOTS; slot++) held += ivf->segments[slot].bytes;
    vx_free(sizes);
    *spare = held > needed;
    return VINDEX_OK;
}

vindex_status vx_ivf_compact(vindex_index *index, const vindex_call *call) {
    vx_ivf *ivf = (vx_ivf *)index;
    bool spare = false;
    VX_TRY(vx_progress(call->progress, call->progress_context, "compact", 0));
    if (ivf->ids.removed) return drop_removed(ivf);
    if (ivf->lists) VX_TRY(have_spare(ivf, &spare));
    if (spare) VX_TRY(vx_ivf_own(ivf));
    return vx_ids_spare(&ivf->ids) ? vx_ids_compact(&ivf->ids, NULL) : VINDEX_OK;
}
