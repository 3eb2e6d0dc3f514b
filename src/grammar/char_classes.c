/* See char_classes.h. Each different set has a random number; going up through all borders of
 * ranges, the sum of the numbers of those sets that a character is in tells one class from another.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/char_classes.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"

/* Where sets begin and end. */
typedef struct border {
    uint32_t at;
    uint64_t change; /* of the sum */
} border;

typedef struct making {
    const pd_rules *rules;
    pd_char_classes *out;
    pd_node *examples; /* [n_sets] a node with this set */
    uint32_t *slots;   /* a hash table of sets */
    uint32_t slot_mask;
    border *borders;
    uint32_t n_borders;
    uint64_t *sums; /* [n_intervals] */
} making;

/* ---- different sets -------------------------------------------------------------------------- */

static const pd_char_range *ranges_of(const making *m, pd_node node, uint32_t *n) {
    const pd_node_info *info = &m->rules->nodes[node];
    *n = info->n;
    return pd_rules_ranges(m->rules, info);
}

static bool are_equal(const making *m, pd_node a, pd_node b) {
    uint32_t n, other;
    const pd_char_range *x = ranges_of(m, a, &n), *y = ranges_of(m, b, &other);
    return n == other && (n == 0 || memcmp(x, y, n * sizeof *x) == 0);
}

static uint32_t find_set(making *m, pd_node node) {
    uint32_t n;
    const pd_char_range *ranges = ranges_of(m, node, &n);
    uint32_t i = (uint32_t)pd_hash(ranges, n * sizeof *ranges) & m->slot_mask;
    for (; m->slots[i]; i = (i + 1) & m->slot_mask)
        if (are_equal(m, m->examples[m->slots[i] - 1], node)) return m->slots[i] - 1;
    uint32_t set = m->out->n_sets++;
    m->slots[i] = set + 1;
    m->examples[set] = node;
    m->n_borders += 2 * n;
    return set;
}

static void find_sets(making *m) {
    for (pd_node node = 0; node < m->rules->n_nodes; node++)
        if (m->rules->nodes[node].kind == PD_NODE_SET) m->out->node_set[node] = find_set(m, node);
}

/* ---- intervals ------------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t number_of(uint32_t set) {
    uint64_t x = (set + UINT64_C(1)) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static int compare_borders(const void *a, const void *b) {
    uint32_t x = ((const border *)a)->at, y = ((const border *)b)->at;
    return x < y ? -1 : x > y;
}

static void list_borders(making *m) {
    uint32_t at = 0;
    for (uint32_t set = 0; set < m->out->n_sets; set++) {
        uint32_t n;
        const pd_char_range *ranges = ranges_of(m, m->examples[set], &n);
        for (uint32_t i = 0; i < n; i++) {
            m->borders[at++] = (border){ranges[i].first, number_of(set)};
            m->borders[at++] = (border){ranges[i].last + 1, 0 - number_of(set)};
        }
    }
    qsort(m->borders, m->n_borders, sizeof *m->borders, compare_borders);
}

static void list_intervals(making *m) {
    pd_char_classes *out = m->out;
    uint64_t sum = 0;
    uint32_t i = 0, start = 0;
    do {
        for (; i < m->n_borders && m->borders[i].at == start; i++) sum += m->borders[i].change;
        out->starts[out->n_intervals] = start;
        m->sums[out->n_intervals++] = sum;
        start = i < m->n_borders ? m->borders[i].at : PD_CHAR_MAX + 1;
    } while (start <= PD_CHAR_MAX);
}

/* ---- classes --------------------------------------------------------------------------------- */

typedef struct sum_at {
    uint64_t sum;
    uint32_t interval;
} sum_at;

static int compare_sums(const void *a, const void *b) {
    const sum_at *x = a, *y = b;
    return x->sum < y->sum ? -1 : x->sum > y->sum;
}

static uint32_t interval_end(const pd_char_classes *c, uint32_t i) {
    return i + 1 < c->n_intervals ? c->starts[i + 1] : PD_CHAR_MAX + 1;
}

static void number_classes(making *m, sum_at *sorted) {
    pd_char_classes *out = m->out;
    for (uint32_t i = 0; i < out->n_intervals; i++) sorted[i] = (sum_at){m->sums[i], i};
    qsort(sorted, out->n_intervals, sizeof *sorted, compare_sums);
    for (uint32_t i = 0; i < out->n_intervals; i++) {
        uint32_t interval = sorted[i].interval, start = out->starts[interval];
        bool is_new = i == 0 || sorted[i].sum != sorted[i - 1].sum;
        if (is_new) out->n_classes++;
        out->classes[interval] = out->n_classes - 1;
        bool is_one = is_new && interval_end(out, interval) - start == 1;
        out->only[out->n_classes - 1] = is_one ? start : PD_NO_CHAR;
    }
}

/* ---- members --------------------------------------------------------------------------------- */

uint32_t pd_char_interval(const pd_char_classes *c, uint32_t character) {
    uint32_t low = 0, high = c->n_intervals;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (c->starts[middle] <= character)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint32_t pd_char_class_above(const pd_char_classes *c, uint32_t character) {
    return c->classes[pd_char_interval(c, character)];
}

static void add_members(making *m, uint32_t set) {
    pd_char_classes *out = m->out;
    uint32_t n;
    char bytes[4];
    const pd_char_range *ranges = ranges_of(m, m->examples[set], &n);
    out->min_bytes[set] = n ? (uint32_t)pd_utf8_encode(ranges[0].first, bytes) : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = pd_char_interval(out, ranges[i].first);
        for (; at < out->n_intervals && out->starts[at] <= ranges[i].last; at++) {
            uint32_t k = out->classes[at];
            out->members[(size_t)set * out->words + k / 64] |= UINT64_C(1) << (k % 64);
        }
    }
}

static pd_status make_members(making *m, pd_error *err) {
    enum { MAX_BYTES = 1 << 26, MAX_CLASSES = UINT16_MAX };
    pd_char_classes *out = m->out;
    out->words = pd_div_up(out->n_classes, 64);
    if (out->n_classes > MAX_CLASSES || (uint64_t)out->n_sets * out->words > MAX_BYTES / 8)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "a grammar with %u different sets of characters is too large", out->n_sets);
    out->members = pd_alloc((size_t)out->n_sets * out->words + 1, sizeof *out->members);
    out->min_bytes = pd_alloc(out->n_sets + 1, sizeof *out->min_bytes);
    if (!out->members || !out->min_bytes)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's characters");
    for (uint32_t set = 0; set < out->n_sets; set++) add_members(m, set);
    for (uint32_t c = 0; c < 128; c++) out->ascii[c] = pd_char_class_above(out, c);
    return PD_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static pd_status make_sets(making *m, pd_error *err) {
    uint32_t n_nodes = m->rules->n_nodes;
    m->slot_mask = 1;
    while (m->slot_mask < 2 * n_nodes) m->slot_mask *= 2;
    m->slots = pd_alloc(m->slot_mask, sizeof *m->slots);
    m->slot_mask--;
    m->examples = pd_alloc(n_nodes + 1, sizeof *m->examples);
    m->out->node_set = pd_alloc(n_nodes + 1, sizeof *m->out->node_set);
    if (!m->slots || !m->examples || !m->out->node_set)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's characters");
    find_sets(m);
    return PD_OK;
}

static pd_status make_classes(making *m, pd_error *err) {
    pd_char_classes *out = m->out;
    uint32_t room = m->n_borders + 1;
    m->borders = pd_alloc(room, sizeof *m->borders);
    m->sums = pd_alloc(room, sizeof *m->sums);
    out->starts = pd_alloc(room, sizeof *out->starts);
    out->classes = pd_alloc(room, sizeof *out->classes);
    out->only = pd_alloc(room, sizeof *out->only);
    sum_at *sorted = pd_alloc(room, sizeof *sorted);
    bool have_all = m->borders && m->sums && out->starts && out->classes && out->only && sorted;
    if (have_all) {
        list_borders(m);
        list_intervals(m);
        number_classes(m, sorted);
    }
    pd_free(sorted);
    return have_all ? PD_OK
                    : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's characters");
}

pd_status pd_char_classes_make(const pd_rules *r, pd_char_classes *out, pd_error *err) {
    *out = (pd_char_classes){0};
    making m = {.rules = r, .out = out};
    pd_status status = make_sets(&m, err);
    if (status == PD_OK) status = make_classes(&m, err);
    if (status == PD_OK) status = make_members(&m, err);
    pd_free(m.examples);
    pd_free(m.slots);
    pd_free(m.borders);
    pd_free(m.sums);
    if (status != PD_OK) pd_char_classes_free(out);
    return status;
}

void pd_char_classes_free(pd_char_classes *c) {
    pd_free(c->starts);
    pd_free(c->classes);
    pd_free(c->only);
    pd_free(c->node_set);
    pd_free(c->min_bytes);
    pd_free(c->members);
    *c = (pd_char_classes){0};
}
