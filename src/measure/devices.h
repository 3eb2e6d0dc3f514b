/* What devices are, in words, and how fast.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_DEVICES_H
#define PD_MEASURE_DEVICES_H

#include "peridot_measure.h"

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

typedef struct pd_device_measurement {
    bool done;
    pd_device_speed speed;
    char failure[512]; /* why it is not done; empty: nobody tried */
} pd_device_measurement;
/* All that can be used but for the reference, which is the same processor. A device that fails does
 * not stop the others. */
void pd_devices_measure(const pd_device_info *list, uint32_t n, pd_device_measurement *out);

#endif
