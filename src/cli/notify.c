/* See notify.h: sd_notify(3), where libsystemd was found.  SPDX-License-Identifier: MIT */
#include "cli/notify.h"

#ifdef PERIDOT_HAS_SYSTEMD
#include <systemd/sd-daemon.h>

static void tell(const char *state) {
    sd_notify(0, state);
}
#else
static void tell(const char *state) {
    (void)state;
}
#endif

void cli_notify_ready(void) {
    tell("READY=1");
}

void cli_notify_stopping(void) {
    tell("STOPPING=1");
}
