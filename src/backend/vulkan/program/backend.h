/* The Vulkan backend's own object, shared by what computes with it. The rooms, lowest first:
 *
 *   device/    loader, probe, quirks, opening a device, memory, waiting
 *   kernels/   shaders to SPIR-V to pipelines; which kernel with which constants for a shape
 *   program/   plans to dispatches to command buffers; weights, KV store, steps, copies
 *   tune/      what is measured and tried at a driver's first start
 *   backend.c  the vtable: open, close, stats
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_BACKEND_H
#define PD_VULKAN_BACKEND_H

#include "backend/backend.h"
#include "backend/vulkan/device/memory.h"
#include "backend/vulkan/kernels/pipeline.h"

typedef struct pd_vk_weights pd_vk_weights;

typedef struct pd_vk_backend {
    pd_backend base;
    pd_vk_device *device;
    pd_vk_memory memory;
    pd_vk_pipelines *pipelines;
    pd_vk_weights *weights;
    VkCommandPool command_pool;
    pd_vk_tuning tuning;                    /* which kernels programs are to use */
    double flops_per_s;                     /* of large products, as far as known */
    pd_vk_buffer transfer_in, transfer_out; /* for pd_vk_copy_in and _out; grown when needed */
    bool is_recount;         /* made of another by recount, which has device, pipelines and pool */
    const pd_plan *expected; /* [n_expected] until they are loaded; see pd_vk_build_expected */
    uint32_t n_expected;
} pd_vk_backend;

/* ---- KV store ------------------------------------------------------------------------------- */

/* A layer's pages for some of its KV heads: as many as one binding can hold. Layout: pages.glsl. */
typedef struct pd_vk_kv_slice {
    uint32_t first_head, n_heads;
    pd_vk_slice k, v;
} pd_vk_kv_slice;

typedef struct pd_vk_kv_layer {
    uint32_t n_pages; /* that there is memory for: the store's, or more after a failed growth */
    uint32_t n_slices;
    pd_vk_kv_slice *slices; /* [n_slices] */
    pd_vk_arena arena;      /* of its own, so that layers can grow one after the other */
} pd_vk_kv_layer;

struct pd_kv_store {
    pd_kv_shape shape; /* layer_is_global points to the copy below */
    bool *layer_is_global;
    uint32_t n_pages[2];    /* local, global */
    pd_vk_kv_layer *layers; /* [n_layers] */
    uint32_t generation;    /* another one whenever a layer's memory is: see bind.c */
};

/* ---- pipelines beside the upload ------------------------------------------------------------ */

/* Starts building what the expected plans need, as far as it can be told; the matrices must be in
 * their directory and cut to slices, but need no memory yet. */
void pd_vk_build_expected(pd_vk_backend *b);

/* ---- one-off command buffers ---------------------------------------------------------------- */

pd_status pd_vk_begin_once(pd_vk_backend *b, VkCommandBuffer *out, pd_error *err);
/* Ends, submits, waits for and frees the command buffer; also when something fails. */
pd_status pd_vk_finish_once(pd_vk_backend *b, VkCommandBuffer cmd, pd_error *err);
/* The same around copies: behind all work so far, and before whatever comes, the host included. */
pd_status pd_vk_begin_copies(pd_vk_backend *b, VkCommandBuffer *out, pd_error *err);
pd_status pd_vk_finish_copies(pd_vk_backend *b, VkCommandBuffer cmd, pd_error *err);
/* transfer_in and transfer_out of at least `bytes`; what was in them is lost when they grow. */
pd_status pd_vk_need_transfer_in(pd_vk_backend *b, uint64_t bytes, pd_error *err);
pd_status pd_vk_need_transfer_out(pd_vk_backend *b, uint64_t bytes, pd_error *err);
/* Copies between a device buffer and host memory through the backend's transfer buffers. */
pd_status pd_vk_copy_in(pd_vk_backend *b, pd_vk_slice to, const void *src, pd_error *err);
pd_status pd_vk_copy_out(pd_vk_backend *b, pd_vk_slice from, void *dst, pd_error *err);

#endif
