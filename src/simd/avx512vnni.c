#include "lanes_avx512.h"

#define TABLE vx_kernels_avx512vnni
#define LEVEL "avx512"
#include "bodies.inc"
