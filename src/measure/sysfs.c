/* See sysfs.h.  SPDX-License-Identifier: MIT */
#include "measure/sysfs.h"

#include <stdio.h>
#include <string.h>

#include "base/os_file.h"

bool pd_sysfs_line(const char *path, char *out, int size) {
    FILE *f = pd_stream_open(path, "r");
    bool read = f && fgets(out, size, f);
    if (f) fclose(f);
    if (read) out[strcspn(out, "\n")] = '\0';
    return read;
}

bool pd_sysfs_number(const char *path, double *out) {
    char text[64];
    return pd_sysfs_line(path, text, sizeof text) && sscanf(text, "%lf", out) == 1;
}

const char *const pd_sysfs_cards[] = {"amdgpu", "i915", "xe", "nouveau", NULL};

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

int pd_sysfs_hwmon(const char *sys, const char *const *names) {
    char path[PD_SYSFS_PATH], name[64];
    int found = -1;
    for (int i = 0; i < PD_SYSFS_MOST; i++) {
        snprintf(path, sizeof path, "%.150s/class/hwmon/hwmon%d/name", sys, i);
        if (!pd_sysfs_line(path, name, sizeof name) || !is_one_of(name, names)) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}
