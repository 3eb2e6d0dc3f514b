/* Drawing the next token from logits.
 *
 * Up to 256 candidates are drawn from as a device does it (plan/sample.h); more, or all of them
 * (top_k 0), here with the same arithmetic: weights in units of 2^-31 of the best one's, and
 *     top-k   the k highest logits, by a heap of k entries;
 *     top-p   candidates from the highest down until their weights reach p of all;
 *     min-p   weights of at least min_p.
 *
 * The generator is Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", 2011): counter = {i, 0} as two 64-bit halves, key = seed; a draw takes the first word.
 * It has no state, so draw i can be repeated at any time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sample/sampler.h"

#include <inttypes.h>
#include <math.h>

#include "base/memory.h"
#include "grammar/grammar.h"
#include "model/config.h"

/* ---- settings ------------------------------------------------------------------------------ */

static pd_status check_penalty(const char *name, float penalty, pd_error *err) {
    if (penalty >= -2 && penalty <= 2) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is %g, but must lie between -2 and 2", name,
                    (double)penalty);
}

static pd_status check_biases(const pd_sampler_desc *desc, uint32_t n_vocab, pd_error *err) {
    if (desc->n_logit_bias && !desc->logit_bias)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "logit_bias is NULL, but n_logit_bias is %zu",
                        desc->n_logit_bias);
    for (size_t i = 0; i < desc->n_logit_bias; i++) {
        pd_logit_bias b = desc->logit_bias[i];
        if (!(b.bias < INFINITY))
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "the bias of token %" PRIu32 " is %g, but must be a number or -inf",
                            b.id, (double)b.bias);
        if (b.id >= n_vocab)
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "a bias is for token %" PRIu32 ", but the vocabulary has %" PRIu32,
                            b.id, n_vocab);
    }
    return PD_OK;
}

pd_status pd_sampler_check(const pd_sampler_desc *desc, uint32_t n_vocab, pd_error *err) {
    if (!(desc->temp >= 0) || isinf(desc->temp))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "temp is %g, but must be a number from 0 up",
                        (double)desc->temp);
    if (!(desc->top_p >= 0 && desc->top_p <= 1))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "top_p is %g, but must lie between 0 and 1",
                        (double)desc->top_p);
    if (!(desc->min_p >= 0 && desc->min_p <= 1))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "min_p is %g, but must lie between 0 and 1",
                        (double)desc->min_p);
    if (!(desc->repeat_penalty >= 0) || isinf(desc->repeat_penalty))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "repeat_penalty is %g, but must be a number above 0",
                        (double)desc->repeat_penalty);
    PD_TRY(check_penalty("presence_penalty", desc->presence_penalty, err));
    PD_TRY(check_penalty("frequency_penalty", desc->frequency_penalty, err));
    return check_biases(desc, n_vocab, err);
}

pd_status pd_sampler_init(pd_sampler *s, const pd_sampler_desc *desc, pd_error *err) {
    static const pd_sampler_desc defaults = {0};
    PD_NEED(err, s);
    if (!desc) desc = &defaults;
    PD_TRY(pd_sampler_check(desc, UINT32_MAX, err));
    *s = (pd_sampler){.desc = *desc};
    return PD_OK;
}

pd_status pd_sampler_scratch_create(uint32_t n_vocab, pd_sampler_scratch **out, pd_error *err) {
    uint32_t n = n_vocab < PD_TEXT_VOCAB ? n_vocab : PD_TEXT_VOCAB;
    pd_sampler_scratch *s;
    size_t per_token = sizeof *s->items + sizeof *s->counts + sizeof *s->adjusted;
    size_t mask_bytes = pd_sampler_mask_words(n_vocab) * sizeof *s->mask;
    s = pd_alloc(1, sizeof *s + n * per_token + mask_bytes);
    *out = s;
    if (!s)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a sampler's %" PRIu32 " candidates",
                        n);
    s->n_max = n;
    s->counts = (uint32_t *)(s->items + n);
    s->adjusted = (float *)(s->counts + n);
    s->mask = (uint32_t *)(s->adjusted + n);
    return PD_OK;
}

void pd_sampler_scratch_destroy(pd_sampler_scratch *scratch) {
    pd_free(scratch);
}

/* ---- grammars -------------------------------------------------------------------------------- */

uint32_t pd_sampler_mask_words(uint32_t n_vocab) {
    return pd_div_up(n_vocab > PD_TEXT_VOCAB ? n_vocab : PD_TEXT_VOCAB, 32);
}

bool pd_sampler_is_bound(const pd_sampler *s) {
    bool is_free = false;
    return s->desc.grammar &&
           (pd_grammar_is_free(s->desc.grammar, &s->place, &is_free, NULL) != PD_OK || !is_free);
}

pd_status pd_sampler_get_mask(const pd_sampler *s, uint32_t n_left, uint32_t *words,
                              const uint32_t **mask, pd_error *err) {
    bool is_bound = pd_sampler_is_bound(s);
    *mask = is_bound ? words : NULL;
    if (!is_bound) return PD_OK;
    return pd_grammar_get_mask(s->desc.grammar, &s->place, n_left, words, err);
}

pd_status pd_sampler_take(pd_sampler *s, uint32_t id, pd_error *err) {
    return s->desc.grammar ? pd_grammar_take(s->desc.grammar, &s->place, id, err) : PD_OK;
}

/* ---- settings for devices -------------------------------------------------------------------- */

static bool is_for_devices(uint32_t k) {
    return k > 0 && k <= PD_SAMPLE_MAX_K;
}

bool pd_sampler_to_params(const pd_sampler *s, pd_sample_params *out) {
    const pd_sampler_desc *d = &s->desc;
    *out = (pd_sample_params){.k = 1};
    if (d->temp == 0) return !pd_sampler_adjusts(d);
    *out = (pd_sample_params){.k = d->top_k,
                              .scale = pd_sample_scale(d->temp),
                              .top_p = pd_sample_top_p(d->top_p),
                              .min_p = pd_sample_min_p(d->min_p),
                              .seed = d->seed,
                              .counter = s->n_drawn};
    return is_for_devices(d->top_k) && !pd_sampler_adjusts(d);
}

void pd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    struct pd_philox_block block = {counter[0], counter[1], counter[2], counter[3]};
    block = pd_philox_rounds(block, key[0], key[1]);
    out[0] = block.a;
    out[1] = block.b;
    out[2] = block.c;
    out[3] = block.d;
}

/* ---- drawing ------------------------------------------------------------------------------- */

/* The first of the highest allowed logits; all must be numbers below infinity. */
static pd_status find_best(const float *logits, uint32_t n, const uint32_t *mask,
                           pd_candidate *best, pd_error *err) {
    *best = (pd_candidate){0, PD_SAMPLE_NO_ID, 0};
    for (uint32_t i = 0; i < n; i++) {
        if (!(logits[i] < INFINITY))
            return PD_RAISE(err, PD_ERR_NUMERIC,
                            "the logit of token %" PRIu32 " is %s, but must be finite", i,
                            isnan(logits[i]) ? "NaN" : "infinite");
        uint32_t key = pd_sample_key(pd_float_bits(logits[i]));
        if (key <= best->key || !(logits[i] > -INFINITY)) continue;
        if (pd_sample_may(i, n) && pd_sample_is_in(mask, i)) *best = (pd_candidate){key, i, 0};
    }
    if (best->id == PD_SAMPLE_NO_ID && mask) return pd_sample_raise_none(err);
    if (best->id == PD_SAMPLE_NO_ID)
        return PD_RAISE(err, PD_ERR_NUMERIC, "none of the %" PRIu32 " logits is finite", n);
    return PD_OK;
}

/* More candidates than a device draws from. Without top-k nothing is sorted that top-p does not
 * need: the order of the draw is then that of the ids. */
static uint32_t draw_among_many(const pd_sample_params *d, pd_candidate *items, const float *logits,
                                uint32_t n_vocab, uint32_t highest_key) {
    bool sorted = d->k > 0 && d->k < n_vocab;
    uint32_t n = sorted ? pd_candidates_top_k(items, logits, n_vocab, d->mask, d->k)
                        : pd_candidates_all(items, logits, n_vocab, d->mask);
    pd_candidates_weigh(items, n, highest_key, d->scale);
    if (d->top_p)
        n = sorted ? pd_candidates_top_p(items, n, d->top_p)
                   : pd_candidates_sort_for_top_p(items, n, d->top_p);
    n = pd_candidates_min_p(items, n, d->min_p);
    return pd_candidates_pick(items, n, pd_sample_random(d->seed, d->counter));
}

pd_status pd_sampler_pick(pd_sampler *s, pd_sampler_scratch *scratch, const float *logits,
                          uint32_t n_vocab, const uint32_t *mask, uint32_t *id, pd_error *err) {
    uint32_t n = n_vocab < PD_TEXT_VOCAB ? n_vocab : PD_TEXT_VOCAB;
    pd_candidate best;
    pd_sample_params d;
    if (n > scratch->n_max)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the sampler's scratch is for %" PRIu32 " tokens, but got %" PRIu32,
                        scratch->n_max, n);
    PD_TRY(find_best(logits, n, mask, &best, err));
    if (s->desc.temp == 0) {
        *id = best.id;
        return PD_OK;
    }
    pd_sampler_to_params(s, &d);
    d.mask = mask;
    *id = is_for_devices(d.k) ? pd_sample_token(&d, logits, n)
                              : draw_among_many(&d, scratch->items, logits, n, best.key);
    s->n_drawn++;
    return PD_OK;
}
