/* A stopwatch of two timestamps: see stopwatch.h.  SPDX-License-Identifier: MIT */
#include "backend/vulkan/stopwatch.h"

#include "base/clock.h"

pd_status pd_vk_stopwatch_create(pd_vk_device *d, pd_vk_stopwatch *w, pd_error *err) {
    pd_status status = PD_OK;
    *w = (pd_vk_stopwatch){.device = d};
    if (!d->caps.timestamps) return PD_OK;
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = 2};
    PD_VK(d->vk.vkCreateQueryPool(d->handle, &info, NULL, &w->pool));
done:
    return status;
}

void pd_vk_stopwatch_destroy(pd_vk_stopwatch *w) {
    if (w->device) w->device->vk.vkDestroyQueryPool(w->device->handle, w->pool, NULL);
}

void pd_vk_stopwatch_mark(pd_vk_stopwatch *w, VkCommandBuffer cmd, uint32_t which) {
    const struct VolkDeviceTable *vk = &w->device->vk;
    if (which == 0) w->host_start_ns = pd_clock_ns();
    if (!w->pool) return;
    if (which == 0) vk->vkCmdResetQueryPool(cmd, w->pool, 0, 2);
    vk->vkCmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, w->pool, which);
}

pd_status pd_vk_stopwatch_read(const pd_vk_stopwatch *w, uint64_t *ns, pd_error *err) {
    pd_status status = PD_OK;
    pd_vk_device *d = w->device;
    uint64_t ticks[2] = {0};
    *ns = pd_clock_ns() - w->host_start_ns;
    if (!w->pool) return PD_OK;
    PD_VK(d->vk.vkGetQueryPoolResults(d->handle, w->pool, 0, 2, sizeof ticks, ticks, sizeof *ticks,
                                      VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
    if (ticks[1] > ticks[0])
        *ns = (uint64_t)((double)(ticks[1] - ticks[0]) * (double)d->caps.timestamp_ns);
done:
    return status;
}
