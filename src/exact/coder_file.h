/* A coder as a section of an index file, tag "coder": at 0 u32 1 when one was learnt, 0 when not
 * yet, and then nothing follows; at 4 u32 flags, 1 a second plane, 2 a matrix; 8 head u64; 16 skew
 * and 24 forecast, f64; 32 mean, f32 x dim; then the matrix, f32 x head x dim. */
#ifndef VX_EXACT_CODER_FILE_H
#define VX_EXACT_CODER_FILE_H

#include "coder.h"
#include "core/container.h"

/* coder NULL: not learnt yet. */
VX_SHARED vindex_status vx_coder_save(const vx_coder *coder, vx_container_writer *writer);

/* coder->mean stays NULL when none was learnt. */
VX_SHARED vindex_status vx_coder_load(const vx_container *file, size_t dim, vx_coder *coder);

#endif
