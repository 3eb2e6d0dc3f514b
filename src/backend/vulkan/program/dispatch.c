/* Bindings, and a dispatch with its pipeline onto the program's list.  SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "backend/vulkan/program/lower.h"

enum { GROUPS_PER_AXIS = 65535, MAX_CUTS = 64 /* of one operation */ };

/* ---- bindings ------------------------------------------------------------------------------- */

pd_vk_binding pd_vk_keeps(pd_vk_slice slice) {
    return (pd_vk_binding){slice, PD_VK_KEPT};
}

static pd_vk_slice slice_of(const pd_program *p, pd_buf_id id) {
    return (pd_vk_slice){p->scratch.handle, p->bufs[id].offset, p->bufs[id].bytes};
}

pd_vk_binding pd_vk_reads(const pd_program *p, pd_buf_id id) {
    return (pd_vk_binding){slice_of(p, id), PD_VK_READ};
}

pd_vk_binding pd_vk_writes(const pd_program *p, pd_buf_id id) {
    return (pd_vk_binding){slice_of(p, id), PD_VK_WRITTEN};
}

pd_vk_binding pd_vk_updates(const pd_program *p, pd_buf_id id) {
    return (pd_vk_binding){slice_of(p, id), PD_VK_READ | PD_VK_WRITTEN};
}

pd_vk_binding pd_vk_partial(const pd_program *p, unsigned access) {
    return (pd_vk_binding){{p->scratch.handle, p->partial_offset, p->partial_bytes}, access};
}

pd_vk_binding pd_vk_step(const pd_program *p, pd_vk_access access) {
    return (pd_vk_binding){{p->step.handle, 0, p->step.bytes}, access};
}

uint32_t pd_vk_buf_rows(const pd_program *p, pd_buf_id id) {
    return p->bufs[id].rows_of == PD_ROWS_TOKENS ? p->desc.max_rows : p->desc.max_outs;
}

pd_vk_count pd_vk_buf_count(const pd_program *p, pd_buf_id id) {
    return p->bufs[id].rows_of == PD_ROWS_TOKENS ? PD_VK_COUNT_ROWS : PD_VK_COUNT_OUTS;
}

/* ---- dispatches ----------------------------------------------------------------------------- */

static pd_vk_dispatch *add_dispatch(pd_program *p) {
    if (p->n_dispatches == p->cap_dispatches) {
        uint32_t cap = p->cap_dispatches ? 2 * p->cap_dispatches : 64;
        pd_vk_dispatch *bigger = pd_alloc(cap, sizeof *bigger);
        if (!bigger) return NULL;
        if (p->n_dispatches) memcpy(bigger, p->dispatches, p->n_dispatches * sizeof *bigger);
        pd_free(p->dispatches);
        p->dispatches = bigger;
        p->cap_dispatches = cap;
    }
    return &p->dispatches[p->n_dispatches++];
}

/* Weights and KV pages are cut to the device's limits; activations are not, they follow the chunk.
 */
static pd_status check_bindings(const pd_program *p, uint32_t op_index,
                                const pd_vk_binding *bindings, uint32_t n, pd_error *err) {
    const pd_vk_device *d = p->backend->device;
    pd_status status = PD_OK;
    for (uint32_t i = 0; i < n && status == PD_OK; i++)
        if (bindings[i].slice.bytes > d->properties.limits.maxStorageBufferRange)
            status = PD_RAISE(err, PD_ERR_UNSUPPORTED,
                              "operation %s of %u rows binds %llu bytes, but %s binds at most %u",
                              p->ops[op_index].name, p->desc.max_rows,
                              (unsigned long long)bindings[i].slice.bytes, d->info.name,
                              d->properties.limits.maxStorageBufferRange);
    if (status == PD_OK && p->desc.max_rows > GROUPS_PER_AXIS)
        status = PD_RAISE(err, PD_ERR_UNSUPPORTED,
                          "a chunk of %u rows is more than the %d workgroups of an axis",
                          p->desc.max_rows, GROUPS_PER_AXIS);
    if (status == PD_OK) return PD_OK;
    return pd_error_hint(err, status, "choose smaller prompt chunks");
}

pd_status pd_vk_emit(pd_program *p, uint32_t op_index, pd_vk_dispatch d, pd_vk_pipeline_desc desc,
                     const void *args, const pd_vk_binding *bindings, pd_error *err) {
    PD_TRY(check_bindings(p, op_index, bindings, desc.n_buffers, err));
    PD_TRY(pd_vk_pipeline_declare(p->backend->pipelines, &desc, &d.pipeline, err));
    d.op_index = op_index;
    d.indirect = -1;
    d.n_buffers = desc.n_buffers;
    memcpy(d.bindings, bindings, desc.n_buffers * sizeof *bindings);
    memcpy(d.push, args, desc.push_bytes);
    pd_vk_dispatch *to = add_dispatch(p);
    if (!to) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the dispatch list");
    *to = d;
    return PD_OK;
}

const pd_vk_matrix *pd_vk_find_matrix(const pd_program *p, const pd_tensor *const *parts,
                                      uint32_t n, pd_vk_join join) {
    return pd_vk_weights_find(p->backend->weights, parts, n, join);
}

const pd_vk_matrix *pd_vk_find_vector(const pd_program *p, const pd_tensor *const *vector) {
    return pd_vk_find_matrix(p, vector, 1, PD_VK_STACKED);
}

pd_status pd_vk_raise_unloaded(const pd_tensor *t, pd_error *err) {
    return PD_RAISE(err, PD_ERR_INTERNAL, "the weights of %s were not loaded", t->name);
}

/* ---- cutting -------------------------------------------------------------------------------- */

void pd_vk_spread(uint32_t n, uint32_t *x, uint32_t *y) {
    *y = pd_div_up(n, GROUPS_PER_AXIS);
    *x = pd_div_up(n, *y);
}

uint32_t pd_vk_count_cuts(const pd_program *p, double flops, uint32_t n) {
    double cuts = ceil(flops / pd_vk_submission_flops(p->backend));
    uint32_t most = n < MAX_CUTS ? n : MAX_CUTS;
    return cuts < 1 ? 1 : cuts < most ? (uint32_t)cuts : most;
}
