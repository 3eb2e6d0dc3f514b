/* The integer kernels for NEON with products of 8-bit matrices and activations in bytes.
 * SPDX-License-Identifier: MIT */
#include "backend/cpu/integer.h"

#ifdef __aarch64__

#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/target.h"
#include "base/cores.h"

#define VB           16
#define FEW          4
#define MANY         6 /* 24 sums of 32 registers */
#define PLANES       1
#define SIGNED_QUADS 1
#define MOST_BITS    8
#define ROW_PAIRS

#ifdef __clang__
TARGET_BEGIN("dotprod,i8mm")
#else
TARGET_BEGIN("arch=armv8.2-a+dotprod+i8mm")
#endif

#include "backend/cpu/integer_types.h"
#include "backend/cpu/integer_neon.h"

#include "backend/cpu/integer_body.h"

static const pd_cpu_integer_kernels table = INTEGER_TABLE("neon-i8mm");

TARGET_END

const pd_cpu_integer_kernels *pd_cpu_integer_neon_i8mm_q8(void) {
    bool there = pd_arm_has(PD_ARM_DOT_PRODUCTS) && pd_arm_has(PD_ARM_BYTE_MATRICES);
    return there ? &table : NULL;
}

#endif
