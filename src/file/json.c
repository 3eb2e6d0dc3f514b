/* See json.h.  SPDX-License-Identifier: MIT */
#include "file/json.h"

#include <stdbool.h>

static bool only_spaces(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) at++;
    return at == end;
}

cJSON *pd_json_parse(const char *text, size_t n) {
    const char *end = NULL;
    cJSON *root = n > 0 ? cJSON_ParseWithLengthOpts(text, n, &end, false) : NULL;
    if (root && only_spaces(end, text + n)) return root;
    cJSON_Delete(root);
    return NULL;
}
