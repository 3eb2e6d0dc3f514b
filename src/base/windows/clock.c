/* See base/clock.h.  SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <stdio.h>
#include <windows.h>

#include <psapi.h>

uint64_t pd_clock_ns(void) {
    LARGE_INTEGER now, per_second;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&per_second);
    uint64_t t = (uint64_t)now.QuadPart, f = (uint64_t)per_second.QuadPart;
    return t / f * 1000000000u + t % f * 1000000000u / f;
}

void pd_sleep_ms(uint32_t ms) {
    Sleep(ms);
}

void pd_clock_utc(char out[32]) {
    SYSTEMTIME t;
    GetSystemTime(&t);
    snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02uZ", t.wYear % 10000u, t.wMonth % 100u,
             t.wDay % 100u, t.wHour % 100u, t.wMinute % 100u, t.wSecond % 100u);
}

uint64_t pd_host_memory_bytes(void) {
    MEMORYSTATUSEX m = {.dwLength = sizeof m};
    return GlobalMemoryStatusEx(&m) ? m.ullTotalPhys : 0;
}

uint64_t pd_host_memory_free_bytes(void) {
    MEMORYSTATUSEX m = {.dwLength = sizeof m};
    return GlobalMemoryStatusEx(&m) ? m.ullAvailPhys : 0;
}

uint64_t pd_process_peak_bytes(void) {
    PROCESS_MEMORY_COUNTERS m;
    return GetProcessMemoryInfo(GetCurrentProcess(), &m, sizeof m) ? m.PeakWorkingSetSize : 0;
}

double pd_system_load(void) {
    return -1;
}
