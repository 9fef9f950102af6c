/* Storage types against their definitions, and axpy. */
#include <float.h>
#include <math.h>

#include "../harness.h"
#include "stored.h"

enum { CODES = 1 << 16 };

static const vindex_dtype halves[] = {VINDEX_F16, VINDEX_BF16};

static bool same_number(float a, float b) {
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

START_TEST(every_half_widens_to_its_value) {
    uint16_t *codes = malloc(CODES * sizeof *codes);
    float *values = malloc(CODES * sizeof *values);
    for (size_t i = 0; i < CODES; i++) codes[i] = (uint16_t)i;
    for (size_t level = 0; vx_kernels_at(level); level++)
        for (size_t t = 0; t < VX_COUNT(halves); t++) {
            vx_kernels_at(level)->widen[halves[t]](codes, CODES, values);
            for (size_t i = 0; i < CODES; i++)
                ck_each(same_number(values[i], half_widened(halves[t], (uint16_t)i)),
                        "%s: %s code %#zx gives %a", vx_kernels_at(level)->name,
                        vindex_dtype_name(halves[t]), i, (double)values[i]);
        }
    free(codes);
    free(values);
}
END_TEST

/* Every level narrows n numbers as the definition says. */
static void check_narrow(vindex_dtype type, const float *values, size_t n) {
    uint16_t *codes = malloc(n * sizeof *codes + 1);
    for (size_t level = 0; vx_kernels_at(level); level++) {
        vx_kernels_at(level)->narrow[type](values, n, codes);
        for (size_t i = 0; i < n; i++)
            ck_each(codes[i] == half_narrowed(type, values[i]),
                    "%s: %a becomes %s code %#x, not %#x", vx_kernels_at(level)->name,
                    (double)values[i], vindex_dtype_name(type), (unsigned)codes[i],
                    (unsigned)half_narrowed(type, values[i]));
    }
    free(codes);
}

/* The halves, the points midway between neighbours, and the floats beside both. */
START_TEST(numbers_narrow_to_the_nearest_half_ties_to_even) {
    for (size_t t = 0; t < VX_COUNT(halves); t++) {
        uint16_t infinite = halves[t] == VINDEX_F16 ? 0x7c00 : 0x7f80;
        for (uint16_t code = 0; code < infinite; code++) {
            double low = half_magnitude(halves[t], code);
            double high = half_magnitude(halves[t], (uint16_t)(code + 1));
            float exact = (float)low, middle = (float)((low + high) / 2);
            float values[12] = {exact,  nextafterf(exact, INFINITY),  nextafterf(exact, 0),
                                middle, nextafterf(middle, INFINITY), nextafterf(middle, 0)};
            for (size_t i = 0; i < 6; i++) values[6 + i] = -values[i];
            check_narrow(halves[t], values, VX_COUNT(values));
        }
    }
}
END_TEST

START_TEST(numbers_of_any_size_narrow_and_come_back) {
    vx_rng rng = vx_rng_seed(4, 0);
    for (size_t n = 0; n < 70; n++) {
        float *values = malloc(n * sizeof *values + 1), *back = malloc(n * sizeof *back + 1);
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = (uint32_t)vx_rng_next(&rng);
            memcpy(&values[i], &bits, sizeof bits);
            if (!isfinite(values[i])) values[i] = FLT_MAX;
        }
        check_narrow(VINDEX_F16, values, n);
        check_narrow(VINDEX_BF16, values, n);
        for (size_t level = 0; vx_kernels_at(level); level++) {
            float *copy = malloc(n * sizeof *copy + 1);
            vx_kernels_at(level)->narrow[VINDEX_F32](values, n, copy);
            vx_kernels_at(level)->widen[VINDEX_F32](copy, n, back);
            ck_assert(!memcmp(values, back, n * sizeof *values));
            free(copy);
        }
        free(values);
        free(back);
    }
}
END_TEST

/* One product and one sum, each rounded: what volatile forces here. */
START_TEST(axpy_rounds_twice_at_every_level) {
    vx_rng rng = vx_rng_seed(5, 0);
    for (size_t n = 0; n < 300; n += 1 + n / 20) {
        float *x = random_numbers(VINDEX_F32, n, &rng), *y = random_numbers(VINDEX_F32, n, &rng);
        float a = random_number(&rng), *out = malloc(n * sizeof *out + 1);
        for (size_t level = 0; vx_kernels_at(level); level++) {
            memcpy(out, y, n * sizeof *out);
            vx_kernels_at(level)->axpy(a, x, out, n);
            for (size_t j = 0; j < n; j++) {
                volatile float product = a * x[j], total = y[j] + product;
                ck_each(out[j] == total, "%s: place %zu of %zu", vx_kernels_at(level)->name, j, n);
            }
        }
        free(x);
        free(y);
        free(out);
    }
}
END_TEST

TEST_MAIN("simd/storage", every_half_widens_to_its_value,
          numbers_narrow_to_the_nearest_half_ties_to_even, numbers_of_any_size_narrow_and_come_back,
          axpy_rounds_twice_at_every_level)
