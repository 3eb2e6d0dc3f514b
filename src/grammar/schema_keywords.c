/* See schema_reader.h: which keywords there are, of what they speak, and reading their values.
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"

enum { MAX_LEAST = 1 << 20 }; /* minItems and the like: no answer is so long */

typedef struct keyword {
    const char *name;
    uint8_t role, kinds;
} keyword;

enum {
    NOTE = PD_KEYWORD_NOTE,
    IN_PLACE = PD_KEYWORD_IN_PLACE,
    RULE = PD_KEYWORD_RULE,
    REFUSED = PD_KEYWORD_REFUSED,
    ALL = PD_KIND_ALL,
    STRING = PD_KIND_STRING,
    NUMBER = PD_KIND_NUMBER,
    ARRAY = PD_KIND_ARRAY,
    OBJECT = PD_KIND_OBJECT
};

static const keyword KEYWORDS[] = {
    {"type", RULE, ALL},
    {"enum", RULE, ALL},
    {"const", RULE, ALL},
    {"properties", RULE, OBJECT},
    {"required", RULE, OBJECT},
    {"additionalProperties", RULE, OBJECT},
    {"minProperties", RULE, OBJECT},
    {"maxProperties", RULE, OBJECT},
    {"items", RULE, ARRAY},
    {"prefixItems", RULE, ARRAY},
    {"additionalItems", RULE, ARRAY},
    {"minItems", RULE, ARRAY},
    {"maxItems", RULE, ARRAY},
    {"uniqueItems", RULE, ARRAY},
    {"minLength", RULE, STRING},
    {"maxLength", RULE, STRING},
    {"pattern", RULE, STRING},
    {"format", RULE, STRING}, /* of numbers too, but does not mean one alone */
    {"minimum", RULE, NUMBER},
    {"maximum", RULE, NUMBER},
    {"exclusiveMinimum", RULE, NUMBER},
    {"exclusiveMaximum", RULE, NUMBER},
    {"multipleOf", RULE, NUMBER},
    {"$ref", IN_PLACE, ALL},
    {"allOf", IN_PLACE, ALL},
    {"anyOf", IN_PLACE, ALL},
    {"oneOf", IN_PLACE, ALL},
    {"title", NOTE, 0},
    {"description", NOTE, 0},
    {"default", NOTE, 0},
    {"example", NOTE, 0},
    {"examples", NOTE, 0},
    {"deprecated", NOTE, 0},
    {"readOnly", NOTE, 0},
    {"writeOnly", NOTE, 0},
    {"nullable", NOTE, 0}, /* read beside `type` */
    {"discriminator", NOTE, 0},
    {"contentMediaType", NOTE, 0},
    {"contentEncoding", NOTE, 0},
    {"contentSchema", NOTE, 0},
    {"definitions", NOTE, 0},
    {"$defs", NOTE, 0},
    {"$schema", NOTE, 0},
    {"$id", NOTE, 0},
    {"$anchor", NOTE, 0},
    {"$comment", NOTE, 0},
    {"patternProperties", REFUSED, OBJECT},
    {"propertyNames", REFUSED, OBJECT},
    {"dependencies", REFUSED, OBJECT},
    {"dependentRequired", REFUSED, OBJECT},
    {"dependentSchemas", REFUSED, OBJECT},
    {"unevaluatedProperties", REFUSED, OBJECT},
    {"unevaluatedItems", REFUSED, ARRAY},
    {"contains", REFUSED, ARRAY},
    {"minContains", REFUSED, ARRAY},
    {"maxContains", REFUSED, ARRAY},
    {"not", REFUSED, ALL},
    {"if", REFUSED, ALL},
    {"then", REFUSED, ALL},
    {"else", REFUSED, ALL},
    {"$dynamicRef", REFUSED, ALL},
    {"$dynamicAnchor", REFUSED, ALL},
    {"$recursiveRef", REFUSED, ALL},
    {"$recursiveAnchor", REFUSED, ALL},
    {"$vocabulary", REFUSED, ALL},
};

pd_keyword_role pd_schema_keyword(const char *name, unsigned *kinds) {
    *kinds = 0;
    if (strncmp(name, "x-", 2) == 0) return PD_KEYWORD_NOTE;
    for (size_t i = 0; i < sizeof KEYWORDS / sizeof *KEYWORDS; i++) {
        if (strcmp(KEYWORDS[i].name, name) != 0) continue;
        *kinds = KEYWORDS[i].kinds;
        return (pd_keyword_role)KEYWORDS[i].role;
    }
    return PD_KEYWORD_UNKNOWN;
}

/* ---- values of keywords ---------------------------------------------------------------------- */

const cJSON *pd_schema_get(const cJSON *schema, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(schema, name);
}

pd_status pd_schema_get_number(const pd_schema_reader *s, const cJSON *schema, const char *name,
                               bool *has, double *out) {
    const cJSON *value = pd_schema_get(schema, name);
    *has = value != NULL;
    if (!value) return PD_OK;
    if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble))
        return PD_SCHEMA_REFUSE(s, schema, "\"%s\" has to be a number", name);
    *out = value->valuedouble;
    return PD_OK;
}

pd_status pd_schema_get_count(const pd_schema_reader *s, const cJSON *schema, const char *name,
                              bool *has, uint32_t *out) {
    double value = 0;
    PD_TRY(pd_schema_get_number(s, schema, name, has, &value));
    if (!*has) return PD_OK;
    if (value < 0 || value != floor(value))
        return PD_SCHEMA_REFUSE(s, schema, "\"%s\" has to be an integer from 0 on", name);
    if (value > MAX_LEAST && strncmp(name, "min", 3) == 0)
        return PD_SCHEMA_REFUSE(s, schema, "\"%s\" is larger than %d", name, MAX_LEAST);
    *out = value < PD_REPEAT_ANY ? (uint32_t)value : PD_REPEAT_ANY;
    return PD_OK;
}

pd_status pd_schema_check_text(const pd_schema_reader *s, const cJSON *at, const char *text) {
    size_t n = strlen(text);
    if (pd_utf8_valid_bytes(text, n) == n) return PD_OK;
    return PD_SCHEMA_REFUSE(s, at, "a text is not UTF-8");
}

/* ---- types ----------------------------------------------------------------------------------- */

static unsigned kind_of(const cJSON *name) {
    static const struct {
        const char *name;
        unsigned kinds;
    } types[] = {{"null", PD_KIND_NULL},       {"boolean", PD_KIND_BOOLEAN},
                 {"integer", PD_KIND_INTEGER}, {"number", PD_KIND_NUMBER},
                 {"string", PD_KIND_STRING},   {"array", PD_KIND_ARRAY},
                 {"object", PD_KIND_OBJECT}};
    for (size_t i = 0; i < sizeof types / sizeof *types && cJSON_IsString(name); i++)
        if (strcmp(types[i].name, name->valuestring) == 0) return types[i].kinds;
    return 0;
}

static pd_status add_kind(const pd_schema_reader *s, const cJSON *schema, const cJSON *name,
                          unsigned *kinds) {
    unsigned kind = kind_of(name);
    *kinds |= kind;
    if (kind) return PD_OK;
    return PD_SCHEMA_REFUSE(s, schema, "\"type\" names no type: %.60s",
                            cJSON_IsString(name) ? name->valuestring : "it has to be a text");
}

static pd_status add_null(const pd_schema_reader *s, const cJSON *schema, unsigned *kinds) {
    const cJSON *nullable = pd_schema_get(schema, "nullable");
    if (nullable && !cJSON_IsBool(nullable))
        return PD_SCHEMA_REFUSE(s, schema, "\"nullable\" has to be true or false");
    if (nullable && cJSON_IsTrue(nullable)) *kinds |= PD_KIND_NULL;
    return PD_OK;
}

pd_status pd_schema_get_kinds(const pd_schema_reader *s, const cJSON *schema, unsigned *out) {
    const cJSON *type = pd_schema_get(schema, "type"), *each;
    *out = type ? 0 : PD_KIND_ALL;
    if (!type) return PD_OK;
    if (!cJSON_IsArray(type))
        PD_TRY(add_kind(s, schema, type, out));
    else
        cJSON_ArrayForEach(each, type) PD_TRY(add_kind(s, schema, each, out));
    return add_null(s, schema, out);
}
