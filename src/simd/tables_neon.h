/* Table look-ups for NEON: TBL looks sixteen bytes up at once, and LD4 sorts a line by the bytes of
 * its rows. See tables_scalar.h for what each does. Included by lanes_neon.h. */
#ifndef VX_SIMD_TABLES_NEON_H
#define VX_SIMD_TABLES_NEON_H

typedef struct nibbles {
    uint8x16_t low[4], high[4];
} nibbles;

typedef struct looked {
    uint16x8_t rows[2];
} looked;

static inline nibbles nibbles_load(const unsigned char *line) {
    const uint8x16x4_t sorted = vld4q_u8(line);
    nibbles codes;
    for (int b = 0; b < 4; b++) {
        codes.low[b] = vandq_u8(sorted.val[b], vdupq_n_u8(15));
        codes.high[b] = vshrq_n_u8(sorted.val[b], 4);
    }
    return codes;
}
static inline looked looked_zero(void) {
    return (looked){{vdupq_n_u16(0), vdupq_n_u16(0)}};
}
static inline void looked_add(looked *sum, nibbles codes, const unsigned char *tables) {
    for (int b = 0; b < 8; b++) {
        uint8x16_t entries =
            vqtbl1q_u8(vld1q_u8(tables + 16 * b), b < 4 ? codes.low[b] : codes.high[b - 4]);
        sum->rows[0] = vaddw_u8(sum->rows[0], vget_low_u8(entries));
        sum->rows[1] = vaddw_high_u8(sum->rows[1], entries);
    }
}
static inline void looked_finish(looked sum, ints *rows) {
    for (int h = 0; h < 2; h++) {
        uint32x4_t low = vmovl_u16(vget_low_u16(sum.rows[h])), high = vmovl_high_u16(sum.rows[h]);
        rows[2 * h] = vaddq_s32(rows[2 * h], vreinterpretq_s32_u32(low));
        rows[2 * h + 1] = vaddq_s32(rows[2 * h + 1], vreinterpretq_s32_u32(high));
    }
}

static inline void bytes_turn(bytes *v) {
    uint16x8_t a = vreinterpretq_u16_u8(v[0]), b = vreinterpretq_u16_u8(v[1]);
    uint16x8_t c = vreinterpretq_u16_u8(v[2]), d = vreinterpretq_u16_u8(v[3]);
    uint8x16_t first = vreinterpretq_u8_u16(vtrn1q_u16(a, c));
    uint8x16_t second = vreinterpretq_u8_u16(vtrn1q_u16(b, d));
    uint8x16_t third = vreinterpretq_u8_u16(vtrn2q_u16(a, c));
    uint8x16_t fourth = vreinterpretq_u8_u16(vtrn2q_u16(b, d));
    v[0] = vtrn1q_u8(first, second);
    v[1] = vtrn2q_u8(first, second);
    v[2] = vtrn1q_u8(third, fourth);
    v[3] = vtrn2q_u8(third, fourth);
}
static inline bytes bytes_from_64(bytes codes, const unsigned char *table) {
    return vqtbl4q_u8(vld1q_u8_x4(table), vandq_u8(codes, vdupq_n_u8(63)));
}
/* A look-up beyond its 64 entries leaves what is there. */
static inline bytes bytes_from_256(bytes codes, const unsigned char *table) {
    uint8x16_t entries = vqtbl4q_u8(vld1q_u8_x4(table), codes);
    for (int i = 1; i < 4; i++) {
        codes = vsubq_u8(codes, vdupq_n_u8(64));
        entries = vqtbx4q_u8(entries, vld1q_u8_x4(table + 64 * i), codes);
    }
    return entries;
}

/* The sums of odd bytes, and those of even ones with 256 times the odd ones on top. */
typedef struct turned {
    uint16x8_t both, odd;
} turned;

static inline turned turned_zero(void) {
    return (turned){vdupq_n_u16(0), vdupq_n_u16(0)};
}
static inline void turned_add(turned *sum, bytes entries) {
    sum->both = vaddq_u16(sum->both, vreinterpretq_u16_u8(entries));
    sum->odd = vsraq_n_u16(sum->odd, vreinterpretq_u16_u8(entries), 8);
}
static inline ints turned_group(turned sum, int g) {
    uint16x8_t even = vsubq_u16(sum.both, vshlq_n_u16(sum.odd, 8));
    uint32x4_t pairs = vreinterpretq_u32_u16(g % 2 ? sum.odd : even);
    pairs = g / 2 ? vshrq_n_u32(pairs, 16) : vandq_u32(pairs, vdupq_n_u32(0xffff));
    return vreinterpretq_s32_u32(pairs);
}

static inline ints bytes_at(bytes v, int b) {
    uint32x4_t moved = vshlq_u32(vreinterpretq_u32_u8(v), vdupq_n_s32(-8 * b));
    return vreinterpretq_s32_u32(vandq_u32(moved, vdupq_n_u32(255)));
}
static inline bytes bytes_bits(bytes v, int down, unsigned char mask) {
    return vandq_u8(vshlq_u8(v, vdupq_n_s8((int8_t)-down)), vdupq_n_u8(mask));
}
static inline bytes bytes_or(bytes a, bytes b) {
    return vorrq_u8(a, b);
}
static inline lanes lanes_gather(const float *table, ints at) {
    return (lanes){table[at[0]], table[at[1]], table[at[2]], table[at[3]]};
}
static inline lanes lanes_min(lanes a, lanes b) {
    return vminq_f32(a, b);
}
static inline float lanes_least(lanes v) {
    return vminvq_f32(v);
}

#endif
