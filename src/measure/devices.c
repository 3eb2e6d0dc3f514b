/* See devices.h.  SPDX-License-Identifier: MIT */
#include "measure/devices.h"

#include <stdio.h>
#include <string.h>

#include "base/words.h"

const char *pd_device_kind_name(pd_device_kind kind) {
    switch (kind) {
    case PD_DEVICE_CPU_REFERENCE: return "cpu reference";
    case PD_DEVICE_CPU: return "cpu";
    case PD_DEVICE_GPU_DISCRETE: return "discrete gpu";
    case PD_DEVICE_GPU_INTEGRATED: return "integrated gpu";
    case PD_DEVICE_GPU_VIRTUAL: return "virtual gpu";
    case PD_DEVICE_SOFTWARE: return "software";
    }
    return "unknown";
}

bool pd_device_is_cpu(const pd_device_info *d) {
    return d->kind == PD_DEVICE_CPU || d->kind == PD_DEVICE_CPU_REFERENCE;
}

bool pd_device_fits(const pd_device_info *d, const char *wish) {
    const char *name = wish;
    if (pd_same_in_any_case(d->id, wish)) return true;
    if (pd_device_is_cpu(d)) return false;
    if (pd_same_in_any_case(wish, "vulkan")) return true;
    if (pd_same_n_in_any_case(wish, "vulkan:", strlen("vulkan:"))) name += strlen("vulkan:");
    return name[0] && (pd_find_in_any_case(d->name, name) || pd_find_in_any_case(d->uuid, name));
}

void pd_cpu_name(char *out, size_t size) {
    pd_device_info list[2]; /* the CPU's two come first */
    uint32_t n = 0;
    out[0] = '\0';
    if (pd_device_list(list, 2, &n, NULL, NULL) != PD_OK) return;
    for (uint32_t i = 0; i < 2 && i < n; i++)
        if (list[i].kind == PD_DEVICE_CPU) snprintf(out, size, "%s", list[i].name);
}

void pd_device_features(const pd_device_info *d, pd_device_feature out[PD_DEVICE_N_FEATURES]) {
    const pd_device_feature all[PD_DEVICE_N_FEATURES] = {
        {"subgroup_arithmetic", d->has_subgroup_arithmetic},
        {"fp16", d->has_fp16},
        {"int8", d->has_int8},
        {"int_dot", d->has_int_dot},
        {"int_dot_fast", d->has_int_dot_fast},
        {"coopmat", d->has_coopmat},
        {"timestamps", d->has_timestamps},
        {"memory_budget", d->has_memory_budget},
        {"unified_memory", d->has_unified_memory}};
    for (int i = 0; i < PD_DEVICE_N_FEATURES; i++) out[i] = all[i];
}

void pd_devices_measure(const pd_device_info *list, uint32_t n, pd_device_measurement *out) {
    for (uint32_t i = 0; i < n; i++) {
        pd_error err;
        out[i] = (pd_device_measurement){0};
        if (!list[i].usable || list[i].kind == PD_DEVICE_CPU_REFERENCE) continue;
        out[i].done = pd_device_measure(list[i].id, 0, &out[i].speed, &err) == PD_OK;
        if (!out[i].done) snprintf(out[i].failure, sizeof out[i].failure, "%s", err.message);
    }
}
