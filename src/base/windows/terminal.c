/* See base/terminal.h.  SPDX-License-Identifier: MIT */
#include "base/terminal.h"

#include <fcntl.h>
#include <io.h>
#include <windows.h>

static void take_escapes(DWORD which) {
    HANDLE h = GetStdHandle(which);
    DWORD mode;
    if (GetConsoleMode(h, &mode))
        SetConsoleMode(h, mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

void pd_terminal_begin(void) {
    SetConsoleOutputCP(CP_UTF8);
    SetConsoleCP(CP_UTF8);
    take_escapes(STD_OUTPUT_HANDLE);
    take_escapes(STD_ERROR_HANDLE);
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
}

bool pd_is_terminal(FILE *stream) {
    DWORD mode;
    return GetConsoleMode((HANDLE)_get_osfhandle(_fileno(stream)), &mode) != 0;
}
