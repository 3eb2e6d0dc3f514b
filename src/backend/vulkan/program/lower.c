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
#define PD_VK_LOWER_FUNCTION(NAME, name) [PD_OP_##NAME] = pd_vk_lower_##name,
        PD_OP_LIST(PD_VK_LOWER_FUNCTION)
#undef PD_VK_LOWER_FUNCTION
    };
    for (uint32_t i = 0; i < p->n_ops; i++) PD_TRY(lower[p->ops[i].kind](p, i, err));
    return PD_OK;
}
