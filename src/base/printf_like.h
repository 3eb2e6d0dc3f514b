/* Functions that take a format as printf does.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_PRINTF_LIKE_H
#define PD_BASE_PRINTF_LIKE_H

/* "printf" means the system's own on Windows, which has other formats than C99. */
#ifdef _WIN32
#define PD_PRINTF_LIKE(format_at, args_at) __attribute__((format(gnu_printf, format_at, args_at)))
#else
#define PD_PRINTF_LIKE(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#endif

#endif
