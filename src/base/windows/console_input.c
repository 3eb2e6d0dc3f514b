/* See base/console_input.h. Ctrl-C comes in a thread of its own and wakes nobody: a wait looks
 * after it ten times a second.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/console_input.h"

#include <stdint.h>
#include <windows.h>

enum { LOOK_MS = 100 };

static COORD last_size;

static COORD size_now(void) {
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_OUTPUT_HANDLE), &info)) return (COORD){0, 0};
    return (COORD){(SHORT)(info.srWindow.Right - info.srWindow.Left),
                   (SHORT)(info.srWindow.Bottom - info.srWindow.Top)};
}

void pd_input_watch_size(void) {
    last_size = size_now();
}

bool pd_input_size_changed(void) {
    COORD now = size_now();
    bool changed = now.X != last_size.X || now.Y != last_size.Y;
    last_size = now;
    return changed;
}

/* A console gives whole lines, as UTF-16. */
static size_t read_console(HANDLE h, char *bytes, size_t most) {
    wchar_t wide[1024];
    DWORD wanted = (DWORD)(most / 4 < 1024 ? most / 4 : 1024), got = 0;
    if (!ReadConsoleW(h, wide, wanted, &got, NULL) || got == 0) return 0;
    if (wide[0] == 0x1a) return 0; /* Ctrl-Z: the end */
    int n = WideCharToMultiByte(CP_UTF8, 0, wide, (int)got, bytes, (int)most, NULL, NULL);
    return n > 0 ? (size_t)n : 0;
}

pd_input pd_input_wait(char *bytes, size_t most, size_t *n, bool (*is_asked)(void)) {
    HANDLE h = GetStdHandle(STD_INPUT_HANDLE);
    DWORD mode, got = 0;
    *n = 0;
    bool is_console = GetConsoleMode(h, &mode) != 0;
    for (;;) {
        if (is_asked()) return PD_INPUT_SIGNAL;
        if (!is_console || WaitForSingleObject(h, LOOK_MS) == WAIT_OBJECT_0) break;
    }
    if (is_console)
        *n = read_console(h, bytes, most);
    else if (ReadFile(h, bytes, (DWORD)(most < 1u << 30 ? most : 1u << 30), &got, NULL))
        *n = got;
    if (*n == 0 && is_asked()) return PD_INPUT_SIGNAL;
    return *n > 0 ? PD_INPUT_BYTES : PD_INPUT_END;
}
