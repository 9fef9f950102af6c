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

#endif

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
