/* From the caller's ids to rows and back. Most sets have ids 0, 1, 2, ... (nothing is stored) or
 * rising ones (4 bytes each, 8 once one is above 2^32-1, found by bisection); only ids out of order
 * pay for a hash table, some 6 bytes more. Rows are append-only; removal leaves a tombstone until
 * the rows are compacted. */
#ifndef VX_CORE_IDS_H
#define VX_CORE_IDS_H

#include "base.h"
#include "container.h"

/* Numbers that are not negative, as wide as the largest of them needs. */
typedef struct vx_numbers {
    void *at;
    size_t room;  /* for so many */
    size_t bytes; /* of each: 4 or 8 */
} vx_numbers;

static inline uint64_t vx_number_of(const vx_numbers *numbers, size_t i) {
    if (numbers->bytes == sizeof(uint32_t)) return ((const uint32_t *)numbers->at)[i];
    return ((const uint64_t *)numbers->at)[i];
}

typedef struct vx_ids {
    size_t count;   /* rows, removed ones included */
    size_t removed; /* rows with a tombstone */
    vx_numbers ids; /* per row; none while row i has id i */
    uint64_t *dead; /* tombstones, one bit per row; NULL while nothing was removed */
    size_t dead_words;
    bool rising;      /* each id is larger than the one before */
    int64_t largest;  /* the largest id ever given, -1 at first: the next one is one more */
    vx_numbers slots; /* open addressing: row + 1, 0 is empty; none while ids rise */
} vx_ids;

void vx_ids_init(vx_ids *ids);
void vx_ids_free(vx_ids *ids);

/* Appends n rows. given NULL: ids count up from largest + 1. Otherwise they are checked: negative
 * is VINDEX_ERR_ARGUMENT, one that is there already or twice in the call VINDEX_ERR_EXISTS (the id
 * of a removed row may be used again). Nothing changes on failure. */
vindex_status vx_ids_append(vx_ids *ids, const int64_t *given, size_t n);

/* Takes back the last n rows appended, after a later step of the same call failed. */
void vx_ids_retract(vx_ids *ids, size_t n, int64_t largest_before);

static inline int64_t vx_ids_of(const vx_ids *ids, size_t row) {
    return ids->ids.at ? (int64_t)vx_number_of(&ids->ids, row) : (int64_t)row;
}
static inline bool vx_ids_alive(const vx_ids *ids, size_t row) {
    return !ids->dead || !(ids->dead[row / 64] >> (row % 64) & 1);
}

/* The row of an id that was not removed; false when there is none. */
bool vx_ids_find(const vx_ids *ids, int64_t id, size_t *row);

/* Marks the rows of n ids removed; *removed counts those that were there. All or nothing on a
 * failed allocation. */
vindex_status vx_ids_remove(vx_ids *ids, const int64_t *list, size_t n, size_t *removed);

/* Drops removed rows: fills keep (count - removed entries; NULL is fine where nothing is removed)
 * with the rows that stay, in order, and renumbers. What is left takes no more memory than it
 * would have after loading. Nothing changes on failure. */
vindex_status vx_ids_compact(vx_ids *ids, size_t *keep);

/* Renumbers: row order[i], of all rows, becomes row i. Nothing changes on failure. */
vindex_status vx_ids_reorder(vx_ids *ids, const size_t *order);

/* Whether there is room for more rows than there are. */
bool vx_ids_spare(const vx_ids *ids);

/* Bytes held. */
size_t vx_ids_memory(const vx_ids *ids);

/* Sections "ids" (absent while implicit) and "dead" (absent while nothing is removed) and the
 * number largest, which the caller stores with its own header. A load checks
 * what the ids say (range, uniqueness, counts) and, when verify is set, the sections' checksums. */
uint32_t vx_ids_section_count(const vx_ids *ids);
vindex_status vx_ids_save(const vx_ids *ids, vx_container_writer *writer);
vindex_status vx_ids_load(vx_ids *ids, const vx_container *container, size_t count, int64_t largest,
                          bool verify);

#endif
