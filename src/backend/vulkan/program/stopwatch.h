/* Times what one command buffer does between two marks, or one kernel over and over: by timestamps,
 * or by the host's clock around the submission where the device has none.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_STOPWATCH_H
#define PD_VULKAN_STOPWATCH_H

#include "backend/vulkan/program/backend.h"
#include "backend/vulkan/kernels/pipeline.h"

typedef struct pd_vk_stopwatch {
    pd_vk_device *device;
    VkQueryPool pool; /* null: host clock */
    uint64_t host_start_ns;
} pd_vk_stopwatch;

pd_status pd_vk_stopwatch_create(pd_vk_device *d, pd_vk_stopwatch *w, pd_error *err);
void pd_vk_stopwatch_destroy(pd_vk_stopwatch *w);
/* Mark 0 before, mark 1 behind what is timed; the host's clock starts with mark 0. */
void pd_vk_stopwatch_mark(pd_vk_stopwatch *w, VkCommandBuffer cmd, uint32_t which);
/* After the submission has finished. */
pd_status pd_vk_stopwatch_read(const pd_vk_stopwatch *w, uint64_t *ns, pd_error *err);

/* A submission of n dispatches, each behind a barrier if not without_barriers. */
typedef struct pd_vk_timed {
    const pd_vk_pipeline *pipeline;
    VkDescriptorSet set;
    const void *args;
    uint32_t groups[2], n_dispatches;
    bool without_barriers; /* but for the first */
} pd_vk_timed;

/* Of all its dispatches together. */
pd_status pd_vk_time_once(pd_vk_backend *b, pd_vk_stopwatch *w, const pd_vk_timed *t, uint64_t *ns,
                          pd_error *err);
/* The shortest of n submissions; of fewer, but two, once they have taken budget_ns. UINT64_MAX
 * where all are too short for the clock. */
pd_status pd_vk_time_best(pd_vk_backend *b, pd_vk_stopwatch *w, const pd_vk_timed *t, uint32_t n,
                          uint64_t budget_ns, uint64_t *best, pd_error *err);

#endif
