/* Libraries that are loaded when they are asked for.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_LIBRARY_H
#define PD_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pd_library pd_library;

/* What NVIDIA's driver brings: its management library. */
#ifdef _WIN32
#define PD_NVML_FILE "nvml.dll"
#else
#define PD_NVML_FILE "libnvidia-ml.so.1"
#endif

pd_library *pd_library_open(const char *file); /* NULL: it is not there */
void pd_library_close(pd_library *l);
/* *function: a pointer to a function of the right type; NULL, and false, where there is none. */
bool pd_library_find(pd_library *l, const char *name, void *function);

/* Files that may be Vulkan's loader, or a driver without one, where the system does not look by
 * itself; with VULKAN_SDK set, below that folder. The i-th, as text in out; false: no more. */
bool pd_vulkan_place(unsigned i, char *out, size_t size);
/* What it is called here, and how one comes by it and by a driver. */
extern const char pd_vulkan_name[], pd_vulkan_loader_hint[], pd_vulkan_driver_hint[];

#endif
