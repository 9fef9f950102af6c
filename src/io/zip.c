#define _GNU_SOURCE /* qsort_r */
#include "zip.h"

#include "numbers.h"
#include "text.h"

#include <zip.h>

/* What deflate can do at most, and what an honest file needs: numbers do not shrink a hundredfold.
 */
enum { DEFLATE_MOST = 1032, DEFLATE_SLACK = 64, HONEST_RATIO = 100 };
static const uint64_t HONEST_BYTES = (uint64_t)256 << 20;

struct vx_zip {
    const char *path;
    const vx_map *map;
    zip_t *archive;
    vx_zip_entry *entries;
    size_t *sorted; /* entries by name */
    size_t count;
};

static vindex_status fail_damaged(const vx_zip *zip, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: %s; it was cut or is no zip file", zip->path, what);
}

static uint64_t load_u64(const unsigned char *bytes) {
    return vx_load_u32(bytes) | (uint64_t)vx_load_u32(bytes + 4) << 32;
}

/* ---- where members lie, which libzip keeps to itself (APPNOTE.TXT 4.3.7 to 4.3.16) ---- */

enum {
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    COMMENT_MOST = 0xffff
};
static const uint32_t END_MAGIC = 0x06054b50, LOCATOR_MAGIC = 0x07064b50, END64_MAGIC = 0x06064b50,
                      CENTRAL_MAGIC = 0x02014b50, LOCAL_MAGIC = 0x04034b50;

/* The bytes at an offset if that many are there and begin with a magic number. */
static const unsigned char *record(const vx_zip *zip, uint64_t offset, size_t size,
                                   uint32_t magic) {
    if (offset > zip->map->length || size > zip->map->length - offset) return NULL;
    const unsigned char *bytes = zip->map->bytes + offset;
    return vx_load_u32(bytes) == magic ? bytes : NULL;
}

/* The offset of the central directory; false if there is none. */
static bool find_directory(const vx_zip *zip, uint64_t *offset) {
    size_t length = zip->map->length;
    for (size_t comment = 0; comment <= COMMENT_MOST && length >= END_SIZE + comment; comment++) {
        size_t place = length - END_SIZE - comment;
        const unsigned char *end = record(zip, place, END_SIZE, END_MAGIC);
        if (!end || vx_load_u16(end + 20) != comment) continue;
        *offset = vx_load_u32(end + 16);
        const unsigned char *locator = NULL, *end64 = NULL;
        if (place >= LOCATOR_SIZE)
            locator = record(zip, place - LOCATOR_SIZE, LOCATOR_SIZE, LOCATOR_MAGIC);
        if (locator) end64 = record(zip, load_u64(locator + 8), END64_SIZE, END64_MAGIC);
        if (end64) *offset = load_u64(end64 + 48);
        return true;
    }
    return false;
}

/* The offset of an entry's local header, which moves to the extra field where 32 bits are short.
 * There, 8 bytes each, stand those of size, compressed size and offset that did not fit. */
static bool local_offset(const unsigned char *central, const unsigned char *extra, size_t length,
                         uint64_t *offset) {
    *offset = vx_load_u32(central + 42);
    if (*offset != UINT32_MAX) return true;
    size_t before =
        8 * ((vx_load_u32(central + 24) == UINT32_MAX) + (vx_load_u32(central + 20) == UINT32_MAX));
    while (length >= 4) {
        size_t id = vx_load_u16(extra), size = vx_load_u16(extra + 2);
        if (size > length - 4) return false;
        if (id == 1) {
            if (size < before + 8) return false;
            *offset = load_u64(extra + 4 + before);
            return true;
        }
        extra += 4 + size;
        length -= 4 + size;
    }
    return true;
}

/* Finds where an entry's packed bytes lie; *directory moves to the next entry. */
static vindex_status locate(vx_zip *zip, vx_zip_entry *entry, uint64_t packed,
                            uint64_t *directory) {
    const unsigned char *central = record(zip, *directory, CENTRAL_SIZE, CENTRAL_MAGIC);
    if (!central) return fail_damaged(zip, "its directory is not where it says");
    size_t name = vx_load_u16(central + 28), extra = vx_load_u16(central + 30);
    size_t size = CENTRAL_SIZE + name + extra + vx_load_u16(central + 32);
    uint64_t offset, data;
    if (size > zip->map->length - *directory || strlen(entry->name) != name ||
        memcmp(central + CENTRAL_SIZE, entry->name, name) != 0 ||
        !local_offset(central, central + CENTRAL_SIZE + name, extra, &offset))
        return fail_damaged(zip, "an entry of its directory is damaged");
    *directory += size;
    const unsigned char *local = record(zip, offset, LOCAL_SIZE, LOCAL_MAGIC);
    if (!local) return fail_damaged(zip, "a member is not where its directory says");
    data = offset + LOCAL_SIZE + vx_load_u16(local + 26) + vx_load_u16(local + 28);
    if (data > zip->map->length || packed > zip->map->length - data)
        return fail_damaged(zip, "a member reaches behind the end of the file");
    entry->bytes = zip->map->bytes + data;
    return VINDEX_OK;
}

/* ---- entries ---- */

static vindex_status check_sizes(const vx_zip *zip, const zip_stat_t *found) {
    char name[VX_EXCERPT];
    vx_excerpt(found->name, strlen(found->name), name);
    unsigned long long size = found->size, packed = found->comp_size;
    if (found->encryption_method != ZIP_EM_NONE)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: member '%s' is encrypted; save it without a password", zip->path, name);
    if (found->comp_method != ZIP_CM_STORE && found->comp_method != ZIP_CM_DEFLATE)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: member '%s' is packed by method %d; store it or use deflate", zip->path,
                       name, (int)found->comp_method);
    if (packed > zip->map->length)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: member '%s' says it takes %llu bytes of the %zu there are; it was cut",
                       zip->path, name, packed, zip->map->length);
    bool stored = found->comp_method == ZIP_CM_STORE;
    if (stored ? size != packed : size > packed * DEFLATE_MOST + DEFLATE_SLACK)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: member '%s' says that %llu bytes hold %llu, which cannot be; the file "
                       "is damaged",
                       zip->path, name, packed, size);
    if (size > HONEST_BYTES && size / HONEST_RATIO > packed)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: member '%s' would grow from %llu to %llu bytes, as zip bombs do and "
                       "embeddings do not; unpack it yourself if it is sound",
                       zip->path, name, packed, size);
    return VINDEX_OK;
}

static vindex_status read_entry(vx_zip *zip, size_t i, uint64_t *directory) {
    const zip_uint64_t facts = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                               ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    zip_stat_t found;
    if (zip_stat_index(zip->archive, i, ZIP_FL_ENC_RAW, &found) || (found.valid & facts) != facts)
        return fail_damaged(zip, "an entry of its directory is damaged");
    VX_TRY(check_sizes(zip, &found));
    zip->entries[i] = (vx_zip_entry){.name = found.name, .size = found.size};
    VX_TRY(locate(zip, &zip->entries[i], found.comp_size, directory));
    if (found.comp_method != ZIP_CM_STORE) zip->entries[i].bytes = NULL;
    zip->sorted[i] = i;
    return VINDEX_OK;
}

static int compare_names(const void *a, const void *b, void *entries) {
    const vx_zip_entry *all = entries;
    return strcmp(all[*(const size_t *)a].name, all[*(const size_t *)b].name);
}

static vindex_status read_entries(vx_zip *zip) {
    uint64_t directory;
    if (!find_directory(zip, &directory)) return fail_damaged(zip, "it has no directory");
    for (size_t i = 0; i < zip->count; i++) VX_TRY(read_entry(zip, i, &directory));
    qsort_r(zip->sorted, zip->count, sizeof *zip->sorted, compare_names, zip->entries);
    for (size_t i = 1; i < zip->count; i++) {
        const char *name = zip->entries[zip->sorted[i]].name;
        if (!strcmp(name, zip->entries[zip->sorted[i - 1]].name)) {
            char shown[VX_EXCERPT];
            return vx_fail(VINDEX_ERR_FORMAT, "%s: member '%s' comes twice; keep one", zip->path,
                           vx_excerpt(name, strlen(name), shown));
        }
    }
    return VINDEX_OK;
}

static vindex_status open_archive(vx_zip *zip) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(zip->map->bytes, zip->map->length, 0, &error);
    zip->archive = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    vindex_status status = VINDEX_OK;
    if (!zip->archive) {
        bool memory = zip_error_code_zip(&error) == ZIP_ER_MEMORY;
        status = vx_fail(memory ? VINDEX_ERR_MEMORY : VINDEX_ERR_FORMAT,
                         "%s: as a zip file: %s; it was cut or is another file", zip->path,
                         zip_error_strerror(&error));
        if (source) zip_source_free(source);
    }
    zip_error_fini(&error);
    return status;
}

vindex_status vx_zip_open(const char *path, const vx_map *map, vx_zip **result) {
    vx_zip *zip = vx_alloc_zero(1, sizeof *zip);
    if (!zip) return vx_fail_memory(1, sizeof *zip, path);
    zip->path = path;
    zip->map = map;
    vindex_status status = open_archive(zip);
    if (status == VINDEX_OK) {
        zip->count = (size_t)zip_get_num_entries(zip->archive, 0);
        zip->entries = vx_alloc_zero(zip->count, sizeof *zip->entries);
        zip->sorted = vx_alloc(zip->count, sizeof *zip->sorted);
        status = zip->entries && zip->sorted
                     ? read_entries(zip)
                     : vx_fail_memory(zip->count, sizeof *zip->entries, path);
    }
    if (status == VINDEX_OK)
        *result = zip;
    else
        vx_zip_close(zip);
    return status;
}

void vx_zip_close(vx_zip *zip) {
    if (!zip) return;
    if (zip->archive) zip_discard(zip->archive);
    vx_free(zip->entries);
    vx_free(zip->sorted);
    vx_free(zip);
}

size_t vx_zip_count(const vx_zip *zip) {
    return zip->count;
}

const vx_zip_entry *vx_zip_get(const vx_zip *zip, size_t entry) {
    return &zip->entries[entry];
}

bool vx_zip_find(const vx_zip *zip, const char *name, size_t *entry) {
    size_t low = 0, high = zip->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, zip->entries[zip->sorted[middle]].name);
        if (!order) {
            *entry = zip->sorted[middle];
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* Reads until `bytes` are there or the member ends. */
static bool read_all(zip_file_t *member, size_t bytes, unsigned char *room, size_t *got) {
    *got = 0;
    while (*got < bytes) {
        zip_int64_t more = zip_fread(member, room + *got, bytes - *got);
        if (more < 0) return false;
        if (!more) break;
        *got += (size_t)more;
    }
    return true;
}

vindex_status vx_zip_read(vx_zip *zip, size_t entry, size_t bytes, unsigned char *room) {
    const vx_zip_entry *wanted = &zip->entries[entry];
    char shown[VX_EXCERPT];
    vx_excerpt(wanted->name, strlen(wanted->name), shown);
    zip_file_t *member = zip_fopen_index(zip->archive, entry, 0);
    size_t got = 0, behind = 0;
    unsigned char more;
    bool whole = bytes == wanted->size;
    bool sound = member && read_all(member, bytes, room, &got) && got == bytes;
    if (sound && whole) sound = read_all(member, 1, &more, &behind) && !behind;
    vindex_status status = VINDEX_OK;
    if (!sound)
        status = vx_fail(VINDEX_ERR_CORRUPT,
                         "%s: member '%s' does not inflate to the %zu bytes it says (%s); the "
                         "file is damaged",
                         zip->path, shown, wanted->size,
                         !member  ? zip_strerror(zip->archive)
                         : behind ? "there are more"
                                  : zip_file_strerror(member));
    if (member) zip_fclose(member);
    return status;
}

static vindex_status load_blob(vx_tree *tree, vx_blob *blob) {
    unsigned char *room = vx_alloc(blob->length, 1);
    if (!room) return vx_fail_memory(blob->length, 1, tree->path);
    vindex_status status = vx_zip_read(tree->source, blob->entry, blob->length, room);
    if (status != VINDEX_OK) {
        vx_free(room);
        return status;
    }
    blob->bytes = blob->owned = room;
    return VINDEX_OK;
}

static void release(void *zip) {
    vx_zip_close(zip);
}

void vx_zip_feed(vx_zip *zip, vx_tree *tree) {
    tree->load = load_blob;
    tree->release = release;
    tree->source = zip;
}

vindex_status vx_zip_blob(const vx_zip *zip, size_t entry, vx_tree *tree, vx_blob **blob) {
    *blob = vx_tree_blob(tree);
    if (!*blob) return vx_tree_fail(tree);
    (*blob)->entry = entry;
    (*blob)->length = zip->entries[entry].size;
    (*blob)->bytes = zip->entries[entry].bytes;
    if (!vx_add(tree->numbers_most, (*blob)->length, &tree->numbers_most))
        tree->numbers_most = SIZE_MAX;
    return VINDEX_OK;
}
