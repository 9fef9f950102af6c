/* The same random numbers, logarithms and exponentials on every machine, to the bit. */
#include "core/rng.h"

#include "../harness.h"

#include <math.h>

START_TEST(published_numbers) {
    /* xoshiro256** from state 1, 2, 3, 4, as other implementations print it. */
    static const uint64_t expected[] = {11520u,
                                        0u,
                                        1509978240u,
                                        1215971899390074240u,
                                        1216172134540287360u,
                                        607988272756665600u,
                                        16172922978634559625u,
                                        8476171486693032832u,
                                        10595114339597558777u,
                                        2904607092377533576u};
    vx_rng rng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < VX_COUNT(expected); i++)
        ck_assert_uint_eq(vx_rng_next(&rng), expected[i]);
}
END_TEST

/* Made by an implementation in another language. */
START_TEST(pinned_numbers) {
    static const uint64_t zero[] = {0xfb5405f7bd79c540, 0x780c98e26cea5883, 0x2a146e0980febc66,
                                    0x4851477db8791fca};
    static const uint64_t other[] = {0xa3d0c060240d9977, 0x52b43cb072fe2a7f, 0xe54d9b177d05ba17,
                                     0x35451c03232ff4cd};
    static const double uniform[] = {0x1.09e05e32b56bfp-1, 0x1.1bfdbc36abd12p-2,
                                     0x1.04ec811cc1852p-1};
    static const double normal[] = {0x1.3d39927baf7f2p-3, 0x1.9c6a77c796fa7p-3,
                                    0x1.5644a6c6f10a1p-1, -0x1.81145d26e29a7p+0};
    vx_rng rng = vx_rng_seed(0, 0);
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(vx_rng_next(&rng), zero[i]);
    rng = vx_rng_seed(12345, 678);
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(vx_rng_next(&rng), other[i]);
    rng = vx_rng_seed(1, 2);
    for (int i = 0; i < 3; i++) ck_assert_double_eq(vx_rng_uniform(&rng), uniform[i]);
    rng = vx_rng_seed(1, 2);
    for (int i = 0; i < 4; i++) ck_assert_double_eq(vx_rng_normal(&rng), normal[i]);
}
END_TEST

START_TEST(pinned_functions) {
    static const double logs[][2] = {{0.1, -0x1.26bb1bbb55515p+1},
                                     {0.5, -0x1.62e42fefa39efp-1},
                                     {0.7, -0x1.6d3c324e13f50p-2},
                                     {0.99999, -0x1.4f8bc681df715p-17},
                                     {1.0, 0},
                                     {1.5, 0x1.9f323ecbf984cp-2},
                                     {3.0, 0x1.193ea7aad030bp+0},
                                     {10.0, 0x1.26bb1bbb55516p+1},
                                     {1e-300, -0x1.5963447f87fb5p+9},
                                     {1e300, 0x1.5963447f87fb5p+9}};
    static const double exps[][2] = {
        {-699.5, 0x1.c89c2e339b392p-1010}, {-1.0, 0x1.78b56362cef38p-2},
        {-0.1, 0x1.cf46d99d52b3ap-1},      {0.0, 1},
        {0.3, 0x1.599058c8c1a96p+0},       {1.0, 0x1.5bf0a8b14576ap+1},
        {2.5, 0x1.85d6fd931e0bbp+3},       {10.0, 0x1.5829dcf950560p+14},
        {699.5, 0x1.1f0df6d72215ep+1009}};
    for (size_t i = 0; i < VX_COUNT(logs); i++) ck_assert_double_eq(vx_log(logs[i][0]), logs[i][1]);
    for (size_t i = 0; i < VX_COUNT(exps); i++) ck_assert_double_eq(vx_exp(exps[i][0]), exps[i][1]);
}
END_TEST

static double ulps_apart(double a, double b) {
    return fabs(a - b) / (nextafter(fabs(b), INFINITY) - fabs(b));
}

START_TEST(near_the_mathematical_library) {
    vx_rng rng = vx_rng_seed(5, 0);
    double worst_log = 0, worst_exp = 0;
    for (int i = 0; i < 300000; i++) {
        double u = vx_rng_uniform(&rng);
        const double xs[] = {u, 1 + u, 1 - u * 1e-6, 1 + u * 1e-9, ldexp(1 + u, i % 2000 - 1000)};
        for (size_t j = 0; j < VX_COUNT(xs); j++)
            if (xs[j] > 0) worst_log = fmax(worst_log, ulps_apart(vx_log(xs[j]), log(xs[j])));
        const double ys[] = {u, -u, 1400 * u - 700, u * 1e-8, -20 * u};
        for (size_t j = 0; j < VX_COUNT(ys); j++)
            worst_exp = fmax(worst_exp, ulps_apart(vx_exp(ys[j]), exp(ys[j])));
    }
    ck_assert_msg(worst_log <= 4, "logarithm: %g ulp", worst_log);
    ck_assert_msg(worst_exp <= 4, "exponential: %g ulp", worst_exp);
}
END_TEST

START_TEST(uniform_numbers_are_uniform) {
    enum { N = 1 << 20, CELLS = 256 };
    static int cells[CELLS];
    vx_rng rng = vx_rng_seed(7, 0);
    double sum = 0;
    for (int i = 0; i < N; i++) {
        double u = vx_rng_uniform(&rng);
        ck_assert(u >= 0 && u < 1);
        cells[(int)(u * CELLS)]++;
        sum += u;
    }
    double chi = 0, expected = (double)N / CELLS;
    for (int i = 0; i < CELLS; i++) chi += (cells[i] - expected) * (cells[i] - expected) / expected;
    ck_assert_double_lt(fabs(sum / N - 0.5), 0.002);
    ck_assert_double_gt(chi, 150); /* 255 degrees of freedom: mean 255, deviation 23 */
    ck_assert_double_lt(chi, 370);
}
END_TEST

START_TEST(bounded_numbers_are_unbiased) {
    static const uint64_t bounds[] = {1, 2, 3, 7, 10, 64};
    vx_rng rng = vx_rng_seed(9, 0);
    for (size_t b = 0; b < VX_COUNT(bounds); b++) {
        enum { N = 100000 };
        int counts[64] = {0};
        for (int i = 0; i < N; i++) {
            uint64_t x = vx_rng_below(&rng, bounds[b]);
            ck_assert_uint_lt(x, bounds[b]);
            counts[x]++;
        }
        double expected = (double)N / (double)bounds[b];
        for (uint64_t x = 0; x < bounds[b]; x++)
            ck_assert_double_lt(fabs(counts[x] - expected), 6 * sqrt(expected) + 1);
    }
    int high = 0; /* the remainder of 2^64 matters most for large bounds */
    const uint64_t bound = UINT64_C(3) << 62;
    for (int i = 0; i < 30000; i++) high += vx_rng_below(&rng, bound) >= bound / 2;
    ck_assert_int_lt(abs(high - 15000), 600);
}
END_TEST

START_TEST(normal_numbers_are_normal) {
    enum { N = 1 << 20 };
    vx_rng rng = vx_rng_seed(11, 0);
    double moments[5] = {0};
    int beyond_two = 0;
    for (int i = 0; i < N; i++) {
        double x = vx_rng_normal(&rng), power = 1;
        for (int m = 0; m < 5; m++, power *= x) moments[m] += power / N;
        beyond_two += fabs(x) > 2;
    }
    ck_assert_double_lt(fabs(moments[1]), 0.005);
    ck_assert_double_lt(fabs(moments[2] - 1), 0.008);
    ck_assert_double_lt(fabs(moments[3]), 0.02);
    ck_assert_double_lt(fabs(moments[4] - 3), 0.06);
    ck_assert_double_lt(fabs((double)beyond_two / N - 0.04550026), 0.0015);
}
END_TEST

START_TEST(streams_differ) {
    enum { N = 1000 };
    static uint64_t first[N];
    for (int i = 0; i < N; i++) {
        vx_rng a = vx_rng_seed(1, (uint64_t)i), again = a;
        first[i] = vx_rng_next(&a);
        ck_assert_uint_eq(first[i], vx_rng_next(&again));
        for (int j = 0; j < i; j++) ck_assert_uint_ne(first[i], first[j]);
    }
    double correlation = 0; /* of neighbouring streams */
    vx_rng a = vx_rng_seed(1, 1), b = vx_rng_seed(1, 2);
    for (int i = 0; i < 100000; i++) correlation += vx_rng_normal(&a) * vx_rng_normal(&b) / 100000;
    ck_assert_double_lt(fabs(correlation), 0.02);
}
END_TEST

TEST_MAIN("core/rng", published_numbers, pinned_numbers, pinned_functions,
          near_the_mathematical_library, uniform_numbers_are_uniform, bounded_numbers_are_unbiased,
          normal_numbers_are_normal, streams_differ)
