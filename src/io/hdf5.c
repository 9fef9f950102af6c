/* .h5 and .hdf5: a data set of rows, or a group with one data set per recording, read by row
 * ranges. What lies in the file as plain numbers is read from the map and needs HDF5 no more; what
 * is in chunks goes through it, some megabytes at a time. */
#include "hdf5_state.h"

#include <stdio.h>

#include "labels.h"
#include "numbers.h"
#include "text.h"

static void reset(vindex_embeddings *file, vx_hdf5 *st) {
    if (st->set >= 0) H5Dclose(st->set);
    st->set = H5I_INVALID_HID;
    vx_free(st->parts);
    vx_pool_free(&st->names);
    *st = (vx_hdf5){.h5 = st->h5, .set = H5I_INVALID_HID};
    file->info.rows = file->info.dim = 0;
}

static void hdf5_close(vindex_embeddings *file) {
    vx_hdf5 *st = file->state;
    if (!st) return;
    vx_h5_enter(&st->h5);
    reset(file, st);
    vx_h5_close(&st->h5);
    vx_h5_leave(&st->h5);
    vx_free(st);
    file->state = NULL;
}

/* ---- choosing ---- */

static vindex_status check_rows(const vx_hdf5 *st, const char *key, const vx_h5_array *array) {
    char words[VX_H5_WORDS];
    vx_h5_words(key, array, words);
    if (array->kind != VX_H5_NUMBERS)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: %s: embeddings are a data set of numbers, f16 bf16 f32 f64 i8 u8 i16 "
                       "u16 i32 i64; choose another key",
                       st->h5.path, words);
    if (array->rank < 1)
        return vx_fail(VINDEX_ERR_UNSUPPORTED, "%s: %s is a single number; choose another key",
                       st->h5.path, words);
    hsize_t dim = array->shape[array->rank - 1];
    if (dim < 1 || dim > INT32_MAX)
        return vx_fail(VINDEX_ERR_FORMAT, "%s: %s has %llu numbers per row; 1 to %d can be read",
                       st->h5.path, words, (unsigned long long)dim, INT32_MAX);
    return VINDEX_OK;
}

/* The rows of all parts must be of one kind. */
static vindex_status check_like_first(const vindex_embeddings *file, const char *key,
                                      const vx_h5_array *array) {
    const vx_hdf5 *st = file->state;
    int64_t dim = (int64_t)array->shape[array->rank - 1];
    if (!st->count || (file->info.dim == dim && file->info.dtype == array->dtype)) return VINDEX_OK;
    char words[VX_H5_WORDS];
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: %s: rows of '%s' have %lld numbers of %s; all members must have the same",
                   st->h5.path, vx_h5_words(key, array, words), vx_pool_get(&st->names, 0),
                   (long long)file->info.dim, vindex_dtype_name(file->info.dtype));
}

static vindex_status add_set(vindex_embeddings *file, hid_t set, const char *key) {
    vx_hdf5 *st = file->state;
    vx_h5_array array;
    haddr_t place;
    vx_h5_describe(set, &array);
    VX_TRY(check_rows(st, key, &array));
    VX_TRY(check_like_first(file, key, &array));
    VX_TRY(vx_h5_check(&st->h5, set, key, &array, &place));
    size_t rows = array.rank == 1 ? 1 : array.shape[0];
    if (array.rank == 3 && !vx_mul(rows, array.shape[1], &rows))
        return vx_fail(VINDEX_ERR_FORMAT, "%s: '%s' has more rows than any file holds", st->h5.path,
                       key);
    if (!vx_grow((void **)&st->parts, &st->capacity, st->count + 1, sizeof *st->parts) ||
        !vx_pool_add(&st->names, key, strlen(key)))
        return vx_fail_memory(st->count + 1, sizeof *st->parts, st->h5.path);
    bool plain = place != HADDR_UNDEF || !array.count;
    st->parts[st->count++] =
        (vx_hdf5_part){.first = (size_t)file->info.rows,
                       .rows = rows,
                       .bytes = plain ? file->map.bytes + (array.count ? place : 0) : NULL,
                       .big_endian = array.big_endian,
                       .name = st->names.count - 1};
    st->chunked |= !plain;
    st->recordings = array.rank == 1 ? 1 : array.shape[0];
    file->info.dim = (int64_t)array.shape[array.rank - 1];
    file->info.dtype = array.dtype;
    file->info.rows += (int64_t)rows; /* each part's numbers are in the file */
    return VINDEX_OK;
}

static herr_t keep_name(hid_t group, const char *name, const H5L_info_t *info, void *names) {
    (void)group, (void)info;
    return vx_pool_add(names, name, strlen(name)) ? 0 : 1;
}

/* The names of a group's children: of a list in its order, otherwise by their bytes. */
static vindex_status child_names(const vx_hdf5 *st, hid_t group, const char *key,
                                 const vx_h5_array *list, vx_pool *names) {
    if (list->kind != VX_H5_LIST) {
        herr_t answer = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, keep_name, names);
        if (answer < 0) return vx_h5_fail(&st->h5, key, "listing what it holds");
        return answer ? vx_fail_memory(names->count + 1, 1, st->h5.path) : VINDEX_OK;
    }
    for (hsize_t i = 0; i < list->count; i++) {
        char name[24];
        int length = snprintf(name, sizeof name, "i%llu", (unsigned long long)i);
        if (!vx_pool_add(names, name, (size_t)length))
            return vx_fail_memory(names->count + 1, 1, st->h5.path);
    }
    return VINDEX_OK;
}

static vindex_status add_child(vindex_embeddings *file, const char *group, const char *name) {
    vx_hdf5 *st = file->state;
    size_t size = strlen(group) + strlen(name) + 2;
    char *key = vx_alloc(size, 1);
    if (!key) return vx_fail_memory(size, 1, file->path);
    bool slash = *group && group[strlen(group) - 1] != '/';
    snprintf(key, size, "%s%s%s", group, slash ? "/" : "", name);
    hid_t set;
    vindex_status status = vx_h5_find(&st->h5, st->h5.file, key, &set);
    if (status == VINDEX_OK) {
        status = add_set(file, set, key);
        H5Oclose(set);
    }
    vx_free(key);
    return status;
}

/* One recording per child. The names are ids, unless they just count. */
static vindex_status add_group(vindex_embeddings *file, hid_t group, const char *key) {
    vx_hdf5 *st = file->state;
    vx_h5_array list;
    vx_h5_describe(group, &list);
    vx_pool names = {0};
    vindex_status status = child_names(st, group, key, &list, &names);
    if (status == VINDEX_OK && !names.count)
        status = vx_fail(VINDEX_ERR_FORMAT, "%s: the group '%s' is empty; choose another key",
                         file->path, key);
    for (size_t i = 0; i < names.count && status == VINDEX_OK; i++) {
        const char *name = vx_pool_get(&names, i);
        status = add_child(file, key, name);
        size_t rows = status == VINDEX_OK ? st->parts[i].rows : 0;
        for (size_t k = 0; k < rows && list.kind != VX_H5_LIST && status == VINDEX_OK; k++)
            if (!vx_pool_add(&file->ids, name, strlen(name)))
                status = vx_fail_memory(rows, strlen(name), file->path);
    }
    st->gathered = true;
    st->recordings = names.count;
    vx_pool_free(&names);
    return status;
}

static vindex_status add_key(vindex_embeddings *file, const char *key) {
    vx_hdf5 *st = file->state;
    hid_t object;
    VX_TRY(vx_h5_find(&st->h5, st->h5.file, key, &object));
    vindex_status status = H5Iget_type(object) == H5I_GROUP ? add_group(file, object, key)
                                                            : add_set(file, object, key);
    H5Oclose(object);
    return status;
}

/* Says what there is to choose from. */
static vindex_status fail_choice(const vx_hdf5 *st, const vx_h5_members *members,
                                 const char *found) {
    enum { SHOWN = 8 };
    char list[SHOWN * (VX_H5_WORDS + 2) + 40];
    int used = 0;
    for (size_t i = 0; i < members->count && i < SHOWN; i++) {
        char words[VX_H5_WORDS];
        used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", i ? ", " : "",
                         vx_h5_words(vx_pool_get(&members->names, members->items[i].name),
                                     &members->items[i].array, words));
    }
    if (members->count > SHOWN)
        snprintf(list + used, sizeof list - (size_t)used, ", ... (%zu%s in all)", members->count,
                 members->more ? " and more" : "");
    return vx_fail(VINDEX_ERR_FORMAT, "%s: it holds %s%s; choose a key", st->h5.path, found,
                   members->count ? list : "");
}

/* How likely a member is meant when no key was given. */
static int rate(const char *name, const vx_h5_array *array) {
    const char *slash = strrchr(name, '/');
    if (array->kind == VX_H5_LIST) return 2;
    if (array->kind != VX_H5_NUMBERS || !array->rank) return 0;
    for (size_t i = 0; vx_id_names[i]; i++)
        if (!strcmp(slash ? slash + 1 : name, vx_id_names[i])) return 0;
    for (size_t i = 0; vx_label_names[i]; i++)
        if (!strcmp(slash ? slash + 1 : name, vx_label_names[i])) return 0;
    return array->rank == 1 ? 1 : 2;
}

/* The only matrix or list of the file, or else its only vector. */
static vindex_status choose(const vx_hdf5 *st, vx_h5_members *members, const char **key) {
    int best = 0, count = 0;
    for (size_t i = 0; i < members->count; i++) {
        const char *name = vx_pool_get(&members->names, members->items[i].name);
        int rating = rate(name, &members->items[i].array);
        if (rating > best) {
            best = rating;
            count = 0;
        }
        if (!rating || rating < best) continue;
        count++;
        *key = name;
    }
    if (count == 1 && !members->more) return VINDEX_OK;
    if (!best)
        return fail_choice(st, members,
                           members->count ? "no rows of numbers, but " : "no data sets");
    return fail_choice(st, members, "several sets of numbers: ");
}

/* ---- the verbs ---- */

/* Opens the file in HDF5; hdf5_close is due in any case. */
static vindex_status begin(vindex_embeddings *file) {
    vx_hdf5 *st = vx_alloc_zero(1, sizeof *st);
    if (!st) return vx_fail_memory(1, sizeof *st, file->path);
    st->set = st->h5.file = st->h5.access = H5I_INVALID_HID;
    st->h5.path = file->path;
    st->h5.bytes = file->map.bytes;
    st->h5.length = file->map.length;
    file->state = st;
    vx_h5_enter(&st->h5);
    vindex_status status = vx_h5_open(&st->h5);
    if (status != VINDEX_OK) vx_h5_leave(&st->h5);
    return status;
}

static vindex_status hdf5_open(vindex_embeddings *file, const vindex_embeddings_options *options) {
    VX_TRY(begin(file));
    vx_hdf5 *st = file->state;
    vx_h5_members members = {0};
    const char *key = options->key;
    vindex_status status = VINDEX_OK;
    if (!key) {
        status = vx_h5_list(&st->h5, &members);
        if (status == VINDEX_OK) status = choose(st, &members, &key);
    }
    if (status == VINDEX_OK) status = add_key(file, key);
    if (status == VINDEX_OK) status = vx_hdf5_attach(file, key, options);
    if (status == VINDEX_OK && !st->chunked) vx_h5_close(&st->h5);
    vx_h5_members_free(&members);
    vx_h5_leave(&st->h5);
    return status;
}

/* Makes a part's data set the open one. */
static vindex_status open_part(vx_hdf5 *st, size_t number) {
    if (st->set >= 0 && st->set_part == number) return VINDEX_OK;
    const char *key = vx_pool_get(&st->names, st->parts[number].name);
    if (st->set >= 0) H5Dclose(st->set);
    VX_TRY(vx_h5_find(&st->h5, st->h5.file, key, &st->set));
    st->set_part = number;
    vx_h5_describe(st->set, &st->array);
    return vx_h5_set_cache(&st->h5, key, &st->array, &st->set);
}

/* Selects rows of the open set: as many as lie in one block, of which *count is told. */
static hid_t select_rows(const vx_h5_array *array, size_t first, size_t *count) {
    hsize_t start[3] = {0}, size[3];
    memcpy(size, array->shape, sizeof size);
    if (array->rank == 2) {
        start[0] = first;
        size[0] = *count;
    } else if (array->rank == 3) {
        hsize_t each = array->shape[1];
        start[0] = first / each;
        start[1] = first % each;
        bool whole = !start[1] && *count >= each;
        size[0] = whole ? *count / each : 1;
        size[1] = whole ? each : VX_MIN((hsize_t)*count, each - start[1]);
        *count = size[0] * size[1];
    }
    hid_t space = H5Screate_simple(array->rank, array->shape, NULL);
    if (space >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0)
        return space;
    if (space >= 0) H5Sclose(space);
    return H5I_INVALID_HID;
}

/* Reads rows of the open set; the numbers come as the file holds them. */
static vindex_status read_set(const vx_hdf5 *st, size_t first, size_t *count, void *bytes) {
    const char *key = vx_pool_get(&st->names, st->parts[st->set_part].name);
    hid_t type = H5Dget_type(st->set), from = select_rows(&st->array, first, count);
    hsize_t numbers = *count * st->array.shape[st->array.rank - 1];
    hid_t to = H5Screate_simple(1, &numbers, NULL);
    bool done = type >= 0 && from >= 0 && to >= 0 &&
                H5Dread(st->set, type, to, from, H5P_DEFAULT, bytes) >= 0;
    vindex_status status = done ? VINDEX_OK : vx_h5_fail(&st->h5, key, "reading its rows");
    if (type >= 0) H5Tclose(type);
    if (from >= 0) H5Sclose(from);
    if (to >= 0) H5Sclose(to);
    return status;
}

/* Reads rows of a part that is in chunks. */
static vindex_status read_chunked(vx_hdf5 *st, size_t number, size_t first, size_t count,
                                  float *vectors) {
    enum { BLOCK_BYTES = 8 << 20 };
    VX_TRY(open_part(st, number));
    size_t dim = st->array.shape[st->array.rank - 1], size = st->array.size;
    size_t block = VX_MIN(count, VX_MAX(BLOCK_BYTES / (dim * size), (size_t)1));
    unsigned char *bytes = vx_alloc(block, dim * size);
    if (!bytes) return vx_fail_memory(block, dim * size, st->h5.path);
    vindex_status status = VINDEX_OK;
    for (size_t done = 0; done < count && status == VINDEX_OK;) {
        size_t take = VX_MIN(block, count - done);
        status = read_set(st, first + done, &take, bytes);
        if (status == VINDEX_OK)
            vx_decode(bytes, size, st->array.dtype, st->array.big_endian, take * dim,
                      vectors + done * dim);
        done += take;
    }
    vx_free(bytes);
    return status;
}

/* The part that holds a row. */
static size_t part_of(const vx_hdf5 *st, size_t row) {
    size_t low = 0, high = st->count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (st->parts[middle].first + st->parts[middle].rows <= row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static vindex_status hdf5_read(const vindex_embeddings *file, size_t first, size_t count,
                               float *vectors) {
    vx_hdf5 *st = file->state;
    size_t dim = (size_t)file->info.dim, size = vindex_dtype_size(file->info.dtype);
    for (size_t number = part_of(st, first); count; number++) {
        const vx_hdf5_part *p = &st->parts[number];
        size_t row = first - p->first, take = VX_MIN(count, p->rows - row);
        if (p->bytes) {
            vx_decode(p->bytes + row * dim * size, size, file->info.dtype, p->big_endian,
                      take * dim, vectors);
        } else if (take) {
            vx_h5_enter(&st->h5);
            vindex_status status = read_chunked(st, number, row, take, vectors);
            vx_h5_leave(&st->h5);
            VX_TRY(status);
        }
        first += take;
        vectors += take * dim;
        count -= take;
    }
    return VINDEX_OK;
}

/* One member in words, with what it can be used as: tried, not guessed. */
static vindex_status add_member(vindex_embeddings *file, const char *name, const vx_h5_array *array,
                                vx_members *members) {
    char words[VX_H5_WORDS], kind[VX_H5_WORDS + 32];
    vindex_member member = {.key = name, .kind = kind, .use = VINDEX_MEMBER_OTHER};
    vx_h5_words(NULL, array, words);
    bool numbers = array->kind == VX_H5_LIST || (array->kind == VX_H5_NUMBERS && array->rank);
    bool readable = true;
    if (vx_h5_is_texts(array) && array->rank == 1) {
        member.use = VINDEX_MEMBER_LABELS;
        member.rows = (int64_t)array->count;
    } else if (numbers) {
        vindex_status status = add_key(file, name);
        if (status == VINDEX_ERR_MEMORY) return status;
        readable = status == VINDEX_OK;
        if (readable) {
            member.use = VINDEX_MEMBER_EMBEDDINGS;
            member.dtype = file->info.dtype;
            member.rows = file->info.rows;
            member.dim = file->info.dim;
        }
        reset(file, file->state);
    }
    snprintf(kind, sizeof kind, "%s%s", words, readable ? "" : ", cannot be read as rows");
    return vx_members_add(members, file->path, &member);
}

static vindex_status hdf5_members(vindex_embeddings *file, vx_members *members) {
    VX_TRY(begin(file));
    vx_hdf5 *st = file->state;
    vx_h5_members found = {0};
    vindex_status status = vx_h5_list(&st->h5, &found);
    for (size_t i = 0; i < found.count && status == VINDEX_OK; i++)
        status = add_member(file, vx_pool_get(&found.names, found.items[i].name),
                            &found.items[i].array, members);
    vx_h5_members_free(&found);
    vx_h5_leave(&st->h5);
    return status;
}

static vindex_status hdf5_labels(vindex_embeddings *file, const vindex_labels_options *options) {
    VX_TRY(begin(file));
    vindex_status status = vx_hdf5_read_labels(file, options);
    vx_h5_leave(&((vx_hdf5 *)file->state)->h5);
    return status;
}

const vx_reader_verbs vx_hdf5_reader = {.open = hdf5_open,
                                        .read = hdf5_read,
                                        .close = hdf5_close,
                                        .members = hdf5_members,
                                        .labels = hdf5_labels};
