/* Ctrl-C: the first one asks the work to stop, so that results so far and timings still appear; the
 * second one ends the process at once. What a signal handler may touch is static here.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdatomic.h>

#include "base/process.h"
#include "cli/commands.h"

static _Atomic(pd_session *) watched, watched_too;
static _Atomic(pd_model *) watched_model;
static atomic_int interrupted; /* the number of the last signal, or 0 */
static atomic_int n_signals, n_signals_max = 1;

static void on_signal(int signal_number) {
    atomic_store(&interrupted, signal_number);
    if (atomic_fetch_add(&n_signals, 1) >= atomic_load(&n_signals_max))
        pd_exit_now(pd_status_exit_code(PD_ERR_CANCELLED));
    pd_session *session = atomic_load(&watched), *other = atomic_load(&watched_too);
    if (session) pd_session_cancel(session);
    if (other) pd_session_cancel(other);
    pd_model *model = atomic_load(&watched_model);
    if (model) pd_model_cancel(model);
}

void cli_interrupt_install(void) {
    pd_process_on_stop(on_signal, false);
}

void cli_interrupt_install_interactive(void) {
    atomic_store(&n_signals_max, 2);
    pd_process_on_stop(on_signal, true);
    pd_process_ignore_pipes();
}

bool cli_interrupted(void) {
    return atomic_load(&interrupted) != 0;
}

pd_status cli_check_interrupt(pd_error *err) {
    if (!cli_interrupted()) return PD_OK;
    return PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
}

int cli_interrupt_signal(void) {
    return atomic_load(&interrupted);
}

void cli_interrupt_clear(void) {
    atomic_store(&n_signals, 0);
    atomic_store(&interrupted, 0);
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
