/* Monotonic time and process memory.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_CLOCK_H
#define PD_BASE_CLOCK_H

#include <stdint.h>

uint64_t pd_clock_ns(void);
void pd_sleep_ms(uint32_t ms); /* signals may end it early */
/* "2025-01-31T12:00:00Z" */
void pd_clock_utc(char out[32]);
uint64_t pd_host_memory_bytes(void);      /* the machine's memory */
uint64_t pd_host_memory_free_bytes(void); /* available without swapping; 0 when unknown */
/* Programs that run or want to, over the last minute; negative: the system does not tell. */
double pd_system_load(void);
uint64_t pd_process_peak_bytes(void); /* highest resident set so far */

#endif
