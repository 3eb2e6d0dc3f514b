/* The integer kernels in the shape of AVX-512 VNNI at q8.  SPDX-License-Identifier: MIT */
#define VB           64
#define FEW          8
#define TILE_GROUPS  2
#define MANY         6
#define PLANES       1
#define SIGNED_QUADS 0
#define MOST_BITS    8
#include "unit/support_integer_shape.h"

int main(void) {
    return run_shape("unit.integer_quads_512");
}
