/* See wide.h.  SPDX-License-Identifier: MIT */
#include "base/windows/wide.h"

#include <errno.h>
#include <stdlib.h>
#include <windows.h>

wchar_t *pd_wide(const char *text) {
    int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = n > 0 ? calloc((size_t)n, sizeof *wide) : NULL;
    if (wide) MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, n);
    return wide;
}

char *pd_narrow(const wchar_t *text) {
    int n = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *narrow = n > 0 ? calloc((size_t)n, 1) : NULL;
    if (narrow) WideCharToMultiByte(CP_UTF8, 0, text, -1, narrow, n, NULL, NULL);
    return narrow;
}

/* Takes path over. Files of old programs may have 260 characters with a zero, folders 12 fewer. */
static wchar_t *lift_limit(wchar_t *path) {
    static const wchar_t mark[] = L"\\\\?\\", shared[] = L"\\\\?\\UNC\\";
    enum { LONGEST = 240 };
    if (path[0] == L'\0' || wcsncmp(path, mark, 4) == 0) return path;
    DWORD n = GetFullPathNameW(path, 0, NULL, NULL);
    if (n < LONGEST) return path;
    wchar_t *whole = n > 0 ? calloc(n + 8, sizeof *whole) : NULL;
    wchar_t *full = n > 0 ? calloc(n, sizeof *full) : NULL;
    if (whole && full && GetFullPathNameW(path, n, full, NULL) > 0) {
        bool is_shared = wcsncmp(full, L"\\\\", 2) == 0; /* \\server\share\... */
        wcscpy(whole, is_shared ? shared : mark);
        wcscat(whole, is_shared ? full + 2 : full);
        free(full);
        free(path);
        return whole;
    }
    free(whole);
    free(full);
    return path;
}

wchar_t *pd_wide_path(const char *path) {
    wchar_t *wide = pd_wide(path);
    if (!wide) {
        errno = GetLastError() == ERROR_NO_UNICODE_TRANSLATION ? EILSEQ : ENOMEM;
        return NULL;
    }
    for (wchar_t *c = wide; *c; c++)
        if (*c == L'/') *c = L'\\';
    return lift_limit(wide);
}

void pd_take_last_error(void) {
    switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_DRIVE:
    case ERROR_BAD_NETPATH:
    case ERROR_INVALID_NAME: errno = ENOENT; break;
    case ERROR_ACCESS_DENIED:
    case ERROR_WRITE_PROTECT: errno = EACCES; break;
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION: errno = EBUSY; break; /* open elsewhere */
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS: errno = EEXIST; break;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL: errno = ENOSPC; break;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT: errno = ENOMEM; break;
    case ERROR_DIR_NOT_EMPTY: errno = ENOTEMPTY; break;
    case ERROR_DIRECTORY: errno = ENOTDIR; break;
    case ERROR_NOT_SAME_DEVICE: errno = EXDEV; break;
    case ERROR_TOO_MANY_OPEN_FILES: errno = EMFILE; break;
    case ERROR_FILENAME_EXCED_RANGE: errno = ENAMETOOLONG; break;
    case ERROR_INVALID_HANDLE: errno = EBADF; break;
    case ERROR_BROKEN_PIPE: errno = EPIPE; break;
    case ERROR_INVALID_FUNCTION:
    case ERROR_NOT_SUPPORTED: errno = ENOSYS; break;
    default: errno = EIO; break;
    }
}
