/* Whether a driver computes what the shaders say, found out the first time that a device is used
 * with this build and remembered: what it gets wrong is not used.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_SELFTEST_H
#define PD_VULKAN_SELFTEST_H

#include "backend/vulkan/program/backend.h"

/* Tries the kernels of every kind that the device's caps allow (trial.h) and takes away the
 * capability under which one of them is wrong. PERIDOT_SELFTEST:
 * "off" tries nothing, "on" software devices too.
 *
 * A driver that crashes or hangs in a test is not lost for ever: while a capability is tried, its
 * name stands in a file beside the cache, and the next start leaves alone what it finds there.
 *
 * Errors: DEVICE (even the simplest kernels are wrong), DEVICE_LOST, ARGUMENT (PERIDOT_SELFTEST).
 * Where the test itself cannot be had, for want of memory say, nothing is judged. */
pd_status pd_vk_self_test(pd_vk_backend *b, pd_error *err);

/* Remembers a verdict that was reached in another way, in place of its own; b was opened without
 * one, and with nothing disabled. False: there is no place for it. */
bool pd_vk_self_test_keep(pd_vk_backend *b, const char *disabled, const char *reason);

#endif
