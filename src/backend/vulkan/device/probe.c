/* Asks a physical device for its properties, features, limits and queues, and describes it.
 *
 * Vulkan 1.1 is the floor. Features that became core later are asked for through their own
 * extension's structure, which core kept, so that one path serves 1.1 with extensions and 1.3.
 * The sizes of cooperative matrices are asked for last, and only where quirks.c allows it: the
 * query has crashed drivers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/device/probe.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* ---- reading ------------------------------------------------------------------------------- */

static void read_extensions(pd_vk_probe *p) {
    uint32_t n = 0;
    if (vkEnumerateDeviceExtensionProperties(p->physical, NULL, &n, NULL) != VK_SUCCESS) return;
    p->extensions = pd_alloc(n, sizeof *p->extensions);
    if (!p->extensions) return;
    if (vkEnumerateDeviceExtensionProperties(p->physical, NULL, &n, p->extensions) >= VK_SUCCESS)
        p->n_extensions = n;
}

bool pd_vk_probe_has(const pd_vk_probe *p, const char *extension) {
    for (uint32_t i = 0; i < p->n_extensions; i++)
        if (strcmp(p->extensions[i].extensionName, extension) == 0) return true;
    return false;
}

/* Core since `version`, or there as an extension. */
static bool knows(const pd_vk_probe *p, uint32_t version, const char *extension) {
    return p->api >= version || pd_vk_probe_has(p, extension);
}

static void link_next(void **tail, void *structure, VkStructureType type) {
    VkBaseOutStructure *previous = *tail, *next = structure;
    next->sType = type;
    next->pNext = NULL;
    previous->pNext = next;
    *tail = next;
}

/* A structure of pd_vk_features. */
static const struct structure {
    size_t at, bytes; /* in pd_vk_features */
    VkStructureType type;
    const char *extension;
    uint32_t core_since;
} structures[] = {
#define STRUCTURE(field, type, stype, extension, core_since)                                       \
    {offsetof(pd_vk_features, field), sizeof(type), stype, extension, core_since},
    PD_VK_STRUCTURES(STRUCTURE)
#undef STRUCTURE
};
enum { N_STRUCTURES = sizeof structures / sizeof structures[0] };

static void chain_known(const pd_vk_probe *p, pd_vk_features *f) {
    f->base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    f->base.pNext = NULL;
    void *tail = &f->base;
    for (uint32_t i = 0; i < N_STRUCTURES; i++)
        if (knows(p, structures[i].core_since, structures[i].extension))
            link_next(&tail, (char *)f + structures[i].at, structures[i].type);
}

/* All its switches are off; they lie behind sType and pNext. */
static bool is_off(const pd_vk_features *f, const struct structure *s) {
    const char *switches = (const char *)f + s->at + sizeof(VkBaseOutStructure);
    for (size_t i = 0; i < s->bytes - sizeof(VkBaseOutStructure); i++)
        if (switches[i]) return false;
    return true;
}

static void select_switches(const pd_vk_probe *p, const pd_vk_caps *caps, pd_vk_features *f) {
    const pd_vk_features *has = &p->features;
    *f = (pd_vk_features){0};
    f->small.shaderFloat16 = caps->fp16;
    f->small.shaderInt8 = has->small.shaderInt8;
    f->storage8.storageBuffer8BitAccess = has->storage8.storageBuffer8BitAccess;
    f->int_dot.shaderIntegerDotProduct = caps->int_dot;
    f->subgroup_size.subgroupSizeControl = caps->subgroup_size_control;
    f->subgroup_size.computeFullSubgroups = caps->subgroup_size_control;
    /* Matrix modules declare the memory model; atomics and barriers then name their scope. */
    f->memory_model.vulkanMemoryModel = caps->coopmat;
    f->memory_model.vulkanMemoryModelDeviceScope = caps->coopmat;
    f->coopmat.cooperativeMatrix = caps->coopmat;
    f->conditional.conditionalRendering = caps->conditional;
    f->fault.deviceFault = caps->fault;
    f->executable_info.pipelineExecutableInfo = caps->executable_info;
}

/* A structure may only be chained when its extension is enabled: those with all switches off are
 * left out, as the extension is. */
void pd_vk_features_select(const pd_vk_probe *p, const pd_vk_caps *caps, pd_vk_features *f,
                           const char **extensions, uint32_t cap, uint32_t *n) {
    select_switches(p, caps, f);
    f->base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    void *tail = &f->base;
    *n = 0;
    for (uint32_t i = 0; i < N_STRUCTURES; i++) {
        const struct structure *s = &structures[i];
        if (is_off(f, s) || !knows(p, s->core_since, s->extension)) continue;
        link_next(&tail, (char *)f + s->at, s->type);
        if (p->api < s->core_since && *n < cap) extensions[(*n)++] = s->extension;
    }
}

static void read_properties(pd_vk_probe *p) {
    p->properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    void *tail = &p->properties;
    link_next(&tail, &p->id, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES);
    link_next(&tail, &p->maintenance3, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES);
    link_next(&tail, &p->subgroup, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES);
    if (knows(p, VK_API_VERSION_1_2, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME))
        link_next(&tail, &p->driver, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES);
    if (knows(p, VK_API_VERSION_1_3, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
        link_next(&tail, &p->subgroup_size,
                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
    if (knows(p, VK_API_VERSION_1_3, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME))
        link_next(&tail, &p->int_dot,
                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES);
    vkGetPhysicalDeviceProperties2(p->physical, &p->properties);
}

static void read_memory(pd_vk_probe *p) {
    p->memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    void *tail = &p->memory;
    if (pd_vk_probe_has(p, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME))
        link_next(&tail, &p->budget,
                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
    vkGetPhysicalDeviceMemoryProperties2(p->physical, &p->memory);
}

/* The first family that computes: on desktop drivers that is the universal one, whose queue has
 * timestamps everywhere and no scheduling handicap against a desktop that draws. */
static void read_queues(pd_vk_probe *p) {
    VkQueueFamilyProperties families[32];
    uint32_t n = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(p->physical, &n, NULL);
    if (n > sizeof families / sizeof families[0]) n = sizeof families / sizeof families[0];
    vkGetPhysicalDeviceQueueFamilyProperties(p->physical, &n, families);
    for (uint32_t i = 0; i < n && !p->has_compute_queue; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || !families[i].queueCount) continue;
        p->has_compute_queue = true;
        p->queue_family = i;
        p->timestamp_bits = families[i].timestampValidBits;
    }
}

static void read_coopmats(pd_vk_probe *p) {
    uint32_t n = 0;
    if (!p->features.coopmat.cooperativeMatrix || !pd_vk_quirks_allow_coopmat(p)) return;
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(void *)vkGetInstanceProcAddr(
            volkGetLoadedInstance(), "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    if (!get || get(p->physical, &n, NULL) != VK_SUCCESS || n == 0) return;
    p->coopmats = pd_alloc(n, sizeof *p->coopmats);
    if (!p->coopmats) return;
    for (uint32_t i = 0; i < n; i++)
        p->coopmats[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (get(p->physical, &n, p->coopmats) == VK_SUCCESS) p->n_coopmats = n;
}

void pd_vk_probe_read(VkPhysicalDevice physical, pd_vk_probe *p) {
    *p = (pd_vk_probe){.physical = physical};
    vkGetPhysicalDeviceProperties(physical, &p->properties.properties);
    uint32_t loader = volkGetInstanceVersion(), device = p->properties.properties.apiVersion;
    p->api = device < loader ? device : loader;
    if (p->api > VK_API_VERSION_1_3) p->api = VK_API_VERSION_1_3;
    vkGetPhysicalDeviceMemoryProperties(physical, &p->memory.memoryProperties);
    read_queues(p);
    if (p->api < VK_API_VERSION_1_1) return; /* the queries below are newer */
    read_extensions(p);
    read_properties(p);
    read_memory(p);
    chain_known(p, &p->features);
    vkGetPhysicalDeviceFeatures2(physical, &p->features.base);
    read_coopmats(p);
}

void pd_vk_probe_release(pd_vk_probe *p) {
    pd_free(p->extensions);
    pd_free(p->coopmats);
    *p = (pd_vk_probe){0};
}

/* ---- describing ---------------------------------------------------------------------------- */

static pd_device_kind kind_of(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return PD_DEVICE_GPU_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return PD_DEVICE_GPU_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return PD_DEVICE_SOFTWARE;
    default: return PD_DEVICE_GPU_VIRTUAL;
    }
}

/* The device's own heap is the largest device-local one; beside it there may be a small window that
 * the host can map. */
static void describe_memory(const pd_vk_probe *p, pd_device_info *out) {
    const VkPhysicalDeviceMemoryProperties *m = &p->memory.memoryProperties;
    for (uint32_t i = 0; i < m->memoryHeapCount; i++) {
        bool local = (m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
        if (!local || m->memoryHeaps[i].size <= out->memory_bytes) continue;
        VkDeviceSize budget = p->budget.heapBudget[i], used = p->budget.heapUsage[i];
        out->memory_bytes = m->memoryHeaps[i].size;
        out->memory_free_bytes = budget > used ? budget - used : 0;
    }
    const VkMemoryPropertyFlags shared =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    for (uint32_t i = 0; i < m->memoryTypeCount; i++)
        if ((m->memoryTypes[i].propertyFlags & shared) == shared) out->has_unified_memory = true;
    out->has_memory_budget = pd_vk_probe_has(p, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    out->max_alloc_bytes = p->maintenance3.maxMemoryAllocationSize;
}

static void describe_features(const pd_vk_probe *p, pd_device_info *out) {
    pd_vk_caps caps;
    pd_vk_probe_caps(p, &caps);
    out->subgroup_size = caps.subgroup_size;
    out->subgroup_size_min = caps.subgroup_size_min;
    out->subgroup_size_max = caps.subgroup_size_max;
    out->has_subgroup_arithmetic = caps.subgroup;
    out->has_fp16 = caps.fp16;
    out->has_int8 = p->features.small.shaderInt8 != 0;
    out->has_int_dot = caps.int_dot;
    out->has_int_dot_fast = p->int_dot.integerDotProduct4x8BitPackedSignedAccelerated != 0;
    out->has_coopmat = p->features.coopmat.cooperativeMatrix != 0;
    out->has_timestamps = caps.timestamps;
}

static const char *component_name(VkComponentTypeKHR type) {
    static const char *const names[] = {"f16", "f32", "f64", "s8",  "s16", "s32",
                                        "s64", "u8",  "u16", "u32", "u64"};
    if (type == 1000141000) return "bf16";
    if (type == 1000491002) return "e4m3";
    if (type == 1000491003) return "e5m2";
    return (uint32_t)type < sizeof names / sizeof *names ? names[type] : "other";
}

/* Those of one subgroup. */
static void describe_coopmats(const pd_vk_probe *p, pd_device_info *out) {
    for (uint32_t i = 0; i < p->n_coopmats && out->n_coopmats < PD_MAX_COOPMATS; i++) {
        const VkCooperativeMatrixPropertiesKHR *c = &p->coopmats[i];
        if (c->scope != VK_SCOPE_SUBGROUP_KHR || c->saturatingAccumulation) continue;
        out->coopmats[out->n_coopmats++] = (pd_coopmat_info){c->MSize,
                                                             c->NSize,
                                                             c->KSize,
                                                             component_name(c->AType),
                                                             component_name(c->BType),
                                                             component_name(c->ResultType)};
    }
}

static void describe_usability(const pd_vk_probe *p, pd_device_info *out) {
    enum { MAX_BINDINGS = 7, MOLTENVK_1_3 = 10300 };
    const VkPhysicalDeviceProperties *properties = &p->properties.properties;
    char *why = out->unusable_reason;
    size_t n = sizeof out->unusable_reason;
    if (p->api < VK_API_VERSION_1_1)
        snprintf(why, n, "it offers Vulkan %s; 1.1 is needed", out->api_version);
    else if (!p->has_compute_queue)
        snprintf(why, n, "it has no compute queue");
    else if (out->memory_bytes == 0)
        snprintf(why, n, "it reports no memory (a driver's null hardware)");
    else if (properties->limits.maxPerStageDescriptorStorageBuffers < MAX_BINDINGS)
        snprintf(why, n, "it binds %u storage buffers to a shader; %d are needed",
                 properties->limits.maxPerStageDescriptorStorageBuffers, MAX_BINDINGS);
    else if (p->driver.driverID == VK_DRIVER_ID_MOLTENVK &&
             properties->driverVersion < MOLTENVK_1_3) /* arrays keep their default sizes */
        snprintf(why, n, "MoltenVK before 1.3 miscompiles specialised arrays");
    out->usable = why[0] == '\0';
}

static void format_uuid(const uint8_t *u, char *out) {
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        snprintf(out, 3, "%02x", u[i]);
        out += 2;
    }
}

void pd_vk_probe_describe(const pd_vk_probe *p, uint32_t index, pd_device_info *out) {
    const VkPhysicalDeviceProperties *properties = &p->properties.properties;
    const VkPhysicalDeviceLimits *limits = &properties->limits;
    uint32_t api = properties->apiVersion;
    *out = (pd_device_info){
        .kind = kind_of(properties->deviceType),
        .vendor_id = properties->vendorID,
        .device_id = properties->deviceID,
        .max_binding_bytes = limits->maxStorageBufferRange,
        .shared_memory_bytes = limits->maxComputeSharedMemorySize,
        .max_workgroup_size = limits->maxComputeWorkGroupInvocations,
    };
    snprintf(out->id, sizeof out->id, "vulkan:%u", index);
    snprintf(out->name, sizeof out->name, "%s", properties->deviceName);
    format_uuid(p->id.deviceUUID, out->uuid);
    if (p->driver.driverName[0])
        snprintf(out->driver, sizeof out->driver, "%.100s %.100s", p->driver.driverName,
                 p->driver.driverInfo);
    else
        snprintf(out->driver, sizeof out->driver, "version 0x%08x", properties->driverVersion);
    snprintf(out->api_version, sizeof out->api_version, "%u.%u.%u",
             (unsigned)VK_API_VERSION_MAJOR(api) & 0x7f, (unsigned)VK_API_VERSION_MINOR(api),
             (unsigned)VK_API_VERSION_PATCH(api));
    describe_memory(p, out);
    describe_features(p, out);
    describe_coopmats(p, out);
    describe_usability(p, out);
}

void pd_vk_describe(VkPhysicalDevice physical, uint32_t index, pd_device_info *out) {
    pd_vk_probe p;
    pd_vk_probe_read(physical, &p);
    pd_vk_probe_describe(&p, index, out);
    pd_vk_probe_release(&p);
}

static bool is_8_or_16(uint32_t n) {
    return n == 8 || n == 16;
}

/* Of the products of halves with sums in f32 that the kernels' tiles can be made of, the first of
 * the largest. */
static pd_vk_coopmat find_coopmat(const pd_vk_probe *p) {
    pd_vk_coopmat best = {0};
    for (uint32_t i = 0; i < p->n_coopmats; i++) {
        const VkCooperativeMatrixPropertiesKHR *c = &p->coopmats[i];
        if (c->scope == VK_SCOPE_SUBGROUP_KHR && !c->saturatingAccumulation &&
            c->AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            c->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            c->CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            c->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR && is_8_or_16(c->MSize) &&
            is_8_or_16(c->NSize) && is_8_or_16(c->KSize))
            if (c->MSize * c->NSize * c->KSize > best.m * best.n * best.k)
                best = (pd_vk_coopmat){c->MSize, c->NSize, c->KSize};
    }
    return best;
}

/* Their kernels hold halves, need whole subgroups of a known size (asked for, or the only one), and
 * beside them others write and read over the whole device, which the memory model has to allow. */
const char *pd_vk_probe_coopmat_obstacle(const pd_vk_probe *p, const pd_vk_caps *caps) {
    const VkPhysicalDeviceVulkanMemoryModelFeatures *model = &p->features.memory_model;
    if (!model->vulkanMemoryModel) return "the driver lacks vulkanMemoryModel";
    if (!model->vulkanMemoryModelDeviceScope)
        return "the driver lacks vulkanMemoryModelDeviceScope";
    if (!caps->fp16) return "the driver lacks shaderFloat16";
    bool one_size =
        caps->subgroup_size_min != 0 && caps->subgroup_size_min == caps->subgroup_size_max;
    if (!caps->subgroup_size_control && !one_size)
        return "the driver cannot be asked for a subgroup size";
    if (p->n_coopmats == 0) return "no shapes are listed, or they may not be asked for";
    if (caps->coopmat_shape.m == 0) return "none multiplies f16 to f32 in sides of 8 or 16";
    return NULL;
}

void pd_vk_probe_caps(const pd_vk_probe *p, pd_vk_caps *out) {
    const VkPhysicalDeviceProperties *properties = &p->properties.properties;
    const pd_vk_features *f = &p->features;
    const VkSubgroupFeatureFlags needed =
        VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    const VkShaderStageFlags compute = VK_SHADER_STAGE_COMPUTE_BIT;
    *out = (pd_vk_caps){
        .fp16 = f->small.shaderFloat16 != 0,
        .int_dot = f->int_dot.shaderIntegerDotProduct != 0,
        .int_dot_fast = p->int_dot.integerDotProduct4x8BitPackedSignedAccelerated != 0,
        .last_arrival = true,
        .large_coopmat = true,
        .many_products = true,
        .subgroup = (p->subgroup.supportedStages & compute) != 0 &&
                    (p->subgroup.supportedOperations & needed) == needed,
        .subgroup_size_control = f->subgroup_size.subgroupSizeControl != 0 &&
                                 f->subgroup_size.computeFullSubgroups != 0 &&
                                 (p->subgroup_size.requiredSubgroupSizeStages & compute) != 0,
        .timestamps = p->timestamp_bits > 0 && properties->limits.timestampPeriod > 0,
        .conditional = f->conditional.conditionalRendering != 0,
        .fault = f->fault.deviceFault != 0,
        .executable_info = f->executable_info.pipelineExecutableInfo != 0,
        .memory_budget = pd_vk_probe_has(p, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME),
        .is_software = properties->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU,
        .software_tiles = properties->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU,
        .subgroup_size = p->subgroup.subgroupSize,
        .subgroup_size_min = p->subgroup_size.minSubgroupSize,
        .subgroup_size_max = p->subgroup_size.maxSubgroupSize,
        .vendor_id = properties->vendorID,
        .max_workgroup_size = properties->limits.maxComputeWorkGroupInvocations,
        .max_subgroups = p->subgroup_size.maxComputeWorkgroupSubgroups,
        .max_shared_bytes = properties->limits.maxComputeSharedMemorySize,
        .timestamp_ns = properties->limits.timestampPeriod,
    };
    if (properties->limits.maxComputeWorkGroupSize[0] < out->max_workgroup_size)
        out->max_workgroup_size = properties->limits.maxComputeWorkGroupSize[0];
    out->coopmat_shape = find_coopmat(p);
    out->coopmat = f->coopmat.cooperativeMatrix && !pd_vk_probe_coopmat_obstacle(p, out);
    if (out->max_subgroups == 0) out->max_subgroups = UINT32_MAX; /* an older driver's silence */
    if (out->subgroup_size_min == 0) out->subgroup_size_min = out->subgroup_size;
    if (out->subgroup_size_max == 0) out->subgroup_size_max = out->subgroup_size;
}
