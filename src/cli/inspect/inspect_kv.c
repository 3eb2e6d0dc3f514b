/* What a context takes.  SPDX-License-Identifier: MIT */
#include "base/memory.h"
#include "cli/inspect/inspect.h"
#include "plan/step.h"

uint64_t inspect_kv_bytes(const pd_config *c, uint32_t n_ctx) {
    uint64_t n_global = 0;
    for (uint32_t i = 0; i < c->n_layers; i++) n_global += c->layer_is_global[i];
    uint64_t per_position = UINT64_C(2) * c->n_kv_heads * c->head_dim * 2; /* K and V, 2 bytes */
    uint64_t all = pd_round_up(n_ctx, PD_PAGE_POSITIONS);
    uint64_t window = pd_round_up((uint64_t)c->window + INSPECT_CHUNK, PD_PAGE_POSITIONS);
    uint64_t kept = all < window + PD_PAGE_POSITIONS ? all : window + PD_PAGE_POSITIONS;
    return per_position * (n_global * all + (c->n_layers - n_global) * kept);
}
