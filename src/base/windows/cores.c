/* See base/cores.h. Processors are counted over all groups that the process may use, 64 to each; a
 * thread stays on the processors of one core.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/cores.h"

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

enum { PER_GROUP = 64 };

/* All entries of a kind, with their number of bytes; free. */
static uint8_t *list(LOGICAL_PROCESSOR_RELATIONSHIP kind, DWORD *n) {
    *n = 0;
    GetLogicalProcessorInformationEx(kind, NULL, n);
    uint8_t *entries = *n ? malloc(*n) : NULL;
    if (!entries || GetLogicalProcessorInformationEx(
                        kind, (SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *)(void *)entries, n))
        return entries;
    free(entries);
    return NULL;
}

static const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *entry_at(const uint8_t *entries, DWORD at) {
    return (const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *)(const void *)(entries + at);
}

/* The process's, of machines with one group; all of them of others. */
static KAFFINITY allowed(void) {
    DWORD_PTR own, all;
    if (GetActiveProcessorGroupCount() > 1)
        return ~(KAFFINITY)0; /* it tells of one of them alone */
    bool told = GetProcessAffinityMask(GetCurrentProcess(), &own, &all) && own;
    return told ? own : ~(KAFFINITY)0;
}

uint32_t pd_cpu_count(void) {
    DWORD n = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    DWORD_PTR own, all;
    if (n <= PER_GROUP && GetProcessAffinityMask(GetCurrentProcess(), &own, &all) && own)
        n = (DWORD)__builtin_popcountll(own);
    return n > 0 ? n : 1;
}

uint32_t pd_core_firsts(uint32_t *firsts, uint32_t most) {
    DWORD n_bytes;
    uint32_t n = 0;
    uint8_t *cores = list(RelationProcessorCore, &n_bytes);
    for (DWORD at = 0; cores && at < n_bytes; at += entry_at(cores, at)->Size) {
        const GROUP_AFFINITY *a = &entry_at(cores, at)->Processor.GroupMask[0];
        KAFFINITY mask = a->Mask & allowed();
        if (!mask) continue;
        if (n < most) firsts[n] = a->Group * PER_GROUP + (uint32_t)__builtin_ctzll(mask);
        n++;
    }
    free(cores);
    return n;
}

uint32_t pd_core_count(void) {
    uint32_t n = pd_core_firsts(NULL, 0);
    return n > 0 ? n : pd_cpu_count();
}

uint32_t pd_node_of(uint32_t cpu) {
    PROCESSOR_NUMBER number = {.Group = (WORD)(cpu / PER_GROUP), .Number = (BYTE)(cpu % PER_GROUP)};
    USHORT node;
    return GetNumaProcessorNodeEx(&number, &node) ? node : 0;
}

bool pd_bind_to_core_of(uint32_t cpu) {
    DWORD n_bytes;
    bool bound = false;
    uint8_t *cores = list(RelationProcessorCore, &n_bytes);
    for (DWORD at = 0; cores && at < n_bytes && !bound; at += entry_at(cores, at)->Size) {
        GROUP_AFFINITY a = entry_at(cores, at)->Processor.GroupMask[0];
        if (a.Group != cpu / PER_GROUP || !(a.Mask >> cpu % PER_GROUP & 1)) continue;
        a.Mask &= allowed();
        /* of several groups alone, since threads of Wine crash at their end when they were bound so
         */
        bound = a.Mask && (GetActiveProcessorGroupCount() == 1
                               ? SetThreadAffinityMask(GetCurrentThread(), a.Mask) != 0
                               : SetThreadGroupAffinity(GetCurrentThread(), &a, NULL));
    }
    free(cores);
    return bound;
}

void pd_processor_name(char *out, size_t size) {
    char name[128];
    DWORD n = sizeof name;
    LSTATUS found =
        RegGetValueA(HKEY_LOCAL_MACHINE, "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0",
                     "ProcessorNameString", RRF_RT_REG_SZ, NULL, name, &n);
    snprintf(out, size, "%s", found == ERROR_SUCCESS && name[0] ? name : "CPU");
}

uint64_t pd_last_cache_bytes(void) {
    DWORD n_bytes;
    uint64_t most = 0;
    uint8_t *caches = list(RelationCache, &n_bytes);
    for (DWORD at = 0; caches && at < n_bytes; at += entry_at(caches, at)->Size) {
        const CACHE_RELATIONSHIP *c = &entry_at(caches, at)->Cache;
        if (c->Level == 3 && c->CacheSize > most) most = c->CacheSize;
    }
    free(caches);
    return most;
}

bool pd_arm_has(pd_arm_feature f) {
    (void)f;
    return false;
}

/* Windows 11 gives them to whoever uses them; XCR0 tells whether it knows them. */
bool pd_allow_tiles(void) {
    enum { TILES = 3 << 17 };
    return (GetEnabledXStateFeatures() & TILES) == TILES;
}
