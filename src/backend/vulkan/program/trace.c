/* A step one operation at a time, with a look at each result and its time.
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/program/program.h"
#include "backend/vulkan/program/stopwatch.h"

/* Of what the operation reads and writes; 16-bit integers go up to 32639. */
static float rounding_of(const pd_program *p, const pd_op *op) {
    pd_op_access a = pd_op_get_access(op);
    const pd_buf_id ids[] = {a.reads[0], a.reads[1], a.writes[0], a.writes[1]};
    float most = 0;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        uint32_t format = ids[i] == PD_BUF_NONE ? PD_ACT_F32 : p->formats[ids[i]];
        float r = format == PD_ACT_F16 ? 0x1p-11f : format == PD_ACT_I16 ? 0x1p-16f : 0;
        most = r > most ? r : most;
    }
    return most;
}

static pd_status show(pd_program *p, const pd_step *step, pd_trace_view view, pd_trace_fn fn,
                      void *ctx, bool *go_on, pd_error *err) {
    const pd_buf *b = &p->bufs[view.buf];
    view.n_rows = b->rows_of == PD_ROWS_TOKENS ? step->n_rows : step->n_outs;
    view.width = b->width;
    uint64_t bytes = 4ull * view.n_rows * view.width;
    if (bytes == 0) return PD_OK;
    void *data = pd_alloc(1, bytes);
    if (!data) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to trace %s", view.op->name);
    pd_status status = pd_vk_program_peek(p, view.buf, 0, bytes, data, err);
    view.data = data;
    if (status == PD_OK) *go_on = fn(ctx, &view);
    pd_free(data);
    return status;
}

static pd_status run_op(pd_program *p, uint32_t op_index, pd_vk_stopwatch *timer, uint64_t *ns,
                        pd_error *err) {
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_begin_once(p->backend, &cmd, err));
    pd_vk_stopwatch_mark(timer, cmd, 0);
    pd_vk_record_op(p, cmd, op_index);
    pd_vk_stopwatch_mark(timer, cmd, 1);
    pd_status status = pd_vk_finish_once(p->backend, cmd, err);
    for (uint32_t i = 0; status != PD_OK && i < p->n_dispatches; i++)
        if (p->dispatches[i].op_index == op_index) return pd_vk_name_work(p, i, i + 1, status, err);
    return status == PD_OK ? pd_vk_stopwatch_read(timer, ns, err) : status;
}

static pd_status trace_ops(pd_program *p, const pd_step *step, pd_op_range range,
                           pd_vk_stopwatch *timer, pd_trace_fn fn, void *ctx, pd_error *err) {
    bool go_on = true;
    for (uint32_t i = range.first; i < p->n_ops && i < range.end && go_on; i++) {
        uint64_t ns;
        PD_TRY(run_op(p, i, timer, &ns, err));
        pd_op_access a = pd_op_get_access(&p->ops[i]);
        for (int k = 0; k < 2 && go_on; k++) {
            if (a.writes[k] == PD_BUF_NONE) continue;
            pd_trace_view view = {.peak = PD_PEAK_COUNT, .rounding = rounding_of(p, &p->ops[i])};
            view.op_index = i;
            view.op = &p->ops[i];
            view.buf = a.writes[k];
            view.ns = k ? 0 : ns;
            PD_TRY(show(p, step, view, fn, ctx, &go_on, err));
        }
    }
    return PD_OK;
}

pd_status pd_vk_program_trace(pd_program *p, const pd_step *step, pd_op_range range, pd_trace_fn fn,
                              void *ctx, pd_error *err) {
    pd_vk_device *d = p->backend->device;
    pd_vk_stopwatch timer;
    PD_TRY(pd_vk_raise_if_lost(d, err));
    PD_TRY(pd_vk_bind(p, err));
    PD_TRY(pd_vk_stopwatch_create(d, &timer, err));
    pd_vk_write_step(p, step);
    pd_status status = trace_ops(p, step, range, &timer, fn, ctx, err);
    pd_vk_stopwatch_destroy(&timer);
    return status;
}
