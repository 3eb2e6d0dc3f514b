/* The integer kernels in the shape of NEON with i8mm at q8.  SPDX-License-Identifier: MIT */
#define VB           16
#define FEW          4
#define MANY         6
#define PLANES       1
#define SIGNED_QUADS 1
#define MOST_BITS    8
#define ROW_PAIRS
#include "unit/support_integer_shape.h"

int main(void) {
    return run_shape("unit.integer_quads_rows_128");
}
