/* Compiling the rest of a file for an instruction set, whatever the compiler is told otherwise.
 *
 *     TARGET_BEGIN("avx2,fma")  ...functions...  TARGET_END
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_TARGET_H
#define PD_CPU_TARGET_H

#define TARGET_TEXT(x) _Pragma(#x)
#ifdef __clang__
#define TARGET_BEGIN(features)                                                                     \
    TARGET_TEXT(clang attribute push(__attribute__((target(features))), apply_to = function))
#define TARGET_END TARGET_TEXT(clang attribute pop)
#else
#define TARGET_BEGIN(features) TARGET_TEXT(GCC target(features))
#define TARGET_END             TARGET_TEXT(GCC reset_options)
#endif

#endif
