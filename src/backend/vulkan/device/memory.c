/* Buffers, their memory, and the account of it.
 *
 * A limit is checked before the driver is asked, because drivers answer late and badly: some hand
 * out more than there is and then page, some lose the device. The limit is the user's, else what
 * VK_EXT_memory_budget left when the device was opened, else the device's heap; of an integrated
 * GPU half of the machine's memory, if that is more.
 *
 * Memory types are tried in the driver's order by what a use requires and rather avoids. AMD's
 * uncached types, protected and lazily allocated ones are never taken: they need features that are
 * not enabled.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/device/memory.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"

enum {
    LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
    MAPPED = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
    CACHED = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
    UNUSABLE = VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT |
               VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD |
               VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD | VK_MEMORY_PROPERTY_RDMA_CAPABLE_BIT_NV
};

typedef struct type_choice {
    VkMemoryPropertyFlags required, avoided;
} type_choice;

typedef struct use_rule {
    VkBufferUsageFlags usage;
    bool mapped;
    type_choice choices[3]; /* best first; all zero after the last */
} use_rule;

#define STORAGE  VK_BUFFER_USAGE_STORAGE_BUFFER_BIT
#define INDIRECT VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT
#define SOURCE   VK_BUFFER_USAGE_TRANSFER_SRC_BIT
#define TARGET   VK_BUFFER_USAGE_TRANSFER_DST_BIT

/* The device's buffers may lie in the host's memory only where both are the same chips: integrated
 * GPUs often call a small part of it their own. Staging keeps out of the device's own memory where
 * it can: the window that the host can map there may be only 256 MiB, and steps want it. */
static const use_rule rules[] = {
    [PD_VK_DEVICE] = {STORAGE | INDIRECT | SOURCE | TARGET,
                      false,
                      {{LOCAL, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT}, {LOCAL, 0}, {MAPPED, 0}}},
    [PD_VK_STEP] = {STORAGE | INDIRECT | SOURCE | TARGET, true, {{LOCAL | MAPPED, 0}, {MAPPED, 0}}},
    [PD_VK_STAGING] = {STORAGE | SOURCE,
                       true,
                       {{MAPPED, LOCAL | CACHED}, {MAPPED, LOCAL}, {MAPPED, 0}}},
    [PD_VK_READBACK] = {STORAGE | TARGET,
                        true,
                        {{MAPPED | CACHED, LOCAL}, {MAPPED | CACHED, 0}, {MAPPED, 0}}},
};

/* ---- the account --------------------------------------------------------------------------- */

void pd_vk_memory_init(pd_vk_memory *m, pd_vk_device *device, uint64_t limit_bytes) {
    const pd_device_info *info = &device->info;
    uint64_t known = info->memory_free_bytes ? info->memory_free_bytes : info->memory_bytes;
    /* lavapipe reports a heap of 2 GiB whatever the machine has; its memory is the host's */
    if (device->caps.is_software) known = pd_host_memory_bytes();
    if (info->kind == PD_DEVICE_GPU_INTEGRATED && known < pd_host_memory_bytes() / 2)
        known = pd_host_memory_bytes() / 2; /* what drivers call the device's own is often little */
    *m = (pd_vk_memory){.device = device, .limit_bytes = limit_bytes ? limit_bytes : known};
}

uint64_t pd_vk_memory_total(const pd_vk_memory *m) {
    uint64_t total = 0;
    for (int i = 0; i < PD_VK_ACCOUNTS; i++) total += m->held[i];
    return total;
}

typedef struct size_text {
    char text[24];
} size_text;

static size_text size_of(uint64_t bytes) {
    size_text s;
    const double n = (double)bytes;
    if (bytes >= 1u << 30)
        snprintf(s.text, sizeof s.text, "%.2f GiB", n / (1u << 30));
    else if (bytes >= 1u << 20)
        snprintf(s.text, sizeof s.text, "%.2f MiB", n / (1u << 20));
    else if (bytes >= 1u << 10)
        snprintf(s.text, sizeof s.text, "%.2f KiB", n / (1u << 10));
    else
        snprintf(s.text, sizeof s.text, "%" PRIu64 " bytes", bytes);
    return s;
}

static const char *hint_of(pd_vk_account account) {
    switch (account) {
    case PD_VK_FOR_WEIGHTS:
        return "choose a smaller or more strongly quantised model, or another device";
    case PD_VK_FOR_KV: return "choose a smaller context (n_ctx) or f16 KV pages";
    default: return "choose smaller prompt chunks (n_chunk) or a smaller context (n_ctx)";
    }
}

pd_status pd_vk_memory_check(const pd_vk_memory *m, pd_vk_account account, uint64_t bytes,
                             const char *what, pd_error *err) {
    uint64_t total = pd_vk_memory_total(m);
    uint64_t free_bytes = m->limit_bytes > total ? m->limit_bytes - total : 0;
    if (m->limit_bytes == 0 || m->counts_only || bytes <= free_bytes) return PD_OK;
    pd_status status = PD_RAISE(
        err, PD_ERR_MEMORY_DEVICE,
        "there is no room for %s: %s are needed, but only %s of %s are free on %s, %s are missing",
        what, size_of(bytes).text, size_of(free_bytes).text, size_of(m->limit_bytes).text,
        m->device->info.name, size_of(bytes - free_bytes).text);
    return pd_error_hint(err, status, "%s", hint_of(account));
}

static pd_status check_allocation_size(const pd_vk_memory *m, uint64_t bytes, const char *what,
                                       pd_error *err) {
    uint64_t most = m->device->info.max_alloc_bytes;
    if (most == 0 || bytes <= most) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                    "%s needs %s in one piece, but %s allocates at most %s at once "
                    "(maxMemoryAllocationSize)",
                    what, size_of(bytes).text, m->device->info.name, size_of(most).text);
}

/* ---- buffers ------------------------------------------------------------------------------- */

static bool fits_choice(const pd_vk_device *d, const type_choice *choice, uint32_t type) {
    VkMemoryPropertyFlags flags = d->memory.memoryTypes[type].propertyFlags;
    return (flags & choice->required) == choice->required &&
           !(flags & (choice->avoided | (VkMemoryPropertyFlags)UNUSABLE));
}

/* Tries the types in the order of the rule until the driver has room in one. INITIALIZATION_FAILED:
 * there is no type of the kind. */
static VkResult allocate_somewhere(const pd_vk_device *d, const use_rule *rule,
                                   const VkMemoryRequirements *needs, VkDeviceMemory *memory) {
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .allocationSize = needs->size};
    VkResult result = VK_ERROR_INITIALIZATION_FAILED;
    uint32_t left = needs->memoryTypeBits;
    for (size_t c = 0; c < sizeof rule->choices / sizeof rule->choices[0]; c++) {
        const type_choice *choice = &rule->choices[c];
        bool in_host_memory = !rule->mapped && !(choice->required & LOCAL);
        if (in_host_memory && d->info.kind == PD_DEVICE_GPU_DISCRETE) continue;
        for (uint32_t i = 0; choice->required && i < d->memory.memoryTypeCount; i++) {
            if (!(left >> i & 1) || !fits_choice(d, choice, i)) continue;
            left &= ~(UINT32_C(1) << i);
            info.memoryTypeIndex = i;
            result = d->vk.vkAllocateMemory(d->handle, &info, NULL, memory);
            if (result != VK_SUCCESS) *memory = VK_NULL_HANDLE;
            if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY && result != VK_ERROR_OUT_OF_HOST_MEMORY)
                return result;
        }
    }
    return result;
}

static void count(pd_vk_memory *m, pd_vk_buffer *b, uint64_t bytes) {
    b->held_bytes = bytes;
    m->held[b->account] += bytes;
    uint64_t total = pd_vk_memory_total(m);
    if (total > m->peak_bytes) m->peak_bytes = total;
}

static pd_status allocate(pd_vk_memory *m, const use_rule *rule, pd_vk_account account,
                          const char *what, pd_vk_buffer *b, pd_error *err) {
    pd_vk_device *d = m->device;
    VkMemoryRequirements needs;
    d->vk.vkGetBufferMemoryRequirements(d->handle, b->handle, &needs);
    PD_TRY(check_allocation_size(m, needs.size, what, err));
    PD_TRY(pd_vk_memory_check(m, account, needs.size, what, err));
    VkResult result = VK_SUCCESS;
    if (!m->counts_only) result = allocate_somewhere(d, rule, &needs, &b->memory);
    if (result == VK_ERROR_INITIALIZATION_FAILED)
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "%s has no memory of the kind that %s needs",
                        d->info.name, what);
    if (result != VK_SUCCESS) {
        pd_status status = pd_vk_result_status(result);
        if (status == PD_ERR_DEVICE) status = PD_ERR_MEMORY_DEVICE; /* too many allocations */
        status = PD_RAISE(err, status,
                          "%s needs %s, but the driver of %s refused it (%s); Peridot holds %s",
                          what, size_of(needs.size).text, d->info.name, pd_vk_result_name(result),
                          size_of(pd_vk_memory_total(m)).text);
        return pd_error_hint(err, status, "%s", hint_of(account));
    }
    count(m, b, needs.size);
    return PD_OK;
}

pd_status pd_vk_buffer_create(pd_vk_memory *m, pd_vk_use use, pd_vk_account account, uint64_t bytes,
                              const char *what, pd_vk_buffer *out, pd_error *err) {
    pd_status status = PD_OK;
    pd_vk_device *d = m->device;
    const use_rule *rule = &rules[use];
    *out = (pd_vk_buffer){.bytes = bytes, .account = account};
    if (bytes == 0) return PD_RAISE(err, PD_ERR_INTERNAL, "a buffer of 0 bytes for %s", what);
    PD_TRY_GOTO(check_allocation_size(m, bytes, what, err));
    PD_TRY_GOTO(pd_vk_memory_check(m, account, bytes, what, err));
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = rule->usage,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    if (use == PD_VK_STEP && d->caps.conditional)
        info.usage |= VK_BUFFER_USAGE_CONDITIONAL_RENDERING_BIT_EXT;
    PD_VK_MAKE_GOTO(d->vk.vkCreateBuffer(d->handle, &info, NULL, &out->handle), out->handle);
    PD_TRY_GOTO(allocate(m, rule, account, what, out, err));
    if (m->counts_only) goto done;
    PD_VK_TRY_GOTO(d->vk.vkBindBufferMemory(d->handle, out->handle, out->memory, 0));
    void *mapped = NULL;
    if (rule->mapped)
        PD_VK_TRY_GOTO(d->vk.vkMapMemory(d->handle, out->memory, 0, VK_WHOLE_SIZE, 0, &mapped));
    out->mapped = mapped;
done:
    if (status != PD_OK) pd_vk_buffer_destroy(m, out);
    return status;
}

void pd_vk_buffer_destroy(pd_vk_memory *m, pd_vk_buffer *b) {
    pd_vk_device *d = m->device;
    if (b->handle) d->vk.vkDestroyBuffer(d->handle, b->handle, NULL);
    if (b->memory) d->vk.vkFreeMemory(d->handle, b->memory, NULL); /* unmaps */
    m->held[b->account] -= b->held_bytes;
    *b = (pd_vk_buffer){0};
}
