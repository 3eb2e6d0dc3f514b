/* Vector types of VB bytes, and how loops over them are unrolled, for integer_body.h.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_TYPES_H
#define PD_CPU_INTEGER_TYPES_H

#include <stdint.h>
#include <string.h>

typedef float vf __attribute__((vector_size(VB)));
typedef int32_t vi __attribute__((vector_size(VB)));
typedef int16_t vs __attribute__((vector_size(VB)));
typedef uint16_t vw __attribute__((vector_size(VB)));

#define INLINE static inline __attribute__((always_inline))

#define LOAD_AS(type, from)                                                                        \
    __extension__({                                                                                \
        type loaded_;                                                                              \
        memcpy(&loaded_, from, sizeof loaded_);                                                    \
        loaded_;                                                                                   \
    })

/* Unrolled and instrumented, a file takes minutes to compile. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNROLL
#endif
#endif
#ifndef UNROLL
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#endif

#endif
