/* The processors that this process may run on, and the physical cores that they belong to.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_CORES_H
#define PD_BASE_CORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t pd_cpu_count(void);

/* Cores with at least one of these processors, without those that are less than half as fast as the
 * fastest; as many as processors where the system does not tell which share a core. */
uint32_t pd_core_count(void);

/* The first processor of each of these cores, up to `most` of them; returns how many cores there
 * are, 0 where the system does not tell. A file is read for each processor. */
uint32_t pd_core_firsts(uint32_t *firsts, uint32_t most);

/* The NUMA node whose memory is near to that processor; 0 where the system does not tell. */
uint32_t pd_node_of(uint32_t cpu);

/* The processor's name as the system tells it, else "CPU". */
void pd_processor_name(char *out, size_t size);
uint64_t pd_last_cache_bytes(void); /* of the third level; 0: the system does not tell */

/* What processors of 64-bit Arm may have; false on others. */
typedef enum pd_arm_feature {
    PD_ARM_DOT_PRODUCTS, /* of bytes: SDOT */
    PD_ARM_BYTE_MATRICES /* I8MM: SMMLA */
} pd_arm_feature;
bool pd_arm_has(pd_arm_feature f);
/* Asks for the tile registers of Intel's AMX; false: the system does not give them. */
bool pd_allow_tiles(void);

/* Keeps the calling thread on that processor and the others of its core that it may run on; false:
 * the system does not tell, or refuses. */
bool pd_bind_to_core_of(uint32_t cpu);

#endif
