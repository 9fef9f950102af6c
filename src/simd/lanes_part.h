/* Loads of the last numbers of a row where the instruction set has no masked load: through a small
 * zero-filled copy. Included at the end of a lanes_*.h. */
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

#endif
