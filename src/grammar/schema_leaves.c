/* See schema_reader.h: a set of schemas taken apart into leaves. $ref and allOf bring members;
 * anyOf and oneOf are choices, which are gone through one within the other. Every member knows
 * which one brought it, so that a schema that brings itself is found.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { NO_PARENT = -1 };

typedef struct member {
    const cJSON *schema;
    int parent;
    bool has_rules;
} member;

typedef struct choice {
    const cJSON *list;
    int owner;
    bool is_one_of;
    uint32_t branch; /* that is being gone through */
} choice;

typedef struct expansion {
    pd_schema_reader *s;
    member *members; /* [PD_SCHEMA_MAX_MEMBERS] */
    int n_members;
    uint32_t n_choices, n_false;
    choice choices[PD_SCHEMA_MAX_CHOICES];
    pd_bytes leaves; /* pd_schema_leaf */
} expansion;

/* ---- members --------------------------------------------------------------------------------- */

static pd_status add(expansion *x, const cJSON *schema, int parent);

static pd_status check_way(expansion *x, const cJSON *schema, int parent) {
    uint32_t depth = 0;
    for (int i = parent; i != NO_PARENT; i = x->members[i].parent, depth++)
        if (x->members[i].schema == schema)
            return PD_SCHEMA_REFUSE(x->s, schema, "the schema refers to itself for the same value");
    if (depth < PD_SCHEMA_MAX_DEPTH) return PD_OK;
    return PD_SCHEMA_REFUSE(x->s, schema, "more than %d schemas lead to one another",
                            PD_SCHEMA_MAX_DEPTH);
}

static bool is_member(const expansion *x, const cJSON *schema) {
    for (int i = 0; i < x->n_members; i++)
        if (x->members[i].schema == schema) return true;
    return false;
}

/* Whether keywords are there that values have to meet themselves. */
static pd_status look_at_keywords(expansion *x, const cJSON *schema, bool *has_rules) {
    *has_rules = false;
    if (cJSON_GetArraySize(schema) > PD_SCHEMA_MAX_KEYWORDS)
        return PD_SCHEMA_REFUSE(x->s, schema, "a schema has more than %d keywords",
                                PD_SCHEMA_MAX_KEYWORDS);
    for (const cJSON *k = schema->child; k; k = k->next) {
        unsigned kinds;
        pd_keyword_role role = pd_schema_keyword(k->string, &kinds);
        if (role == PD_KEYWORD_UNKNOWN)
            return PD_SCHEMA_REFUSE(x->s, schema, "\"%.100s\" is not supported", k->string);
        *has_rules |= role == PD_KEYWORD_RULE || role == PD_KEYWORD_REFUSED;
        for (const cJSON *other = k->next; other && role != PD_KEYWORD_NOTE; other = other->next)
            if (strcmp(other->string, k->string) == 0)
                return PD_SCHEMA_REFUSE(x->s, schema, "\"%s\" is there twice", k->string);
    }
    return PD_OK;
}

static pd_status check_list(expansion *x, const cJSON *list, const char *name) {
    if (cJSON_IsArray(list) && list->child) return PD_OK;
    return PD_SCHEMA_REFUSE(x->s, list, "\"%s\" has to be a list of schemas", name);
}

static pd_status add_choice(expansion *x, const cJSON *schema, const char *name, int owner) {
    const cJSON *list = pd_schema_get(schema, name);
    if (!list) return PD_OK;
    PD_TRY(check_list(x, list, name));
    if (x->n_choices == PD_SCHEMA_MAX_CHOICES)
        return PD_SCHEMA_REFUSE(x->s, schema, "more than %d anyOf and oneOf come together",
                                PD_SCHEMA_MAX_CHOICES);
    x->choices[x->n_choices++] =
        (choice){.list = list, .owner = owner, .is_one_of = strcmp(name, "oneOf") == 0};
    return PD_OK;
}

static pd_status add_in_place(expansion *x, const cJSON *schema, int self) {
    const cJSON *ref = pd_schema_get(schema, "$ref"), *all = pd_schema_get(schema, "allOf"), *each;
    if (ref) {
        const cJSON *target;
        PD_TRY(pd_schema_resolve(x->s, ref, &target));
        PD_TRY(add(x, target, self));
    }
    if (all) {
        PD_TRY(check_list(x, all, "allOf"));
        cJSON_ArrayForEach(each, all) PD_TRY(add(x, each, self));
    }
    PD_TRY(add_choice(x, schema, "anyOf", self));
    return add_choice(x, schema, "oneOf", self);
}

static pd_status add(expansion *x, const cJSON *schema, int parent) {
    bool has_rules;
    PD_TRY(pd_schema_step(x->s, schema));
    if (cJSON_IsTrue(schema)) return PD_OK;
    if (cJSON_IsFalse(schema)) {
        pd_schema_never(x->s, schema, "nothing meets the schema false");
        x->n_false++;
        return PD_OK;
    }
    if (!cJSON_IsObject(schema))
        return PD_SCHEMA_REFUSE(x->s, schema, "a schema has to be an object, true or false");
    PD_TRY(check_way(x, schema, parent));
    if (is_member(x, schema)) return PD_OK;
    if (x->n_members == PD_SCHEMA_MAX_MEMBERS)
        return PD_SCHEMA_REFUSE(x->s, schema, "more than %d schemas come together",
                                PD_SCHEMA_MAX_MEMBERS);
    PD_TRY(look_at_keywords(x, schema, &has_rules));
    int self = x->n_members++;
    x->members[self] = (member){schema, parent, has_rules};
    return add_in_place(x, schema, self);
}

/* ---- leaves ---------------------------------------------------------------------------------- */

static int compare_addresses(const void *a, const void *b) {
    const cJSON *x = *(const cJSON *const *)a, *y = *(const cJSON *const *)b;
    return x < y ? -1 : x > y;
}

static pd_status add_leaf(expansion *x) {
    pd_arena *arena = &x->s->arena;
    pd_schema_leaf leaf = {
        .list = pd_arena_alloc(arena, (size_t)x->n_members + 1, sizeof *leaf.list),
        .choices = pd_arena_alloc(arena, x->n_choices + 1, sizeof *leaf.choices)};
    x->s->n_steps += (uint32_t)x->n_members; /* memory is work too */
    if (!leaf.list || !leaf.choices) return pd_schema_no_memory(x->s);
    for (int i = 0; i < x->n_members; i++)
        if (x->members[i].has_rules) leaf.list[leaf.n++] = x->members[i].schema;
    qsort(leaf.list, leaf.n, sizeof *leaf.list, compare_addresses);
    for (uint32_t i = 0; i < x->n_choices; i++)
        if (x->choices[i].is_one_of)
            leaf.choices[leaf.n_choices++] =
                (pd_schema_choice){x->choices[i].list, x->choices[i].branch};
    pd_bytes_write(&x->leaves, &leaf, sizeof leaf);
    return x->leaves.failed ? pd_schema_no_memory(x->s) : PD_OK;
}

/* Goes through the branches of the choice `at` and of those behind it. */
static pd_status go_through(expansion *x, uint32_t at) {
    if (x->n_false > 0) return PD_OK;
    if (at == x->n_choices) return add_leaf(x);
    const choice c = x->choices[at];
    const int n_members = x->n_members;
    const uint32_t n_choices = x->n_choices;
    const cJSON *branch;
    x->choices[at].branch = 0;
    cJSON_ArrayForEach(branch, c.list) {
        PD_TRY(pd_schema_step(x->s, branch));
        PD_TRY(add(x, branch, c.owner));
        PD_TRY(go_through(x, at + 1));
        x->n_members = n_members;
        x->n_choices = n_choices;
        x->n_false = 0;
        x->choices[at].branch++;
    }
    return PD_OK;
}

static pd_status expand(expansion *x, const pd_schema_set *set) {
    for (uint32_t i = 0; i < set->n; i++) PD_TRY(add(x, set->list[i], NO_PARENT));
    return go_through(x, 0);
}

static pd_status keep_leaves(expansion *x, pd_schema_leaf **out, uint32_t *n_out) {
    *n_out = (uint32_t)(x->leaves.n / sizeof(pd_schema_leaf));
    *out = pd_arena_alloc(&x->s->arena, (size_t)*n_out + 1, sizeof **out);
    if (!*out) return pd_schema_no_memory(x->s);
    if (*n_out) memcpy(*out, x->leaves.data, x->leaves.n);
    return PD_OK;
}

pd_status pd_schema_leaves(pd_schema_reader *s, const pd_schema_set *set, pd_schema_leaf **out,
                           uint32_t *n_out) {
    expansion *x = pd_alloc(1, sizeof *x);
    member *members = pd_alloc(PD_SCHEMA_MAX_MEMBERS, sizeof *members);
    pd_status status = PD_OK;
    if (x && members) {
        *x = (expansion){.s = s, .members = members};
        status = expand(x, set);
        if (status == PD_OK) status = keep_leaves(x, out, n_out);
        pd_bytes_free(&x->leaves);
    } else {
        status = pd_schema_no_memory(s);
    }
    pd_free(members);
    pd_free(x);
    return status;
}

/* ---- kinds ----------------------------------------------------------------------------------- */

/* Of what the keywords of a schema speak, `type` and values aside. */
static unsigned kinds_meant(const cJSON *schema) {
    unsigned all = 0;
    for (const cJSON *k = schema->child; k; k = k->next) {
        unsigned kinds;
        pd_keyword_role role = pd_schema_keyword(k->string, &kinds);
        if (role == PD_KEYWORD_RULE || role == PD_KEYWORD_REFUSED) all |= kinds;
    }
    return all;
}

pd_status pd_schema_leaf_kinds(pd_schema_reader *s, const pd_schema_leaf *leaf, unsigned *out) {
    unsigned meant = 0;
    bool has_type = false;
    *out = PD_KIND_ALL;
    for (uint32_t i = 0; i < leaf->n; i++) {
        unsigned kinds;
        PD_TRY(pd_schema_get_kinds(s, leaf->list[i], &kinds));
        *out &= kinds;
        has_type |= pd_schema_get(leaf->list[i], "type") != NULL;
        meant |= kinds_meant(leaf->list[i]);
    }
    if (!has_type && meant) *out = meant;
    return PD_OK;
}
