/* Numbers as files hold them, to float32 and back. */
#ifndef VX_IO_NUMBERS_H
#define VX_IO_NUMBERS_H

#include "core/base.h"

/* Turns n numbers, stride bytes apart and at any alignment, into float32. Wider ones are rounded to
 * the nearest. */
void vx_decode(const unsigned char *bytes, size_t stride, vindex_dtype dtype, bool big_endian,
               size_t n, float *values);

/* Turns n float32 into that dtype, little-endian, one behind the other. Stops at the first value
 * the dtype cannot hold and answers its place, or n. */
size_t vx_encode(const float *values, size_t n, vindex_dtype dtype, unsigned char *bytes);

/* Unsigned little-endian integers at any alignment. */
uint32_t vx_load_u16(const unsigned char *bytes);
uint32_t vx_load_u32(const unsigned char *bytes);
void vx_store_u16(unsigned char *bytes, uint32_t value);
void vx_store_u32(unsigned char *bytes, uint32_t value);

#endif
