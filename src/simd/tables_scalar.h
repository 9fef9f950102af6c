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
