/* .pt .pth, what torch.save writes: a pickle that names storages, and the storages. From torch 1.6
 * on both lie in a zip file, before that one behind the other (torch/serialization.py describes
 * both). The pickle is read by the strict rules of pickle.h: it can build lists, dictionaries,
 * words, numbers and tensors, and nothing else. */
#include "numbers.h"
#include "numpy.h"
#include "pickle.h"
#include "text.h"
#include "tree.h"
#include "zip.h"

#include <stdio.h>

/* ---- the names a file may say ---- */

typedef enum role {
    STORAGE,   /* a type of storage, with the type of its numbers */
    DTYPE,     /* a type of number */
    TENSOR,    /* _rebuild_tensor, _v2: storage, offset, size, stride, ... */
    TENSOR_V3, /* the same with a dtype for a storage without */
    PARAMETER, /* its first argument */
    FROM_TYPE, /* function, type, arguments, attributes */
    TYPE,      /* a type of tensor, for FROM_TYPE */
    SIZE,      /* torch.Size: its first argument */
    DEVICE,    /* no one reads it */
    ORDERED,   /* OrderedDict */
    NUMPY,     /* what numpy.h knows */
    NDARRAY    /* the class of arrays */
} role;

typedef struct meaning {
    role role;
    uint8_t size; /* of a number */
    bool numeric; /* dtype holds */
    vindex_dtype dtype;
    vx_numpy_call numpy;
} meaning;

static const meaning tensor = {.role = TENSOR}, tensor_v3 = {.role = TENSOR_V3},
                     parameter = {.role = PARAMETER}, from_type = {.role = FROM_TYPE},
                     tensor_type = {.role = TYPE}, size_type = {.role = SIZE},
                     device = {.role = DEVICE}, ordered = {.role = ORDERED},
                     ndarray = {.role = NDARRAY},
                     numpy_dtype = {.role = NUMPY, .numpy = VX_NUMPY_DTYPE},
                     reconstruct = {.role = NUMPY, .numpy = VX_NUMPY_RECONSTRUCT},
                     from_buffer = {.role = NUMPY, .numpy = VX_NUMPY_BUFFER},
                     scalar = {.role = NUMPY, .numpy = VX_NUMPY_SCALAR},
                     encode = {.role = NUMPY, .numpy = VX_NUMPY_ENCODE},
                     no_bytes = {.role = NUMPY, .numpy = VX_NUMPY_BYTES};

static const vx_pickle_name names[] = {
    {"torch", "FloatStorage", &(const meaning){STORAGE, 4, true, VINDEX_F32, 0}},
    {"torch", "DoubleStorage", &(const meaning){STORAGE, 8, true, VINDEX_F64, 0}},
    {"torch", "HalfStorage", &(const meaning){STORAGE, 2, true, VINDEX_F16, 0}},
    {"torch", "BFloat16Storage", &(const meaning){STORAGE, 2, true, VINDEX_BF16, 0}},
    {"torch", "ByteStorage", &(const meaning){STORAGE, 1, true, VINDEX_U8, 0}},
    {"torch", "CharStorage", &(const meaning){STORAGE, 1, true, VINDEX_I8, 0}},
    {"torch", "ShortStorage", &(const meaning){STORAGE, 2, true, VINDEX_I16, 0}},
    {"torch", "IntStorage", &(const meaning){STORAGE, 4, true, VINDEX_I32, 0}},
    {"torch", "LongStorage", &(const meaning){STORAGE, 8, true, VINDEX_I64, 0}},
    {"torch", "BoolStorage", &(const meaning){STORAGE, 1, false, VINDEX_U8, 0}},
    {"torch", "ComplexFloatStorage", &(const meaning){STORAGE, 8, false, VINDEX_F32, 0}},
    {"torch", "ComplexDoubleStorage", &(const meaning){STORAGE, 16, false, VINDEX_F32, 0}},
    {"torch.storage", "UntypedStorage", &(const meaning){STORAGE, 1, false, VINDEX_U8, 0}},
    {"torch", "float32", &(const meaning){DTYPE, 4, true, VINDEX_F32, 0}},
    {"torch", "float64", &(const meaning){DTYPE, 8, true, VINDEX_F64, 0}},
    {"torch", "float16", &(const meaning){DTYPE, 2, true, VINDEX_F16, 0}},
    {"torch", "bfloat16", &(const meaning){DTYPE, 2, true, VINDEX_BF16, 0}},
    {"torch", "uint8", &(const meaning){DTYPE, 1, true, VINDEX_U8, 0}},
    {"torch", "int8", &(const meaning){DTYPE, 1, true, VINDEX_I8, 0}},
    {"torch", "int16", &(const meaning){DTYPE, 2, true, VINDEX_I16, 0}},
    {"torch", "uint16", &(const meaning){DTYPE, 2, true, VINDEX_U16, 0}},
    {"torch", "int32", &(const meaning){DTYPE, 4, true, VINDEX_I32, 0}},
    {"torch", "int64", &(const meaning){DTYPE, 8, true, VINDEX_I64, 0}},
    {"torch", "uint32", &(const meaning){DTYPE, 4, false, VINDEX_F32, 0}},
    {"torch", "uint64", &(const meaning){DTYPE, 8, false, VINDEX_F32, 0}},
    {"torch", "bool", &(const meaning){DTYPE, 1, false, VINDEX_U8, 0}},
    {"torch._utils", "_rebuild_tensor", &tensor},
    {"torch._utils", "_rebuild_tensor_v2", &tensor},
    {"torch._utils", "_rebuild_tensor_v3", &tensor_v3},
    {"torch._utils", "_rebuild_parameter", &parameter},
    {"torch._utils", "_rebuild_parameter_with_state", &parameter},
    {"torch._tensor", "_rebuild_from_type_v2", &from_type},
    {"torch", "Tensor", &tensor_type},
    {"torch._tensor", "Tensor", &tensor_type},
    {"torch.nn.parameter", "Parameter", &tensor_type},
    {"torch", "Size", &size_type},
    {"torch", "device", &device},
    {"collections", "OrderedDict", &ordered},
    {"numpy", "ndarray", &ndarray},
    {"numpy", "dtype", &numpy_dtype},
    {"numpy.core.multiarray", "_reconstruct", &reconstruct},
    {"numpy._core.multiarray", "_reconstruct", &reconstruct},
    {"numpy.core.multiarray", "scalar", &scalar},
    {"numpy._core.multiarray", "scalar", &scalar},
    {"numpy.core.numeric", "_frombuffer", &from_buffer},
    {"numpy._core.numeric", "_frombuffer", &from_buffer},
    {"_codecs", "encode", &encode},
    {"__builtin__", "bytes", &no_bytes},
    {"builtins", "bytes", &no_bytes},
};

/* A file being read. */
typedef struct archive {
    vx_tree *tree;
    vx_zip *zip;      /* NULL: the old container */
    const char *root; /* the folder in the zip file, with its slash */
    size_t root_length;
    vx_names keys; /* of storages */
    struct storage {
        vx_blob *blob;
        const meaning *type;
    } * storages; /* by the number of their key */
    size_t count, capacity;
} archive;

static void archive_free(archive *a) {
    vx_names_free(&a->keys);
    vx_free(a->storages);
}

static vindex_status fail_odd(const archive *a, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: it describes %s otherwise than torch.save does; the file is damaged",
                   a->tree->path, what);
}

/* ---- storages ---- */

/* The entry root/name. */
static bool find_entry(const archive *a, const char *name, size_t length, size_t *entry) {
    char path[512];
    if (a->root_length + length >= sizeof path) return false;
    memcpy(path, a->root, a->root_length);
    memcpy(path + a->root_length, name, length);
    path[a->root_length + length] = 0;
    return vx_zip_find(a->zip, path, entry);
}

static vindex_status fail_storage(const archive *a, const char *key, size_t has, size_t needs) {
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: storage '%s' has %zu bytes where its tensors need %zu; the file was cut or "
                   "is damaged",
                   a->tree->path, key, has, needs);
}

/* The blob of a storage that is named for the first time. In the old container it is filled when
 * the pickle has been read. */
static vindex_status find_blob(const archive *a, const char *key, size_t bytes, vx_blob **blob) {
    if (!a->zip) {
        *blob = vx_tree_blob(a->tree);
        if (!*blob) return vx_tree_fail(a->tree);
        (*blob)->length = bytes;
        return VINDEX_OK;
    }
    char name[64];
    size_t entry;
    int length = snprintf(name, sizeof name, "data/%s", key);
    if (length >= (int)sizeof name || !find_entry(a, name, (size_t)length, &entry))
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: storage '%.40s' is missing; the file was cut or is damaged",
                       a->tree->path, key);
    VX_TRY(vx_zip_blob(a->zip, entry, a->tree, blob));
    return (*blob)->length == bytes ? VINDEX_OK : fail_storage(a, key, (*blob)->length, bytes);
}

static vindex_status add_storage(archive *a, const char *key, const meaning *type, size_t bytes) {
    if (!vx_grow((void **)&a->storages, &a->capacity, a->count + 1, sizeof *a->storages))
        return vx_fail_memory(a->count + 1, sizeof *a->storages, a->tree->path);
    a->storages[a->count] = (struct storage){NULL, type};
    VX_TRY(find_blob(a, key, bytes, &a->storages[a->count].blob));
    a->count++;
    return VINDEX_OK;
}

static bool is_text(const vx_value *value, const char *text) {
    return value->kind == VX_TEXT && value->length == strlen(text) &&
           !memcmp(value->text, text, value->length);
}

/* ('storage', type, key, place, numbers[, view]) */
static vindex_status persistent(void *context, const vx_value *id, vx_value **result) {
    archive *a = context;
    if (id->kind != VX_TUPLE || id->count < 5 || !is_text(id->items[0], "storage") ||
        id->items[1]->kind != VX_GLOBAL || id->items[2]->kind != VX_TEXT ||
        id->items[4]->kind != VX_INT || id->items[4]->integer < 0)
        return fail_odd(a, "a storage");
    if (id->count > 5 && id->items[5]->kind != VX_NONE)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: it holds views of storages as torch before 0.4 wrote them; load and "
                       "save it with a newer torch",
                       a->tree->path);
    const meaning *type = id->items[1]->name->meaning;
    size_t bytes;
    if (type->role != STORAGE || !vx_mul((size_t)id->items[4]->integer, type->size, &bytes))
        return fail_odd(a, "a storage");
    const vx_value *key = id->items[2];
    int32_t number;
    if (memchr(key->text, 0, key->length)) return fail_odd(a, "a storage");
    if (!vx_names_number(&a->keys, key->text, key->length, &number))
        return vx_fail_memory(key->length, 1, a->tree->path);
    if ((size_t)number == a->count)
        VX_TRY(add_storage(a, vx_pool_get(&a->keys.pool, (size_t)number), type, bytes));
    const struct storage *storage = &a->storages[number];
    if (storage->blob->length != bytes || storage->type->size != type->size)
        return fail_storage(a, vx_pool_get(&a->keys.pool, (size_t)number), storage->blob->length,
                            bytes);
    *result = vx_value_new(a->tree, VX_STORAGE);
    if (!*result) return vx_tree_fail(a->tree);
    (*result)->blob = storage->blob;
    (*result)->type = id->items[1]->name;
    return VINDEX_OK;
}

/* ---- calls ---- */

/* size and stride: whole numbers from 0, as many of one as of the other. */
static vindex_status read_shape(const archive *a, const vx_value *size, const vx_value *stride,
                                vx_array *array) {
    if (!vx_is_list(size) || !vx_is_list(stride) || size->count != stride->count)
        return fail_odd(a, "a tensor");
    if (size->count > VX_ARRAY_DIMENSIONS)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: a tensor of %zu dimensions: %d at most are read; reshape it",
                       a->tree->path, size->count, VX_ARRAY_DIMENSIONS);
    array->dimensions = size->count;
    for (size_t i = 0; i < size->count; i++) {
        const vx_value *n = size->items[i], *step = stride->items[i];
        if (n->kind != VX_INT || step->kind != VX_INT || n->integer < 0 || step->integer < 0 ||
            !vx_mul((size_t)step->integer, array->size, &array->strides[i]))
            return fail_odd(a, "a tensor");
        array->shape[i] = (size_t)n->integer;
    }
    return VINDEX_OK;
}

static vindex_status make_tensor(const archive *a, const vx_value *arguments, bool with_dtype,
                                 vx_value **result) {
    enum { DTYPE_PLACE = 6 };
    vx_value *const *items = arguments->items;
    if (arguments->count < 4 || items[0]->kind != VX_STORAGE || items[1]->kind != VX_INT ||
        items[1]->integer < 0)
        return fail_odd(a, "a tensor");
    const vx_pickle_name *type = items[0]->type;
    if (with_dtype) {
        if (arguments->count <= DTYPE_PLACE || items[DTYPE_PLACE]->kind != VX_GLOBAL)
            return fail_odd(a, "a tensor");
        type = items[DTYPE_PLACE]->name;
        if (((const meaning *)type->meaning)->role != DTYPE) return fail_odd(a, "a tensor");
    }
    const meaning *numbers = type->meaning;
    vx_array array = {.blob = items[0]->blob,
                      .size = numbers->size,
                      .type = numbers->numeric ? vindex_dtype_name(numbers->dtype) : type->name,
                      .numeric = numbers->numeric,
                      .dtype = numbers->dtype};
    if (!vx_mul((size_t)items[1]->integer, array.size, &array.offset))
        return fail_odd(a, "a tensor");
    VX_TRY(read_shape(a, items[2], items[3], &array));
    return vx_tree_array(a->tree, &array, result);
}

/* OrderedDict(), or of a list of pairs. */
static vindex_status make_dict(const archive *a, const vx_value *arguments, vx_value **result) {
    *result = vx_value_new(a->tree, VX_DICT);
    if (!*result) return vx_tree_fail(a->tree);
    if (!arguments->count) return VINDEX_OK;
    const vx_value *pairs = arguments->items[0];
    if (!vx_is_list(pairs)) return fail_odd(a, "a dictionary");
    for (size_t i = 0; i < pairs->count; i++) {
        const vx_value *pair = pairs->items[i];
        if (!vx_is_list(pair) || pair->count != 2) return fail_odd(a, "a dictionary");
        if (!vx_value_append(a->tree, *result, pair->items[0]) ||
            !vx_value_append(a->tree, *result, pair->items[1]))
            return vx_tree_fail(a->tree);
    }
    return VINDEX_OK;
}

static vindex_status call(void *context, const vx_pickle_name *name, const vx_value *arguments,
                          vx_value **result) {
    const archive *a = context;
    const meaning *callee = name->meaning;
    const vx_value *first = arguments->count ? arguments->items[0] : NULL;
    /* A subclass of tensor is the tensor it is made from; its attributes do not matter. */
    if (callee->role == FROM_TYPE) {
        if (arguments->count < 3 || first->kind != VX_GLOBAL ||
            arguments->items[1]->kind != VX_GLOBAL || arguments->items[2]->kind != VX_TUPLE ||
            ((const meaning *)arguments->items[1]->name->meaning)->role != TYPE)
            return fail_odd(a, "a tensor");
        callee = first->name->meaning;
        arguments = arguments->items[2];
        first = arguments->count ? arguments->items[0] : NULL;
    }
    switch (callee->role) {
    case TENSOR:
    case TENSOR_V3:
        return make_tensor(a, arguments, callee->role == TENSOR_V3, result);
    case PARAMETER:
        if (!first || first->kind != VX_ARRAY) return fail_odd(a, "a parameter");
        *result = arguments->items[0];
        return VINDEX_OK;
    case SIZE:
        if (!first || !vx_is_list(first)) return fail_odd(a, "a size");
        *result = arguments->items[0];
        return VINDEX_OK;
    case ORDERED:
        return make_dict(a, arguments, result);
    case NUMPY:
        return vx_numpy_make(a->tree, callee->numpy, arguments, result);
    case DEVICE:
        *result = vx_value_new(a->tree, VX_NONE);
        return *result ? VINDEX_OK : vx_tree_fail(a->tree);
    default:
        return fail_odd(a, "a value");
    }
}

static vindex_status build(void *context, vx_value *object, const vx_value *state) {
    const archive *a = context;
    return vx_numpy_complete(a->tree, object, state);
}

static vindex_status read_pickle(archive *a, const unsigned char *bytes, size_t length,
                                 size_t *used, vx_value **value) {
    const vx_pickle_rules rules = {
        .names = names,
        .name_count = VX_COUNT(names),
        .call = call,
        .build = build,
        .persistent = persistent,
        .context = a,
    };
    a->tree->latin1_left = length;
    return vx_pickle_read(a->tree, bytes, length, &rules, used, value);
}

/* ---- the zip container ---- */

/* Finds folder/data.pkl, which is there once. */
static vindex_status find_root(archive *a, size_t *entry) {
    static const char wanted[] = "/data.pkl";
    size_t found = 0;
    for (size_t i = 0; i < vx_zip_count(a->zip); i++) {
        const char *name = vx_zip_get(a->zip, i)->name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash, wanted) != 0) continue;
        a->root = name;
        a->root_length = (size_t)(slash + 1 - name);
        *entry = i;
        found++;
    }
    if (found == 1) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: a zip file with %zu members named data.pkl, where torch.save writes one; "
                   "it is another file",
                   a->tree->path, found);
}

/* From torch 2.1 on the file says its byte order; before, it did not matter to torch. */
static vindex_status check_order(const archive *a) {
    static const char little[] = "little";
    size_t entry;
    if (!find_entry(a, "byteorder", strlen("byteorder"), &entry)) return VINDEX_OK;
    char order[sizeof little] = "";
    size_t length = vx_zip_get(a->zip, entry)->size;
    if (length < sizeof order) VX_TRY(vx_zip_read(a->zip, entry, length, (unsigned char *)order));
    if (!strcmp(order, little)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: its numbers are big-endian; save it on a little-endian machine",
                   a->tree->path);
}

static vindex_status read_zip(archive *a) {
    size_t entry = 0, used = 0;
    vx_blob *pickle;
    VX_TRY(find_root(a, &entry));
    VX_TRY(check_order(a));
    VX_TRY(vx_zip_blob(a->zip, entry, a->tree, &pickle));
    if (!pickle->bytes && pickle->length > a->tree->limit) /* what is mapped takes no memory */
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: its data.pkl has %zu bytes, %zu MiB at most are read; save the "
                       "embeddings as one tensor",
                       a->tree->path, pickle->length, a->tree->limit >> 20);
    VX_TRY(vx_blob_bytes(a->tree, pickle));
    VX_TRY(read_pickle(a, pickle->bytes, pickle->length, &used, &a->tree->root));
    if (used == pickle->length) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT, "%s: its data.pkl goes on behind its end; it is damaged",
                   a->tree->path);
}

/* ---- the old container ---- */

/* The magic number, then the version of the protocol. */
static vindex_status check_magic(archive *a, const vx_map *map, size_t *at) {
    static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    enum { PROTOCOL = 1001 };
    size_t used = 0;
    vx_value *value;
    VX_TRY(read_pickle(a, map->bytes, map->length, &used, &value));
    if (value->kind != VX_BYTES || value->length != sizeof magic - 1 ||
        memcmp(value->text, magic, sizeof magic - 1) != 0)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: a pickle, but not one that torch.save wrote; load it in Python and "
                       "torch.save the tensor",
                       a->tree->path);
    *at = used;
    VX_TRY(read_pickle(a, map->bytes + *at, map->length - *at, &used, &value));
    *at += used;
    if (value->kind == VX_INT && value->integer == PROTOCOL) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_VERSION,
                   "%s: its container is not of version %d; save it with another torch",
                   a->tree->path, PROTOCOL);
}

/* What the machine that wrote the file was like. */
static vindex_status check_system(archive *a, const vx_map *map, size_t *at) {
    size_t used = 0;
    vx_value *value;
    VX_TRY(read_pickle(a, map->bytes + *at, map->length - *at, &used, &value));
    *at += used;
    const vx_value *little = NULL;
    if (value->kind == VX_DICT)
        little = vx_dict_get(a->tree, value, "little_endian", strlen("little_endian"));
    if (!little || little->kind != VX_BOOL) return fail_odd(a, "the machine it was written on");
    if (little->integer) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: its numbers are big-endian; save it on a little-endian machine",
                   a->tree->path);
}

/* A list of keys, then for each the number of its numbers and these. */
static vindex_status find_storages(archive *a, const vx_map *map, size_t at) {
    enum { COUNT = 8 };
    size_t used, found = 0;
    vx_value *keys;
    VX_TRY(read_pickle(a, map->bytes + at, map->length - at, &used, &keys));
    at += used;
    if (keys->kind != VX_LIST || keys->count != a->keys.pool.count)
        return fail_odd(a, "its storages");
    for (; found < keys->count; found++) {
        const vx_value *key = keys->items[found];
        int32_t number;
        if (key->kind != VX_TEXT) return fail_odd(a, "its storages");
        if (!vx_names_number(&a->keys, key->text, key->length, &number))
            return vx_fail_memory(key->length, 1, a->tree->path);
        if ((size_t)number >= a->count || a->storages[number].blob->bytes)
            return fail_odd(a, "its storages");
        vx_blob *blob = a->storages[number].blob;
        const char *name = vx_pool_get(&a->keys.pool, (size_t)number);
        size_t left = map->length - at;
        if (left < COUNT || left - COUNT < blob->length)
            return fail_storage(a, name, left < COUNT ? 0 : left - COUNT, blob->length);
        uint64_t count = vx_load_u32(map->bytes + at) | (uint64_t)vx_load_u32(map->bytes + at + 4)
                                                            << 32;
        if (count != blob->length / a->storages[number].type->size) return fail_odd(a, "a storage");
        blob->bytes = map->bytes + at + COUNT;
        at += COUNT + blob->length;
    }
    if (at == map->length) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT, "%s: %zu bytes follow its last storage; it is damaged",
                   a->tree->path, map->length - at);
}

static vindex_status read_legacy(archive *a, const vx_map *map) {
    size_t at = 0, used = 0;
    VX_TRY(check_magic(a, map, &at));
    VX_TRY(check_system(a, map, &at));
    VX_TRY(read_pickle(a, map->bytes + at, map->length - at, &used, &a->tree->root));
    return find_storages(a, map, at + used);
}

/* ---- the format ---- */

static vindex_status read_container(archive *a, const vx_map *map) {
    static const char zip_magic[] = "PK\3\4";
    enum { TAR_MAGIC = 257, PICKLE_MAGIC = 0x80 };
    if (map->length > TAR_MAGIC + 5 && !memcmp(map->bytes + TAR_MAGIC, "ustar", 5))
        return vx_fail(VINDEX_ERR_VERSION,
                       "%s: a tar file as torch before 0.1.10 wrote them; load and save it with a "
                       "newer torch",
                       a->tree->path);
    if (map->length > 4 && !memcmp(map->bytes, zip_magic, 4)) {
        VX_TRY(vx_zip_open(a->tree->path, map, &a->zip));
        vx_zip_feed(a->zip, a->tree);
        return read_zip(a);
    }
    if (map->length > 0 && map->bytes[0] == PICKLE_MAGIC) return read_legacy(a, map);
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: it begins neither as a zip file nor as a pickle; it was cut or torch.save "
                   "did not write it",
                   a->tree->path);
}

static vindex_status torch_tree(const vindex_embeddings *file, vx_tree *tree) {
    archive a = {.tree = tree};
    vindex_status status = read_container(&a, &file->map);
    if (status == VINDEX_OK) status = vx_tree_seal(tree);
    archive_free(&a);
    return status;
}

const vx_reader_verbs vx_torch_reader = {
    .open = vx_tree_open,
    .read = vx_tree_read,
    .close = vx_tree_close,
    .members = vx_tree_members,
    .labels = vx_tree_labels,
    .tree = torch_tree,
};
