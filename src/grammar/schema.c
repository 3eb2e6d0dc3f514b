/* See schema.h: sets become nodes leaf by leaf; a leaf becomes a rule the first time that it is
 * met, so that recursion ends and the same schema is not written twice.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema.h"

#include <string.h>

#include "base/hash.h"
#include "file/json.h"
#include "grammar/json_text.h"
#include "grammar/node_list.h"
#include "grammar/schema_reader.h"

/* A hash table of leaves that are rules. */
enum { MEMO_SLOTS = 1 << 15, MEMO_MAX = MEMO_SLOTS / 2 };

struct pd_schema_memo {
    struct {
        const cJSON **list;
        uint32_t n, rule;
    } slots[MEMO_SLOTS];
    uint32_t n;
};

/* ---- any value ------------------------------------------------------------------------------- */

static uint32_t give_new(pd_rules *r, pd_node node) {
    uint32_t rule = pd_rules_new(r);
    pd_rules_give(r, rule, node);
    return rule;
}

pd_node pd_schema_quoted(pd_rules *r, pd_node chars) {
    const pd_node parts[] = {pd_rules_char(r, '"'), chars, pd_rules_char(r, '"')};
    return pd_rules_seq(r, parts, 3);
}

pd_node pd_schema_space(pd_schema_reader *s) {
    return pd_rules_use(s->r, s->space);
}

pd_node pd_schema_pair(pd_schema_reader *s, pd_node name, pd_node value) {
    const pd_node parts[] = {name, pd_rules_char(s->r, ':'),
                             pd_rules_optional(s->r, pd_rules_char(s->r, ' ')), value};
    return pd_rules_seq(s->r, parts, 4);
}

pd_node pd_schema_behind_comma(pd_schema_reader *s, pd_node node) {
    const pd_node parts[] = {pd_rules_char(s->r, ','), pd_schema_space(s), node};
    return pd_rules_seq(s->r, parts, 3);
}

pd_node pd_schema_enclosed(pd_schema_reader *s, const char *brackets, pd_node inner,
                           bool may_be_empty) {
    const pd_node filled[] = {inner, pd_schema_space(s)};
    pd_node body = pd_rules_seq(s->r, filled, 2);
    if (may_be_empty) body = pd_rules_optional(s->r, body);
    const pd_node parts[] = {pd_rules_char(s->r, (uint32_t)brackets[0]), pd_schema_space(s), body,
                             pd_rules_char(s->r, (uint32_t)brackets[1])};
    return pd_rules_seq(s->r, parts, 4);
}

static void make_common(pd_schema_reader *s) {
    pd_rules *r = s->r;
    pd_node any = pd_json_char(r, NULL, 0, true);
    s->space = give_new(r, pd_json_space(r));
    s->any_text = give_new(r, pd_rules_repeat(r, any, 0, PD_REPEAT_ANY));
}

/* A leaf without schemas: each kind as it is when nothing is said of it. */
static const pd_schema_leaf NOTHING_SAID = {0};

static pd_status build_kinds(pd_schema_reader *s, const pd_schema_leaf *leaf, unsigned kinds,
                             pd_node *out);

static pd_status any_value(pd_schema_reader *s, pd_node *out) {
    pd_node node;
    if (s->any_value == PD_NO_NODE) {
        s->any_value = pd_rules_new(s->r);
        PD_TRY(build_kinds(s, &NOTHING_SAID, PD_KIND_ALL, &node));
        pd_rules_give(s->r, s->any_value, node);
    }
    *out = pd_rules_use(s->r, s->any_value);
    return PD_OK;
}

/* ---- leaves ---------------------------------------------------------------------------------- */

static pd_node word(pd_rules *r, const char *text) {
    return pd_rules_text(r, text, strlen(text));
}

static pd_status build_kind(pd_schema_reader *s, const pd_schema_leaf *leaf, unsigned kind,
                            pd_node *out) {
    const pd_node both[] = {word(s->r, "false"), word(s->r, "true")};
    switch (kind) {
    case PD_KIND_NULL: *out = word(s->r, "null"); return PD_OK;
    case PD_KIND_BOOLEAN: *out = pd_rules_alt(s->r, both, 2); return PD_OK;
    case PD_KIND_STRING: return pd_schema_string(s, leaf, out);
    case PD_KIND_ARRAY: return pd_schema_array(s, leaf, out);
    case PD_KIND_OBJECT: return pd_schema_object(s, leaf, out);
    default: return pd_schema_number(s, leaf, kind == PD_KIND_INTEGER, out);
    }
}

static pd_status build_kinds(pd_schema_reader *s, const pd_schema_leaf *leaf, unsigned kinds,
                             pd_node *out) {
    static const unsigned each[] = {PD_KIND_OBJECT, PD_KIND_ARRAY,   PD_KIND_STRING,
                                    PD_KIND_NUMBER, PD_KIND_BOOLEAN, PD_KIND_NULL};
    pd_node nodes[sizeof each / sizeof *each];
    uint32_t n = 0;
    if (!kinds && leaf->n)
        pd_schema_never(s, leaf->list[0], "no \"type\" is left that meets all of the schema");
    for (size_t i = 0; i < sizeof each / sizeof *each; i++)
        if (each[i] & kinds) PD_TRY(build_kind(s, leaf, each[i] & kinds, &nodes[n++]));
    *out = pd_rules_alt(s->r, nodes, n);
    return PD_OK;
}

static pd_status check_supported(pd_schema_reader *s, const pd_schema_leaf *leaf, unsigned kinds) {
    for (uint32_t i = 0; i < leaf->n; i++)
        for (const cJSON *k = leaf->list[i]->child; k; k = k->next) {
            unsigned of;
            if (pd_schema_keyword(k->string, &of) == PD_KEYWORD_REFUSED && (of & kinds))
                return PD_SCHEMA_REFUSE(s, leaf->list[i], "\"%s\" is not supported", k->string);
        }
    return PD_OK;
}

static pd_status build_leaf(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_node *out) {
    const cJSON **values;
    uint32_t n_values;
    unsigned kinds;
    bool has_values;
    PD_TRY(pd_schema_values(s, leaf, &has_values, &values, &n_values));
    if (has_values) return pd_schema_constants(s, values, n_values, out);
    PD_TRY(pd_schema_leaf_kinds(s, leaf, &kinds));
    PD_TRY(check_supported(s, leaf, kinds));
    return build_kinds(s, leaf, kinds, out);
}

/* The slot of a leaf: with a list, or free. */
static uint32_t find_slot(const pd_schema_memo *m, const pd_schema_leaf *leaf) {
    uint32_t i = (uint32_t)pd_hash(leaf->list, leaf->n * sizeof *leaf->list) % MEMO_SLOTS;
    for (; m->slots[i].list; i = (i + 1) % MEMO_SLOTS)
        if (m->slots[i].n == leaf->n &&
            memcmp(m->slots[i].list, leaf->list, leaf->n * sizeof *leaf->list) == 0)
            break;
    return i;
}

static pd_status use_leaf(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_node *out) {
    pd_schema_memo *m = s->memo;
    if (leaf->n == 0) return any_value(s, out);
    uint32_t slot = find_slot(m, leaf), rule = m->slots[slot].rule;
    if (!m->slots[slot].list) {
        pd_node node;
        if (m->n == MEMO_MAX)
            return PD_SCHEMA_REFUSE(s, leaf->list[0],
                                    "the schema means more than %d different ones", MEMO_MAX);
        rule = pd_rules_new(s->r);
        m->slots[slot].list = leaf->list;
        m->slots[slot].n = leaf->n;
        m->slots[slot].rule = rule;
        m->n++;
        PD_TRY(build_leaf(s, leaf, &node));
        pd_rules_give(s->r, rule, node);
    }
    *out = pd_rules_use(s->r, rule);
    return PD_OK;
}

static pd_status build_set(pd_schema_reader *s, const pd_schema_set *set, pd_node *out) {
    pd_schema_leaf *leaves;
    uint32_t n;
    PD_TRY(pd_schema_leaves(s, set, &leaves, &n));
    PD_TRY(pd_schema_check_one_of(s, leaves, n));
    pd_node *nodes = pd_arena_alloc(&s->arena, (size_t)n + 1, sizeof *nodes);
    if (!nodes) return pd_schema_no_memory(s);
    for (uint32_t i = 0; i < n; i++) PD_TRY(use_leaf(s, &leaves[i], &nodes[i]));
    *out = pd_rules_alt(s->r, nodes, n);
    return PD_OK;
}

pd_status pd_schema_build(pd_schema_reader *s, const pd_schema_set *set, pd_node *out) {
    if (set->n == 0) return any_value(s, out);
    if (s->r->status != PD_OK) return PD_OK; /* said at the end */
    if (s->depth == PD_SCHEMA_MAX_DEPTH)
        return PD_SCHEMA_REFUSE(s, set->list[0], "schemas are nested more than %d deep",
                                PD_SCHEMA_MAX_DEPTH);
    s->depth++;
    pd_status status = build_set(s, set, out);
    s->depth--;
    return status;
}

/* ---- whether it can be met ------------------------------------------------------------------- */

static bool is_possible(const pd_rules *r, const bool *possible, pd_node node) {
    const pd_node_info *info = &r->nodes[node];
    const pd_node *children = pd_rules_children(r, info);
    bool any = false;
    switch (info->kind) {
    case PD_NODE_SET: return info->n > 0;
    case PD_NODE_REPEAT: return info->min == 0 || possible[info->first];
    case PD_NODE_RULE: return possible[r->rules[info->first]];
    case PD_NODE_SEQ:
        for (uint32_t i = 0; i < info->n; i++)
            if (!possible[children[i]]) return false;
        return true;
    case PD_NODE_ALT:
        for (uint32_t i = 0; i < info->n; i++) any |= possible[children[i]];
        return any;
    }
    return false;
}

/* Children come before their parents, but for rules: rounds until nothing changes. */
static pd_status check_possible(const pd_schema_reader *s, pd_node root) {
    const pd_rules *r = s->r;
    bool *possible = pd_alloc((size_t)r->n_nodes + 1, sizeof *possible), changed = true;
    if (!possible) return pd_schema_no_memory(s);
    while (changed) {
        changed = false;
        for (pd_node i = 0; i < r->n_nodes; i++)
            if (!possible[i] && is_possible(r, possible, i)) possible[i] = changed = true;
    }
    bool is_met = possible[root];
    pd_free(possible);
    if (is_met) return PD_OK;
    return PD_RAISE(s->err, PD_ERR_ARGUMENT, "the schema cannot be met: %s",
                    s->never[0] ? s->never : "every value would have to hold itself");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static pd_status check_rules(const pd_schema_reader *s) {
    if (s->r->status == PD_OK) return PD_OK;
    if (s->r->status == PD_ERR_MEMORY_HOST) return pd_schema_no_memory(s);
    return PD_RAISE(s->err, PD_ERR_ARGUMENT, "the schema is too large: it makes more than %d parts",
                    PD_RULES_MAX);
}

static pd_status read_root(pd_schema_reader *s, pd_node *out) {
    const cJSON *root = s->root;
    const pd_schema_set set = {&root, 1};
    pd_schema_find_ids(s);
    make_common(s);
    PD_TRY(pd_schema_build(s, &set, out));
    PD_TRY(check_rules(s));
    return check_possible(s, *out);
}

pd_status pd_schema_read(pd_rules *r, const cJSON *schema, pd_node *out, pd_error *err) {
    pd_schema_reader s = {.r = r, .err = err, .root = schema, .any_value = PD_NO_NODE};
    s.memo = pd_alloc(1, sizeof *s.memo);
    pd_status status = s.memo ? read_root(&s, out) : pd_schema_no_memory(&s);
    pd_schema_free_patterns(&s);
    pd_arena_destroy(&s.arena);
    pd_free(s.memo);
    return status;
}

/* \u0000, which cJSON takes for the end of a text. */
static bool has_nul(const char *text, size_t n) {
    for (size_t i = 0; i + 5 < n; i++) {
        if (text[i] != '\\') continue;
        if (memcmp(text + i + 1, "u0000", 5) == 0) return true;
        i++;
    }
    return false;
}

pd_status pd_schema_parse(pd_rules *r, const char *text, size_t n, pd_node *out, pd_error *err) {
    if (has_nul(text, n))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the schema has a \\u0000, which is not supported");
    cJSON *schema = pd_json_parse(text, n);
    if (!schema) return PD_RAISE(err, PD_ERR_ARGUMENT, "the schema is not JSON");
    pd_status status = pd_schema_read(r, schema, out, err);
    cJSON_Delete(schema);
    return status;
}

static pd_node any_of_kinds(pd_rules *r, unsigned kinds) {
    pd_schema_reader s = {.r = r, .any_value = PD_NO_NODE};
    pd_node out = 0;
    make_common(&s);
    pd_status status = build_kinds(&s, &NOTHING_SAID, kinds, &out);
    pd_arena_destroy(&s.arena);
    if (status != PD_OK && r->status == PD_OK) r->status = status;
    return out;
}

pd_node pd_schema_any_value(pd_rules *r) {
    return any_of_kinds(r, PD_KIND_ALL);
}

pd_node pd_schema_any_object(pd_rules *r) {
    return any_of_kinds(r, PD_KIND_OBJECT);
}
