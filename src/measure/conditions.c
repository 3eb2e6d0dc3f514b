/* See conditions.h.  SPDX-License-Identifier: MIT */
#include "measure/conditions.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/library.h"
#include "measure/devices.h"
#include "measure/nvml.h"
#include "measure/sysfs.h"

/* ---- the machine ---------------------------------------------------------------------------- */

/* Chargers and batteries have names that manufacturers make up. */
static void read_power(const char *sys, char out[16]) {
    static const char *const chargers[] = {"AC", "AC0", "ACAD", "ADP0", "ADP1", "AC1"};
    char path[PD_SYSFS_PATH];
    for (size_t i = 0; i < sizeof chargers / sizeof *chargers; i++) {
        double online;
        snprintf(path, sizeof path, "%.150s/class/power_supply/%s/online", sys, chargers[i]);
        if (!pd_sysfs_number(path, &online)) continue;
        if (online > 0 || !out[0]) snprintf(out, 16, online > 0 ? "mains" : "battery");
    }
}

static void read_machine(const char *sys, pd_conditions *out) {
    char path[PD_SYSFS_PATH];
    snprintf(path, sizeof path, "%.150s/devices/system/cpu/cpu0/cpufreq/scaling_governor", sys);
    (void)pd_sysfs_line(path, out->governor, sizeof out->governor);
    snprintf(path, sizeof path, "%.150s/firmware/acpi/platform_profile", sys);
    (void)pd_sysfs_line(path, out->profile, sizeof out->profile);
    read_power(sys, out->power);
    out->load = pd_system_load();
}

/* ---- the device ----------------------------------------------------------------------------- */

/* Of the fastest processor. */
static double processor_mhz(const char *sys) {
    char path[PD_SYSFS_PATH];
    double khz, most = 0;
    for (int i = 0; i < 4096; i++) {
        snprintf(path, sizeof path, "%.150s/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", sys,
                 i);
        if (!pd_sysfs_number(path, &khz)) break;
        if (khz > most) most = khz;
    }
    return most / 1e3;
}

static double hwmon_number(const char *sys, int hwmon, const char *file, double unit) {
    char path[PD_SYSFS_PATH];
    double value;
    snprintf(path, sizeof path, "%.150s/class/hwmon/hwmon%d/%s", sys, hwmon, file);
    return hwmon >= 0 && pd_sysfs_number(path, &value) ? value / unit : 0;
}

static void read_processor(const char *sys, pd_conditions *out) {
    static const char *const sensors[] = {"k10temp", "zenpower", "coretemp", "cpu_thermal", NULL};
    out->mhz = processor_mhz(sys);
    out->celsius = hwmon_number(sys, pd_sysfs_hwmon(sys, sensors), "temp1_input", 1e3);
}

static bool read_nvidia(const pd_device_info *d, const char *file, pd_conditions *out) {
    pd_nvml *n = pd_nvml_open(d, file);
    if (!n) return false;
    if (!pd_nvml_mhz(n, &out->mhz)) out->mhz = 0;
    if (!pd_nvml_celsius(n, &out->celsius)) out->celsius = 0;
    pd_nvml_close(n);
    return true;
}

static void read_card(const char *sys, pd_conditions *out) {
    int card = pd_sysfs_hwmon(sys, pd_sysfs_cards);
    out->mhz = hwmon_number(sys, card, "freq1_input", 1e6);
    out->celsius = hwmon_number(sys, card, "temp1_input", 1e3);
}

pd_conditions pd_conditions_at(const pd_device_info *d, const char *sys, const char *nvml) {
    pd_conditions c = {0};
    read_machine(sys, &c);
    if (pd_device_is_cpu(d) || d->kind == PD_DEVICE_SOFTWARE)
        read_processor(sys, &c);
    else if (d->vendor_id != PD_NVML_VENDOR || !read_nvidia(d, nvml, &c))
        read_card(sys, &c);
    return c;
}

pd_conditions pd_conditions_now(const pd_device_info *d) {
    return pd_conditions_at(d, "/sys", PD_NVML_FILE);
}
