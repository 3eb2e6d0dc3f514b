/* See base/random.h.  SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <windows.h>

#include <bcrypt.h>

#include "base/clock.h"

uint32_t pd_random_seed(void) {
    uint32_t seed;
    NTSTATUS failed =
        BCryptGenRandom(NULL, (PUCHAR)&seed, sizeof seed, BCRYPT_USE_SYSTEM_PREFERRED_RNG);
    return failed ? (uint32_t)pd_clock_ns() : seed;
}
