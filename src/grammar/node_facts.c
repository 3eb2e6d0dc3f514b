/* See node_facts.h.  SPDX-License-Identifier: MIT */
#include "grammar/node_facts.h"

#include "base/memory.h"
#include "grammar/program.h"

/* ---- shortest texts -------------------------------------------------------------------------- */

typedef struct shortest {
    const pd_rules *r;
    const pd_char_classes *classes;
    uint32_t *min_bytes;
} shortest;

static uint32_t sum(uint32_t a, uint32_t b) {
    if (a == PD_NEVER || b == PD_NEVER) return PD_NEVER;
    return a + b < PD_MIN_BYTES_MANY ? a + b : PD_MIN_BYTES_MANY;
}

static uint32_t times(uint32_t bytes, uint32_t n) {
    if (n == 0) return 0;
    if (bytes == PD_NEVER) return PD_NEVER;
    uint64_t product = (uint64_t)bytes * n;
    return product < PD_MIN_BYTES_MANY ? (uint32_t)product : PD_MIN_BYTES_MANY;
}

static uint32_t shortest_of(const shortest *s, pd_node node) {
    const pd_node_info *info = &s->r->nodes[node];
    const pd_node *children = pd_rules_children(s->r, info);
    uint32_t bytes;
    switch (info->kind) {
    case PD_NODE_SET: return info->n ? s->classes->min_bytes[s->classes->node_set[node]] : PD_NEVER;
    case PD_NODE_REPEAT: return times(s->min_bytes[info->first], info->min);
    case PD_NODE_RULE: return s->min_bytes[s->r->rules[info->first]];
    case PD_NODE_SEQ:
        bytes = 0;
        for (uint32_t i = 0; i < info->n; i++) bytes = sum(bytes, s->min_bytes[children[i]]);
        return bytes;
    case PD_NODE_ALT:
        bytes = PD_NEVER;
        for (uint32_t i = 0; i < info->n; i++)
            if (s->min_bytes[children[i]] < bytes) bytes = s->min_bytes[children[i]];
        return bytes;
    }
    return PD_NEVER;
}

/* Children come before their parents, but for rules: rounds until nothing changes, no more than
 * there are rules. */
static void find_shortest(const shortest *s) {
    bool changed = true;
    for (pd_node i = 0; i < s->r->n_nodes; i++) s->min_bytes[i] = PD_NEVER;
    while (changed) {
        changed = false;
        for (pd_node i = 0; i < s->r->n_nodes; i++) {
            uint32_t bytes = shortest_of(s, i);
            changed |= bytes != s->min_bytes[i];
            s->min_bytes[i] = bytes;
        }
    }
}

/* ---- left recursion -------------------------------------------------------------------------- */

/* Of a walk over what nodes begin with, without recursion: a node is entered, then left. */
enum { UNSEEN, ENTERED, DONE };

typedef struct walk {
    const shortest *s;
    uint8_t *seen;  /* [n_nodes] */
    pd_node *stack; /* [2 n_children + n_nodes + 1] */
    uint32_t n;
} walk;

static void push(walk *w, pd_node node) {
    if (w->seen[node] != DONE) w->stack[w->n++] = node;
}

static void push_beginnings(walk *w, pd_node node) {
    const pd_rules *r = w->s->r;
    const pd_node_info *info = &r->nodes[node];
    const pd_node *children = pd_rules_children(r, info);
    bool goes_on = true;
    switch (info->kind) {
    case PD_NODE_SET: break;
    case PD_NODE_REPEAT:
        if (info->max > 0) push(w, info->first);
        break;
    case PD_NODE_RULE: push(w, r->rules[info->first]); break;
    case PD_NODE_SEQ:
        for (uint32_t i = 0; i < info->n && goes_on; i++) {
            push(w, children[i]);
            goes_on = w->s->min_bytes[children[i]] == 0;
        }
        break;
    case PD_NODE_ALT:
        for (uint32_t i = 0; i < info->n; i++) push(w, children[i]);
        break;
    }
}

/* True: a node begins with itself. */
static bool finds_itself(walk *w, pd_node root) {
    push(w, root);
    while (w->n > 0) {
        pd_node node = w->stack[w->n - 1];
        if (w->seen[node] != UNSEEN) {
            w->seen[node] = DONE;
            w->n--;
            continue;
        }
        uint32_t below = w->n;
        w->seen[node] = ENTERED;
        push_beginnings(w, node);
        for (uint32_t i = below; i < w->n; i++)
            if (w->seen[w->stack[i]] == ENTERED) return true;
    }
    return false;
}

static pd_status check_recursion(const shortest *s, pd_error *err) {
    size_t room = (size_t)s->r->n_children + 2 * (size_t)s->r->n_nodes + 1;
    walk w = {
        .s = s, .seen = pd_alloc(s->r->n_nodes + 1, 1), .stack = pd_alloc(room, sizeof *w.stack)};
    bool has_room = w.seen && w.stack, found = false;
    for (pd_node i = 0; i < s->r->n_nodes && has_room && !found; i++) found = finds_itself(&w, i);
    pd_free(w.seen);
    pd_free(w.stack);
    if (!has_room) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    if (found)
        return PD_RAISE(
            err, PD_ERR_ARGUMENT,
            "a rule begins with itself, which cannot be followed; write it as a repetition");
    return PD_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static pd_status check_rules(const pd_rules *r, pd_error *err) {
    if (r->status == PD_ERR_MEMORY_HOST) return PD_RAISE(err, r->status, "no memory for a grammar");
    if (r->status != PD_OK)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the grammar is too large: it has more than %d parts",
                        PD_RULES_MAX);
    for (uint32_t i = 0; i < r->n_rules; i++)
        if (r->rules[i] == PD_NO_NODE)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "a rule of the grammar is used and not given");
    return PD_OK;
}

pd_status pd_node_facts_make(const pd_rules *r, pd_node root, const pd_char_classes *classes,
                             pd_node_facts *out, pd_error *err) {
    PD_TRY(check_rules(r, err));
    *out = (pd_node_facts){pd_alloc(r->n_nodes + 1, sizeof *out->min_bytes)};
    if (!out->min_bytes) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    const shortest s = {r, classes, out->min_bytes};
    find_shortest(&s);
    pd_status status = check_recursion(&s, err);
    if (status == PD_OK && out->min_bytes[root] == PD_NEVER)
        status =
            PD_RAISE(err, PD_ERR_ARGUMENT, "the grammar allows no answer at all: it cannot be met");
    if (status != PD_OK) pd_node_facts_free(out);
    return status;
}

void pd_node_facts_free(pd_node_facts *f) {
    pd_free(f->min_bytes);
    *f = (pd_node_facts){0};
}
