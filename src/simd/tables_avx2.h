/* Table look-ups for AVX2: PSHUFB looks sixteen bytes of one table up per half register, so a line
 * is sorted by the bytes of its rows first. See tables_scalar.h for what each does. Included by
 * lanes_avx2.h. */
#ifndef VX_SIMD_TABLES_AVX2_H
#define VX_SIMD_TABLES_AVX2_H

typedef struct nibbles {
    __m256i low[2], high[2]; /* of bytes 0 and 1 of all rows, of bytes 2 and 3 */
} nibbles;

/* The sums of odd rows, and those of even rows with 256 times the odd ones on top. */
typedef struct looked {
    __m256i both, odd;
} looked;

static inline nibbles nibbles_load(const unsigned char *line) {
    const __m256i by_byte = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i a = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)line), by_byte);
    __m256i b = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(line + 32)), by_byte);
    /* Rows 0-3, 8-11, 4-7, 12-15 in each half; looked_finish puts them right. */
    __m256i first = _mm256_permute4x64_epi64(_mm256_unpacklo_epi32(a, b), 0xd8);
    __m256i second = _mm256_permute4x64_epi64(_mm256_unpackhi_epi32(a, b), 0xd8);
    return (nibbles){{_mm256_and_si256(first, mask), _mm256_and_si256(second, mask)},
                     {_mm256_and_si256(_mm256_srli_epi16(first, 4), mask),
                      _mm256_and_si256(_mm256_srli_epi16(second, 4), mask)}};
}
static inline looked looked_zero(void) {
    return (looked){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
static inline void looked_add_half(looked *sum, __m256i codes, const unsigned char *tables) {
    __m256i entries = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)tables), codes);
    sum->both = _mm256_add_epi16(sum->both, entries);
    sum->odd = _mm256_add_epi16(sum->odd, _mm256_srli_epi16(entries, 8));
}
static inline void looked_add(looked *sum, nibbles codes, const unsigned char *tables) {
    looked_add_half(sum, codes.low[0], tables);
    looked_add_half(sum, codes.low[1], tables + 32);
    looked_add_half(sum, codes.high[0], tables + 64);
    looked_add_half(sum, codes.high[1], tables + 96);
}
static inline void looked_finish(looked sum, ints *rows) {
    __m256i even = _mm256_sub_epi16(sum.both, _mm256_slli_epi16(sum.odd, 8));
    __m128i evens = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    __m128i odds =
        _mm_add_epi16(_mm256_castsi256_si128(sum.odd), _mm256_extracti128_si256(sum.odd, 1));
    __m128i a = _mm_unpacklo_epi16(evens, odds), b = _mm_unpackhi_epi16(evens, odds);
    __m256i low = _mm256_cvtepu16_epi32(_mm_unpacklo_epi64(a, b));
    __m256i high = _mm256_cvtepu16_epi32(_mm_unpackhi_epi64(a, b));
    rows[0] = _mm256_add_epi32(rows[0], low);
    rows[1] = _mm256_add_epi32(rows[1], high);
}

static inline void bytes_turn(bytes *v) {
    const __m256i even = _mm256_set1_epi16(255), odd = _mm256_set1_epi16(-256);
    bytes a = _mm256_blend_epi16(v[0], _mm256_slli_epi32(v[2], 16), 0xaa);
    bytes b = _mm256_blend_epi16(v[1], _mm256_slli_epi32(v[3], 16), 0xaa);
    bytes c = _mm256_blend_epi16(_mm256_srli_epi32(v[0], 16), v[2], 0xaa);
    bytes d = _mm256_blend_epi16(_mm256_srli_epi32(v[1], 16), v[3], 0xaa);
    v[0] = _mm256_or_si256(_mm256_and_si256(a, even), _mm256_slli_epi16(b, 8));
    v[1] = _mm256_or_si256(_mm256_srli_epi16(a, 8), _mm256_and_si256(b, odd));
    v[2] = _mm256_or_si256(_mm256_and_si256(c, even), _mm256_slli_epi16(d, 8));
    v[3] = _mm256_or_si256(_mm256_srli_epi16(c, 8), _mm256_and_si256(d, odd));
}
/* Of sixteen entries at the low four bits of codes, whose top bit is 0. */
static inline bytes bytes_from_16(bytes codes, const unsigned char *table) {
    __m128i entries = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), codes);
}
/* b where bit n is set of a code. */
static inline bytes bytes_pick(bytes codes, int n, bytes a, bytes b) {
    return _mm256_blendv_epi8(a, b, _mm256_slli_epi16(codes, 7 - n));
}
static inline bytes bytes_from_64(bytes codes, const unsigned char *table) {
    bytes low = _mm256_and_si256(codes, _mm256_set1_epi8(15));
    bytes a = bytes_pick(codes, 4, bytes_from_16(low, table), bytes_from_16(low, table + 16));
    bytes b = bytes_pick(codes, 4, bytes_from_16(low, table + 32), bytes_from_16(low, table + 48));
    return bytes_pick(codes, 5, a, b);
}
/* Of byte b of each dword, in its place. Sixteen PSHUFB and their blends would take longer. */
static inline bytes bytes_gather(bytes codes, int b, const unsigned char *table) {
    __m256i at = _mm256_and_si256(_mm256_srli_epi32(codes, 8 * b), _mm256_set1_epi32(255));
    __m256i entries = _mm256_i32gather_epi32((const int *)(const void *)table, at, 1);
    return _mm256_slli_epi32(_mm256_and_si256(entries, _mm256_set1_epi32(255)), 8 * b);
}
static inline bytes bytes_from_256(bytes codes, const unsigned char *table) {
    return _mm256_or_si256(
        _mm256_or_si256(bytes_gather(codes, 0, table), bytes_gather(codes, 1, table)),
        _mm256_or_si256(bytes_gather(codes, 2, table), bytes_gather(codes, 3, table)));
}

/* The sums of odd bytes, and those of even ones with 256 times the odd ones on top. */
typedef struct turned {
    __m256i both, odd;
} turned;

static inline turned turned_zero(void) {
    return (turned){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
static inline void turned_add(turned *sum, bytes entries) {
    sum->both = _mm256_add_epi16(sum->both, entries);
    sum->odd = _mm256_add_epi16(sum->odd, _mm256_srli_epi16(entries, 8));
}
static inline ints turned_group(turned sum, int g) {
    __m256i even = _mm256_sub_epi16(sum.both, _mm256_slli_epi16(sum.odd, 8));
    __m256i pairs = g % 2 ? sum.odd : even;
    return g / 2 ? _mm256_srli_epi32(pairs, 16)
                 : _mm256_and_si256(pairs, _mm256_set1_epi32(0xffff));
}

static inline ints bytes_at(bytes v, int b) {
    return _mm256_and_si256(_mm256_srl_epi32(v, _mm_cvtsi32_si128(8 * b)), _mm256_set1_epi32(255));
}
static inline bytes bytes_bits(bytes v, int down, unsigned char mask) {
    return _mm256_and_si256(_mm256_srl_epi32(v, _mm_cvtsi32_si128(down)),
                            _mm256_set1_epi8((char)mask));
}
static inline bytes bytes_or(bytes a, bytes b) {
    return _mm256_or_si256(a, b);
}
static inline lanes lanes_gather(const float *table, ints at) {
    return _mm256_i32gather_ps(table, at, 4);
}
static inline lanes lanes_min(lanes a, lanes b) {
    return _mm256_min_ps(a, b);
}
static inline float lanes_least(lanes v) {
    __m128 m = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_min_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_min_ss(m, _mm_movehdup_ps(m)));
}

#endif
