/* KV pages: their memory (kv_store.c), copies of it (kv_copy.c), and pages to and from the host
 * (kv_pages.c). The store itself is in backend.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_KV_STORE_H
#define PD_VULKAN_KV_STORE_H

#include "backend/vulkan/program/program.h"

/* K, or V, of one KV head in a page. */
uint64_t pd_vk_kv_head_bytes(const pd_kv_shape *shape);
/* The first n_pages of a layer, whose slices may be cut differently. */
pd_status pd_vk_kv_copy(pd_vk_backend *b, const pd_kv_shape *shape, const pd_vk_kv_layer *from,
                        const pd_vk_kv_layer *to, uint32_t n_pages, pd_error *err);

#endif
