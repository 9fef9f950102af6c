#include "lanes_neon.h"

#define TABLE vx_kernels_neondot
#define LEVEL "neon"
#include "bodies.inc"
