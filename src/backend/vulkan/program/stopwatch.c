/* A stopwatch of two timestamps: see stopwatch.h.  SPDX-License-Identifier: MIT */
#include "backend/vulkan/program/stopwatch.h"

#include "base/clock.h"

pd_status pd_vk_stopwatch_create(pd_vk_device *d, pd_vk_stopwatch *w, pd_error *err) {
    pd_status status = PD_OK;
    *w = (pd_vk_stopwatch){.device = d};
    if (!d->caps.timestamps) return PD_OK;
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = 2};
    PD_VK_MAKE_GOTO(d->vk.vkCreateQueryPool(d->handle, &info, NULL, &w->pool), w->pool);
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
    pd_vk_device *d = w->device;
    uint64_t ticks[2] = {0};
    *ns = pd_clock_ns() - w->host_start_ns;
    if (!w->pool) return PD_OK;
    /* The fence has been waited for, so they are there; if not, the host's time has to do. */
    VkResult result = d->vk.vkGetQueryPoolResults(d->handle, w->pool, 0, 2, sizeof ticks, ticks,
                                                  sizeof *ticks, VK_QUERY_RESULT_64_BIT);
    if (result == VK_SUCCESS && ticks[1] > ticks[0])
        *ns = (uint64_t)((double)(ticks[1] - ticks[0]) * (double)d->caps.timestamp_ns);
    if (result == VK_SUCCESS || result == VK_NOT_READY) return PD_OK;
    if (result == VK_ERROR_DEVICE_LOST) d->lost = true;
    return pd_vk_raise(err, __FILE__, __LINE__, "vkGetQueryPoolResults(", result);
}

/* ---- a kernel over and over ----------------------------------------------------------------- */

static void record(const pd_vk_timed *t, pd_vk_stopwatch *w, VkCommandBuffer cmd) {
    const struct VolkDeviceTable *vk = &w->device->vk;
    const pd_vk_pipeline *p = t->pipeline;
    VkMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                         .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                         .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
    vk->vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, p->handle);
    vk->vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &t->set, 0,
                                NULL);
    vk->vkCmdPushConstants(cmd, p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, p->desc.push_bytes,
                           t->args);
    pd_vk_stopwatch_mark(w, cmd, 0);
    for (uint32_t i = 0; i < t->n_dispatches; i++) {
        /* behind the previous one, of this submission or the last */
        if (i == 0 || !t->without_barriers)
            vk->vkCmdPipelineBarrier(
                cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &b, 0, NULL, 0, NULL);
        vk->vkCmdDispatch(cmd, t->groups[0], t->groups[1], 1);
    }
    pd_vk_stopwatch_mark(w, cmd, 1);
}

pd_status pd_vk_time_once(pd_vk_backend *b, pd_vk_stopwatch *w, const pd_vk_timed *t, uint64_t *ns,
                          pd_error *err) {
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_begin_once(b, &cmd, err));
    record(t, w, cmd);
    PD_TRY(pd_vk_finish_once(b, cmd, err));
    return pd_vk_stopwatch_read(w, ns, err);
}

pd_status pd_vk_time_best(pd_vk_backend *b, pd_vk_stopwatch *w, const pd_vk_timed *t, uint32_t n,
                          uint64_t budget_ns, uint64_t *best, pd_error *err) {
    uint64_t ns, t0 = pd_clock_ns();
    *best = UINT64_MAX;
    for (uint32_t i = 0; i < n && (i < 2 || pd_clock_ns() - t0 < budget_ns); i++) {
        PD_TRY(pd_vk_time_once(b, w, t, &ns, err));
        if (ns > 0 && ns < *best) *best = ns;
    }
    return PD_OK;
}
