/* Vector types of VL floats, and how loops over them are unrolled: what simd_body.h and the files
 * that include it share.  SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_SIMD_TYPES_H
#define PD_CPU_SIMD_TYPES_H

#include "backend/cpu/kernels.h"

typedef float vf __attribute__((vector_size(VL * 4)));
typedef int32_t vi __attribute__((vector_size(VL * 4)));

/* Bytes that are shifted in pairs; as wide as it can be without a warning about passing it. */
typedef uint16_t vb __attribute__((vector_size(VL == 4 ? 16 : 32)));

enum { NV = 32 / VL }; /* vectors of a group of 32 values */

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
