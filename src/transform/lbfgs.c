#include "lbfgs.h"

#include <math.h>

enum { MEMORY = 10, TRIALS = 40 };

typedef struct search {
    const vx_objective *f;
    double *x, *slope, *direction;
    double *next, *next_slope;
    double *steps, *turns;   /* the last MEMORY differences of x and slope, a ring */
    double products[MEMORY]; /* their inner products */
    size_t pairs, newest;    /* how many there are, and where the next goes */
    double value, next_value;
} search;

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Algorithm 7.4: direction = -H slope. */
static void find_direction(search *s) {
    size_t n = s->f->count;
    double share[MEMORY];
    for (size_t i = 0; i < n; i++) s->direction[i] = -s->slope[i];
    for (size_t p = 0; p < s->pairs; p++) {
        size_t at = (s->newest + MEMORY - 1 - p) % MEMORY;
        const double *step = s->steps + at * n, *turn = s->turns + at * n;
        share[at] = dot(step, s->direction, n) / s->products[at];
        for (size_t i = 0; i < n; i++) s->direction[i] -= share[at] * turn[i];
    }
    double length = sqrt(dot(s->slope, s->slope, n)), scale = 1 / length;
    if (s->pairs) {
        size_t at = (s->newest + MEMORY - 1) % MEMORY;
        scale = s->products[at] / dot(s->turns + at * n, s->turns + at * n, n);
    }
    for (size_t i = 0; i < n; i++) s->direction[i] *= scale;
    for (size_t p = s->pairs; p-- > 0;) {
        size_t at = (s->newest + MEMORY - 1 - p) % MEMORY;
        const double *step = s->steps + at * n, *turn = s->turns + at * n;
        double back = dot(turn, s->direction, n) / s->products[at];
        for (size_t i = 0; i < n; i++) s->direction[i] += (share[at] - back) * step[i];
    }
}

/* Keeps what the step taken tells about curvature, unless it is nothing but rounding. */
static void remember(search *s) {
    size_t n = s->f->count;
    double *step = s->steps + s->newest * n, *turn = s->turns + s->newest * n;
    for (size_t i = 0; i < n; i++) {
        step[i] = s->next[i] - s->x[i];
        turn[i] = s->next_slope[i] - s->slope[i];
    }
    double product = dot(step, turn, n);
    if (!(product > 1e-10 * sqrt(dot(step, step, n) * dot(turn, turn, n)))) return;
    s->products[s->newest] = product;
    s->newest = (s->newest + 1) % MEMORY;
    s->pairs = VX_MIN(s->pairs + 1, (size_t)MEMORY);
}

/* Looks along the direction; *found tells whether a lower place is in next. */
static vindex_status look_along(search *s, bool *found) {
    size_t n = s->f->count;
    const double enough = 1e-4, flatter = 0.9;
    double fall = dot(s->slope, s->direction, n), low = 0, high = INFINITY, t = 1;
    *found = false;
    for (int trial = 0; trial < TRIALS && fall < 0; trial++) {
        for (size_t i = 0; i < n; i++) s->next[i] = s->x[i] + t * s->direction[i];
        VX_TRY(s->f->at(s->f->context, s->next, &s->next_value, s->next_slope));
        bool lower = s->next_value <= s->value + enough * t * fall; /* false for NaN */
        double slope = lower ? dot(s->next_slope, s->direction, n) : 0;
        if (lower && isfinite(slope) && slope >= flatter * fall) {
            *found = s->next_value < s->value;
            return VINDEX_OK;
        }
        if (lower && isfinite(slope))
            low = t;
        else
            high = t;
        t = isfinite(high) ? (low + high) / 2 : 2 * low;
    }
    return VINDEX_OK;
}

static void accept(search *s) {
    size_t n = s->f->count;
    remember(s);
    memcpy(s->x, s->next, n * sizeof *s->x);
    memcpy(s->slope, s->next_slope, n * sizeof *s->slope);
    s->value = s->next_value;
}

static vindex_status go_down(search *s, vx_minimum *minimum) {
    size_t n = s->f->count;
    while (minimum->steps < s->f->steps && !minimum->converged) {
        bool found = false;
        if (dot(s->slope, s->slope, n) > 0) {
            find_direction(s);
            VX_TRY(look_along(s, &found));
        }
        if (!found && s->pairs) { /* what is remembered misleads: begin again downhill */
            s->pairs = 0;
            continue;
        }
        minimum->converged = !found;
        if (!found) return VINDEX_OK;
        double before = s->value;
        accept(s);
        minimum->steps++;
        minimum->value = s->value;
        minimum->converged = before - s->value <= s->f->tolerance * fabs(s->value);
        if (s->f->stepped) VX_TRY(s->f->stepped(s->f->context, minimum->steps, s->value));
    }
    return VINDEX_OK;
}

vindex_status vx_lbfgs(const vx_objective *objective, double *x, vx_minimum *minimum) {
    size_t n = objective->count, numbers;
    *minimum = (vx_minimum){0};
    double *room = vx_mul(n, 4 + 2 * MEMORY, &numbers) ? vx_alloc(numbers, sizeof *room) : NULL;
    if (!room) return vx_fail_memory(n, (4 + 2 * MEMORY) * sizeof *room, "minimise");
    search s = {.f = objective,
                .x = x,
                .slope = room,
                .direction = room + n,
                .next = room + 2 * n,
                .next_slope = room + 3 * n,
                .steps = room + 4 * n,
                .turns = room + (4 + MEMORY) * n};
    vindex_status status = objective->at(objective->context, x, &s.value, s.slope);
    minimum->value = s.value;
    if (status == VINDEX_OK && !(isfinite(s.value) && isfinite(dot(s.slope, s.slope, n))))
        status = vx_fail(VINDEX_ERR_DATA,
                         "minimise: the loss is %g at the start; scale the data first, with "
                         "standardise",
                         s.value);
    if (status == VINDEX_OK) status = go_down(&s, minimum);
    vx_free(room);
    return status;
}
