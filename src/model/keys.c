/* See keys.h.  SPDX-License-Identifier: MIT */
#include "model/keys.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/folder.h"

pd_status pd_key_count(const pd_gguf *g, const char *key, uint32_t max, uint32_t *out,
                       pd_error *err) {
    if (!pd_gguf_find(g, key))
        return PD_RAISE(err, PD_ERR_MODEL, "the key %s is absent, expected 1 to %" PRIu32, key,
                        max);
    if (!pd_gguf_get_u32(g, key, out))
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the key %s is not a whole number, expected 1 to %" PRIu32, key, max);
    if (*out < 1 || *out > max)
        return PD_RAISE(err, PD_ERR_MODEL, "%s is %" PRIu32 ", expected 1 to %" PRIu32, key, *out,
                        max);
    return PD_OK;
}

pd_status pd_key_float(const pd_gguf *g, const char *key, float min, float max, float absent,
                       float *out, pd_error *err) {
    *out = absent;
    if (!pd_gguf_find(g, key)) return PD_OK;
    if (!pd_gguf_get_f32(g, key, out))
        return PD_RAISE(err, PD_ERR_MODEL, "the key %s is not a finite number, expected %g to %g",
                        key, (double)min, (double)max);
    if (*out >= min && *out <= max) return PD_OK;
    return PD_RAISE(err, PD_ERR_MODEL, "%s is %g, expected %g to %g", key, (double)*out,
                    (double)min, (double)max);
}

void pd_key_printable(pd_string s, char *out, size_t size) {
    size_t n = 0;
    for (uint64_t i = 0; i < s.n;) {
        const uint8_t *at = (const uint8_t *)s.data + i;
        size_t left = s.n - i < 4 ? (size_t)(s.n - i) : 4, length = pd_utf8_length(at, left);
        bool good = length > 1 || (length == 1 && *at >= 0x20 && *at != 0x7f);
        size_t step = good ? length : 1;
        if (n + step >= size) break;
        memcpy(out + n, good ? (const char *)at : "?", step);
        n += step;
        i += step;
    }
    out[n] = '\0';
}

void pd_key_name(const pd_gguf *g, char *out, size_t size) {
    pd_string name;
    const char *path = pd_gguf_path(g);
    if (!pd_gguf_get_string(g, "general.name", &name) || name.n == 0) {
        name.data = path + pd_path_name_at(path);
        name.n = strlen(name.data);
    }
    pd_key_printable(name, out, size);
}
