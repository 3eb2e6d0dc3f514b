/* See program.h. A node is compiled with what follows it at hand, so that sequences are compiled
 * from their end. Alternatives that cannot be written are left out.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/program.h"

#include <string.h>

#include "base/memory.h"
#include "grammar/node_facts.h"

enum { MAX_DEPTH = 2000, MAX_INSNS = 1 << 21 };

typedef struct compiling {
    const pd_rules *r;
    const pd_char_classes *classes;
    const uint32_t *min_bytes; /* of nodes */
    pd_insns *out;
    uint32_t depth;
    pd_status status;
    const char *problem;
} compiling;

static uint32_t fail(compiling *c, pd_status status, const char *problem) {
    if (c->status == PD_OK) {
        c->status = status;
        c->problem = problem;
    }
    return 0;
}

static bool grow(compiling *c, void **list, uint32_t count, uint32_t *cap, size_t size) {
    if (count < *cap) return true;
    if (count >= MAX_INSNS) return fail(c, PD_ERR_ARGUMENT, "the grammar is too large"), false;
    uint32_t room = *cap ? 2 * *cap : 256;
    void *larger = pd_alloc(room, size);
    if (!larger) return fail(c, PD_ERR_MEMORY_HOST, "no memory for a grammar"), false;
    if (count) memcpy(larger, *list, count * size);
    pd_free(*list);
    *list = larger;
    *cap = room;
    return true;
}

static uint32_t add_insn(compiling *c, pd_insn insn) {
    pd_insns *out = c->out;
    if (c->status != PD_OK || !grow(c, (void **)&out->list, out->n, &out->cap, sizeof insn))
        return 0;
    out->list[out->n] = insn;
    return out->n++;
}

static void add_target(compiling *c, uint32_t target) {
    pd_insns *out = c->out;
    if (c->status == PD_OK &&
        grow(c, (void **)&out->targets, out->n_targets, &out->cap_targets, sizeof target))
        out->targets[out->n_targets++] = target;
}

/* ---- shortest ways --------------------------------------------------------------------------- */

static uint32_t bytes_from(const compiling *c, uint32_t insn) {
    return c->status == PD_OK ? c->out->list[insn].min_bytes : 0;
}

static uint32_t limited(uint64_t bytes) {
    return bytes < PD_MIN_BYTES_MANY ? (uint32_t)bytes : PD_MIN_BYTES_MANY;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static uint32_t compile(compiling *c, pd_node node, uint32_t next);

static uint32_t compile_set(compiling *c, pd_node node, uint32_t next) {
    uint32_t set = c->classes->node_set[node];
    return add_insn(c, (pd_insn){.kind = PD_INSN_SET,
                                 .next = next,
                                 .first = set,
                                 .min_bytes = limited((uint64_t)c->classes->min_bytes[set] +
                                                      bytes_from(c, next))});
}

static uint32_t compile_alternatives(compiling *c, const pd_node *nodes, uint32_t n,
                                     uint32_t next) {
    uint32_t first = 0, n_targets = 0, least = PD_MIN_BYTES_MANY;
    uint32_t *targets = pd_alloc(n + 1, sizeof *targets);
    if (!targets) return fail(c, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    for (uint32_t i = 0; i < n; i++)
        if (c->min_bytes[nodes[i]] != PD_NEVER) targets[n_targets++] = compile(c, nodes[i], next);
    first = c->out->n_targets;
    for (uint32_t i = 0; i < n_targets; i++) {
        add_target(c, targets[i]);
        uint32_t bytes = bytes_from(c, targets[i]);
        if (bytes < least) least = bytes;
    }
    uint32_t only = targets[0];
    pd_free(targets);
    if (n_targets == 1) return only;
    return add_insn(
        c, (pd_insn){.kind = PD_INSN_FORK, .first = first, .n = n_targets, .min_bytes = least});
}

/* A fork of the body and what follows, whose targets are known once the body is compiled. */
static uint32_t add_choice(compiling *c, uint32_t next) {
    uint32_t fork = add_insn(c, (pd_insn){.kind = PD_INSN_FORK,
                                          .first = c->out->n_targets,
                                          .n = 2,
                                          .min_bytes = bytes_from(c, next)});
    add_target(c, next);
    add_target(c, next);
    return fork;
}

static void set_body(compiling *c, uint32_t fork, uint32_t body) {
    if (c->status == PD_OK) c->out->targets[c->out->list[fork].first] = body;
}

static uint32_t compile_counted(compiling *c, const pd_node_info *info, uint32_t next) {
    uint32_t round = c->min_bytes[info->first], min = round == 0 ? 0 : info->min;
    uint32_t after = bytes_from(c, next);
    pd_insn insn = {.kind = PD_INSN_LOOP,
                    .next = next,
                    .min = min,
                    .max = info->max,
                    .min_bytes = after, /* of the last round: state.c knows the count */
                    .body_bytes = round};
    uint32_t loop = add_insn(c, insn);
    uint32_t body = compile(c, info->first, loop);
    if (c->status != PD_OK) return 0;
    c->out->list[loop].first = body;
    insn.kind = PD_INSN_ENTER;
    insn.first = body;
    insn.next = loop;
    insn.min_bytes = limited((uint64_t)round * min + after);
    uint32_t enter = add_insn(c, insn);
    if (min > 0 || c->status != PD_OK) return enter;
    uint32_t choice = add_choice(c, next);
    set_body(c, choice, enter);
    return choice;
}

static uint32_t compile_repeat(compiling *c, const pd_node_info *info, uint32_t next) {
    bool is_possible = c->min_bytes[info->first] != PD_NEVER;
    if (info->max == 0 || !is_possible) return next;
    if (info->min > 1 || (info->max != 1 && info->max != PD_REPEAT_ANY))
        return compile_counted(c, info, next);
    uint32_t choice = add_choice(c, next);
    uint32_t body = compile(c, info->first, info->max == 1 ? next : choice);
    set_body(c, choice, body);
    return info->min == 1 ? body : choice;
}

static uint32_t compile_rule(compiling *c, uint32_t rule, uint32_t next) {
    uint32_t bytes = c->min_bytes[c->r->rules[rule]];
    return add_insn(c, (pd_insn){.kind = PD_INSN_CALL,
                                 .next = next,
                                 .first = rule,
                                 .min_bytes = limited((uint64_t)bytes + bytes_from(c, next))});
}

static uint32_t compile_node(compiling *c, pd_node node, uint32_t next) {
    const pd_node_info *info = &c->r->nodes[node];
    const pd_node *children = pd_rules_children(c->r, info);
    switch (info->kind) {
    case PD_NODE_SET: return compile_set(c, node, next);
    case PD_NODE_SEQ:
        for (uint32_t i = info->n; i-- > 0;) next = compile(c, children[i], next);
        return next;
    case PD_NODE_ALT: return compile_alternatives(c, children, info->n, next);
    case PD_NODE_REPEAT: return compile_repeat(c, info, next);
    case PD_NODE_RULE: return compile_rule(c, info->first, next);
    }
    return next;
}

static uint32_t compile(compiling *c, pd_node node, uint32_t next) {
    if (c->status != PD_OK) return 0;
    if (c->depth == MAX_DEPTH) return fail(c, PD_ERR_ARGUMENT, "the grammar is nested too deeply");
    c->depth++;
    uint32_t begin = compile_node(c, node, next);
    c->depth--;
    return begin;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void compile_all(compiling *c, pd_node root) {
    pd_insns *out = c->out;
    uint32_t end = add_insn(c, (pd_insn){.kind = PD_INSN_RETURN});
    for (uint32_t i = 0; i < c->r->n_rules && c->status == PD_OK; i++)
        if (c->min_bytes[c->r->rules[i]] != PD_NEVER)
            out->rules[i] = compile(c, c->r->rules[i], end);
    out->start = compile(c, root, end);
}

pd_status pd_insns_make(const pd_rules *r, pd_node root, const pd_char_classes *classes,
                        pd_insns *out, pd_error *err) {
    pd_node_facts facts;
    *out = (pd_insns){.n_rules = r->n_rules};
    PD_TRY(pd_node_facts_make(r, root, classes, &facts, err));
    compiling c = {.r = r, .classes = classes, .min_bytes = facts.min_bytes, .out = out};
    out->rules = pd_alloc(r->n_rules + 1, sizeof *out->rules);
    if (out->rules)
        compile_all(&c, root);
    else
        fail(&c, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    pd_node_facts_free(&facts);
    if (c.status == PD_OK) return PD_OK;
    pd_insns_free(out);
    return PD_RAISE(err, c.status, "%s", c.problem);
}

void pd_insns_free(pd_insns *p) {
    pd_free(p->list);
    pd_free(p->targets);
    pd_free(p->rules);
    *p = (pd_insns){0};
}
