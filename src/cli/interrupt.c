/* Ctrl-C: the first one asks the work to stop, so that results so far and timings still appear; the
 * second one ends the process at once. What a signal handler may touch is static here.
 *
 * SPDX-License-Identifier: MIT
 */
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "cli/commands.h"

static _Atomic(pd_session *) watched, watched_too;
static _Atomic(pd_model *) watched_model;
static atomic_int interrupted;

static void on_signal(int signal_number) {
    (void)signal_number;
    if (atomic_exchange(&interrupted, 1)) _exit(pd_status_exit_code(PD_ERR_CANCELLED));
    pd_session *session = atomic_load(&watched), *other = atomic_load(&watched_too);
    if (session) pd_session_cancel(session);
    if (other) pd_session_cancel(other);
    pd_model *model = atomic_load(&watched_model);
    if (model) pd_model_cancel(model);
}

void cli_interrupt_install(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void) {
    return atomic_load(&interrupted) != 0;
}

pd_status cli_check_interrupt(pd_error *err) {
    if (!cli_interrupted()) return PD_OK;
    return PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
}

const atomic_int *cli_interrupt_flag(void) {
    return &interrupted;
}

void cli_interrupt_watch(pd_session *session, pd_session *other) {
    atomic_store(&watched, session);
    atomic_store(&watched_too, other);
    if (session && cli_interrupted()) pd_session_cancel(session);
    if (other && cli_interrupted()) pd_session_cancel(other);
}

void cli_interrupt_watch_model(pd_model *model) {
    atomic_store(&watched_model, model);
    if (model && cli_interrupted()) pd_model_cancel(model);
}
