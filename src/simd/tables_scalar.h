/* Table look-ups for any processor: see tables.inc. Included by lanes_scalar.h. */
#ifndef VX_SIMD_TABLES_SCALAR_H
#define VX_SIMD_TABLES_SCALAR_H

/* A line of sixteen rows, each four bytes, that is eight nibbles. */
typedef struct nibbles {
    const unsigned char *line;
} nibbles;

/* What sixteen rows have looked up so far, for at most NIBBLE_LINES lines. */
typedef struct looked {
    int32_t rows[16];
} looked;

static inline nibbles nibbles_load(const unsigned char *line) {
    return (nibbles){line};
}
static inline looked looked_zero(void) {
    return (looked){0};
}
/* Adds for each row the entries of eight tables of sixteen bytes: of the low nibbles, then of the
 * high ones. */
static inline void looked_add(looked *sum, nibbles codes, const unsigned char *tables) {
    for (int i = 0; i < 16; i++)
        for (int b = 0; b < 4; b++) {
            unsigned char code = codes.line[4 * i + b];
            sum->rows[i] += tables[16 * b + (code & 15)] + tables[64 + 16 * b + (code >> 4)];
        }
}
/* Adds them to the sums of the rows, in their order. */
static inline void looked_finish(looked sum, ints *rows) {
    for (int v = 0; v < 16 / LANES; v++) {
        ints part;
        memcpy(&part, sum.rows + v * LANES, sizeof part);
        rows[v] += part;
    }
}

/* Four dwords of a lane, one of each of four groups of rows, are turned: byte b of v[g] becomes
 * byte g of v[b], so that a register holds one part's codes of 4 LANES rows. */
static inline void bytes_turn(bytes *v) {
    bytes turned[4];
    for (int b = 0; b < 4; b++)
        for (int i = 0; i < 4 * LANES; i++) turned[b].b[i] = v[i % 4].b[i / 4 * 4 + b];
    memcpy(v, turned, sizeof turned);
}
/* The entries of a table of 64 at the low six bits of each byte; of one of 256 at each byte. */
static inline bytes bytes_from_64(bytes codes, const unsigned char *table) {
    for (int i = 0; i < 4 * LANES; i++) codes.b[i] = table[codes.b[i] & 63];
    return codes;
}
static inline bytes bytes_from_256(bytes codes, const unsigned char *table) {
    for (int i = 0; i < 4 * LANES; i++) codes.b[i] = table[codes.b[i]];
    return codes;
}

/* What turned codes have looked up so far, for at most TURNED_PARTS parts. */
typedef struct turned {
    uint16_t rows[4 * LANES];
} turned;

static inline turned turned_zero(void) {
    return (turned){0};
}
static inline void turned_add(turned *sum, bytes entries) {
    for (int i = 0; i < 4 * LANES; i++) sum->rows[i] = (uint16_t)(sum->rows[i] + entries.b[i]);
}
/* Those of the rows of group g. */
static inline ints turned_group(turned sum, int g) {
    ints rows;
    for (int i = 0; i < LANES; i++) rows[i] = sum.rows[4 * i + g];
    return rows;
}

/* Byte b of each lane. */
static inline ints bytes_at(bytes v, int b) {
    ints at;
    for (int i = 0; i < LANES; i++) at[i] = v.b[4 * i + b];
    return at;
}
/* The bits of each byte moved down by up to 7, or up for less than 0; only those of the mask stay,
 * which none of another byte may reach. */
static inline bytes bytes_bits(bytes v, int down, unsigned char mask) {
    for (int i = 0; i < 4 * LANES; i++) v.b[i] = (unsigned char)(v.b[i] >> down) & mask;
    return v;
}
static inline bytes bytes_or(bytes a, bytes b) {
    for (int i = 0; i < 4 * LANES; i++) a.b[i] |= b.b[i];
    return a;
}
static inline lanes lanes_gather(const float *table, ints at) {
    return (lanes){table[at[0]], table[at[1]], table[at[2]], table[at[3]]};
}
static inline lanes lanes_min(lanes a, lanes b) {
    for (int i = 0; i < LANES; i++) a[i] = a[i] < b[i] ? a[i] : b[i];
    return a;
}
static inline float lanes_least(lanes v) {
    float least = v[0];
    for (int i = 1; i < LANES; i++) least = v[i] < least ? v[i] : least;
    return least;
}

#endif
