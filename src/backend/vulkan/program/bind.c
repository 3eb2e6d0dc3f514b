/* What of a program is bound to memory: dispatches, descriptor sets, command buffers. Made anew
 * when the KV store has grown, before the next step; the program's own memory stays where it is,
 * and its pipelines are known.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/program/program.h"

static void unbind(pd_program *p) {
    pd_vk_erase(p);
    pd_free(p->dispatches);
    p->dispatches = NULL;
    p->n_dispatches = p->cap_dispatches = 0;
    p->is_bound = false;
}

static pd_status bind(pd_program *p, pd_error *err) {
    PD_TRY(pd_vk_lower(p, err));
    PD_TRY(pd_vk_pipelines_build(p->backend->pipelines, err));
    return pd_vk_record(p, err);
}

pd_status pd_vk_bind(pd_program *p, pd_error *err) {
    uint32_t generation = p->kv ? p->kv->generation : 0;
    if (p->is_bound && p->bound_generation == generation) return PD_OK;
    unbind(p);
    pd_status status = bind(p, err);
    if (status != PD_OK) {
        unbind(p); /* the next step tries again */
        return status;
    }
    p->is_bound = true;
    p->bound_generation = generation;
    return PD_OK;
}
