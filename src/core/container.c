/* Reading and writing the container of container.h. A reader trusts nothing: each number of header
 * and table has exactly one right value given those before it, so that whatever a damaged or
 * hostile file holds is one clear error before anything behaves by it. */
#include "container.h"

#include <stdio.h>
#include <xxhash.h>

#include "file.h"

enum {
    FORMAT_VERSION = 1,
    ALIGNMENT = 64,
    HEADER = 64,
    HEADER_HASHED = 56, /* all but its own hash */
    ENTRY = 32,
    TAG = 8,
    HASH_CHUNK = 4 << 20 /* hashed between two looks at the progress callback */
};

/* The second half catches transfers that rewrite line ends. */
static const unsigned char magic[8] = {'V', 'I', 'N', 'D', 'E', 'X', '\r', '\n'};
static const unsigned char zeros[ALIGNMENT];

/* One line of the table. */
typedef struct entry {
    char tag[TAG + 1]; /* zero-padded */
    uint64_t offset, length, hash;
} entry;

static uint64_t padding_after(uint64_t bytes) {
    return -bytes % ALIGNMENT;
}

/* Where the first section begins; count is at most VX_SECTIONS_MAX. */
static uint64_t first_offset(uint32_t count) {
    uint64_t end = HEADER + (uint64_t)count * ENTRY;
    return end + padding_after(end);
}

/* 1 to 8 printable ASCII characters, so that a listing cannot play tricks on a terminal. */
static bool tag_valid(const char *tag) {
    size_t length = strlen(tag);
    for (size_t i = 0; i < length; i++)
        if (tag[i] <= ' ' || tag[i] > '~') return false;
    return length >= 1 && length <= TAG;
}

static const entry *find_entry(const entry *entries, uint32_t count, const char *tag) {
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(entries[i].tag, tag)) return &entries[i];
    return NULL;
}

/* ---- writing ---- */

struct vx_container_writer {
    vx_writer *file;
    char *path;
    uint32_t kind;
    uint64_t features;
    uint32_t count, begun; /* sections promised; begun so far */
    bool open;             /* a section is between begin and end */
    char letter;           /* put before tags; 0: none is */
    XXH3_state_t *hash;    /* of the open section */
    entry *entries;
    unsigned char *head;  /* header, table and the table's padding */
    vindex_status status; /* the first failure, and its sentence */
    char sentence[512];
};

static void release(vx_container_writer *writer) {
    vx_writer_abort(writer->file);
    XXH3_freeState(writer->hash);
    vx_free(writer->path);
    vx_free(writer->entries);
    vx_free(writer->head);
    vx_free(writer);
}

/* Keeps the first failure for commit. */
static vindex_status keep(vx_container_writer *writer, vindex_status status) {
    if (status != VINDEX_OK && writer->status == VINDEX_OK) {
        writer->status = status;
        snprintf(writer->sentence, sizeof writer->sentence, "%s", vindex_last_error());
    }
    return status;
}

static vindex_status earlier_failure(const vx_container_writer *writer) {
    if (writer->status == VINDEX_OK) return VINDEX_OK;
    return vx_fail(writer->status, "%s", writer->sentence);
}

vindex_status vx_container_create(const char *path, uint32_t kind, uint64_t features,
                                  uint32_t section_count, vx_container_writer **result) {
    if (section_count > VX_SECTIONS_MAX)
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: %u sections asked; a container holds at most %d",
                       path, (unsigned)section_count, VX_SECTIONS_MAX);
    vx_container_writer *writer = vx_alloc_zero(1, sizeof *writer);
    if (!writer) return vx_fail_memory(1, sizeof *writer, path);
    size_t head_length = first_offset(section_count);
    writer->path = vx_strdup(path);
    writer->entries = vx_alloc_zero(section_count, sizeof *writer->entries);
    writer->head = vx_alloc_zero(head_length, 1);
    writer->hash = XXH3_createState();
    writer->kind = kind;
    writer->features = features;
    writer->count = section_count;
    vindex_status status = VINDEX_OK;
    if (!writer->path || !writer->entries || !writer->head || !writer->hash)
        status = vx_fail_memory(head_length, 2, path);
    if (status == VINDEX_OK) status = vx_writer_open(path, &writer->file);
    if (status == VINDEX_OK) status = vx_writer_write(writer->file, writer->head, head_length);
    if (status != VINDEX_OK) {
        release(writer);
        return status;
    }
    *result = writer;
    return VINDEX_OK;
}

static vindex_status check_begin(const vx_container_writer *writer, const char *tag) {
    if (writer->open)
        return vx_fail(VINDEX_ERR_STATE, "%s: section '%s' begun inside another; end that first",
                       writer->path, tag);
    if (!tag_valid(tag))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: section tag '%s'; give 1 to 8 printable ASCII characters", writer->path,
                       tag);
    if (writer->begun == writer->count)
        return vx_fail(VINDEX_ERR_STATE, "%s: section '%s' is one more than the %u promised",
                       writer->path, tag, (unsigned)writer->count);
    if (find_entry(writer->entries, writer->begun, tag))
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: section '%s' written twice", writer->path, tag);
    return VINDEX_OK;
}

void vx_container_within(vx_container_writer *writer, char letter) {
    writer->letter = letter;
}

vindex_status vx_container_begin(vx_container_writer *writer, const char *name) {
    char tag[64]; /* longer ones are refused below */
    snprintf(tag, sizeof tag, "%.*s%s", writer->letter ? 1 : 0, &writer->letter, name);
    VX_TRY(earlier_failure(writer));
    VX_TRY(keep(writer, check_begin(writer, tag)));
    entry *section = &writer->entries[writer->begun++];
    memcpy(section->tag, tag, strlen(tag));
    section->offset = vx_writer_length(writer->file);
    XXH3_64bits_reset(writer->hash);
    writer->open = true;
    return VINDEX_OK;
}

vindex_status vx_container_append(vx_container_writer *writer, const void *data, size_t bytes) {
    VX_TRY(earlier_failure(writer));
    if (!writer->open)
        return keep(writer, vx_fail(VINDEX_ERR_STATE, "%s: data outside a section; begin one first",
                                    writer->path));
    if (!bytes) return VINDEX_OK;
    XXH3_64bits_update(writer->hash, data, bytes);
    return keep(writer, vx_writer_write(writer->file, data, bytes));
}

vindex_status vx_container_end(vx_container_writer *writer) {
    VX_TRY(earlier_failure(writer));
    if (!writer->open)
        return keep(writer, vx_fail(VINDEX_ERR_STATE, "%s: no section to end; begin one first",
                                    writer->path));
    entry *section = &writer->entries[writer->begun - 1];
    section->length = vx_writer_length(writer->file) - section->offset;
    section->hash = XXH3_64bits_digest(writer->hash);
    writer->open = false;
    return keep(writer,
                vx_writer_write(writer->file, zeros, (size_t)padding_after(section->length)));
}

vindex_status vx_container_section(vx_container_writer *writer, const char *tag, const void *data,
                                   size_t bytes) {
    VX_TRY(vx_container_begin(writer, tag));
    VX_TRY(vx_container_append(writer, data, bytes));
    return vx_container_end(writer);
}

/* Fills the bytes before the first section. */
static void compose_head(vx_container_writer *writer) {
    unsigned char *head = writer->head, *table = head + HEADER;
    for (uint32_t i = 0; i < writer->count; i++) {
        const entry *section = &writer->entries[i];
        unsigned char *line = table + (size_t)i * ENTRY;
        memcpy(line, section->tag, TAG);
        vx_put_u64(line + 8, section->offset);
        vx_put_u64(line + 16, section->length);
        vx_put_u64(line + 24, section->hash);
    }
    memcpy(head, magic, sizeof magic);
    vx_put_u32(head + 8, FORMAT_VERSION);
    vx_put_u32(head + 12, writer->kind);
    vx_put_u64(head + 16, writer->features);
    vx_put_u64(head + 24, vx_writer_length(writer->file));
    vx_put_u32(head + 32, writer->count);
    vx_put_u32(head + 36, 0);
    vx_put_u64(head + 40, HEADER);
    vx_put_u64(head + 48, XXH3_64bits(table, (size_t)writer->count * ENTRY));
    vx_put_u64(head + 56, XXH3_64bits(head, HEADER_HASHED));
}

static vindex_status finish(vx_container_writer *writer) {
    VX_TRY(earlier_failure(writer));
    if (writer->open || writer->begun != writer->count)
        return vx_fail(VINDEX_ERR_STATE, "%s: %u of %u sections written%s", writer->path,
                       (unsigned)writer->begun, (unsigned)writer->count,
                       writer->open ? ", the last without its end" : "");
    compose_head(writer);
    VX_TRY(vx_writer_patch(writer->file, 0, writer->head, (size_t)first_offset(writer->count)));
    vx_writer *file = writer->file;
    writer->file = NULL; /* commit frees it whatever happens */
    return vx_writer_commit(file);
}

vindex_status vx_container_commit(vx_container_writer *writer) {
    vindex_status status = finish(writer);
    release(writer);
    return status;
}

void vx_container_abort(vx_container_writer *writer) {
    if (writer) release(writer);
}

/* ---- reading ---- */

struct vx_container {
    vx_map map;
    char *path;
    uint32_t count;
    entry *entries;
    bool within; /* another, whose map this is */
};

static vindex_status lie(const vx_container *container, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: %s; the file is damaged or was not made by vindex",
                   container->path, what);
}

static vindex_status changed(const vx_container *container, const char *part) {
    return vx_fail(VINDEX_ERR_CORRUPT,
                   "%s: %s does not match its checksum; the file was damaged after it was written",
                   container->path, part);
}

/* What makes the file one of ours: nothing else is read before. The version comes before the hash,
 * for a later one may lay out its header in another way. */
static vindex_status check_identity(const vx_container *container) {
    const unsigned char *head = container->map.bytes;
    if (container->map.length < HEADER || memcmp(head, magic, sizeof magic))
        return vx_fail(
            VINDEX_ERR_FORMAT,
            "%s: not a vindex file, its %zu bytes do not begin with a header; check the path",
            container->path, container->map.length);
    uint32_t version = vx_get_u32(head + 8);
    if (version > FORMAT_VERSION)
        return vx_fail(VINDEX_ERR_VERSION,
                       "%s: format version %u, this library (%s) reads up to %d; update vindex",
                       container->path, (unsigned)version, vindex_version(), FORMAT_VERSION);
    if (version == 0) return lie(container, "format version 0");
    if (vx_get_u64(head + 56) != XXH3_64bits(head, HEADER_HASHED))
        return changed(container, "the header");
    return VINDEX_OK;
}

static vindex_status check_header(vx_container *container, uint32_t kind) {
    const unsigned char *head = container->map.bytes;
    uint64_t unknown = vx_get_u64(head + 16) & ~(uint64_t)VX_FEATURES_KNOWN;
    if (unknown)
        return vx_fail(VINDEX_ERR_VERSION,
                       "%s: uses features (bits %#llx) this library (%s) lacks; update vindex",
                       container->path, (unsigned long long)unknown, vindex_version());
    if (vx_get_u32(head + 12) != kind)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: holds an object of kind %u where kind %u was asked; check the path",
                       container->path, (unsigned)vx_get_u32(head + 12), (unsigned)kind);
    uint64_t length = vx_get_u64(head + 24);
    if (length != container->map.length)
        return vx_fail(VINDEX_ERR_FORMAT, "%s: %zu bytes where its header says %llu; the file %s",
                       container->path, container->map.length, (unsigned long long)length,
                       length > container->map.length ? "was cut" : "has something after its end");
    container->count = vx_get_u32(head + 32);
    if (container->count > VX_SECTIONS_MAX ||
        first_offset(container->count) > container->map.length)
        return lie(container, "the header counts more sections than fit");
    if (vx_get_u32(head + 36) != 0 || vx_get_u64(head + 40) != HEADER)
        return lie(container, "the header places the table elsewhere");
    return VINDEX_OK;
}

static bool all_zero(const unsigned char *bytes, uint64_t count) {
    return !memcmp(bytes, zeros, (size_t)count); /* count is below ALIGNMENT */
}

/* Sections follow one another without gap or overlap, so each offset is known beforehand. */
static vindex_status check_entry(const vx_container *container, uint32_t i, uint64_t *next) {
    const entry *section = &container->entries[i];
    if (!tag_valid(section->tag) ||
        !all_zero((const unsigned char *)section->tag + strlen(section->tag),
                  TAG - strlen(section->tag)))
        return lie(container, "a section has an impossible tag");
    if (find_entry(container->entries, i, section->tag))
        return vx_fail(VINDEX_ERR_FORMAT, "%s: two sections '%s'; the file is damaged",
                       container->path, section->tag);
    uint64_t left = container->map.length - *next;
    if (section->offset != *next || section->length > left ||
        padding_after(section->length) > left - section->length)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: section '%s' of %llu bytes at %llu, where %llu bytes are left at %llu; "
                       "the file is damaged",
                       container->path, section->tag, (unsigned long long)section->length,
                       (unsigned long long)section->offset, (unsigned long long)left,
                       (unsigned long long)*next);
    *next += section->length + padding_after(section->length);
    return VINDEX_OK;
}

static vindex_status check_table(vx_container *container) {
    const unsigned char *head = container->map.bytes, *table = head + HEADER;
    size_t length = (size_t)container->count * ENTRY;
    if (vx_get_u64(head + 48) != XXH3_64bits(table, length))
        return changed(container, "the table of sections");
    if (!all_zero(table + length, padding_after(length)))
        return changed(container, "the padding of the table");
    container->entries = vx_alloc_zero(container->count, sizeof *container->entries);
    if (!container->entries)
        return vx_fail_memory(container->count, sizeof *container->entries, container->path);
    uint64_t next = first_offset(container->count);
    for (uint32_t i = 0; i < container->count; i++) {
        const unsigned char *line = table + (size_t)i * ENTRY;
        entry *section = &container->entries[i];
        memcpy(section->tag, line, TAG);
        section->offset = vx_get_u64(line + 8);
        section->length = vx_get_u64(line + 16);
        section->hash = vx_get_u64(line + 24);
        VX_TRY(check_entry(container, i, &next));
    }
    if (next != container->map.length) return lie(container, "something follows the last section");
    return VINDEX_OK;
}

static vindex_status open_checked(vx_container *container, uint32_t kind) {
    VX_TRY(check_identity(container));
    VX_TRY(check_header(container, kind));
    return check_table(container);
}

vindex_status vx_container_open(const char *path, uint32_t kind, vx_container **result) {
    vx_container *container = vx_alloc_zero(1, sizeof *container);
    if (!container) return vx_fail_memory(1, sizeof *container, path);
    container->path = vx_strdup(path);
    vindex_status status = container->path ? vx_map_open(path, &container->map)
                                           : vx_fail_memory(strlen(path) + 1, 1, path);
    if (status == VINDEX_OK) status = open_checked(container, kind);
    if (status != VINDEX_OK) {
        vx_container_close(container);
        return status;
    }
    *result = container;
    return VINDEX_OK;
}

void vx_container_close(vx_container *container) {
    if (!container) return;
    if (!container->within) vx_map_close(&container->map);
    vx_free(container->path);
    vx_free(container->entries);
    vx_free(container);
}

vindex_status vx_container_inner(const vx_container *container, char letter, vx_container **inner) {
    vx_container *part = vx_alloc_zero(1, sizeof *part);
    if (!part) return vx_fail_memory(1, sizeof *part, container->path);
    part->map = container->map;
    part->within = true;
    part->path = vx_strdup(container->path);
    part->entries = vx_alloc_zero(container->count, sizeof *part->entries);
    if (!part->path || !part->entries) {
        vx_container_close(part);
        return vx_fail_memory(container->count, sizeof *part->entries, container->path);
    }
    for (uint32_t i = 0; i < container->count; i++) {
        const entry *from = &container->entries[i];
        if (from->tag[0] != letter) continue;
        entry *to = &part->entries[part->count++];
        *to = *from;
        memcpy(to->tag, from->tag + 1, TAG);
    }
    *inner = part;
    return VINDEX_OK;
}

/* How far a verification came. */
typedef struct advance {
    vindex_call call;
    uint64_t done, total; /* bytes */
} advance;

static vindex_status step(advance *so_far, uint64_t bytes) {
    so_far->done += bytes;
    return vx_progress(so_far->call.progress, so_far->call.progress_context, "verify",
                       so_far->total ? (double)so_far->done / (double)so_far->total : 1);
}

static vindex_status hash_section(const unsigned char *bytes, uint64_t length, XXH3_state_t *state,
                                  advance *so_far) {
    XXH3_64bits_reset(state);
    while (length) {
        size_t chunk = (size_t)VX_MIN(length, (uint64_t)HASH_CHUNK);
        XXH3_64bits_update(state, bytes, chunk);
        bytes += chunk;
        length -= chunk;
        VX_TRY(step(so_far, chunk));
    }
    return VINDEX_OK;
}

static vindex_status verify_section(const vx_container *container, const entry *section,
                                    advance *so_far) {
    const unsigned char *bytes = container->map.bytes + section->offset;
    char part[32];
    snprintf(part, sizeof part, "section '%s'", section->tag);
    XXH3_state_t *state = XXH3_createState();
    if (!state) return vx_fail_memory(1, 1024, container->path);
    vindex_status status = hash_section(bytes, section->length, state, so_far);
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    if (status != VINDEX_OK) return status;
    if (hash != section->hash || !all_zero(bytes + section->length, padding_after(section->length)))
        return changed(container, part);
    return VINDEX_OK;
}

vindex_status vx_container_find(const vx_container *container, const char *tag, bool verify,
                                vx_section *section) {
    const entry *found = find_entry(container->entries, container->count, tag);
    if (!found)
        return vx_fail(VINDEX_ERR_FORMAT, "%s: no section '%s'; the file is of another kind",
                       container->path, tag);
    advance silent = {.total = found->length};
    if (verify) VX_TRY(verify_section(container, found, &silent));
    *section = (vx_section){container->map.bytes + found->offset, (size_t)found->length};
    return VINDEX_OK;
}

bool vx_container_has(const vx_container *container, const char *tag) {
    return find_entry(container->entries, container->count, tag) != NULL;
}

vindex_status vx_container_verify(const vx_container *container, const vindex_call *call) {
    advance so_far = {.done = 0};
    VX_TRY(vx_call_resolve(call, &so_far.call));
    for (uint32_t i = 0; i < container->count; i++) so_far.total += container->entries[i].length;
    VX_TRY(step(&so_far, 0));
    for (uint32_t i = 0; i < container->count; i++)
        VX_TRY(verify_section(container, &container->entries[i], &so_far));
    return VINDEX_OK;
}

const char *vx_container_path(const vx_container *container) {
    return container->path;
}

uint64_t vx_container_length(const vx_container *container) {
    return container->map.length;
}

uint32_t vx_container_sections(const vx_container *container) {
    return container->count;
}

void vx_container_describe(const vx_container *container, uint32_t i, char tag[9],
                           uint64_t *length) {
    memcpy(tag, container->entries[i].tag, TAG + 1);
    *length = container->entries[i].length;
}
