/* See char_product.h. The states that can be met are numbered in the order in which they are found;
 * each becomes a rule: a character and the rule of the state behind it, or nothing where a text may
 * end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/char_product.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "grammar/char_classes.h"
#include "grammar/json_text.h"

/* A state of each automaton, and how many characters there were, as far as it matters. */
typedef struct state {
    uint32_t of[PD_PRODUCT_MAX], length;
} state;

/* Characters from `first` to the next interval lead to `to`. */
typedef struct way {
    uint32_t to, first, last;
} way;

typedef struct product {
    pd_rules *r;
    const pd_char_product *p;
    pd_error *err;
    uint32_t *starts; /* [n_intervals] of characters that none of the automata tells apart */
    uint32_t n_intervals;
    state *states; /* [PD_PRODUCT_MAX_STATES] */
    uint32_t *rules;
    uint32_t *slots; /* [2 PD_PRODUCT_MAX_STATES] 1 + state */
    uint32_t n_states;
    way *ways; /* [n_intervals] of one state */
    pd_node *parts;
    pd_char_range *ranges;
} product;

/* ---- intervals ------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool list_intervals(product *m) {
    uint32_t n = 0, n_all = 0;
    for (uint32_t i = 0; i < m->p->n; i++)
        n_all += pd_automaton_classes(m->p->automata[i])->n_intervals;
    m->starts = pd_alloc((size_t)n_all + 1, sizeof *m->starts);
    if (!m->starts) return false;
    for (uint32_t i = 0; i < m->p->n; i++) {
        const pd_char_classes *c = pd_automaton_classes(m->p->automata[i]);
        memcpy(m->starts + n, c->starts, c->n_intervals * sizeof *m->starts);
        n += c->n_intervals;
    }
    qsort(m->starts, n, sizeof *m->starts, compare_numbers);
    for (uint32_t i = 0; i < n; i++)
        if (m->n_intervals == 0 || m->starts[m->n_intervals - 1] != m->starts[i])
            m->starts[m->n_intervals++] = m->starts[i];
    return true;
}

static uint32_t interval_last(const product *m, uint32_t i) {
    return i + 1 < m->n_intervals ? m->starts[i + 1] - 1 : PD_CHAR_MAX;
}

/* ---- states ---------------------------------------------------------------------------------- */

static pd_status find_state(product *m, const state *s, uint32_t *out) {
    uint32_t mask = 2 * PD_PRODUCT_MAX_STATES - 1, i = (uint32_t)pd_hash(s, sizeof *s) & mask;
    for (; m->slots[i]; i = (i + 1) & mask) {
        *out = m->slots[i] - 1;
        if (memcmp(&m->states[*out], s, sizeof *s) == 0) return PD_OK;
    }
    if (m->n_states == PD_PRODUCT_MAX_STATES)
        return PD_RAISE(m->err, PD_ERR_ARGUMENT,
                        "the pattern together with the lengths or other patterns has more than %d "
                        "states",
                        PD_PRODUCT_MAX_STATES);
    *out = m->n_states++;
    m->slots[i] = *out + 1;
    m->states[*out] = *s;
    m->rules[*out] = pd_rules_new(m->r);
    return PD_OK;
}

/* *is_alive: all automata go on. */
static pd_status step(product *m, const state *from, uint32_t c, state *to, bool *is_alive) {
    const pd_char_product *p = m->p;
    *to = (state){.length = from->length + 1};
    if (p->max == PD_REPEAT_ANY && to->length > p->min) to->length = p->min;
    *is_alive = p->max == PD_REPEAT_ANY || to->length <= p->max;
    for (uint32_t i = 0; i < p->n && *is_alive; i++) {
        PD_TRY(pd_automaton_step(p->automata[i], from->of[i], c, &to->of[i], m->err));
        *is_alive = to->of[i] != PD_STATE_DEAD;
    }
    return PD_OK;
}

static bool may_end(const product *m, const state *s) {
    for (uint32_t i = 0; i < m->p->n; i++)
        if (!pd_automaton_may_end(m->p->automata[i], s->of[i])) return false;
    return s->length >= m->p->min;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static int compare_ways(const void *a, const void *b) {
    const way *x = a, *y = b;
    if (x->to != y->to) return x->to < y->to ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static pd_status find_ways(product *m, uint32_t from, uint32_t *n) {
    const state s = m->states[from];
    *n = 0;
    for (uint32_t i = 0; i < m->n_intervals; i++) {
        uint32_t first = m->starts[i];
        bool is_alive;
        state to;
        if (first >= 0xd800 && first < 0xe000) first = 0xe000;
        if (first > interval_last(m, i)) continue;
        PD_TRY(step(m, &s, first, &to, &is_alive));
        if (!is_alive) continue;
        way *w = &m->ways[(*n)++];
        *w = (way){.first = first, .last = interval_last(m, i)};
        PD_TRY(find_state(m, &to, &w->to));
    }
    qsort(m->ways, *n, sizeof *m->ways, compare_ways);
    return PD_OK;
}

static pd_status give_rule(product *m, uint32_t from) {
    uint32_t n_ways, n_parts = 0;
    PD_TRY(find_ways(m, from, &n_ways));
    for (uint32_t i = 0, n = 0; i < n_ways; i++) {
        m->ranges[n++] = (pd_char_range){m->ways[i].first, m->ways[i].last};
        if (i + 1 < n_ways && m->ways[i + 1].to == m->ways[i].to) continue;
        const pd_node two[] = {pd_json_char(m->r, m->ranges, n, false),
                               pd_rules_use(m->r, m->rules[m->ways[i].to])};
        m->parts[n_parts++] = pd_rules_seq(m->r, two, 2);
        n = 0;
    }
    if (may_end(m, &m->states[from])) m->parts[n_parts++] = pd_rules_seq(m->r, NULL, 0);
    pd_rules_give(m->r, m->rules[from], pd_rules_alt(m->r, m->parts, n_parts));
    return PD_OK;
}

static pd_status give_rules(product *m, pd_node *out) {
    state start = {.length = 0};
    uint32_t first;
    for (uint32_t i = 0; i < m->p->n; i++) start.of[i] = PD_STATE_START;
    PD_TRY(find_state(m, &start, &first));
    for (uint32_t i = 0; i < m->n_states; i++) PD_TRY(give_rule(m, i));
    *out = pd_rules_use(m->r, m->rules[first]);
    return PD_OK;
}

static bool reserve(product *m) {
    if (!list_intervals(m)) return false;
    m->states = pd_alloc(PD_PRODUCT_MAX_STATES, sizeof *m->states);
    m->rules = pd_alloc(PD_PRODUCT_MAX_STATES, sizeof *m->rules);
    m->slots = pd_alloc(2 * PD_PRODUCT_MAX_STATES, sizeof *m->slots);
    m->ways = pd_alloc(m->n_intervals + 1, sizeof *m->ways);
    m->parts = pd_alloc(m->n_intervals + 2, sizeof *m->parts);
    m->ranges = pd_alloc(m->n_intervals + 1, sizeof *m->ranges);
    return m->states && m->rules && m->slots && m->ways && m->parts && m->ranges;
}

pd_status pd_char_product_make(pd_rules *r, const pd_char_product *p, pd_node *out, pd_error *err) {
    product m = {.r = r, .p = p, .err = err};
    pd_status status = reserve(&m) ? give_rules(&m, out)
                                   : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    pd_free(m.starts);
    pd_free(m.states);
    pd_free(m.rules);
    pd_free(m.slots);
    pd_free(m.ways);
    pd_free(m.parts);
    pd_free(m.ranges);
    return status;
}
