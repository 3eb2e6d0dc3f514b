/* See ids.h.  SPDX-License-Identifier: MIT */
#include "text/ids.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

static bool is_separator(char c) {
    return c == ',' || isspace((unsigned char)c);
}

static size_t count_words(const char *text) {
    size_t n = 0;
    for (bool inside = false; *text; text++) {
        if (!is_separator(*text) && !inside) n++;
        inside = !is_separator(*text);
    }
    return n;
}

static pd_status parse_id(const char *what, const char **text, uint32_t *id, pd_error *err) {
    static const char image[] = "<image>";
    size_t n = strlen(image);
    if (strncmp(*text, image, n) == 0 && (!(*text)[n] || is_separator((*text)[n]))) {
        *text += n;
        *id = PD_TOKEN_IMAGE;
        return PD_OK;
    }
    n = 0;
    uint64_t value = 0;
    bool good = true;
    for (; (*text)[n] && !is_separator((*text)[n]); n++) {
        char c = (*text)[n];
        good = good && c >= '0' && c <= '9';
        if (good && value <= UINT32_MAX) value = value * 10 + (uint64_t)(c - '0');
    }
    if (!good || value > UINT32_MAX)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s takes token ids, but \"%.*s\" is none", what,
                        n > 40 ? 40 : (int)n, *text);
    *text += n;
    *id = (uint32_t)value;
    return PD_OK;
}

pd_status pd_ids_parse(const char *what, const char *text, uint32_t **out, size_t *n,
                       pd_error *err) {
    size_t n_words = count_words(text);
    if (n_words == 0) return PD_RAISE(err, PD_ERR_ARGUMENT, "%s holds no token id", what);
    uint32_t *ids = pd_alloc(n_words, sizeof *ids);
    if (!ids) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %zu ids", n_words);
    pd_status status = PD_OK;
    for (size_t i = 0; i < n_words && status == PD_OK; i++) {
        while (is_separator(*text)) text++;
        status = parse_id(what, &text, &ids[i], err);
    }
    if (status != PD_OK) {
        pd_free(ids);
        return status;
    }
    *out = ids;
    *n = n_words;
    return PD_OK;
}
