/* See schema_reader.h: refusals that name their place. cJSON's values do not know what they are in,
 * so that the way to them is looked for when it is needed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

enum { MAX_SHOWN = 160 }; /* bytes of a pointer in a message */

/* A part of a pointer, with ~ and / as ~0 and ~1. */
static void add_name(pd_bytes *out, const char *name) {
    pd_bytes_printf(out, "/");
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            pd_bytes_printf(out, "~%d", *name == '/');
        else
            pd_bytes_write(out, name, 1);
    }
}

/* Appends the way from `in` to `at`. cJSON's limit of 1000 levels bounds the recursion. */
static bool find_way(const cJSON *in, const cJSON *at, pd_bytes *out) {
    if (in == at) return true;
    unsigned index = 0;
    for (const cJSON *child = in->child; child; child = child->next, index++) {
        size_t n = out->n;
        if (cJSON_IsArray(in))
            pd_bytes_printf(out, "/%u", index);
        else
            add_name(out, child->string ? child->string : "");
        if (find_way(child, at, out)) return true;
        if (!out->failed) out->n = n;
    }
    return false;
}

/* "#/properties/a"; of a long one the end. */
static void write_way(const pd_schema_reader *s, const cJSON *at, char *out, size_t cap) {
    pd_bytes way = {0};
    bool is_found = at && find_way(s->root, at, &way) && !way.failed;
    size_t skip = way.n > MAX_SHOWN ? way.n - MAX_SHOWN : 0;
    while (is_found && skip > 0 && skip < way.n && ((unsigned char)way.data[skip] & 0xC0) == 0x80)
        skip++;
    snprintf(out, cap, "#%s%.*s", skip ? "..." : "", is_found ? (int)(way.n - skip) : 0,
             is_found && way.data ? way.data + skip : "");
    pd_bytes_free(&way);
}

pd_status pd_schema_place(const pd_schema_reader *s, const cJSON *at, pd_status status) {
    char way[MAX_SHOWN + 8];
    write_way(s, at, way, sizeof way);
    return pd_error_before(s->err, status, "%s: ", way);
}

pd_status pd_schema_no_memory(const pd_schema_reader *s) {
    return PD_RAISE(s->err, PD_ERR_MEMORY_HOST, "no memory for a JSON schema");
}

pd_status pd_schema_step(pd_schema_reader *s, const cJSON *at) {
    if (++s->n_steps < PD_SCHEMA_MAX_STEPS) return PD_OK;
    return PD_SCHEMA_REFUSE(s, at, "the schema means too much: its combinations are too many");
}

pd_node pd_schema_never(pd_schema_reader *s, const cJSON *at, const char *format, ...) {
    if (!s->never[0]) {
        char way[MAX_SHOWN + 8], what[256];
        va_list args;
        va_start(args, format);
        vsnprintf(what, sizeof what, format, args);
        va_end(args);
        write_way(s, at, way, sizeof way);
        snprintf(s->never, sizeof s->never, "%s: %s", way, what);
    }
    return pd_rules_alt(s->r, NULL, 0);
}
