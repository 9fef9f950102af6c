/* What instruction sets without masks do in plain C: loads of the last numbers of a row go through
 * a small zero-filled copy. Included at the end of a lanes_*.h. */
#ifndef VX_SIMD_LANES_PART_H
#define VX_SIMD_LANES_PART_H

/* The first count < LANES numbers, zeros behind them. */
static inline lanes lanes_load_part(const float *p, size_t count) {
    float part[LANES] = {0};
    memcpy(part, p, count * sizeof *p);
    return lanes_load(part);
}
static inline lanes lanes_load_part_f16(const uint16_t *p, size_t count) {
    uint16_t part[LANES] = {0};
    memcpy(part, p, count * sizeof *p);
    return lanes_load_f16(part);
}
static inline lanes lanes_load_part_bf16(const uint16_t *p, size_t count) {
    uint16_t part[LANES] = {0};
    memcpy(part, p, count * sizeof *p);
    return lanes_load_bf16(part);
}

/* Of a line the first count < LANES dwords, zeros behind them. */
static inline bytes bytes_load_part(const unsigned char *p, size_t count) {
    unsigned char part[4 * LANES] = {0};
    memcpy(part, p, count * 4);
    return bytes_load(part);
}

static inline void mask_store(uint16_t *mask, uint32_t bits) {
    *mask = (uint16_t)bits;
}
/* Bit i is set where masks[i], of 32, is not 0. */
static inline uint32_t masks_there(const uint16_t *masks) {
    uint32_t there = 0;
    for (int i = 0; i < 32; i++) there |= (uint32_t)(masks[i] != 0) << i;
    return there;
}

#endif
