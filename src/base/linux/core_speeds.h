/* How fast processors are beside each other, as Linux tells of chips that have fast and slow ones.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_LINUX_CORE_SPEEDS_H
#define PD_BASE_LINUX_CORE_SPEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A processor's capacity, of 1024 for the fastest; 0: the system does not tell. folder:
 * /sys/devices/system/cpu, or one like it. */
uint32_t pd_cpu_capacity(const char *folder, size_t cpu);
/* Less than half as fast as the fastest: where all threads wait for the last one, such a processor
 * does more harm than good. */
bool pd_capacity_is_low(uint32_t capacity, uint32_t largest);

#endif
