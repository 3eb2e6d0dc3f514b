/* What a device is, in words.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_DEVICE_TEXT_H
#define PD_MEASURE_DEVICE_TEXT_H

#include "peridot.h"

const char *pd_device_kind_name(pd_device_kind kind); /* "discrete gpu" */
bool pd_device_is_cpu(const pd_device_info *d);
/* Whether a pd_model_desc.device of that text can mean it; a text may fit several. */
bool pd_device_fits(const pd_device_info *d, const char *wish);
/* The processor's name, or nothing. */
void pd_cpu_name(char *out, size_t size);

typedef struct pd_device_feature {
    const char *name; /* "fp16" */
    bool has;
} pd_device_feature;
enum { PD_DEVICE_N_FEATURES = 9 };
void pd_device_features(const pd_device_info *d, pd_device_feature out[PD_DEVICE_N_FEATURES]);

#endif
