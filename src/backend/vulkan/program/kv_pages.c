/* KV pages to and from the layout that all backends share (pd_kv_page_bytes).
 *
 * The device copies K and V of as many layers at once as the transfer buffer holds, all heads side
 * by side there however they are cut into slices; the host puts their chunks in order (pages.glsl).
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "backend/vulkan/program/kv_store.h"

enum { PAGE_TRANSFER_BYTES = 4 << 20 }; /* a page of a small model; larger ones go in parts */

/* A page is a list of halves: K and V of each layer of its kind. */
typedef struct page_copy {
    pd_vk_backend *backend;
    const pd_kv_store *kv;
    bool global, in; /* in: from the host */
    uint32_t page, n_halves;
    uint64_t head_bytes, half_bytes; /* on the device */
} page_copy;

static page_copy describe(pd_vk_backend *b, const pd_kv_store *kv, bool global, uint32_t page,
                          bool in) {
    page_copy c = {.backend = b, .kv = kv, .global = global, .in = in, .page = page};
    c.head_bytes = pd_vk_kv_head_bytes(&kv->shape);
    c.half_bytes = c.head_bytes * kv->shape.n_kv_heads;
    for (uint32_t l = 0; l < kv->shape.n_layers; l++)
        c.n_halves += kv->layer_is_global[l] == global ? 2 : 0;
    return c;
}

/* What the transfer buffer should hold: all, but not too much. */
static uint64_t transfer_bytes(const page_copy *c) {
    uint64_t most = c->half_bytes * c->n_halves;
    if (most > PAGE_TRANSFER_BYTES) most = PAGE_TRANSFER_BYTES;
    return most > c->half_bytes ? most : c->half_bytes;
}

/* ---- on the device -------------------------------------------------------------------------- */

static const pd_vk_kv_layer *layer_of(const page_copy *c, uint32_t half) {
    uint32_t l = 0, n = half / 2;
    while (c->kv->layer_is_global[l] != c->global || n-- > 0) l++;
    return &c->kv->layers[l];
}

static void record_half(const page_copy *c, VkCommandBuffer cmd, uint32_t half, uint64_t at) {
    const pd_vk_kv_layer *layer = layer_of(c, half);
    const struct VolkDeviceTable *vk = &c->backend->device->vk;
    for (uint32_t s = 0; s < layer->n_slices; s++) {
        const pd_vk_kv_slice *slice = &layer->slices[s];
        pd_vk_slice pages = half % 2 ? slice->v : slice->k;
        uint64_t bytes = slice->n_heads * c->head_bytes;
        uint64_t there = pages.offset + c->page * bytes,
                 here = at + slice->first_head * c->head_bytes;
        VkBufferCopy in = {here, there, bytes}, out = {there, here, bytes};
        if (c->in)
            vk->vkCmdCopyBuffer(cmd, c->backend->transfer_in.handle, pages.handle, 1, &in);
        else
            vk->vkCmdCopyBuffer(cmd, pages.handle, c->backend->transfer_out.handle, 1, &out);
    }
}

static pd_status copy_halves(const page_copy *c, uint32_t first, uint32_t n, pd_error *err) {
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_begin_copies(c->backend, &cmd, err));
    for (uint32_t i = 0; i < n; i++) record_half(c, cmd, first + i, i * c->half_bytes);
    return pd_vk_finish_copies(c->backend, cmd, err);
}

/* ---- on the host ---------------------------------------------------------------------------- */

/* A head's positions, in rows on the host. The last chunk of a row may have zeros behind it. */
static void order_head(const page_copy *c, bool is_k, uint8_t *head, uint8_t *host) {
    const pd_kv_shape *s = &c->kv->shape;
    uint32_t row = s->head_dim * (s->f32 ? 4 : 2), n_chunks = pd_div_up(row, 16);
    for (uint32_t slot = 0; slot < PD_PAGE_POSITIONS; slot++)
        for (uint32_t i = 0; i < n_chunks; i++) {
            uint8_t *chunk =
                head + 16ul * (is_k ? i * PD_PAGE_POSITIONS + slot : slot * n_chunks + i);
            uint8_t *values = host + (uint64_t)slot * row + 16 * i;
            uint32_t n = row - 16 * i < 16 ? row - 16 * i : 16;
            if (!c->in) {
                memcpy(values, chunk, n);
                continue;
            }
            memcpy(chunk, values, n);
            memset(chunk + n, 0, 16 - n);
        }
}

static void order_halves(const page_copy *c, uint32_t first, uint32_t n, uint8_t *mapped,
                         uint8_t *host) {
    const pd_kv_shape *s = &c->kv->shape;
    uint64_t host_head = (uint64_t)PD_PAGE_POSITIONS * s->head_dim * (s->f32 ? 4 : 2);
    for (uint32_t i = 0; i < n; i++)
        for (uint64_t h = 0; h < s->n_kv_heads; h++)
            order_head(c, (first + i) % 2 == 0, mapped + i * c->half_bytes + h * c->head_bytes,
                       host + ((first + i) * s->n_kv_heads + h) * host_head);
}

/* ---- both ----------------------------------------------------------------------------------- */

pd_status pd_vk_kv_read(pd_backend *base, pd_kv_store *kv, bool global, uint32_t page, void *dst,
                        pd_error *err) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    page_copy c = describe(b, kv, global, page, false);
    if (c.n_halves == 0) return PD_OK;
    PD_TRY(pd_vk_raise_if_lost(b->device, err));
    PD_TRY(pd_vk_need_transfer_out(b, transfer_bytes(&c), err));
    if (b->memory.counts_only) {
        memset(dst, 0, pd_kv_page_bytes(&kv->shape, global));
        return PD_OK;
    }
    uint64_t most = b->transfer_out.bytes / c.half_bytes;
    for (uint32_t first = 0, n; first < c.n_halves; first += n) {
        n = c.n_halves - first < most ? c.n_halves - first : (uint32_t)most;
        PD_TRY(copy_halves(&c, first, n, err));
        order_halves(&c, first, n, b->transfer_out.mapped, dst);
    }
    return PD_OK;
}

pd_status pd_vk_kv_write(pd_backend *base, pd_kv_store *kv, bool global, uint32_t page,
                         const void *src, pd_error *err) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    page_copy c = describe(b, kv, global, page, true);
    if (c.n_halves == 0) return PD_OK;
    PD_TRY(pd_vk_raise_if_lost(b->device, err));
    PD_TRY(pd_vk_need_transfer_in(b, transfer_bytes(&c), err));
    if (b->memory.counts_only) return PD_OK;
    uint64_t most = b->transfer_in.bytes / c.half_bytes;
    for (uint32_t first = 0, n; first < c.n_halves; first += n) {
        n = c.n_halves - first < most ? c.n_halves - first : (uint32_t)most;
        order_halves(&c, first, n, b->transfer_in.mapped, (uint8_t *)(uintptr_t)src);
        PD_TRY(copy_halves(&c, first, n, err));
    }
    return PD_OK;
}
