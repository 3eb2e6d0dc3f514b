/* What a device has used of energy, where the system tells.
 *
 *     processors   RAPL: the packages' counters, which often root alone may read
 *     NVIDIA       NVML, the driver's own library: the board's counter
 *     others       hwmon: the card's counter, or its power, which is added up from reading to
 * reading
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_ENERGY_H
#define PD_MEASURE_ENERGY_H

#include "peridot.h"

typedef struct pd_energy pd_energy;

/* NULL: nothing tells, or memory lacks. With several cards of one driver hwmon is not asked:
 * nothing says which is which. */
pd_energy *pd_energy_open(const pd_device_info *device);
/* The same with another folder in place of /sys, and another file in place of NVML's library. */
pd_energy *pd_energy_open_at(const pd_device_info *device, const char *sys, const char *nvml);
void pd_energy_close(pd_energy *e); /* NULL is allowed */

const char *pd_energy_source(const pd_energy *e); /* "RAPL", "NVML", "hwmon" */
bool pd_energy_is_counter(const pd_energy *e);    /* and not a power that is added up */
/* Joules since it was opened; to be called at least every few minutes, since counters begin anew.
 * Negative: it cannot be read any more. */
double pd_energy_joules(pd_energy *e);

#endif
