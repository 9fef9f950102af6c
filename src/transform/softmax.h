/* Softmax of one row of logits, as fast as memory allows: a classifier over thousands of classes
 * spends on it what is left after the matrix products. */
#ifndef VX_TRANSFORM_SOFTMAX_H
#define VX_TRANSFORM_SOFTMAX_H

#include "core/base.h"

/* Replaces values by scale * exp(v) / sum of exp(v), and answers log of that sum. -INFINITY stands
 * for what takes no part; something must. A value 30 below the largest counts as nothing; else the
 * exponential is good to float32's last bits or so. */
double vx_softmax(float *values, size_t count, float scale);

#endif
