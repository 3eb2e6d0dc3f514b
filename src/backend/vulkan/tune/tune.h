/* Which of the matrix kernels suits this device best: tried out the first time a device is used
 * with this build, remembered beside the pipeline cache.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_TUNE_H
#define PD_VULKAN_TUNE_H

#include "backend/vulkan/program/backend.h"

/* Betters b->tuning, from the cache or by measuring, most of which is the driver's compiler.
 * Software devices, and devices without room or on which something fails, keep the rules of thumb.
 * Errors: DEVICE_LOST, ARGUMENT (PERIDOT_TUNE). */
pd_status pd_vk_tune(pd_vk_backend *b, pd_error *err);

#endif
