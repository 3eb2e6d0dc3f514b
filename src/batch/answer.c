/* What a step has made: log-probabilities of a prompt, and the next token of an answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "base/hash.h"
#include "batch/batch.h"
#include "grammar/grammar.h"
#include "sample/log_probs.h"

/* ---- prompts -------------------------------------------------------------------------------- */

static void tell_scores(pd_choice *c) {
    const pd_tokens *prompt = &c->request->prompt;
    pd_log_prob top[PD_MAX_TOP_LOG_PROBS];
    while (c->n_told < c->scores.n && c->n_told + 1 < prompt->n) {
        uint32_t row = c->n_told++;
        pd_event e = {.kind = PD_EVENT_SCORE, .position = row + 1, .top = top};
        e.token.id = prompt->ids[row + 1];
        e.n_top = pd_scores_get(&c->scores, row, &e.token, top, c->request->desc.n_top);
        pd_request_tell(c->request, &e);
    }
}

/* Places to come back to: where another text went its own way, and before the prompt's last token,
 * which is computed anew for whoever asks the same. */
static void mark_places(pd_batch *b, pd_choice *c) {
    uint32_t n = c->seq.tokens.n, n_prompt = c->request->prompt.n;
    if (b->desc.deterministic) return;
    if (c->branch_at && n >= c->branch_at) {
        pd_context_mark(b->context, &c->seq, c->branch_at);
        c->branch_at = 0;
    }
    if (c->n_drawn == 0 && n >= n_prompt) pd_context_mark(b->context, &c->seq, n_prompt - 1);
}

static void tell_prompt(pd_choice *c) {
    pd_request *r = c->request;
    uint32_t n = c->seq.tokens.n;
    if (c->index != 0 || c->n_drawn > 0 || n > r->prompt.n) return;
    pd_event e = {.kind = PD_EVENT_PROMPT,
                  .n_done = n,
                  .n_total = r->prompt.n,
                  .n_cached = r->stats.n_cached};
    pd_request_tell(r, &e);
}

/* ---- tokens --------------------------------------------------------------------------------- */

bool pd_choice_draws_on_device(const pd_choice *c, pd_sample_params *params) {
    const pd_request_desc *d = &c->request->desc;
    return !d->log_probs && !d->score_prompt && pd_sampler_to_params(&c->sampler, params);
}

static void end_behind_step(pd_choice *c, pd_end end) {
    c->is_over = true;
    c->end = end;
}

bool pd_choice_take(pd_batch *b, pd_choice *c, pd_log_prob token, const pd_log_prob *top,
                    uint32_t n_top) {
    pd_request *r = c->request;
    const pd_request_desc *d = &r->desc;
    if (!r->first_at) {
        r->first_at = pd_clock_ns();
        r->stats.prompt_ns = r->first_at - r->placed_at;
    }
    pd_event e = {.kind = PD_EVENT_TOKEN,
                  .choice = c->index,
                  .position = c->text.n,
                  .token = token,
                  .top = top,
                  .n_top = n_top};
    c->n_drawn++;
    r->stats.n_drawn++;
    b->counted.n_drawn++;
    bool more = pd_request_tell(r, &e);
    bool is_stop =
        c->sampler.place.has_ended || (!d->ignore_stop && pd_model_is_stop(b->model, token.id));
    if (!more || is_stop)
        end_behind_step(c, PD_END_STOP);
    else if (c->n_drawn == d->n_max || c->text.n == c->text.n_max)
        end_behind_step(c, PD_END_LENGTH);
    else
        pd_tokens_append(&c->text, &token.id, 1, NULL, 0);
    return !c->is_over;
}

/* The last token of the text needs no room in the sequence. */
pd_status pd_choice_get_mask(pd_choice *c, const uint32_t **mask, pd_error *err) {
    uint32_t n_max = c->request->desc.n_max, left = c->text.n_max - c->text.n + 1;
    if (n_max && n_max - c->n_drawn < left) left = n_max - c->n_drawn;
    return pd_sampler_get_mask(&c->sampler, left, c->mask, mask, err);
}

/* What can only follow in the grammar, as far as a step has rows; log-probabilities come from steps
 * of their own. */
static pd_status take_forced(pd_batch *b, pd_choice *c, pd_error *err) {
    uint32_t ids[PD_MAX_FORCED], n;
    pd_sampler *s = &c->sampler;
    if (!s->desc.grammar || c->is_over || c->request->desc.log_probs) return PD_OK;
    PD_TRY(pd_grammar_get_forced(s->desc.grammar, &s->place, ids, PD_MAX_FORCED, &n, err));
    for (uint32_t i = 0; i < n && !c->is_over; i++) {
        PD_TRY(pd_sampler_take(s, ids[i], err));
        pd_choice_take(b, c, (pd_log_prob){ids[i], 0}, NULL, 0);
    }
    return PD_OK;
}

static pd_status read_logits(pd_batch *b, pd_choice *c, pd_error *err) {
    PD_TRY(pd_batch_begin_turn(b, err));
    pd_status status = pd_context_read_logits(b->context, &c->seq, &b->cancel, b->logits, err);
    pd_batch_end_turn(b);
    return status;
}

void pd_choice_note_logits(pd_batch *b, pd_choice *c) {
    pd_error unused;
    if (c->index != 0 || c->n_drawn == 0 || !pd_output_is_at_hand(&c->seq.out)) return;
    uint64_t t0 = pd_clock_ns();
    if (read_logits(b, c, &unused) == PD_OK)
        c->request->stats.logits_hash = pd_hash(b->logits, 4ull * b->model->config.n_vocab);
    c->request->hash_ns += pd_clock_ns() - t0;
}

/* As a session draws: the two give the same tokens. */
static pd_status draw(pd_batch *b, pd_choice *c, pd_error *err) {
    const pd_request_desc *d = &c->request->desc;
    uint32_t n_vocab = b->model->config.n_vocab, n_top = 0, id;
    pd_log_prob top[PD_MAX_TOP_LOG_PROBS];
    PD_TRY(read_logits(b, c, err));
    const float *logits =
        pd_sampler_adjust(&c->sampler.desc, b->scratch, b->logits, n_vocab, c->text.ids, c->text.n);
    const uint32_t *mask;
    PD_TRY(pd_choice_get_mask(c, &mask, err));
    PD_TRY(pd_sampler_pick(&c->sampler, b->scratch, logits, n_vocab, mask, &id, err));
    PD_TRY(pd_sampler_take(&c->sampler, id, err));
    pd_log_prob token = {id, 0};
    if (d->log_probs) {
        double log_sum = pd_log_sum_exp(b->logits, n_vocab);
        n_top = pd_top_log_probs(b->logits, n_vocab, log_sum, d->n_top, top);
        token.log_prob = (float)((double)b->logits[id] - log_sum);
    }
    pd_choice_take(b, c, token, top, n_top);
    return take_forced(b, c, err);
}

pd_status pd_choice_advance(pd_batch *b, pd_choice *c, uint32_t drawn, pd_error *err) {
    if (c->request->desc.score_prompt && c->scores.n < c->request->prompt.n)
        pd_scores_take(&c->scores, c->seq.tokens.n);
    tell_scores(c);
    mark_places(b, c);
    tell_prompt(c);
    if (pd_choice_rows_left(c) > 0) return PD_OK;
    if (c->request->desc.prompt_only) {
        end_behind_step(c, PD_END_LENGTH);
        return PD_OK;
    }
    if (drawn == PD_SAMPLE_NO_ID) return draw(b, c, err);
    c->sampler.n_drawn += c->sampler.desc.temp != 0.0f;
    PD_TRY(pd_sampler_take(&c->sampler, drawn, err));
    pd_choice_take(b, c, (pd_log_prob){drawn, 0}, NULL, 0);
    return take_forced(b, c, err);
}
