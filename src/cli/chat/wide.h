/* UTF-8 to the wide characters of libedit, and back, whatever the locale is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_CHAT_WIDE_H
#define PD_CLI_CHAT_WIDE_H

#include <stddef.h>
#include <wchar.h>

/* One character of n bytes; U+FFFD when they are none. */
wchar_t chat_wide_char(const char *bytes, size_t n);
/* With a zero behind it; pd_free. What is no character becomes U+FFFD. NULL: no memory. */
wchar_t *chat_wide_from_utf8(const char *text, size_t n);
char *chat_wide_to_utf8(const wchar_t *text, size_t n);

#endif
