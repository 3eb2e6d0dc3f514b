/* What not to use although a driver offers it: known faults, and the user's PERIDOT_DISABLE.
 *
 * One row per fault: which drivers, what is dropped, and why, with the month in which the reason
 * was last checked. A row leaves the table when a driver version is known to be good, by giving it
 * `fixed_in`. PERIDOT_DISABLE is a comma-separated list of the same capabilities' names; every name
 * is also a way to run the tests, since results must stay within tolerance without it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/device/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum {
    DROP_FP16 = 1 << 0,
    DROP_INT_DOT = 1 << 1,
    DROP_SUBGROUP = 1 << 2,
    DROP_COOPMAT = 1 << 3,
    DROP_TIMESTAMPS = 1 << 4,
    DROP_SOFTWARE_TILES = 1 << 5, /* a rasteriser then runs what GPUs run */
    DROP_LAST_ARRIVAL = 1 << 6,
    DROP_LARGE_COOPMAT = 1 << 7,
    DROP_CONDITIONAL = 1 << 8,
    DROP_MANY_PRODUCTS = 1 << 9,
    /* cooperative matrices are a subgroup's and hold halves */
    DROP_WITH_COOPMAT = DROP_COOPMAT | DROP_SUBGROUP | DROP_FP16
};

typedef struct quirk {
    uint32_t driver_id;     /* VkDriverId; 0: any */
    uint32_t vendor_id;     /* 0: any */
    uint32_t device_before; /* only device ids below; 0: any. Adreno's begin with the generation */
    uint32_t smallest_subgroup; /* only where the smallest subgroup is this; 0: any */
    bool no_mixed_dot;          /* only without fast products of signed and unsigned bytes, which
                                   AMD's chips have from RDNA 3 on */
    uint32_t fixed_in;          /* driverVersion from which the fault is gone; 0: never */
    unsigned drop;
    const char *reason;
} quirk;

enum { VENDOR_AMD = 0x1002, VENDOR_INTEL = 0x8086, ADRENO_7XX = 0x07000000 };

static const quirk quirks[] = {
    {.driver_id = VK_DRIVER_ID_QUALCOMM_PROPRIETARY,
     .drop = DROP_SUBGROUP,
     .reason = "2026-11: creating pipelines with subgroup operations fails on Adreno"},
    {.driver_id = VK_DRIVER_ID_QUALCOMM_PROPRIETARY,
     .drop = DROP_COOPMAT,
     .reason = "2026-11: recent parts only, and unproven"},
    {.driver_id = VK_DRIVER_ID_MESA_TURNIP,
     .device_before = ADRENO_7XX,
     .drop = DROP_MANY_PRODUCTS,
     .reason = "2026-11: all loads of an unrolled product come first and spill (Mesa 26.1.6)"},
    {.driver_id = VK_DRIVER_ID_MOLTENVK,
     .vendor_id = VENDOR_AMD,
     .drop = DROP_SUBGROUP,
     .reason = "2026-11: subgroup arithmetic gives wrong results on AMD Macs"},
    {.driver_id = VK_DRIVER_ID_MOLTENVK,
     .drop = DROP_LAST_ARRIVAL,
     .reason = "2026-11: Metal orders no memory between workgroups of one dispatch"},
    {.driver_id = VK_DRIVER_ID_IMAGINATION_PROPRIETARY,
     .drop = DROP_SUBGROUP,
     .reason = "2026-11: the firmware crashes with subgroups of 128"},
    {.driver_id = VK_DRIVER_ID_AMD_PROPRIETARY,
     .no_mixed_dot = true,
     .drop = DROP_COOPMAT,
     .reason = "2026-11: before RDNA 3 advertised without matrix units"},
    {.driver_id = VK_DRIVER_ID_AMD_PROPRIETARY,
     .drop = DROP_LARGE_COOPMAT,
     .reason = "2026-11: large tiles of cooperative matrices are slow"},
    {.driver_id = VK_DRIVER_ID_AMD_OPEN_SOURCE,
     .drop = DROP_COOPMAT,
     .reason = "2026-11: querying the matrix shapes crashes on some APUs"},
    {.driver_id = VK_DRIVER_ID_MESA_LLVMPIPE,
     .smallest_subgroup = 16,
     .drop = DROP_COOPMAT,
     .reason =
         "2026-11: its compiler crashes on matrices in subgroups of 16 (Mesa 26.1.6, 26.2.6)"},
    {.vendor_id = VENDOR_INTEL,
     .smallest_subgroup = 8,
     .drop = DROP_COOPMAT,
     .reason = "2026-11: before Xe2 (smallest subgroup 16) slower than without, or emulated"},
};

typedef struct capability_name {
    const char *name;
    unsigned drop;
} capability_name;

static const capability_name names[] = {
    {"fp16", DROP_FP16},
    {"int8dot", DROP_INT_DOT},
    {"subgroup", DROP_SUBGROUP},
    {"coopmat", DROP_COOPMAT},
    {"timestamps", DROP_TIMESTAMPS},
    {"conditional", DROP_CONDITIONAL},
    {"software-tiles", DROP_SOFTWARE_TILES},
    {"last-arrival", DROP_LAST_ARRIVAL},
    {"many-products", DROP_MANY_PRODUCTS},
};
enum { N_NAMES = sizeof names / sizeof names[0] };

static void drop_caps(pd_vk_caps *caps, unsigned drop) {
    if (drop & DROP_FP16) caps->fp16 = false;
    if (drop & DROP_INT_DOT) caps->int_dot = false;
    if (drop & DROP_SUBGROUP) caps->subgroup = caps->subgroup_size_control = false;
    if (drop & DROP_WITH_COOPMAT) caps->coopmat = false;
    if (drop & DROP_LARGE_COOPMAT) caps->coopmat_small_tiles = true;
    if (drop & DROP_MANY_PRODUCTS) caps->few_products = true;
    if (drop & DROP_TIMESTAMPS) caps->timestamps = false;
    if (drop & DROP_CONDITIONAL) caps->conditional = false;
    if (drop & DROP_SOFTWARE_TILES) caps->software_tiles = false;
    if (drop & DROP_LAST_ARRIVAL) caps->last_arrival = false;
}

static bool quirk_matches(const quirk *q, const pd_vk_probe *p) {
    const VkPhysicalDeviceProperties *properties = &p->properties.properties;
    if (q->driver_id && q->driver_id != (uint32_t)p->driver.driverID) return false;
    if (q->vendor_id && q->vendor_id != properties->vendorID) return false;
    if (q->device_before && properties->deviceID >= q->device_before) return false;
    if (q->smallest_subgroup && q->smallest_subgroup != p->subgroup_size.minSubgroupSize)
        return false;
    if (q->no_mixed_dot && p->int_dot.integerDotProduct4x8BitPackedMixedSignednessAccelerated)
        return false;
    return q->fixed_in == 0 || properties->driverVersion < q->fixed_in;
}

static pd_status raise_unknown(const char *word, size_t n, pd_error *err) {
    char known[128] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < N_NAMES && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 names[i].name);
    return PD_RAISE(err, PD_ERR_ARGUMENT, "PERIDOT_DISABLE names \"%.*s\"; known are %s",
                    (int)(n < 64 ? n : 64), word, known);
}

static pd_status parse_disable(const char *text, unsigned *drop, pd_error *err) {
    *drop = 0;
    for (const char *p = text; *p; p += *p == ',') {
        size_t n = strcspn(p, ",");
        uint32_t i = 0;
        while (i < N_NAMES && (strlen(names[i].name) != n || strncmp(names[i].name, p, n) != 0))
            i++;
        if (i == N_NAMES && n > 0) return raise_unknown(p, n, err);
        if (n > 0) *drop |= names[i].drop;
        p += n;
    }
    return PD_OK;
}

pd_status pd_vk_caps_disable(pd_vk_caps *caps, const char *names_of_caps, pd_error *err) {
    unsigned drop;
    PD_TRY(parse_disable(names_of_caps, &drop, err));
    drop_caps(caps, drop);
    return PD_OK;
}

/* The number of bytes in a variable; `most` without one. */
static pd_status read_limit(const char *variable, uint64_t most, uint64_t *limit, pd_error *err) {
    const char *text = getenv(variable);
    *limit = most;
    if (!text || !text[0]) return PD_OK;
    char *end;
    unsigned long long bytes = strtoull(text, &end, 10);
    if (*end || bytes == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is \"%s\", but must be a number of bytes",
                        variable, text);
    if (bytes < most) *limit = bytes;
    return PD_OK;
}

/* They let any device show that tensors larger than a binding work, and kernels in the least of
 * shared memory. */
static pd_status lower_limits(pd_vk_caps *caps, pd_error *err) {
    uint64_t shared;
    PD_TRY(
        read_limit("PERIDOT_MAX_BINDING", caps->max_binding_bytes, &caps->max_binding_bytes, err));
    PD_TRY(read_limit("PERIDOT_MAX_SHARED", caps->max_shared_bytes, &shared, err));
    caps->max_shared_bytes = (uint32_t)shared;
    return PD_OK;
}

pd_status pd_vk_quirks_apply(const pd_vk_probe *p, pd_vk_caps *caps, pd_error *err) {
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++) {
        if (!quirk_matches(&quirks[i], p)) continue;
        pd_log(PD_LOG_INFO, "vulkan", "quirk of %s: %s", p->properties.properties.deviceName,
               quirks[i].reason);
        drop_caps(caps, quirks[i].drop);
    }
    const char *disable = getenv("PERIDOT_DISABLE");
    PD_TRY(pd_vk_caps_disable(caps, disable ? disable : "", err));
    return lower_limits(caps, err);
}

bool pd_vk_quirks_allow_coopmat(const pd_vk_probe *p) {
    const char *disable = getenv("PERIDOT_DISABLE");
    unsigned drop;
    if (parse_disable(disable ? disable : "", &drop, NULL) != PD_OK) return false;
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++)
        if (quirk_matches(&quirks[i], p)) drop |= quirks[i].drop;
    return (drop & DROP_WITH_COOPMAT) == 0;
}
