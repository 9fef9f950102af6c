/* Neighbourhood components analysis: the objective, for its method and for tests. */
#ifndef VX_TRANSFORM_NCA_H
#define VX_TRANSFORM_NCA_H

#include "metric.h"

/* Minus the mean over rows of the probability to choose a neighbour of the same class, where row i
 * chooses j with probability exp(-|z_i - z_j|^2) over their sum, and its slope by the map. */
vindex_status vx_nca_at(void *metric, const double *map, double *value, double *slope);

#endif
