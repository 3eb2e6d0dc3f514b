/* Memory of the KV pages, cut so that no binding passes the device's limit.
 *
 * A layer's K (and V) of one KV head takes n_pages * 64 * head_dim values, rounded up to chunks of
 * 16 bytes; as many heads as a binding holds share a slice. Global layers at 131 072 positions have
 * 64 MiB per head in f16, so even 128 MiB bindings are enough.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "backend/vulkan/program/program.h"

static uint32_t pages_of(const pd_kv_store *kv, bool global) {
    return global ? kv->desc.n_global_pages : kv->desc.n_local_pages;
}

static uint64_t head_bytes(const pd_kv_store *kv, bool global) {
    uint64_t positions = (uint64_t)pages_of(kv, global) * PD_PAGE_POSITIONS;
    return positions * pd_round_up(kv->desc.shape.head_dim * (kv->desc.shape.f32 ? 4 : 2), 16);
}

static pd_status count_slices(pd_kv_store *kv, uint64_t binding_limit, bool global,
                              uint32_t *heads_per_slice, pd_error *err) {
    uint64_t bytes = head_bytes(kv, global);
    uint32_t n_heads = kv->desc.shape.n_kv_heads;
    uint64_t fit = bytes ? binding_limit / bytes : n_heads;
    if (fit == 0)
        return PD_RAISE(
            err, PD_ERR_MEMORY_DEVICE,
            "a context of %u positions needs %llu bytes per KV head, but the device binds at "
            "most %llu at once",
            pages_of(kv, global) * PD_PAGE_POSITIONS, (unsigned long long)bytes,
            (unsigned long long)binding_limit);
    *heads_per_slice = fit < n_heads ? (uint32_t)fit : n_heads;
    kv->slices_per_kind[global] = pd_div_up(n_heads, *heads_per_slice);
    return PD_OK;
}

static uint64_t total_bytes(const pd_kv_store *kv) {
    uint64_t n = 0;
    for (uint32_t l = 0; l < kv->desc.shape.n_layers; l++)
        n += 2 * head_bytes(kv, kv->layer_is_global[l]) * kv->desc.shape.n_kv_heads;
    return n;
}

static pd_status place_layer(pd_kv_store *kv, uint32_t layer, const uint32_t *heads_per_slice,
                             uint64_t *left, pd_error *err) {
    bool global = kv->layer_is_global[layer];
    for (uint32_t s = 0; s < kv->slices_per_kind[global]; s++) {
        pd_vk_kv_slice *slice = &kv->slices[kv->first_slice[layer] + s];
        slice->first_head = s * heads_per_slice[global];
        uint32_t rest = kv->desc.shape.n_kv_heads - slice->first_head;
        slice->n_heads = rest < heads_per_slice[global] ? rest : heads_per_slice[global];
        uint64_t bytes = head_bytes(kv, global) * slice->n_heads;
        if (bytes == 0) continue;
        PD_TRY(pd_vk_arena_alloc(&kv->arena, bytes, *left, &slice->k, err));
        *left -= bytes;
        PD_TRY(pd_vk_arena_alloc(&kv->arena, bytes, *left, &slice->v, err));
        *left -= bytes;
    }
    return PD_OK;
}

static pd_status create_parts(pd_vk_backend *b, pd_kv_store *kv, pd_error *err) {
    uint32_t n_layers = kv->desc.shape.n_layers, heads_per_slice[2];
    kv->layer_is_global = pd_alloc(n_layers, sizeof *kv->layer_is_global);
    kv->first_slice = pd_alloc(n_layers + 1, sizeof *kv->first_slice);
    if (!kv->layer_is_global || !kv->first_slice)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV store");
    memcpy(kv->layer_is_global, kv->desc.shape.layer_is_global,
           n_layers * sizeof *kv->layer_is_global);
    kv->desc.shape.layer_is_global = kv->layer_is_global;

    uint64_t limit = b->device->caps.max_binding_bytes;
    for (int global = 0; global < 2; global++)
        PD_TRY(count_slices(kv, limit, global, &heads_per_slice[global], err));
    for (uint32_t l = 0; l < n_layers; l++)
        kv->first_slice[l + 1] = kv->first_slice[l] + kv->slices_per_kind[kv->layer_is_global[l]];
    kv->slices = pd_alloc(kv->first_slice[n_layers], sizeof *kv->slices);
    if (!kv->slices) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV store");
    uint64_t left = total_bytes(kv);
    PD_TRY(pd_vk_memory_check(&b->memory, PD_VK_FOR_KV, left, "the KV cache", err));
    for (uint32_t l = 0; l < n_layers; l++) PD_TRY(place_layer(kv, l, heads_per_slice, &left, err));
    return PD_OK;
}

pd_status pd_vk_kv_create(pd_backend *base, const pd_kv_store_desc *desc, pd_kv_store **out,
                          pd_error *err) {
    *out = NULL;
    pd_vk_backend *b = (pd_vk_backend *)base;
    pd_kv_store *kv = pd_alloc(1, sizeof *kv);
    if (!kv) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV store");
    kv->desc = *desc;
    pd_vk_arena_init(&kv->arena, &b->memory, PD_VK_FOR_KV, "the KV cache");
    pd_status status = create_parts(b, kv, err);
    if (status == PD_OK)
        *out = kv;
    else
        pd_vk_kv_destroy(base, kv);
    return status;
}

void pd_vk_kv_destroy(pd_backend *base, pd_kv_store *kv) {
    (void)base;
    if (!kv) return;
    pd_vk_arena_destroy(&kv->arena);
    pd_free(kv->layer_is_global);
    pd_free(kv->first_slice);
    pd_free(kv->slices);
    pd_free(kv);
}
