/* What is found out about a device on the first start and remembered in the cache: tune.c's choice
 * of kernels and selftest.c's verdict.  SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_FINDINGS_H
#define PD_VULKAN_FINDINGS_H

#include "backend/vulkan/device/device.h"

enum { PD_VK_FINDING_NAME = 128 };

/* The cache file's name: "<kind>-<device>-<driver>-...". Another driver, device, set of
 * capabilities, text of a shader or version of the kind asks again. */
void pd_vk_finding_name(const pd_vk_device *d, const char *kind, uint32_t version,
                        char out[PD_VK_FINDING_NAME]);

/* Whether to find it out here at all. The environment's variable says "on" or "off"; without it,
 * on real GPUs. Devices without memory are never asked. Errors: ARGUMENT. */
pd_status pd_vk_finding_wanted(const pd_vk_device *d, const char *variable, bool *wanted,
                               pd_error *err);

#endif
