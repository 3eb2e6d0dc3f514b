/* This process, and the system it runs on.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_PROCESS_H
#define PD_BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t pd_process_id(void);
/* "Linux 6.1.0 x86_64" */
void pd_system_name(char *out, size_t size);
/* The program's own file, separated by '/'; pd_free. NULL: the system does not tell. */
char *pd_program_path(void);
/* The command line in UTF-8, in place of what main got; it stays. */
void pd_program_arguments(int *argc, char ***argv);
/* Ends the process at once: for signal handlers too. */
_Noreturn void pd_exit_now(int code);
/* Text to standard error, as it is: likewise. */
void pd_write_error(const char *text, size_t n);

/* ---- being asked to stop -------------------------------------------------------------------- */

/* Numbers of signals, which Windows has not all of: Ctrl-C is INTERRUPT there, Ctrl-Break and the
 * end of a session TERMINATE, a console that closes HANG_UP. */
enum { PD_STOP_HANG_UP = 1, PD_STOP_INTERRUPT = 2, PD_STOP_TERMINATE = 15 };

/* Calls fn from now on when the user or the system asks the process to stop; it may do what signal
 * handlers may. A hang-up counts where it is wanted, and was not ignored when the process began; on
 * Windows it is TERMINATE where it is not wanted, since the process ends in any case. */
void pd_process_on_stop(void (*fn)(int number), bool hang_up_too);
/* Output that nobody reads is an error like any other from now on. */
void pd_process_ignore_pipes(void);
/* The same until it is taken back, once for each time: for what works in somebody else's process.
 */
void pd_process_ignore_pipes_for_now(void);
void pd_process_heed_pipes_again(void);

/* Threads that are started between the two get no signals but those of their own faults: others
 * come to the program's own. */
typedef struct pd_signals {
    uint64_t words[16];
} pd_signals;
void pd_signals_block(pd_signals *old);
void pd_signals_restore(const pd_signals *old);

#endif
