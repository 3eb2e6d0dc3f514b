/* How fast the device reads, copies, multiplies and starts dispatches: what profiles compare with.
 *
 * Each figure is the best of several submissions, timed by the device's clock (by the host's where
 * it has none). The arithmetic kernels get more rounds until a submission takes some milliseconds,
 * so that clocks have risen. Copies go between two buffers of 128 MiB, the smallest binding limit
 * of Vulkan, and reads are of both, which is more than caches hold; of less where memory is short.
 * They are filled: pages that nobody has written may be none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "args.h"
#include "backend/vulkan/kernels/descriptors.h"
#include "backend/vulkan/program/program.h"
#include "backend/vulkan/program/stopwatch.h"
#include "base/clock.h"

enum {
    WORKGROUP = 128,
    GRANULE = 16 * WORKGROUP * 4, /* bytes of each buffer that a workgroup copies, or reads */
    COPY_MAX_BYTES = 128 << 20,
    COPY_MAX_BYTES_SOFTWARE = 32 << 20,
    COPY_MIN_BYTES = 1 << 20,
    PEAK_GROUPS = 8192,
    PEAK_GROUPS_SOFTWARE = 64,
    STEPS_PER_ROUND = 256, /* 16 * CHAINS of measure_peak.glsl */
    FIRST_ROUNDS = 4,
    MAX_ROUNDS = 1 << 14,
    ENOUGH_NS = 2000000,
    DISPATCHES = 256,
    REPETITIONS = 8,
    BUDGET_NS = 100000000 /* per figure */
};

/* Small enough that sums stay finite in halves and in floats, and no denormal number itself. */
static const float FACTOR = 0x1p-14f;

typedef struct meter {
    pd_vk_backend *backend;
    pd_vk_stopwatch watch;
    VkDescriptorPool pool;
    pd_vk_buffer from, to;
} meter;

/* A kernel and the arguments that change between its timings. */
typedef struct load {
    pd_vk_timed timed;
    struct pd_args_measure args;
} load;

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status create_pool(meter *m, pd_error *err) {
    enum { SETS = PD_PEAK_COUNT + 2 };
    PD_TRY(pd_vk_stopwatch_create(m->backend->device, &m->watch, err));
    return pd_vk_pool_create(m->backend->device, SETS, PD_MEASURE_COPY_BINDINGS * SETS, &m->pool,
                             err);
}

/* The largest pair of buffers that there is memory for. */
static pd_status create_buffers(meter *m, pd_error *err) {
    pd_vk_memory *memory = &m->backend->memory;
    const pd_vk_caps *caps = &m->backend->device->caps;
    uint64_t bytes = caps->is_software ? COPY_MAX_BYTES_SOFTWARE : COPY_MAX_BYTES;
    while (bytes > caps->max_binding_bytes && bytes > COPY_MIN_BYTES) bytes /= 2;
    pd_status status = PD_ERR_MEMORY_DEVICE;
    for (; bytes >= COPY_MIN_BYTES && status == PD_ERR_MEMORY_DEVICE; bytes /= 2) {
        status = pd_vk_buffer_create(memory, PD_VK_DEVICE, PD_VK_FOR_SCRATCH, bytes, "measuring",
                                     &m->from, err);
        if (status == PD_OK)
            status = pd_vk_buffer_create(memory, PD_VK_DEVICE, PD_VK_FOR_SCRATCH, bytes,
                                         "measuring", &m->to, err);
        if (status != PD_OK) pd_vk_buffer_destroy(memory, &m->from);
    }
    return status;
}

static pd_status fill_buffers(meter *m, pd_error *err) {
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_begin_once(m->backend, &cmd, err));
    m->backend->device->vk.vkCmdFillBuffer(cmd, m->from.handle, 0, VK_WHOLE_SIZE, 0x3c003c00u);
    m->backend->device->vk.vkCmdFillBuffer(cmd, m->to.handle, 0, VK_WHOLE_SIZE, 0x3c013c01u);
    return pd_vk_finish_once(m->backend, cmd, err);
}

static void destroy(meter *m) {
    pd_vk_device *d = m->backend->device;
    pd_vk_stopwatch_destroy(&m->watch);
    d->vk.vkDestroyDescriptorPool(d->handle, m->pool, NULL);
    pd_vk_buffer_destroy(&m->backend->memory, &m->from);
    pd_vk_buffer_destroy(&m->backend->memory, &m->to);
}

/* ---- loads ---------------------------------------------------------------------------------- */

static pd_status create_load(meter *m, const char *shader, uint32_t n_buffers,
                             const pd_vk_slice *buffers, load *out, pd_error *err) {
    pd_vk_pipeline_desc desc = {.shader = shader,
                                .n_buffers = n_buffers,
                                .push_bytes = sizeof out->args,
                                .n_constants = PD_MEASURE_CONSTANTS,
                                .constants = {[PD_WORKGROUP] = WORKGROUP}};
    *out = (load){.timed = {.args = &out->args, .groups = {1, 1}, .n_dispatches = 1}};
    PD_TRY(pd_vk_pipeline_get(m->backend->pipelines, &desc, &out->timed.pipeline, err));
    return pd_vk_set_create(m->backend->device, m->pool, out->timed.pipeline, buffers,
                            &out->timed.set, err);
}

static pd_status run_once(meter *m, const load *l, uint64_t *ns, pd_error *err) {
    return pd_vk_time_once(m->backend, &m->watch, &l->timed, ns, err);
}

static pd_status run_best(meter *m, const load *l, uint64_t *best, pd_error *err) {
    return pd_vk_time_best(m->backend, &m->watch, &l->timed, REPETITIONS, BUDGET_NS, best, err);
}

/* ---- figures -------------------------------------------------------------------------------- */

/* Dispatches of one workgroup with n = 0, which do nothing. */
static pd_status measure_dispatch(meter *m, load *l, pd_device_speed *out, pd_error *err) {
    uint64_t ns;
    l->timed.n_dispatches = DISPATCHES;
    PD_TRY(run_best(m, l, &ns, err));
    out->dispatch_us = (double)ns / 1e3 / (double)DISPATCHES;
    l->timed.without_barriers = true;
    PD_TRY(run_best(m, l, &ns, err));
    double alone_us = (double)ns / 1e3 / (double)DISPATCHES;
    out->barrier_us = out->dispatch_us > alone_us ? out->dispatch_us - alone_us : 0;
    l->timed.without_barriers = false;
    l->timed.n_dispatches = 1;
    return PD_OK;
}

/* All of both buffers. */
static pd_status measure_bytes(meter *m, load *l, double *gb_s, pd_error *err) {
    uint64_t ns;
    l->timed.groups[0] = (uint32_t)(m->from.bytes / GRANULE);
    l->args.n = l->timed.groups[0] * (GRANULE / 16);
    PD_TRY(run_best(m, l, &ns, err));
    *gb_s = 32.0 * l->args.n / (double)ns;
    return PD_OK;
}

static pd_status measure_memory(meter *m, pd_device_speed *out, pd_error *err) {
    load l;
    pd_vk_slice buffers[PD_MEASURE_COPY_BINDINGS] = {
        [PD_BIND_MEASURE_COPY_FROM] = {m->from.handle, 0, m->from.bytes},
        [PD_BIND_MEASURE_COPY_TO] = {m->to.handle, 0, m->to.bytes}};
    PD_TRY(create_load(m, "measure_copy", PD_MEASURE_COPY_BINDINGS, buffers, &l, err));
    PD_TRY(measure_dispatch(m, &l, out, err));
    PD_TRY(measure_bytes(m, &l, &out->copy_gb_s, err));
    PD_TRY(create_load(m, "measure_read", PD_MEASURE_COPY_BINDINGS, buffers, &l, err));
    l.args.factor = FACTOR;
    return measure_bytes(m, &l, &out->read_gb_s, err);
}

/* flops: of one step of one value. */
static pd_status measure_peak(meter *m, const char *shader, uint32_t flops, double *gflop_s,
                              pd_error *err) {
    load l;
    uint64_t ns = 0;
    pd_vk_slice buffers[PD_MEASURE_PEAK_BINDINGS] = {
        [PD_BIND_MEASURE_PEAK_OUT] = {m->to.handle, 0, m->to.bytes}};
    PD_TRY(create_load(m, shader, PD_MEASURE_PEAK_BINDINGS, buffers, &l, err));
    l.timed.groups[0] = m->backend->device->caps.is_software ? PEAK_GROUPS_SOFTWARE : PEAK_GROUPS;
    l.args = (struct pd_args_measure){.n = FIRST_ROUNDS, .factor = FACTOR};
    PD_TRY(run_once(m, &l, &ns, err));
    while (ns < ENOUGH_NS && l.args.n < MAX_ROUNDS) {
        l.args.n *= 4;
        PD_TRY(run_once(m, &l, &ns, err));
    }
    PD_TRY(run_best(m, &l, &ns, err));
    double steps =
        (double)l.timed.groups[0] * (double)WORKGROUP * l.args.n * (double)STEPS_PER_ROUND;
    *gflop_s = steps * flops / (double)ns;
    return PD_OK;
}

static pd_status measure_all(meter *m, pd_device_speed *out, pd_error *err) {
    const pd_vk_caps *caps = &m->backend->device->caps;
    PD_TRY(create_pool(m, err));
    PD_TRY(create_buffers(m, err));
    PD_TRY(fill_buffers(m, err));
    PD_TRY(measure_memory(m, out, err));
    PD_TRY(measure_peak(m, "measure_f32", 2, &out->gflop_s[PD_PEAK_F32], err));
    if (caps->fp16) PD_TRY(measure_peak(m, "measure_f16", 4, &out->gflop_s[PD_PEAK_F16], err));
    if (caps->int_dot) PD_TRY(measure_peak(m, "measure_int8", 8, &out->gflop_s[PD_PEAK_INT8], err));
    return PD_OK;
}

pd_status pd_vk_measure(pd_backend *base, pd_device_speed *out, pd_error *err) {
    meter m = {.backend = (pd_vk_backend *)base};
    *out = (pd_device_speed){0};
    pd_status status = measure_all(&m, out, err);
    destroy(&m);
    return status;
}
