/* Running a program: the step buffer's words, submissions, waiting; tracing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "backend/vulkan/program/program.h"
#include "backend/vulkan/program/stopwatch.h"
#include "backend/vulkan/device/wait.h"

enum { SEGMENTS_IN_FLIGHT = 3 };

/* ---- the step buffer ------------------------------------------------------------------------ */

static uint32_t write_tiles(const pd_program *p, const pd_step *step, uint32_t *words) {
    uint32_t n = 0;
    for (uint32_t first = 0, end; first < step->n_rows; first = end) {
        end = first + 1;
        while (end < step->n_rows && end - first < p->tile_rows &&
               step->rows[end].seq == step->rows[first].seq)
            end++;
        words[2 * n] = first;
        words[2 * n + 1] = end - first;
        n++;
    }
    return n;
}

static void write_tables(const pd_program *p, const pd_step *step, uint32_t *words) {
    for (uint32_t s = 0; s < step->n_seqs; s++) {
        const pd_page_table *t = &step->tables[s];
        uint32_t *to = words + s * p->layout.table_stride;
        if (t->n_pages == 0) continue; /* and no pages to copy from */
        memcpy(to, t->global_pages, t->n_pages * sizeof *to);
        memcpy(to + p->layout.max_pages, t->local_pages, t->n_pages * sizeof *to);
    }
}

static void write_grids(const pd_program *p, const uint32_t *counts, uint32_t *words) {
    for (uint32_t i = 0; i < p->n_grids; i++) {
        const pd_vk_grid *g = &p->grids[i];
        uint32_t *to = words + 4 * i;
        memcpy(to, g->groups, sizeof g->groups);
        uint32_t n = pd_div_up(counts[g->count], g->per_group);
        n = n > g->first ? n - g->first : 0;
        to[g->axis] = g->most && n > g->most ? g->most : n;
    }
}

/* A single step; run_ahead.c changes that. Without settings every output takes the highest value.
 */
static void write_sampling(const pd_step *step, uint32_t *state, uint32_t *draws) {
    memset(state, 0, 4ul * (PD_STEP_ROWS - PD_STEP_STATE));
    state[PD_STATE_GO] = 1;
    for (uint32_t i = 0; i < step->n_outs; i++, draws += PD_SAMPLE_WORDS) {
        if (step->sampling)
            memcpy(draws, &step->sampling[i], sizeof *step->sampling);
        else
            draws[PD_SAMPLE_K] = 0;
    }
}

void pd_vk_write_step(pd_program *p, const pd_step *step) {
    uint32_t *words = (uint32_t *)(void *)p->step.mapped;
    const pd_vk_step_layout *l = &p->layout;
    uint32_t n_tiles = write_tiles(p, step, words + l->tiles_at);
    uint32_t counts[] = {[PD_VK_COUNT_NONE] = 1,
                         [PD_VK_COUNT_ROWS] = step->n_rows,
                         [PD_VK_COUNT_OUTS] = step->n_outs,
                         [PD_VK_COUNT_TILES] = n_tiles};
    words[0] = step->n_rows;
    words[1] = step->n_outs;
    words[2] = n_tiles;
    write_grids(p, counts, words + PD_STEP_DISPATCHES);
    memcpy(words + l->rows_at, step->rows, step->n_rows * sizeof *step->rows);
    memcpy(words + l->outs_at, step->out_rows, step->n_outs * sizeof *step->out_rows);
    write_sampling(step, words + PD_STEP_STATE, words + l->sampling_at);
    write_tables(p, step, words + l->tables_at);
}

/* ---- running -------------------------------------------------------------------------------- */

pd_status pd_vk_raise_if_lost(const pd_vk_device *d, pd_error *err) {
    if (!d->lost) return PD_OK;
    return PD_RAISE(err, PD_ERR_DEVICE_LOST, "%s was lost by an earlier call", d->info.name);
}

/* Where it happened, as near as it is known without asking for more at every dispatch. */
pd_status pd_vk_name_work(const pd_program *p, uint32_t first, uint32_t end, pd_status status,
                          pd_error *err) {
    if (status != PD_ERR_DEVICE_LOST || !err || first >= end) return status;
    const pd_vk_dispatch *a = &p->dispatches[first], *z = &p->dispatches[end - 1];
    size_t n = strlen(err->message);
    snprintf(err->message + n, sizeof err->message - n, ", between %s, %s, and %s, %s",
             p->ops[a->op_index].name, a->pipeline->name, p->ops[z->op_index].name,
             z->pipeline->name);
    return status;
}

static pd_status segment_wait(pd_program *p, pd_vk_segment *s, pd_error *err) {
    pd_vk_device *d = p->backend->device;
    pd_status status = PD_OK;
    if (!s->pending) return PD_OK;
    s->pending = false;
    PD_TRY_GOTO(pd_vk_wait(d, s->fence, err));
    PD_VK_TRY_GOTO(d->vk.vkResetFences(d->handle, 1, &s->fence));
done:
    if (status == PD_ERR_DEVICE_LOST) d->lost = true;
    return pd_vk_name_work(p, s->first, s->end, status, err);
}

static pd_status segment_submit(pd_program *p, pd_vk_segment *s, pd_error *err) {
    pd_vk_device *d = p->backend->device;
    pd_status status = PD_OK;
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = 1,
                           .pCommandBuffers = &s->cmds[0]};
    PD_VK_TRY_GOTO(d->vk.vkQueueSubmit(d->queue, 1, &submit, s->fence));
    s->pending = true;
done:
    if (status == PD_ERR_DEVICE_LOST) d->lost = true;
    return status;
}

static pd_status raise_if_cancelled(const pd_step *step, pd_error *err) {
    if (!step->cancel || !atomic_load(step->cancel)) return PD_OK;
    return PD_RAISE(err, PD_ERR_CANCELLED, "stopped in the middle of a step");
}

static pd_status submit_all(pd_program *p, const pd_step *step, pd_error *err) {
    for (uint32_t i = 0; i < p->n_segments; i++) {
        if (i >= SEGMENTS_IN_FLIGHT)
            PD_TRY(segment_wait(p, &p->segments[i - SEGMENTS_IN_FLIGHT], err));
        PD_TRY(raise_if_cancelled(step, err));
        PD_TRY(segment_submit(p, &p->segments[i], err));
    }
    return PD_OK;
}

/* After a failure nothing stays in flight, and no fence signalled. */
static void drain(pd_program *p) {
    pd_vk_device *d = p->backend->device;
    pd_vk_settle(d);
    for (uint32_t i = 0; i < p->n_segments; i++) {
        d->vk.vkResetFences(d->handle, 1, &p->segments[i].fence);
        p->segments[i].pending = false;
    }
}

pd_status pd_vk_program_run(pd_program *p, const pd_step *step, pd_error *err) {
    PD_TRY(pd_vk_raise_if_lost(p->backend->device, err));
    pd_vk_write_step(p, step);
    pd_status status = submit_all(p, step, err);
    for (uint32_t i = 0; i < p->n_segments;
         i++) { /* also after a failure: nothing stays in flight */
        pd_status waited = segment_wait(p, &p->segments[i], status == PD_OK ? err : NULL);
        if (status == PD_OK) status = waited;
    }
    if (status != PD_OK) drain(p);
    return status;
}

/* ---- tracing -------------------------------------------------------------------------------- */

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

static pd_status trace_ops(pd_program *p, const pd_step *step, pd_vk_stopwatch *timer,
                           pd_trace_fn fn, void *ctx, pd_error *err) {
    bool go_on = true;
    for (uint32_t i = 0; i < p->n_ops && go_on; i++) {
        uint64_t ns;
        PD_TRY(run_op(p, i, timer, &ns, err));
        pd_op_access a = pd_op_get_access(&p->ops[i]);
        for (int k = 0; k < 2 && go_on; k++) {
            if (a.writes[k] == PD_BUF_NONE) continue;
            pd_trace_view view = {0};
            view.op_index = i;
            view.op = &p->ops[i];
            view.buf = a.writes[k];
            view.ns = k ? 0 : ns;
            PD_TRY(show(p, step, view, fn, ctx, &go_on, err));
        }
    }
    return PD_OK;
}

pd_status pd_vk_program_trace(pd_program *p, const pd_step *step, pd_trace_fn fn, void *ctx,
                              pd_error *err) {
    pd_vk_device *d = p->backend->device;
    pd_vk_stopwatch timer;
    PD_TRY(pd_vk_raise_if_lost(d, err));
    PD_TRY(pd_vk_stopwatch_create(d, &timer, err));
    pd_vk_write_step(p, step);
    pd_status status = trace_ops(p, step, &timer, fn, ctx, err);
    pd_vk_stopwatch_destroy(&timer);
    return status;
}
