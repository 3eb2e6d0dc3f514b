/* Choosing a device by the user's wish: see registry.c.  SPDX-License-Identifier: MIT */
#ifndef PD_BACKEND_REGISTRY_H
#define PD_BACKEND_REGISTRY_H

#include "base/error.h"

/* Index into list of the device that `wish` means. vulkan_note: why there is no Vulkan device, for
 * messages; NULL is allowed. Errors: NO_DEVICE (no such device, several, or an unusable one). */
pd_status pd_device_choose(const char *wish, const pd_device_info *list, uint32_t n,
                           const char *vulkan_note, uint32_t *index, pd_error *err);

#endif
