#include "lanes_scalar.h"

#define TABLE vx_kernels_scalar
#define LEVEL "scalar"
#include "bodies.inc"
