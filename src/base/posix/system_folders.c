/* See base/system_folders.h.  SPDX-License-Identifier: MIT */
#include "base/system_folders.h"

#include <stdio.h>

#include "base/env.h"

const char *pd_system_home(void) {
    const char *home = pd_env("HOME");
    return home && home[0] ? home : NULL;
}

/* The XDG specification ignores relative ones. */
static void write_folder(pd_bytes *out, const char *variable, const char *below_home) {
    const char *xdg = pd_env(variable), *home = pd_system_home();
    if (xdg && xdg[0] == '/')
        pd_bytes_printf(out, "%s/peridot", xdg);
    else if (home)
        pd_bytes_printf(out, "%s/%s/peridot", home, below_home);
}

void pd_system_cache(pd_bytes *out) {
    write_folder(out, "XDG_CACHE_HOME", ".cache");
}

void pd_system_state(pd_bytes *out) {
    write_folder(out, "XDG_STATE_HOME", ".local/state");
}

const char *pd_system_temp(char out[512]) {
    snprintf(out, 512, "/tmp");
    return out;
}
