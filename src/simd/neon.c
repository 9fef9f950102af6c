#include "lanes_neon.h"

#define TABLE vx_kernels_neon
#define LEVEL "neon"
#include "bodies.inc"
