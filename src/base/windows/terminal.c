/* See base/terminal.h.  SPDX-License-Identifier: MIT */
#include "base/terminal.h"

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <windows.h>

/* As they were, for whoever uses the console next. */
static UINT output_page, input_page;
static DWORD modes[2];
static const DWORD outputs[2] = {STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};

static void take_escapes(int i) {
    HANDLE h = GetStdHandle(outputs[i]);
    if (GetConsoleMode(h, &modes[i]))
        SetConsoleMode(h, modes[i] | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

static void give_back(void) {
    SetConsoleOutputCP(output_page);
    SetConsoleCP(input_page);
    for (int i = 0; i < 2; i++)
        if (modes[i]) SetConsoleMode(GetStdHandle(outputs[i]), modes[i]);
}

void pd_terminal_begin(void) {
    output_page = GetConsoleOutputCP();
    input_page = GetConsoleCP();
    if (output_page) atexit(give_back);
    SetConsoleOutputCP(CP_UTF8);
    SetConsoleCP(CP_UTF8);
    take_escapes(0);
    take_escapes(1);
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
}

bool pd_is_terminal(FILE *stream) {
    DWORD mode;
    return GetConsoleMode((HANDLE)_get_osfhandle(_fileno(stream)), &mode) != 0;
}
