/* See base/library.h.  SPDX-License-Identifier: MIT */
#include "base/library.h"

const char pd_vulkan_name[] = "vulkan-1.dll";
const char pd_vulkan_loader_hint[] = "install the GPU's driver, which brings it";
const char pd_vulkan_driver_hint[] = "install the GPU's driver";

bool pd_vulkan_place(unsigned i, char *out, size_t size) {
    (void)i, (void)out, (void)size;
    return false; /* drivers put it where the system looks */
}
