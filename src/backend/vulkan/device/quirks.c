/* What not to use although a driver offers it: known faults, and the user's PERIDOT_DISABLE.
 *
 * One row per fault: which drivers, what is dropped, and why, with the month in which the reason
 * was last checked. A row leaves the table when a driver version is known to be good, by giving it
 * `fixed_in`. PERIDOT_DISABLE is a comma-separated list of the words in features.h; every word
 * is also a way to run the tests, since results must stay within tolerance without it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/device/probe.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/env.h"
#include "base/log.h"
#include "base/words.h"

static const struct feature {
    const char *word;   /* of PERIDOT_DISABLE; NULL: none */
    size_t field;       /* offset in pd_vk_caps */
    unsigned goes_with; /* any of these: itself, and what it needs */
} features[] = {
#define FEATURE(NAME, field, word, needs, found_out)                                               \
    {word, offsetof(pd_vk_caps, field), PD_VK_DROP_##NAME | (needs)},
    PD_VK_FEATURES(FEATURE)
#undef FEATURE
};
enum { N_FEATURES = sizeof features / sizeof features[0] };

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
     .drop = PD_VK_DROP_SUBGROUP,
     .reason = "2026-11: creating pipelines with subgroup operations fails on Adreno"},
    {.driver_id = VK_DRIVER_ID_QUALCOMM_PROPRIETARY,
     .drop = PD_VK_DROP_COOPMAT,
     .reason = "2026-11: recent parts only, and unproven"},
    {.driver_id = VK_DRIVER_ID_MESA_TURNIP,
     .device_before = ADRENO_7XX,
     .drop = PD_VK_DROP_MANY_PRODUCTS,
     .reason = "2026-11: all loads of an unrolled product come first and spill (Mesa 26.1.6)"},
    {.driver_id = VK_DRIVER_ID_MOLTENVK,
     .vendor_id = VENDOR_AMD,
     .drop = PD_VK_DROP_SUBGROUP,
     .reason = "2026-11: subgroup arithmetic gives wrong results on AMD Macs"},
    {.driver_id = VK_DRIVER_ID_MOLTENVK,
     .drop = PD_VK_DROP_LAST_ARRIVAL,
     .reason = "2026-11: Metal orders no memory between workgroups of one dispatch"},
    {.driver_id = VK_DRIVER_ID_IMAGINATION_PROPRIETARY,
     .drop = PD_VK_DROP_SUBGROUP,
     .reason = "2026-11: the firmware crashes with subgroups of 128"},
    {.driver_id = VK_DRIVER_ID_AMD_PROPRIETARY,
     .no_mixed_dot = true,
     .drop = PD_VK_DROP_COOPMAT,
     .reason = "2026-11: before RDNA 3 advertised without matrix units"},
    {.driver_id = VK_DRIVER_ID_AMD_PROPRIETARY,
     .drop = PD_VK_DROP_LARGE_COOPMAT,
     .reason = "2026-11: large tiles of cooperative matrices are slow"},
    {.driver_id = VK_DRIVER_ID_AMD_OPEN_SOURCE,
     .drop = PD_VK_DROP_COOPMAT,
     .reason = "2026-11: querying the matrix shapes crashes on some APUs"},
    {.driver_id = VK_DRIVER_ID_MESA_LLVMPIPE,
     .smallest_subgroup = 16,
     .drop = PD_VK_DROP_COOPMAT,
     .reason =
         "2026-11: its compiler crashes on matrices in subgroups of 16 (Mesa 26.1.6, 26.2.6)"},
    {.vendor_id = VENDOR_INTEL,
     .smallest_subgroup = 8,
     .drop = PD_VK_DROP_COOPMAT,
     .reason = "2026-11: before Xe2 (smallest subgroup 16) slower than without, or emulated"},
};

static void drop_caps(pd_vk_caps *caps, unsigned drop) {
    for (uint32_t i = 0; i < N_FEATURES; i++)
        if (drop & features[i].goes_with) *(bool *)((char *)caps + features[i].field) = false;
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
    char known[256] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < N_FEATURES && used < sizeof known; i++)
        if (features[i].word)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                     features[i].word);
    return PD_RAISE(err, PD_ERR_ARGUMENT, "PERIDOT_DISABLE names \"%.*s\"; known are %s",
                    (int)(n < 64 ? n : 64), word, known);
}

static pd_status parse_disable(const char *list, unsigned *drop, pd_error *err) {
    const char *word;
    size_t n;
    *drop = 0;
    while ((word = pd_next_word(&list, &n))) {
        uint32_t i = 0;
        while (i < N_FEATURES && !(features[i].word && pd_word_is(word, n, features[i].word))) i++;
        if (i == N_FEATURES) return raise_unknown(word, n, err);
        *drop |= 1u << i;
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
    const char *text = pd_env(variable);
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
    PD_TRY(pd_vk_caps_disable(caps, pd_env("PERIDOT_DISABLE"), err));
    return lower_limits(caps, err);
}

bool pd_vk_quirks_allow_coopmat(const pd_vk_probe *p) {
    unsigned drop;
    if (parse_disable(pd_env("PERIDOT_DISABLE"), &drop, NULL) != PD_OK) return false;
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++)
        if (quirk_matches(&quirks[i], p)) drop |= quirks[i].drop;
    return (drop & features[PD_VK_FEATURE_COOPMAT].goes_with) == 0;
}
