/* Waiting for the device, and letting go of one that hangs.
 *
 * A submission is predicted to take some 50 ms. One that has not finished after a thousand times
 * that never will: a shader that loops for ever, or a driver that lost its device without saying
 * so. Waits are made in slices of a second, which are counted, so that a process that was stopped,
 * or a machine that slept, is not taken for a hang.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_WAIT_H
#define PD_VULKAN_WAIT_H

#include "backend/vulkan/device/device.h"

/* Until `fence` is signalled. Errors: DEVICE_LOST, also when it hangs: what the driver knows of the
 * fault (VK_EXT_device_fault) is in the message. The device is lost then, for good. */
pd_status pd_vk_wait(pd_vk_device *d, VkFence fence, pd_error *err);

/* For failed submissions and waits: returns when nothing is in flight any more, so that what it
 * used can be destroyed or used again. A device that cannot even say this counts as lost. */
void pd_vk_settle(pd_vk_device *d);

/* Seconds after which a wait is given up: PERIDOT_DEVICE_TIMEOUT, else 60, and 600 for a
 * rasteriser, whose processor may be busy with other things. Errors: ARGUMENT. */
pd_status pd_vk_timeout_read(pd_vk_device *d, pd_error *err);

#endif
