/* Monotonic time and process memory.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_CLOCK_H
#define PD_BASE_CLOCK_H

#include <stdint.h>

uint64_t pd_clock_ns(void);
uint64_t pd_host_memory_bytes(void);      /* the machine's memory */
uint64_t pd_host_memory_free_bytes(void); /* available without swapping; 0 when unknown */
uint64_t pd_process_peak_bytes(void);     /* highest resident set so far */

#endif
