/* Walking a folder: names only, no file is opened. */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* Text tables and the like stand beside embeddings more often than they are some. */
static const char *const endings[] = {"npy", "npz", "pt", "pth", "h5", "hdf5", "safetensors"};

enum { DEPTH_MOST = 64 };

/* A folder on the way down, to notice links that lead back up. */
typedef struct level {
    const struct level *above;
    dev_t device;
    ino_t inode;
    int depth;
} level;

typedef struct walk {
    vx_folder_list *list;
    char *path; /* of the folder or file being looked at */
    size_t capacity;
    size_t root; /* how much of path is the root and its slash */
} walk;

static vindex_status fail_errno(const char *path, int error) {
    return vx_fail(VINDEX_ERR_IO, "%s: cannot be read, %s; repair or remove it", path,
                   strerror(error));
}

/* Makes w->path the name in the folder whose path has that length. */
static vindex_status step(walk *w, size_t length, const char *name) {
    size_t need = length + strlen(name) + 2;
    if (!vx_grow((void **)&w->path, &w->capacity, need, 1))
        return vx_fail_memory(need, 1, "reading a folder");
    bool slash = length && w->path[length - 1] != '/';
    snprintf(w->path + length, need - length, "%s%s", slash ? "/" : "", name);
    return VINDEX_OK;
}

/* <seconds> of a chunk: digits and perhaps a fraction. */
static bool read_seconds(const char *at, const char *end, double *seconds) {
    double scale = 1;
    *seconds = 0;
    if (at == end || *at == '.') return false;
    for (bool fraction = false; at < end; at++) {
        if (*at == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (*at < '0' || *at > '9') return false;
        *seconds = *seconds * 10 + (*at - '0');
        if (fraction) scale *= 10;
    }
    *seconds /= scale;
    return true;
}

static void name_file(vx_folder_file *file) {
    static const char mark[] = "-\xe2\x96\x81start-";
    const char *path = file->path, *end = vx_ending(path) - 1;
    file->id_length = (size_t)(end - path);
    file->key_length = strlen(path);
    const char *at = NULL;
    for (const char *next = path; (next = strstr(next, mark)); next++) at = next;
    if (!at || at == path || !read_seconds(at + sizeof mark - 1, end, &file->start)) return;
    file->id_length = (size_t)(at - path);
    file->key_length = file->id_length + sizeof mark - 1;
}

/* Notes the file at w->path; its path is a number until all are there. */
static vindex_status add_file(walk *w, ino_t inode) {
    vx_folder_list *list = w->list;
    const char *relative = w->path + w->root, *ending = vx_ending(relative);
    const vx_format *format = NULL;
    for (size_t i = 0; i < VX_COUNT(endings); i++)
        if (vx_same_ending(endings[i], ending)) format = vx_format_named(ending);
    if (!format) {
        list->skipped++;
        return VINDEX_OK;
    }
    if (!vx_grow((void **)&list->files, &list->capacity, list->count + 1, sizeof *list->files) ||
        !vx_pool_add(&list->paths, relative, strlen(relative)))
        return vx_fail_memory(list->count + 1, sizeof *list->files, w->path);
    list->files[list->count++] = (vx_folder_file){.format = format, .inode = inode};
    return VINDEX_OK;
}

static vindex_status walk_folder(walk *w, const level *above);

/* What a name in a folder is; links are followed. */
static vindex_status look(walk *w, const level *here, const struct dirent *entry) {
    mode_t mode = entry->d_type == DT_DIR ? S_IFDIR : S_IFREG;
    struct stat facts;
    if (entry->d_type != DT_DIR && entry->d_type != DT_REG) {
        if (stat(w->path, &facts)) return fail_errno(w->path, errno);
        mode = facts.st_mode;
        for (const level *up = here; up && S_ISDIR(mode); up = up->above)
            if (up->device == facts.st_dev && up->inode == facts.st_ino)
                return vx_fail(VINDEX_ERR_IO,
                               "%s: it is a link to a folder that it lies in, without an end; "
                               "remove it",
                               w->path);
    }
    return S_ISDIR(mode) ? walk_folder(w, here) : add_file(w, entry->d_ino);
}

static vindex_status walk_entries(walk *w, DIR *folder, const level *here) {
    size_t length = strlen(w->path);
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)); errno = 0) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
        if (*name == '.') {
            w->list->skipped++;
            continue;
        }
        VX_TRY(step(w, length, name));
        VX_TRY(look(w, here, entry));
        w->path[length] = 0;
    }
    return errno ? fail_errno(w->path, errno) : VINDEX_OK;
}

static vindex_status walk_folder(walk *w, const level *above) {
    DIR *folder = opendir(w->path);
    if (!folder) return fail_errno(w->path, errno);
    struct stat facts;
    level here = {.above = above, .depth = above ? above->depth + 1 : 0};
    vindex_status status = VINDEX_OK;
    if (fstat(dirfd(folder), &facts)) {
        status = fail_errno(w->path, errno);
    } else if (here.depth > DEPTH_MOST) {
        status = vx_fail(VINDEX_ERR_IO,
                         "%s: it lies more than %d folders deep; give a folder "
                         "further down",
                         w->path, DEPTH_MOST);
    } else {
        here.device = facts.st_dev;
        here.inode = facts.st_ino;
        status = walk_entries(w, folder, &here);
    }
    closedir(folder);
    return status;
}

/* By the bytes of the path; chunks of a recording by their time. */
static int compare(const void *a, const void *b) {
    const vx_folder_file *x = a, *y = b;
    size_t shared = VX_MIN(x->key_length, y->key_length);
    int order = memcmp(x->path, y->path, shared);
    if (order) return order;
    if (x->key_length != y->key_length) return x->key_length < y->key_length ? -1 : 1;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return strcmp(x->path, y->path);
}

bool vx_folder_same_id(const vx_folder_file *a, const vx_folder_file *b) {
    return a->id_length == b->id_length && !memcmp(a->path, b->path, a->id_length);
}

/* One recording, one id: only the chunks of one may share it. */
static vindex_status check_ids(const char *path, const vx_folder_list *list) {
    vx_names names = {0};
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; i < list->count && status == VINDEX_OK; i++) {
        const vx_folder_file *file = &list->files[i], *before = i ? file - 1 : file;
        if (i && vx_folder_same_id(file, before) && file->key_length == before->key_length &&
            file->start != before->start)
            continue;
        int32_t number;
        size_t known = names.pool.count;
        if (!vx_names_number(&names, file->path, file->id_length, &number))
            status = vx_fail_memory(list->count, 1, path);
        else if ((size_t)number < known)
            status = vx_fail(VINDEX_ERR_DATA,
                             "%s: more than one file, such as '%s', stands for the recording "
                             "'%.*s'; keep one",
                             path, file->path, (int)file->id_length, file->path);
    }
    vx_names_free(&names);
    return status;
}

vindex_status vx_folder_walk(const char *path, vx_folder_list *list) {
    walk w = {.list = list};
    vindex_status status = step(&w, 0, path);
    if (status == VINDEX_OK) {
        w.root = strlen(path);
        w.root += w.root && path[w.root - 1] != '/';
        status = walk_folder(&w, NULL);
    }
    vx_free(w.path);
    VX_TRY(status);
    for (size_t i = 0; i < list->count; i++) {
        list->files[i].path = vx_pool_get(&list->paths, i);
        name_file(&list->files[i]);
    }
    if (list->count) qsort(list->files, list->count, sizeof *list->files, compare);
    if (!list->count)
        return vx_fail(VINDEX_ERR_NOT_FOUND,
                       "%s: the folder holds no .npy .npz .pt .pth .h5 .hdf5 .safetensors (%zu "
                       "other files were skipped); give one that does",
                       path, list->skipped);
    return check_ids(path, list);
}

void vx_folder_list_free(vx_folder_list *list) {
    vx_pool_free(&list->paths);
    vx_free(list->files);
    *list = (vx_folder_list){0};
}
