/* Minimising a function of many numbers whose slope is known, for methods that see all rows at
 * every step. */
#ifndef VX_TRANSFORM_LBFGS_H
#define VX_TRANSFORM_LBFGS_H

#include "core/base.h"

typedef struct vx_objective {
    size_t count;
    /* The function and its slope at x. Infinity or NaN is a place not to go to. */
    vindex_status (*at)(void *context, const double *x, double *value, double *slope);
    /* Called after every step that was taken; a failing status ends the search. May be NULL. */
    vindex_status (*stepped)(void *context, size_t step, double value);
    void *context;
    size_t steps;     /* at most */
    double tolerance; /* enough when a step lowers the function by no more than this share of it */
} vx_objective;

typedef struct vx_minimum {
    double value;
    size_t steps;
    bool converged;
} vx_minimum;

/* Limited-memory BFGS (Nocedal and Wright, "Numerical optimization", 2006, algorithms 7.4 and 7.5)
 * from x on, with the bisecting search for the weak Wolfe conditions of Lewis and Overton,
 * "Nonsmooth optimization via quasi-Newton methods", 2013, which hinge losses need. x becomes the
 * lowest place found, also where a call fails after the first. VINDEX_ERR_DATA where the function
 * is not finite at the start. */
vindex_status vx_lbfgs(const vx_objective *objective, double *x, vx_minimum *minimum);

#endif
