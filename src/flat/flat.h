/* The flat index: rows in blocks, compared one and all. */
#ifndef VX_FLAT_FLAT_H
#define VX_FLAT_FLAT_H

#include "core/ids.h"
#include "core/index_impl.h"
#include "exact/choose.h"
#include "exact/codes.h"
#include "exact/search.h"

/* Blocks have one fixed number of rows, so that a row's place is a division away and growing moves
 * no more than the last block. A block lies in memory of its own or in a mapped file; a mapped one
 * is copied before it is changed. */
typedef struct vx_flat {
    vindex_index base;
    vx_space space;
    bool certified;
    vx_choice choice; /* of the coder */
    vx_coder coder;   /* space.coder points here once it is learnt */
    const vx_kernels *kernels;
    vx_ids ids;
    vx_block *blocks;
    size_t *capacities; /* rows that a block's memory holds; 0: it is mapped */
    size_t block_count, block_slots;
    size_t block_rows;
} vx_flat;

extern const vx_index_kind vx_flat_kind;
extern const vx_index_ops vx_flat_ops;

static inline size_t vx_flat_stride(const vx_flat *flat) {
    return vx_space_stride(&flat->space);
}

/* The stored row with that number. */
static inline const void *vx_flat_row(const vx_flat *flat, size_t row) {
    const vx_block *block = &flat->blocks[row / flat->block_rows];
    return (const char *)block->data + row % flat->block_rows * vx_flat_stride(flat);
}

/* storage.c */
vindex_status vx_flat_make(const vx_spec *spec, size_t dim, vindex_metric metric, vx_flat **flat);
void vx_flat_free(vindex_index *index);
size_t vx_flat_memory(const vindex_index *index);
vindex_status vx_flat_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes);
vindex_status vx_flat_add(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                          const vindex_call *call);
vindex_status vx_flat_compact(vindex_index *index, const vindex_call *call);
/* Takes back all rows from `before` on, which were added last. */
void vx_flat_retract(vx_flat *flat, size_t before, int64_t largest_before);
/* Bytes of a block's codes and second planes, whole groups. */
size_t vx_flat_codes_bytes(const vx_flat *flat, size_t rows);
size_t vx_flat_planes_bytes(const vx_flat *flat, size_t rows);
/* Gives block b memory of its own for `capacity` rows and moves its rows there. */
vindex_status vx_flat_own_block(vx_flat *flat, size_t b, size_t capacity);
/* Kernels read a line behind the last second plane, of row count - 1, and multiply it with zeros.
 */
void vx_flat_clear_behind(const vx_flat *flat, const vx_block *block, size_t count);
/* Room for the list of count blocks. */
vindex_status vx_flat_reserve_blocks(vx_flat *flat, size_t count);

/* learn.c */
vindex_status vx_flat_train(vindex_index *index, const vindex_rows *rows, const vindex_call *call);
/* Learns a coder once there are rows enough, those held and n more, and encodes what is held. */
vindex_status vx_flat_learn(vx_flat *flat, const float *vectors, size_t n, int threads);
/* Encodes rows at ... at+count-1 of a block, at most VX_CODER_ROWS; work holds vx_codes_work
 * numbers. */
void vx_flat_encode(const vx_flat *flat, const vx_block *block, size_t at,
                    const vx_measure *measures, size_t count, float *work);

/* merge.c */
vindex_status vx_flat_merge(vindex_index *index, const vindex_index *from, const vindex_call *call);

/* search.c */
vindex_status vx_flat_search(const vindex_index *index, const vx_request *request);
vindex_status vx_flat_range_search(const vindex_index *index, const vx_request *request);

/* file.c */
void vx_flat_describe(const vindex_index *index, vx_index_header *header);
uint32_t vx_flat_section_count(const vindex_index *index);
vindex_status vx_flat_save(const vindex_index *index, vx_container_writer *writer,
                           const vindex_call *call);
vindex_status vx_flat_load(const vx_spec *spec, const vx_index_header *header, vx_container *file,
                           bool map, bool verify, vindex_index **index);

#endif
