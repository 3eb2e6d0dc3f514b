/* Drawing the next token from logits.
 *
 * Weights are exp((logit - highest) / temp), so the best candidate's is 1. Then
 *     top-k   the k highest logits, by a heap of k entries;
 *     top-p   candidates from the highest down until their weights reach p of all; candidates whose
 *             weights are below (1 - p) * all / count cannot be among them (together they weigh
 *             less than what is left out) and are dropped before the heap is built;
 *     min-p   weights of at least min_p (the best one's is 1);
 * and a number u in [0, 1) picks the candidate at u * (sum of the weights).
 *
 * The generator is Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", 2011): counter = {i, 0} as two 64-bit halves, key = seed; u takes the upper 53 bits of
 * the first two words. It has no state, so draw i can be repeated at any time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sample/sampler.h"

#include <inttypes.h>
#include <math.h>

#include "base/memory.h"

enum { REAL_VOCAB = 262144 };

typedef struct candidate {
    float logit; /* replaced by the weight once the logits are not needed any more */
    uint32_t id;
} candidate;

struct pd_sampler_scratch {
    uint32_t n_max;
    candidate items[];
};

/* ---- settings ------------------------------------------------------------------------------ */

pd_status pd_sampler_init(pd_sampler *s, const pd_sampler_desc *desc, pd_error *err) {
    if (!(desc->temp >= 0) || isinf(desc->temp))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "temp is %g, but must be a number from 0 up",
                        (double)desc->temp);
    if (!(desc->top_p >= 0 && desc->top_p <= 1))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "top_p is %g, but must lie between 0 and 1",
                        (double)desc->top_p);
    if (!(desc->min_p >= 0 && desc->min_p <= 1))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "min_p is %g, but must lie between 0 and 1",
                        (double)desc->min_p);
    *s = (pd_sampler){.desc = *desc};
    return PD_OK;
}

pd_status pd_sampler_scratch_create(uint32_t n_vocab, pd_sampler_scratch **out, pd_error *err) {
    uint32_t n = n_vocab < REAL_VOCAB ? n_vocab : REAL_VOCAB;
    pd_sampler_scratch *s = pd_alloc(1, sizeof *s + n * sizeof *s->items);
    *out = s;
    if (!s)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a sampler's %" PRIu32 " candidates",
                        n);
    s->n_max = n;
    return PD_OK;
}

void pd_sampler_scratch_destroy(pd_sampler_scratch *scratch) {
    pd_free(scratch);
}

bool pd_sampler_may_draw(uint32_t id, uint32_t n_vocab) {
    if (id >= n_vocab || id >= REAL_VOCAB) return false;
    return id != PD_TOKEN_START_OF_IMAGE && id != PD_TOKEN_END_OF_IMAGE;
}

/* ---- the generator ------------------------------------------------------------------------- */

void pd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = UINT64_C(0xD2511F53) * c0, b = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Draw i of a seed, in [0, 1). */
static double uniform(uint64_t seed, uint64_t i) {
    uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), 0, 0}, out[4];
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    pd_philox(counter, key, out);
    return (double)(((uint64_t)out[1] << 32 | out[0]) >> 11) * 0x1p-53;
}

/* ---- a heap of candidates ------------------------------------------------------------------ */

/* The order of candidates: higher first, equal ones by lower id. */
static bool is_better(candidate a, candidate b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/* Puts `c` into the hole at the root of heap[0..n) and lets it sink; `best` says whether the best
 * candidate or the worst one belongs at the root. */
static void heap_sink(candidate *heap, uint32_t n, uint32_t hole, candidate c, bool best) {
    for (uint32_t child; (child = 2 * hole + 1) < n; hole = child) {
        if (child + 1 < n && is_better(heap[child + 1], heap[child]) == best) child++;
        if (is_better(heap[child], c) != best) break;
        heap[hole] = heap[child];
    }
    heap[hole] = c;
}

static void heap_build(candidate *heap, uint32_t n, bool best) {
    for (uint32_t i = n / 2; i-- > 0;) heap_sink(heap, n, i, heap[i], best);
}

/* Moves the root behind the heap's new end. */
static candidate heap_pop(candidate *heap, uint32_t n, bool best) {
    candidate root = heap[0];
    heap_sink(heap, n - 1, 0, heap[n - 1], best);
    heap[n - 1] = root;
    return root;
}

/* ---- filters: each leaves its survivors in items[0..n) and returns n ----------------------- */

/* Highest allowed logit; the id of the first one. */
static pd_status find_best(const float *logits, uint32_t n, uint32_t n_vocab, candidate *best,
                           pd_error *err) {
    *best = (candidate){-INFINITY, UINT32_MAX};
    for (uint32_t i = 0; i < n; i++) {
        if (!(logits[i] < INFINITY))
            return PD_RAISE(err, PD_ERR_NUMERIC,
                            "the logit of token %" PRIu32 " is %s, but must be finite", i,
                            isnan(logits[i]) ? "NaN" : "infinite");
        if (logits[i] > best->logit && pd_sampler_may_draw(i, n_vocab))
            *best = (candidate){logits[i], i};
    }
    if (best->id == UINT32_MAX)
        return PD_RAISE(err, PD_ERR_NUMERIC, "none of the %" PRIu32 " logits is finite", n);
    return PD_OK;
}

static uint32_t take_all(candidate *items, const float *logits, uint32_t n, uint32_t n_vocab) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (pd_sampler_may_draw(i, n_vocab)) items[kept++] = (candidate){logits[i], i};
    return kept;
}

/* The k best, best first: the worst of those kept so far waits at the heap's root. */
static uint32_t take_top_k(candidate *items, const float *logits, uint32_t n, uint32_t n_vocab,
                           uint32_t k) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        candidate c = {logits[i], i};
        if (kept == k && !(c.logit > items[0].logit)) continue; /* ties: the lower id is in */
        if (!pd_sampler_may_draw(i, n_vocab)) continue;
        if (kept == k) {
            heap_sink(items, k, 0, c, false);
        } else {
            items[kept++] = c;
            if (kept == k) heap_build(items, k, false);
        }
    }
    if (kept < k) heap_build(items, kept, false);
    for (uint32_t left = kept; left > 1; left--) heap_pop(items, left, false);
    return kept;
}

static void weigh(candidate *items, uint32_t n, float highest, float temp) {
    for (uint32_t i = 0; i < n; i++) items[i].logit = expf((items[i].logit - highest) / temp);
}

static double sum(const candidate *items, uint32_t n) {
    double total = 0;
    for (uint32_t i = 0; i < n; i++) total += (double)items[i].logit;
    return total;
}

static uint32_t keep_above(candidate *items, uint32_t n, double lowest) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if ((double)items[i].logit >= lowest) items[kept++] = items[i];
    return kept;
}

static uint32_t keep_top_p(candidate *items, uint32_t n, double p) {
    double total = sum(items, n), reached = 0;
    uint32_t popped = 0;
    n = keep_above(items, n, (1 - p) * total / n);
    heap_build(items, n, true);
    while (popped < n && reached < p * total)
        reached += (double)heap_pop(items, n - popped++, true).logit;
    for (uint32_t i = 0; i < popped / 2; i++) { /* they stand at the end, best last */
        candidate c = items[n - 1 - i];
        items[n - 1 - i] = items[n - popped + i];
        items[n - popped + i] = c;
    }
    for (uint32_t i = 0; i < popped; i++) items[i] = items[n - popped + i];
    return popped;
}

static uint32_t pick(const candidate *items, uint32_t n, double u) {
    double target = u * sum(items, n), reached = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!(items[i].logit > 0)) continue;
        reached += (double)items[i].logit;
        last = i;
        if (reached > target) break;
    }
    return items[last].id;
}

pd_status pd_sampler_draw(pd_sampler *s, pd_sampler_scratch *scratch, const float *logits,
                          uint32_t n_vocab, uint32_t *id, pd_error *err) {
    const pd_sampler_desc *d = &s->desc;
    uint32_t n = n_vocab < REAL_VOCAB ? n_vocab : REAL_VOCAB;
    candidate best, *items = scratch->items;
    if (n > scratch->n_max)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the sampler's scratch is for %" PRIu32 " tokens, but got %" PRIu32,
                        scratch->n_max, n);
    PD_TRY(find_best(logits, n, n_vocab, &best, err));
    if (d->temp == 0) {
        *id = best.id;
        return PD_OK;
    }
    uint32_t kept = d->top_k > 0 && d->top_k < n ? take_top_k(items, logits, n, n_vocab, d->top_k)
                                                 : take_all(items, logits, n, n_vocab);
    weigh(items, kept, best.logit, d->temp);
    if (d->top_p > 0 && d->top_p < 1) kept = keep_top_p(items, kept, (double)d->top_p);
    if (d->min_p > 0) kept = keep_above(items, kept, (double)d->min_p);
    *id = pick(items, kept, uniform(s->desc.seed, s->n_drawn));
    s->n_drawn++;
    return PD_OK;
}
