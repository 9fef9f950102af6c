/* The paired bootstrap: its sums by hand, its interval against theory. */
#include <math.h>

#include "../harness.h"
#include <vindex/eval.h>

#include "core/base.h"
#include "core/rng.h"

START_TEST(sums) {
    const double first[] = {0.5, NAN, 1, 0.25, 0, 0.5}, second[] = {0.75, 1, NAN, 0.25, 0.5, 0.25};
    vindex_eval_difference d;
    ck_ok(vindex_eval_compare(first, second, 6, 0, 1, 1, &d));
    ck_assert_int_eq(d.queries, 4);
    ck_assert_double_eq(d.first, 1.25 / 4);
    ck_assert_double_eq(d.second, 1.75 / 4);
    ck_assert_double_eq(d.difference, 0.5 / 4);
    ck_assert_int_eq(d.better, 2);
    ck_assert_int_eq(d.worse, 1);
    ck_assert(d.low < d.difference && d.difference < d.high);
}
END_TEST

/* Of many queries the bootstrap's interval is that of the normal distribution. */
START_TEST(interval) {
    enum { N = 4000 };
    static double first[N], second[N];
    vx_rng rng = vx_rng_seed(3, 0);
    double mean = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        first[i] = vx_rng_uniform(&rng);
        second[i] = first[i] + 0.1 * (vx_rng_uniform(&rng) - 0.4);
        mean += (second[i] - first[i]) / N;
    }
    for (int i = 0; i < N; i++) squares += pow(second[i] - first[i] - mean, 2);
    double half = 1.96 * sqrt(squares / N / N);
    vindex_eval_difference one, three;
    ck_ok(vindex_eval_compare(first, second, N, 4000, 5, 1, &one));
    ck_ok(vindex_eval_compare(first, second, N, 4000, 5, 3, &three));
    ck_assert_mem_eq(&one, &three, sizeof one);
    ck_assert_double_eq_tol(one.low, mean - half, 0.06 * half);
    ck_assert_double_eq_tol(one.high, mean + half, 0.06 * half);
    ck_ok(vindex_eval_compare(first, second, N, 4000, 6, 1, &three));
    ck_assert_double_ne(one.low, three.low);
}
END_TEST

START_TEST(errors) {
    const double a[] = {1, NAN}, b[] = {NAN, 1};
    vindex_eval_difference d = {.queries = 7};
    ck_fails(VINDEX_ERR_ARGUMENT, "no query", vindex_eval_compare(a, b, 2, 0, 1, 0, &d));
    ck_fails(VINDEX_ERR_ARGUMENT, "0 queries", vindex_eval_compare(a, b, 0, 0, 1, 0, &d));
    ck_fails(VINDEX_ERR_ARGUMENT, "-1 samples", vindex_eval_compare(a, b, 2, -1, 1, 0, &d));
    ck_fails(VINDEX_ERR_ARGUMENT, "give both", vindex_eval_compare(NULL, b, 2, 0, 1, 0, &d));
    for (long after = 0; after < 2; after++) {
        vx_alloc_fail_after(after);
        vindex_status status = vindex_eval_compare(a, a, 2, 0, 1, 1, &d);
        vx_alloc_fail_after(-1);
        ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
    }
    ck_assert_int_eq(d.queries, 7);
}
END_TEST

TEST_MAIN("eval/compare", sums, interval, errors)
