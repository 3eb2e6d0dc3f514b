/* What stands behind the standard streams.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_TERMINAL_H
#define PD_BASE_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* Before anything is written: consoles take UTF-8 and the escape sequences of terminals, streams
 * every byte as it is. */
void pd_terminal_begin(void);
bool pd_is_terminal(FILE *stream); /* one of the standard streams */

#endif
