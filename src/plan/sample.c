/* Candidates: selection by a heap, filters, and the draw.  SPDX-License-Identifier: MIT */
#include "plan/sample.h"

#include <assert.h>
#include <float.h>
#include <math.h>

#include "model/config.h"
#include "peridot.h"

/* ---- settings ------------------------------------------------------------------------------- */

float pd_sample_scale(float temp) {
    double scale = 1.4426950408889634074 * 0x1p24 / (double)temp;
    return (float)fmin(fmax(scale, (double)FLT_MIN), (double)FLT_MAX);
}

uint32_t pd_sample_top_p(float p) {
    if (!(p > 0 && p < 1)) return 0;
    uint32_t fixed = (uint32_t)((double)p * 0x1p32);
    return fixed ? fixed : 1;
}

uint32_t pd_sample_min_p(float p) {
    return (uint32_t)ceil((double)p * 0x1p31);
}

uint32_t pd_sample_random(uint64_t seed, uint64_t counter) {
    struct pd_philox_block block = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
    return pd_philox_rounds(block, (uint32_t)seed, (uint32_t)(seed >> 32)).a;
}

static_assert(PD_SAMPLE_END == PD_TEXT_VOCAB && PD_SAMPLE_MARKER == PD_TOKEN_START_OF_IMAGE &&
                  PD_SAMPLE_MARKER + 1 == PD_TOKEN_END_OF_IMAGE,
              "ids that are drawn");

bool pd_sample_may(uint32_t id, uint32_t n_vocab) {
    return id < n_vocab && pd_sample_is_allowed(id);
}

pd_status pd_sample_raise_none(pd_error *err) {
    return PD_RAISE(err, PD_ERR_NUMERIC, "none of the tokens that may be drawn has a finite logit");
}

/* ---- a heap of candidates ------------------------------------------------------------------- */

static bool is_better(pd_candidate a, pd_candidate b) {
    return a.key != b.key ? a.key > b.key : a.id < b.id;
}

/* Puts `c` into the hole at the root of heap[0..n) and lets it sink; `best` says whether the best
 * candidate or the worst one belongs at the root. */
static void heap_sink(pd_candidate *heap, uint32_t n, uint32_t hole, pd_candidate c, bool best) {
    for (uint32_t child; (child = 2 * hole + 1) < n; hole = child) {
        if (child + 1 < n && is_better(heap[child + 1], heap[child]) == best) child++;
        if (is_better(heap[child], c) != best) break;
        heap[hole] = heap[child];
    }
    heap[hole] = c;
}

static void heap_build(pd_candidate *heap, uint32_t n, bool best) {
    for (uint32_t i = n / 2; i-- > 0;) heap_sink(heap, n, i, heap[i], best);
}

/* Moves the root behind the heap's new end. */
static pd_candidate heap_pop(pd_candidate *heap, uint32_t n, bool best) {
    pd_candidate root = heap[0];
    heap_sink(heap, n - 1, 0, heap[n - 1], best);
    heap[n - 1] = root;
    return root;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static bool is_candidate(uint32_t bits, uint32_t id, const uint32_t *mask) {
    return pd_sample_is_finite(bits) && pd_sample_is_allowed(id) && pd_sample_is_in(mask, id);
}

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Ids are gone through by words of a mask, of which most have none most of the time. */
static bool has_none(const uint32_t *mask, uint32_t word) {
    return mask && mask[word] == 0;
}

uint32_t pd_candidates_all(pd_candidate *items, const float *logits, uint32_t n_vocab,
                           const uint32_t *mask) {
    uint32_t n = 0, end = min_u32(n_vocab, PD_SAMPLE_END), step = mask ? 32 : end;
    for (uint32_t first = 0, stop; first < end; first = stop) {
        stop = min_u32(first + step, end);
        if (has_none(mask, first / 32)) continue;
        for (uint32_t i = first; i < stop; i++) {
            uint32_t bits = pd_float_bits(logits[i]);
            if (is_candidate(bits, i, mask)) items[n++] = (pd_candidate){pd_sample_key(bits), i, 0};
        }
    }
    return n;
}

/* Takes a candidate that is better than the worst of the n <= k kept so far, which waits at the
 * root once there are k. */
static uint32_t keep(pd_candidate *items, uint32_t n, uint32_t k, pd_candidate c) {
    if (n == k) {
        heap_sink(items, k, 0, c, false);
        return k;
    }
    items[n++] = c;
    if (n == k) heap_build(items, k, false);
    return n;
}

uint32_t pd_candidates_top_k(pd_candidate *items, const float *logits, uint32_t n_vocab,
                             const uint32_t *mask, uint32_t k) {
    uint32_t n = 0, end = min_u32(n_vocab, PD_SAMPLE_END), step = mask ? 32 : end;
    for (uint32_t first = 0, stop; first < end; first = stop) {
        stop = min_u32(first + step, end);
        if (has_none(mask, first / 32)) continue;
        for (uint32_t i = first; i < stop; i++) {
            uint32_t bits = pd_float_bits(logits[i]), key = pd_sample_key(bits);
            if (n == k && key <= items[0].key) continue; /* equal ones: the lower id is in */
            if (is_candidate(bits, i, mask)) n = keep(items, n, k, (pd_candidate){key, i, 0});
        }
    }
    if (n < k) heap_build(items, n, false);
    for (uint32_t left = n; left > 1; left--) heap_pop(items, left, false);
    return n;
}

/* ---- filters -------------------------------------------------------------------------------- */

void pd_candidates_weigh(pd_candidate *items, uint32_t n, uint32_t highest_key, float scale) {
    for (uint32_t i = 0; i < n; i++)
        items[i].weight = pd_sample_weight(highest_key, items[i].key, scale);
}

static uint64_t sum(const pd_candidate *items, uint32_t n) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) total += items[i].weight;
    return total;
}

/* (total * fraction) >> 32 for totals below 2^63. */
static uint64_t part_of(uint64_t total, uint32_t fraction) {
    return (total >> 32) * fraction + ((total & 0xffffffffu) * fraction >> 32);
}

uint32_t pd_candidates_top_p(pd_candidate *sorted, uint32_t n, uint32_t top_p) {
    uint64_t enough = part_of(sum(sorted, n), top_p), reached = 0;
    uint32_t kept = 0;
    while (kept < n && (kept == 0 || reached < enough)) reached += sorted[kept++].weight;
    return kept;
}

uint32_t pd_candidates_min_p(pd_candidate *items, uint32_t n, uint32_t min_p) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (items[i].weight >= min_p) items[kept++] = items[i];
    return kept;
}

/* A candidate of the set weighs at least as much as each behind it, and together with those more
 * than total - enough: lighter ones than that divided by n need not be sorted. */
uint32_t pd_candidates_sort_for_top_p(pd_candidate *items, uint32_t n, uint32_t top_p) {
    uint64_t total = sum(items, n), enough = part_of(total, top_p), reached = 0;
    uint32_t left = 0, popped = 0;
    for (uint32_t i = 0; i < n; i++)
        if ((uint64_t)items[i].weight * n >= total - enough) items[left++] = items[i];
    heap_build(items, left, true);
    while (popped < left && (popped == 0 || reached < enough))
        reached += heap_pop(items, left - popped++, true).weight;
    for (uint32_t i = 0; i < popped / 2; i++) { /* they stand at the end, best last */
        pd_candidate c = items[left - 1 - i];
        items[left - 1 - i] = items[left - popped + i];
        items[left - popped + i] = c;
    }
    for (uint32_t i = 0; i < popped; i++) items[i] = items[left - popped + i];
    return popped;
}

uint32_t pd_candidates_pick(const pd_candidate *items, uint32_t n, uint32_t random) {
    uint64_t target = part_of(sum(items, n), random), reached = 0;
    for (uint32_t i = 0; i < n; i++) {
        reached += items[i].weight;
        if (reached > target) return items[i].id;
    }
    return PD_SAMPLE_NO_ID; /* not reached: the best one weighs more than nothing */
}

uint32_t pd_sample_token(const pd_sample_params *d, const float *logits, uint32_t n_vocab) {
    pd_candidate items[PD_SAMPLE_MAX_K];
    uint32_t n = pd_candidates_top_k(items, logits, n_vocab, d->mask, d->k ? d->k : 1);
    if (n == 0) return PD_SAMPLE_NO_ID;
    if (n == 1) return items[0].id;
    pd_candidates_weigh(items, n, items[0].key, d->scale);
    if (d->top_p) n = pd_candidates_top_p(items, n, d->top_p);
    n = pd_candidates_min_p(items, n, d->min_p);
    return pd_candidates_pick(items, n, pd_sample_random(d->seed, d->counter));
}
