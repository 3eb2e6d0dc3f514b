/* See base/random.h.  SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/os_file.h"

uint32_t pd_random_seed(void) {
    uint32_t seed = 0;
    FILE *f = pd_stream_open("/dev/urandom", "rb");
    bool good = f && fread(&seed, sizeof seed, 1, f) == 1;
    if (f) fclose(f);
    return good ? seed : (uint32_t)pd_clock_ns();
}
