/* The account of the CPU's memory.  SPDX-License-Identifier: MIT */
#include "backend/cpu/cpu.h"

uint64_t pd_cpu_held_bytes(const pd_cpu *cpu) {
    return cpu->stats.weight_bytes + cpu->stats.kv_bytes + cpu->stats.scratch_bytes;
}

/* What is held with `bytes` more; UINT64_MAX: more than can be counted. */
static uint64_t total_with(const pd_cpu *cpu, uint64_t bytes) {
    uint64_t total;
    return pd_add_u64(pd_cpu_held_bytes(cpu), bytes, &total) ? total : UINT64_MAX;
}

pd_status pd_cpu_check(const pd_cpu *cpu, const char *what, uint64_t bytes, pd_error *err) {
    uint64_t total = total_with(cpu, bytes), limit = cpu->stats.limit_bytes;
    bool beyond = limit && total > limit && !cpu->counts_only;
    if (total < UINT64_MAX && !beyond) return PD_OK;
    const double mib = 1048576.0;
    return PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                    "with %.1f MiB of %s the model needs %.1f MiB, the limit is %.1f MiB: "
                    "%.1f MiB are missing",
                    (double)bytes / mib, what, (double)total / mib, (double)limit / mib,
                    (double)(total - limit) / mib);
}

pd_status pd_cpu_reserve(pd_cpu *cpu, const char *what, uint64_t *field, uint64_t bytes,
                         pd_error *err) {
    PD_TRY(pd_cpu_check(cpu, what, bytes, err));
    uint64_t total = total_with(cpu, bytes);
    *field += bytes;
    if (total > cpu->stats.peak_bytes) cpu->stats.peak_bytes = total;
    return PD_OK;
}
