/* Sequences that others may begin as. Their pages are shared, not copied: a page is written by
 * nobody who shares it.
 *
 * A sequence can be entered at its end, within its last window, and at its marks: local layers have
 * no other pages left. Where two texts part ways is marked by the second one that comes there, so
 * that the third one finds it. With `deterministic` it is entered at ends of steps alone that both
 * would make.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/memory.h"
#include "batch/batch.h"

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* ---- how much of a sequence ----------------------------------------------------------------- */

/* With deterministic: the last end of a step, up to n, that is one in both texts, of which the
 * other one's first n_prompt positions were computed in steps of n_chunk. */
static uint32_t last_common_step(const pd_batch *b, const pd_tokens *text, const pd_tokens *other,
                                 uint32_t n_prompt, uint32_t n) {
    uint32_t n_chunk = b->context->desc.n_chunk, at = 0, at_other = 0, last = 0;
    pd_tokens prompt = *other; /* as it was when it was computed */
    prompt.n = min_u32(n_prompt, other->n);
    while (at <= n && at < text->n && at_other < prompt.n) {
        if (at == at_other) last = at;
        if (at <= at_other)
            at += pd_tokens_chunk(text, at, n_chunk);
        else
            at_other += pd_tokens_chunk(&prompt, at_other, n_chunk);
    }
    return at == at_other && at <= n ? at : last;
}

/* The positions that the text can begin with when it shares the sequence's; *common: those in which
 * the two agree. */
static uint32_t shared_with(const pd_batch *b, const pd_choice *c, const pd_sequence *seq,
                            const pd_scores *scores, uint32_t n_prompt, uint32_t *common) {
    *common = pd_tokens_common(&seq->tokens, &c->text);
    uint32_t n = min_u32(*common, c->text.n - 1); /* the last row is what is drawn from */
    if (c->request->desc.score_prompt) {          /* a row's score is of the token behind it */
        uint32_t n_known = scores->n_top >= c->scores.n_top ? scores->n : 0;
        n = min_u32(n, min_u32(n_known, *common ? *common - 1 : 0));
        n = min_u32(n, c->request->prompt.n - 1); /* c's text may have an answer already */
    }
    for (;;) {
        if (b->desc.deterministic)
            n = last_common_step(b, &c->request->prompt, &seq->tokens, n_prompt, n);
        uint32_t there = pd_context_reachable(b->context, seq, pd_tokens_before_image(&c->text, n));
        if (there == n || !b->desc.deterministic) return there;
        n = there;
    }
}

typedef struct source {
    const pd_sequence *seq;
    const pd_scores *scores;
    pd_kept_sequence *kept; /* NULL: a choice's that runs */
    uint32_t n;             /* positions to share */
    uint32_t common;        /* the most that any sequence has in common with the text */
} source;

static void consider(const pd_batch *b, const pd_choice *c, const pd_sequence *seq,
                     const pd_scores *scores, uint32_t n_prompt, pd_kept_sequence *kept,
                     source *best) {
    uint32_t common, n = shared_with(b, c, seq, scores, n_prompt, &common);
    if (common > best->common) best->common = common;
    if (n > best->n) {
        best->n = n;
        best->seq = seq;
        best->scores = scores;
        best->kept = kept;
    }
}

static source find(const pd_batch *b, const pd_choice *c) {
    source best = {0};
    for (uint32_t i = 0; i < b->n_places; i++) {
        const pd_choice *other = b->places[i];
        if (other != c)
            consider(b, c, &other->seq, &other->scores, other->request->prompt.n, NULL, &best);
    }
    for (uint32_t i = 0; i < b->n_kept; i++) {
        pd_kept_sequence *k = &b->kept[i];
        consider(b, c, &k->seq, &k->scores, k->n_prompt, k, &best);
    }
    return best;
}

uint32_t pd_prefix_share(pd_batch *b, pd_choice *c) {
    if (c->request->desc.no_cache) return 0;
    source from = find(b, c);
    if (from.common > from.n && from.common < c->text.n) c->branch_at = from.common;
    if (from.n == 0) return 0;
    if (from.kept) from.kept->used = ++b->clock;
    uint32_t n = pd_context_share(b->context, from.seq, from.n, &c->seq);
    if (c->request->desc.score_prompt) pd_scores_copy(&c->scores, from.scores, n);
    return n;
}

/* ---- what is on its way --------------------------------------------------------------------- */

/* Less than a page is not worth waiting for. */
bool pd_prefix_is_coming(const pd_batch *b, const pd_choice *c) {
    const pd_tokens *text = &c->request->prompt;
    if (c->request->desc.no_cache) return false;
    for (uint32_t i = 0; i < b->n_places; i++) {
        const pd_choice *other = b->places[i];
        if (pd_choice_rows_left(other) <= 1) continue;
        if (c->request->desc.score_prompt && !other->request->desc.score_prompt) continue;
        uint32_t common = min_u32(pd_tokens_common(&other->text, text), text->n - 1);
        if (common >= other->seq.tokens.n + PD_PAGE_POSITIONS) return true;
    }
    return false;
}

/* ---- keeping -------------------------------------------------------------------------------- */

static uint64_t page_bytes(const pd_batch *b, bool global) {
    if (global && !b->context->has_global) return 0;
    return pd_kv_page_bytes(&b->context->stages[PD_STAGE_DECODE].plan.desc.kv, global);
}

void pd_prefix_count_pages(const pd_batch *b, pd_batch_stats *out) {
    pd_kv_pages all = pd_kv_page_counts(b->context->kv), unused = pd_kv_free_pages(b->context->kv);
    uint64_t global_bytes = page_bytes(b, true), local_bytes = page_bytes(b, false);
    out->n_global_pages = all.n_global;
    out->n_local_pages = all.n_local;
    out->n_global_pages_used = all.n_global - unused.n_global;
    out->n_local_pages_used = all.n_local - unused.n_local;
    out->kv_bytes = all.n_global * global_bytes + all.n_local * local_bytes;
    out->kv_bytes_used =
        out->n_global_pages_used * global_bytes + out->n_local_pages_used * local_bytes;
    out->n_sequences_kept = b->n_kept;
}

static void forget(pd_batch *b, uint32_t index) {
    pd_kept_sequence *k = &b->kept[index];
    pd_context_leave(b->context, &k->seq);
    pd_scores_destroy(&k->scores);
    *k = b->kept[--b->n_kept];
}

bool pd_prefix_forget_one(pd_batch *b) {
    if (b->n_kept == 0) return false;
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < b->n_kept; i++)
        if (b->kept[i].used < b->kept[oldest].used) oldest = i;
    forget(b, oldest);
    return true;
}

void pd_prefix_forget_all(pd_batch *b) {
    while (b->n_kept > 0) forget(b, b->n_kept - 1);
}

void pd_prefix_limit(pd_batch *b) {
    pd_batch_stats now;
    do {
        pd_prefix_count_pages(b, &now);
    } while (now.kv_bytes_used > b->desc.cache_bytes && pd_prefix_forget_one(b));
}

/* Kept sequences that are a beginning of this one, of which it has all that they could give. */
static void forget_beginnings(pd_batch *b, const pd_choice *c) {
    for (uint32_t i = b->n_kept; i > 0; i--) {
        const pd_kept_sequence *k = &b->kept[i - 1];
        uint32_t n = k->seq.tokens.n;
        if (k->scores.n > c->scores.n || k->scores.n_top > c->scores.n_top) continue;
        if (pd_tokens_common(&k->seq.tokens, &c->seq.tokens) == n &&
            pd_context_reachable(b->context, &c->seq, n) == n)
            forget(b, i - 1);
    }
}

void pd_prefix_keep(pd_batch *b, pd_choice *c) {
    if (b->desc.cache_bytes == PD_NO_CACHE || c->seq.tokens.n < PD_PAGE_POSITIONS / 2) {
        pd_context_leave(b->context, &c->seq);
        return;
    }
    forget_beginnings(b, c);
    if (b->n_kept == PD_MAX_KEPT_SEQUENCES) pd_prefix_forget_one(b);
    pd_kept_sequence *k = &b->kept[b->n_kept++];
    pd_context_disown(b->context, &c->seq);
    *k = (pd_kept_sequence){
        .seq = c->seq, .scores = c->scores, .n_prompt = c->request->prompt.n, .used = ++b->clock};
    c->seq = (pd_sequence){0};
    c->scores = (pd_scores){0};
    pd_prefix_limit(b);
}
