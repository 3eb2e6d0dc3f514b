/* See automaton.h. A state is a set of items, each an instruction that waits for a character, and
 * the stack below it; it is found by following all instructions that want none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "grammar/frames.h"
#include "grammar/program.h"

/* Items of a state, before an ambiguous grammar is given up; memory of all states. */
enum { MAX_ITEMS = 1 << 12, MAX_BYTES = 1 << 28 };

typedef struct item {
    uint32_t insn, frame;
} item;

typedef struct state {
    size_t first; /* in items */
    uint32_t n;
    uint32_t min_bytes;
    bool may_end;
} state;

/* Items that are being followed; a hash table tells which were seen. */
typedef struct closure {
    item *list;      /* [MAX_ITEMS] */
    uint32_t *slots; /* [2 MAX_ITEMS] 1 + index in list */
    uint32_t *used;  /* [MAX_ITEMS] slots to be cleared */
    uint32_t n, n_done;
    bool may_end;
} closure;

struct pd_automaton {
    pd_insns insns;
    pd_char_classes classes;
    pd_frames frames;
    closure closure;
    state *states;
    uint32_t n_states, cap_states;
    uint32_t *next; /* [cap_states][n_classes] */
    item *items;
    size_t n_items, cap_items;
    uint32_t *slots; /* a hash table of states: PD_STATE_DEAD: free */
    uint32_t slot_mask;
};

/* ---- following what wants no character ------------------------------------------------------- */

static uint32_t *find_seen(closure *c, item it) {
    uint64_t h =
        (it.insn * UINT64_C(0x9E3779B97F4A7C15)) ^ (it.frame * UINT64_C(0xBF58476D1CE4E5B9));
    uint32_t i = (uint32_t)(h >> 32) & (2 * MAX_ITEMS - 1);
    for (; c->slots[i]; i = (i + 1) & (2 * MAX_ITEMS - 1)) {
        item other = c->list[c->slots[i] - 1];
        if (other.insn == it.insn && other.frame == it.frame) break;
    }
    return &c->slots[i];
}

static pd_status add_item(pd_automaton *a, uint32_t insn, uint32_t frame, pd_error *err) {
    closure *c = &a->closure;
    uint32_t *slot = find_seen(c, (item){insn, frame});
    if (*slot) return PD_OK;
    if (c->n == MAX_ITEMS)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the grammar is too ambiguous: an answer can be read in more than %d ways",
                        MAX_ITEMS);
    c->used[c->n] = (uint32_t)(slot - c->slots);
    c->list[c->n] = (item){insn, frame};
    *slot = ++c->n;
    return PD_OK;
}

static pd_status call(pd_automaton *a, const pd_insn *insn, uint32_t frame, pd_error *err) {
    const pd_insn *next = &a->insns.list[insn->next];
    if (next->kind != PD_INSN_RETURN)
        PD_TRY(pd_frames_push(&a->frames, insn->next, 0, frame, next->min_bytes, &frame, err));
    return add_item(a, a->insns.rules[insn->first], frame, err);
}

static pd_status begin_round(pd_automaton *a, uint32_t loop, uint32_t count, uint32_t parent,
                             pd_error *err) {
    const pd_insn *insn = &a->insns.list[loop];
    uint32_t left = insn->min > count + 1 ? insn->min - count - 1 : 0, frame;
    uint64_t bytes = (uint64_t)left * insn->body_bytes;
    if (bytes > PD_MIN_BYTES_MANY) bytes = PD_MIN_BYTES_MANY;
    PD_TRY(pd_frames_push(&a->frames, loop, count, parent, (uint32_t)bytes, &frame, err));
    return add_item(a, insn->first, frame, err);
}

/* A round that was begun without a character since, and is over, was empty: one more would be the
 * same. */
static pd_status end_round(pd_automaton *a, const pd_insn *insn, uint32_t frame, pd_error *err) {
    pd_frame f = a->frames.list[frame];
    uint32_t count = f.count + 1;
    /* Another way may have come to begin the same round: of rounds that cannot be empty it says
     * nothing, and of those that can, it allows all that one more round would. */
    bool was_empty =
        insn->body_bytes == 0 && *find_seen(&a->closure, (item){insn->first, frame}) != 0;
    if (insn->max == PD_REPEAT_ANY && count > insn->min) count = insn->min;
    if (count >= insn->min) PD_TRY(add_item(a, insn->next, f.parent, err));
    return count < insn->max && !was_empty ? begin_round(a, f.insn, count, f.parent, err) : PD_OK;
}

static pd_status return_to(pd_automaton *a, uint32_t frame, pd_error *err) {
    if (frame == 0) {
        a->closure.may_end = true;
        return PD_OK;
    }
    pd_frame f = a->frames.list[frame];
    return add_item(a, f.insn, f.parent, err);
}

static pd_status follow(pd_automaton *a, item it, pd_error *err) {
    const pd_insn *insn = &a->insns.list[it.insn];
    switch (insn->kind) {
    case PD_INSN_SET: return PD_OK;
    case PD_INSN_FORK:
        for (uint32_t i = 0; i < insn->n; i++)
            PD_TRY(add_item(a, a->insns.targets[insn->first + i], it.frame, err));
        return PD_OK;
    case PD_INSN_CALL: return call(a, insn, it.frame, err);
    case PD_INSN_ENTER: return begin_round(a, insn->next, 0, it.frame, err);
    case PD_INSN_LOOP: return end_round(a, insn, it.frame, err);
    case PD_INSN_RETURN: return return_to(a, it.frame, err);
    }
    return PD_OK;
}

static void clear_closure(closure *c) {
    for (uint32_t i = 0; i < c->n; i++) c->slots[c->used[i]] = 0;
    c->n = c->n_done = 0;
    c->may_end = false;
}

static pd_status follow_all(pd_automaton *a, pd_error *err) {
    closure *c = &a->closure;
    while (c->n_done < c->n) PD_TRY(follow(a, c->list[c->n_done++], err));
    return PD_OK;
}

/* ---- states ---------------------------------------------------------------------------------- */

static int compare_items(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->insn != y->insn) return x->insn < y->insn ? -1 : 1;
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* Leaves those that wait for a character, in order. */
static void keep_waiting(pd_automaton *a) {
    closure *c = &a->closure;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++) c->slots[c->used[i]] = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (a->insns.list[c->list[i].insn].kind == PD_INSN_SET) c->list[n++] = c->list[i];
    c->n = 0;
    qsort(c->list, n, sizeof *c->list, compare_items);
    c->n_done = n;
}

static pd_status grow_states(pd_automaton *a, pd_error *err) {
    uint32_t cap = a->cap_states ? 2 * a->cap_states : 64, n_classes = a->classes.n_classes;
    state *states = pd_alloc(cap, sizeof *states);
    uint32_t *next = pd_alloc((size_t)cap * n_classes, sizeof *next);
    uint32_t *slots = pd_alloc(2 * (size_t)cap, sizeof *slots);
    if (!states || !next || !slots) {
        pd_free(states);
        pd_free(next);
        pd_free(slots);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's states");
    }
    if (a->n_states) memcpy(states, a->states, a->n_states * sizeof *states);
    if (a->n_states) memcpy(next, a->next, (size_t)a->n_states * n_classes * sizeof *next);
    pd_free(a->states);
    pd_free(a->next);
    pd_free(a->slots);
    a->states = states;
    a->next = next;
    a->slots = slots;
    a->slot_mask = 2 * cap - 1;
    a->cap_states = cap;
    return PD_OK;
}

static uint32_t hash_items(const item *items, uint32_t n, bool may_end) {
    return (uint32_t)pd_hash_seeded(items, n * sizeof *items, may_end);
}

static uint32_t *find_state(const pd_automaton *a, const item *items, uint32_t n, bool may_end) {
    uint32_t i = hash_items(items, n, may_end) & a->slot_mask;
    for (; a->slots[i] != PD_STATE_DEAD; i = (i + 1) & a->slot_mask) {
        const state *s = &a->states[a->slots[i]];
        if (s->n == n && s->may_end == may_end &&
            (n == 0 || memcmp(a->items + s->first, items, n * sizeof *items) == 0))
            break;
    }
    return &a->slots[i];
}

static void fill_slots(pd_automaton *a) {
    for (uint32_t i = PD_STATE_DEAD + 1; i < a->n_states; i++) {
        const state *s = &a->states[i];
        *find_state(a, a->items + s->first, s->n, s->may_end) = i;
    }
}

static pd_status reserve_items(pd_automaton *a, uint32_t n, pd_error *err) {
    size_t cap = a->cap_items ? a->cap_items : 256;
    if (a->n_items + n <= a->cap_items) return PD_OK;
    while (cap < a->n_items + n) cap *= 2;
    item *items = pd_alloc(cap, sizeof *items);
    if (!items) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's states");
    if (a->n_items) memcpy(items, a->items, a->n_items * sizeof *items);
    pd_free(a->items);
    a->items = items;
    a->cap_items = cap;
    return PD_OK;
}

uint64_t pd_automaton_bytes(const pd_automaton *a) {
    return a->cap_states * (sizeof *a->states + 4ull * a->classes.n_classes + 8) +
           a->cap_items * sizeof *a->items + a->frames.cap * (sizeof *a->frames.list + 8ull);
}

static uint32_t shortest_way(const pd_automaton *a, const item *items, uint32_t n) {
    uint32_t least = PD_MIN_BYTES_MANY;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bytes =
            a->insns.list[items[i].insn].min_bytes + a->frames.list[items[i].frame].min_bytes;
        if (bytes < least) least = bytes;
    }
    return least;
}

static pd_status add_state(pd_automaton *a, const item *items, uint32_t n, bool may_end,
                           pd_error *err) {
    if (a->n_states == a->cap_states) {
        if (pd_automaton_bytes(a) > MAX_BYTES)
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "the answer has come through too many states of its grammar");
        PD_TRY(grow_states(a, err));
        fill_slots(a);
    }
    PD_TRY(reserve_items(a, n, err));
    if (n) memcpy(a->items + a->n_items, items, n * sizeof *items);
    a->states[a->n_states] = (state){.first = a->n_items,
                                     .n = n,
                                     .may_end = may_end,
                                     .min_bytes = may_end ? 0 : shortest_way(a, items, n)};
    a->n_items += n;
    uint32_t *row = a->next + (size_t)a->n_states * a->classes.n_classes;
    for (uint32_t k = 0; k < a->classes.n_classes; k++) row[k] = PD_STATE_UNKNOWN;
    a->n_states++;
    return PD_OK;
}

/* The state of what the closure holds, which is empty afterwards. */
static pd_status take_state(pd_automaton *a, uint32_t *out, pd_error *err) {
    closure *c = &a->closure;
    bool may_end = c->may_end;
    keep_waiting(a);
    uint32_t n = c->n_done;
    c->n_done = 0;
    c->may_end = false;
    *out = PD_STATE_DEAD;
    if (n == 0 && !may_end) return PD_OK;
    *out = *find_state(a, c->list, n, may_end);
    if (*out != PD_STATE_DEAD) return PD_OK;
    PD_TRY(add_state(a, c->list, n, may_end, err));
    *out = a->n_states - 1;
    *find_state(a, c->list, n, may_end) = *out;
    return PD_OK;
}

static pd_status take_closure(pd_automaton *a, uint32_t *out, pd_error *err) {
    pd_status status = follow_all(a, err);
    if (status == PD_OK) status = take_state(a, out, err);
    clear_closure(&a->closure);
    return status;
}

static pd_status find_next(pd_automaton *a, uint32_t from, uint32_t class, uint32_t *out,
                           pd_error *err) {
    for (uint32_t i = 0; i < a->states[from].n; i++) {
        item it = a->items[a->states[from].first + i];
        const pd_insn *insn = &a->insns.list[it.insn];
        if (!pd_set_has(&a->classes, insn->first, class)) continue;
        pd_status status = add_item(a, insn->next, it.frame, err);
        if (status == PD_OK) continue;
        clear_closure(&a->closure);
        return status;
    }
    return take_closure(a, out, err);
}

/* ---- asking ---------------------------------------------------------------------------------- */

const pd_char_classes *pd_automaton_classes(const pd_automaton *a) {
    return &a->classes;
}

const uint32_t *pd_automaton_table(const pd_automaton *a) {
    return a->next;
}

pd_status pd_automaton_next(pd_automaton *a, uint32_t from, uint32_t class, uint32_t *out,
                            pd_error *err) {
    size_t at = (size_t)from * a->classes.n_classes + class;
    if (a->next[at] == PD_STATE_UNKNOWN) {
        uint32_t to;
        PD_TRY(find_next(a, from, class, &to, err));
        a->next[at] = to;
    }
    *out = a->next[at];
    return PD_OK;
}

pd_status pd_automaton_step(pd_automaton *a, uint32_t from, uint32_t c, uint32_t *out,
                            pd_error *err) {
    return pd_automaton_next(a, from, pd_char_class(&a->classes, c), out, err);
}

bool pd_automaton_may_end(const pd_automaton *a, uint32_t of) {
    return a->states[of].may_end;
}

uint32_t pd_automaton_min_bytes(const pd_automaton *a, uint32_t from) {
    return a->states[from].min_bytes;
}

pd_status pd_automaton_only_char(pd_automaton *a, uint32_t from, uint32_t *out, pd_error *err) {
    uint32_t n_live = 0, to;
    *out = PD_NO_CHAR;
    if (a->states[from].may_end) return PD_OK;
    for (uint32_t k = 0; k < a->classes.n_classes; k++) {
        PD_TRY(pd_automaton_next(a, from, k, &to, err));
        if (to == PD_STATE_DEAD) continue;
        *out = ++n_live == 1 ? a->classes.only[k] : PD_NO_CHAR;
        if (*out == PD_NO_CHAR) break;
    }
    return PD_OK;
}

/* Surrogates, which are no characters, are in no set; what is in their class is told from it. */
pd_status pd_automaton_is_free(pd_automaton *a, uint32_t from, bool *out, pd_error *err) {
    const pd_char_classes *c = &a->classes;
    *out = a->states[from].may_end;
    for (uint32_t i = 0; i < c->n_intervals && *out; i++) {
        uint32_t to;
        if (c->starts[i] == 0xd800 && i + 1 < c->n_intervals && c->starts[i + 1] == 0xe000)
            continue;
        PD_TRY(pd_automaton_next(a, from, c->classes[i], &to, err));
        *out = to == from;
    }
    return PD_OK;
}

bool pd_automaton_is_last(const pd_automaton *a, uint32_t of) {
    return a->states[of].may_end && a->states[of].n == 0;
}

pd_status pd_automaton_nearest_end(pd_automaton *a, uint32_t from, uint32_t first, uint32_t last,
                                   uint32_t *out, pd_error *err) {
    const pd_char_classes *c = &a->classes;
    uint32_t to;
    *out = PD_NEVER_ENDS;
    for (uint32_t i = pd_char_interval(c, first); i < c->n_intervals && c->starts[i] <= last; i++) {
        PD_TRY(pd_automaton_next(a, from, c->classes[i], &to, err));
        if (to != PD_STATE_DEAD && a->states[to].min_bytes < *out) *out = a->states[to].min_bytes;
    }
    return PD_OK;
}

/* ---- making ---------------------------------------------------------------------------------- */

static pd_status make_closure(closure *c, pd_error *err) {
    c->list = pd_alloc(MAX_ITEMS, sizeof *c->list);
    c->slots = pd_alloc(2 * MAX_ITEMS, sizeof *c->slots);
    c->used = pd_alloc(MAX_ITEMS, sizeof *c->used);
    if (c->list && c->slots && c->used) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
}

static pd_status make_first_states(pd_automaton *a, pd_error *err) {
    uint32_t start;
    PD_TRY(grow_states(a, err));
    PD_TRY(add_state(a, NULL, 0, false, err)); /* PD_STATE_DEAD */
    for (uint32_t k = 0; k < a->classes.n_classes; k++) a->next[k] = PD_STATE_DEAD;
    PD_TRY(add_item(a, a->insns.start, 0, err));
    return take_closure(a, &start, err);
}

pd_status pd_automaton_create(const pd_rules *r, pd_node root, pd_automaton **out, pd_error *err) {
    pd_automaton *a = pd_alloc(1, sizeof *a);
    if (!a) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    pd_status status = pd_char_classes_make(r, &a->classes, err);
    if (status == PD_OK) status = pd_insns_make(r, root, &a->classes, &a->insns, err);
    if (status == PD_OK) status = pd_frames_init(&a->frames, err);
    if (status == PD_OK) status = make_closure(&a->closure, err);
    if (status == PD_OK) status = make_first_states(a, err);
    if (status == PD_OK)
        *out = a;
    else
        pd_automaton_destroy(a);
    return status;
}

void pd_automaton_destroy(pd_automaton *a) {
    if (!a) return;
    pd_insns_free(&a->insns);
    pd_char_classes_free(&a->classes);
    pd_frames_free(&a->frames);
    pd_free(a->closure.list);
    pd_free(a->closure.slots);
    pd_free(a->closure.used);
    pd_free(a->states);
    pd_free(a->next);
    pd_free(a->items);
    pd_free(a->slots);
    pd_free(a);
}
