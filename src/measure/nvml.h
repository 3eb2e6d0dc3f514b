/* NVIDIA's own library about its cards, where a driver brings it (PD_NVML_FILE), loaded when it
 * is asked for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_NVML_H
#define PD_MEASURE_NVML_H

#include "peridot.h"

enum { PD_NVML_VENDOR = 0x10de }; /* of cards that it knows */

typedef struct pd_nvml pd_nvml;

/* The card of that Vulkan device, by its UUID; NULL: there is no such library or card. */
pd_nvml *pd_nvml_open(const pd_device_info *d, const char *file);
void pd_nvml_close(pd_nvml *n); /* NULL is allowed */

/* False: the card does not tell. */
bool pd_nvml_joules(const pd_nvml *n, double *out); /* used since the driver was loaded */
bool pd_nvml_mhz(const pd_nvml *n, double *out);    /* the graphics clock */
bool pd_nvml_celsius(const pd_nvml *n, double *out);

#endif
