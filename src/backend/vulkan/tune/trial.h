/* A small layer with random weights, computed by a device and by the reference: what selftest.c
 * judges a driver by. In it are products of one and of many rows, with and without GEGLU, rotation
 * and KV pages, attention over more than one page, norm, gather, the head and the draw; not the
 * embedding, windows, residuals, or what image encoders have of their own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_TRIAL_H
#define PD_VULKAN_TRIAL_H

#include "backend/vulkan/program/backend.h"

typedef struct pd_vk_trial pd_vk_trial;

enum { PD_VK_FAULT_CHARS = 160 };

/* Makes the data and what cpu-ref makes of them. Errors: MEMORY_HOST. */
pd_status pd_vk_trial_create(pd_vk_trial **out, pd_error *err);
void pd_vk_trial_destroy(pd_vk_trial *t);
/* A prompt and a token with what b->device's caps and `tuning` choose at a precision. fault: the
 * first kernel whose rows differ from the reference's, and by how much, or that they do not
 * compile; "" when all is well. Takes and gives back memory of the device. Errors: all of the
 * backend's. */
pd_status pd_vk_trial_run(const pd_vk_trial *t, pd_vk_backend *b, const pd_vk_tuning *tuning,
                          pd_precision precision, char fault[PD_VK_FAULT_CHARS], pd_error *err);

#endif
