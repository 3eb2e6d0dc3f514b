/* See rules.h.  SPDX-License-Identifier: MIT */
#include "grammar/rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

static pd_node fail(pd_rules *r, pd_status status) {
    if (r->status == PD_OK) r->status = status;
    return 0;
}

/* Room for n more elements in a list of `count` with room for *cap. False: see r->status. */
static bool reserve(pd_rules *r, void **list, uint32_t count, uint32_t *cap, uint32_t n,
                    size_t size) {
    if (r->status != PD_OK) return false;
    if (n > PD_RULES_MAX || count + n > PD_RULES_MAX) return fail(r, PD_ERR_ARGUMENT), false;
    if (count + n <= *cap) return true;
    uint32_t room = *cap ? *cap : 64;
    while (room < count + n) room *= 2;
    void *larger = pd_alloc(room, size);
    if (!larger) return fail(r, PD_ERR_MEMORY_HOST), false;
    if (count) memcpy(larger, *list, count * size);
    pd_free(*list);
    *list = larger;
    *cap = room;
    return true;
}

#define RESERVE(r, list, n)                                                                        \
    reserve(r, (void **)&(r)->list, (r)->n_##list, &(r)->cap_##list, n, sizeof *(r)->list)

void pd_rules_free(pd_rules *r) {
    pd_free(r->nodes);
    pd_free(r->ranges);
    pd_free(r->children);
    pd_free(r->rules);
    *r = (pd_rules){0};
}

static pd_node add_node(pd_rules *r, pd_node_info info) {
    if (!RESERVE(r, nodes, 1)) return 0;
    r->nodes[r->n_nodes] = info;
    return r->n_nodes++;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static int compare_ranges(const void *a, const void *b) {
    uint32_t x = ((const pd_char_range *)a)->first, y = ((const pd_char_range *)b)->first;
    return x < y ? -1 : x > y;
}

static void add_range(pd_rules *r, uint32_t first, uint32_t last) {
    if (first <= last && RESERVE(r, ranges, 1))
        r->ranges[r->n_ranges++] = (pd_char_range){first, last};
}

/* A range without the surrogates in it. */
static void add_scalars(pd_rules *r, uint32_t first, uint32_t last) {
    if (last > PD_CHAR_MAX) last = PD_CHAR_MAX;
    add_range(r, first, last < 0xd800 ? last : 0xd7ff);
    add_range(r, first > 0xe000 ? first : 0xe000, last);
}

/* Of sorted ranges: those, or what lies between them, joined where they touch. */
static void add_sorted(pd_rules *r, const pd_char_range *sorted, uint32_t n, bool others) {
    uint32_t free_from = 0; /* the first character above all ranges so far */
    for (uint32_t i = 0; i < n;) {
        uint32_t first = sorted[i].first, last = sorted[i].last;
        for (i++; i < n && (sorted[i].first <= last || sorted[i].first - 1 == last); i++)
            if (sorted[i].last > last) last = sorted[i].last;
        if (others && first > free_from) add_scalars(r, free_from, first - 1);
        if (!others) add_scalars(r, first, last);
        free_from = last < PD_CHAR_MAX ? last + 1 : PD_CHAR_MAX + 1;
    }
    if (others && free_from <= PD_CHAR_MAX) add_scalars(r, free_from, PD_CHAR_MAX);
}

pd_node pd_rules_set(pd_rules *r, const pd_char_range *ranges, uint32_t n, bool others) {
    pd_char_range *sorted = pd_alloc(n + 1, sizeof *sorted);
    if (!sorted) return fail(r, PD_ERR_MEMORY_HOST);
    uint32_t first = r->n_ranges, n_sorted = 0;
    for (uint32_t i = 0; i < n; i++)
        if (ranges[i].first <= ranges[i].last) sorted[n_sorted++] = ranges[i];
    qsort(sorted, n_sorted, sizeof *sorted, compare_ranges);
    add_sorted(r, sorted, n_sorted, others);
    pd_free(sorted);
    return add_node(r,
                    (pd_node_info){.kind = PD_NODE_SET, .first = first, .n = r->n_ranges - first});
}

pd_node pd_rules_char(pd_rules *r, uint32_t c) {
    const pd_char_range range = {c, c};
    return pd_rules_set(r, &range, 1, false);
}

/* ---- what is made of others ------------------------------------------------------------------ */

static pd_node add_list(pd_rules *r, pd_node_kind kind, const pd_node *nodes, uint32_t n) {
    if (!RESERVE(r, children, n)) return 0;
    uint32_t first = r->n_children;
    if (n) memcpy(r->children + first, nodes, n * sizeof *nodes);
    r->n_children += n;
    return add_node(r, (pd_node_info){.kind = kind, .first = first, .n = n});
}

pd_node pd_rules_seq(pd_rules *r, const pd_node *nodes, uint32_t n) {
    return n == 1 ? nodes[0] : add_list(r, PD_NODE_SEQ, nodes, n);
}

pd_node pd_rules_alt(pd_rules *r, const pd_node *nodes, uint32_t n) {
    return n == 1 ? nodes[0] : add_list(r, PD_NODE_ALT, nodes, n);
}

pd_node pd_rules_repeat(pd_rules *r, pd_node node, uint32_t min, uint32_t max) {
    if (min == 1 && max == 1) return node;
    if (min > max) return pd_rules_alt(r, NULL, 0);
    return add_node(r,
                    (pd_node_info){.kind = PD_NODE_REPEAT, .first = node, .min = min, .max = max});
}

pd_node pd_rules_text(pd_rules *r, const char *text, size_t n) {
    uint32_t first = r->n_children, n_chars = 0;
    for (size_t at = 0; at < n; n_chars++) {
        pd_node c = pd_rules_char(r, pd_utf8_next(text, n, &at));
        if (!RESERVE(r, children, 1)) return 0;
        r->children[r->n_children++] = c;
    }
    return add_node(r, (pd_node_info){.kind = PD_NODE_SEQ, .first = first, .n = n_chars});
}

/* ---- rules ----------------------------------------------------------------------------------- */

uint32_t pd_rules_new(pd_rules *r) {
    if (!RESERVE(r, rules, 1)) return 0;
    r->rules[r->n_rules] = PD_NO_NODE;
    return r->n_rules++;
}

void pd_rules_give(pd_rules *r, uint32_t rule, pd_node node) {
    if (r->status == PD_OK) r->rules[rule] = node;
}

pd_node pd_rules_use(pd_rules *r, uint32_t rule) {
    return add_node(r, (pd_node_info){.kind = PD_NODE_RULE, .first = rule});
}
