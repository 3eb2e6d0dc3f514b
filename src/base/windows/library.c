/* See base/library.h.  SPDX-License-Identifier: MIT */
#include "base/library.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "base/os_file.h"
#include "base/windows/wide.h"

pd_library *pd_library_open(const char *file) {
    /* by its name alone not from the current folder */
    DWORD flags = pd_path_is_absolute(file) ? 0 : LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
    wchar_t *wide = pd_wide_path(file);
    HMODULE m = wide ? LoadLibraryExW(wide, NULL, flags) : NULL;
    free(wide);
    return (pd_library *)m;
}

void pd_library_close(pd_library *l) {
    FreeLibrary((HMODULE)l);
}

bool pd_library_find(pd_library *l, const char *name, void *function) {
    FARPROC symbol = GetProcAddress((HMODULE)l, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol;
}
