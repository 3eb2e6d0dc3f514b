/* Names as Windows takes them.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_WINDOWS_WIDE_H
#define PD_BASE_WINDOWS_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/* UTF-8 to UTF-16 and back; free. NULL: no memory, or it is no text. */
wchar_t *pd_wide(const char *text);
char *pd_narrow(const wchar_t *text);
/* The same of a path: with '\' for '/', and where it is long whole, with the mark that lifts
 * Windows' limit of 260 characters. NULL with errno. */
wchar_t *pd_wide_path(const char *path);
/* errno by GetLastError. */
void pd_take_last_error(void);

#endif
