/* The driver's cache of pipelines, kept from run to run
 * as pipelines-<UUID>-<driver version>-<hash>.bin, the hash being that of the driver's and
 * Peridot's version. Its Vulkan header is compared with the device before the driver sees it, since
 * not every driver does that well: length, version 1, vendor, device, 16 bytes of UUID.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/vulkan/kernels/cache.h"
#include "backend/vulkan/kernels/pipelines.h"
#include "base/hash.h"
#include "base/memory.h"

static void name_cache(const pd_vk_device *d, char *out, size_t n) {
    const VkPhysicalDeviceProperties *p = &d->properties;
    char uuid[2 * VK_UUID_SIZE + 1];
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++)
        snprintf(uuid + 2 * i, 3, "%02x", p->pipelineCacheUUID[i]);
    uint64_t hash = pd_hash(d->info.driver, strlen(d->info.driver));
    hash = pd_hash_seeded(d->info.name, strlen(d->info.name), hash);
    hash = pd_hash_seeded(PD_VERSION_STRING, strlen(PD_VERSION_STRING), hash);
    snprintf(out, n, "pipelines-%s-%08x-%016" PRIx64 ".bin", uuid, p->driverVersion, hash);
}

static bool header_fits(const VkPhysicalDeviceProperties *p, const uint8_t *data, size_t n) {
    VkPipelineCacheHeaderVersionOne h;
    if (n < sizeof h) return false;
    memcpy(&h, data, sizeof h);
    return h.headerSize >= sizeof h && h.headerSize <= n &&
           h.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE && h.vendorID == p->vendorID &&
           h.deviceID == p->deviceID &&
           memcmp(h.pipelineCacheUUID, p->pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

pd_status pd_vk_pipeline_cache_create(pd_vk_pipelines *p, pd_error *err) {
    pd_status status = PD_OK;
    pd_vk_device *d = p->device;
    void *data = NULL;
    size_t n = 0;
    name_cache(d, p->cache_name, sizeof p->cache_name);
    pd_vk_cache_note();
    bool seeded =
        pd_vk_cache_load(p->cache_name, &data, &n) && header_fits(&d->properties, data, n);
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = seeded ? n : 0,
        .pInitialData = seeded ? data : NULL,
    };
    VkResult result = d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &p->cache);
    if (result == VK_SUCCESS && seeded) {
        p->cache_hash = pd_hash(data, n);
    } else if (result != VK_SUCCESS) {
        info.initialDataSize = 0;
        PD_VK_MAKE_GOTO(d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &p->cache), p->cache);
    }
done:
    pd_free(data);
    return status;
}

void pd_vk_pipeline_cache_save(const pd_vk_pipelines *p) {
    pd_vk_device *d = p->device;
    size_t n = 0;
    if (d->vk.vkGetPipelineCacheData(d->handle, p->cache, &n, NULL) != VK_SUCCESS || n == 0) return;
    void *data = pd_alloc(n, 1);
    if (!data) return;
    bool whole = d->vk.vkGetPipelineCacheData(d->handle, p->cache, &n, data) == VK_SUCCESS;
    if (whole && header_fits(&d->properties, data, n) && pd_hash(data, n) != p->cache_hash)
        pd_vk_cache_store(p->cache_name, data, n);
    pd_free(data);
}
