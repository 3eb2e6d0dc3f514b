/* Where time goes, by kind of operation.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_PROFILE_H
#define PD_MEASURE_PROFILE_H

#include "peridot_measure.h"

enum { PD_MAX_PROFILE_KINDS = 32 };

/* What one kind of operation took in a step, over all layers; see pd_profile_op. */
typedef struct pd_profile_kind {
    char name[32]; /* "gate_up", "attention", ... */
    uint32_t n_ops;
    uint64_t ns, bytes;
    double flops;
    double flops_of[PD_PEAK_COUNT + 1]; /* by pd_profile_op.peak, as often as they take passes */
} pd_profile_kind;

typedef struct pd_kind_profile {
    pd_profile_kind kinds[PD_MAX_PROFILE_KINDS]; /* in the order of the plan */
    uint32_t n;
    uint64_t total_ns;
} pd_kind_profile;

void pd_profile_add(pd_kind_profile *p, const pd_profile_op *op);

/* All kinds as one row, "all". */
pd_profile_kind pd_profile_sum(const pd_kind_profile *p);

/* Of the device's copy bandwidth and of its matrix peak, in per cent. */
double pd_profile_copy_percent(const pd_device_speed *speed, const pd_profile_kind *k);
/* Of what the device reads; 0: not measured. */
double pd_profile_read_percent(const pd_device_speed *speed, const pd_profile_kind *k);
double pd_profile_peak_percent(const pd_device_speed *speed, const pd_profile_kind *k);

#endif
