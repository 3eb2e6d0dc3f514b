/* SIGBUS: a model's file is mapped, and somebody shortened it, or its disk failed, while it was
 * read. Nothing can be computed any more; what is left is to say which file it was.
 *
 * A handler may not call printf: the sentence is put together by hand. A SIGBUS of any other kind
 * ends the process as it would have.
 *
 * SPDX-License-Identifier: MIT
 */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"

/* A name may hold what a terminal would obey. */
static void put(const char *text) {
    char piece[256];
    for (size_t n; (n = strnlen(text, sizeof piece)) > 0; text += n) {
        for (size_t i = 0; i < n; i++)
            piece[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
        if (write(STDERR_FILENO, piece, n) < 0) return;
    }
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    static char line[PD_MAPPING_LINE_BYTES];
    (void)context;
    while (atomic_flag_test_and_set(&busy)) pause(); /* another thread is about to end it all */
    const char *path = info->si_code == BUS_ADRERR ? pd_mapping_path_at(info->si_addr, line) : NULL;
    if (!path) { /* the instruction is repeated, without this handler */
        signal(signal_number, SIG_DFL);
        atomic_flag_clear(&busy);
        return;
    }
    put("peridot: \"");
    put(path);
    put("\" was shortened, or its disk failed, while it was in use");
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(pd_status_exit_code(PD_ERR_IO));
}

void cli_bus_error_install(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
