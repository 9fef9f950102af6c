/* Trees of plain values: an arena, and the checks that make a tree safe to walk. */
#include "value.h"

#include "numbers.h"
#include "text.h"

#include <stdio.h>

/* What is taken from one allocation. */
typedef struct vx_chunk {
    struct vx_chunk *next;
    size_t used, size;
    max_align_t bytes[];
} vx_chunk;

enum { CHUNK = 1 << 16, LEAST_NUMBERS = 1 << 20, NUMBERS_PER_BYTE = 128, WORK_MOST = 1 << 27 };

vx_tree vx_tree_begin(const char *path, size_t file_bytes) {
    size_t numbers;
    if (!vx_mul(file_bytes, NUMBERS_PER_BYTE, &numbers) ||
        !vx_add(numbers, LEAST_NUMBERS, &numbers))
        numbers = SIZE_MAX;
    return (vx_tree){.path = path, .limit = (size_t)512 << 20, .numbers_most = numbers};
}

void vx_tree_free(vx_tree *tree) {
    for (vx_blob *blob = tree->blobs; blob; blob = blob->next) vx_free(blob->owned);
    while (tree->chunks) {
        vx_chunk *next = tree->chunks->next;
        vx_free(tree->chunks);
        tree->chunks = next;
    }
    if (tree->release) tree->release(tree->source);
    *tree = (vx_tree){0};
}

void *vx_tree_take(vx_tree *tree, size_t count, size_t size) {
    size_t bytes, total;
    if (!vx_mul(count, size, &bytes) || !vx_add(bytes, sizeof(max_align_t) - 1, &bytes))
        return NULL;
    bytes = bytes / sizeof(max_align_t) * sizeof(max_align_t);
    if (!vx_add(tree->taken, bytes, &total) || total > tree->limit) {
        tree->taken = SIZE_MAX; /* for vx_tree_fail */
        return NULL;
    }
    vx_chunk *chunk = tree->chunks;
    if (!chunk || bytes > chunk->size - chunk->used) {
        size_t room = VX_MAX(bytes, (size_t)CHUNK);
        chunk = vx_alloc(sizeof *chunk + room, 1);
        if (!chunk) return NULL;
        *chunk = (vx_chunk){.next = tree->chunks, .size = room};
        tree->chunks = chunk;
    }
    void *memory = (unsigned char *)chunk->bytes + chunk->used;
    chunk->used += bytes;
    tree->taken = total;
    return memory;
}

vindex_status vx_tree_fail(const vx_tree *tree) {
    if (tree->taken != SIZE_MAX) return vx_fail_memory(1, CHUNK, tree->path);
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: what it holds beside plain arrays needs more than %zu MiB of memory; save "
                   "the embeddings as one array",
                   tree->path, tree->limit >> 20);
}

vx_value *vx_value_new(vx_tree *tree, vx_kind kind) {
    vx_value *value = vx_tree_take(tree, 1, sizeof *value);
    if (value) {
        memset(value, 0, sizeof *value);
        value->kind = kind;
    }
    return value;
}

vx_value *vx_value_integer(vx_tree *tree, vx_kind kind, int64_t integer) {
    vx_value *value = vx_value_new(tree, kind);
    if (value) value->integer = integer;
    return value;
}

vx_value *vx_value_text(vx_tree *tree, const char *text, size_t length) {
    vx_value *value = vx_value_new(tree, VX_TEXT);
    if (value) {
        value->text = text;
        value->length = length;
    }
    return value;
}

bool vx_value_append(vx_tree *tree, vx_value *list, vx_value *item) {
    if (list->count == list->capacity) {
        size_t capacity = VX_MAX(list->capacity * 2, (size_t)4);
        vx_value **items = vx_tree_take(tree, capacity, sizeof *items);
        if (!items) return false;
        if (list->count) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

vx_blob *vx_tree_blob(vx_tree *tree) {
    vx_blob *blob = vx_tree_take(tree, 1, sizeof *blob);
    if (!blob) return NULL;
    *blob = (vx_blob){.next = tree->blobs};
    tree->blobs = blob;
    return blob;
}

/* Makes bytes of a text that is known to have no characters but those. */
static vindex_status decode_latin1(const vx_tree *tree, vx_blob *blob) {
    unsigned char *room = vx_alloc(blob->length, 1);
    if (!room) return vx_fail_memory(blob->length, 1, tree->path);
    const unsigned char *text = (const unsigned char *)blob->latin1;
    for (size_t i = 0; i < blob->length; i++) {
        unsigned char first = *text++;
        room[i] = first < 0x80 ? first : (unsigned char)(first << 6 | (*text++ & 0x3f));
    }
    blob->bytes = blob->owned = room;
    return VINDEX_OK;
}

vindex_status vx_blob_bytes(vx_tree *tree, vx_blob *blob) {
    if (blob->bytes) return VINDEX_OK;
    return blob->latin1 ? decode_latin1(tree, blob) : tree->load(tree, blob);
}

/* How many bytes of its blob an array reaches over, from its first item on; false when that is more
 * than any file has. */
static bool array_extent(const vx_array *array, size_t *extent) {
    *extent = array->size;
    for (size_t i = 0; i < array->dimensions; i++) {
        size_t reach;
        if (!array->shape[i]) {
            *extent = 0;
            return true;
        }
        if (!vx_mul(array->shape[i] - 1, array->strides[i], &reach) ||
            !vx_add(*extent, reach, extent))
            return false;
    }
    return true;
}

vindex_status vx_tree_array(vx_tree *tree, const vx_array *array, vx_value **value) {
    size_t extent, end = SIZE_MAX, items = 1;
    bool sound = array_extent(array, &extent) && vx_add(array->offset, extent, &end);
    if (!sound || end > array->blob->length)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: an array of %s reaches to byte %zu of the %zu that hold it; the file "
                       "was cut or is damaged",
                       tree->path, array->type, end, array->blob->length);
    for (size_t i = 0; i < array->dimensions; i++)
        if (!vx_mul(items, array->shape[i], &items)) items = SIZE_MAX;
    for (size_t i = 0; i < array->dimensions; i++)
        if (!array->shape[i]) items = 0;
    if (items > tree->numbers_most)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: a view that repeats its numbers until they are %zu; save "
                       "tensor.contiguous() of the part that is needed",
                       tree->path, items);
    vx_array *copy = vx_tree_take(tree, 1, sizeof *copy);
    *value = vx_value_new(tree, VX_ARRAY);
    if (!copy || !*value) return vx_tree_fail(tree);
    *copy = *array;
    (*value)->array = copy;
    return VINDEX_OK;
}

/* Makes *value an array of count numbers of 8 bytes in the arena. */
static unsigned char *become_numbers(vx_tree *tree, vx_value *value, vindex_dtype dtype,
                                     size_t count) {
    vx_array *array = vx_tree_take(tree, 1, sizeof *array);
    vx_blob *blob = vx_tree_take(tree, 1, sizeof *blob);
    unsigned char *room = vx_tree_take(tree, count, sizeof(int64_t));
    if (!array || !blob || !room) return NULL;
    *blob = (vx_blob){.bytes = room, .length = count * sizeof(int64_t)};
    *array = (vx_array){.blob = blob,
                        .dimensions = 1,
                        .shape = {count},
                        .strides = {sizeof(int64_t)},
                        .size = sizeof(int64_t),
                        .type = vindex_dtype_name(dtype),
                        .numeric = true,
                        .dtype = dtype};
    value->kind = VX_ARRAY;
    value->array = array;
    return room;
}

vx_value *vx_tree_numbers(vx_tree *tree, vindex_dtype dtype, size_t count, unsigned char **room) {
    vx_value *value = vx_value_new(tree, VX_NONE);
    if (!value) return NULL;
    *room = become_numbers(tree, value, dtype, count);
    return *room ? value : NULL;
}

void vx_store_number(unsigned char *room, size_t place, vindex_dtype dtype, const vx_value *value) {
    uint64_t bits = (uint64_t)value->integer;
    if (dtype == VINDEX_F64) {
        double number = value->kind == VX_INT ? (double)value->integer : value->number;
        memcpy(&bits, &number, sizeof bits);
    }
    vx_store_u32(room + place * 8, (uint32_t)bits);
    vx_store_u32(room + place * 8 + 4, (uint32_t)(bits >> 32));
}

bool vx_is_list(const vx_value *value) {
    return value->kind == VX_LIST || value->kind == VX_TUPLE;
}

bool vx_tree_spend(vx_tree *tree, size_t items) {
    tree->work += items;
    return tree->work <= WORK_MOST;
}

vindex_status vx_tree_check_work(const vx_tree *tree) {
    if (tree->work <= WORK_MOST) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: its values are shared so many times over that they cannot be looked "
                   "through; save the embeddings as one array",
                   tree->path);
}

vx_value *vx_dict_get(vx_tree *tree, const vx_value *dict, const char *key, size_t length) {
    if (!vx_tree_spend(tree, dict->count)) return NULL;
    char room[VX_KEY_ROOM];
    for (size_t i = 0; i < dict->count; i += 2) {
        size_t found_length = 0;
        const char *found = vx_value_word(dict->items[i], room, &found_length);
        if (found && found_length == length && !memcmp(found, key, length))
            return dict->items[i + 1];
    }
    return NULL;
}

const char *vx_value_word(const vx_value *value, char room[VX_KEY_ROOM], size_t *length) {
    if (value->kind == VX_TEXT) {
        *length = value->length;
        return value->text;
    }
    if (value->kind != VX_INT) return NULL;
    *length = (size_t)snprintf(room, VX_KEY_ROOM, "%lld", (long long)value->integer);
    return room;
}

static int compare_keys(const void *a, const void *b) {
    const vx_value *x = *(const vx_value *const *)a, *y = *(const vx_value *const *)b;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    if (x->kind == VX_INT) return (x->integer > y->integer) - (x->integer < y->integer);
    size_t shared = VX_MIN(x->length, y->length);
    int order = shared ? memcmp(x->text, y->text, shared) : 0;
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* Keys that are words or whole numbers, which is all that can be asked for, come once. */
static vindex_status check_keys(const vx_tree *tree, const vx_value *dict) {
    const vx_value **keys = vx_alloc(dict->count / 2, sizeof *keys);
    if (!keys) return vx_fail_memory(dict->count / 2, sizeof *keys, tree->path);
    size_t count = 0;
    for (size_t i = 0; i < dict->count; i += 2)
        if (dict->items[i]->kind == VX_TEXT || dict->items[i]->kind == VX_INT)
            keys[count++] = dict->items[i];
    qsort(keys, count, sizeof *keys, compare_keys);
    vindex_status status = VINDEX_OK;
    for (size_t i = 1; i < count && status == VINDEX_OK; i++) {
        if (compare_keys(&keys[i - 1], &keys[i]) != 0) continue;
        char room[VX_KEY_ROOM], shown[VX_EXCERPT];
        size_t length = 0;
        const char *text = vx_value_word(keys[i], room, &length);
        status = vx_fail(VINDEX_ERR_FORMAT, "%s: key '%s' comes twice in one dictionary; keep one",
                         tree->path, vx_excerpt(text, length, shown));
    }
    vx_free(keys);
    return status;
}

/* Lists of numbers are vectors. */
static vindex_status compact(vx_tree *tree, vx_value *list) {
    vindex_dtype dtype = VINDEX_I64;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i]->kind != VX_INT && list->items[i]->kind != VX_FLOAT) return VINDEX_OK;
        if (list->items[i]->kind == VX_FLOAT) dtype = VINDEX_F64;
    }
    size_t count = list->count;
    vx_value **items = list->items;
    if (!count) return VINDEX_OK;
    unsigned char *room = become_numbers(tree, list, dtype, count);
    if (!room) return vx_tree_fail(tree);
    for (size_t i = 0; i < count; i++) vx_store_number(room, i, dtype, items[i]);
    return VINDEX_OK;
}

enum { UNSEEN, OPEN, SEALED }; /* height is the levels below, plus SEALED */

static vindex_status seal(vx_tree *tree, vx_value *value, uint32_t depth) {
    if (value->height == OPEN)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: it holds a list or dictionary that contains itself; save plain values",
                       tree->path);
    uint32_t below = value->height == UNSEEN ? 0 : value->height - SEALED;
    if (depth + below > VX_DEPTH_MOST)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: it is nested more than %d levels deep; save the part that is needed",
                       tree->path, VX_DEPTH_MOST);
    if (value->height != UNSEEN) return VINDEX_OK;
    if (vx_is_list(value) || value->kind == VX_DICT) {
        value->height = OPEN;
        for (size_t i = 0; i < value->count; i++) {
            VX_TRY(seal(tree, value->items[i], depth + 1));
            below = VX_MAX(below, value->items[i]->height - SEALED + 1);
        }
        if (value->kind == VX_DICT) VX_TRY(check_keys(tree, value));
    }
    value->height = SEALED + below;
    if (vx_is_list(value)) VX_TRY(compact(tree, value));
    return VINDEX_OK;
}

vindex_status vx_tree_seal(vx_tree *tree) {
    return seal(tree, tree->root, 0);
}
