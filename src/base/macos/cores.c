/* See base/cores.h. macOS tells how many cores there are of each kind, not which processor is
 * which, and binds no thread to one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/cores.h"

#include <stdio.h>
#include <sys/sysctl.h>
#include <unistd.h>

/* The value of that name; 0: there is none. */
static uint64_t number_of(const char *name) {
    uint64_t value = 0; /* some are of four bytes, and little-endian */
    size_t n = sizeof value;
    return sysctlbyname(name, &value, &n, NULL, 0) == 0 ? value : 0;
}

uint32_t pd_cpu_count(void) {
    uint64_t n = number_of("hw.logicalcpu");
    return n > 0 ? (uint32_t)n : 1;
}

/* Of a chip with fast and slow cores the fast ones. */
uint32_t pd_core_count(void) {
    uint64_t n = number_of("hw.perflevel0.physicalcpu");
    if (n == 0) n = number_of("hw.physicalcpu");
    return n > 0 ? (uint32_t)n : pd_cpu_count();
}

uint32_t pd_core_firsts(uint32_t *firsts, uint32_t most) {
    (void)firsts, (void)most;
    return 0;
}

uint32_t pd_node_of(uint32_t cpu) {
    (void)cpu;
    return 0;
}

bool pd_bind_to_core_of(uint32_t cpu) {
    (void)cpu;
    return false;
}

void pd_processor_name(char *out, size_t size) {
    char name[128] = "";
    size_t n = sizeof name - 1;
    bool found = sysctlbyname("machdep.cpu.brand_string", name, &n, NULL, 0) == 0 && name[0];
    snprintf(out, size, "%s", found ? name : "CPU");
}

/* Apple's own chips have two levels for a group of cores. */
uint64_t pd_last_cache_bytes(void) {
    uint64_t third = number_of("hw.l3cachesize");
    return third > 0 ? third : number_of("hw.perflevel0.l2cachesize");
}

bool pd_arm_has(pd_arm_feature f) {
    return number_of(f == PD_ARM_DOT_PRODUCTS ? "hw.optional.arm.FEAT_DotProd"
                                              : "hw.optional.arm.FEAT_I8MM") != 0;
}

bool pd_allow_tiles(void) {
    return false; /* no Mac has them */
}
