/* Ids and labels of millions of rows: an allocation each would cost more than the text. */
#include "pool.h"

bool vx_pool_add(vx_pool *pool, const char *text, size_t length) {
    size_t need;
    if (!vx_add(pool->length, length, &need) || !vx_add(need, 1, &need)) return false;
    if (!vx_grow((void **)&pool->text, &pool->text_capacity, need, 1)) return false;
    if (!vx_grow((void **)&pool->starts, &pool->capacity, pool->count + 1, sizeof *pool->starts))
        return false;
    char *place = pool->text + pool->length;
    if (length) memcpy(place, text, length);
    place[length] = 0;
    pool->starts[pool->count++] = pool->length;
    pool->length = need;
    return true;
}

const char *vx_pool_get(const vx_pool *pool, size_t item) {
    return pool->text + pool->starts[item];
}

void vx_pool_free(vx_pool *pool) {
    vx_free(pool->text);
    vx_free(pool->starts);
    *pool = (vx_pool){0};
}

char **vx_pool_pack(const vx_pool *pool) {
    size_t pointers, bytes;
    if (!vx_mul(pool->count, sizeof(char *), &pointers) || !vx_add(pointers, pool->length, &bytes))
        return NULL;
    char **items = vx_alloc(bytes, 1);
    if (!items) return NULL;
    char *text = (char *)items + pointers;
    if (pool->length) memcpy(text, pool->text, pool->length);
    for (size_t i = 0; i < pool->count; i++) items[i] = text + pool->starts[i];
    return items;
}

/* FNV-1a, its high bits folded in: the slots take the low ones. */
static uint64_t hash(const char *text, size_t length) {
    uint64_t value = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++) value = (value ^ (unsigned char)text[i]) * 0x100000001b3u;
    return value ^ value >> 32;
}

static size_t item_length(const vx_pool *pool, size_t item) {
    size_t end = item + 1 < pool->count ? pool->starts[item + 1] : pool->length;
    return end - pool->starts[item] - 1;
}

/* The slot that holds the string, or the empty one where it belongs. */
static uint32_t *find(const vx_names *names, const char *text, size_t length) {
    size_t mask = names->slot_count - 1;
    for (size_t at = hash(text, length) & mask;; at = (at + 1) & mask) {
        uint32_t *slot = &names->slots[at];
        if (!*slot) return slot;
        size_t item = *slot - 1;
        if (item_length(&names->pool, item) == length &&
            !memcmp(vx_pool_get(&names->pool, item), text, length))
            return slot;
    }
}

/* Doubles the slots and puts every item where it belongs now. */
static bool spread(vx_names *names) {
    size_t count = names->slot_count ? names->slot_count * 2 : 64;
    uint32_t *slots = vx_alloc_zero(count, sizeof *slots);
    if (!slots) return false;
    vx_free(names->slots);
    names->slots = slots;
    names->slot_count = count;
    for (size_t i = 0; i < names->pool.count; i++)
        *find(names, vx_pool_get(&names->pool, i), item_length(&names->pool, i)) = (uint32_t)i + 1;
    return true;
}

bool vx_names_number(vx_names *names, const char *text, size_t length, int32_t *number) {
    if (names->pool.count >= names->slot_count / 2 && !spread(names)) return false;
    uint32_t *slot = find(names, text, length);
    if (!*slot) {
        if (names->pool.count == INT32_MAX || !vx_pool_add(&names->pool, text, length))
            return false;
        *slot = (uint32_t)names->pool.count;
    }
    *number = (int32_t)(*slot - 1);
    return true;
}

void vx_names_free(vx_names *names) {
    vx_pool_free(&names->pool);
    vx_free(names->slots);
    *names = (vx_names){0};
}
