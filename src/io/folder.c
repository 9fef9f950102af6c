/* A folder of one file per recording, as one matrix. Opening reads every file's header, reading
 * opens the files again: they are many, so none is kept open, and waiting for the disk is what
 * takes the time, so several threads wait at once. */
#include "folder.h"

#include <stdio.h>
#include <sys/stat.h>

#include "labels.h"

/* Threads that mostly wait: more than cores. */
enum { WAITING = 16 };

/* What a file said when the folder was opened. */
typedef struct header {
    vindex_embeddings_info info;
    size_t first; /* row of the folder */
    char *label;  /* of all its rows, or NULL */
    bool failed;
} header;

typedef struct folder {
    vx_folder_list list;
    header *headers;
    char *key, *id_column, *label_column; /* for files that are containers */
} folder;

static void folder_close(vindex_embeddings *file) {
    folder *f = file->state;
    if (!f) return;
    for (size_t i = 0; f->headers && i < f->list.count; i++) vx_free(f->headers[i].label);
    vx_free(f->headers);
    vx_folder_list_free(&f->list);
    vx_free(f->key);
    vx_free(f->id_column);
    vx_free(f->label_column);
    vx_free(f);
    file->state = NULL;
}

static vindex_status begin(vindex_embeddings *file) {
    folder *f = vx_alloc_zero(1, sizeof *f);
    if (!f) return vx_fail_memory(1, sizeof *f, file->path);
    file->state = f;
    return vx_folder_walk(file->path, &f->list);
}

static vindex_status keep_option(const char *path, const char *given, char **kept) {
    if (!given) return VINDEX_OK;
    *kept = vx_strdup(given);
    return *kept ? VINDEX_OK : vx_fail_memory(strlen(given) + 1, 1, path);
}

static vindex_status keep_options(vindex_embeddings *file,
                                  const vindex_embeddings_options *options) {
    folder *f = file->state;
    VX_TRY(keep_option(file->path, options->key, &f->key));
    VX_TRY(keep_option(file->path, options->id_column, &f->id_column));
    return keep_option(file->path, options->label_column, &f->label_column);
}

static vindex_status open_file(const vindex_embeddings *file, size_t number,
                               vindex_embeddings **opened) {
    const folder *f = file->state;
    const vx_folder_file *one = &f->list.files[number];
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.key = f->key;
    options.id_column = f->id_column;
    options.label_column = f->label_column;
    size_t size = strlen(file->path) + strlen(one->path) + 2;
    char *path = vx_alloc(size, 1);
    if (!path) return vx_fail_memory(size, 1, file->path);
    bool slash = file->path[strlen(file->path) - 1] != '/';
    snprintf(path, size, "%s%s%s", file->path, slash ? "/" : "", one->path);
    vindex_status status = vx_embeddings_open_as(path, one->format, &options, opened);
    vx_free(path);
    return status;
}

/* ---- opening ---- */

/* The label that all rows of a file have. */
static vindex_status keep_label(const vindex_embeddings *opened, header *kept) {
    const char *label = vindex_embeddings_label(opened, 0);
    for (int64_t row = 1; label && row < opened->info.rows; row++)
        if (strcmp(vindex_embeddings_label(opened, row), label) != 0) label = NULL;
    return keep_option(opened->path, label, &kept->label);
}

static vindex_status read_header(const vindex_embeddings *file, size_t number) {
    folder *f = file->state;
    vindex_embeddings *opened;
    VX_TRY(open_file(file, number, &opened));
    f->headers[number].info = opened->info;
    vindex_status status = keep_label(opened, &f->headers[number]);
    vindex_embeddings_close(opened);
    return status;
}

static int compare_inodes(const void *a, const void *b) {
    const vx_folder_file *x = *(const vx_folder_file *const *)a;
    const vx_folder_file *y = *(const vx_folder_file *const *)b;
    if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* All headers, in the order of the inodes, which is roughly that of the disk. A failure is told for
 * the first file in the folder's order, whichever was met first. */
static vindex_status read_headers(const vindex_embeddings *file) {
    folder *f = file->state;
    size_t count = f->list.count;
    const vx_folder_file **order = vx_alloc(count, sizeof *order);
    f->headers = vx_alloc_zero(count, sizeof *f->headers);
    if (!order || !f->headers) {
        vx_free(order);
        return vx_fail_memory(count, sizeof *f->headers, file->path);
    }
    for (size_t i = 0; i < count; i++) order[i] = &f->list.files[i];
    qsort(order, count, sizeof *order, compare_inodes);
#pragma omp parallel for schedule(dynamic, 16) num_threads(VX_MIN(count, (size_t)WAITING))
    for (size_t i = 0; i < count; i++) {
        size_t number = (size_t)(order[i] - f->list.files);
        f->headers[number].failed = read_header(file, number) != VINDEX_OK;
    }
    vx_free(order);
    for (size_t i = 0; i < count; i++)
        if (f->headers[i].failed) VX_TRY(read_header(file, i)); /* again, for its sentence */
    return VINDEX_OK;
}

/* Rows of all files make one matrix. */
static vindex_status check_alike(const vindex_embeddings *file, size_t number) {
    const folder *f = file->state;
    const vindex_embeddings_info *first = &f->headers[0].info, *info = &f->headers[number].info;
    if (info->dim == first->dim && info->dtype == first->dtype) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: rows of '%s' have %lld numbers of %s and those of '%s' %lld of %s; all "
                   "files must have the same",
                   file->path, f->list.files[number].path, (long long)info->dim,
                   vindex_dtype_name(info->dtype), f->list.files[0].path, (long long)first->dim,
                   vindex_dtype_name(first->dtype));
}

/* Every row of a file has its id, and its label where all files have one. */
static vindex_status name_rows(vindex_embeddings *file, size_t number) {
    const folder *f = file->state;
    const vx_folder_file *one = &f->list.files[number];
    const char *label = f->headers[number].label;
    for (int64_t row = 0; row < f->headers[number].info.rows; row++)
        if (!vx_pool_add(&file->ids, one->path, one->id_length) ||
            (file->info.has_labels && !vx_pool_add(&file->labels, label, strlen(label))))
            return vx_fail_memory(file->ids.count, one->id_length, file->path);
    return VINDEX_OK;
}

static vindex_status folder_open(vindex_embeddings *file,
                                 const vindex_embeddings_options *options) {
    VX_TRY(begin(file));
    VX_TRY(keep_options(file, options));
    VX_TRY(read_headers(file));
    folder *f = file->state;
    file->info = f->headers[0].info;
    file->info.rows = 0;
    file->info.skipped = (int64_t)f->list.skipped;
    file->info.has_ids = file->info.has_labels = true;
    for (size_t i = 0; i < f->list.count; i++) {
        VX_TRY(check_alike(file, i));
        f->headers[i].first = (size_t)file->info.rows;
        if (__builtin_add_overflow(file->info.rows, f->headers[i].info.rows, &file->info.rows))
            return vx_fail(VINDEX_ERR_FORMAT, "%s: more rows than can be counted", file->path);
        file->info.has_labels &= f->headers[i].label != NULL;
    }
    for (size_t i = 0; i < f->list.count; i++) VX_TRY(name_rows(file, i));
    return VINDEX_OK;
}

/* ---- reading ---- */

/* The rows first ... first+count-1 of the folder, as far as they are that file's. */
static vindex_status read_file(const vindex_embeddings *file, size_t number, size_t first,
                               size_t count, float *vectors) {
    const folder *f = file->state;
    const header *was = &f->headers[number];
    size_t rows = (size_t)was->info.rows, dim = (size_t)was->info.dim;
    size_t from = VX_MAX(first, was->first), to = VX_MIN(first + count, was->first + rows);
    if (from >= to) return VINDEX_OK;
    vindex_embeddings *opened;
    VX_TRY(open_file(file, number, &opened));
    vindex_status status = VINDEX_OK;
    if (opened->info.rows != was->info.rows || opened->info.dim != was->info.dim)
        status =
            vx_fail(VINDEX_ERR_FORMAT,
                    "%s: it has changed since the folder was opened; open it again", opened->path);
    else
        status = vindex_embeddings_read(opened, (int64_t)(from - was->first), (int64_t)(to - from),
                                        vectors + (from - first) * dim);
    vindex_embeddings_close(opened);
    return status;
}

/* The first file with a row at or after that one. */
static size_t file_of(const folder *f, size_t row) {
    size_t low = 0, high = f->list.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->headers[middle].first + (size_t)f->headers[middle].info.rows <= row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static vindex_status folder_read(const vindex_embeddings *file, size_t first, size_t count,
                                 float *vectors) {
    const folder *f = file->state;
    size_t begins = file_of(f, first), ends = file_of(f, first + count - 1) + 1;
    size_t failed = ends;
#pragma omp parallel for schedule(dynamic, 16) num_threads(VX_MIN(ends - begins, (size_t)WAITING)) \
    reduction(min                                                                                  \
              : failed)
    for (size_t i = begins; i < ends; i++)
        if (read_file(file, i, first, count, vectors) != VINDEX_OK) failed = VX_MIN(failed, i);
    return failed < ends ? read_file(file, failed, first, count, vectors) : VINDEX_OK;
}

/* ---- listing and labels ---- */

static vindex_status add_member(const folder *f, const char *path, const vindex_member *one,
                                vx_members *members) {
    char kind[256];
    vindex_member member = *one;
    member.kind = kind;
    snprintf(kind, sizeof kind, "%.120s, in the first of %zu files; %zu others skipped", one->kind,
             f->list.count, f->list.skipped);
    if (f->list.count > 1) member.rows = 0;
    return vx_members_add(members, path, &member);
}

/* What the first file holds: the others should be alike. */
static vindex_status folder_members(vindex_embeddings *file, vx_members *members) {
    VX_TRY(begin(file));
    const folder *f = file->state;
    size_t size = strlen(file->path) + strlen(f->list.files[0].path) + 2;
    char *path = vx_alloc(size, 1);
    if (!path) return vx_fail_memory(size, 1, file->path);
    snprintf(path, size, "%s/%s", file->path, f->list.files[0].path);
    vindex_members first;
    vindex_status status = vx_members_as(path, f->list.files[0].format, &first);
    vx_free(path);
    VX_TRY(status);
    for (int64_t i = 0; i < first.count && status == VINDEX_OK; i++)
        status = add_member(f, file->path, &first.items[i], members);
    vindex_members_free(&first);
    return status;
}

/* The name of the folder that a file lies in. */
static const char *label_of(const vx_folder_file *one, size_t *length) {
    const char *end = strrchr(one->path, '/');
    if (!end) return NULL;
    const char *start = end;
    while (start > one->path && start[-1] != '/') start--;
    *length = (size_t)(end - start);
    return start;
}

/* Two folders of one name are two labels or one; nobody but the user knows. */
static vindex_status add_label(vindex_embeddings *file, vx_names *names, vx_pool *parents,
                               const vx_folder_file *one) {
    size_t length;
    const char *label = label_of(one, &length);
    if (!label)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: '%s' lies in no folder below, whose name would be its label; give the "
                       "labels in a file",
                       file->path, one->path);
    size_t whole = (size_t)(label - one->path) + length, known = names->pool.count;
    int32_t number;
    if (!vx_names_number(names, label, length, &number) ||
        ((size_t)number == known && !vx_pool_add(parents, one->path, whole)) ||
        !vx_pool_add(&file->labels, label, length) ||
        !vx_pool_add(&file->ids, one->path, one->id_length))
        return vx_fail_memory(names->pool.count, length, file->path);
    const char *parent = vx_pool_get(parents, (size_t)number);
    if (strlen(parent) == whole && !memcmp(parent, one->path, whole)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA,
                   "%s: the folders '%s' and '%.*s' have one name, which may or may not be one "
                   "label; give the labels in a file",
                   file->path, parent, (int)whole, one->path);
}

/* One label per recording, by the folder it lies in. */
static vindex_status folder_labels(vindex_embeddings *file, const vindex_labels_options *options) {
    if (options->key || options->label_column || options->id_column)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: the labels of a folder are the names of the folders below it; leave "
                       "key and columns out",
                       file->path);
    VX_TRY(begin(file));
    const folder *f = file->state;
    vx_names names = {0};
    vx_pool parents = {0};
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; i < f->list.count && status == VINDEX_OK; i++)
        if (!i || !vx_folder_same_id(&f->list.files[i], &f->list.files[i - 1]))
            status = add_label(file, &names, &parents, &f->list.files[i]);
    vx_names_free(&names);
    vx_pool_free(&parents);
    file->info.has_ids = true;
    file->info.rows = (int64_t)file->labels.count;
    return status;
}

static const vx_reader_verbs reader = {.by_path = true,
                                       .open = folder_open,
                                       .read = folder_read,
                                       .close = folder_close,
                                       .members = folder_members,
                                       .labels = folder_labels};
static const vx_format format = {"folder", VINDEX_F32, 0, 0, &reader, NULL};

const vx_format *vx_folder_format(const char *path) {
    struct stat facts;
    return !stat(path, &facts) && S_ISDIR(facts.st_mode) ? &format : NULL;
}
