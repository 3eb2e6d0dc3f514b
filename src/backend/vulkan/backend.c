/* The Vulkan backend's vtable, its life, and one-off command buffers.  SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/program/backend.h"

#include <stdlib.h>

#include "backend/vulkan/program/program.h"
#include "backend/vulkan/tune/selftest.h"
#include "backend/vulkan/tune/tune.h"
#include "base/env.h"

/* Until something better is known: the slowest GPU worth the name, and two cores. */
static const double SLOWEST_GPU = 0.5e12, SLOWEST_SOFTWARE = 10e9;

/* ---- the vtable ----------------------------------------------------------------------------- */

static void vulkan_close(pd_backend *base) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    if (b->device) {
        if (!b->is_recount) b->device->vk.vkDeviceWaitIdle(b->device->handle);
        pd_vk_buffer_destroy(&b->memory, &b->transfer_in);
        pd_vk_buffer_destroy(&b->memory, &b->transfer_out);
        pd_vk_weights_destroy(b->weights);
    }
    if (b->device && !b->is_recount) {
        if (b->pipelines) pd_vk_pipelines_destroy(b->pipelines);
        b->device->vk.vkDestroyCommandPool(b->device->handle, b->command_pool, NULL);
        pd_vk_device_close(b->device);
    }
    pd_free(b);
}

/* A buffer of the same size in the account, which is nobody's to destroy. */
static pd_vk_buffer outline(const pd_vk_buffer *b) {
    return (pd_vk_buffer){.bytes = b->bytes, .held_bytes = b->held_bytes, .account = b->account};
}

static pd_status vulkan_recount(pd_backend *base, pd_backend **out, pd_error *err) {
    pd_vk_backend *b = pd_alloc(1, sizeof *b);
    if (!b) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the Vulkan backend");
    *b = *(const pd_vk_backend *)base;
    b->memory.counts_only = b->is_recount = true;
    b->memory.peak_bytes = pd_vk_memory_total(&b->memory);
    b->transfer_in = outline(&b->transfer_in);
    b->transfer_out = outline(&b->transfer_out);
    pd_status status =
        pd_vk_weights_copy(((const pd_vk_backend *)base)->weights, b, &b->weights, err);
    if (status == PD_OK)
        *out = &b->base;
    else
        vulkan_close(&b->base);
    return status;
}

static const pd_device_info *vulkan_info(const pd_backend *base) {
    return &((const pd_vk_backend *)base)->device->info;
}

static void vulkan_stats(const pd_backend *base, pd_backend_stats *out) {
    const pd_vk_memory *m = &((const pd_vk_backend *)base)->memory;
    *out =
        (pd_backend_stats){.weight_bytes = m->held[PD_VK_FOR_WEIGHTS],
                           .kv_bytes = m->held[PD_VK_FOR_KV],
                           .scratch_bytes = m->held[PD_VK_FOR_SCRATCH] + m->held[PD_VK_FOR_STEPS],
                           .step_bytes = m->held[PD_VK_FOR_STEPS],
                           .peak_bytes = m->peak_bytes,
                           .limit_bytes = m->limit_bytes};
    pd_vk_pipelines_stats(((const pd_vk_backend *)base)->pipelines, &out->build);
}

static void vulkan_expect(pd_backend *base, const pd_plan *plans, uint32_t n) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    b->expected = plans;
    b->n_expected = n;
}

static pd_status vulkan_load(pd_backend *base, const pd_plan *plan, pd_progress_fn progress,
                             void *ctx, pd_error *err) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    pd_status status = pd_vk_weights_load(b->weights, plan, progress, ctx, err);
    vulkan_expect(base, NULL, 0);
    return status;
}

static bool vulkan_keep_verdict(pd_backend *base, const char *disabled, const char *reason) {
    return pd_vk_self_test_keep((pd_vk_backend *)base, disabled, reason);
}

static const pd_backend_vtable VTABLE = {
    .close = vulkan_close,
    .info = vulkan_info,
    .stats = vulkan_stats,
    .expect = vulkan_expect,
    .load = vulkan_load,
    .kv_create = pd_vk_kv_create,
    .kv_destroy = pd_vk_kv_destroy,
    .kv_grow = pd_vk_kv_grow,
    .kv_read = pd_vk_kv_read,
    .kv_write = pd_vk_kv_write,
    .compile = pd_vk_program_compile,
    .destroy = pd_vk_program_destroy,
    .run = pd_vk_program_run,
    .run_ahead = pd_vk_program_run_ahead,
    .write = pd_vk_program_write,
    .read = pd_vk_program_read,
    .trace = pd_vk_program_trace,
    .count = pd_vk_program_count,
    .measure = pd_vk_measure,
    .recount = vulkan_recount,
    .keep_verdict = vulkan_keep_verdict,
};

/* Half of what the tuner saw in a product of floats, since attention is slower. PERIDOT_FLOPS, per
 * second, lets any device show that work is cut into short submissions. */
static pd_status assume_speed(pd_vk_backend *b, pd_error *err) {
    const char *text = pd_env("PERIDOT_FLOPS");
    b->flops_per_s = b->device->caps.is_software ? SLOWEST_SOFTWARE : SLOWEST_GPU;
    double measured = b->tuning.f32_gflop_s;
    if (measured > 0) b->flops_per_s = 0.5e9 * measured;
    if (!text || !text[0]) return PD_OK;
    char *end;
    b->flops_per_s = strtod(text, &end);
    if (*end == '\0' && b->flops_per_s > 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "PERIDOT_FLOPS is \"%s\", but must be a positive number",
                    text);
}

static pd_status open_parts(pd_vk_backend *b, uint32_t index, const pd_backend_desc *desc,
                            pd_error *err) {
    pd_status status = pd_vk_device_open(index, &b->device, err);
    if (status != PD_OK) return status;
    pd_vk_device *d = b->device;
    pd_vk_memory_init(&b->memory, d, desc->memory_limit_bytes);
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = d->queue_family};
    PD_VK_MAKE_GOTO(d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &b->command_pool),
                    b->command_pool);
    status = pd_vk_pipelines_create(d, &b->pipelines, err);
    if (status == PD_OK) status = pd_vk_weights_create(b, &b->weights, err);
    b->flops_per_s = SLOWEST_SOFTWARE;
    if (status == PD_OK) status = pd_vk_self_test(b, err);
    b->tuning = pd_vk_rules_of_thumb(&d->caps);
    if (status == PD_OK) status = pd_vk_tune(b, err);
    if (status == PD_OK) status = assume_speed(b, err);
    b->memory.counts_only = desc->counts_only; /* the self-test and the tuner have computed */
done:
    return status;
}

pd_status pd_vulkan_open(uint32_t index, const pd_backend_desc *desc, pd_backend **out,
                         pd_error *err) {
    *out = NULL;
    pd_vk_backend *b = pd_alloc(1, sizeof *b);
    if (!b) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the Vulkan backend");
    b->base.v = &VTABLE;
    pd_status status = open_parts(b, index, desc, err);
    if (status == PD_OK)
        *out = &b->base;
    else
        vulkan_close(&b->base);
    return status;
}
