/* Which function lowers which operation, and what lowering needs.  SPDX-License-Identifier: MIT */
#include "backend/vulkan/program/lower.h"

uint64_t pd_vk_partial_bytes(const pd_program *p) {
    uint64_t most = 256;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        uint64_t bytes = 0;
        if (p->ops[i].kind == PD_OP_ATTENTION) bytes = pd_vk_attention_partial_bytes(p, i);
        if (p->ops[i].kind == PD_OP_SAMPLE) bytes = pd_vk_sample_partial_bytes(p, i);
        if (bytes > most) most = bytes;
    }
    return pd_round_up(most, 256);
}

uint64_t pd_vk_arrived_bytes(const pd_program *p) {
    const pd_kv_shape *s = &p->desc.kv;
    uint64_t n = s->n_kv_heads ? (uint64_t)p->desc.max_rows * s->n_heads : 1; /* at most */
    return pd_round_up(4 * n, 256);
}

pd_status pd_vk_lower(pd_program *p, pd_error *err) {
    static pd_status (*const lower[PD_OP_KIND_COUNT])(pd_program *, uint32_t, pd_error *) = {
        [PD_OP_EMBED] = pd_vk_lower_embed,         [PD_OP_NORM] = pd_vk_lower_norm,
        [PD_OP_LAYERNORM] = pd_vk_lower_layernorm, [PD_OP_MATMUL] = pd_vk_lower_matmul,
        [PD_OP_QKV_ROPE_STORE] = pd_vk_lower_rope, [PD_OP_ATTENTION] = pd_vk_lower_attention,
        [PD_OP_GATHER] = pd_vk_lower_gather,       [PD_OP_POOL_NORM] = pd_vk_lower_pool_norm,
        [PD_OP_SAMPLE] = pd_vk_lower_sample,       [PD_OP_LOG_PROB] = pd_vk_lower_log_prob,
    };
    for (uint32_t i = 0; i < p->n_ops; i++) PD_TRY(lower[p->ops[i].kind](p, i, err));
    return PD_OK;
}
