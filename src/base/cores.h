/* The processors that this process may run on, and the physical cores that they belong to.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_CORES_H
#define PD_BASE_CORES_H

#include <stdbool.h>
#include <stdint.h>

uint32_t pd_cpu_count(void);

/* Cores with at least one of these processors; as many as processors where the system does not tell
 * which share a core. */
uint32_t pd_core_count(void);

/* Keeps the calling thread on the processors of the core-th of them, of which the process may use;
 * false: the system does not tell, or refuses. */
bool pd_bind_to_core(uint32_t core);

#endif
