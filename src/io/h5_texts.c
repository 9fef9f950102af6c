/* Texts in HDF5 files: of fixed or of any length, in data sets, attributes and lists of these. */
#include "h5.h"

#include <stdio.h>

#include "numbers.h"

static herr_t read_whole(hid_t object, hid_t type, void *values) {
    if (H5Iget_type(object) == H5I_ATTR) return H5Aread(object, type, values);
    return H5Dread(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
}

static bool add_text(vx_pool *texts, const char *text, size_t length, bool padded) {
    length = strnlen(text, length);
    while (padded && length && text[length - 1] == ' ') length--;
    return vx_pool_add(texts, text, length);
}

static vindex_status fixed_texts(const vx_h5 *h5, hid_t object, const char *key, hid_t type,
                                 const vx_h5_array *array, vx_pool *texts) {
    size_t count = (size_t)array->count, size = array->size;
    bool padded = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    char *bytes = vx_alloc(count, size);
    if (!bytes) return vx_fail_memory(count, size, h5->path);
    vindex_status status = VINDEX_OK;
    if (read_whole(object, type, bytes) < 0) status = vx_h5_fail(h5, key, "reading its texts");
    for (size_t i = 0; i < count && status == VINDEX_OK; i++)
        if (!add_text(texts, bytes + i * size, size, padded))
            status = vx_fail_memory(count, size, h5->path);
    vx_free(bytes);
    return status;
}

/* Texts of any length lie in heaps all over the file, and HDF5 1.10 copies them out without looking
 * at their bounds: a damaged file makes it crash, or take any amount of memory. So it is only asked
 * for the references, and these are followed here, in the mapped file. A heap is "GCOL", a version,
 * its size, then objects: a number, its size and its bytes, padded to 8; number 0 is what is free
 * behind them. */
typedef struct heaps {
    const unsigned char *bytes; /* of the file */
    size_t length;
    uint64_t base; /* what addresses count from */
    size_t work;   /* bytes that may still be walked over */
} heaps;

enum { REFERENCE = 16, HEAP_HEADER = 16, OBJECT_HEADER = 16 };

static uint64_t load_u64(const unsigned char *bytes) {
    return vx_load_u32(bytes) | (uint64_t)vx_load_u32(bytes + 4) << 32;
}

/* The heap at that address; false where there is none that the file holds all of. */
static bool find_heap(const heaps *h, uint64_t address, const unsigned char **heap, size_t *size) {
    uint64_t at;
    if (__builtin_add_overflow(h->base, address, &at) || at > h->length ||
        h->length - at < HEAP_HEADER)
        return false;
    *heap = h->bytes + at;
    uint64_t whole = load_u64(*heap + 8);
    *size = (size_t)whole;
    return !memcmp(*heap, "GCOL\x01", 5) && whole >= HEAP_HEADER && whole <= h->length - at;
}

/* Object `number` of a heap; false where it is not in there. */
static bool find_object(heaps *h, const unsigned char *heap, size_t size, uint32_t number,
                        const unsigned char **object, size_t *length) {
    for (size_t at = HEAP_HEADER; size - at >= OBJECT_HEADER && h->work >= OBJECT_HEADER;) {
        uint32_t found = vx_load_u16(heap + at);
        uint64_t bytes = load_u64(heap + at + 8);
        at += OBJECT_HEADER;
        h->work -= OBJECT_HEADER;
        if (!found || bytes > size - at) return false;
        *object = heap + at;
        *length = (size_t)bytes;
        if (found == number) return true;
        size_t padded = ((size_t)bytes + 7) / 8 * 8;
        if (padded > size - at) return false;
        at += padded;
    }
    return false;
}

/* The text that a reference names: its length, the address of a heap, a number in there. */
static bool follow(heaps *h, const unsigned char *reference, const unsigned char **text,
                   size_t *length) {
    const unsigned char *heap;
    size_t size, wanted = vx_load_u32(reference);
    uint64_t address = load_u64(reference + 4);
    *text = reference;
    *length = 0;
    if (!wanted || !address) return true;
    if (!find_heap(h, address, &heap, &size) ||
        !find_object(h, heap, size, vx_load_u32(reference + 12), text, length) || *length < wanted)
        return false;
    *length = wanted;
    return true;
}

/* Whether the file's addresses are of the size that is read here. */
static bool open_heaps(const vx_h5 *h5, heaps *h) {
    enum { WORK_PER_BYTE = 1000 }; /* walking a heap of the usual size for each text needs 100 */
    size_t address_size = 0, length_size = 0;
    hsize_t base = 0;
    hid_t plist = H5Fget_create_plist(h5->file);
    bool known = plist >= 0 && H5Pget_sizes(plist, &address_size, &length_size) >= 0 &&
                 H5Pget_userblock(plist, &base) >= 0;
    if (plist >= 0) H5Pclose(plist);
    *h = (heaps){h5->bytes, h5->length, base, h5->length * WORK_PER_BYTE};
    return known && address_size == 8 && length_size == 8;
}

/* Leaves references as the file has them. HDF5 calls it in place of what would follow them. */
static herr_t keep_references(hid_t from, hid_t to, H5T_cdata_t *conversion, size_t count,
                              size_t stride, size_t background_stride, void *references,
                              void *background, hid_t plist) {
    (void)count, (void)stride, (void)background_stride, (void)references, (void)background;
    (void)plist;
    if (conversion->command != H5T_CONV_INIT) return 0;
    conversion->need_bkg = H5T_BKG_NO;
    return H5Tis_variable_str(from) > 0 && H5Tget_size(to) == REFERENCE ? 0 : -1;
}

/* HDF5 converts what it reads by its table of conversions, where texts of any length have none to
 * bytes without a meaning. For as long as this reads there is one. */
static vindex_status read_references(const vx_h5 *h5, hid_t object, const char *key, hid_t type,
                                     unsigned char *references) {
    hid_t raw = H5Tcreate(H5T_OPAQUE, REFERENCE);
    bool known = raw >= 0 && H5Tregister(H5T_PERS_SOFT, "vindex: references of texts", type, raw,
                                         keep_references) >= 0;
    vindex_status status = VINDEX_OK;
    if (!known || read_whole(object, raw, references) < 0)
        status = vx_h5_fail(h5, key, "reading where its texts are");
    if (known) H5Tunregister(H5T_PERS_SOFT, NULL, -1, -1, keep_references);
    if (raw >= 0) H5Tclose(raw);
    return status;
}

static vindex_status follow_all(const vx_h5 *h5, heaps *h, const char *key,
                                const unsigned char *references, size_t count, vx_pool *texts) {
    for (size_t i = 0; i < count; i++) {
        const unsigned char *text;
        size_t length;
        if (!follow(h, references + i * REFERENCE, &text, &length))
            return vx_fail(VINDEX_ERR_FORMAT,
                           "%s: '%s': text %zu is not where the file says; the file is damaged",
                           h5->path, key, i);
        if (!add_text(texts, (const char *)text, length, false))
            return vx_fail_memory(count, length, h5->path);
    }
    return VINDEX_OK;
}

/* Texts of any length; those of a data set in one block have their references at `place`. */
static vindex_status varying_texts(const vx_h5 *h5, hid_t object, const char *key, hid_t type,
                                   haddr_t place, size_t count, vx_pool *texts) {
    heaps h;
    if (!open_heaps(h5, &h))
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: '%s': texts of any length are read from files with addresses of 8 "
                       "bytes; save the file again",
                       h5->path, key);
    if (place != HADDR_UNDEF) {
        if (count > (h5->length - place) / REFERENCE)
            return vx_fail(VINDEX_ERR_FORMAT, "%s: '%s' lies outside the file; it was cut",
                           h5->path, key);
        return follow_all(h5, &h, key, h5->bytes + place, count, texts);
    }
    unsigned char *references = vx_alloc(count, REFERENCE);
    if (!references) return vx_fail_memory(count, REFERENCE, h5->path);
    vindex_status status = read_references(h5, object, key, type, references);
    if (status == VINDEX_OK) status = follow_all(h5, &h, key, references, count, texts);
    vx_free(references);
    return status;
}

static vindex_status number_texts(const vx_h5 *h5, hid_t object, const char *key,
                                  const vx_h5_array *array, vx_pool *texts) {
    size_t count = (size_t)array->count;
    long long *numbers = vx_alloc(count, sizeof *numbers);
    if (!numbers) return vx_fail_memory(count, sizeof *numbers, h5->path);
    vindex_status status = VINDEX_OK;
    if (read_whole(object, H5T_NATIVE_LLONG, numbers) < 0)
        status = vx_h5_fail(h5, key, "reading its numbers");
    for (size_t i = 0; i < count && status == VINDEX_OK; i++) {
        char text[24];
        int length = snprintf(text, sizeof text, "%lld", numbers[i]);
        if (!vx_pool_add(texts, text, (size_t)length))
            status = vx_fail_memory(count, sizeof text, h5->path);
    }
    vx_free(numbers);
    return status;
}

bool vx_h5_is_texts(const vx_h5_array *array) {
    bool whole = array->kind == VX_H5_NUMBERS && array->dtype >= VINDEX_I8;
    return (array->kind == VX_H5_TEXT || whole) && array->rank <= 1;
}

static vindex_status array_texts(vx_h5 *h5, hid_t object, const char *key, vx_pool *texts) {
    vx_h5_array array;
    vx_h5_describe(object, &array);
    haddr_t place = HADDR_UNDEF;
    if (H5Iget_type(object) == H5I_DATASET) {
        VX_TRY(vx_h5_check(h5, object, key, &array, &place));
    } else if (array.count > h5->length / VX_MAX(array.size, (size_t)1)) {
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: the attribute '%s' is said to have more bytes than the file; it is "
                       "damaged",
                       h5->path, key);
    }
    if (array.kind == VX_H5_NUMBERS) return number_texts(h5, object, key, &array, texts);
    hid_t type = H5Iget_type(object) == H5I_ATTR ? H5Aget_type(object) : H5Dget_type(object);
    if (type < 0) return vx_h5_fail(h5, key, "reading its type");
    /* The type of the file is the type in memory, so that bytes come as they are. */
    vindex_status status =
        H5Tis_variable_str(type) > 0
            ? varying_texts(h5, object, key, type, place, (size_t)array.count, texts)
            : fixed_texts(h5, object, key, type, &array, texts);
    H5Tclose(type);
    return status;
}

static vindex_status list_texts(vx_h5 *h5, hid_t group, const char *key, vx_pool *texts) {
    vindex_status status = VINDEX_OK;
    vx_h5_array list;
    vx_h5_describe(group, &list);
    for (hsize_t i = 0; i < list.count && status == VINDEX_OK; i++) {
        char name[24];
        snprintf(name, sizeof name, "i%llu", (unsigned long long)i);
        hid_t item = H5Aopen(group, name, H5P_DEFAULT);
        if (item < 0) return vx_h5_fail(h5, key, "reading its texts");
        vx_h5_array array;
        vx_h5_describe(item, &array);
        status = array.count == 1 && vx_h5_is_texts(&array)
                     ? array_texts(h5, item, key, texts)
                     : vx_fail(VINDEX_ERR_FORMAT, "%s: '%s' is no list of single texts: see '%s'",
                               h5->path, key, name);
        H5Aclose(item);
    }
    return status;
}

vindex_status vx_h5_texts(vx_h5 *h5, hid_t object, const char *key, vx_pool *texts) {
    vx_h5_array array;
    vx_h5_describe(object, &array);
    if (!vx_h5_is_texts(&array))
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: '%s' is no list of texts or whole numbers; name one that is", h5->path,
                       key);
    if (H5Iget_type(object) == H5I_GROUP) return list_texts(h5, object, key, texts);
    return array_texts(h5, object, key, texts);
}
