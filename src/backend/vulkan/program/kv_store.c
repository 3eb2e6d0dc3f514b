/* Memory of the KV pages, cut so that no binding passes the device's limit.
 *
 * A layer's K (and V) of one KV head takes n_pages * 64 * head_dim values, rounded up to chunks of
 * 16 bytes; as many heads as a binding holds share a slice. Global layers at 131 072 positions have
 * 64 MiB per head in f16, so even 128 MiB bindings are enough.
 *
 * A store begins without pages, and grows one layer after the other: new memory, a copy on the
 * device, the old memory freed. No work is in flight then: runs wait for what they have submitted,
 * and what fails or is cancelled waits too.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "backend/vulkan/program/kv_store.h"

static const char what[] = "the KV cache";

/* ---- how much ------------------------------------------------------------------------------- */

uint64_t pd_vk_kv_head_bytes(const pd_kv_shape *s) {
    return PD_PAGE_POSITIONS * pd_round_up((uint64_t)s->head_dim * (s->f32 ? 4 : 2), 16);
}

static bool layer_bytes(const pd_kv_store *kv, uint32_t n_pages, uint64_t *out) {
    uint64_t page_bytes = 2 * pd_vk_kv_head_bytes(&kv->shape);
    return pd_mul_u64(page_bytes, kv->shape.n_kv_heads, &page_bytes) &&
           pd_mul_u64(page_bytes, n_pages, out);
}

static pd_status heads_per_slice(const pd_kv_store *kv, uint64_t binding_limit, uint32_t n_pages,
                                 uint32_t *out, pd_error *err) {
    uint64_t bytes = n_pages * pd_vk_kv_head_bytes(&kv->shape);
    uint32_t n_heads = kv->shape.n_kv_heads;
    uint64_t fit = bytes ? binding_limit / bytes : n_heads;
    if (fit == 0)
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                        "a context of %llu positions needs %llu bytes per KV head, but the device "
                        "binds at most %llu at once",
                        (unsigned long long)n_pages * PD_PAGE_POSITIONS, (unsigned long long)bytes,
                        (unsigned long long)binding_limit);
    *out = fit < n_heads ? (uint32_t)fit : n_heads;
    return PD_OK;
}

/* What a growth takes beyond what is held, before the first layer of it: old and new memory of a
 * layer are there at the same time. */
static pd_status check_growth(const pd_vk_backend *b, const pd_kv_store *kv,
                              const uint32_t n_pages[2], pd_error *err) {
    uint64_t more = 0, most = 0, bytes;
    for (uint32_t l = 0; l < kv->shape.n_layers; l++) {
        uint32_t wanted = n_pages[kv->layer_is_global[l]], now = kv->layers[l].n_pages;
        if (wanted <= now) continue;
        if (!layer_bytes(kv, wanted, &bytes) || !pd_add_u64(more, bytes, &more))
            return PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "the KV pages are larger than any memory");
        if (more > most) most = more;
        (void)layer_bytes(kv, now, &bytes);
        more -= bytes;
    }
    return pd_vk_memory_check(&b->memory, PD_VK_FOR_KV, most, what, err);
}

/* ---- layers --------------------------------------------------------------------------------- */

static void destroy_layer(pd_vk_kv_layer *layer) {
    pd_vk_arena_destroy(&layer->arena);
    pd_free(layer->slices);
    *layer = (pd_vk_kv_layer){0};
}

static pd_status place_slices(const pd_kv_store *kv, uint32_t most_heads, pd_vk_kv_layer *layer,
                              pd_error *err) {
    uint64_t head_bytes = layer->n_pages * pd_vk_kv_head_bytes(&kv->shape);
    uint64_t left = 2 * head_bytes * kv->shape.n_kv_heads;
    for (uint32_t s = 0; s < layer->n_slices; s++) {
        pd_vk_kv_slice *slice = &layer->slices[s];
        slice->first_head = s * most_heads;
        uint32_t rest = kv->shape.n_kv_heads - slice->first_head;
        slice->n_heads = rest < most_heads ? rest : most_heads;
        uint64_t bytes = head_bytes * slice->n_heads;
        PD_TRY(pd_vk_arena_alloc(&layer->arena, bytes, left, &slice->k, err));
        left -= bytes;
        PD_TRY(pd_vk_arena_alloc(&layer->arena, bytes, left, &slice->v, err));
        left -= bytes;
    }
    return PD_OK;
}

/* Of n_pages > 0; *layer is to be destroyed after a failure as well. */
static pd_status create_layer(pd_vk_backend *b, const pd_kv_store *kv, uint32_t n_pages,
                              pd_vk_kv_layer *layer, pd_error *err) {
    uint32_t most_heads = 1;
    pd_vk_arena_init(&layer->arena, &b->memory, PD_VK_FOR_KV, what);
    PD_TRY(heads_per_slice(kv, b->device->caps.max_binding_bytes, n_pages, &most_heads, err));
    layer->n_pages = n_pages;
    layer->n_slices = pd_div_up(kv->shape.n_kv_heads, most_heads);
    layer->slices = pd_alloc(layer->n_slices, sizeof *layer->slices);
    if (!layer->slices) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV store");
    return place_slices(kv, most_heads, layer, err);
}

static pd_status grow_layer(pd_vk_backend *b, pd_kv_store *kv, uint32_t l, uint32_t n_pages,
                            pd_error *err) {
    pd_vk_kv_layer grown = {0};
    uint32_t n_used = kv->n_pages[kv->layer_is_global[l]];
    pd_status status = create_layer(b, kv, n_pages, &grown, err);
    if (status == PD_OK && n_used && !b->memory.counts_only)
        status = pd_vk_kv_copy(b, &kv->shape, &kv->layers[l], &grown, n_used, err);
    if (status != PD_OK) {
        destroy_layer(&grown);
        return status;
    }
    destroy_layer(&kv->layers[l]);
    kv->layers[l] = grown;
    kv->generation++;
    return PD_OK;
}

pd_status pd_vk_kv_grow(pd_backend *base, pd_kv_store *kv, uint32_t n_global_pages,
                        uint32_t n_local_pages, pd_error *err) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    const uint32_t n_pages[2] = {n_local_pages, n_global_pages};
    uint32_t n_heads;
    PD_TRY(pd_vk_raise_if_lost(b->device, err));
    for (int global = 0; global < 2; global++)
        PD_TRY(
            heads_per_slice(kv, b->device->caps.max_binding_bytes, n_pages[global], &n_heads, err));
    PD_TRY(check_growth(b, kv, n_pages, err));
    for (uint32_t l = 0; l < kv->shape.n_layers; l++) {
        uint32_t wanted = n_pages[kv->layer_is_global[l]];
        if (wanted > kv->layers[l].n_pages) PD_TRY(grow_layer(b, kv, l, wanted, err));
    }
    for (int global = 0; global < 2; global++)
        if (n_pages[global] > kv->n_pages[global]) kv->n_pages[global] = n_pages[global];
    return PD_OK;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool describe(pd_kv_store *kv, const pd_kv_shape *shape) {
    uint32_t n = shape->n_layers;
    kv->shape = *shape;
    kv->layer_is_global = pd_alloc(n, sizeof *kv->layer_is_global);
    kv->layers = pd_alloc(n, sizeof *kv->layers);
    if (!kv->layer_is_global || !kv->layers) return false;
    memcpy(kv->layer_is_global, shape->layer_is_global, n * sizeof *kv->layer_is_global);
    kv->shape.layer_is_global = kv->layer_is_global;
    return true;
}

pd_status pd_vk_kv_create(pd_backend *b, const pd_kv_store_desc *desc, pd_kv_store **out,
                          pd_error *err) {
    pd_status status = PD_OK;
    *out = NULL;
    pd_kv_store *kv = pd_alloc(1, sizeof *kv);
    if (!kv || !describe(kv, &desc->shape)) {
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV store");
        goto done;
    }
    PD_TRY_GOTO(pd_vk_kv_grow(b, kv, desc->n_global_pages, desc->n_local_pages, err));
    *out = kv;
done:
    if (status != PD_OK) pd_vk_kv_destroy(b, kv);
    return status;
}

void pd_vk_kv_destroy(pd_backend *b, pd_kv_store *kv) {
    (void)b;
    if (!kv) return;
    for (uint32_t l = 0; kv->layers && l < kv->shape.n_layers; l++) destroy_layer(&kv->layers[l]);
    pd_free(kv->layers);
    pd_free(kv->layer_is_global);
    pd_free(kv);
}
