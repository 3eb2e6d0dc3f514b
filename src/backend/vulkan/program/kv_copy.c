/* A layer's KV pages to other memory, on the device.
 *
 * A slice is [page][heads of the slice] (pages.glsl): where both are cut alike all pages are one
 * range, else there is one for each page. A store that grows may need more slices, of fewer heads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/program/kv_store.h"

typedef struct layer_copy {
    pd_vk_backend *backend;
    VkCommandBuffer cmd;
    VkBufferCopy *regions; /* [n_pages] */
    uint64_t head_bytes;
    uint32_t n_pages;
} layer_copy;

/* The heads that both slices have. */
static void copy_slice(const layer_copy *c, const pd_vk_kv_slice *from, const pd_vk_kv_slice *to) {
    const struct VolkDeviceTable *vk = &c->backend->device->vk;
    uint32_t from_end = from->first_head + from->n_heads, to_end = to->first_head + to->n_heads;
    uint32_t first = from->first_head > to->first_head ? from->first_head : to->first_head;
    uint32_t end = from_end < to_end ? from_end : to_end;
    if (first >= end) return;
    bool alike = from->n_heads == to->n_heads && end - first == to->n_heads;
    uint32_t n = alike ? 1 : c->n_pages;
    uint64_t from_at = (first - from->first_head) * c->head_bytes;
    uint64_t to_at = (first - to->first_head) * c->head_bytes;
    for (uint32_t p = 0; p < n; p++)
        c->regions[p] = (VkBufferCopy){from->k.offset + from_at + c->head_bytes * from->n_heads * p,
                                       to->k.offset + to_at + c->head_bytes * to->n_heads * p,
                                       (end - first) * c->head_bytes * (alike ? c->n_pages : 1)};
    vk->vkCmdCopyBuffer(c->cmd, from->k.handle, to->k.handle, n, c->regions);
    for (uint32_t p = 0; p < n; p++) {
        c->regions[p].srcOffset += from->v.offset - from->k.offset;
        c->regions[p].dstOffset += to->v.offset - to->k.offset;
    }
    vk->vkCmdCopyBuffer(c->cmd, from->v.handle, to->v.handle, n, c->regions);
}

pd_status pd_vk_kv_copy(pd_vk_backend *b, const pd_kv_shape *shape, const pd_vk_kv_layer *from,
                        const pd_vk_kv_layer *to, uint32_t n_pages, pd_error *err) {
    layer_copy c = {.backend = b, .head_bytes = pd_vk_kv_head_bytes(shape), .n_pages = n_pages};
    c.regions = pd_alloc(n_pages, sizeof *c.regions);
    if (!c.regions) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to copy KV pages");
    pd_status status = pd_vk_begin_copies(b, &c.cmd, err);
    if (status == PD_OK) {
        for (uint32_t t = 0; t < to->n_slices; t++)
            for (uint32_t f = 0; f < from->n_slices; f++)
                copy_slice(&c, &from->slices[f], &to->slices[t]);
        status = pd_vk_finish_copies(b, c.cmd, err);
    }
    pd_free(c.regions);
    return status;
}
