/* The integer kernels in the shape of NEON.  SPDX-License-Identifier: MIT */
#define VB           16
#define FEW          3
#define MANY         3
#define PLANES       2
#define SIGNED_QUADS 1
#define MOST_BITS    8
#include "unit/support_integer_shape.h"

int main(void) {
    return run_shape("unit.integer_double_128");
}
