/* Outputs of every position: the head over the rows that prefill leaves, some at a time, so that
 * logits never take more than their share of memory. Rows are copied through the host: they are
 * less than a hundredth of the logits, and each program keeps its memory to itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "engine/session.h"

/* What follows position pos in the sequence; anything where that is an image or nothing. */
static uint32_t next_token(const pd_session *s, uint32_t pos) {
    uint32_t token = pos + 1 < s->tokens.n ? s->tokens.ids[pos + 1] : 0;
    return token == PD_TOKEN_EMBEDDED ? 0 : token;
}

/* Rows [first, first + n) of the body's last step become the head's rows 0 .. n. */
static pd_status move_hidden(pd_session *s, uint32_t first, uint32_t n, pd_error *err) {
    const pd_backend_vtable *v = s->model->backend->v;
    uint64_t row_bytes = 4ull * s->model->config.n_embd;
    PD_TRY(v->read(s->prefill.program, s->prefill.hidden, first * row_bytes, n * row_bytes,
                   s->hidden, err));
    return v->write(s->lm_head.program, s->lm_head.hidden, 0, n * row_bytes, s->hidden, err);
}

static pd_status run_rows(pd_session *s, const pd_step *body, uint32_t first, uint32_t n,
                          pd_error *err) {
    PD_TRY(move_hidden(s, first, n, err));
    pd_step_buf_start(&s->lm_head_step, n, n, (pd_page_table){0}, &s->cancel);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t pos = body->rows[first + i].pos;
        s->lm_head_step.rows[i] =
            (pd_step_row){.token = next_token(s, pos), .pos = pos, .end = pos + 1};
    }
    const pd_step *step = &s->lm_head_step.step;
    bool finite;
    PD_TRY(s->model->backend->v->run(s->lm_head.program, step, err));
    PD_TRY(pd_session_read_samples(s, &s->lm_head, step, &finite, err));
    return finite ? PD_OK : pd_session_raise_nonfinite(s, &s->prefill, body, err);
}

/* Hands out what the head has made of positions pos .. pos + n. */
static pd_status hand_out(pd_session *s, const pd_score *score, uint32_t pos, uint32_t n,
                          pd_error *err) {
    const pd_backend_vtable *v = s->model->backend->v;
    if (score->fn) {
        uint64_t bytes = 4ull * n * s->model->config.n_vocab;
        PD_TRY(v->read(s->lm_head.program, s->lm_head.logits, 0, bytes, s->logits, err));
        PD_TRY(score->fn(score->fn_ctx, pos, n, s->logits, err));
    }
    if (pos + n == s->tokens.n) n--; /* nothing follows the last position */
    uint32_t at = pos - score->first;
    for (uint32_t i = 0; score->best && i < n; i++) score->best[at + i] = s->results[i].best;
    if (!score->log_probs || n == 0) return PD_OK;
    return v->read(s->lm_head.program, s->lm_head.log_prob, 0, n * sizeof(float),
                   score->log_probs + at, err);
}

static pd_status run_head(pd_session *s, const pd_step *body, const pd_score *score,
                          pd_error *err) {
    uint32_t pos = body->rows[0].pos, n = body->n_rows, row = n - 1;
    if (score && score->first < pos + n) row = score->first > pos ? score->first - pos : 0;
    for (uint32_t m; row < n; row += m) {
        m = n - row < s->max_outs ? n - row : s->max_outs;
        PD_TRY(run_rows(s, body, row, m, err));
        if (score && pos + row >= score->first) PD_TRY(hand_out(s, score, pos + row, m, err));
    }
    return PD_OK;
}

pd_status pd_session_run_lm_head(pd_session *s, const pd_step *body, const pd_score *score,
                                 pd_error *err) {
    uint64_t t0 = pd_clock_ns();
    pd_status status = run_head(s, body, score, err);
    if (status != PD_OK) pd_session_forget_output(s); /* of rows before the sequence's end */
    s->stats.prompt_ns += pd_clock_ns() - t0;
    return status;
}

pd_status pd_session_score(pd_session *s, const pd_prompt *prompt, uint32_t first, pd_logits_fn fn,
                           void *ctx, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, prompt);
    PD_NEED(err, fn);
    pd_score score = {.first = first, .fn = fn, .fn_ctx = ctx};
    return pd_session_run_scored(s, prompt, &score, err);
}

pd_status pd_session_log_probs(pd_session *s, const uint32_t *ids, size_t n_ids, uint32_t first,
                               float *log_probs, uint32_t *best, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, log_probs);
    pd_score score = {.first = first, .log_probs = log_probs, .best = best};
    return pd_session_run_scored(s, &(pd_prompt){.ids = ids, .n_ids = n_ids}, &score, err);
}
