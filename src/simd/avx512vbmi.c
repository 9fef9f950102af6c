#include "lanes_avx512.h"

#define TABLE vx_kernels_avx512vbmi
#define LEVEL "avx512"
#include "bodies.inc"
