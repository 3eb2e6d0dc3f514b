/* See schema_reader.h: what a leaf says of a property and of an element of a list. In each of its
 * schemas additionalProperties speaks of the names that this one does not list, items of the places
 * behind its own prefix; so that several schemas together are exact.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

static pd_status begin(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_schema_set *out) {
    *out = (pd_schema_set){pd_arena_alloc(&s->arena, (size_t)leaf->n + 1, sizeof *out->list), 0};
    s->n_steps += leaf->n;
    return out->list ? PD_OK : pd_schema_no_memory(s);
}

static void add(pd_schema_set *set, const cJSON *schema) {
    if (schema) set->list[set->n++] = schema;
}

/* ---- properties ------------------------------------------------------------------------------ */

pd_status pd_schema_set_of_property(pd_schema_reader *s, const pd_schema_leaf *leaf,
                                    const char *name, pd_schema_set *out) {
    PD_TRY(begin(s, leaf, out));
    for (uint32_t i = 0; i < leaf->n; i++) {
        const cJSON *properties = pd_schema_get(leaf->list[i], "properties");
        const cJSON *own = properties ? pd_schema_get(properties, name) : NULL;
        add(out, own ? own : pd_schema_get(leaf->list[i], "additionalProperties"));
    }
    return PD_OK;
}

pd_status pd_schema_set_of_others(pd_schema_reader *s, const pd_schema_leaf *leaf, bool *has,
                                  pd_schema_set *out) {
    bool is_listed = false, is_false = false;
    PD_TRY(begin(s, leaf, out));
    for (uint32_t i = 0; i < leaf->n; i++) {
        const cJSON *properties = pd_schema_get(leaf->list[i], "properties");
        const cJSON *others = pd_schema_get(leaf->list[i], "additionalProperties");
        is_listed |= properties && properties->child;
        is_false |= others && cJSON_IsFalse(others);
        add(out, others);
    }
    *has = !is_false && (out->n > 0 || !is_listed);
    return PD_OK;
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* The prefix of a schema, and what is behind it; NULL: nothing is said of that. `items` as a list
 * is draft 7's way. */
static pd_status read_items(const pd_schema_reader *s, const cJSON *schema, const cJSON **prefix,
                            const cJSON **rest) {
    const cJSON *items = pd_schema_get(schema, "items");
    *prefix = pd_schema_get(schema, "prefixItems");
    *rest = items;
    if (items && cJSON_IsArray(items)) {
        if (*prefix)
            return PD_SCHEMA_REFUSE(s, schema, "\"items\" is a list beside \"prefixItems\"");
        *prefix = items;
        *rest = pd_schema_get(schema, "additionalItems");
    }
    if (*prefix && !cJSON_IsArray(*prefix))
        return PD_SCHEMA_REFUSE(s, schema, "\"prefixItems\" has to be a list of schemas");
    return PD_OK;
}

pd_status pd_schema_places(pd_schema_reader *s, const pd_schema_leaf *leaf, uint32_t *n,
                           bool *has_rest) {
    *n = 0;
    *has_rest = false;
    for (uint32_t i = 0; i < leaf->n; i++) {
        const cJSON *prefix, *rest;
        PD_TRY(read_items(s, leaf->list[i], &prefix, &rest));
        uint32_t n_prefix = prefix ? (uint32_t)cJSON_GetArraySize(prefix) : 0;
        if (n_prefix > PD_SCHEMA_MAX_PARTS)
            return PD_SCHEMA_REFUSE(s, leaf->list[i], "a prefix of more than %d items",
                                    PD_SCHEMA_MAX_PARTS);
        if (n_prefix > *n) *n = n_prefix;
        *has_rest |= rest != NULL;
    }
    return PD_OK;
}

pd_status pd_schema_set_of_place(pd_schema_reader *s, const pd_schema_leaf *leaf, uint32_t place,
                                 pd_schema_set *out) {
    PD_TRY(begin(s, leaf, out));
    for (uint32_t i = 0; i < leaf->n; i++) {
        const cJSON *prefix, *rest;
        PD_TRY(read_items(s, leaf->list[i], &prefix, &rest));
        const cJSON *own = prefix ? cJSON_GetArrayItem(prefix, (int)place) : NULL;
        add(out, own ? own : rest);
    }
    return PD_OK;
}
