/* See schema_reader.h: whether a constant of a schema meets another one. Small and plain, since it
 * only sees what people write into enum and const.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- equality -------------------------------------------------------------------------------- */

static bool are_equal(pd_schema_reader *s, const cJSON *a, const cJSON *b);

static uint32_t count(const cJSON *value) {
    return (uint32_t)cJSON_GetArraySize(value);
}

static bool are_equal_objects(pd_schema_reader *s, const cJSON *a, const cJSON *b) {
    uint32_t n = count(a);
    if (n != count(b)) return false;
    s->n_steps += n < 4096 ? n * n / 16 : PD_SCHEMA_MAX_STEPS; /* looking up is linear */
    if (s->n_steps >= PD_SCHEMA_MAX_STEPS) return false; /* the next step refuses the schema */
    for (const cJSON *each = a->child; each; each = each->next) {
        const cJSON *other = pd_schema_get(b, each->string);
        if (!other || !are_equal(s, each, other)) return false;
    }
    return true;
}

static bool are_equal(pd_schema_reader *s, const cJSON *a, const cJSON *b) {
    if ((a->type & 0xff) != (b->type & 0xff)) return false;
    if (cJSON_IsNumber(a))
        return a->valuedouble >= b->valuedouble && a->valuedouble <= b->valuedouble;
    if (cJSON_IsString(a)) return strcmp(a->valuestring, b->valuestring) == 0;
    if (cJSON_IsObject(a)) return are_equal_objects(s, a, b);
    if (!cJSON_IsArray(a)) return true;
    for (a = a->child, b = b->child; a && b; a = a->next, b = b->next)
        if (!are_equal(s, a, b)) return false;
    return !a && !b;
}

/* ---- values of one kind ---------------------------------------------------------------------- */

static unsigned kind_of(const cJSON *value) {
    if (cJSON_IsNull(value)) return PD_KIND_NULL;
    if (cJSON_IsBool(value)) return PD_KIND_BOOLEAN;
    if (cJSON_IsString(value)) return PD_KIND_STRING;
    if (cJSON_IsArray(value)) return PD_KIND_ARRAY;
    if (cJSON_IsObject(value)) return PD_KIND_OBJECT;
    bool is_whole = floor(value->valuedouble) == value->valuedouble;
    return is_whole ? PD_KIND_INTEGER : PD_KIND_FRACTION;
}

static pd_status number_meets(pd_schema_reader *s, const cJSON *schema, double value, bool *out) {
    bool has;
    double bound;
    *out = true;
    PD_TRY(pd_schema_get_number(s, schema, "minimum", &has, &bound));
    if (has) *out &= value >= bound;
    PD_TRY(pd_schema_get_number(s, schema, "maximum", &has, &bound));
    if (has) *out &= value <= bound;
    PD_TRY(pd_schema_get_number(s, schema, "exclusiveMinimum", &has, &bound));
    if (has) *out &= value > bound;
    PD_TRY(pd_schema_get_number(s, schema, "exclusiveMaximum", &has, &bound));
    if (has) *out &= value < bound;
    PD_TRY(pd_schema_get_number(s, schema, "multipleOf", &has, &bound));
    if (has && bound != floor(bound))
        return PD_SCHEMA_REFUSE(s, schema, "\"multipleOf\" is supported for integers alone");
    if (has && bound > 0) *out &= !(fabs(fmod(value, bound)) > 0);
    const cJSON *format = pd_schema_get(schema, "format");
    bool is_short = format && cJSON_IsString(format) && strcmp(format->valuestring, "int32") == 0;
    if (is_short) *out &= value == floor(value) && value >= INT32_MIN && value <= INT32_MAX;
    return PD_OK;
}

static pd_status are_unique(pd_schema_reader *s, const cJSON *value, bool *out) {
    *out = true;
    for (const cJSON *a = value->child; a && *out; a = a->next)
        for (const cJSON *b = a->next; b && *out; b = b->next) {
            PD_TRY(pd_schema_step(s, value));
            *out = !are_equal(s, a, b);
        }
    return PD_OK;
}

static pd_status count_meets(pd_schema_reader *s, const cJSON *schema, const char *min,
                             const char *max, uint32_t n, bool *out) {
    bool has;
    uint32_t bound;
    *out = true;
    PD_TRY(pd_schema_get_count(s, schema, min, &has, &bound));
    if (has) *out &= n >= bound;
    PD_TRY(pd_schema_get_count(s, schema, max, &has, &bound));
    if (has) *out &= n <= bound;
    return PD_OK;
}

static pd_status list_meets(pd_schema_reader *s, const cJSON *schema, const cJSON *value,
                            bool *out) {
    const cJSON *unique = pd_schema_get(schema, "uniqueItems");
    const pd_schema_leaf alone = {.list = &schema, .n = 1};
    PD_TRY(count_meets(s, schema, "minItems", "maxItems", count(value), out));
    if (unique && cJSON_IsTrue(unique) && *out) PD_TRY(are_unique(s, value, out));
    uint32_t place = 0;
    for (const cJSON *each = value->child; each && *out; each = each->next) {
        pd_schema_set set;
        PD_TRY(pd_schema_set_of_place(s, &alone, place++, &set));
        if (set.n) PD_TRY(pd_schema_meets(s, set.list[0], each, out));
    }
    return PD_OK;
}

static pd_status has_required(pd_schema_reader *s, const cJSON *schema, const cJSON *value,
                              bool *out) {
    const cJSON *required = pd_schema_get(schema, "required"), *each;
    *out = true;
    if (required && !cJSON_IsArray(required))
        return PD_SCHEMA_REFUSE(s, schema, "\"required\" has to be a list of names");
    cJSON_ArrayForEach(each, required) {
        PD_TRY(pd_schema_step(s, schema));
        if (!cJSON_IsString(each))
            return PD_SCHEMA_REFUSE(s, schema, "\"required\" has to be a list of names");
        *out &= pd_schema_get(value, each->valuestring) != NULL;
    }
    return PD_OK;
}

static pd_status object_meets(pd_schema_reader *s, const cJSON *schema, const cJSON *value,
                              bool *out) {
    const pd_schema_leaf alone = {.list = &schema, .n = 1};
    bool has_all;
    PD_TRY(count_meets(s, schema, "minProperties", "maxProperties", count(value), out));
    PD_TRY(has_required(s, schema, value, &has_all));
    *out &= has_all;
    for (const cJSON *each = value->child; each && *out; each = each->next) {
        pd_schema_set set;
        PD_TRY(pd_schema_set_of_property(s, &alone, each->string, &set));
        if (set.n) PD_TRY(pd_schema_meets(s, set.list[0], each, out));
    }
    return PD_OK;
}

/* ---- schemas --------------------------------------------------------------------------------- */

static pd_status check_keywords(pd_schema_reader *s, const cJSON *schema, unsigned kind) {
    for (const cJSON *k = schema->child; k; k = k->next) {
        unsigned kinds;
        pd_keyword_role role = pd_schema_keyword(k->string, &kinds);
        if (role == PD_KEYWORD_UNKNOWN || (role == PD_KEYWORD_REFUSED && (kinds & kind)))
            return PD_SCHEMA_REFUSE(s, schema, "\"%.100s\" is not supported", k->string);
    }
    return PD_OK;
}

static pd_status is_among(pd_schema_reader *s, const cJSON *schema, const cJSON *value, bool *out) {
    const cJSON *only = pd_schema_get(schema, "const"), *list = pd_schema_get(schema, "enum");
    *out = !only || are_equal(s, only, value);
    if (!list || !*out) return PD_OK;
    *out = false;
    for (const cJSON *each = list->child; each && !*out; each = each->next) {
        PD_TRY(pd_schema_step(s, schema));
        *out = are_equal(s, each, value);
    }
    return PD_OK;
}

/* is_listed: the value is known to be one of its enum or const. */
static pd_status meets_own(pd_schema_reader *s, const cJSON *schema, const cJSON *value,
                           bool is_listed, bool *out) {
    unsigned kinds, kind = kind_of(value);
    PD_TRY(pd_schema_step(s, schema));
    PD_TRY(check_keywords(s, schema, kind));
    PD_TRY(pd_schema_get_kinds(s, schema, &kinds));
    *out = (kinds & kind) != 0;
    if (*out && !is_listed) PD_TRY(is_among(s, schema, value, out));
    if (!*out) return PD_OK;
    switch (kind) {
    case PD_KIND_STRING: return pd_schema_string_meets(s, schema, value->valuestring, out);
    case PD_KIND_ARRAY: return list_meets(s, schema, value, out);
    case PD_KIND_OBJECT: return object_meets(s, schema, value, out);
    case PD_KIND_INTEGER:
    case PD_KIND_FRACTION: return number_meets(s, schema, value->valuedouble, out);
    default: return PD_OK;
    }
}

pd_status pd_schema_meets_own(pd_schema_reader *s, const cJSON *schema, const cJSON *value,
                              bool *out) {
    return meets_own(s, schema, value, false, out);
}

/* How many of a list's schemas are met. */
static pd_status count_met(pd_schema_reader *s, const cJSON *list, const cJSON *value,
                           uint32_t *n) {
    const cJSON *each;
    *n = 0;
    cJSON_ArrayForEach(each, list) {
        bool is_met;
        PD_TRY(pd_schema_meets(s, each, value, &is_met));
        *n += is_met;
    }
    return PD_OK;
}

static pd_status meets_object_schema(pd_schema_reader *s, const cJSON *schema, const cJSON *value,
                                     bool *out) {
    const cJSON *ref = pd_schema_get(schema, "$ref"), *all = pd_schema_get(schema, "allOf");
    const cJSON *any = pd_schema_get(schema, "anyOf"), *one = pd_schema_get(schema, "oneOf"), *to;
    uint32_t n;
    PD_TRY(pd_schema_meets_own(s, schema, value, out));
    if (ref && *out) {
        PD_TRY(pd_schema_resolve(s, ref, &to));
        PD_TRY(pd_schema_meets(s, to, value, out));
    }
    if (all && *out) {
        PD_TRY(count_met(s, all, value, &n));
        *out = n == count(all);
    }
    if (any && *out) {
        PD_TRY(count_met(s, any, value, &n));
        *out = n > 0;
    }
    if (one && *out) {
        PD_TRY(count_met(s, one, value, &n));
        *out = n == 1;
    }
    return PD_OK;
}

pd_status pd_schema_meets(pd_schema_reader *s, const cJSON *schema, const cJSON *value, bool *out) {
    *out = cJSON_IsTrue(schema);
    if (cJSON_IsBool(schema)) return PD_OK;
    if (!cJSON_IsObject(schema))
        return PD_SCHEMA_REFUSE(s, schema, "a schema has to be an object, true or false");
    if (s->depth == PD_SCHEMA_MAX_DEPTH)
        return PD_SCHEMA_REFUSE(s, schema, "more than %d schemas lead to one another",
                                PD_SCHEMA_MAX_DEPTH);
    s->depth++;
    pd_status status = meets_object_schema(s, schema, value, out);
    s->depth--;
    return status;
}

/* ---- lists of values ------------------------------------------------------------------------- */

static pd_status find_list(pd_schema_reader *s, const pd_schema_leaf *leaf, const cJSON **first,
                           const cJSON **at) {
    *first = NULL;
    *at = NULL;
    for (uint32_t i = 0; i < leaf->n; i++) {
        const cJSON *only = pd_schema_get(leaf->list[i], "const");
        const cJSON *list = pd_schema_get(leaf->list[i], "enum");
        if (list && !cJSON_IsArray(list))
            return PD_SCHEMA_REFUSE(s, leaf->list[i], "\"enum\" has to be a list of values");
        if (!only && !list) continue;
        *at = leaf->list[i];
        *first = only ? only : list->child;
        if (only) break; /* the shortest list */
    }
    return PD_OK;
}

/* at: the schema that lists the value. */
static pd_status meets_all(pd_schema_reader *s, const pd_schema_leaf *leaf, const cJSON *at,
                           const cJSON *value, bool *out) {
    bool has_both = pd_schema_get(at, "const") && pd_schema_get(at, "enum");
    *out = true;
    for (uint32_t i = 0; i < leaf->n && *out; i++)
        PD_TRY(meets_own(s, leaf->list[i], value, leaf->list[i] == at && !has_both, out));
    return PD_OK;
}

pd_status pd_schema_values(pd_schema_reader *s, const pd_schema_leaf *leaf, bool *has,
                           const cJSON ***out, uint32_t *n_out) {
    const cJSON *first, *at;
    uint32_t n = 0;
    PD_TRY(find_list(s, leaf, &first, &at));
    *has = at != NULL;
    *n_out = 0;
    *out = NULL;
    if (!at) return PD_OK;
    bool is_list = !pd_schema_get(at, "const");
    for (const cJSON *each = first; each; each = is_list ? each->next : NULL) n++;
    *out = pd_arena_alloc(&s->arena, (size_t)n + 1, sizeof **out);
    if (!*out) return pd_schema_no_memory(s);
    for (const cJSON *each = first; each; each = is_list ? each->next : NULL) {
        bool is_met;
        PD_TRY(meets_all(s, leaf, at, each, &is_met));
        if (is_met) (*out)[(*n_out)++] = each;
    }
    if (*n_out == 0)
        pd_schema_never(s, at,
                        "no value of its \"enum\" or \"const\" meets the rest of the schema");
    return PD_OK;
}
