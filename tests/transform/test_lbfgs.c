/* L-BFGS on functions whose minimum is known. */
#include "transform/lbfgs.h"

#include "data.h"

typedef struct calls {
    size_t evaluations, steps;
    double last;
    vindex_status after; /* the answer to every step */
} calls;

static vindex_status rosenbrock(void *context, const double *x, double *value, double *slope) {
    calls *c = context;
    double a = 1 - x[0], b = x[1] - x[0] * x[0];
    c->evaluations++;
    *value = a * a + 100 * b * b + 1;
    slope[0] = -2 * a - 400 * x[0] * b;
    slope[1] = 200 * b;
    return VINDEX_OK;
}

static vindex_status note(void *context, size_t step, double value) {
    calls *c = context;
    ck_assert_uint_eq(step, ++c->steps);
    if (step > 1) ck_assert_double_lt(value, c->last);
    c->last = value;
    return c->after;
}

/* Kinks everywhere along the axes: |x| + 3 |y|. */
static vindex_status corners(void *context, const double *x, double *value, double *slope) {
    (void)context;
    *value = 1 + fabs(x[0]) + 3 * fabs(x[1]);
    slope[0] = x[0] < 0 ? -1 : 1;
    slope[1] = x[1] < 0 ? -3 : 3;
    return VINDEX_OK;
}

/* Finite only where x < 3, with its minimum beside the edge. */
static vindex_status edge(void *context, const double *x, double *value, double *slope) {
    (void)context;
    *value = x[0] < 3 ? (x[0] - 2.9) * (x[0] - 2.9) : NAN;
    slope[0] = 2 * (x[0] - 2.9);
    return VINDEX_OK;
}

START_TEST(finds_minima) {
    calls c = {0};
    double x[2] = {-1.2, 1};
    vx_objective f = {2, rosenbrock, note, &c, 200, 1e-12};
    vx_minimum m;
    ck_ok(vx_lbfgs(&f, x, &m));
    ck_assert(m.converged);
    ck_near(x[0], 1.0, 1e-4);
    ck_near(x[1], 1.0, 1e-4);
    ck_assert_uint_eq(m.steps, c.steps);
    ck_assert_double_eq(m.value, c.last);
    ck_assert_uint_lt(c.evaluations, 100);
}
END_TEST

START_TEST(kinks_and_edges) {
    double x[2] = {3, -7}, y[1] = {-4};
    vx_objective f = {2, corners, NULL, NULL, 200, 1e-9};
    vx_minimum m;
    ck_ok(vx_lbfgs(&f, x, &m));
    ck_assert_double_lt(m.value, 1.001);
    f = (vx_objective){1, edge, NULL, NULL, 200, 0};
    ck_ok(vx_lbfgs(&f, y, &m));
    ck_near(y[0], 2.9, 1e-6);
    y[0] = 5;
    ck_fails(VINDEX_ERR_DATA, "nan at the start", vx_lbfgs(&f, y, &m));
    ck_assert_double_eq(y[0], 5);
}
END_TEST

START_TEST(stops_when_told) {
    calls c = {.after = VINDEX_OK};
    double x[2] = {-1.2, 1}, low = 0, slope[2];
    vx_objective f = {2, rosenbrock, note, &c, 3, 0};
    vx_minimum m;
    ck_ok(vx_lbfgs(&f, x, &m));
    ck_assert(!m.converged && m.steps == 3);
    ck_ok(rosenbrock(&c, x, &low, slope)); /* x is the place whose value was told */
    ck_assert_double_eq(low, m.value);
    c = (calls){.after = VINDEX_ERR_CANCELLED};
    ck_assert_int_eq(vx_lbfgs(&f, x, &m), VINDEX_ERR_CANCELLED);
    ck_assert_uint_eq(c.steps, 1);
    vx_alloc_fail_after(0);
    ck_assert_int_eq(vx_lbfgs(&f, x, &m), VINDEX_ERR_MEMORY);
    vx_alloc_fail_after(-1);
}
END_TEST

START_TEST(nothing_to_do) {
    double x[2] = {1, 1};
    calls c = {0};
    vx_objective f = {2, rosenbrock, note, &c, 10, 1e-9};
    vx_minimum m;
    ck_ok(vx_lbfgs(&f, x, &m));
    ck_assert(m.converged && m.steps == 0 && m.value == 1);
}
END_TEST

TEST_MAIN("transform/lbfgs", finds_minima, kinks_and_edges, stops_when_told, nothing_to_do)
