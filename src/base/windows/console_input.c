/* See base/console_input.h. Ctrl-C comes in a thread of its own: a wait for keys looks after it ten
 * times a second, and a line that is being typed is given up.
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

/* A console gives whole lines, as UTF-16 with CR and LF at their ends. False: an end. */
static bool read_console(HANDLE h, char *bytes, size_t most, size_t *n) {
    wchar_t wide[1024];
    DWORD wanted = (DWORD)(most / 4 < 1024 ? most / 4 : 1024), got = 0, kept = 0;
    SetLastError(ERROR_SUCCESS);
    bool read =
        ReadConsoleW(h, wide, wanted, &got, NULL) && got > 0 && wide[0] != 0x1a; /* Ctrl-Z */
    for (DWORD i = 0; read && i < got; i++)
        if (wide[i] != L'\r') wide[kept++] = wide[i];
    int bytes_made =
        kept > 0 ? WideCharToMultiByte(CP_UTF8, 0, wide, (int)kept, bytes, (int)most, NULL, NULL)
                 : 0;
    *n = bytes_made > 0 ? (size_t)bytes_made : 0;
    return read;
}

/* Ctrl-C ends a read at once, and is told by another thread a little later. */
static bool was_interrupted(bool (*is_asked)(void)) {
    enum { PATIENCE = 10 };
    if (GetLastError() != ERROR_OPERATION_ABORTED) return is_asked();
    for (int i = 0; i < PATIENCE && !is_asked(); i++) Sleep(LOOK_MS);
    return is_asked();
}

static pd_input read_pipe(HANDLE h, char *bytes, size_t most, size_t *n, bool (*is_asked)(void)) {
    DWORD got = 0, wanted = (DWORD)(most < 1u << 30 ? most : 1u << 30);
    if (ReadFile(h, bytes, wanted, &got, NULL)) *n = got;
    if (*n > 0) return PD_INPUT_BYTES;
    return is_asked() ? PD_INPUT_SIGNAL : PD_INPUT_END;
}

pd_input pd_input_wait(char *bytes, size_t most, size_t *n, bool (*is_asked)(void)) {
    HANDLE h = GetStdHandle(STD_INPUT_HANDLE);
    DWORD mode;
    *n = 0;
    if (is_asked()) return PD_INPUT_SIGNAL;
    if (!GetConsoleMode(h, &mode)) return read_pipe(h, bytes, most, n, is_asked);
    for (;;) {
        while (WaitForSingleObject(h, LOOK_MS) != WAIT_OBJECT_0)
            if (is_asked()) return PD_INPUT_SIGNAL;
        bool read = read_console(h, bytes, most, n);
        if (*n > 0) return PD_INPUT_BYTES;
        if (!read) return was_interrupted(is_asked) ? PD_INPUT_SIGNAL : PD_INPUT_END;
    }
}
