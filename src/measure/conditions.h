/* What a machine is doing and how it is set while something is measured.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_CONDITIONS_H
#define PD_MEASURE_CONDITIONS_H

#include "peridot.h"

typedef struct pd_conditions {
    char governor[32]; /* of processors' clocks: "performance"; "": the system does not tell */
    char profile[32];  /* of the whole machine: "balanced"; "": likewise */
    char power[16];    /* "mains", "battery"; "": the system does not tell */
    double load;       /* programs that run or want to, over the last minute; < 0: likewise */
    double mhz;        /* the device's clock, of processors the fastest core's; 0: likewise */
    double celsius;    /* the device's temperature; 0: likewise */
} pd_conditions;

/* By /sys and /proc, of NVIDIA's cards by NVML. With several cards of a driver nothing says which
 * is which: clock and temperature are 0 then. */
pd_conditions pd_conditions_now(const pd_device_info *device);
/* The same with other folders and another file in their place. */
pd_conditions pd_conditions_at(const pd_device_info *device, const char *sys, const char *nvml);

#endif
