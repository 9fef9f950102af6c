/* Atomic writes and read-only maps over POSIX. */
#define _GNU_SOURCE /* O_TMPFILE, linkat through /proc */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

struct vx_writer {
    int fd;
    char *path, *folder;
    char *temporary; /* the hidden name, NULL while the file has none */
    unsigned char *buffer;
    size_t buffered;
    uint64_t length;
    int error; /* errno of the first failure */
};

/* -1: writes are left alone (the only state outside tests). */
static _Atomic int64_t bytes_left = -1;

void vx_write_fail_after(int64_t bytes) {
    atomic_store(&bytes_left, bytes);
}

static bool write_allowed(size_t bytes) {
    int64_t left = atomic_load_explicit(&bytes_left, memory_order_relaxed);
    do {
        if (left < 0) return true;
        if ((uint64_t)left < bytes) return false;
    } while (!atomic_compare_exchange_weak(&bytes_left, &left, left - (int64_t)bytes));
    return true;
}

static const char *advice(int error) {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return "make room or choose another place";
    case EACCES:
    case EPERM:
    case EROFS:
        return "check its permissions";
    case EISDIR:
    case EINVAL:
        return "give the name of a regular file";
    case ENOMEM:
        return "free some memory";
    default:
        return "check the path";
    }
}

static vindex_status fail_errno(const char *path, const char *what, int error) {
    vindex_status status = error == ENOENT   ? VINDEX_ERR_NOT_FOUND
                           : error == ENOMEM ? VINDEX_ERR_MEMORY
                                             : VINDEX_ERR_IO;
    return vx_fail(status, "%s: cannot %s, %s; %s", path, what, strerror(error), advice(error));
}

static void release(vx_writer *writer) {
    if (writer->fd >= 0) close(writer->fd);
    if (writer->temporary) unlink(writer->temporary);
    vx_free(writer->path);
    vx_free(writer->folder);
    vx_free(writer->temporary);
    vx_free(writer->buffer);
    vx_free(writer);
}

/* The folder a path lies in: "." for a bare name. */
static char *folder_of(const char *path) {
    char *folder = vx_strdup(*path ? path : ".");
    if (!folder) return NULL;
    char *slash = strrchr(folder, '/');
    if (!slash)
        folder[0] = '.', folder[1] = 0;
    else if (slash == folder)
        slash[1] = 0;
    else
        *slash = 0;
    return folder;
}

/* A name beside the target that no other writer of this or another process uses. */
static char *hidden_name(const vx_writer *writer) {
    static atomic_uint counter;
    const char *slash = strrchr(writer->path, '/');
    const char *base = slash ? slash + 1 : writer->path;
    size_t length = strlen(writer->folder) + strlen(base) + 64;
    char *name = vx_alloc(length, 1);
    if (name)
        snprintf(name, length, "%s/.%.180s.%ld-%u.tmp", writer->folder, base, (long)getpid(),
                 atomic_fetch_add(&counter, 1));
    return name;
}

/* Gives the file a hidden name, creating the file first where there is none yet. Names that a
 * crashed process of the same number left behind are passed over. False leaves the reason in errno.
 */
static bool take_name(vx_writer *writer) {
    char handle[64];
    snprintf(handle, sizeof handle, "/proc/self/fd/%d", writer->fd);
    for (;;) {
        char *name = hidden_name(writer);
        if (!name) {
            errno = ENOMEM;
            return false;
        }
        bool taken;
        if (writer->fd >= 0) {
            taken = !linkat(AT_FDCWD, handle, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
        } else {
            writer->fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
            taken = writer->fd >= 0;
        }
        if (taken) {
            writer->temporary = name;
            return true;
        }
        int error = errno;
        vx_free(name);
        errno = error;
        if (error != EEXIST) return false;
    }
}

/* A nameless file can get its name only through /proc: without it, one with a hidden name. */
static bool open_file(vx_writer *writer) {
    if (access("/proc/self/fd", X_OK)) return take_name(writer);
    writer->fd = open(writer->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (writer->fd >= 0) return true;
    return (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) && take_name(writer);
}

/* Refuses now what rename would refuse at the end; and what it would not: to replace a device.
 * *permissions receives those of the file to be replaced; it is left alone where there is none. */
static vindex_status check_target(const char *path, mode_t *permissions) {
    struct stat target;
    if (stat(path, &target)) {
        if (errno != ENOENT || !*path) return fail_errno(path, "write", errno);
        return path[strlen(path) - 1] == '/' ? fail_errno(path, "write", EISDIR) : VINDEX_OK;
    }
    if (S_ISREG(target.st_mode)) {
        *permissions = target.st_mode & 0777;
        return VINDEX_OK;
    }
    return vx_fail(VINDEX_ERR_IO, "%s: is %s; give the name of a regular file", path,
                   S_ISDIR(target.st_mode) ? "a folder" : "a device or a pipe");
}

vindex_status vx_writer_open(const char *path, vx_writer **result) {
    const mode_t none = (mode_t)-1;
    mode_t permissions = none;
    VX_TRY(check_target(path, &permissions));
    vx_writer *writer = vx_alloc_zero(1, sizeof *writer);
    if (!writer) return vx_fail_memory(1, sizeof *writer, path);
    writer->fd = -1;
    writer->path = vx_strdup(path);
    writer->folder = folder_of(path);
    writer->buffer = vx_alloc(BUFFER, 1);
    if (!writer->path || !writer->folder || !writer->buffer) {
        release(writer);
        return vx_fail_memory(BUFFER, 1, path);
    }
    /* What was private stays private. */
    if (!open_file(writer) || (permissions != none && fchmod(writer->fd, permissions))) {
        int error = errno;
        release(writer);
        return fail_errno(path, "write", error);
    }
    *result = writer;
    return VINDEX_OK;
}

static vindex_status failed(const vx_writer *writer) {
    return fail_errno(writer->path, "write", writer->error);
}

/* Writes all of data at offset, or where the file ends when offset is negative. */
static vindex_status write_through(vx_writer *writer, const unsigned char *data, size_t bytes,
                                   int64_t offset) {
    if (!write_allowed(bytes)) writer->error = ENOSPC;
    while (bytes && !writer->error) {
        ssize_t done = offset < 0 ? write(writer->fd, data, bytes)
                                  : pwrite(writer->fd, data, bytes, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) {
            writer->error = errno;
            break;
        }
        data += done;
        bytes -= (size_t)done;
        if (offset >= 0) offset += done;
    }
    return writer->error ? failed(writer) : VINDEX_OK;
}

static vindex_status flush(vx_writer *writer) {
    size_t bytes = writer->buffered;
    writer->buffered = 0;
    return write_through(writer, writer->buffer, bytes, -1);
}

vindex_status vx_writer_write(vx_writer *writer, const void *data, size_t bytes) {
    if (writer->error) return failed(writer);
    writer->length += bytes;
    if (bytes > BUFFER - writer->buffered) {
        VX_TRY(flush(writer));
        if (bytes >= BUFFER) return write_through(writer, data, bytes, -1);
    }
    if (bytes) memcpy(writer->buffer + writer->buffered, data, bytes);
    writer->buffered += bytes;
    return VINDEX_OK;
}

vindex_status vx_writer_patch(vx_writer *writer, uint64_t offset, const void *data, size_t bytes) {
    if (writer->error) return failed(writer);
    VX_TRY(flush(writer));
    return write_through(writer, data, bytes, (int64_t)offset);
}

uint64_t vx_writer_length(const vx_writer *writer) {
    return writer->length;
}

/* Puts the file in the target's place in one step, which rename does from a name only. */
static bool replace_target(vx_writer *writer) {
    if (!writer->temporary && !take_name(writer)) return false;
    return !rename(writer->temporary, writer->path);
}

static void flush_folder(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return; /* a folder that may be written but not read: the rename still holds */
    fsync(fd);
    close(fd);
}

vindex_status vx_writer_commit(vx_writer *writer) {
    vindex_status status = writer->error ? failed(writer) : flush(writer);
    if (status == VINDEX_OK && (fsync(writer->fd) || !replace_target(writer))) {
        writer->error = errno;
        status = failed(writer);
    }
    if (status == VINDEX_OK) {
        flush_folder(writer->folder);
        vx_free(writer->temporary); /* it is the target now: nothing to unlink */
        writer->temporary = NULL;
    }
    release(writer);
    return status;
}

void vx_writer_abort(vx_writer *writer) {
    if (writer) release(writer);
}

vindex_status vx_map_open(const char *path, vx_map *map) {
    static const unsigned char nothing[1];
    *map = (vx_map){nothing, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make it wait */
    if (fd < 0) return fail_errno(path, "open", errno);
    struct stat facts;
    int error = fstat(fd, &facts) ? errno : 0;
    if (!error && !S_ISREG(facts.st_mode)) {
        close(fd);
        return vx_fail(VINDEX_ERR_IO, "%s: is %s; give the name of a regular file", path,
                       S_ISDIR(facts.st_mode) ? "a folder" : "a device or a pipe");
    }
    if (!error && facts.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED)
            error = errno;
        else
            *map = (vx_map){bytes, (size_t)facts.st_size};
    }
    close(fd);
    return error ? fail_errno(path, "open", error) : VINDEX_OK;
}

void vx_map_close(vx_map *map) {
    if (map->length) munmap((void *)(uintptr_t)map->bytes, map->length);
    map->length = 0;
}

void vx_map_release(const vx_map *map) {
    if (map->length) madvise((void *)(uintptr_t)map->bytes, map->length, MADV_DONTNEED);
}
