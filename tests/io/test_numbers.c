/* Every dtype against numbers written by hand and against definitions that share no code with it.
 */
#include "io/numbers.h"

#include <float.h>
#include <math.h>

#include "../harness.h"
#include "core/rng.h"

static float decode_one(const void *bytes, vindex_dtype dtype, bool big_endian) {
    float value;
    vx_decode(bytes, vindex_dtype_size(dtype), dtype, big_endian, 1, &value);
    return value;
}

/* What a half means, by the definition of the format. */
static float half_means(unsigned half) {
    float sign = half & 0x8000 ? -1 : 1;
    int exponent = (int)(half >> 10 & 31);
    float mantissa = (float)(half & 0x3ff);
    if (exponent == 31) return half & 0x3ff ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexpf(mantissa, -24);
    return sign * ldexpf(1024 + mantissa, exponent - 25);
}

START_TEST(every_half_is_read_and_written_back) {
    for (unsigned half = 0; half < 0x10000; half++) {
        unsigned char bytes[2] = {(unsigned char)half, (unsigned char)(half >> 8)};
        unsigned char swapped[2] = {bytes[1], bytes[0]}, back[2];
        float value = decode_one(bytes, VINDEX_F16, false), expected = half_means(half);
        ck_assert(isnan(expected) ? isnan(value) : value == expected);
        ck_assert(!signbit(value) == !(half & 0x8000));
        ck_assert(isnan(expected) || decode_one(swapped, VINDEX_F16, true) == expected);
        ck_assert_uint_eq(vx_encode(&value, 1, VINDEX_F16, back), 1);
        if (isnan(expected))
            ck_assert(isnan(half_means(back[0] | (unsigned)back[1] << 8)));
        else
            ck_assert_mem_eq(back, bytes, 2);
    }
}
END_TEST

static unsigned encode_half(float value) {
    unsigned char bytes[2];
    ck_assert_uint_eq(vx_encode(&value, 1, VINDEX_F16, bytes), 1);
    return bytes[0] | (unsigned)bytes[1] << 8;
}

START_TEST(halves_round_to_the_nearest_and_ties_to_even) {
    for (unsigned half = 0; half < 0x7bff; half++) {
        float low = half_means(half), high = half_means(half + 1);
        float middle = low + (high - low) / 2; /* exact: 11 bits and one more */
        unsigned even = half & 1 ? half + 1 : half;
        ck_assert_uint_eq(encode_half(middle), even);
        ck_assert_uint_eq(encode_half(nextafterf(middle, 0)), half);
        ck_assert_uint_eq(encode_half(nextafterf(middle, INFINITY)), half + 1);
        ck_assert_uint_eq(encode_half(-middle), even | 0x8000);
    }
    ck_assert_uint_eq(encode_half(FLT_TRUE_MIN), 0);
    ck_assert_uint_eq(encode_half(nextafterf(65520, 0)), 0x7bff);
    unsigned char bytes[2];
    const float too_large[] = {65520, -65520, 1e30f, FLT_MAX};
    for (size_t i = 0; i < VX_COUNT(too_large); i++)
        ck_assert_uint_eq(vx_encode(&too_large[i], 1, VINDEX_F16, bytes), 0);
}
END_TEST

START_TEST(bfloats_round_to_the_nearest) {
    const struct {
        uint32_t bits, expected;
    } cases[] = {{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81},
                 {0x3f818000, 0x3f82}, {0xbf818000, 0xbf82}, {0x7f800000, 0x7f80},
                 {0x7f7f7fff, 0x7f7f}, {0x7fc00000, 0x7fc0}, {0x7f800001, 0x7fc0},
                 {0x00000001, 0x0000}, {0x00018000, 0x0002}, {0x80000000, 0x8000}};
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        float value;
        unsigned char bytes[2];
        memcpy(&value, &cases[i].bits, sizeof value);
        ck_assert_uint_eq(vx_encode(&value, 1, VINDEX_BF16, bytes), 1);
        ck_assert_uint_eq(vx_load_u16(bytes), cases[i].expected);
    }
    float too_large = FLT_MAX;
    unsigned char bytes[2];
    ck_assert_uint_eq(vx_encode(&too_large, 1, VINDEX_BF16, bytes), 0);
    ck_assert(decode_one("\x80\x3f", VINDEX_BF16, false) == 1);
    ck_assert(decode_one("\xc0\x40", VINDEX_BF16, true) == -3);
}
END_TEST

START_TEST(numbers_written_by_hand_are_read) {
    static const struct {
        vindex_dtype dtype;
        const char *bytes; /* little-endian */
        float value;
    } cases[] = {
        {VINDEX_I8, "\x80", -128},
        {VINDEX_I8, "\x7f", 127},
        {VINDEX_U8, "\xff", 255},
        {VINDEX_I16, "\x00\x80", -32768},
        {VINDEX_I16, "\x02\x01", 258},
        {VINDEX_U16, "\xff\xff", 65535},
        {VINDEX_I32, "\x00\x00\x00\x80", -2147483648.0f},
        {VINDEX_I32, "\x04\x03\x02\x01", 16909060},
        {VINDEX_I32, "\x01\x00\x00\x01", 16777216}, /* 2^24 + 1: to even */
        {VINDEX_I32, "\x03\x00\x00\x01", 16777220},
        {VINDEX_I64, "\x00\x00\x00\x00\x00\x00\x00\x80", -0x1p63f},
        {VINDEX_I64, "\xff\xff\xff\xff\xff\xff\xff\x7f", 0x1p63f},
        {VINDEX_I64, "\xfe\xff\xff\xff\xff\xff\xff\xff", -2},
        {VINDEX_F32, "\x00\x00\xc0\xbf", -1.5f},
        {VINDEX_F32, "\x01\x00\x00\x00", 0x1p-149f},
        {VINDEX_F64, "\x9a\x99\x99\x99\x99\x99\xb9\x3f", 0.1f},
        {VINDEX_F64, "\x00\x00\x00\x00\x00\x00\xf8\x3f", 1.5f},
        {VINDEX_F64, "\x9c\x75\x00\x88\x3c\xe4\x37\x7e", INFINITY}, /* 1e300 */
        {VINDEX_F64, "\x00\x00\x00\x10\x00\x00\xf0\x3f", 1},        /* half-way: to even */
        {VINDEX_F64, "\x01\x00\x00\x10\x00\x00\xf0\x3f", 1 + 0x1p-23f},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        size_t size = vindex_dtype_size(cases[i].dtype);
        char swapped[8];
        for (size_t k = 0; k < size; k++) swapped[k] = cases[i].bytes[size - 1 - k];
        ck_assert_msg(decode_one(cases[i].bytes, cases[i].dtype, false) == cases[i].value,
                      "case %zu", i);
        ck_assert_msg(decode_one(swapped, cases[i].dtype, true) == cases[i].value,
                      "case %zu, big-endian", i);
    }
}
END_TEST

START_TEST(integers_hold_what_is_whole_and_in_range) {
    static const struct {
        vindex_dtype dtype;
        float value;
        bool holds;
    } cases[] = {
        {VINDEX_U8, 0, true},          {VINDEX_U8, 255, true},       {VINDEX_U8, 256, false},
        {VINDEX_U8, -1, false},        {VINDEX_U8, 0.5f, false},     {VINDEX_U8, NAN, false},
        {VINDEX_U8, -0.0f, true},      {VINDEX_I8, -128, true},      {VINDEX_I8, -129, false},
        {VINDEX_I8, 127, true},        {VINDEX_I8, 128, false},      {VINDEX_I16, -32768, true},
        {VINDEX_I16, 32768, false},    {VINDEX_U16, 65535, true},    {VINDEX_U16, 65536, false},
        {VINDEX_I32, -0x1p31f, true},  {VINDEX_I32, 0x1p31f, false}, {VINDEX_I32, 3.25f, false},
        {VINDEX_I32, INFINITY, false}, {VINDEX_I64, -0x1p63f, true}, {VINDEX_I64, 0x1p63f, false},
        {VINDEX_I64, 0x1p62f, true},   {VINDEX_F32, NAN, true},      {VINDEX_F64, -INFINITY, true},
        {VINDEX_F16, INFINITY, true},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        unsigned char bytes[8];
        size_t held = vx_encode(&cases[i].value, 1, cases[i].dtype, bytes);
        ck_assert_msg(held == cases[i].holds, "case %zu", i);
        if (!held || isnan(cases[i].value)) continue;
        ck_assert_msg(decode_one(bytes, cases[i].dtype, false) == cases[i].value, "case %zu", i);
    }
    const float row[] = {1, 2, 300, 4};
    unsigned char bytes[4];
    ck_assert_uint_eq(vx_encode(row, 4, VINDEX_U8, bytes), 2);
}
END_TEST

/* Longer than the block numbers go through, at every alignment and a stride that is no multiple. */
START_TEST(strides_and_alignments_do_not_matter) {
    enum { N = 1300, STRIDE = 11 };
    static unsigned char bytes[N * STRIDE + 8];
    static float values[N];
    vx_rng rng = vx_rng_seed(1, 0);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)vx_rng_next(&rng);
    for (int dtype = VINDEX_F32; dtype <= VINDEX_I64; dtype++)
        for (size_t shift = 0; shift < 8; shift++)
            for (int big = 0; big < 2; big++) {
                vx_decode(bytes + shift, STRIDE, (vindex_dtype)dtype, big, N, values);
                for (size_t i = 0; i < N; i++) {
                    float one = decode_one(bytes + shift + i * STRIDE, (vindex_dtype)dtype, big);
                    ck_assert(one == values[i] || (isnan(one) && isnan(values[i])));
                }
            }
}
END_TEST

TEST_MAIN("io/numbers", every_half_is_read_and_written_back,
          halves_round_to_the_nearest_and_ties_to_even, bfloats_round_to_the_nearest,
          numbers_written_by_hand_are_read, integers_hold_what_is_whole_and_in_range,
          strides_and_alignments_do_not_matter)
