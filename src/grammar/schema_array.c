/* See schema_reader.h: lists. Places with a schema of their own come first; what follows them is a
 * repetition. Where such places are there and nothing is said of those behind, no more are written
 * than minItems asks for.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

typedef struct array {
    pd_schema_reader *s;
    const pd_schema_leaf *leaf;
    uint32_t n_places, min, max;
    bool has_rest;
} array;

static pd_status check_unique(const array *a, const cJSON *schema) {
    const cJSON *unique = pd_schema_get(schema, "uniqueItems");
    if (!unique || cJSON_IsFalse(unique)) return PD_OK;
    if (!cJSON_IsTrue(unique))
        return PD_SCHEMA_REFUSE(a->s, schema, "\"uniqueItems\" has to be true or false");
    if (a->max <= 1) return PD_OK;
    return PD_SCHEMA_REFUSE(a->s, schema, "\"uniqueItems\" is not supported");
}

static pd_status read_counts(array *a) {
    a->max = PD_REPEAT_ANY;
    for (uint32_t i = 0; i < a->leaf->n; i++) {
        bool has;
        uint32_t n;
        PD_TRY(pd_schema_get_count(a->s, a->leaf->list[i], "minItems", &has, &n));
        if (has && n > a->min) a->min = n;
        PD_TRY(pd_schema_get_count(a->s, a->leaf->list[i], "maxItems", &has, &n));
        if (has && n < a->max) a->max = n;
    }
    for (uint32_t i = 0; i < a->leaf->n; i++) PD_TRY(check_unique(a, a->leaf->list[i]));
    PD_TRY(pd_schema_places(a->s, a->leaf, &a->n_places, &a->has_rest));
    uint32_t least = a->min > a->n_places ? a->min : a->n_places;
    if (a->n_places > 0 && !a->has_rest && a->max > least) a->max = least;
    return PD_OK;
}

static pd_status build_place(array *a, uint32_t place, pd_node *out) {
    pd_schema_set set;
    PD_TRY(pd_schema_set_of_place(a->s, a->leaf, place, &set));
    return pd_schema_build(a->s, &set, out);
}

static uint32_t less(uint32_t n, uint32_t by) {
    return n == PD_REPEAT_ANY ? n : n > by ? n - by : 0;
}

/* An element, and what may follow it: from the place behind it on. */
static pd_node element_and_rest(array *a, uint32_t place, pd_node element, pd_node rest) {
    const pd_node parts[] = {element, rest};
    return place >= a->max ? pd_rules_alt(a->s->r, NULL, 0) : pd_rules_seq(a->s->r, parts, 2);
}

/* As a rule, so that the tree does not get deep. */
static pd_node shared(array *a, pd_node node) {
    uint32_t rule = pd_rules_new(a->s->r);
    pd_rules_give(a->s->r, rule, node);
    return pd_rules_use(a->s->r, rule);
}

/* All elements, without the brackets: from the last place to the first. */
static pd_status make_elements(array *a, pd_node *out) {
    pd_rules *r = a->s->r;
    uint32_t n = a->n_places;
    pd_node element = pd_rules_alt(r, NULL, 0), rest = pd_rules_seq(r, NULL, 0);
    if (a->max > n) {
        PD_TRY(build_place(a, n, &element));
        uint32_t before = n > 0 ? n : 1; /* elements that stand before the repetition */
        rest = pd_rules_repeat(r, pd_schema_behind_comma(a->s, element), less(a->min, before),
                               less(a->max, before));
    }
    if (n == 0) {
        *out = element_and_rest(a, 0, element, rest);
        return PD_OK;
    }
    for (uint32_t place = n; place-- > 0;) {
        PD_TRY(build_place(a, place, &element));
        *out = element_and_rest(a, place, element, shared(a, rest));
        rest = pd_schema_behind_comma(a->s, *out);
        if (place >= a->min) rest = pd_rules_optional(r, rest);
    }
    return PD_OK;
}

pd_status pd_schema_array(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_node *out) {
    array a = {.s = s, .leaf = leaf};
    pd_node elements;
    PD_TRY(read_counts(&a));
    if (a.min > a.max) pd_schema_never(s, leaf->list[0], "minItems is larger than maxItems");
    PD_TRY(make_elements(&a, &elements));
    *out = pd_schema_enclosed(s, "[]", elements, a.min == 0);
    return PD_OK;
}
