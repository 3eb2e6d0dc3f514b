/* See nvml.h. Its functions return 0 for success; handles are pointers.
 * SPDX-License-Identifier: MIT
 */
#include "measure/nvml.h"

#include <stdio.h>

#include "base/library.h"
#include "base/memory.h"

typedef int (*plain_fn)(void);
typedef int (*by_uuid_fn)(const char *uuid, void **device);
typedef int (*energy_fn)(void *device, unsigned long long *millijoules);
typedef int (*number_fn)(void *device, unsigned which, unsigned *out);

struct pd_nvml {
    pd_library *library;
    void *device;
    bool is_open; /* nvmlInit has succeeded */
};

/* Vulkan's UUID of a device is NVML's. */
static bool open_device(pd_nvml *n, const pd_device_info *d) {
    plain_fn init;
    by_uuid_fn by_uuid;
    char uuid[64];
    snprintf(uuid, sizeof uuid, "GPU-%.50s", d->uuid);
    if (!pd_library_find(n->library, "nvmlInit_v2", &init) ||
        !pd_library_find(n->library, "nvmlDeviceGetHandleByUUID", &by_uuid))
        return false;
    n->is_open = init() == 0;
    return n->is_open && by_uuid(uuid, &n->device) == 0;
}

pd_nvml *pd_nvml_open(const pd_device_info *d, const char *file) {
    pd_nvml *n = pd_alloc(1, sizeof *n);
    if (n) n->library = pd_library_open(file);
    if (n && n->library && open_device(n, d)) return n;
    pd_nvml_close(n);
    return NULL;
}

void pd_nvml_close(pd_nvml *n) {
    plain_fn shutdown;
    if (!n) return;
    if (n->is_open && pd_library_find(n->library, "nvmlShutdown", &shutdown)) (void)shutdown();
    if (n->library) pd_library_close(n->library);
    pd_free(n);
}

bool pd_nvml_joules(const pd_nvml *n, double *out) {
    energy_fn energy;
    unsigned long long millijoules;
    if (!pd_library_find(n->library, "nvmlDeviceGetTotalEnergyConsumption", &energy)) return false;
    if (energy(n->device, &millijoules) != 0) return false;
    *out = (double)millijoules / 1e3;
    return true;
}

static bool read_number(const pd_nvml *n, const char *function, double *out) {
    enum { GRAPHICS_CLOCK_OR_CORE_SENSOR = 0 };
    number_fn number;
    unsigned value;
    if (!pd_library_find(n->library, function, &number)) return false;
    if (number(n->device, GRAPHICS_CLOCK_OR_CORE_SENSOR, &value) != 0) return false;
    *out = (double)value;
    return true;
}

bool pd_nvml_mhz(const pd_nvml *n, double *out) {
    return read_number(n, "nvmlDeviceGetClockInfo", out);
}

bool pd_nvml_celsius(const pd_nvml *n, double *out) {
    return read_number(n, "nvmlDeviceGetTemperature", out);
}
