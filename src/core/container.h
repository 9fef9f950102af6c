/* The file every vindex object is saved in: a little-endian header, a table of tagged sections, the
 * sections. Each section starts at a multiple of 64 bytes and has its XXH3-64 in the table; the
 * header holds the table's. Padding is zero and nothing follows the last section, so that no byte
 * of a file is unchecked.
 *
 * - header, 64 bytes: magic "VINDEX\r\n"; at 8 format version u32; 12 kind u32; 16 feature bits,
 *   u64; 24 file length u64; 32 section count u32; 36 zero u32; 40 table offset u64, always 64;
 *   48 XXH3 of the table; 56 XXH3 of the 56 bytes before.
 * - table, at 64, 32 bytes per section: tag, 8 bytes padded with zeros; at 8 offset u64; 16 length
 *   u64; 24 XXH3. Zeros up to a multiple of 64.
 * - sections, each padded with zeros to a multiple of 64. */
#ifndef VX_CORE_CONTAINER_H
#define VX_CORE_CONTAINER_H

#include "base.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "vectors lie in files as they lie in memory, little-endian");

/* What a container holds. */
enum { VX_KIND_INDEX = 1, VX_KIND_TRANSFORM = 2 };

/* Feature bits a reader must know to read a file; an unknown one is VINDEX_ERR_VERSION. */
enum { VX_FEATURES_KNOWN = 0 };

/* The most sections a container may have. */
enum { VX_SECTIONS_MAX = 1024 };

/* Little-endian numbers at any address, for the contents of sections as well. */
static inline void vx_put_u32(unsigned char *where, uint32_t value) {
    for (int i = 0; i < 4; i++) where[i] = (unsigned char)(value >> (8 * i));
}
static inline void vx_put_u64(unsigned char *where, uint64_t value) {
    for (int i = 0; i < 8; i++) where[i] = (unsigned char)(value >> (8 * i));
}
static inline uint32_t vx_get_u32(const unsigned char *where) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value |= (uint32_t)where[i] << (8 * i);
    return value;
}
static inline uint64_t vx_get_u64(const unsigned char *where) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)where[i] << (8 * i);
    return value;
}

/* Writing: open with the number of sections to come, then per section begin, any number of
 * appends, end; then commit. Any failure is reported again by commit. */
typedef struct vx_container_writer vx_container_writer;

VX_SHARED vindex_status vx_container_create(const char *path, uint32_t kind, uint64_t features,
                                            uint32_t section_count, vx_container_writer **writer);
VX_SHARED vindex_status vx_container_begin(vx_container_writer *writer, const char *tag);
VX_SHARED vindex_status vx_container_append(vx_container_writer *writer, const void *data,
                                            size_t bytes);
VX_SHARED vindex_status vx_container_end(vx_container_writer *writer);
/* A whole section in one call. */
VX_SHARED vindex_status vx_container_section(vx_container_writer *writer, const char *tag,
                                             const void *data, size_t bytes);
/* An object within another's file: from here on that letter is put before every tag, which may have
 * 7 characters then; 0 ends it. */
VX_SHARED void vx_container_within(vx_container_writer *writer, char letter);
/* Writes header and table, makes the file appear, frees the writer whatever happens. */
VX_SHARED vindex_status vx_container_commit(vx_container_writer *writer);
VX_SHARED void vx_container_abort(vx_container_writer *writer); /* NULL is fine */

/* Reading: the file is mapped; header and table are always checked, sections on demand. */
typedef struct vx_container vx_container;

VX_SHARED vindex_status vx_container_open(const char *path, uint32_t kind,
                                          vx_container **container);
VX_SHARED void vx_container_close(vx_container *container); /* NULL is fine */

/* The sections that were written within that letter, as a container of their own: it lies in the
 * map of the other one, which must be closed after it. */
VX_SHARED vindex_status vx_container_inner(const vx_container *container, char letter,
                                           vx_container **inner);

typedef struct vx_section {
    const unsigned char *bytes; /* in the map, 64-byte aligned, as long as the container is open */
    size_t length;
} vx_section;

/* The section of that tag, its checksum and padding verified when verify is set; VINDEX_ERR_FORMAT
 * when there is none. */
VX_SHARED vindex_status vx_container_find(const vx_container *container, const char *tag,
                                          bool verify, vx_section *section);

/* Whether there is such a section. */
VX_SHARED bool vx_container_has(const vx_container *container, const char *tag);

/* Checks every section and all padding. */
VX_SHARED vindex_status vx_container_verify(const vx_container *container, const vindex_call *call);

VX_SHARED const char *vx_container_path(const vx_container *container);
VX_SHARED uint64_t vx_container_length(const vx_container *container);

/* A section list for `info`: tag of section i (at most 8 characters) and its length. */
VX_SHARED uint32_t vx_container_sections(const vx_container *container);
VX_SHARED void vx_container_describe(const vx_container *container, uint32_t i, char tag[9],
                                     uint64_t *length);

#endif
