/* Asking for stored weights ahead of their use, for simd_gemv.h and integer_body.h.
 *
 * The processor's own prefetcher stops at each page of 4 KiB, and finding the next one takes
 * longest in virtual machines. What is asked for goes to the second-level cache: the first, 32 KiB
 * on Zen 4, has lost much of it again by the time it is used (Q4_0: 11 GB/s a core, and 18 from the
 * second; F16: half as many tokens again).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_PREFETCH_H
#define PD_CPU_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

enum { PREFETCH_BYTES = 8192 };

/* The n bytes that lie PREFETCH_BYTES behind `at`, maybe beyond the end of any object. */
static inline __attribute__((always_inline)) void prefetch(const uint8_t *at, size_t n) {
    for (size_t i = 0; i < n; i += 64)
        __builtin_prefetch((const void *)((uintptr_t)at + PREFETCH_BYTES + i), 0, 2);
}

#endif
