/* The integer kernels for NEON with dot products of bytes (Armv8.2). 16-bit activations are two
 * signed bytes there: NEON multiplies sixteen bytes in one instruction, and four 16-bit integers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/integer.h"

#ifdef __aarch64__

#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/target.h"
#include "base/cores.h"

#define VB           16
#define FEW          3
#define MANY         3 /* 24 sums of 32 registers */
#define PLANES       2
#define SIGNED_QUADS 1
#define MOST_BITS    8

#ifdef __clang__
TARGET_BEGIN("dotprod")
#else
TARGET_BEGIN("arch=armv8.2-a+dotprod")
#endif

#include "backend/cpu/integer_types.h"
#include "backend/cpu/integer_neon.h"

#include "backend/cpu/integer_body.h"

static const pd_cpu_integer_kernels table = INTEGER_TABLE("neon-dotprod");

TARGET_END

const pd_cpu_integer_kernels *pd_cpu_integer_neon(void) {
    return pd_arm_has(PD_ARM_DOT_PRODUCTS) ? &table : NULL;
}

#endif
