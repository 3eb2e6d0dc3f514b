/* See base/system_folders.h.  SPDX-License-Identifier: MIT */
#include "base/system_folders.h"

#include <stdio.h>

#include "base/env.h"
#include "base/os_file.h"

const char *pd_system_home(void) {
    const char *home = pd_env("HOME");
    return home && home[0] ? home : NULL;
}

#ifdef __APPLE__
static const char CACHES[] = "Library/Caches", STATE[] = "Library/Application Support";
#else
static const char CACHES[] = ".cache", STATE[] = ".local/state";
#endif

/* The XDG specification ignores relative ones. */
static void write_folder(pd_bytes *out, const char *variable, const char *below_home) {
    const char *xdg = pd_env(variable), *home = pd_system_home();
    if (xdg && xdg[0] == '/')
        pd_bytes_printf(out, "%s/peridot", xdg);
    else if (home)
        pd_bytes_printf(out, "%s/%s/peridot", home, below_home);
}

void pd_system_cache(pd_bytes *out) {
    write_folder(out, "XDG_CACHE_HOME", CACHES);
}

void pd_system_state(pd_bytes *out) {
    write_folder(out, "XDG_STATE_HOME", STATE);
}

const char *pd_system_temp(char out[512]) {
    snprintf(out, 512, "/tmp");
    return out;
}

/* Debian's and Arch's, Fedora's, openSUSE's, Alpine's and macOS's. */
const char *pd_system_certificates(void) {
    static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (pd_path_can_read(files[i])) return files[i];
    return NULL;
}
