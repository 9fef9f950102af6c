/* The id map of ids.h. Its three forms (implicit, rising, hashed) are told apart by which arrays
 * exist: none, ids, ids and slots. The hash table holds exactly the rows that are alive, so the id
 * of a removed row is free again. */
#include "ids.h"

enum { ENCODED = 512 /* numbers brought into file order at a time */ };

__extension__ typedef unsigned __int128 wide;

void vx_ids_init(vx_ids *ids) {
    *ids = (vx_ids){.rising = true, .largest = -1};
}

void vx_ids_free(vx_ids *ids) {
    vx_free(ids->ids.at);
    vx_free(ids->dead);
    vx_free(ids->slots.at);
    vx_ids_init(ids);
}

static size_t words_for(size_t rows) {
    return rows / 64 + (rows % 64 != 0);
}

/* ---- numbers ---- */

/* Bytes of numbers up to one. */
static size_t bytes_for(uint64_t largest) {
    return largest > UINT32_MAX ? sizeof(uint64_t) : sizeof(uint32_t);
}

static void put(const vx_numbers *numbers, size_t i, uint64_t number) {
    if (numbers->bytes == sizeof(uint32_t))
        ((uint32_t *)numbers->at)[i] = (uint32_t)number;
    else
        ((uint64_t *)numbers->at)[i] = number;
}

static void drop(vx_numbers *numbers) {
    vx_free(numbers->at);
    *numbers = (vx_numbers){0};
}

/* ---- the hash table: linear probing; a slot holds a row plus one, 0 is empty ---- */

static size_t slot_after(const vx_ids *ids, size_t slot) {
    return slot + 1 < ids->slots.room ? slot + 1 : 0;
}

/* How many slots after `from` a slot comes. */
static size_t slots_from(const vx_ids *ids, size_t from, size_t slot) {
    return slot >= from ? slot - from : slot + ids->slots.room - from;
}

/* Where an id's slot would best be: its hash as a share of all slots. The table's address takes
 * part, so that a file cannot be made whose ids all meet in one place. */
static size_t home_of(const vx_ids *ids, int64_t id) {
    uint64_t x = ((uint64_t)id ^ (uintptr_t)ids->slots.at) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return (size_t)((wide)(x ^ (x >> 32)) * ids->slots.room >> 64);
}

/* The slot that holds an id, or the empty one where it belongs. */
static size_t slot_of(const vx_ids *ids, int64_t id) {
    size_t slot = home_of(ids, id), number;
    while ((number = vx_number_of(&ids->slots, slot)) && vx_ids_of(ids, number - 1) != id)
        slot = slot_after(ids, slot);
    return slot;
}

/* False when the row's id is there already. */
static bool insert(vx_ids *ids, size_t row) {
    size_t slot = slot_of(ids, vx_ids_of(ids, row));
    if (vx_number_of(&ids->slots, slot)) return false;
    put(&ids->slots, slot, row + 1);
    return true;
}

/* Takes a row's slot out and closes the gap: what follows moves up unless that is before its home.
 */
static void erase(vx_ids *ids, size_t row) {
    size_t gap = slot_of(ids, vx_ids_of(ids, row)), number;
    for (size_t i = slot_after(ids, gap); (number = vx_number_of(&ids->slots, i));
         i = slot_after(ids, i)) {
        size_t home = home_of(ids, vx_ids_of(ids, number - 1));
        if (slots_from(ids, home, i) < slots_from(ids, gap, i)) continue;
        put(&ids->slots, gap, number);
        gap = i;
    }
    put(&ids->slots, gap, 0);
}

/* Slots that so many entries fill to three quarters at most. */
static size_t slots_for(size_t entries) {
    return entries + entries / 3 + 2; /* of rows with ids of 8 bytes: no overflow */
}

/* Enters the living rows first ... end-1; on a double, takes them out again and names its row. */
static bool enter(vx_ids *ids, size_t first, size_t end, size_t *twice) {
    for (size_t row = first; row < end; row++) {
        if (!vx_ids_alive(ids, row) || insert(ids, row)) continue;
        *twice = row;
        while (row-- > first)
            if (vx_ids_alive(ids, row)) erase(ids, row);
        return false;
    }
    return true;
}

/* Makes an empty table of so many slots for the numbers of so many rows. */
static vindex_status make_table(vx_ids *ids, size_t slots, size_t rows) {
    vx_numbers fresh = {NULL, slots, VX_MAX(ids->slots.bytes, bytes_for(rows))};
    fresh.at = vx_alloc_zero(slots, fresh.bytes);
    if (!fresh.at) return vx_fail_memory(slots, fresh.bytes, "a hash table of ids");
    vx_free(ids->slots.at);
    ids->slots = fresh;
    return VINDEX_OK;
}

/* ---- appending ---- */

/* What the ids of rows lead to. */
typedef struct shape {
    bool implicit, rising;
    int64_t largest;
} shape;

/* Takes the next row's id into account; before is the id of the row before it, or -1. */
static void follow(shape *so_far, size_t row, int64_t id, int64_t before) {
    so_far->implicit &= id == (int64_t)row;
    so_far->rising &= id > before;
    so_far->largest = VX_MAX(so_far->largest, id);
}

static int64_t id_before(const vx_ids *ids, size_t row) {
    return row ? vx_ids_of(ids, row - 1) : -1;
}

static vindex_status check_given(const vx_ids *ids, const int64_t *given, size_t n, shape *after) {
    int64_t before = id_before(ids, ids->count);
    if (!given && n > (uint64_t)INT64_MAX - (uint64_t)ids->largest)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "ids: %zu more after the largest, %lld, exceed 2^63-1; give ids yourself", n,
                       (long long)ids->largest);
    for (size_t i = 0; i < n; i++) {
        int64_t id = given ? given[i] : ids->largest + 1 + (int64_t)i;
        if (id < 0)
            return vx_fail(VINDEX_ERR_ARGUMENT, "ids: %lld at position %zu; give 0 to 2^63-1",
                           (long long)id, i);
        follow(after, ids->count + i, id, before);
        before = id;
    }
    return VINDEX_OK;
}

/* Room for the ids of total rows, up to one, those of the present rows in place. */
static vindex_status reserve_ids(vx_ids *ids, size_t total, int64_t largest) {
    vx_numbers grown = ids->ids;
    bool wider = bytes_for((uint64_t)largest) > grown.bytes; /* or the first: bytes is 0 */
    if (wider) grown = (vx_numbers){.bytes = bytes_for((uint64_t)largest)};
    if (!vx_grow(&grown.at, &grown.room, total, grown.bytes))
        return vx_fail_memory(total, grown.bytes, "ids");
    for (size_t row = 0; wider && row < ids->count; row++)
        put(&grown, row, (uint64_t)vx_ids_of(ids, row));
    if (wider) vx_free(ids->ids.at);
    ids->ids = grown;
    return VINDEX_OK;
}

/* Tombstones for total rows, where there are any. */
static vindex_status reserve_dead(vx_ids *ids, size_t total) {
    void *array = ids->dead;
    size_t words = ids->dead_words;
    if (words >= words_for(total)) return VINDEX_OK;
    if (!vx_grow(&array, &ids->dead_words, words_for(total), sizeof *ids->dead))
        return vx_fail_memory(words_for(total), sizeof *ids->dead, "tombstones");
    ids->dead = array;
    memset(ids->dead + words, 0, (ids->dead_words - words) * sizeof *ids->dead);
    return VINDEX_OK;
}

/* Enters the rows from count on into the hash table; makes or enlarges it first where that is due,
 * by an eighth at least. */
static vindex_status index_rows(vx_ids *ids, size_t total) {
    size_t twice, needed = slots_for(total - ids->removed), first = ids->count;
    if (needed > ids->slots.room || bytes_for(total) > ids->slots.bytes) {
        VX_TRY(make_table(ids, VX_MAX(needed, ids->slots.room + ids->slots.room / 8), total));
        enter(ids, 0, first, &twice); /* cannot fail: living rows differ */
    }
    if (enter(ids, first, total, &twice)) return VINDEX_OK;
    int64_t id = vx_ids_of(ids, twice);
    bool present =
        vx_number_of(&ids->slots, slot_of(ids, id)) != 0; /* the call's own rows are out again */
    return vx_fail(VINDEX_ERR_EXISTS, "ids: %lld at position %zu is %s; give each id once",
                   (long long)id, twice - first, present ? "in the index already" : "given twice");
}

/* Lets go of the arrays that the ids, as they are now, can do without. */
static void simplify(vx_ids *ids) {
    if (!ids->ids.at) return;
    shape now = {true, true, -1};
    for (size_t row = 0; row < ids->count && now.rising; row++)
        follow(&now, row, vx_ids_of(ids, row), id_before(ids, row));
    ids->rising = now.rising;
    if (now.rising) drop(&ids->slots);
    if (now.implicit && now.rising) drop(&ids->ids);
}

/* Everything an append does that can fail. */
static vindex_status prepare(vx_ids *ids, const int64_t *given, size_t n, const shape *after) {
    size_t total = ids->count + n;
    if (ids->dead) VX_TRY(reserve_dead(ids, total));
    if (after->implicit) return VINDEX_OK;
    VX_TRY(reserve_ids(ids, total, after->largest));
    for (size_t i = 0; i < n; i++)
        put(&ids->ids, ids->count + i,
            (uint64_t)(given ? given[i] : ids->largest + 1 + (int64_t)i));
    return after->rising ? VINDEX_OK : index_rows(ids, total);
}

vindex_status vx_ids_append(vx_ids *ids, const int64_t *given, size_t n) {
    shape after = {!ids->ids.at, ids->rising, ids->largest};
    size_t total;
    if (!vx_add(ids->count, n, &total) || total > INT64_MAX)
        return vx_fail_memory(n, sizeof(int64_t), "ids");
    VX_TRY(check_given(ids, given, n, &after));
    vindex_status status = prepare(ids, given, n, &after);
    if (status != VINDEX_OK) {
        simplify(ids);
        return status;
    }
    ids->count = total;
    ids->rising = after.rising;
    ids->largest = after.largest;
    return VINDEX_OK;
}

void vx_ids_retract(vx_ids *ids, size_t n, int64_t largest_before) {
    for (size_t i = 0; ids->slots.at && i < n; i++) erase(ids, ids->count - 1 - i);
    ids->count -= n;
    ids->largest = largest_before;
    simplify(ids);
}

/* ---- finding and removing ---- */

/* The row of an id among rising ones. */
static bool bisect(const vx_ids *ids, int64_t id, size_t *row) {
    size_t low = 0, high = ids->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (vx_ids_of(ids, middle) < id)
            low = middle + 1;
        else
            high = middle;
    }
    *row = low;
    return low < ids->count && vx_ids_of(ids, low) == id;
}

bool vx_ids_find(const vx_ids *ids, int64_t id, size_t *row) {
    size_t found;
    if (ids->slots.at) {
        found = vx_number_of(&ids->slots, slot_of(ids, id));
        if (!found--) return false;
    } else if (ids->ids.at) {
        if (!bisect(ids, id, &found)) return false;
    } else {
        if (id < 0 || (uint64_t)id >= ids->count) return false;
        found = (size_t)id;
    }
    if (!vx_ids_alive(ids, found)) return false;
    *row = found;
    return true;
}

vindex_status vx_ids_remove(vx_ids *ids, const int64_t *list, size_t n, size_t *removed) {
    size_t before = ids->removed, row;
    for (size_t i = 0; i < n; i++) {
        if (!vx_ids_find(ids, list[i], &row)) continue;
        if (!ids->dead) VX_TRY(reserve_dead(ids, ids->count)); /* nothing is removed yet */
        if (ids->slots.at) erase(ids, row);
        ids->dead[row / 64] |= UINT64_C(1) << (row % 64);
        ids->removed++;
    }
    *removed = ids->removed - before;
    return VINDEX_OK;
}

/* ---- compacting ---- */

/* The id of a kept row; keep NULL: all are. */
static int64_t kept_id(const vx_ids *ids, const size_t *keep, size_t i) {
    return vx_ids_of(ids, keep ? keep[i] : i);
}

/* Allocates what the kept rows need; ids and slots stay NULL where they need none. */
static vindex_status rebuild(const vx_ids *ids, const size_t *keep, vx_ids *fresh) {
    shape after = {true, true, ids->largest};
    for (size_t i = 0; i < fresh->count; i++)
        follow(&after, i, kept_id(ids, keep, i), i ? kept_id(ids, keep, i - 1) : -1);
    fresh->rising = after.rising;
    fresh->largest = ids->largest;
    if (after.implicit) return VINDEX_OK;
    VX_TRY(reserve_ids(fresh, fresh->count, fresh->largest));
    for (size_t i = 0; i < fresh->count; i++) put(&fresh->ids, i, (uint64_t)kept_id(ids, keep, i));
    if (after.rising) return VINDEX_OK;
    size_t living = fresh->count - fresh->removed;
    VX_TRY(make_table(fresh, slots_for(living), fresh->count));
    size_t twice;
    enter(fresh, 0, fresh->count, &twice); /* cannot fail: living rows differ */
    return VINDEX_OK;
}

vindex_status vx_ids_compact(vx_ids *ids, size_t *keep) {
    vx_ids fresh;
    vx_ids_init(&fresh);
    for (size_t row = 0; row < ids->count; row++) {
        if (!vx_ids_alive(ids, row)) continue;
        if (keep) keep[fresh.count] = row;
        fresh.count++;
    }
    vindex_status status = rebuild(ids, keep, &fresh);
    if (status != VINDEX_OK) {
        vx_ids_free(&fresh);
        return status;
    }
    vx_ids_free(ids);
    *ids = fresh;
    return VINDEX_OK;
}

vindex_status vx_ids_reorder(vx_ids *ids, const size_t *order) {
    vx_ids fresh;
    vx_ids_init(&fresh);
    fresh.count = ids->count;
    vindex_status status = ids->removed ? reserve_dead(&fresh, ids->count) : VINDEX_OK;
    for (size_t i = 0; status == VINDEX_OK && ids->removed && i < ids->count; i++)
        if (!vx_ids_alive(ids, order[i])) fresh.dead[i / 64] |= UINT64_C(1) << (i % 64);
    fresh.removed = ids->removed;
    if (status == VINDEX_OK) status = rebuild(ids, order, &fresh);
    if (status != VINDEX_OK) {
        vx_ids_free(&fresh);
        return status;
    }
    vx_ids_free(ids);
    *ids = fresh;
    return VINDEX_OK;
}

bool vx_ids_spare(const vx_ids *ids) {
    bool wider = ids->ids.at && ids->ids.bytes > bytes_for((uint64_t)ids->largest);
    return wider || ids->ids.room > ids->count || ids->dead_words > words_for(ids->count) ||
           (ids->slots.at && ids->slots.room > slots_for(ids->count - ids->removed));
}

size_t vx_ids_memory(const vx_ids *ids) {
    return ids->ids.room * ids->ids.bytes + ids->dead_words * sizeof *ids->dead +
           ids->slots.room * ids->slots.bytes;
}

/* ---- saving and loading ---- */

uint32_t vx_ids_section_count(const vx_ids *ids) {
    return (uint32_t)(ids->ids.at != NULL) + (uint32_t)(ids->removed != 0);
}

/* One section of 8-byte numbers. */
static vindex_status save_words(vx_container_writer *writer, const char *tag,
                                const vx_numbers *words, size_t count) {
    unsigned char encoded[8 * ENCODED];
    VX_TRY(vx_container_begin(writer, tag));
    for (size_t start = 0; start < count; start += ENCODED) {
        size_t n = VX_MIN(count - start, (size_t)ENCODED);
        for (size_t i = 0; i < n; i++) vx_put_u64(encoded + 8 * i, vx_number_of(words, start + i));
        VX_TRY(vx_container_append(writer, encoded, 8 * n));
    }
    return vx_container_end(writer);
}

vindex_status vx_ids_save(const vx_ids *ids, vx_container_writer *writer) {
    vx_numbers dead = {ids->dead, ids->dead_words, sizeof *ids->dead};
    if (ids->ids.at) VX_TRY(save_words(writer, "ids", &ids->ids, ids->count));
    if (ids->removed) VX_TRY(save_words(writer, "dead", &dead, words_for(ids->count)));
    return VINDEX_OK;
}

static vindex_status lie(const vx_container *container, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: %s; the file is damaged or was not made by vindex",
                   vx_container_path(container), what);
}

/* A section of exactly count 8-byte numbers. */
static vindex_status find_words(const vx_container *container, const char *tag, size_t count,
                                bool verify, const unsigned char **bytes) {
    vx_section section;
    VX_TRY(vx_container_find(container, tag, verify, &section));
    if (section.length % 8 || section.length / 8 != count)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: section '%s' has %zu bytes where %zu numbers of 8 are due; the file is "
                       "damaged or was not made by vindex",
                       vx_container_path(container), tag, section.length, count);
    *bytes = section.bytes;
    return VINDEX_OK;
}

static vindex_status load_dead(vx_ids *ids, const vx_container *container, bool verify) {
    const unsigned char *bytes = NULL;
    size_t words = words_for(ids->count), rest = ids->count % 64;
    VX_TRY(find_words(container, "dead", words, verify, &bytes));
    VX_TRY(reserve_dead(ids, ids->count));
    for (size_t i = 0; i < words; i++) {
        ids->dead[i] = vx_get_u64(bytes + 8 * i);
        ids->removed += (size_t)__builtin_popcountll(ids->dead[i]);
    }
    if (rest && ids->dead[words - 1] >> rest)
        return lie(container, "a row past the last one is marked removed");
    return VINDEX_OK;
}

static vindex_status load_ids(vx_ids *ids, const vx_container *container, bool verify) {
    const unsigned char *bytes = NULL;
    VX_TRY(find_words(container, "ids", ids->count, verify, &bytes));
    VX_TRY(reserve_ids(ids, ids->count, ids->largest));
    shape found = {true, true, -1};
    for (size_t row = 0; row < ids->count; row++) {
        int64_t id = (int64_t)vx_get_u64(bytes + 8 * row);
        if (id < 0 || id > ids->largest) return lie(container, "an id is out of range");
        put(&ids->ids, row, (uint64_t)id);
        follow(&found, row, id, id_before(ids, row));
    }
    ids->rising = found.rising;
    if (found.rising) return VINDEX_OK;
    size_t twice;
    VX_TRY(make_table(ids, slots_for(ids->count - ids->removed), ids->count));
    return enter(ids, 0, ids->count, &twice) ? VINDEX_OK : lie(container, "two rows have one id");
}

static vindex_status load(vx_ids *ids, const vx_container *container, bool verify) {
    bool stored = vx_container_has(container, "ids");
    if (ids->largest < -1 || ids->count > INT64_MAX ||
        (!stored && ids->largest < (int64_t)ids->count - 1))
        return lie(container, "the largest id is smaller than one in use");
    if (vx_container_has(container, "dead")) VX_TRY(load_dead(ids, container, verify));
    if (stored) VX_TRY(load_ids(ids, container, verify));
    return VINDEX_OK;
}

vindex_status vx_ids_load(vx_ids *ids, const vx_container *container, size_t count, int64_t largest,
                          bool verify) {
    vx_ids_init(ids);
    ids->count = count;
    ids->largest = largest;
    vindex_status status = load(ids, container, verify);
    if (status != VINDEX_OK) vx_ids_free(ids);
    return status;
}
