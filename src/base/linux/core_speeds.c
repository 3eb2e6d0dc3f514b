/* See core_speeds.h.  SPDX-License-Identifier: MIT */
#include "base/linux/core_speeds.h"

#include <stdio.h>

uint32_t pd_cpu_capacity(const char *folder, size_t cpu) {
    char path[512];
    unsigned capacity = 0;
    snprintf(path, sizeof path, "%s/cpu%zu/cpu_capacity", folder, cpu);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    if (fscanf(f, "%u", &capacity) != 1) capacity = 0;
    fclose(f);
    return capacity;
}

bool pd_capacity_is_low(uint32_t capacity, uint32_t largest) {
    return capacity > 0 && capacity < largest / 2;
}
