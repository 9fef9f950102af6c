/* Table look-ups for AVX-512. With VBMI one instruction looks up 64 bytes in four tables of sixteen
 * side by side, which is what a line needs, and VNNI adds them up row by row. Without, a line is
 * sorted by the bytes of its rows and PSHUFB looks them up. See tables_scalar.h for what each does.
 * Included by lanes_avx512.h. */
#ifndef VX_SIMD_TABLES_AVX512_H
#define VX_SIMD_TABLES_AVX512_H

typedef struct nibbles {
    __m512i low, high;
} nibbles;

#if defined(__AVX512VBMI__) && defined(__AVX512VNNI__)

typedef struct looked {
    __m512i low, high; /* two chains of additions */
} looked;

static inline nibbles nibbles_load(const unsigned char *line) {
    const __m512i mask = _mm512_set1_epi8(15), table = _mm512_set1_epi32(0x30201000);
    __m512i codes = _mm512_loadu_si512(line);
    /* (codes & mask) | table */
    return (nibbles){_mm512_ternarylogic_epi32(codes, mask, table, 0xea),
                     _mm512_ternarylogic_epi32(_mm512_srli_epi16(codes, 4), mask, table, 0xea)};
}
static inline looked looked_zero(void) {
    return (looked){_mm512_setzero_si512(), _mm512_setzero_si512()};
}
static inline void looked_add(looked *sum, nibbles codes, const unsigned char *tables) {
    const __m512i ones = _mm512_set1_epi8(1);
    sum->low =
        ints_dot(sum->low, _mm512_permutexvar_epi8(codes.low, _mm512_loadu_si512(tables)), ones);
    sum->high = ints_dot(
        sum->high, _mm512_permutexvar_epi8(codes.high, _mm512_loadu_si512(tables + 64)), ones);
}
static inline void looked_finish(looked sum, ints *rows) {
    rows[0] = _mm512_add_epi32(rows[0], _mm512_add_epi32(sum.low, sum.high));
}

static inline bytes bytes_from_64(bytes codes, const unsigned char *table) {
    return _mm512_permutexvar_epi8(codes, _mm512_loadu_si512(table));
}
static inline bytes bytes_from_128(bytes codes, const unsigned char *table) {
    return _mm512_permutex2var_epi8(_mm512_loadu_si512(table), codes,
                                    _mm512_loadu_si512(table + 64));
}
static inline bytes bytes_from_256(bytes codes, const unsigned char *table) {
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), bytes_from_128(codes, table),
                                  bytes_from_128(codes, table + 128));
}

#else

/* The sums of odd rows, and those of even rows with 256 times the odd ones on top. */
typedef struct looked {
    __m512i both, odd;
} looked;

static inline nibbles nibbles_load(const unsigned char *line) {
    const __m512i by_byte =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const __m512i by_part = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i mask = _mm512_set1_epi8(15);
    __m512i codes = _mm512_shuffle_epi8(_mm512_loadu_si512(line), by_byte);
    codes = _mm512_permutexvar_epi32(by_part, codes);
    return (nibbles){_mm512_and_si512(codes, mask),
                     _mm512_and_si512(_mm512_srli_epi16(codes, 4), mask)};
}
static inline looked looked_zero(void) {
    return (looked){_mm512_setzero_si512(), _mm512_setzero_si512()};
}
static inline void looked_add_half(looked *sum, __m512i codes, const unsigned char *tables) {
    __m512i entries = _mm512_shuffle_epi8(_mm512_loadu_si512(tables), codes);
    sum->both = _mm512_add_epi16(sum->both, entries);
    sum->odd = _mm512_add_epi16(sum->odd, _mm512_srli_epi16(entries, 8));
}
static inline void looked_add(looked *sum, nibbles codes, const unsigned char *tables) {
    looked_add_half(sum, codes.low, tables);
    looked_add_half(sum, codes.high, tables + 64);
}
static inline __m128i looked_quarters(__m512i v) {
    __m256i half = _mm256_add_epi16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}
static inline void looked_finish(looked sum, ints *rows) {
    __m128i evens = looked_quarters(_mm512_sub_epi16(sum.both, _mm512_slli_epi16(sum.odd, 8)));
    __m128i odds = looked_quarters(sum.odd);
    __m256i all =
        _mm256_set_m128i(_mm_unpackhi_epi16(evens, odds), _mm_unpacklo_epi16(evens, odds));
    rows[0] = _mm512_add_epi32(rows[0], _mm512_cvtepu16_epi32(all));
}

/* Of sixteen entries at the low four bits of codes, whose top bit is 0. */
static inline bytes bytes_from_16(bytes codes, const unsigned char *table) {
    __m128i entries = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), codes);
}
/* b where bit n is set of a code. */
static inline bytes bytes_pick(bytes codes, int n, bytes a, bytes b) {
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(_mm512_slli_epi16(codes, 7 - n)), a, b);
}
static inline bytes bytes_from_64(bytes codes, const unsigned char *table) {
    bytes low = _mm512_and_si512(codes, _mm512_set1_epi8(15));
    bytes a = bytes_pick(codes, 4, bytes_from_16(low, table), bytes_from_16(low, table + 16));
    bytes b = bytes_pick(codes, 4, bytes_from_16(low, table + 32), bytes_from_16(low, table + 48));
    return bytes_pick(codes, 5, a, b);
}
static inline bytes bytes_from_256(bytes codes, const unsigned char *table) {
    bytes a = bytes_pick(codes, 6, bytes_from_64(codes, table), bytes_from_64(codes, table + 64));
    bytes b =
        bytes_pick(codes, 6, bytes_from_64(codes, table + 128), bytes_from_64(codes, table + 192));
    return bytes_pick(codes, 7, a, b);
}

#endif

/* The odd bytes of b beside the even ones of a. */
static inline bytes bytes_woven(bytes a, bytes b) {
    return _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaa, a, b);
}
static inline void bytes_turn(bytes *v) {
    bytes a = _mm512_mask_blend_epi16(0xaaaaaaaa, v[0], _mm512_slli_epi32(v[2], 16));
    bytes b = _mm512_mask_blend_epi16(0xaaaaaaaa, v[1], _mm512_slli_epi32(v[3], 16));
    bytes c = _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(v[0], 16), v[2]);
    bytes d = _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(v[1], 16), v[3]);
    v[0] = bytes_woven(a, _mm512_slli_epi16(b, 8));
    v[1] = bytes_woven(_mm512_srli_epi16(a, 8), b);
    v[2] = bytes_woven(c, _mm512_slli_epi16(d, 8));
    v[3] = bytes_woven(_mm512_srli_epi16(c, 8), d);
}

/* The sums of odd bytes, and those of even ones with 256 times the odd ones on top. */
typedef struct turned {
    __m512i both, odd;
} turned;

static inline turned turned_zero(void) {
    return (turned){_mm512_setzero_si512(), _mm512_setzero_si512()};
}
static inline void turned_add(turned *sum, bytes entries) {
    sum->both = _mm512_add_epi16(sum->both, entries);
    sum->odd = _mm512_add_epi16(sum->odd, _mm512_srli_epi16(entries, 8));
}
static inline ints turned_group(turned sum, int g) {
    __m512i even = _mm512_sub_epi16(sum.both, _mm512_slli_epi16(sum.odd, 8));
    __m512i pairs = g % 2 ? sum.odd : even;
    return g / 2 ? _mm512_srli_epi32(pairs, 16)
                 : _mm512_and_si512(pairs, _mm512_set1_epi32(0xffff));
}

static inline ints bytes_at(bytes v, int b) {
    return _mm512_and_si512(_mm512_srl_epi32(v, _mm_cvtsi32_si128(8 * b)), _mm512_set1_epi32(255));
}
static inline bytes bytes_bits(bytes v, int down, unsigned char mask) {
    return _mm512_and_si512(_mm512_srl_epi32(v, _mm_cvtsi32_si128(down)),
                            _mm512_set1_epi8((char)mask));
}
static inline bytes bytes_or(bytes a, bytes b) {
    return _mm512_or_si512(a, b);
}
static inline lanes lanes_gather(const float *table, ints at) {
    return _mm512_i32gather_ps(at, table, 4);
}
static inline lanes lanes_min(lanes a, lanes b) {
    return _mm512_min_ps(a, b);
}
static inline float lanes_least(lanes v) {
    return _mm512_reduce_min_ps(v);
}

#endif
