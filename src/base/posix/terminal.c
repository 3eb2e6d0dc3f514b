/* See base/terminal.h.  SPDX-License-Identifier: MIT */
#include "base/terminal.h"

#include <unistd.h>

void pd_terminal_begin(void) {}

bool pd_is_terminal(FILE *stream) {
    return isatty(fileno(stream)) == 1;
}
