/* JSON that came in. Fields that are not known are ignored; of those that are, a wrong type or a
 * number out of range is refused with the field's name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_FIELDS_H
#define PD_SERVER_FIELDS_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* An object of a request, and the field that was refused first. */
typedef struct srv_fields {
    const cJSON *object;
    char param[64];
} srv_fields;

/* A request's body. Errors: FORMAT (not UTF-8, no JSON object, nested too deeply, more values than
 * any request needs, a zero in a string). *out: cJSON_Delete. */
pd_status srv_json_parse(const char *text, size_t n, cJSON **out, pd_error *err);

/* Each leaves *out alone where the field is absent or null. Errors: ARGUMENT. */
pd_status srv_get_bool(srv_fields *f, const char *name, bool *out, pd_error *err);
pd_status srv_get_number(srv_fields *f, const char *name, double min, double max, double *out,
                         pd_error *err);
/* The same of a number without a fraction. */
pd_status srv_get_whole(srv_fields *f, const char *name, double min, double max, double *out,
                        pd_error *err);
pd_status srv_get_float(srv_fields *f, const char *name, double min, double max, float *out,
                        pd_error *err);
pd_status srv_get_u32(srv_fields *f, const char *name, uint32_t min, uint32_t max, uint32_t *out,
                      pd_error *err);
pd_status srv_get_string(srv_fields *f, const char *name, const char **out, pd_error *err);
/* A member that is there and not null, else NULL. */
const cJSON *srv_get(const srv_fields *f, const char *name);
/* The field is refused: "NAME has to be WANTED, not a string". */
pd_status srv_refuse(srv_fields *f, const char *name, const char *wanted, const cJSON *found,
                     pd_error *err);
/* Notes the field that an error is about. */
void srv_blame(srv_fields *f, const char *name);

/* What has been made with cJSON as text, and the tree deleted; NULL: no memory. cJSON_free. */
char *srv_json_text(cJSON *root);
/* A text of n bytes as a string: what is no UTF-8, and zeros, become U+FFFD. */
cJSON *srv_text_json(const char *text, size_t n);
void srv_add_text(cJSON *object, const char *name, const char *text, size_t n);
/* A name that may come from anywhere, cut to size - 1 bytes: what is no UTF-8 there becomes "?". */
void srv_copy_name(char *out, size_t size, const char *name);
/* A whole number, which cJSON's doubles hold up to 2^53. */
void srv_add_count(cJSON *object, const char *name, uint64_t n);
/* A number to the digits that tell floats apart. */
void srv_add_float(cJSON *object, const char *name, float x);
cJSON *srv_float_json(float x);

#endif
