/* See base/process.h.  SPDX-License-Identifier: MIT */
#include "base/os_file.h"
#include "base/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#include <shellapi.h>

#include "base/windows/wide.h"

uint64_t pd_process_id(void) {
    return GetCurrentProcessId();
}

/* What GetVersion tells depends on a program's manifest; this does not. */
void pd_system_name(char *out, size_t size) {
    typedef LONG(WINAPI * version_fn)(RTL_OSVERSIONINFOW *);
    RTL_OSVERSIONINFOW v = {.dwOSVersionInfoSize = sizeof v};
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    version_fn version =
        ntdll ? (version_fn)(void (*)(void))GetProcAddress(ntdll, "RtlGetVersion") : NULL;
    bool is_wine = ntdll && GetProcAddress(ntdll, "wine_get_version");
    if (version) version(&v);
    snprintf(out, size, "Windows %lu.%lu.%lu x86_64%s", v.dwMajorVersion, v.dwMinorVersion,
             v.dwBuildNumber, is_wine ? " (Wine)" : "");
}

char *pd_program_path(void) {
    wchar_t wide[4096];
    DWORD n = GetModuleFileNameW(NULL, wide, 4096);
    char *path = n > 0 && n < 4096 ? pd_narrow(wide) : NULL;
    if (path) pd_path_use_slashes(path);
    return path;
}

void pd_program_arguments(int *argc, char ***argv) {
    int n = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
    char **narrow = wide ? calloc((size_t)n + 1, sizeof *narrow) : NULL;
    bool complete = narrow;
    for (int i = 0; i < n && complete; i++) complete = (narrow[i] = pd_narrow(wide[i])) != NULL;
    if (complete) {
        *argc = n;
        *argv = narrow;
    }
    LocalFree(wide);
}

_Noreturn void pd_exit_now(int code) {
    TerminateProcess(GetCurrentProcess(), (UINT)code);
    abort();
}

void pd_write_error(const char *text, size_t n) {
    DWORD wrote;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)n, &wrote, NULL);
}

static void (*on_stop)(int number);
static bool heeds_hang_up;

/* In a thread of its own. */
static BOOL WINAPI on_event(DWORD event) {
    enum { TIME_TO_END_MS = 5000 };
    switch (event) {
    case CTRL_C_EVENT: on_stop(PD_STOP_INTERRUPT); return TRUE;
    case CTRL_BREAK_EVENT: on_stop(PD_STOP_TERMINATE); return TRUE;
    case CTRL_CLOSE_EVENT: on_stop(heeds_hang_up ? PD_STOP_HANG_UP : PD_STOP_TERMINATE); break;
    case CTRL_LOGOFF_EVENT: return TRUE; /* services are told of everybody's */
    default: on_stop(PD_STOP_TERMINATE); break;
    }
    Sleep(TIME_TO_END_MS); /* behind this function the process is ended */
    return TRUE;
}

void pd_process_on_stop(void (*fn)(int number), bool hang_up_too) {
    bool is_first = !on_stop;
    on_stop = fn;
    heeds_hang_up = hang_up_too;
    if (is_first) SetConsoleCtrlHandler(on_event, TRUE);
}

/* There is no such signal. */
void pd_process_ignore_pipes(void) {}
void pd_process_ignore_pipes_for_now(void) {}
void pd_process_heed_pipes_again(void) {}

/* Events come in threads of their own. */
void pd_signals_block(pd_signals *old) {
    (void)old;
}

void pd_signals_restore(const pd_signals *old) {
    (void)old;
}
