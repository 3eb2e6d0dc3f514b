/* What NVML does for a test: one card, which uses 1500 millijoules between two readings, and tells
 * its clock but no temperature.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

static int is_open;
static unsigned long long used = 1000000;

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device);
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules);
int nvmlDeviceGetClockInfo(void *device, unsigned which, unsigned *out);
int nvmlDeviceGetTemperature(void *device, unsigned which, unsigned *out);

int nvmlInit_v2(void) {
    is_open = 1;
    return 0;
}

int nvmlShutdown(void) {
    is_open = 0;
    return 0;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = &used;
    return !is_open || strcmp(uuid, "GPU-01234567-89ab-cdef-0123-456789abcdef") != 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    *millijoules = used += 1500;
    return device != &used;
}

int nvmlDeviceGetClockInfo(void *device, unsigned which, unsigned *out) {
    *out = 1980;
    return device != &used || which != 0;
}

int nvmlDeviceGetTemperature(void *device, unsigned which, unsigned *out) {
    (void)device;
    (void)which;
    *out = 0;
    return 3; /* NVML_ERROR_NOT_SUPPORTED */
}
