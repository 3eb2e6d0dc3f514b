/* See energy.h.  SPDX-License-Identifier: MIT */
#include "measure/energy.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/library.h"
#include "base/memory.h"
#include "measure/devices.h"
#include "measure/nvml.h"
#include "measure/sysfs.h"

enum { MAX_COUNTERS = 8 };

/* A file with a number that grows, in microjoules, and begins anew behind `range`. */
typedef struct counter {
    char path[PD_SYSFS_PATH];
    double last, range; /* range 0: it does not begin anew */
} counter;

struct pd_energy {
    const char *source;
    double joules;
    counter counters[MAX_COUNTERS];
    uint32_t n_counters;
    char power[PD_SYSFS_PATH]; /* a file with microwatts; "": none */
    uint64_t last_ns;          /* when that was read */
    pd_nvml *nvml;
    double nvml_last; /* joules */
};

/* ---- counters ------------------------------------------------------------------------------- */

static bool add_counter(pd_energy *e, const char *path, double range) {
    counter *c = &e->counters[e->n_counters];
    if (e->n_counters == MAX_COUNTERS || !pd_sysfs_number(path, &c->last)) return false;
    snprintf(c->path, sizeof c->path, "%s", path);
    c->range = range;
    e->n_counters++;
    return true;
}

static bool read_counters(pd_energy *e) {
    for (uint32_t i = 0; i < e->n_counters; i++) {
        counter *c = &e->counters[i];
        double now;
        if (!pd_sysfs_number(c->path, &now)) return false;
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
    if (!pd_sysfs_number(e->power, &microwatts)) return false;
    e->joules += microwatts / 1e6 * (double)(now - e->last_ns) / 1e9;
    e->last_ns = now;
    return true;
}

/* ---- processors ----------------------------------------------------------------------------- */

/* All packages; zones within them are part of them. */
static bool open_rapl(pd_energy *e, const char *sys) {
    char path[PD_SYSFS_PATH], name[64];
    for (int i = 0; i < PD_SYSFS_MOST; i++) {
        snprintf(path, sizeof path, "%.150s/class/powercap/intel-rapl:%d/name", sys, i);
        if (!pd_sysfs_line(path, name, sizeof name)) break;
        if (strncmp(name, "package", 7) != 0) continue;
        double range = 0;
        snprintf(path, sizeof path, "%.150s/class/powercap/intel-rapl:%d/max_energy_range_uj", sys,
                 i);
        (void)pd_sysfs_number(path, &range);
        snprintf(path, sizeof path, "%.150s/class/powercap/intel-rapl:%d/energy_uj", sys, i);
        if (!add_counter(e, path, range)) return false;
    }
    e->source = "RAPL";
    return e->n_counters > 0;
}

/* ---- cards ---------------------------------------------------------------------------------- */

static bool open_hwmon(pd_energy *e, const char *sys) {
    static const char *const powers[] = {"power1_average", "power1_input"};
    char path[PD_SYSFS_PATH];
    int card = pd_sysfs_hwmon(sys, pd_sysfs_cards);
    if (card < 0) return false;
    e->source = "hwmon";
    snprintf(path, sizeof path, "%.150s/class/hwmon/hwmon%d/energy1_input", sys, card);
    if (add_counter(e, path, 0)) return true;
    for (int i = 0; i < 2; i++) {
        double microwatts;
        snprintf(e->power, sizeof e->power, "%.150s/class/hwmon/hwmon%d/%s", sys, card, powers[i]);
        e->last_ns = pd_clock_ns();
        if (pd_sysfs_number(e->power, &microwatts)) return true;
    }
    return false;
}

/* ---- NVML ----------------------------------------------------------------------------------- */

static bool read_nvml(pd_energy *e) {
    double now;
    if (!pd_nvml_joules(e->nvml, &now)) return false;
    if (now > e->nvml_last) e->joules += now - e->nvml_last;
    e->nvml_last = now;
    return true;
}

static bool open_nvml(pd_energy *e, const pd_device_info *d, const char *file) {
    e->nvml = pd_nvml_open(d, file);
    if (e->nvml && read_nvml(e)) {
        e->joules = 0;
        e->source = "NVML";
        return true;
    }
    pd_nvml_close(e->nvml);
    e->nvml = NULL;
    return false;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool open_source(pd_energy *e, const pd_device_info *d, const char *sys, const char *nvml) {
    if (pd_device_is_cpu(d) || d->kind == PD_DEVICE_SOFTWARE) return open_rapl(e, sys);
    if (d->vendor_id == PD_NVML_VENDOR && open_nvml(e, d, nvml)) return true;
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
    return pd_energy_open_at(d, "/sys", PD_NVML_FILE);
}

void pd_energy_close(pd_energy *e) {
    if (!e) return;
    pd_nvml_close(e->nvml);
    pd_free(e);
}

const char *pd_energy_source(const pd_energy *e) {
    return e->source;
}

bool pd_energy_is_counter(const pd_energy *e) {
    return e->nvml || e->n_counters > 0;
}

double pd_energy_joules(pd_energy *e) {
    bool read = e->nvml                         ? read_nvml(e)
                : e->power[0] && !e->n_counters ? read_power(e)
                                                : read_counters(e);
    return read ? e->joules : -1;
}
