/* What a driver's compiler made of a pipeline, by VK_KHR_pipeline_executable_properties: registers,
 * spills, instructions, and the program itself as text. Names and meanings are the driver's own.
 *
 * Needs a device from pd_vk_device_open_capturing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_STATISTICS_H
#define PD_VULKAN_STATISTICS_H

#include "backend/vulkan/kernels/pipeline.h"

typedef void (*pd_vk_statistic_fn)(void *ctx, const char *name, double value);
/* Errors: DEVICE, MEMORY_HOST. */
pd_status pd_vk_statistics_each(pd_vk_device *d, const pd_vk_pipeline *pipeline,
                                pd_vk_statistic_fn fn, void *ctx, pd_error *err);

/* title: "Assembly", "NIR", ...; text: NUL-terminated, gone after the call. */
typedef void (*pd_vk_representation_fn)(void *ctx, const char *title, const char *text);
pd_status pd_vk_representations_each(pd_vk_device *d, const pd_vk_pipeline *pipeline,
                                     pd_vk_representation_fn fn, void *ctx, pd_error *err);

#endif
