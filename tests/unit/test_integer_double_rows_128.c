/* The integer kernels in the shape of NEON with i8mm.  SPDX-License-Identifier: MIT */
#define VB           16
#define FEW          2
#define MANY         2
#define PLANES       2
#define SIGNED_QUADS 1
#define MOST_BITS    8
#define ROW_PAIRS
#include "unit/support_integer_shape.h"

int main(void) {
    return run_shape("unit.integer_double_rows_128");
}
