/* Ids and labels of .h5 files: members beside the rows, or attributes. */
#include "hdf5_state.h"

#include <stdio.h>

#include "labels.h"

/* The group that holds what is at that path, to be freed; NULL when memory is out. */
static char *parent_of(const char *key) {
    char *parent = vx_alloc(strlen(key) + 2, 1);
    if (!parent) return NULL;
    snprintf(parent, strlen(key) + 2, "%s", key);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent)
        *slash = 0;
    else
        memcpy(parent, "/", 2);
    return parent;
}

/* Gives every row its text, out of one per row, per recording, or for all. False in *fits where
 * there are another number of them. */
static vindex_status spread(const vindex_embeddings *file, const vx_pool *texts, bool single,
                            vx_pool *rows, bool *fits) {
    const vx_hdf5 *st = file->state;
    size_t count = (size_t)file->info.rows;
    bool per_row = texts->count == count, per_recording = texts->count == st->recordings;
    *fits = per_row || per_recording || (single && texts->count == 1);
    if (!*fits) return VINDEX_OK;
    size_t each = per_recording && !st->gathered && st->recordings ? count / st->recordings : 0;
    rows->count = rows->length = 0;
    for (size_t row = 0, at = 0; row < count; row++) {
        size_t item = 0;
        if (per_row) {
            item = row;
        } else if (per_recording && st->gathered) {
            while (row >= st->parts[at].first + st->parts[at].rows) at++;
            item = at;
        } else if (per_recording) {
            item = row / each;
        }
        const char *text = vx_pool_get(texts, item);
        if (!vx_pool_add(rows, text, strlen(text)))
            return vx_fail_memory(count, strlen(text), file->path);
    }
    return VINDEX_OK;
}

static vindex_status attach(const vindex_embeddings *file, hid_t object, const char *key,
                            vx_pool *rows, bool *fits) {
    vx_hdf5 *st = file->state;
    vx_h5_array array;
    vx_h5_describe(object, &array);
    *fits = false;
    if (!vx_h5_is_texts(&array)) return VINDEX_OK;
    vx_pool texts = {0};
    vindex_status status = vx_h5_texts(&st->h5, object, key, &texts);
    if (status == VINDEX_OK) status = spread(file, &texts, !array.rank, rows, fits);
    vx_pool_free(&texts);
    return status;
}

static vindex_status attach_attribute(const vindex_embeddings *file, hid_t of, const char *name,
                                      vx_pool *rows, bool *found) {
    const vx_hdf5 *st = file->state;
    if (H5Aexists(of, name) <= 0) return VINDEX_OK;
    hid_t attribute = H5Aopen(of, name, H5P_DEFAULT);
    if (attribute < 0) return vx_h5_fail(&st->h5, name, "opening the attribute");
    vindex_status status = attach(file, attribute, name, rows, found);
    H5Aclose(attribute);
    return status;
}

static vindex_status attach_member(const vindex_embeddings *file, hid_t group, const char *name,
                                   vx_pool *rows, bool *found) {
    vx_hdf5 *st = file->state;
    hid_t member;
    if (H5Lexists(group, name, H5P_DEFAULT) <= 0) return VINDEX_OK;
    VX_TRY(vx_h5_find(&st->h5, group, name, &member));
    vindex_status status = attach(file, member, name, rows, found);
    H5Oclose(member);
    return status;
}

/* Where names are looked for: the rows, their group, the file. */
enum { OWN, GROUP, ROOT, PLACES };

static vindex_status look_for(const vindex_embeddings *file, const hid_t *places,
                              const char *const *names, vx_pool *rows, bool *found) {
    H5O_info_t info;
    bool any[PLACES];
    for (int k = 0; k < PLACES; k++)
        any[k] = H5Oget_info2(places[k], &info, H5O_INFO_NUM_ATTRS) < 0 || info.num_attrs > 0;
    for (size_t i = 0; names[i] && !*found; i++) {
        VX_TRY(attach_member(file, places[GROUP], names[i], rows, found));
        for (int k = 0; k < PLACES && !*found; k++)
            if (any[k]) VX_TRY(attach_attribute(file, places[k], names[i], rows, found));
    }
    return VINDEX_OK;
}

/* Looks for one of those names: a member of the same group, or an attribute of the rows, of their
 * group or of the file. */
static vindex_status attach_known(const vindex_embeddings *file, const char *key,
                                  const char *const *names, vx_pool *rows, bool *found) {
    vx_hdf5 *st = file->state;
    char *parent = parent_of(key);
    if (!parent) return vx_fail_memory(strlen(key) + 2, 1, file->path);
    const char *const paths[PLACES] = {key, parent, "/"};
    hid_t places[PLACES];
    vindex_status status = VINDEX_OK;
    int open = 0;
    for (; open < PLACES && status == VINDEX_OK; open++)
        status = vx_h5_find(&st->h5, st->h5.file, paths[open], &places[open]);
    if (status == VINDEX_OK) status = look_for(file, places, names, rows, found);
    for (int k = 0; k < open; k++)
        if (places[k] >= 0) H5Oclose(places[k]);
    vx_free(parent);
    return status;
}

/* The member the caller named. */
static vindex_status attach_named(const vindex_embeddings *file, const char *column, vx_pool *rows,
                                  bool *found) {
    vx_hdf5 *st = file->state;
    hid_t object;
    VX_TRY(vx_h5_find(&st->h5, st->h5.file, column, &object));
    vindex_status status = attach(file, object, column, rows, found);
    H5Oclose(object);
    if (status == VINDEX_OK && !*found)
        status = vx_fail(VINDEX_ERR_FORMAT,
                         "%s: '%s' is no list of %lld texts or whole numbers, one for each row; "
                         "name one that is",
                         file->path, column, (long long)file->info.rows);
    return status;
}

/* Segments of one recording share its id; where nothing names it that is its number. */
static vindex_status number_recordings(vindex_embeddings *file) {
    const vx_hdf5 *st = file->state;
    file->info.has_ids = (size_t)file->info.rows != st->recordings && st->recordings;
    if (!file->info.has_ids) return VINDEX_OK;
    vx_pool numbers = {0};
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; i < st->recordings && status == VINDEX_OK; i++) {
        char text[24];
        int length = snprintf(text, sizeof text, "%zu", i);
        if (!vx_pool_add(&numbers, text, (size_t)length))
            status = vx_fail_memory(st->recordings, sizeof text, file->path);
    }
    bool fits;
    if (status == VINDEX_OK) status = spread(file, &numbers, false, &file->ids, &fits);
    vx_pool_free(&numbers);
    return status;
}

vindex_status vx_hdf5_attach(vindex_embeddings *file, const char *key,
                             const vindex_embeddings_options *options) {
    vindex_embeddings_info *info = &file->info;
    VX_TRY(options->label_column
               ? attach_named(file, options->label_column, &file->labels, &info->has_labels)
               : attach_known(file, key, vx_label_names, &file->labels, &info->has_labels));
    info->has_ids = file->ids.count > 0;
    if (options->id_column)
        return attach_named(file, options->id_column, &file->ids, &info->has_ids);
    if (!info->has_ids) VX_TRY(attach_known(file, key, vx_id_names, &file->ids, &info->has_ids));
    return info->has_ids ? VINDEX_OK : number_recordings(file);
}

/* The path of the first child of a group that is called as labels are; NULL in *within where there
 * is none. To be freed. */
static vindex_status find_labels(const vindex_embeddings *file, hid_t group, const char *key,
                                 char **within) {
    *within = NULL;
    for (size_t i = 0; vx_label_names[i]; i++) {
        if (H5Lexists(group, vx_label_names[i], H5P_DEFAULT) <= 0) continue;
        size_t size = strlen(key) + strlen(vx_label_names[i]) + 2;
        *within = vx_alloc(size, 1);
        if (!*within) return vx_fail_memory(size, 1, file->path);
        snprintf(*within, size, "%s/%s", key, vx_label_names[i]);
        return VINDEX_OK;
    }
    return VINDEX_OK;
}

static vindex_status read_labels_at(vindex_embeddings *file, const char *key,
                                    const vindex_labels_options *options) {
    vx_hdf5 *st = file->state;
    hid_t object;
    VX_TRY(vx_h5_find(&st->h5, st->h5.file, key, &object));
    vindex_status status = vx_h5_texts(&st->h5, object, key, &file->labels);
    H5Oclose(object);
    VX_TRY(status);
    st->recordings = file->labels.count;
    file->info.rows = (int64_t)file->labels.count;
    if (options->id_column)
        return attach_named(file, options->id_column, &file->ids, &file->info.has_ids);
    return attach_known(file, key, vx_id_names, &file->ids, &file->info.has_ids);
}

vindex_status vx_hdf5_read_labels(vindex_embeddings *file, const vindex_labels_options *options) {
    vx_hdf5 *st = file->state;
    const char *key = options->label_column ? options->label_column
                      : options->key        ? options->key
                                            : "/";
    hid_t object;
    vx_h5_array array;
    char *within = NULL;
    VX_TRY(vx_h5_find(&st->h5, st->h5.file, key, &object));
    vx_h5_describe(object, &array);
    vindex_status status = VINDEX_OK;
    if (H5Iget_type(object) == H5I_GROUP && !vx_h5_is_texts(&array))
        status = find_labels(file, object, key, &within);
    H5Oclose(object);
    if (status == VINDEX_OK) status = read_labels_at(file, within ? within : key, options);
    vx_free(within);
    return status;
}
