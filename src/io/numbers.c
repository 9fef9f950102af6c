/* One place that knows every dtype bit by bit, so that a file format is only its layout. Half
 * precision is done in integers: no instruction set and no rounding mode changes the answer. */
#include "numbers.h"

enum { CHUNK = 512 };

static const bool host_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31, mantissa = half & 0x3ffu;
    if (exponent == 31) return float_of(sign | 0x7f800000u | mantissa << 13);
    if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    return float_of(sign | bits_of((float)mantissa * 0x1p-24f));
}

/* value / 2^shift, ties to even; shift is 1 to 24. */
static uint32_t round_shift(uint32_t value, int shift) {
    uint32_t quotient = value >> shift, rest = value - (quotient << shift);
    uint32_t half = 1u << (shift - 1);
    return quotient + (rest > half || (rest == half && (quotient & 1)));
}

/* False for a finite number that would round to infinity. */
static bool to_half(float value, uint16_t *half) {
    uint32_t bits = bits_of(value), size = bits & 0x7fffffffu;
    uint32_t sign = (bits >> 16) & 0x8000u, rounded;
    if (size > 0x7f800000u) {
        rounded = 0x7e00u | (size >> 13 & 0x3ffu);
    } else if (size == 0x7f800000u) {
        rounded = 0x7c00u;
    } else if (size >= 0x477ff000u) { /* 65520, half-way to the first that does not fit */
        return false;
    } else if (size >= 0x38800000u) { /* 2^-14: a carry out of the mantissa is the next exponent */
        rounded = round_shift(size - 0x38000000u, 13);
    } else {
        int shift = 126 - (int)(size >> 23);
        rounded = shift > 24 ? 0 : round_shift((size & 0x7fffffu) | 0x800000u, shift);
    }
    *half = (uint16_t)(sign | rounded);
    return true;
}

static bool to_bfloat(float value, uint16_t *result) {
    uint32_t bits = bits_of(value), size = bits & 0x7fffffffu, rounded;
    if (size > 0x7f800000u)
        rounded = size >> 16 | 0x40u;
    else if (size >= 0x7f7f8000u && size != 0x7f800000u)
        return false;
    else
        rounded = round_shift(size, 16);
    *result = (uint16_t)((bits >> 16 & 0x8000u) | rounded);
    return true;
}

/* Copies n items of size bytes, stride apart, into one block in this machine's byte order. */
static void gather(const unsigned char *bytes, size_t stride, size_t size, bool swap, size_t n,
                   unsigned char *block) {
    if (stride == size)
        memcpy(block, bytes, n * size);
    else
        for (size_t i = 0; i < n; i++) memcpy(block + i * size, bytes + i * stride, size);
    if (!swap) return;
    for (size_t i = 0; i < n; i++) {
        unsigned char *item = block + i * size;
        for (size_t low = 0, high = size - 1; low < high; low++, high--) {
            unsigned char kept = item[low];
            item[low] = item[high];
            item[high] = kept;
        }
    }
}

static void convert(const void *block, vindex_dtype dtype, size_t n, float *values) {
    switch (dtype) {
    case VINDEX_F32:
        memcpy(values, block, n * sizeof *values);
        return;
    case VINDEX_F16:
        for (size_t i = 0; i < n; i++) values[i] = from_half(((const uint16_t *)block)[i]);
        return;
    case VINDEX_BF16:
        for (size_t i = 0; i < n; i++)
            values[i] = float_of((uint32_t)((const uint16_t *)block)[i] << 16);
        return;
    case VINDEX_F64:
        for (size_t i = 0; i < n; i++) values[i] = (float)((const double *)block)[i];
        return;
    case VINDEX_I8:
        for (size_t i = 0; i < n; i++) values[i] = ((const int8_t *)block)[i];
        return;
    case VINDEX_U8:
        for (size_t i = 0; i < n; i++) values[i] = ((const uint8_t *)block)[i];
        return;
    case VINDEX_I16:
        for (size_t i = 0; i < n; i++) values[i] = ((const int16_t *)block)[i];
        return;
    case VINDEX_U16:
        for (size_t i = 0; i < n; i++) values[i] = ((const uint16_t *)block)[i];
        return;
    case VINDEX_I32:
        for (size_t i = 0; i < n; i++) values[i] = (float)((const int32_t *)block)[i];
        return;
    case VINDEX_I64:
        for (size_t i = 0; i < n; i++) values[i] = (float)((const int64_t *)block)[i];
        return;
    }
}

void vx_decode(const unsigned char *bytes, size_t stride, vindex_dtype dtype, bool big_endian,
               size_t n, float *values) {
    size_t size = vindex_dtype_size(dtype);
    bool swap = big_endian != host_big_endian && size > 1;
    if (dtype == VINDEX_F32 && stride == size && !swap) {
        if (n) memcpy(values, bytes, n * size);
        return;
    }
    union {
        unsigned char bytes[CHUNK * sizeof(int64_t)];
        int64_t aligned;
    } block;
    while (n) {
        size_t take = VX_MIN(n, (size_t)CHUNK);
        gather(bytes, stride, size, swap, take, block.bytes);
        convert(&block, dtype, take, values);
        bytes += take * stride;
        values += take;
        n -= take;
    }
}

/* The whole numbers an integer dtype can hold: from least up to, not including, limit. */
typedef struct range {
    double least, limit;
} range;

static range range_of(vindex_dtype dtype) {
    switch (dtype) {
    case VINDEX_I8:
        return (range){-0x1p7, 0x1p7};
    case VINDEX_U8:
        return (range){0, 0x1p8};
    case VINDEX_I16:
        return (range){-0x1p15, 0x1p15};
    case VINDEX_U16:
        return (range){0, 0x1p16};
    case VINDEX_I32:
        return (range){-0x1p31, 0x1p31};
    default:
        return (range){-0x1p63, 0x1p63};
    }
}

static bool to_bits(float value, vindex_dtype dtype, range whole, uint64_t *bits) {
    uint16_t half;
    double wide = value;
    switch (dtype) {
    case VINDEX_F32:
        *bits = bits_of(value);
        return true;
    case VINDEX_F64:
        memcpy(bits, &wide, sizeof *bits);
        return true;
    case VINDEX_F16:
    case VINDEX_BF16:
        if (!(dtype == VINDEX_F16 ? to_half(value, &half) : to_bfloat(value, &half))) return false;
        *bits = half;
        return true;
    default:
        if (!(wide >= whole.least && wide < whole.limit)) return false;
        *bits = (uint64_t)(int64_t)wide;
        return (double)(int64_t)wide == wide;
    }
}

size_t vx_encode(const float *values, size_t n, vindex_dtype dtype, unsigned char *bytes) {
    size_t size = vindex_dtype_size(dtype);
    range whole = range_of(dtype);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        if (!to_bits(values[i], dtype, whole, &bits)) return i;
        for (size_t k = 0; k < size; k++) *bytes++ = (unsigned char)(bits >> (8 * k));
    }
    return n;
}

uint32_t vx_load_u16(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

uint32_t vx_load_u32(const unsigned char *bytes) {
    return vx_load_u16(bytes) | vx_load_u16(bytes + 2) << 16;
}

void vx_store_u16(unsigned char *bytes, uint32_t value) {
    bytes[0] = (unsigned char)value;
    bytes[1] = (unsigned char)(value >> 8);
}

void vx_store_u32(unsigned char *bytes, uint32_t value) {
    vx_store_u16(bytes, value);
    vx_store_u16(bytes + 2, value >> 16);
}
