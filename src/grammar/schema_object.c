/* See schema_reader.h: objects. Listed properties come in the schema's order, each at most once,
 * then others where they are allowed, whose names differ from all listed ones.
 *
 * What may follow is built from the end: `one(i)` is at least one of the properties from i on,
 * `rest(i)` what may follow when something has been written: nothing, or a comma and one(i). Where
 * properties are counted (minProperties, maxProperties), both also depend on how many were written.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "grammar/json_text.h"

enum { MAX_COUNTED = 140, MAX_NAME = 250 };

typedef struct property {
    const char *name;
    bool is_required;
    pd_node pair;
} property;

typedef struct object {
    pd_schema_reader *s;
    const pd_schema_leaf *leaf;
    property *list;
    uint32_t n, n_required;
    bool has_others;
    pd_node other;     /* the pair of a name that is not listed */
    uint32_t min, max; /* properties; max PD_REPEAT_ANY: no limit */
    bool is_counted;
    uint32_t *one, *rest; /* [n_counts] rules, of the properties from i on */
} object;

/* ---- names ----------------------------------------------------------------------------------- */

static property *find_property(const object *o, const char *name) {
    for (uint32_t i = 0; i < o->n; i++)
        if (strcmp(o->list[i].name, name) == 0) return &o->list[i];
    return NULL;
}

static pd_status add_name(object *o, const cJSON *at, const char *name, property **out) {
    *out = find_property(o, name);
    if (*out) return PD_OK;
    PD_TRY(pd_schema_step(o->s, at));
    PD_TRY(pd_schema_check_text(o->s, at, name));
    if (o->n == PD_SCHEMA_MAX_PARTS)
        return PD_SCHEMA_REFUSE(o->s, at, "an object has more than %d properties",
                                PD_SCHEMA_MAX_PARTS);
    *out = &o->list[o->n++];
    **out = (property){.name = name};
    return PD_OK;
}

static pd_status add_properties(object *o, const cJSON *schema) {
    const cJSON *properties = pd_schema_get(schema, "properties"), *each, *other;
    property *p;
    if (!properties) return PD_OK;
    if (!cJSON_IsObject(properties))
        return PD_SCHEMA_REFUSE(o->s, schema, "\"properties\" has to be an object");
    cJSON_ArrayForEach(each, properties) {
        PD_TRY(add_name(o, properties, each->string, &p));
        for (other = each->next; other; other = other->next)
            if (strcmp(other->string, each->string) == 0)
                return PD_SCHEMA_REFUSE(o->s, properties, "the property \"%.100s\" is there twice",
                                        each->string);
    }
    return PD_OK;
}

static pd_status add_required(object *o, const cJSON *schema) {
    const cJSON *required = pd_schema_get(schema, "required"), *each;
    property *p;
    if (!required) return PD_OK;
    if (!cJSON_IsArray(required))
        return PD_SCHEMA_REFUSE(o->s, schema, "\"required\" has to be a list of names");
    cJSON_ArrayForEach(each, required) {
        if (!cJSON_IsString(each))
            return PD_SCHEMA_REFUSE(o->s, schema, "\"required\" has to be a list of names");
        PD_TRY(add_name(o, required, each->valuestring, &p));
        o->n_required += !p->is_required;
        p->is_required = true;
    }
    return PD_OK;
}

static pd_status read_names(object *o) {
    for (uint32_t i = 0; i < o->leaf->n; i++) PD_TRY(add_properties(o, o->leaf->list[i]));
    for (uint32_t i = 0; i < o->leaf->n; i++) PD_TRY(add_required(o, o->leaf->list[i]));
    return PD_OK;
}

static pd_status read_counts(object *o) {
    o->max = PD_REPEAT_ANY;
    for (uint32_t i = 0; i < o->leaf->n; i++) {
        bool has;
        uint32_t n;
        PD_TRY(pd_schema_get_count(o->s, o->leaf->list[i], "minProperties", &has, &n));
        if (has && n > o->min) o->min = n;
        PD_TRY(pd_schema_get_count(o->s, o->leaf->list[i], "maxProperties", &has, &n));
        if (has && n < o->max) o->max = n;
    }
    return PD_OK;
}

/* ---- names that are not listed --------------------------------------------------------------- */

/* The character of a name behind its first `at` bytes; moves *at. */
static uint32_t char_at(const char *name, size_t *at) {
    return pd_utf8_next(name, strlen(name), at);
}

static pd_node one_char(pd_schema_reader *s, uint32_t c) {
    const pd_char_range range = {c, c};
    return pd_json_char(s->r, &range, 1, false);
}

/* What may follow the first `at` bytes, which all of the n sorted names have in common, so that
 * none of them is written. */
static pd_node other_names(pd_schema_reader *s, const char *const *names, uint32_t n, size_t at) {
    pd_char_range *chars = pd_arena_alloc(&s->arena, n + 1, sizeof *chars);
    pd_node *parts = pd_arena_alloc(&s->arena, n + (size_t)2, sizeof *parts);
    uint32_t n_parts = 0, n_chars = 0;
    if (!chars || !parts) {
        s->r->status = PD_ERR_MEMORY_HOST;
        return 0;
    }
    bool is_name = n > 0 && !names[0][at];
    if (!is_name) parts[n_parts++] = pd_rules_seq(s->r, NULL, 0);
    for (uint32_t i = is_name, end; i < n; i = end) {
        size_t next = at, other;
        uint32_t c = char_at(names[i], &next);
        for (end = i + 1; end < n && (other = at, char_at(names[end], &other) == c); end++) {
        }
        const pd_node two[] = {one_char(s, c), other_names(s, names + i, end - i, next)};
        parts[n_parts++] = pd_rules_seq(s->r, two, 2);
        chars[n_chars++] = (pd_char_range){c, c};
    }
    const pd_node free[] = {pd_json_char(s->r, chars, n_chars, true),
                            pd_rules_use(s->r, s->any_text)};
    parts[n_parts++] = pd_rules_seq(s->r, free, 2);
    return pd_rules_alt(s->r, parts, n_parts);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static pd_status make_other_name(object *o, pd_node *out) {
    const char **names = pd_arena_alloc(&o->s->arena, o->n + 1, sizeof *names);
    if (!names) return pd_schema_no_memory(o->s);
    for (uint32_t i = 0; i < o->n; i++) {
        names[i] = o->list[i].name;
        if (strlen(names[i]) > MAX_NAME)
            return PD_SCHEMA_REFUSE(o->s, o->leaf->list[0],
                                    "a property's name is longer than %d bytes, and others are "
                                    "allowed beside it",
                                    MAX_NAME);
    }
    qsort(names, o->n, sizeof *names, compare_names);
    *out = pd_schema_quoted(o->s->r, other_names(o->s, names, o->n, 0));
    return PD_OK;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static pd_status make_properties(object *o) {
    for (uint32_t i = 0; i < o->n; i++) {
        property *p = &o->list[i];
        pd_schema_set set;
        pd_node value;
        PD_TRY(pd_schema_set_of_property(o->s, o->leaf, p->name, &set));
        PD_TRY(pd_schema_build(o->s, &set, &value));
        pd_node chars = pd_json_text(o->s->r, p->name, strlen(p->name));
        p->pair = pd_schema_pair(o->s, pd_schema_quoted(o->s->r, chars), value);
    }
    return PD_OK;
}

static pd_status make_other(object *o) {
    pd_schema_set set;
    pd_node name = 0, value;
    PD_TRY(pd_schema_set_of_others(o->s, o->leaf, &o->has_others, &set));
    if (!o->has_others) return PD_OK;
    PD_TRY(make_other_name(o, &name));
    PD_TRY(pd_schema_build(o->s, &set, &value));
    o->other = pd_schema_pair(o->s, name, value);
    return PD_OK;
}

/* ---- which of them, and how many ------------------------------------------------------------- */

static uint32_t need(const object *o, uint32_t used) {
    return o->min > used ? o->min - used : 0;
}

static bool is_full(const object *o, uint32_t used) {
    return o->max != PD_REPEAT_ANY && used >= o->max;
}

/* How many were written, as far as it matters. */
static uint32_t count_of(const object *o, uint32_t used) {
    return o->is_counted ? used : 0;
}

/* A pair behind which `used` are written, and what follows it. */
static pd_node pair_and_rest(object *o, pd_node pair, uint32_t used) {
    const pd_node parts[] = {pair, pd_rules_use(o->s->r, o->rest[count_of(o, used)])};
    return pd_rules_seq(o->s->r, parts, 2);
}

/* Names that are not listed may be the same, so that they count as one at most: `used` before. */
static pd_node one_other(object *o, uint32_t used) {
    if (!o->has_others || need(o, used) > 1 || is_full(o, used))
        return pd_rules_alt(o->s->r, NULL, 0);
    uint32_t room = o->is_counted && o->max != PD_REPEAT_ANY ? o->max - used - 1 : PD_REPEAT_ANY;
    const pd_node parts[] = {
        o->other, pd_rules_repeat(o->s->r, pd_schema_behind_comma(o->s, o->other), 0, room)};
    return pd_rules_seq(o->s->r, parts, 2);
}

/* Gives the rules one(i), for `used` written ones; o->one and o->rest hold those of i + 1. */
static pd_node one_of(object *o, uint32_t i, uint32_t used) {
    pd_rules *r = o->s->r;
    if (i == o->n) return one_other(o, used);
    if (is_full(o, used)) return pd_rules_alt(r, NULL, 0);
    pd_node here = pair_and_rest(o, o->list[i].pair, used + o->is_counted);
    if (o->list[i].is_required) return here;
    const pd_node both[] = {here, pd_rules_use(r, o->one[count_of(o, used)])};
    return pd_rules_alt(r, both, 2);
}

static bool must_follow(const object *o, uint32_t i, uint32_t used) {
    for (; i < o->n; i++)
        if (o->list[i].is_required) return true;
    return o->is_counted && need(o, used) > 0;
}

static pd_node rest_of(object *o, uint32_t i, uint32_t used, uint32_t one) {
    pd_node more = pd_schema_behind_comma(o->s, pd_rules_use(o->s->r, one));
    return must_follow(o, i, used) ? more : pd_rules_optional(o->s->r, more);
}

static uint32_t give_new(object *o, pd_node node) {
    uint32_t rule = pd_rules_new(o->s->r);
    pd_rules_give(o->s->r, rule, node);
    return rule;
}

/* Of i, from those of i + 1. Ascending: what is read for `used` + 1 is still that of i + 1. */
static void step_back(object *o, uint32_t i) {
    uint32_t last = o->is_counted ? i : 0;
    for (uint32_t used = 0; used <= last; used++) {
        uint32_t one = give_new(o, one_of(o, i, used));
        o->rest[used] = give_new(o, rest_of(o, i, used, one));
        o->one[used] = one;
    }
}

static pd_node make_body(object *o) {
    for (uint32_t i = o->n + 1; i-- > 0;) step_back(o, i);
    pd_node one = pd_rules_use(o->s->r, o->one[0]);
    return pd_schema_enclosed(o->s, "{}", one, !must_follow(o, 0, 0));
}

/* Pairs that stand in several places become rules. */
static void share_pairs(object *o) {
    for (uint32_t i = 0; i < o->n && o->is_counted; i++)
        o->list[i].pair = pd_rules_use(o->s->r, give_new(o, o->list[i].pair));
    if (o->has_others) o->other = pd_rules_use(o->s->r, give_new(o, o->other));
}

/* Whether minProperties and maxProperties say anything beyond what is required and listed. */
static pd_status decide_counting(object *o) {
    bool has_limit = o->max != PD_REPEAT_ANY && (o->has_others || o->max < o->n);
    o->is_counted = o->min > o->n_required || has_limit;
    if (!o->is_counted) return PD_OK;
    if (o->n > MAX_COUNTED)
        return PD_SCHEMA_REFUSE(o->s, o->leaf->list[0],
                                "minProperties and maxProperties are not supported for more than "
                                "%d properties",
                                MAX_COUNTED);
    if (o->min > o->n + 1 && o->has_others)
        return PD_SCHEMA_REFUSE(o->s, o->leaf->list[0],
                                "minProperties is not supported where more than one would have a "
                                "name that is not listed");
    return PD_OK;
}

static pd_status read_object(object *o, pd_node *out) {
    PD_TRY(read_names(o));
    PD_TRY(read_counts(o));
    PD_TRY(make_properties(o));
    PD_TRY(make_other(o));
    PD_TRY(decide_counting(o));
    if (o->n_required > o->max || (o->min > o->n && !o->has_others))
        pd_schema_never(o->s, o->leaf->list[0], "the numbers of properties contradict each other");
    share_pairs(o);
    *out = make_body(o);
    return PD_OK;
}

pd_status pd_schema_object(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_node *out) {
    object o = {.s = s, .leaf = leaf};
    o.list = pd_alloc(PD_SCHEMA_MAX_PARTS, sizeof *o.list);
    o.one = pd_alloc(MAX_COUNTED + 2, sizeof *o.one);
    o.rest = pd_alloc(MAX_COUNTED + 2, sizeof *o.rest);
    pd_status status = o.list && o.one && o.rest ? read_object(&o, out) : pd_schema_no_memory(s);
    pd_free(o.list);
    pd_free(o.one);
    pd_free(o.rest);
    return status;
}
