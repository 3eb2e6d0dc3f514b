/* See fields.h.  SPDX-License-Identifier: MIT */
#include "server/fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* A tree takes 64 bytes for a value that is two in the text. A prompt of 128K tokens, and as many
 * biases as there are tokens, are below this. */
enum { MAX_VALUES = 1 << 20 };

/* ---- parsing -------------------------------------------------------------------------------- */

static bool is_zero(const char *escape, size_t n) {
    return n >= 6 && memcmp(escape, "\\u0000", 6) == 0;
}

/* Walks over a text that need not be JSON: counts what makes values, and finds zeros in strings,
 * which would end them. */
static pd_status check_values(const char *text, size_t n, pd_error *err) {
    uint32_t n_values = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '\0' || (in_string && is_zero(text + i, n - i)))
            return PD_RAISE(err, PD_ERR_FORMAT, "the request has a zero at byte %zu", i);
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string)
            n_values += c == ',' || c == '[' || c == '{';
    }
    if (n_values <= MAX_VALUES) return PD_OK;
    return PD_RAISE(err, PD_ERR_FORMAT, "the request has more than %d values", MAX_VALUES);
}

pd_status srv_json_parse(const char *text, size_t n, cJSON **out, pd_error *err) {
    const char *end = NULL;
    *out = NULL;
    size_t valid = pd_utf8_valid_bytes(text, n);
    if (valid < n)
        return PD_RAISE(err, PD_ERR_FORMAT, "the request is not UTF-8 at byte %zu", valid);
    PD_TRY(check_values(text, n, err));
    cJSON *j = cJSON_ParseWithLengthOpts(text, n + 1, &end, true); /* a zero lies behind it */
    if (!j)
        return PD_RAISE(err, PD_ERR_FORMAT, "the request is not JSON from byte %zu on",
                        end ? (size_t)(end - text) : 0);
    if (cJSON_IsObject(j)) {
        *out = j;
        return PD_OK;
    }
    cJSON_Delete(j);
    return PD_RAISE(err, PD_ERR_FORMAT, "the request is JSON, but no object");
}

/* ---- reading -------------------------------------------------------------------------------- */

void srv_blame(srv_fields *f, const char *name) {
    snprintf(f->param, sizeof f->param, "%s", name);
}

static const char *kind_of(const cJSON *j) {
    if (cJSON_IsString(j)) return "a string";
    if (cJSON_IsNumber(j)) return "that number";
    if (cJSON_IsBool(j)) return "true or false";
    if (cJSON_IsArray(j)) return "a list";
    if (cJSON_IsObject(j)) return "an object";
    return "null";
}

pd_status srv_refuse(srv_fields *f, const char *name, const char *wanted, const cJSON *found,
                     pd_error *err) {
    srv_blame(f, name);
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%s has to be %s, not %s", name, wanted, kind_of(found));
}

const cJSON *srv_get(const srv_fields *f, const char *name) {
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(f->object, name);
    return j && !cJSON_IsNull(j) ? j : NULL;
}

pd_status srv_get_bool(srv_fields *f, const char *name, bool *out, pd_error *err) {
    const cJSON *j = srv_get(f, name);
    if (j && !cJSON_IsBool(j)) return srv_refuse(f, name, "true or false", j, err);
    if (j) *out = cJSON_IsTrue(j);
    return PD_OK;
}

pd_status srv_get_number(srv_fields *f, const char *name, double min, double max, double *out,
                         pd_error *err) {
    char wanted[96];
    const cJSON *j = srv_get(f, name);
    if (!j) return PD_OK;
    if (cJSON_IsNumber(j) && j->valuedouble >= min && j->valuedouble <= max) {
        *out = j->valuedouble;
        return PD_OK;
    }
    snprintf(wanted, sizeof wanted, "a number from %.10g to %.10g", min, max);
    return srv_refuse(f, name, wanted, j, err);
}

pd_status srv_get_float(srv_fields *f, const char *name, double min, double max, float *out,
                        pd_error *err) {
    double x = (double)*out;
    PD_TRY(srv_get_number(f, name, min, max, &x, err));
    *out = (float)x;
    return PD_OK;
}

pd_status srv_get_whole(srv_fields *f, const char *name, double min, double max, double *out,
                        pd_error *err) {
    const cJSON *j = srv_get(f, name);
    if (j && cJSON_IsNumber(j) && j->valuedouble != floor(j->valuedouble))
        return srv_refuse(f, name, "a whole number", j, err);
    return srv_get_number(f, name, min, max, out, err);
}

pd_status srv_get_u32(srv_fields *f, const char *name, uint32_t min, uint32_t max, uint32_t *out,
                      pd_error *err) {
    double x = *out;
    PD_TRY(srv_get_whole(f, name, min, max, &x, err));
    *out = (uint32_t)x;
    return PD_OK;
}

pd_status srv_get_string(srv_fields *f, const char *name, const char **out, pd_error *err) {
    const cJSON *j = srv_get(f, name);
    if (j && !cJSON_IsString(j)) return srv_refuse(f, name, "a string", j, err);
    if (j) *out = j->valuestring;
    return PD_OK;
}

/* ---- writing -------------------------------------------------------------------------------- */

char *srv_json_text(cJSON *root) {
    char *text = root ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}

cJSON *srv_text_json(const char *text, size_t n) {
    pd_bytes whole = {0};
    pd_bytes_write(&whole, "", 0);
    for (size_t i = 0; i < n;) {
        size_t length = text[i] ? pd_utf8_length((const uint8_t *)text + i, n - i) : 0;
        pd_bytes_write(&whole, length ? text + i : "\xef\xbf\xbd", length ? length : 3);
        i += length ? length : 1;
    }
    cJSON *j = whole.failed ? NULL : cJSON_CreateString(whole.data);
    pd_bytes_free(&whole);
    return j;
}

void srv_add_text(cJSON *object, const char *name, const char *text, size_t n) {
    cJSON_AddItemToObject(object, name, srv_text_json(text, n));
}

void srv_copy_name(char *out, size_t size, const char *name) {
    snprintf(out, size, "%s", name);
    size_t n = strlen(out);
    for (size_t at = 0; (at += pd_utf8_valid_bytes(out + at, n - at)) < n;) out[at] = '?';
}

void srv_add_count(cJSON *object, const char *name, uint64_t n) {
    cJSON_AddNumberToObject(object, name, (double)n);
}

cJSON *srv_float_json(float x) {
    char text[32];
    if (!isfinite(x)) return cJSON_CreateNumber(x < 0 ? -9999 : 9999);
    snprintf(text, sizeof text, "%.9g", (double)x);
    return cJSON_CreateRaw(text);
}

void srv_add_float(cJSON *object, const char *name, float x) {
    cJSON_AddItemToObject(object, name, srv_float_json(x));
}
