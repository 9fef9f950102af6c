/* Softmax of a row against the C library's exponential in double precision. */
#include <math.h>

#include "../harness.h"
#include "core/rng.h"
#include "transform/softmax.h"

static void check(const float *given, size_t count, double spread) {
    float values[1100];
    double total = 0, sum = 0, most = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        values[i] = given[i];
        total += exp((double)given[i]);
        most = fmax(most, (double)given[i]);
    }
    double answer = vx_softmax(values, count, 0.5f);
    ck_each(fabs(answer - log(total)) <= 1e-6 * (1 + fabs(log(total))), "%zu x %g: %g for %g",
            count, spread, answer, log(total));
    for (size_t i = 0; i < count; i++) {
        double wanted = 0.5 * exp((double)given[i]) / total;
        /* x - most, rounded to float32, is off by its own size times 2^-24, and so is the
         * exponential. */
        double off = isinf(given[i]) ? 0 : (most - (double)given[i]) * 0x1p-22;
        double slack = wanted * (1e-6 + off) + exp(-30);
        ck_each(fabs((double)values[i] - wanted) <= slack, "%zu x %g: %g for %g", count, spread,
                (double)values[i], wanted);
        sum += (double)values[i];
    }
    ck_each(fabs(sum - 0.5) < 1e-5, "%zu x %g: the sum is %g", count, spread, sum);
}

START_TEST(every_width_and_spread) {
    static const size_t counts[] = {1, 2, 3, 4, 5, 15, 16, 17, 31, 255, 256, 257, 1021};
    static const double spreads[] = {0, 1e-3, 1, 20, 80};
    vx_rng rng = vx_rng_seed(3, 3);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t s = 0; s < sizeof spreads / sizeof *spreads; s++) {
            float values[1100];
            for (size_t i = 0; i < counts[c]; i++)
                values[i] = (float)(spreads[s] * vx_rng_normal(&rng));
            if (counts[c] > 4) values[3] = -INFINITY; /* takes no part */
            check(values, counts[c], spreads[s]);
        }
}
END_TEST

TEST_MAIN("transform/softmax", every_width_and_spread)
