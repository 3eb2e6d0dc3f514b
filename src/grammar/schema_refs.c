/* See schema_reader.h: $ref to a place in the same schema: "#", a JSON pointer, an $anchor, each
 * also behind the root's own $id. Where schemas below the root have an $id, references are refused:
 * what they mean would depend on where they stand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"

/* ---- the whole schema, once ------------------------------------------------------------------ */

static bool has_id(const cJSON *in) {
    const cJSON *id = cJSON_IsObject(in) ? pd_schema_get(in, "$id") : NULL;
    return id && cJSON_IsString(id);
}

static bool find_ids(const cJSON *in) {
    for (const cJSON *child = in->child; child; child = child->next)
        if (has_id(child) || find_ids(child)) return true;
    return false;
}

void pd_schema_find_ids(pd_schema_reader *s) {
    s->has_inner_ids = find_ids(s->root);
}

/* ---- anchors --------------------------------------------------------------------------------- */

/* Values are no schemas, whatever they look like. */
static bool is_value(const cJSON *in) {
    static const char *const names[] = {"enum", "const", "default", "example", "examples"};
    for (size_t i = 0; i < sizeof names / sizeof *names && in->string; i++)
        if (strcmp(in->string, names[i]) == 0) return true;
    return false;
}

static uint32_t find_anchors(pd_schema_reader *s, const cJSON *in, const char *name,
                             const cJSON **out) {
    s->n_steps++;
    const cJSON *anchor = cJSON_IsObject(in) ? pd_schema_get(in, "$anchor") : NULL;
    uint32_t n = anchor && cJSON_IsString(anchor) && strcmp(anchor->valuestring, name) == 0;
    if (n) *out = in;
    for (const cJSON *child = in->child; child; child = child->next)
        if (!is_value(child)) n += find_anchors(s, child, name, out);
    return n;
}

/* ---- pointers -------------------------------------------------------------------------------- */

static int hex_value(char c) {
    if (!isxdigit((unsigned char)c)) return -1;
    return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* %XX as the byte. */
static bool decode_percents(const char *text, pd_bytes *out) {
    for (; *text; text++) {
        char byte = *text;
        if (byte == '%') {
            int high = hex_value(text[1]), low = high < 0 ? -1 : hex_value(text[2]);
            if (low < 0 || (high == 0 && low == 0)) return false;
            byte = (char)(16 * high + low);
            text += 2;
        }
        pd_bytes_write(out, &byte, 1);
    }
    pd_bytes_write(out, "", 1);
    return true;
}

/* Turns the part of a pointer that begins here into a name; returns what follows it. */
static char *take_part(char *at, bool *is_good) {
    char *to = at;
    for (; *at && *at != '/'; at++) {
        if (*at == '~' && at[1] != '0' && at[1] != '1') *is_good = false;
        if (*at == '~' && *is_good)
            *to++ = *++at == '0' ? '~' : '/';
        else
            *to++ = *at;
    }
    char *next = *at ? at + 1 : NULL;
    *to = '\0';
    return next;
}

static const cJSON *element_at(const cJSON *list, const char *index) {
    size_t n = strlen(index);
    int at = 0;
    if (n == 0 || n > 6 || (n > 1 && index[0] == '0')) return NULL;
    for (; *index; index++) {
        if (!isdigit((unsigned char)*index)) return NULL;
        at = 10 * at + *index - '0';
    }
    return cJSON_GetArrayItem(list, at);
}

/* pointer: behind its first /; is changed. */
static const cJSON *follow(const cJSON *in, char *pointer) {
    bool is_good = true;
    while (pointer && in && is_good) {
        const char *name = pointer;
        pointer = take_part(pointer, &is_good);
        in = cJSON_IsArray(in) ? element_at(in, name) : pd_schema_get(in, name);
    }
    return is_good ? in : NULL;
}

/* ---- references ------------------------------------------------------------------------------ */

/* What follows the # of a reference into the schema itself; NULL: it leads elsewhere. */
static const char *fragment_of(const pd_schema_reader *s, const char *ref) {
    const cJSON *id = cJSON_IsObject(s->root) ? pd_schema_get(s->root, "$id") : NULL;
    if (id && cJSON_IsString(id)) {
        size_t n = strcspn(id->valuestring, "#");
        if (n > 0 && strncmp(ref, id->valuestring, n) == 0 && (ref[n] == '#' || !ref[n])) ref += n;
        if (!*ref && n > 0) return ref;
    }
    return *ref == '#' ? ref + 1 : NULL;
}

static pd_status find_target(pd_schema_reader *s, const cJSON *ref, char *fragment,
                             const cJSON **out) {
    uint32_t n_found;
    *out = s->root;
    if (!*fragment) return PD_OK;
    if (*fragment == '/') {
        *out = follow(s->root, fragment + 1);
        n_found = *out != NULL;
    } else {
        n_found = find_anchors(s, s->root, fragment, out);
    }
    if (n_found == 1) return PD_OK;
    return PD_SCHEMA_REFUSE(s, ref, "\"$ref\" leads to %s: %.100s",
                            n_found ? "several places" : "nothing", ref->valuestring);
}

pd_status pd_schema_resolve(pd_schema_reader *s, const cJSON *ref, const cJSON **out) {
    pd_bytes text = {0};
    if (!cJSON_IsString(ref)) return PD_SCHEMA_REFUSE(s, ref, "\"$ref\" has to be a text");
    if (s->has_inner_ids)
        return PD_SCHEMA_REFUSE(
            s, ref, "\"$ref\" is not supported where schemas below the root have an $id");
    const char *fragment = fragment_of(s, ref->valuestring);
    if (!fragment)
        return PD_SCHEMA_REFUSE(s, ref, "\"$ref\" leads out of the schema, to %.100s",
                                ref->valuestring);
    bool is_good = decode_percents(fragment, &text);
    pd_status status = PD_OK;
    if (text.failed)
        status = pd_schema_no_memory(s);
    else if (!is_good)
        status = PD_SCHEMA_REFUSE(s, ref, "\"$ref\" has a %% that is no escape");
    else
        status = find_target(s, ref, text.data, out);
    pd_bytes_free(&text);
    return status;
}
