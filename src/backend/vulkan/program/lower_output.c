/* Drawing tokens and log-probabilities to dispatches.  SPDX-License-Identifier: MIT */
#include "args.h"
#include "backend/vulkan/program/lower.h"

enum { SAMPLE_PART = 64 /* values, where sample_parts looks for the best ones */ };

static uint32_t sample_part(const pd_program *p, uint32_t i) {
    uint32_t known = pd_vk_known_part(p, i);
    return known ? known : SAMPLE_PART;
}

uint64_t pd_vk_sample_partial_bytes(const pd_program *p, uint32_t i) {
    pd_buf_id x = p->ops[i].sample.x;
    return 8ull * pd_div_up(p->bufs[x].width, sample_part(p, i)) * pd_vk_buf_rows(p, x);
}

static pd_status emit_sample_parts(pd_program *p, uint32_t i, const struct pd_args_sample *args,
                                   pd_error *err) {
    pd_buf_id x = p->ops[i].sample.x;
    pd_vk_pipeline_desc desc = pd_vk_choose_sample_parts(&p->backend->device->caps, SAMPLE_PART);
    uint32_t parts_per_group = desc.constants[PD_WORKGROUP] / desc.constants[PD_SAMPLE_PARTS_SPAN];
    pd_vk_binding bindings[PD_SAMPLE_PARTS_BINDINGS] = {
        [PD_BIND_SAMPLE_PARTS_X] = pd_vk_reads(p, x),
        [PD_BIND_SAMPLE_PARTS_PARTS] = pd_vk_partial(p, PD_VK_WRITTEN)};
    pd_vk_dispatch d = {.groups = {pd_div_up(args->n_parts, parts_per_group), 1, 1},
                        .count = PD_VK_COUNT_OUTS,
                        .axis = 1,
                        .per_group = 1};
    return pd_vk_emit(p, i, d, desc, args, bindings, err);
}

pd_status pd_vk_lower_sample(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_sample *op = &p->ops[i].sample;
    uint32_t part = sample_part(p, i), n = p->bufs[op->x].width;
    struct pd_args_sample args = {
        .n_values = n, .n_parts = pd_div_up(n, part), .sampling_at = p->layout.sampling_at};
    if (!pd_vk_known_part(p, i)) PD_TRY(emit_sample_parts(p, i, &args, err));
    pd_vk_binding out = pd_vk_writes(p, op->out);
    pd_vk_slice state = {p->step.handle, 4 * PD_STEP_STATE,
                         4ull * (p->layout.n_words - PD_STEP_STATE)};
    pd_vk_slice ring = p->ring.handle ? (pd_vk_slice){p->ring.handle, 0, p->ring.bytes} : out.slice;
    pd_vk_binding bindings[PD_SAMPLE_BINDINGS] = {[PD_BIND_SAMPLE_PARTS] =
                                                      pd_vk_partial(p, PD_VK_READ | PD_VK_WRITTEN),
                                                  [PD_BIND_SAMPLE_X] = pd_vk_reads(p, op->x),
                                                  [PD_BIND_SAMPLE_OUT] = out,
                                                  [PD_BIND_SAMPLE_STATE] = {state, PD_VK_WRITTEN},
                                                  [PD_BIND_SAMPLE_RING] = pd_vk_keeps(ring)};
    pd_vk_dispatch d = {.groups = {1, 1, 1}, .count = PD_VK_COUNT_OUTS, .axis = 1, .per_group = 1};
    return pd_vk_emit(p, i, d, pd_vk_choose_sample(&p->backend->device->caps, part), &args,
                      bindings, err);
}

pd_status pd_vk_lower_log_prob(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_log_prob *op = &p->ops[i].log_prob;
    struct pd_args_log_prob args = {p->bufs[op->x].width, p->layout.outs_at};
    pd_vk_binding bindings[PD_LOG_PROB_BINDINGS] = {
        [PD_BIND_LOG_PROB_STEP] = pd_vk_step(p, PD_VK_READ),
        [PD_BIND_LOG_PROB_X] = pd_vk_reads(p, op->x),
        [PD_BIND_LOG_PROB_OUT] = pd_vk_writes(p, op->out)};
    pd_vk_dispatch d = {.groups = {1, 1, 1}, .count = PD_VK_COUNT_OUTS, .axis = 0, .per_group = 1};
    return pd_vk_emit(p, i, d, pd_vk_choose_log_prob(&p->backend->device->caps), &args, bindings,
                      err);
}
