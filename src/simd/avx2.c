#include "lanes_avx2.h"

#define TABLE vx_kernels_avx2
#define LEVEL "avx2"
#include "bodies.inc"
