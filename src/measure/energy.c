/* See energy.h.  SPDX-License-Identifier: MIT */
#include "measure/energy.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "measure/devices.h"

enum { MAX_COUNTERS = 8, MAX_SEARCHED = 64, PATH_BYTES = 256 };

/* A file with a number that grows, in microjoules, and begins anew behind `range`. */
typedef struct counter {
    char path[PATH_BYTES];
    double last, range; /* range 0: it does not begin anew */
} counter;

struct pd_energy {
    const char *source;
    double joules;
    counter counters[MAX_COUNTERS];
    uint32_t n_counters;
    char power[PATH_BYTES]; /* a file with microwatts; "": none */
    uint64_t last_ns;       /* when that was read */
    void *library;          /* NVML, opened and initialised */
    void *nvml_device;
    double nvml_last; /* millijoules */
};

/* ---- files ---------------------------------------------------------------------------------- */

static bool read_line(const char *path, char *out, int size) {
    FILE *f = fopen(path, "r");
    bool read = f && fgets(out, size, f);
    if (f) fclose(f);
    if (read) out[strcspn(out, "\n")] = '\0';
    return read;
}

static bool read_number(const char *path, double *out) {
    char text[64];
    return read_line(path, text, sizeof text) && sscanf(text, "%lf", out) == 1;
}

static bool add_counter(pd_energy *e, const char *path, double range) {
    counter *c = &e->counters[e->n_counters];
    if (e->n_counters == MAX_COUNTERS || !read_number(path, &c->last)) return false;
    snprintf(c->path, sizeof c->path, "%s", path);
    c->range = range;
    e->n_counters++;
    return true;
}

static bool read_counters(pd_energy *e) {
    for (uint32_t i = 0; i < e->n_counters; i++) {
        counter *c = &e->counters[i];
        double now;
        if (!read_number(c->path, &now)) return false;
        double used = now - c->last;
        if (used < 0) used += c->range;
        if (used > 0) e->joules += used / 1e6;
        c->last = now;
    }
    return true;
}

static bool read_power(pd_energy *e) {
    double microwatts;
    uint64_t now = pd_clock_ns();
    if (!read_number(e->power, &microwatts)) return false;
    e->joules += microwatts / 1e6 * (double)(now - e->last_ns) / 1e9;
    e->last_ns = now;
    return true;
}

/* ---- processors ----------------------------------------------------------------------------- */

/* All packages; zones within them are part of them. */
static bool open_rapl(pd_energy *e, const char *sys) {
    char path[PATH_BYTES], name[64];
    for (int i = 0; i < MAX_SEARCHED; i++) {
        snprintf(path, sizeof path, "%.150s/class/powercap/intel-rapl:%d/name", sys, i);
        if (!read_line(path, name, sizeof name)) break;
        if (strncmp(name, "package", 7) != 0) continue;
        double range = 0;
        snprintf(path, sizeof path, "%.150s/class/powercap/intel-rapl:%d/max_energy_range_uj", sys,
                 i);
        (void)read_number(path, &range);
        snprintf(path, sizeof path, "%.150s/class/powercap/intel-rapl:%d/energy_uj", sys, i);
        if (!add_counter(e, path, range)) return false;
    }
    e->source = "RAPL";
    return e->n_counters > 0;
}

/* ---- cards ---------------------------------------------------------------------------------- */

static bool is_card(const char *driver) {
    return !strcmp(driver, "amdgpu") || !strcmp(driver, "i915") || !strcmp(driver, "xe") ||
           !strcmp(driver, "nouveau");
}

/* The only card's number; -1: there is none, or there are several. */
static int find_card(const char *sys) {
    char path[PATH_BYTES], name[64];
    int found = -1;
    for (int i = 0; i < MAX_SEARCHED; i++) {
        snprintf(path, sizeof path, "%.150s/class/hwmon/hwmon%d/name", sys, i);
        if (!read_line(path, name, sizeof name) || !is_card(name)) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

static bool open_hwmon(pd_energy *e, const char *sys) {
    static const char *const powers[] = {"power1_average", "power1_input"};
    char path[PATH_BYTES];
    int card = find_card(sys);
    if (card < 0) return false;
    e->source = "hwmon";
    snprintf(path, sizeof path, "%.150s/class/hwmon/hwmon%d/energy1_input", sys, card);
    if (add_counter(e, path, 0)) return true;
    for (int i = 0; i < 2; i++) {
        double microwatts;
        snprintf(e->power, sizeof e->power, "%.150s/class/hwmon/hwmon%d/%s", sys, card, powers[i]);
        e->last_ns = pd_clock_ns();
        if (read_number(e->power, &microwatts)) return true;
    }
    return false;
}

/* ---- NVML ----------------------------------------------------------------------------------- */

/* Its functions return 0 for success; handles are pointers. */
typedef int (*nvml_plain)(void);
typedef int (*nvml_by_uuid)(const char *uuid, void **device);
typedef int (*nvml_energy)(void *device, unsigned long long *millijoules);

/* A pointer to data made one to a function, which POSIX allows and C has no cast for. */
static bool find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol;
}

static bool read_nvml(pd_energy *e) {
    nvml_energy energy;
    unsigned long long now;
    if (!find(e->library, "nvmlDeviceGetTotalEnergyConsumption", &energy)) return false;
    if (energy(e->nvml_device, &now) != 0) return false;
    if ((double)now > e->nvml_last) e->joules += ((double)now - e->nvml_last) / 1e3;
    e->nvml_last = (double)now;
    return true;
}

/* Vulkan's UUID of a device is NVML's. */
static bool open_nvml(pd_energy *e, const pd_device_info *d, const char *file) {
    nvml_plain init;
    nvml_by_uuid by_uuid;
    char uuid[64];
    e->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!e->library) return false;
    bool there = find(e->library, "nvmlInit_v2", &init) &&
                 find(e->library, "nvmlDeviceGetHandleByUUID", &by_uuid);
    snprintf(uuid, sizeof uuid, "GPU-%.50s", d->uuid);
    there = there && init() == 0 && by_uuid(uuid, &e->nvml_device) == 0 && read_nvml(e);
    e->joules = 0;
    e->source = "NVML";
    if (!there) e->nvml_device = NULL;
    return there;
}

static void close_nvml(pd_energy *e) {
    nvml_plain shutdown;
    if (find(e->library, "nvmlShutdown", &shutdown)) (void)shutdown();
    dlclose(e->library);
}

/* ---- all of them ---------------------------------------------------------------------------- */

enum { VENDOR_NVIDIA = 0x10de };

static bool open_source(pd_energy *e, const pd_device_info *d, const char *sys, const char *nvml) {
    if (pd_device_is_cpu(d) || d->kind == PD_DEVICE_SOFTWARE) return open_rapl(e, sys);
    if (d->vendor_id == VENDOR_NVIDIA && open_nvml(e, d, nvml)) return true;
    return open_hwmon(e, sys);
}

pd_energy *pd_energy_open_at(const pd_device_info *d, const char *sys, const char *nvml) {
    pd_energy *e = pd_alloc(1, sizeof *e);
    if (!e) return NULL;
    if (open_source(e, d, sys, nvml)) return e;
    pd_energy_close(e);
    return NULL;
}

pd_energy *pd_energy_open(const pd_device_info *d) {
    return pd_energy_open_at(d, "/sys", "libnvidia-ml.so.1");
}

void pd_energy_close(pd_energy *e) {
    if (!e) return;
    if (e->library) close_nvml(e);
    pd_free(e);
}

const char *pd_energy_source(const pd_energy *e) {
    return e->source;
}

double pd_energy_joules(pd_energy *e) {
    bool read = e->nvml_device                  ? read_nvml(e)
                : e->power[0] && !e->n_counters ? read_power(e)
                                                : read_counters(e);
    return read ? e->joules : -1;
}
