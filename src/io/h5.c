/* The thin layer over libhdf5. A file may be hostile: links that leave it, filters, layouts and
 * sizes are looked at before anything is read or allocated. */
#include "h5.h"

#include <pthread.h>
#include <stdio.h>

#include "text.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void be_silent(void) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* Damaged files leave things in HDF5's memory that it complains of at the end of the process,
 * unless errors are silent. What is registered last runs first: before HDF5's own end. */
static void begin_once(void) {
    H5open();
    atexit(be_silent);
}

void vx_h5_enter(vx_h5 *h5) {
    pthread_once(&once, begin_once);
    pthread_mutex_lock(&mutex);
    H5Eget_auto2(H5E_DEFAULT, &h5->print, &h5->print_context);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void vx_h5_leave(vx_h5 *h5) {
    H5Eset_auto2(H5E_DEFAULT, h5->print, h5->print_context);
    pthread_mutex_unlock(&mutex);
}

/* ---- errors ---- */

/* The first entry is the innermost. */
static herr_t keep_reason(unsigned n, const H5E_error2_t *error, void *reason) {
    if (n == 0 && error->desc) vx_excerpt(error->desc, strlen(error->desc), reason);
    return 0;
}

vindex_status vx_h5_fail(const vx_h5 *h5, const char *key, const char *asked) {
    char reason[VX_EXCERPT] = "no reason given", name[VX_EXCERPT];
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_reason, reason);
    if (!key)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: %s: HDF5 says '%s'; it was cut, is damaged or is another file",
                       h5->path, asked, reason);
    return vx_fail(VINDEX_ERR_FORMAT, "%s: '%s': %s: HDF5 says '%s'; the file is damaged", h5->path,
                   vx_excerpt(key, strlen(key), name), asked, reason);
}

/* ---- files and links ---- */

/* Called for each link into another file: notes it and refuses. */
static herr_t refuse_external(const char *group, const char *link, const char *file,
                              const char *object, unsigned *flags, hid_t access, void *met) {
    (void)group, (void)link, (void)file, (void)object, (void)flags, (void)access;
    *(bool *)met = true;
    return -1;
}

vindex_status vx_h5_open(vx_h5 *h5) {
    h5->file = h5->access = H5I_INVALID_HID;
    h5->access = H5Pcreate(H5P_DATASET_ACCESS);
    hid_t how = H5Pcreate(H5P_FILE_ACCESS);
    bool ready = h5->access >= 0 && how >= 0 &&
                 H5Pset_elink_cb(h5->access, refuse_external, &h5->external_link) >= 0 &&
                 /* Locks would fail on file systems that have none; nothing is written here. */
                 H5Pset_file_locking(how, false, true) >= 0 &&
                 /* Whatever was opened goes with the file. */
                 H5Pset_fclose_degree(how, H5F_CLOSE_STRONG) >= 0;
    if (ready) h5->file = H5Fopen(h5->path, H5F_ACC_RDONLY, how);
    vindex_status status =
        h5->file >= 0 ? VINDEX_OK : vx_h5_fail(h5, NULL, "opening it as an HDF5 file");
    if (how >= 0) H5Pclose(how);
    return status;
}

void vx_h5_close(vx_h5 *h5) {
    if (h5->file >= 0) H5Fclose(h5->file);
    if (h5->access >= 0) H5Pclose(h5->access);
    h5->file = h5->access = H5I_INVALID_HID;
}

vindex_status vx_h5_find(vx_h5 *h5, hid_t from, const char *key, hid_t *object) {
    char name[VX_EXCERPT];
    h5->external_link = false;
    *object = H5Oopen(from, key, h5->access);
    if (*object >= 0) return VINDEX_OK;
    vx_excerpt(key, strlen(key), name);
    if (h5->external_link)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: '%s' is a link into another file, which is not followed; name that "
                       "file instead, or copy the data",
                       h5->path, name);
    return vx_fail(VINDEX_ERR_NOT_FOUND, "%s: '%s': nothing in the file is found by that name",
                   h5->path, name);
}

/* ---- what is there ---- */

/* The texts of half precision: IEEE's and bfloat16, told by where their bits are. */
static bool half_of(hid_t type, vindex_dtype *dtype) {
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
    if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0)
        return false;
    if (sign != 15 || mantissa != 0 || exponent != mantissa_bits || H5Tget_offset(type) != 0 ||
        H5Tget_norm(type) != H5T_NORM_IMPLIED)
        return false;
    bool half = exponent_bits == 5 && mantissa_bits == 10 && H5Tget_ebias(type) == 15;
    bool bfloat = exponent_bits == 8 && mantissa_bits == 7 && H5Tget_ebias(type) == 127;
    *dtype = half ? VINDEX_F16 : VINDEX_BF16;
    return half || bfloat;
}

static bool float_of(hid_t type, vx_h5_array *array) {
    bool big = array->big_endian;
    switch (array->size) {
    case 2:
        return half_of(type, &array->dtype);
    case 4:
        array->dtype = VINDEX_F32;
        return H5Tequal(type, big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE) > 0;
    case 8:
        array->dtype = VINDEX_F64;
        return H5Tequal(type, big ? H5T_IEEE_F64BE : H5T_IEEE_F64LE) > 0;
    default:
        return false;
    }
}

static bool integer_of(hid_t type, vx_h5_array *array) {
    bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
    if (H5Tget_precision(type) != 8 * array->size) return false;
    switch (array->size) {
    case 1:
        array->dtype = is_signed ? VINDEX_I8 : VINDEX_U8;
        return true;
    case 2:
        array->dtype = is_signed ? VINDEX_I16 : VINDEX_U16;
        return true;
    case 4:
        array->dtype = VINDEX_I32;
        return is_signed;
    case 8:
        array->dtype = VINDEX_I64;
        return is_signed;
    default:
        return false;
    }
}

static void describe_type(hid_t type, vx_h5_array *array) {
    array->kind = VX_H5_OTHER;
    array->size = H5Tget_size(type);
    array->big_endian = H5Tget_order(type) == H5T_ORDER_BE;
    bool ordered = array->big_endian || H5Tget_order(type) == H5T_ORDER_LE;
    switch (H5Tget_class(type)) {
    case H5T_FLOAT:
        if (ordered && float_of(type, array)) array->kind = VX_H5_NUMBERS;
        array->what = "floating-point numbers other than f16 bf16 f32 f64";
        return;
    case H5T_INTEGER:
        if (ordered && integer_of(type, array)) array->kind = VX_H5_NUMBERS;
        array->what = "integers other than i8 u8 i16 u16 i32 i64";
        return;
    case H5T_STRING:
        array->kind = VX_H5_TEXT;
        return;
    case H5T_COMPOUND:
        array->what = "records of several fields (a compound type)";
        return;
    case H5T_VLEN:
        array->what = "rows of different lengths (a variable-length type)";
        return;
    case H5T_ENUM:
        array->what = "truth values or an enumeration";
        return;
    default:
        array->what = "neither numbers nor text";
    }
}

static void describe_shape(hid_t space, vx_h5_array *array) {
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 0 || rank > 3 || H5Sget_simple_extent_type(space) == H5S_NULL) {
        array->kind = VX_H5_OTHER;
        array->what = rank > 3 ? "an array of more than 3 dimensions" : "nothing";
        return;
    }
    array->rank = rank;
    H5Sget_simple_extent_dims(space, array->shape, NULL);
    array->count = 1;
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(array->count, array->shape[i], &array->count)) {
            array->kind = VX_H5_OTHER;
            array->what = "a shape that no file can hold";
        }
}

/* deepdish keeps a list as a group with the children i0, i1, ..., or with attributes of these names
 * where they are texts. */
static void describe_group(hid_t group, vx_h5_array *array) {
    H5G_info_t info;
    char name[24] = "i0";
    array->rank = 1;
    if (H5Lexists(group, name, H5P_DEFAULT) > 0 && H5Gget_info(group, &info) >= 0) {
        array->kind = VX_H5_LIST;
        array->count = array->shape[0] = info.nlinks;
        return;
    }
    while (H5Aexists(group, name) > 0) {
        array->kind = VX_H5_TEXT;
        array->shape[0] = ++array->count;
        snprintf(name, sizeof name, "i%llu", (unsigned long long)array->count);
    }
}

void vx_h5_describe(hid_t object, vx_h5_array *array) {
    *array = (vx_h5_array){.kind = VX_H5_OTHER, .what = "a group"};
    H5I_type_t is = H5Iget_type(object);
    if (is == H5I_GROUP) describe_group(object, array);
    if (is != H5I_DATASET && is != H5I_ATTR) return;
    bool set = is == H5I_DATASET;
    hid_t type = set ? H5Dget_type(object) : H5Aget_type(object);
    hid_t space = set ? H5Dget_space(object) : H5Aget_space(object);
    array->what = "a type that cannot be read";
    if (type >= 0) describe_type(type, array);
    if (space >= 0) describe_shape(space, array);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
}

/* ---- whether it can be read ---- */

static vindex_status check_filters(const vx_h5 *h5, hid_t plist, const char *name) {
    static const struct {
        H5Z_filter_t id;
        const char *name;
    } known[] = {{307, "bzip2"},        {32000, "LZF"}, {32001, "Blosc"},     {32004, "LZ4"},
                 {32008, "bitshuffle"}, {32013, "ZFP"}, {32015, "Zstandard"}, {32026, "Blosc2"}};
    int count = H5Pget_nfilters(plist);
    for (int i = 0; i < count; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t id =
            H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (id >= 0 && H5Zfilter_avail(id) > 0) continue;
        const char *filter = "a filter without a known name";
        for (size_t k = 0; k < VX_COUNT(known); k++)
            if (known[k].id == id) filter = known[k].name;
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: '%s' is compressed with %s (HDF5 filter %d), and HDF5 finds no plugin "
                       "for it here; install the plugin and set HDF5_PLUGIN_PATH, or save the file "
                       "with gzip",
                       h5->path, name, filter, (int)id);
    }
    return VINDEX_OK;
}

/* A file of a few bytes may say that it holds any number of equal values. Deflate packs at most
 * 1032 to 1; what would unfold more, beyond a size that does no harm, is no embeddings. */
static vindex_status check_size(const vx_h5 *h5, hid_t set, hid_t plist, const char *name,
                                const vx_h5_array *array) {
    enum { RATIO = 1100, CHUNK_RANK = 32 };
    const hsize_t harmless = 64 << 20, most_chunk = (hsize_t)1 << 30;
    hsize_t declared, unfolded, stored = H5Dget_storage_size(set);
    if (__builtin_mul_overflow(array->count, (hsize_t)array->size, &declared) ||
        stored > h5->length)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: '%s' is said to have more bytes than the file's %zu; it was cut or is "
                       "damaged",
                       h5->path, name, h5->length);
    if (array->count && !stored)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: '%s' has a shape, but nothing was ever written to it; write the file "
                       "again",
                       h5->path, name);
    if (H5Pget_layout(plist) != H5D_CHUNKED) {
        if (stored >= declared) return VINDEX_OK;
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: '%s' needs %llu bytes but has %llu; the file was cut or is damaged",
                       h5->path, name, (unsigned long long)declared, (unsigned long long)stored);
    }
    hsize_t chunk[CHUNK_RANK], bytes = array->size;
    int rank = H5Pget_chunk(plist, CHUNK_RANK, chunk);
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(bytes, chunk[i], &bytes)) bytes = HSIZE_UNDEF;
    unfolded = stored * RATIO; /* cannot overflow: stored bytes are in a file */
    if (VX_MAX(declared, bytes) > VX_MAX(harmless, unfolded) || bytes > most_chunk)
        return vx_fail(
            VINDEX_ERR_FORMAT,
            "%s: '%s' would unfold %llu stored bytes to %llu, in chunks of %llu; that is "
            "more than compression does, or chunks over 1 GB: save it again",
            h5->path, name, (unsigned long long)stored, (unsigned long long)declared,
            (unsigned long long)bytes);
    return VINDEX_OK;
}

static vindex_status check_layout(vx_h5 *h5, hid_t set, hid_t plist, const char *name,
                                  const vx_h5_array *array, haddr_t *place) {
    H5D_layout_t layout = H5Pget_layout(plist);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(plist) > 0)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: '%s' keeps its numbers in other files, which are not followed; copy "
                       "them into one file (h5repack does)",
                       h5->path, name);
    VX_TRY(check_filters(h5, plist, name));
    VX_TRY(check_size(h5, set, plist, name, array));
    if (layout != H5D_CONTIGUOUS || !array->count) return VINDEX_OK;
    haddr_t at = H5Dget_offset(set);
    size_t bytes = (size_t)array->count * array->size; /* no more than stored */
    if (at == HADDR_UNDEF || at > h5->length || bytes > h5->length - at)
        return vx_fail(VINDEX_ERR_FORMAT, "%s: '%s' lies outside the file; it was cut", h5->path,
                       name);
    *place = at;
    return VINDEX_OK;
}

vindex_status vx_h5_check(vx_h5 *h5, hid_t set, const char *key, const vx_h5_array *array,
                          haddr_t *place) {
    char name[VX_EXCERPT];
    vx_excerpt(key, strlen(key), name);
    *place = HADDR_UNDEF;
    hid_t plist = H5Dget_create_plist(set);
    if (plist < 0) return vx_h5_fail(h5, key, "reading its layout");
    vindex_status status = check_layout(h5, set, plist, name, array, place);
    H5Pclose(plist);
    return status;
}

vindex_status vx_h5_set_cache(vx_h5 *h5, const char *key, const vx_h5_array *array, hid_t *set) {
    enum { SLOTS = 12421, CACHE_MOST = 128 << 20 }; /* a prime, as HDF5 advises */
    hsize_t chunk[3];
    hid_t plist = H5Dget_create_plist(*set);
    bool chunked = plist >= 0 && H5Pget_layout(plist) == H5D_CHUNKED &&
                   H5Pget_chunk(plist, 3, chunk) == array->rank;
    if (plist >= 0) H5Pclose(plist);
    if (!chunked) return VINDEX_OK;
    /* A band is all chunks that one row runs through; sizes were checked with the layout. */
    size_t one = array->size, band = 1;
    for (int i = 0; i < array->rank; i++) {
        one *= chunk[i];
        if (i) band *= (array->shape[i] + chunk[i] - 1) / chunk[i];
    }
    size_t bytes = one;
    if (!vx_mul(one, band, &bytes) || bytes > CACHE_MOST) bytes = VX_MAX(one, (size_t)CACHE_MOST);
    H5Dclose(*set);
    *set = H5I_INVALID_HID;
    if (H5Pset_chunk_cache(h5->access, SLOTS, bytes, 1.0) >= 0)
        *set = H5Dopen2(h5->file, key, h5->access);
    return *set >= 0 ? VINDEX_OK : vx_h5_fail(h5, key, "opening it");
}

/* ---- listing ---- */

enum { MEMBERS_MOST = 1000 };

typedef struct listing {
    vx_h5_members *members;
    bool out_of_memory;
} listing;

/* Whether the name lies in the group listed last, which is a list. */
static bool in_list(const vx_h5_members *members, const char *name) {
    for (size_t i = members->count; i--;) {
        if (members->items[i].array.kind != VX_H5_LIST) continue;
        const char *list = vx_pool_get(&members->names, members->items[i].name);
        size_t length = strlen(list);
        if (!strncmp(name, list, length) && name[length] == '/') return true;
    }
    return false;
}

static herr_t list_one(hid_t root, const char *name, const H5O_info_t *info, void *context) {
    listing *list = context;
    vx_h5_members *members = list->members;
    if (info->type != H5O_TYPE_DATASET && info->type != H5O_TYPE_GROUP) return 0;
    if (!strcmp(name, ".") || in_list(members, name)) return 0;
    hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    if (object < 0) return 0; /* damaged: what can be read is listed */
    vx_h5_member member = {.name = members->names.count};
    vx_h5_describe(object, &member.array);
    H5Oclose(object);
    if (info->type == H5O_TYPE_GROUP && member.array.kind == VX_H5_OTHER) return 0;
    members->more = members->count == MEMBERS_MOST;
    if (members->more) return 1;
    list->out_of_memory = !vx_grow((void **)&members->items, &members->capacity, members->count + 1,
                                   sizeof *members->items) ||
                          !vx_pool_add(&members->names, name, strlen(name));
    if (list->out_of_memory) return 1;
    members->items[members->count++] = member;
    return 0;
}

vindex_status vx_h5_list(vx_h5 *h5, vx_h5_members *members) {
    listing list = {members, false};
    herr_t answer =
        H5Ovisit2(h5->file, H5_INDEX_NAME, H5_ITER_INC, list_one, &list, H5O_INFO_BASIC);
    if (list.out_of_memory) return vx_fail_memory(members->count, sizeof *members->items, h5->path);
    return answer < 0 ? vx_h5_fail(h5, NULL, "listing what it holds") : VINDEX_OK;
}

void vx_h5_members_free(vx_h5_members *members) {
    vx_pool_free(&members->names);
    vx_free(members->items);
    *members = (vx_h5_members){0};
}

const char *vx_h5_words(const char *name, const vx_h5_array *array, char words[VX_H5_WORDS]) {
    char excerpt[VX_EXCERPT] = "", shape[72] = "";
    if (name) vx_excerpt(name, strlen(name), excerpt);
    for (int i = 0, used = 0; i < array->rank; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, "%llu%s",
                         (unsigned long long)array->shape[i], i + 1 < array->rank ? " x " : " ");
    const char *what = array->kind == VX_H5_NUMBERS ? vindex_dtype_name(array->dtype)
                       : array->kind == VX_H5_TEXT  ? "texts"
                       : array->kind == VX_H5_LIST  ? "members in a list"
                                                    : array->what;
    snprintf(words, VX_H5_WORDS, name ? "%s (%s%s)" : "%s%s%s", excerpt, shape, what);
    return words;
}
