/* Many ranges in few buffers: a bump allocator over blocks of device memory.
 *
 * Drivers limit the number of allocations (4096 is common) and each costs time; a model has
 * hundreds of tensors. Ranges are never freed alone. A range that does not fit the open block opens
 * a new one, and what was left of the old one is lost; large ranges therefore get a block of their
 * own, of exactly their size.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/device/memory.h"
#include "base/memory.h"

static const uint64_t block_bytes = 256ull << 20;
static const uint64_t own_block_bytes = 32ull
                                        << 20; /* ranges from here on get a block of their own */
static const uint64_t least_alignment = 64;    /* a cache line, whatever descriptors allow */

void pd_vk_arena_init(pd_vk_arena *a, pd_vk_memory *m, pd_vk_account account, const char *what) {
    *a = (pd_vk_arena){.memory = m, .account = account, .what = what};
}

static uint64_t alignment_of(const pd_vk_arena *a) {
    uint64_t needed = a->memory->device->properties.limits.minStorageBufferOffsetAlignment;
    return needed > least_alignment ? needed : least_alignment; /* both are powers of two */
}

/* No more than will be asked for, no more than the account still allows, but always enough. */
static uint64_t next_block_bytes(const pd_vk_arena *a, uint64_t bytes, uint64_t expected_bytes) {
    const pd_vk_memory *m = a->memory;
    uint64_t size = block_bytes, total = pd_vk_memory_total(m);
    if (expected_bytes && expected_bytes < size) size = expected_bytes;
    if (m->limit_bytes > total && m->limit_bytes - total < size) size = m->limit_bytes - total;
    if (m->device->info.max_alloc_bytes && m->device->info.max_alloc_bytes < size)
        size = m->device->info.max_alloc_bytes;
    return size > bytes ? size : bytes;
}

static pd_status grow_list(pd_vk_arena *a, pd_error *err) {
    if (a->n_blocks < a->cap_blocks) return PD_OK;
    uint32_t cap = a->cap_blocks ? a->cap_blocks * 2 : 16;
    pd_vk_buffer *blocks = pd_alloc(cap, sizeof *blocks);
    if (!blocks)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list blocks of %s", a->what);
    for (uint32_t i = 0; i < a->n_blocks; i++) blocks[i] = a->blocks[i];
    pd_free(a->blocks);
    a->blocks = blocks;
    a->cap_blocks = cap;
    return PD_OK;
}

/* Appends a block; its index in *index. */
static pd_status add_block(pd_vk_arena *a, uint64_t bytes, uint32_t *index, pd_error *err) {
    PD_TRY(grow_list(a, err));
    PD_TRY(pd_vk_buffer_create(a->memory, PD_VK_DEVICE, a->account, bytes, a->what,
                               &a->blocks[a->n_blocks], err));
    *index = a->n_blocks++;
    return PD_OK;
}

pd_status pd_vk_arena_alloc(pd_vk_arena *a, uint64_t bytes, uint64_t expected_bytes,
                            pd_vk_slice *out, pd_error *err) {
    if (bytes == 0) return PD_RAISE(err, PD_ERR_INTERNAL, "a range of 0 bytes for %s", a->what);
    uint32_t block = a->open;
    uint64_t begin = pd_round_up(a->used, alignment_of(a));
    bool fits =
        a->used > 0 && begin < a->blocks[block].bytes && bytes <= a->blocks[block].bytes - begin;
    if (!fits && bytes >= own_block_bytes) {
        PD_TRY(add_block(a, bytes, &block, err));
        *out = (pd_vk_slice){a->blocks[block].handle, 0, bytes};
        return PD_OK;
    }
    if (!fits) {
        PD_TRY(add_block(a, next_block_bytes(a, bytes, expected_bytes), &a->open, err));
        block = a->open;
        begin = 0;
    }
    a->used = begin + bytes;
    *out = (pd_vk_slice){a->blocks[block].handle, begin, bytes};
    return PD_OK;
}

void pd_vk_arena_destroy(pd_vk_arena *a) {
    for (uint32_t i = 0; i < a->n_blocks; i++) pd_vk_buffer_destroy(a->memory, &a->blocks[i]);
    pd_free(a->blocks);
    *a = (pd_vk_arena){0};
}
