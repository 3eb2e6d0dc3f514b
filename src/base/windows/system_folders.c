/* See base/system_folders.h.  SPDX-License-Identifier: MIT */
#include "base/os_file.h"
#include "base/system_folders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "base/env.h"
#include "base/windows/wide.h"

const char *pd_system_home(void) {
    static char home[1024];
    const char *found = pd_env("USERPROFILE");
    if (!found || !*found) return NULL;
    snprintf(home, sizeof home, "%s", found);
    pd_path_use_slashes(home);
    return home;
}

const char *pd_system_certificates(void) {
    return NULL; /* Windows has a store of its own */
}

static void write_folder(pd_bytes *out, const char *name) {
    const char *local = pd_env("LOCALAPPDATA");
    size_t n = out->n;
    if (!local || !*local) return;
    pd_bytes_printf(out, "%s/peridot/%s", local, name);
    if (!out->failed) pd_path_use_slashes(out->data + n);
}

void pd_system_cache(pd_bytes *out) {
    write_folder(out, "cache");
}

void pd_system_state(pd_bytes *out) {
    write_folder(out, "state");
}

const char *pd_system_temp(char out[512]) {
    wchar_t wide[MAX_PATH + 2];
    DWORD n = GetTempPathW(MAX_PATH + 1, wide);
    char *narrow = n > 0 && n <= MAX_PATH ? pd_narrow(wide) : NULL;
    snprintf(out, 512, "%s", narrow ? narrow : ".");
    free(narrow);
    pd_path_use_slashes(out);
    n = (DWORD)strlen(out);
    if (n > 1 && out[n - 1] == '/') out[n - 1] = '\0';
    return out;
}
