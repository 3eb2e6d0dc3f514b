/* Device memory: buffers by purpose, arenas that many tensors share, and the account of it all.
 *
 * Every byte is counted in pd_vk_memory; an allocation beyond the limit (the user's, else the
 * driver's budget or heap size) fails with ERR_MEMORY_DEVICE and says how much is missing, before
 * the driver is asked. One VkBuffer per VkDeviceMemory, bound at offset 0.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_MEMORY_H
#define PD_VULKAN_MEMORY_H

#include "backend/vulkan/device/device.h"

typedef enum pd_vk_use {
    PD_VK_DEVICE, /* device-local; storage, indirect and transfer; never mapped */
    PD_VK_STEP,   /* small, written by the host every step, read by shaders: device-local and mapped
                     where there is such memory, else host memory. Coherent; also indirect, and
                     predicates */
    PD_VK_STAGING, /* host memory the device reads: coherent, mapped, storage and transfer source */
    PD_VK_READBACK /* host memory the host reads: cached where possible, mapped, transfer target */
} pd_vk_use;

typedef enum pd_vk_account {
    PD_VK_FOR_WEIGHTS,
    PD_VK_FOR_KV,
    PD_VK_FOR_SCRATCH,
    PD_VK_FOR_STEPS, /* counted as scratch: steps, what comes back of them, host copies */
    PD_VK_ACCOUNTS
} pd_vk_account;

typedef struct pd_vk_memory {
    pd_vk_device *device;
    uint64_t limit_bytes; /* 0: unknown */
    bool counts_only;     /* buffers are made and counted, but get no memory: pd_backend_desc */
    uint64_t held[PD_VK_ACCOUNTS], peak_bytes;
} pd_vk_memory;

typedef struct pd_vk_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    uint64_t bytes;      /* as asked for */
    uint64_t held_bytes; /* as allocated and counted: the driver may round up */
    uint8_t *mapped;     /* NULL for PD_VK_DEVICE, and when memory counts only */
    pd_vk_account account;
} pd_vk_buffer;

/* A range of a buffer, as descriptors and copies want it. */
typedef struct pd_vk_slice {
    VkBuffer handle;
    uint64_t offset, bytes;
} pd_vk_slice;

void pd_vk_memory_init(pd_vk_memory *m, pd_vk_device *device, uint64_t limit_bytes);
uint64_t pd_vk_memory_total(const pd_vk_memory *m);
/* Would `bytes` more be allowed? Errors: MEMORY_DEVICE, saying how much is missing. For things that
 * take several allocations, before the first of them. */
pd_status pd_vk_memory_check(const pd_vk_memory *m, pd_vk_account account, uint64_t bytes,
                             const char *what, pd_error *err);
/* what: "weights", "the KV cache of 8192 positions", for the message. bytes > 0. */
pd_status pd_vk_buffer_create(pd_vk_memory *m, pd_vk_use use, pd_vk_account account, uint64_t bytes,
                              const char *what, pd_vk_buffer *out, pd_error *err);
void pd_vk_buffer_destroy(pd_vk_memory *m, pd_vk_buffer *b); /* all zero is allowed */

/* Many ranges in few buffers: blocks of up to 256 MiB (larger when one range needs it, within the
 * device's allocation limit), each range aligned for storage-buffer descriptors. */
typedef struct pd_vk_arena {
    pd_vk_memory *memory;
    pd_vk_account account;
    const char *what;
    pd_vk_buffer *blocks;
    uint32_t n_blocks, cap_blocks;
    uint32_t
        open; /* index of the block that is being filled; large ranges have blocks of their own */
    uint64_t used; /* in the open block */
} pd_vk_arena;

void pd_vk_arena_init(pd_vk_arena *a, pd_vk_memory *m, pd_vk_account account, const char *what);
/* expected_bytes: how much more will be asked for, this range included, so that the last block is
 * no larger than needed; 0: unknown. */
pd_status pd_vk_arena_alloc(pd_vk_arena *a, uint64_t bytes, uint64_t expected_bytes,
                            pd_vk_slice *out, pd_error *err);
void pd_vk_arena_destroy(pd_vk_arena *a);

#endif
