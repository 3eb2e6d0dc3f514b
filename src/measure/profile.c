/* See profile.h.  SPDX-License-Identifier: MIT */
#include "measure/profile.h"

#include <stdio.h>
#include <string.h>

/* The row of that name, made when it is new; NULL when there is no room for it. */
static pd_profile_kind *find_kind(pd_kind_profile *p, const char *name) {
    for (uint32_t i = 0; i < p->n; i++)
        if (!strcmp(p->kinds[i].name, name)) return &p->kinds[i];
    if (p->n == PD_MAX_PROFILE_KINDS) return NULL;
    pd_profile_kind *k = &p->kinds[p->n++];
    snprintf(k->name, sizeof k->name, "%s", name);
    return k;
}

void pd_profile_add(pd_kind_profile *p, const pd_profile_op *op) {
    pd_profile_kind *k = find_kind(p, op->kind);
    p->total_ns += op->ns;
    if (!k) return;
    k->n_ops++;
    k->ns += op->ns;
    k->bytes += op->bytes;
    k->flops += op->flops;
    k->flops_of[op->peak] += op->flops * (op->passes ? op->passes : 1);
}

pd_profile_kind pd_profile_sum(const pd_kind_profile *p) {
    pd_profile_kind sum = {.name = "all", .ns = p->total_ns};
    for (uint32_t i = 0; i < p->n; i++) {
        sum.n_ops += p->kinds[i].n_ops;
        sum.bytes += p->kinds[i].bytes;
        sum.flops += p->kinds[i].flops;
        for (int f = 0; f <= PD_PEAK_COUNT; f++) sum.flops_of[f] += p->kinds[i].flops_of[f];
    }
    return sum;
}

static double memory_percent(double gb_s, const pd_profile_kind *k) {
    double at_best_ns = gb_s > 0 ? (double)k->bytes / gb_s : 0;
    return k->ns ? 100 * at_best_ns / (double)k->ns : 0;
}

double pd_profile_copy_percent(const pd_device_speed *speed, const pd_profile_kind *k) {
    return memory_percent(speed->copy_gb_s, k);
}

double pd_profile_read_percent(const pd_device_speed *speed, const pd_profile_kind *k) {
    return memory_percent(speed->read_gb_s, k);
}

double pd_profile_peak_percent(const pd_device_speed *speed, const pd_profile_kind *k) {
    double at_best_ns = 0;
    for (int i = 0; i <= PD_PEAK_COUNT; i++) {
        double peak = speed->gflop_s[i < PD_PEAK_COUNT ? i : (int)speed->best];
        if (peak > 0) at_best_ns += k->flops_of[i] / peak;
    }
    return k->ns ? 100 * at_best_ns / (double)k->ns : 0;
}
