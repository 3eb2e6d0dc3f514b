/* What tests of bad input need on Windows:
 *
 *     helper hold FILE SECONDS     keeps a file open so that nobody else can open it
 *     helper detached COMMAND      a command line without console and streams; ends with its code
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <wchar.h>
#include <windows.h>

static int hold(const wchar_t *path, const wchar_t *seconds) {
    HANDLE file = CreateFileW(path, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return 1;
    puts("held");
    fflush(stdout);
    Sleep((DWORD)wcstoul(seconds, NULL, 10) * 1000);
    CloseHandle(file);
    return 0;
}

static int detached(wchar_t *command) {
    STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION process;
    DWORD code = 1;
    if (!CreateProcessW(NULL, command, NULL, NULL, FALSE, DETACHED_PROCESS, NULL, NULL, &start,
                        &process))
        return 1;
    WaitForSingleObject(process.hProcess, INFINITE);
    GetExitCodeProcess(process.hProcess, &code);
    return (int)code;
}

int wmain(int argc, wchar_t **argv) {
    if (argc == 4 && wcscmp(argv[1], L"hold") == 0) return hold(argv[2], argv[3]);
    if (argc == 3 && wcscmp(argv[1], L"detached") == 0) return detached(argv[2]);
    return 2;
}
