/* See base/library.h.  SPDX-License-Identifier: MIT */
#include "base/library.h"

const char pd_vulkan_name[] = "libvulkan.so.1";
const char pd_vulkan_loader_hint[] = "install the Vulkan loader (Debian: libvulkan1) and a driver";
const char pd_vulkan_driver_hint[] =
    "install the GPU's Vulkan driver (Debian: mesa-vulkan-drivers)";

bool pd_vulkan_place(unsigned i, char *out, size_t size) {
    (void)i, (void)out, (void)size;
    return false; /* the system knows where its libraries are */
}
