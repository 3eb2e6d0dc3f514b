/* See cores.h.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* sched_getaffinity, cpu_set_t */
#include "base/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/linux/core_speeds.h"

static const char CPU_FOLDER[] = "/sys/devices/system/cpu";

/* Processors of this process; false: more than a cpu_set_t holds. */
static bool allowed_cpus(cpu_set_t *out) {
    return sched_getaffinity(0, sizeof *out, out) == 0 && CPU_COUNT(out) > 0;
}

/* Linux lists numbers and ranges: "0,64" or "0-1". */
static bool parse_list(const char *text, cpu_set_t *out) {
    CPU_ZERO(out);
    while (*text >= '0' && *text <= '9') {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-') last = strtoul(end + 1, &end, 10);
        if (first > last || last >= CPU_SETSIZE) return false;
        for (unsigned long i = first; i <= last; i++) CPU_SET(i, out);
        text = end + (*end == ',');
    }
    return CPU_COUNT(out) > 0;
}

/* Those that share the core of cpu, it included. */
static bool siblings_of(size_t cpu, cpu_set_t *out) {
    char path[96], text[256] = "";
    snprintf(path, sizeof path, "%s/cpu%zu/topology/thread_siblings_list", CPU_FOLDER, cpu);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    bool read = fgets(text, sizeof text, f) != NULL;
    fclose(f);
    return read && parse_list(text, out) && CPU_ISSET(cpu, out);
}

static size_t first_of(const cpu_set_t *set) {
    size_t i = 0;
    while (i < CPU_SETSIZE - 1 && !CPU_ISSET(i, set)) i++;
    return i;
}

static bool allowed_siblings(const cpu_set_t *allowed, size_t cpu, cpu_set_t *out) {
    if (!siblings_of(cpu, out)) return false;
    CPU_AND(out, out, allowed);
    return true;
}

uint32_t pd_cpu_count(void) {
    cpu_set_t set;
    long n = allowed_cpus(&set) ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

/* Takes those out that are slow beside the fastest: phones have both. */
static void drop_slow_cpus(cpu_set_t *set) {
    uint32_t largest = 0;
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        uint32_t capacity = CPU_ISSET(i, set) ? pd_cpu_capacity(CPU_FOLDER, i) : 0;
        if (capacity > largest) largest = capacity;
    }
    if (largest == 0) return;
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, set) && pd_capacity_is_low(pd_cpu_capacity(CPU_FOLDER, i), largest))
            CPU_CLR(i, set);
}

uint32_t pd_core_firsts(uint32_t *firsts, uint32_t most) {
    cpu_set_t allowed, siblings;
    uint32_t n = 0;
    if (!allowed_cpus(&allowed)) return 0;
    drop_slow_cpus(&allowed);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &allowed)) continue;
        if (!allowed_siblings(&allowed, i, &siblings)) return 0;
        if (first_of(&siblings) != i) continue; /* counted with its first processor */
        if (n < most) firsts[n] = (uint32_t)i;
        n++;
    }
    return n;
}

uint32_t pd_core_count(void) {
    uint32_t n = pd_core_firsts(NULL, 0);
    return n > 0 ? n : pd_cpu_count();
}

uint32_t pd_node_of(uint32_t cpu) {
    enum { MOST_NODES = 64 };
    char path[64];
    for (uint32_t node = 0; node < MOST_NODES; node++) {
        snprintf(path, sizeof path, "/sys/devices/system/node/node%u/cpu%u", node, cpu);
        if (access(path, F_OK) == 0) return node;
    }
    return 0;
}

bool pd_bind_to_core_of(uint32_t cpu) {
    cpu_set_t allowed, set;
    return allowed_cpus(&allowed) && cpu < CPU_SETSIZE && CPU_ISSET(cpu, &allowed) &&
           allowed_siblings(&allowed, cpu, &set) && sched_setaffinity(0, sizeof set, &set) == 0;
}

void pd_processor_name(char *out, size_t size) {
    snprintf(out, size, "CPU");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f) return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon) continue;
        colon += 1 + (colon[1] == ' ');
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, size, "%s", colon);
        break;
    }
    fclose(f);
}

uint64_t pd_last_cache_bytes(void) {
    long bytes = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
    bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    return bytes > 0 ? (uint64_t)bytes : 0;
}

bool pd_arm_has(pd_arm_feature f) {
#ifdef __aarch64__
    enum { DOT_PRODUCTS = 1 << 20, BYTE_MATRICES = 1 << 13 }; /* the kernel's asm/hwcap.h */
    if (f == PD_ARM_DOT_PRODUCTS) return (getauxval(AT_HWCAP) & DOT_PRODUCTS) != 0;
    return (getauxval(AT_HWCAP2) & BYTE_MATRICES) != 0;
#else
    (void)f;
    return false;
#endif
}

/* Linux gives a process the memory for them when it asks. */
bool pd_allow_tiles(void) {
#ifdef __x86_64__
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}
