/* See wide.h.  SPDX-License-Identifier: MIT */
#include "cli/chat/wide.h"

#include "base/bytes.h"
#include "base/memory.h"

_Static_assert(sizeof(wchar_t) == 4, "a wide character holds any of Unicode's");

wchar_t chat_wide_char(const char *bytes, size_t n) {
    const uint8_t *s = (const uint8_t *)bytes;
    size_t length = pd_utf8_length(s, n);
    if (length == 0) return 0xfffd;
    if (length == 1) return s[0];
    uint32_t c = s[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) c = c << 6 | (s[i] & 0x3f);
    return (wchar_t)c;
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
    static const uint32_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    char bytes[4] = {(char)c};
    for (size_t i = n; n > 1 && i-- > 0; c >>= 6)
        bytes[i] = (char)(i ? 0x80 | (c & 0x3f) : first[n] | c);
    pd_bytes_write(out, bytes, n);
}

char *chat_wide_to_utf8(const wchar_t *text, size_t n) {
    pd_bytes out = {0};
    pd_bytes_write(&out, "", 0);
    for (size_t i = 0; i < n; i++) write_char(&out, (uint32_t)text[i]);
    if (!out.failed) return out.data;
    pd_bytes_free(&out);
    return NULL;
}
