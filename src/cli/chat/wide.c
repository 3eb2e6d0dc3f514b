/* See wide.h.  SPDX-License-Identifier: MIT */
#include "cli/chat/wide.h"

#include "base/bytes.h"
#include "base/memory.h"

_Static_assert(sizeof(wchar_t) == 4, "a wide character holds any of Unicode's");

wchar_t chat_wide_char(const char *bytes, size_t n) {
    const uint8_t *s = (const uint8_t *)bytes;
    size_t length = pd_utf8_length(s, n);
    if (length == 0) return 0xfffd;
    size_t at = 0;
    return (wchar_t)pd_utf8_next(bytes, n, &at);
}

wchar_t *chat_wide_from_utf8(const char *text, size_t n) {
    wchar_t *out = pd_alloc(n + 1, sizeof *out);
    size_t k = 0;
    for (size_t i = 0; out && i < n;) {
        size_t length = pd_utf8_length((const uint8_t *)text + i, n - i);
        out[k++] = chat_wide_char(text + i, n - i);
        i += length ? length : 1;
    }
    return out;
}

static void write_char(pd_bytes *out, uint32_t c) {
    char bytes[4];
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
    pd_bytes_write(out, bytes, pd_utf8_encode(c, bytes));
}

char *chat_wide_to_utf8(const wchar_t *text, size_t n) {
    pd_bytes out = {0};
    pd_bytes_write(&out, "", 0);
    for (size_t i = 0; i < n; i++) write_char(&out, (uint32_t)text[i]);
    if (!out.failed) return out.data;
    pd_bytes_free(&out);
    return NULL;
}
