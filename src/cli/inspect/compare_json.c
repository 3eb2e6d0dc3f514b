/* `peridot inspect A B --json`: what differs, as one JSON object.  SPDX-License-Identifier: MIT */
#include <math.h>

#include "cli/inspect/compare.h"
#include "cli/json.h"

/* Adds {"key": {"a": ..., "b": ...}}; a side that lacks it has no member. */
static void add_setting(cJSON *settings, const pd_gguf_value *a, const pd_gguf_value *b) {
    cJSON *key = inspect_string_json((a ? a : b)->key), *j = cJSON_CreateObject();
    if (a) cJSON_AddItemToObject(j, "a", inspect_value_json(a));
    if (b) cJSON_AddItemToObject(j, "b", inspect_value_json(b));
    if (key)
        cJSON_AddItemToObject(settings, key->valuestring, j);
    else
        cJSON_Delete(j);
    cJSON_Delete(key);
}

static bool add_settings(cJSON *root, const comparison *c) {
    cJSON *settings = cJSON_AddObjectToObject(root, "settings");
    bool differ = false;
    for (uint64_t i = 0; i < pd_gguf_value_count(c->a); i++) {
        const pd_gguf_value *a = pd_gguf_value_at(c->a, i), *b = compare_find_value(c->b, a);
        if (b && compare_values_same(a, b)) continue;
        add_setting(settings, a, b);
        differ = true;
    }
    for (uint64_t i = 0; i < pd_gguf_value_count(c->b); i++) {
        const pd_gguf_value *b = pd_gguf_value_at(c->b, i);
        if (compare_find_value(c->a, b)) continue;
        add_setting(settings, NULL, b);
        differ = true;
    }
    return differ;
}

static void add_number(cJSON *j, const char *name, double number) {
    cJSON_AddItemToObject(j, name,
                          isfinite(number) ? cJSON_CreateNumber(number) : cJSON_CreateNull());
}

static cJSON *tensor_json(const compare_tensor *t) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", (t->a ? t->a : t->b)->name);
    if (t->a) cJSON_AddStringToObject(j, "type_a", pd_type_name((uint32_t)t->a->type));
    if (t->b) cJSON_AddStringToObject(j, "type_b", pd_type_name((uint32_t)t->b->type));
    if (t->a) cJSON_AddNumberToObject(j, "bytes_a", (double)t->a->n_bytes);
    if (t->b) cJSON_AddNumberToObject(j, "bytes_b", (double)t->b->n_bytes);
    if (t->a && t->b) cJSON_AddBoolToObject(j, "same_shape", t->same_shape);
    if (!t->same_shape) return j;
    cJSON_AddNumberToObject(j, "values", (double)t->sums.n);
    cJSON_AddNumberToObject(j, "values_that_differ", (double)t->sums.n_differ);
    add_number(j, "relative_rms", compare_rms(&t->sums));
    add_number(j, "worst", t->sums.worst);
    cJSON_AddNumberToObject(j, "worst_at", (double)t->sums.worst_at);
    return j;
}

pd_status compare_print_json(const comparison *c, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    bool differ = add_settings(root, c);
    cJSON *tensors = cJSON_AddArrayToObject(root, "tensors"); /* that differ */
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        if (compare_is_same(&c->tensors[i])) continue;
        cJSON_AddItemToArray(tensors, tensor_json(&c->tensors[i]));
        differ = true;
    }
    cJSON_AddBoolToObject(root, "equal", !differ);
    return cli_print_json(root, err);
}
