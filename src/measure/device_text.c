/* See device_text.h.  SPDX-License-Identifier: MIT */
#include "measure/device_text.h"

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
