/* Vulkan drivers that stay loaded although tests open and close them some hundred times.
 *
 * Their thousands of destructors are registered anew whenever the loader loads them, and the list
 * of them never shrinks: unloading takes seconds in the end. And what a driver leaks looks like a
 * leak of ours once nobody knows whose code that was.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_DRIVERS_H
#define PD_TEST_SUPPORT_DRIVERS_H

#ifdef PERIDOT_HAS_VULKAN
#include <dlfcn.h>
#include <link.h>

#include "backend/vulkan/device/device.h"

static int pin_library(struct dl_phdr_info *info, size_t size, void *ctx) {
    (void)size, (void)ctx;
    if (info->dlpi_name[0] == '/')
        (void)dlopen(info->dlpi_name, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    return 0;
}

/* To be called before anything else loads them. */
static void keep_drivers_loaded(void) {
    VkInstance instance;
    VkPhysicalDevice some[8];
    uint32_t n;
    if (pd_vk_instance_open(&instance, NULL) != PD_OK) return;
    (void)pd_vk_physical_list(instance, some, 8, &n, NULL);
    dl_iterate_phdr(pin_library, NULL);
    pd_vk_instance_close();
}
#else
static void keep_drivers_loaded(void) {}
#endif

#endif
