/* A model's file is mapped, and somebody shortened it, or its disk failed, while it was read.
 * Nothing can be computed any more; what is left is to say which file it was.
 *
 * A handler may not call printf: the sentence is put together by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "cli/commands.h"

/* A name may hold what a terminal would obey. */
static void put(const char *text) {
    char piece[256];
    for (size_t n = strlen(text), done = 0; done < n;) {
        size_t some = n - done < sizeof piece ? n - done : sizeof piece;
        for (size_t i = 0; i < some; i++) {
            char c = text[done + i];
            piece[i] = (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
        }
        pd_write_error(piece, some);
        done += some;
    }
}

static void on_fault(const char *path) {
    put("peridot: \"");
    put(path);
    put("\" was shortened, or its disk failed, while it was in use");
    pd_write_error("\n", 1);
    pd_exit_now(pd_status_exit_code(PD_ERR_IO));
}

void cli_bus_error_install(void) {
    pd_mapping_on_fault(on_fault);
}
