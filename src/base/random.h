/* Random numbers: for test data the same on every machine, and a seed that nobody knows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_RANDOM_H
#define PD_BASE_RANDOM_H

#include <stdint.h>

/* splitmix64: 64 random bits; any state will do. */
static inline uint64_t pd_random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* A seed that nobody chose: 32 bits from the system, else from the clock. */
uint32_t pd_random_seed(void);

#endif
